"""Part `processes`: what launched training uses, with a single process: NCCL (gloo on a CPU) and FSDP2.

a process of its own (one_process.py) -> group -> all_reduce, objects -> two SFT steps, plain and sharded -> numbers

One process shows that the libraries work on this card and that the sharded trainer takes the plain one's steps; it does
not show communication between cards.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from schemas.errors import TrainingError
from tests.gpu.session import Session

LONGEST = 150.0
"""Seconds after which the process is ended; a CPU gets more."""


def run(session: Session) -> tuple[dict[str, Any], str]:
    """Start the process and read what it found; raises TrainingError if it failed."""
    job = session.work / "one_process.json"
    result = session.work / "one_process_result.json"
    told = {
        "backend": "nccl" if session.device.type == "cuda" else "gloo",
        "device": session.device.type,
        "folder": str(session.prepared.folder),
        "base": str(session.base),
        "scratch": str(session.work / "one_process"),
        "pairs": 1 if session.small else 8,
        "result": str(result),
    }
    job.write_text(json.dumps(told), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.gpu.one_process", str(job)],
        capture_output=True,
        text=True,
        timeout=LONGEST if session.device.type == "cuda" else 10 * LONGEST,
    )
    if ended.returncode or not result.exists():
        raise TrainingError(f"one_process ended with status {ended.returncode}:\n{ended.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    plain, sharded = found["losses_plain"], found["losses_sharded"]
    apart = max(abs(a - b) for a, b in zip(plain, sharded, strict=True))
    text = (
        f"## One process with {found['backend']}\n\nThe group started in {found['start_seconds']:.1f} s; all_reduce of "
        f"{found['reduced_mb']:.0f} MB took {1000 * found['reduce_seconds']:.2f} ms and gave back what it was given; "
        "objects came back as sent. Two SFT steps in float32, plain and with FSDP2: losses "
        f"{', '.join(f'{loss:.6f}' for loss in plain)} and {', '.join(f'{loss:.6f}' for loss in sharded)}, at most "
        f"{apart:.1e} apart; weights afterwards at most {found['largest_weight_gap']:.1e} apart."
    )
    return found, text
