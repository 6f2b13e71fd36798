"""What vLLM reads from the environment, set for this process: the only place that does so."""

from __future__ import annotations

import os

IN_PROCESS = "VLLM_ENABLE_V1_MULTIPROCESSING"
"""vLLM's variable: 0 runs the engine in the process that asks for it, where weights can be handed over as tensors."""
LOGGING_LEVEL = "VLLM_LOGGING_LEVEL"


def run_engine_in_this_process() -> None:
    """Has an effect on engines that are started later; they say nothing but errors, unless the user wants more."""
    os.environ[IN_PROCESS] = "0"
    os.environ.setdefault(LOGGING_LEVEL, "ERROR")
