"""Warm-up distillation: the student learns both modes from the pairs (Thinkless section 3.1).

    loss = - 1/N sum over completion tokens log pi(token)        N = completion tokens of the whole step

pairs -> two independent samples each, `x -> <think> ... </think> answer` and `x -> <short> answer`
      -> micro-batches of like length -> one AdamW step. The control token counts, the prompt does not.

Shapes: B samples, T completion tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.configs.sft import SftConfig
from schemas.errors import TrainingError
from schemas.mode import Mode
from schemas.records import Metric, Pair
from thinkless_core.acceleration import single_process_accelerator
from thinkless_core.checkpoints import load_checkpoint, save_checkpoint
from thinkless_core.logprobs import collate, completion_logprobs
from thinkless_core.micro_batches import micro_batches
from thinkless_core.optimization import build_optimizer, learning_rate, set_learning_rate
from thinkless_core.progress import Progress
from thinkless_core.record_log import RecordLog
from thinkless_core.rendering import Sample, render_completion, render_prompt
from thinkless_core.seeding import batch_indices, derive_seed


@dataclass(frozen=True)
class SidedSamples:
    """Both sides of some pairs, as samples; sides[i] is the mode of samples[i]."""

    samples: tuple[Sample, ...]
    sides: tuple[Mode, ...]


@dataclass(frozen=True)
class SideLosses:
    """Mean completion-token loss, over all and per side (nats)."""

    all: float
    think: float
    short: float


def pair_samples(pair: Pair, *, tokenizer: PreTrainedTokenizerBase) -> SidedSamples:
    """The two samples of one pair."""
    prompt_ids = render_prompt(tokenizer, pair.prompt)
    think = render_completion(tokenizer, pair.think_completion, finished=not pair.think_truncated)
    short = render_completion(tokenizer, pair.short_completion, finished=not pair.short_truncated)
    return SidedSamples((Sample(prompt_ids, think), Sample(prompt_ids, short)), (Mode.THINK, Mode.SHORT))


def join(parts: Sequence[SidedSamples]) -> SidedSamples:
    """Several pairs' samples as one."""
    return SidedSamples(
        tuple(s for part in parts for s in part.samples), tuple(m for part in parts for m in part.sides)
    )


def accumulate_sft_loss(
    model: PreTrainedModel,
    batch: SidedSamples,
    *,
    pad_id: int,
    micro_batch_tokens: int,
    accelerator: Accelerator | None = None,
) -> SideLosses:
    """Token-mean loss of a batch; with an accelerator, its gradient is added to the parameters' as well."""
    num_tokens = sum(len(s.completion_ids) for s in batch.samples)
    sums = dict.fromkeys(Mode, 0.0)
    counts = dict.fromkeys(Mode, 0)
    for indices in micro_batches(batch.samples, model=model, max_tokens=micro_batch_tokens):
        collated = collate([batch.samples[i] for i in indices], model=model, pad_id=pad_id)
        loss_B = -completion_logprobs(model, collated).logprobs_BT.sum(dim=1)
        if accelerator is not None:
            accelerator.backward(loss_B.sum() / num_tokens)
        for index, loss in zip(indices, loss_B.tolist(), strict=True):
            sums[batch.sides[index]] += loss
            counts[batch.sides[index]] += len(batch.samples[index].completion_ids)
    return SideLosses(
        all=sum(sums.values()) / num_tokens,
        think=sums[Mode.THINK] / max(counts[Mode.THINK], 1),
        short=sums[Mode.SHORT] / max(counts[Mode.SHORT], 1),
    )


def train_sft(
    model: PreTrainedModel,
    *,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[Pair],
    config: SftConfig,
    scratch: Path,
    progress: Progress,
) -> RecordLog[Metric]:
    """Train `model` in place and return the log of its metrics.

    `scratch` holds checkpoints and the log; called again with the same arguments after a crash, training goes on
    from the newest checkpoint to the same weights. Raises TrainingError for a loss that is not finite.
    """
    encoded = [pair_samples(p, tokenizer=tokenizer) for p in pairs if p.split == "train"]
    held_out = [pair_samples(p, tokenizer=tokenizer) for p in pairs if p.split == "validation"]
    if not encoded:
        raise TrainingError('no training pairs to learn from; see `thinkless sql "select * from drops"` for why')
    accelerator = single_process_accelerator()
    model.to(accelerator.device)
    optimizer = build_optimizer(model, config.optimizer)
    log = RecordLog(scratch / "metrics.jsonl", Metric)
    done = load_checkpoint(scratch / "checkpoints", model=model, optimizer=optimizer)
    log.cut_after(done)
    model.train()
    for step in range(done + 1, config.steps + 1):
        torch.manual_seed(derive_seed("sft-step", config.seed, step))  # dropout, where a model has it
        rate = learning_rate(config.optimizer, step=step, num_steps=config.steps)
        set_learning_rate(optimizer, rate)
        chosen = batch_indices(len(encoded), batch_size=config.pairs_per_step, step=step - 1, seed=config.seed)
        losses = accumulate_sft_loss(
            model,
            join([encoded[i] for i in chosen]),
            pad_id=tokenizer.pad_token_id,
            micro_batch_tokens=config.micro_batch_tokens,
            accelerator=accelerator,
        )
        grad_norm = float(nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.max_grad_norm))
        if not math.isfinite(losses.all) or not math.isfinite(grad_norm):
            raise TrainingError(
                f"sft step {step}: loss {losses.all} with gradient norm {grad_norm} is not finite; "
                "lower sft.optimizer.learning_rate. The last good checkpoint is kept"
            )
        optimizer.step()
        optimizer.zero_grad()
        numbers = {
            "loss": losses.all,
            "think_loss": losses.think,
            "short_loss": losses.short,
            "learning_rate": rate,
            "grad_norm": grad_norm,
        }
        if held_out and (step % config.validate_every == 0 or step == config.steps):
            model.eval()
            with torch.inference_mode():
                validation = accumulate_sft_loss(
                    model,
                    join(held_out),
                    pad_id=tokenizer.pad_token_id,
                    micro_batch_tokens=config.micro_batch_tokens,
                )
            model.train()
            numbers |= {
                "validation_loss": validation.all,
                "validation_think_loss": validation.think,
                "validation_short_loss": validation.short,
            }
        log.append([Metric(stage="sft", step=step, name=name, value=value) for name, value in numbers.items()])
        if step % config.checkpoint_every == 0 and step < config.steps:
            save_checkpoint(scratch / "checkpoints", step=step, model=model, optimizer=optimizer)
        progress(step, config.steps, numbers)
    return log
