"""Part `speed`: tokens per second of warm-up steps, their share of the card's peak, their memory beside the estimate.

pairs -> steps as the trainer makes them (loss, clipped gradient, AdamW), at several sizes of micro-batch

Samples are padded, as the product does on a GPU, and packed, as on a CPU. Samples a second compare the two: packing
computes fewer tokens. Two shares of the peak: 6 P operations for every token computed, and those that the step cannot
do without (tests/benchmarks/flops.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from transformers import PreTrainedModel

from schemas.configs.base_model import PretrainedModel
from schemas.configs.sft import SftConfig
from schemas.errors import TrainingError
from tests.benchmarks.flops import training_flops
from tests.gpu.card import forget_peak, gib, peak_bytes, peak_flops, synchronized
from tests.gpu.results import table
from tests.gpu.session import Session
from thinkless_core.estimates.memory_formulas import TrainingSize, learning_terms, total, training_state
from thinkless_core.estimates.model_shape import shape_of
from thinkless_core.student.rendering import Sample
from thinkless_core.training import logprobs, micro_batches
from thinkless_core.training.acceleration import in_bfloat16, training_accelerator
from thinkless_core.training.micro_batches import memory_explained
from thinkless_core.training.optimization import build_optimizer, clip_gradients
from thinkless_core.training.precision import prepare_student
from thinkless_core.training.sft_trainer import accumulate_sft_loss
from thinkless_core.training.sided_samples import SidedSamples, sided

STEPS = 3
MICRO_BATCHES = 3
"""Micro-batches of a step."""
PAIRS_AT_ONCE = 64


def run(session: Session) -> tuple[dict[str, Any], str]:
    """One row per size of micro-batch, and one in float32."""
    sizes = [256] if session.small else [int(text) for text in session.options.micro_batches.split(",")]
    settings = [(size, "mixed", packs) for size in sizes for packs in (False, True)]
    settings += [] if session.small else [(sizes[0], "float32", False)]
    found = []
    for size, precision, packs in settings:
        with _layout(packs=packs):
            found.append(_measured(session, micro_batch_tokens=size, precision=precision, packs=packs))
    peak = peak_flops(session.device)
    rows = [
        [row["precision"], "packed" if row["packed"] else "padded", row["micro_batch_tokens"]]
        + (
            [row["failed"], *[None] * 9]
            if "failed" in row
            else [
                row["samples"],
                row["tokens_per_step"],
                row["seconds_per_step"],
                row["samples"] / row["seconds_per_step"],
                row["tokens_per_second"],
                _percent(row["flops_6p"], peak),
                _percent(row["flops_needed"], peak),
                gib(row["peak_bytes"]),
                gib(row["estimated_bytes"]),
                f"{row['peak_bytes'] / row['estimated_bytes']:.2f}" if row["peak_bytes"] else "",
            ]
        )
        for row in found
    ]
    of = f"{peak / 1e12:,.0f} TFLOP/s (bfloat16, dense, as its maker says)" if peak else "not known"
    text = (
        f"## Speed and memory of warm-up steps\n\n{session.prepared.settings['parameters']:,} parameters; peak of the "
        f"card {of}. Memory in GiB: the most that tensors held, and what `thinkless doctor` estimates.\n\n"
        f"{table(HEADER, rows)}"
    )
    return {"rows": found, "peak_flops": peak}, text


HEADER = (
    "precision", "layout", "micro-batch tokens", "samples", "tokens a step", "s a step", "samples/s", "tokens/s",
    "6 P share, %", "needed share, %", "memory", "estimate", "ratio",
)  # fmt: skip


@contextmanager
def _layout(*, packs: bool) -> Iterator[None]:
    """Inside, samples are laid out so, whatever the product would do on this device."""
    with (
        patch.object(logprobs, "supports_packing", lambda _model: packs),
        patch.object(micro_batches, "supports_packing", lambda _model: packs),
    ):
        yield


def _measured(session: Session, *, micro_batch_tokens: int, precision: str, packs: bool) -> dict[str, Any]:
    config = session.sft().model_copy(update={"micro_batch_tokens": micro_batch_tokens, "precision": precision})
    row: dict[str, Any] = {"precision": precision, "packed": packs, "micro_batch_tokens": micro_batch_tokens}
    held = forget_peak(session.device)
    try:
        row |= _timed(session, config)
    except TrainingError as error:
        return row | {"failed": f"{error}"[:200]}
    most = peak_bytes(session.device)
    return row | {
        "peak_bytes": None if most is None else most - held,
        "estimated_bytes": _estimate(session, config),
    }


def _timed(session: Session, config: SftConfig) -> dict[str, Any]:
    model = session.student().to(session.device).train()
    prepare_student(model, config, tokenizer=session.tokenizer)
    optimizer = build_optimizer(model, config.optimizer)
    batch = _filling(session, model, MICRO_BATCHES * config.micro_batch_tokens)
    steps = 1 if session.small else STEPS
    _step(session, model, batch, optimizer, config)
    started = synchronized(session.device)
    for _ in range(steps):
        _step(session, model, batch, optimizer, config)
    seconds = (synchronized(session.device) - started) / steps
    tokens = _computed_tokens(model, batch.samples, max_tokens=config.micro_batch_tokens)
    return {
        "samples": len(batch.samples),
        "tokens_per_step": tokens,
        "seconds_per_step": seconds,
        "tokens_per_second": tokens / seconds,
        "flops_6p": 6 * model.num_parameters() * tokens / seconds,
        "flops_needed": training_flops(model, batch.samples) / seconds,
    }


def _step(
    session: Session,
    model: PreTrainedModel,
    batch: SidedSamples,
    optimizer: torch.optim.Optimizer,
    config: SftConfig,
) -> None:
    """As the trainer's."""
    with memory_explained("sft", config.micro_batch_tokens):
        accumulate_sft_loss(
            model,
            batch,
            pad_id=session.tokenizer.pad_token_id,
            micro_batch_tokens=config.micro_batch_tokens,
            accelerator=training_accelerator(),
            precision=config.precision,
        )
        clip_gradients(model, max_norm=config.optimizer.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()


def _filling(session: Session, model: PreTrainedModel, num_tokens: int) -> SidedSamples:
    """Pairs with about so many tokens to compute, without those that would begin one more micro-batch."""
    chosen: list[Sample] = []
    tokens = 0
    while tokens < num_tokens:
        more = session.samples(PAIRS_AT_ONCE, start=len(chosen) // 2)
        for place in range(0, len(more.samples), 2):
            both = more.samples[place : place + 2]
            tokens += _computed_tokens(model, both, max_tokens=num_tokens)
            chosen.extend(both)
            if tokens >= num_tokens:
                break
    return sided(chosen[:-2] or chosen)


def _computed_tokens(model: PreTrainedModel, samples: Sequence[Sample], *, max_tokens: int) -> int:
    """Tokens that go through the layers, padding left out: packed, a prompt comes once in each micro-batch and a
    completion without its last token; padded, every sample has its own.
    """
    if not micro_batches.supports_packing(model):
        return sum(map(len, samples))
    count = 0
    for indices in micro_batches.packed_micro_batches(samples, max_tokens=max_tokens):
        count += sum(map(len, {samples[i].prompt_ids for i in indices}))
        count += sum(len(samples[i].completion_ids) - 1 for i in indices)
    return count


def _estimate(session: Session, config: SftConfig) -> int | None:
    """What the doctor says of such a step."""
    shape = shape_of(PretrainedModel(path=str(session.base)))
    if shape is None:
        return None
    size = TrainingSize(
        micro_batch_tokens=config.micro_batch_tokens,
        mixed=in_bfloat16(config.precision),
        gradient_checkpointing=config.gradient_checkpointing,
        lora_rank=None if config.lora is None else config.lora.rank,
    )
    return total(training_state(shape, size)) + total(learning_terms(shape, size))


def _percent(flops: float, peak: float | None) -> str:
    return "" if peak is None else f"{100 * flops / peak:.1f}"
