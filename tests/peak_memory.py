"""The largest memory that a script needs, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")
needs_its_peak = pytest.mark.skipif(not STATUS.exists(), reason="needs Linux, which tells a process's peak memory")
_TELL = f"""
print(next(line.split()[1] for line in open("{STATUS}") if line.startswith("VmHWM")))
"""


def peak_memory(script: str, *arguments: object) -> int:
    """Peak memory of Python running `script`, imports included, in units of 1,024 bytes."""
    command = [sys.executable, "-c", script + _TELL, *map(str, arguments)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
