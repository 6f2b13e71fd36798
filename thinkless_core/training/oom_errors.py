"""Out-of-memory errors that name what the user can lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from schemas.errors import TrainingError


@contextmanager
def memory_explained(stage: str, micro_batch_tokens: int) -> Iterator[None]:
    """Turns running out of memory in a training step into a TrainingError."""
    with _explained(
        f"{stage}: out of memory with micro-batches of up to {stage}.micro_batch_tokens={micro_batch_tokens} tokens (a "
        "longer sample has one to itself)",
        f"lower {stage}.micro_batch_tokens{', rl.max_new_tokens' if stage == 'rl' else ''}, or set "
        f'{stage}.gradient_checkpointing=true, {stage}.precision="mixed" or {stage}.lora. The last good checkpoint is '
        "kept",
    ):
        yield


@contextmanager
def sampling_memory_explained(num_rows: int, *, max_new_tokens: int) -> Iterator[None]:
    """The same for completions that are sampled side by side."""
    with _explained(
        f"out of memory while sampling {num_rows} completions of up to max_new_tokens={max_new_tokens} side by side",
        "lower max_new_tokens of the stage (or evaluate.batch_size, which changes nothing that is sampled)",
    ):
        yield


@contextmanager
def _explained(what: str, way_out: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        # CUDA's own class, or the CPU allocator's words.
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise TrainingError(f"{what}: {reason}; {way_out}") from error
