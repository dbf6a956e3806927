"""`python -m paylatch`."""

from paylatch.cli import main

main()
