"""Training runs in one process, and says so where it was launched as several."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from thinkless_core.training.acceleration import single_process_accelerator

LAUNCHED = """
from schemas.errors import TrainingError
from thinkless_core.training.acceleration import single_process_accelerator
try:
    single_process_accelerator()
except TrainingError as error:
    print(error)
"""


def test_one_process_gets_its_accelerator() -> None:
    accelerator = single_process_accelerator()
    assert accelerator.num_processes == 1
    assert accelerator.device.type in ("cpu", "cuda")


def test_a_launch_of_two_processes_is_refused_in_both() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What torchrun and `accelerate launch` tell each process; both meet over gloo.
    launcher = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", LAUNCHED],
            cwd=Path(__file__).parents[4],
            env=os.environ | launcher | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for said, complaints in outputs:
        assert "launched with 2 processes" in said, complaints
        assert "launch one process" in said
