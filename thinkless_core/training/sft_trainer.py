"""Warm-up distillation: the student learns both modes from the pairs (Thinkless section 3.1).

    loss = - 1/N sum over completion tokens log pi(token)        N = completion tokens of the whole step

pairs -> two independent samples each, `x -> <think> ... </think> answer` and `x -> <short> answer`
      -> micro-batches of like length -> one AdamW step. The control token counts, the prompt does not.

Shapes: B samples, T completion tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.configs.sft import SftConfig
from schemas.errors import TrainingError
from schemas.mode import Mode
from schemas.records.metrics import Metric
from thinkless_core.progress import Progress
from thinkless_core.seeding import batch_indices, derive_seed
from thinkless_core.training.acceleration import training_accelerator
from thinkless_core.training.checkpoints import load_checkpoint, save_checkpoint
from thinkless_core.training.logprobs import collate, completion_logprobs
from thinkless_core.training.micro_batches import memory_explained, micro_batches
from thinkless_core.training.optimization import build_optimizer, clip_gradients, learning_rate, set_learning_rate
from thinkless_core.training.precision import Precision, autocast
from thinkless_core.training.processes import process_stream, sum_gradients, summed, turns, wait_for_all
from thinkless_core.training.record_log import RecordLog
from thinkless_core.training.sharding import gathered, make_whole, shard_layers
from thinkless_core.training.sided_samples import SidedSamples
from thinkless_core.training.tokenised_pairs import TokenisedPairs


@dataclass(frozen=True)
class SideLosses:
    """Mean completion-token loss, over all and per side (nats)."""

    all: float
    think: float
    short: float


def accumulate_sft_loss(
    model: PreTrainedModel,
    batch: SidedSamples,
    *,
    pad_id: int,
    micro_batch_tokens: int,
    accelerator: Accelerator | None = None,
    precision: Precision = "float32",
) -> SideLosses:
    """Token-mean loss of a batch.

    With an accelerator its processes share the work; if gradients are enabled, this process's part of the gradient is
    added to the parameters' own.
    """
    tokens = dict.fromkeys(Mode, 0)
    for sample, side in zip(batch.samples, batch.sides, strict=True):
        tokens[side] += len(sample.completion_ids)
    num_tokens = sum(tokens.values())
    own = {mode.value: 0.0 for mode in Mode}
    for indices, weighted in turns(
        lambda most: micro_batches(batch.samples, model=model, max_tokens=most),
        max_tokens=micro_batch_tokens,
        model=model,
        accelerator=accelerator,
    ):
        collated = collate([batch.samples[i] for i in indices], model=model, pad_id=pad_id)
        with autocast(model, precision):
            loss_B = -completion_logprobs(model, collated).logprobs_BT.sum(dim=1)
        if accelerator is not None and torch.is_grad_enabled():
            loss = loss_B.sum() / num_tokens
            accelerator.backward(loss if weighted else 0.0 * loss)
        for index, value in zip(indices, loss_B.tolist(), strict=True):
            own[batch.sides[index]] += value if weighted else 0.0
    sums = summed(own, accelerator=accelerator)
    return SideLosses(
        all=sum(sums.values()) / num_tokens,
        think=sums[Mode.THINK] / max(tokens[Mode.THINK], 1),
        short=sums[Mode.SHORT] / max(tokens[Mode.SHORT], 1),
    )


def metrics_log(scratch: Path) -> RecordLog[Metric]:
    """The log of the run whose work in progress is in `scratch`."""
    return RecordLog(scratch / "metrics.jsonl", Metric)


def train_sft(
    model: PreTrainedModel,
    *,
    tokenizer: PreTrainedTokenizerBase,
    pairs: TokenisedPairs,
    config: SftConfig,
    scratch: Path,
    progress: Progress,
    sharded: bool = False,
) -> RecordLog[Metric]:
    """Train `model`, as `prepare_student` left it, in place and return the log of its metrics.

    `scratch` holds checkpoints and the log. Called again with the same arguments after a crash, training goes on from
    the newest checkpoint to the same weights; after the last step it does none. Of several processes only the main one
    writes and reports progress; `sharded` spreads the model over them. Raises TrainingError for a loss that is not
    finite.
    """
    accelerator = training_accelerator()
    writes = accelerator.is_main_process
    training = pairs.rows("train")
    held_out = pairs.samples(spread_out(pairs.rows("validation"), most=config.validate_pairs))
    if not len(training):
        raise TrainingError('no training pairs to learn from; see `thinkless sql "select * from drops"` for why')
    model.to(accelerator.device)
    if sharded:
        shard_layers(model)
    optimizer = build_optimizer(model, config.optimizer)
    log = metrics_log(scratch)
    done = load_checkpoint(scratch / "checkpoints", model=model, optimizer=optimizer)
    if writes:
        log.cut_after(done)
    wait_for_all(accelerator)
    pad_id = tokenizer.pad_token_id
    model.train()
    for step in range(done + 1, config.steps + 1):
        chosen = batch_indices(len(training), batch_size=config.pairs_per_step, step=step - 1, seed=config.seed)
        batch = pairs.samples(training[chosen]).in_memory()
        numbers = _train_step(
            model, batch, optimizer=optimizer, accelerator=accelerator, config=config, pad_id=pad_id, step=step
        )
        if held_out.samples and (step % config.validate_every == 0 or step == config.steps):
            numbers |= _validation_losses(model, held_out, accelerator=accelerator, config=config, pad_id=pad_id)
        if writes:
            log.append([Metric(stage="sft", step=step, name=name, value=value) for name, value in numbers.items()])
        if step % config.checkpoint_every == 0 or step == config.steps:
            save_checkpoint(scratch / "checkpoints", step=step, model=model, optimizer=optimizer, writes=writes)
        if writes:
            progress(step, config.steps, numbers)
    make_whole(model, keeps=writes)
    return log


def _train_step(
    model: PreTrainedModel,
    batch: SidedSamples,
    *,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    config: SftConfig,
    pad_id: int,
    step: int,
) -> dict[str, float]:
    """One optimiser step; returns its metrics."""
    # Dropout, if a model has it.
    torch.manual_seed(derive_seed("sft-step", config.seed, step, *process_stream(accelerator)))
    rate = learning_rate(config.optimizer, step=step, num_steps=config.steps)
    set_learning_rate(optimizer, rate)
    with memory_explained("sft", config.micro_batch_tokens):
        losses = accumulate_sft_loss(
            model,
            batch,
            pad_id=pad_id,
            micro_batch_tokens=config.micro_batch_tokens,
            accelerator=accelerator,
            precision=config.precision,
        )
    sum_gradients(model, accelerator=accelerator)
    grad_norm = clip_gradients(model, max_norm=config.optimizer.max_grad_norm)
    if not math.isfinite(losses.all) or not math.isfinite(grad_norm):
        raise TrainingError(
            f"sft step {step}: loss {losses.all} with gradient norm {grad_norm} is not finite; "
            "lower sft.optimizer.learning_rate. The last good checkpoint is kept"
        )
    optimizer.step()
    optimizer.zero_grad()
    return {
        "loss": losses.all,
        "think_loss": losses.think,
        "short_loss": losses.short,
        "learning_rate": rate,
        "grad_norm": grad_norm,
    }


def spread_out(rows: NDArray[np.int64], *, most: int) -> NDArray[np.int64]:
    """Every n-th row, at most so many: what is measured on them costs the same, however many there are."""
    return rows[:: max(1, -(-len(rows) // most))]


def _validation_losses(
    model: PreTrainedModel, batch: SidedSamples, *, accelerator: Accelerator, config: SftConfig, pad_id: int
) -> dict[str, float]:
    """Losses on pairs that are not trained on, as metrics."""
    model.eval()
    with gathered(model), torch.inference_mode():
        losses = accumulate_sft_loss(
            model,
            batch,
            pad_id=pad_id,
            micro_batch_tokens=config.micro_batch_tokens,
            accelerator=accelerator,
            precision=config.precision,
        )
    model.train()
    return {
        "validation_loss": losses.all,
        "validation_think_loss": losses.think,
        "validation_short_loss": losses.short,
    }
