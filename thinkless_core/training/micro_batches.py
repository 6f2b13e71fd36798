"""Which samples share a forward pass: as many as a budget of tokens allows; and what to lower if memory runs out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from schemas.errors import TrainingError
from thinkless_core.student.rendering import Sample
from thinkless_core.training.packed_attention import supports_packing


def micro_batches(samples: Sequence[Sample], *, model: PreTrainedModel, max_tokens: int) -> list[list[int]]:
    """Indices of `samples` per forward pass, as `thinkless_core.training.logprobs.collate` will lay them out for this
    model.

    A single sample longer than `max_tokens` gets a micro-batch of its own.
    """
    split = packed_micro_batches if supports_packing(model) else padded_micro_batches
    return split(samples, max_tokens=max_tokens)


def packed_micro_batches(samples: Sequence[Sample], *, max_tokens: int) -> list[list[int]]:
    """Neighbours stay together, and a prompt that they share counts once."""
    batches: list[list[int]] = []
    prompts: set[tuple[int, ...]] = set()
    num_tokens = 0
    for index, sample in enumerate(samples):
        completion = len(sample.completion_ids) - 1  # the last token is never an input
        new_prompt = 0 if sample.prompt_ids in prompts else len(sample.prompt_ids)
        if batches and num_tokens + new_prompt + completion <= max_tokens:
            batches[-1].append(index)
            num_tokens += new_prompt + completion
        else:
            batches.append([index])
            prompts.clear()
            num_tokens = len(sample.prompt_ids) + completion
        prompts.add(sample.prompt_ids)
    return batches


def padded_micro_batches(samples: Sequence[Sample], *, max_tokens: int) -> list[list[int]]:
    """Samples of like length come together; the budget counts padding."""
    batches: list[list[int]] = []
    for index in sorted(range(len(samples)), key=lambda i: len(samples[i])):
        if batches and len(samples[index]) * (len(batches[-1]) + 1) <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


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
