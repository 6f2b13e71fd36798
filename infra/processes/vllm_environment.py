"""Environment variables that vLLM reads, set for this process. No other module sets any."""

from __future__ import annotations

import os

IN_PROCESS = "VLLM_ENABLE_V1_MULTIPROCESSING"
"""vLLM's variable: 0 runs the engine in the calling process, so that weights can be passed as tensors."""
LOGGING_LEVEL = "VLLM_LOGGING_LEVEL"


def run_engine_in_this_process() -> None:
    """Make engines started later run in this process; they log only errors unless the user has set a level."""
    os.environ[IN_PROCESS] = "0"
    os.environ.setdefault(LOGGING_LEVEL, "ERROR")
