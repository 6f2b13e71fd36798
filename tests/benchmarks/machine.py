"""The machine and the versions that numbers were taken with."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from infra.installed import installed_version
from tests.benchmarks.row import Row

PACKAGES = (
    "torch", "transformers", "trl", "accelerate", "datasets", "pandas", "pyarrow", "duckdb", "math-verify", "prefect",
)  # fmt: skip

TELL_DEVICE = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"

TELL_BFLOAT16 = "from thinkless_core.training.acceleration import in_bfloat16; print(in_bfloat16('auto'))"


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory, CUDA device, versions."""
    asked = subprocess.run([sys.executable, "-c", TELL_DEVICE], capture_output=True, text=True, check=True)
    return {
        "cpu": _cpu_name(),
        "cores": num_cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "device": asked.stdout.strip(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := installed_version(name))},
    }


def precision_here(precision: str) -> str:
    """`float32` or `mixed`, where `auto` takes what the trainers take on this machine."""
    if precision != "auto":
        return precision
    asked = subprocess.run([sys.executable, "-c", TELL_BFLOAT16], capture_output=True, text=True, check=True)
    return "mixed" if asked.stdout.strip() == "True" else "float32"


def num_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def missing_peers(rows: Iterable[Row]) -> list[str]:
    """Peers of these rows that are not installed."""
    peers = dict.fromkeys(peer for row in rows for peer in row.peers)
    return [name for name in peers if not installed_version(name)]


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        named = {key.strip(): value.strip() for key, value in fields.items()}
        if "model name" in named:
            family = named.get("cpu family", "?")
            return f"{named['model name']} (family {family}, model {named.get('model', '?')})"
    return platform.processor() or platform.machine()
