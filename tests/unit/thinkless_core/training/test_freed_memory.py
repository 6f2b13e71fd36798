"""Large tensors that are freed between small ones leave the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FREE_BETWEEN_OTHERS = """
import os, sys
import torch
from thinkless_core.training.freed_memory import give_back_freed_memory

def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

first = torch.ones(7 << 20)  # 28 MB: once it is freed, the library keeps smaller blocks
del first
if sys.argv[1] == "given back":
    give_back_freed_memory()
blocks, others = [], []
for _ in range(40):
    blocks.append(torch.ones(3 << 20))  # 12 MB
    others.append(torch.ones(1 << 10))
held = resident_mb()
blocks.clear()
print(held - resident_mb())
"""


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="needs glibc")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux, to see what a process holds")
@pytest.mark.parametrize("how", ["kept", "given back"])
def test_freed_tensors_leave_the_process(how: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "THP_", "GLIBC_"))}
    finished = subprocess.run(
        [sys.executable, "-c", FREE_BETWEEN_OTHERS, how], text=True, capture_output=True, check=True, env=kept
    )
    assert (int(finished.stdout) > 400) == (how == "given back"), finished.stdout
