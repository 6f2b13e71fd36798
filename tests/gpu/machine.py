"""What the run was made on."""

from __future__ import annotations

import os
import platform
import subprocess
from typing import Any

import torch

from infra.installed import installed_version

PACKAGES = ("torch", "transformers", "accelerate", "tokenizers", "pydantic", "gguf", "numpy", "vllm", "reasoning-gym")


def describe(device: str) -> dict[str, Any]:
    """Card, driver, processor, versions."""
    found: dict[str, Any] = {
        "device": "CPU only",
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := installed_version(name))},
    }
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found |= {
            "device": properties.name,
            "memory_gib": round(properties.total_memory / 2**30, 1),
            "cuda": torch.version.cuda,
            "driver": _driver(),
        }
    return found


def in_words(machine: dict[str, Any]) -> str:
    """One line."""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    card = machine["device"]
    if "memory_gib" in machine:
        card += f", {machine['memory_gib']} GiB, CUDA {machine['cuda']}, driver {machine['driver']}"
    return f"{card}; {machine['cores']} CPU cores, {machine['system']}; Python {machine['python']}; {packages}."


def _driver() -> str:
    try:
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout.strip().split("\n")[0]
    except (OSError, subprocess.SubprocessError):
        return "unknown"
