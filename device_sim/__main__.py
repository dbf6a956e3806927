"""`python -m device_sim`."""

import sys

from device_sim.main import main

sys.exit(main())
