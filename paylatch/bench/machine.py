"""What the benchmark ran on: figures without it say little."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from paylatch.local.broker_process import find_mosquitto


def machine() -> dict[str, Any]:
    """Return the machine and the programs that matter."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "paylatch": version("paylatch"),
        "mosquitto": _mosquitto_version(),
    }


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else platform.machine()


def _mosquitto_version() -> str:
    told = subprocess.run([find_mosquitto(), "-h"], capture_output=True, text=True, check=False).stdout
    return told.partition("\n")[0].removeprefix("mosquitto version ")
