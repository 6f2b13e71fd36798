"""One optimiser step on a batch of scored rollouts.

PolicyBatch -> micro-batches -> logprobs under policy (and reference) -> objective's weights -> loss -> summed
gradient -> step

Shapes: B rollouts, T completion tokens.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from transformers import PreTrainedModel

from schemas.configs.rl import RlConfig
from schemas.errors import TrainingError
from schemas.mode import Mode
from thinkless_core.rl.objectives.registry import OBJECTIVES
from thinkless_core.rl.policy_batch import PolicyBatch
from thinkless_core.rl.policy_loss import degrpo_loss
from thinkless_core.rl.schedules import StepSettings
from thinkless_core.training.logprobs import collate, completion_logprobs
from thinkless_core.training.lora import without_adapters
from thinkless_core.training.optimization import clip_gradients
from thinkless_core.training.precision import autocast
from thinkless_core.training.processes import gather, sum_gradients, summed, turns

LARGEST_GAP = 1.0
"""Nats per token. bfloat16 and float32 differ by some hundredths; other weights, by more than one."""
OldLogprobs = Sequence[Tensor]
"""One 1-d tensor per rollout, with one entry per completion token."""


@torch.no_grad()
def sampling_logprobs(
    model: PreTrainedModel,
    batch: PolicyBatch,
    *,
    config: RlConfig,
    settings: StepSettings,
    pad_id: int,
    accelerator: Accelerator | None = None,
) -> OldLogprobs:
    """log pi of every completion token under the policy that sampled, before it is updated; each process computes a
    share and knows all.
    """
    own: dict[int, Tensor] = {}
    for indices, _ in turns(
        lambda most: batch.micro_batches(model=model, max_tokens=most, skip_zero_advantage=False),
        max_tokens=config.micro_batch_tokens,
        model=model,
        accelerator=accelerator,
    ):
        collated = collate([batch.sample(i) for i in indices], model=model, pad_id=pad_id)
        with autocast(model, config.precision):
            logprobs_BT = completion_logprobs(model, collated, temperature=settings.temperature).logprobs_BT
        for index, logprobs_T in zip(indices, logprobs_BT, strict=True):
            own[index] = logprobs_T[: len(batch.sample(index).completion_ids)]
    if accelerator is not None and accelerator.num_processes > 1:
        own = {index: logprobs_T.cpu() for index, logprobs_T in own.items()}
    old = {index: logprobs_T for part in gather(own, accelerator=accelerator) for index, logprobs_T in part.items()}
    return [old[index].to(model.device) for index in range(len(batch.scored))]


def update_policy(
    model: PreTrainedModel,
    batch: PolicyBatch,
    *,
    old_logprobs: OldLogprobs | None,
    reference: PreTrainedModel | None,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    config: RlConfig,
    settings: StepSettings,
    pad_id: int,
) -> dict[str, float]:
    """One optimiser step, shared by all processes; returns its numbers.

    `old_logprobs` None: the policy has not moved since it sampled, so they equal the current ones by construction.
    Raises TrainingError for a loss that is not finite.
    """
    objective, counts = OBJECTIVES[config.objective], batch.counts
    totals: dict[str, float] = defaultdict(float)
    for indices, counted in turns(
        lambda most: batch.micro_batches(model=model, max_tokens=most, skip_zero_advantage=reference is None),
        max_tokens=config.micro_batch_tokens,
        model=model,
        accelerator=accelerator,
    ):
        collated = collate([batch.sample(i) for i in indices], model=model, pad_id=pad_id)
        mask_BT = collated.completion_mask_BT
        with autocast(model, config.precision):
            logprobs_BT, entropy_BT = completion_logprobs(model, collated, temperature=settings.temperature)
        if old_logprobs is None:
            old_BT = logprobs_BT.detach()
        else:
            old_BT = nn.utils.rnn.pad_sequence([old_logprobs[i] for i in indices], batch_first=True)
        ref_BT = None
        if reference is not None:
            with torch.no_grad(), without_adapters(reference), autocast(reference, config.precision):
                ref_BT = completion_logprobs(reference, collated, temperature=settings.temperature).logprobs_BT
        terms = degrpo_loss(
            logprobs_BT,
            old_logprobs_BT=old_BT,
            ref_logprobs_BT=ref_BT,
            control_advantages_B=batch.control_advantages_B[indices].to(logprobs_BT.device),
            response_advantages_B=batch.advantages_B[indices].to(logprobs_BT.device),
            completion_mask_BT=mask_BT,
            weights=objective.token_weights(mask_BT, control_weight=settings.alpha, counts=counts),
            control_importance_B=control_importance(batch, indices, old_logprobs_B=old_BT[:, 0]),
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            kl_coef=settings.kl_coef,
        )
        accelerator.backward(terms.total if counted else 0.0 * terms.total)
        if not counted:
            continue
        totals["loss"] += float(terms.total.detach())
        totals["control_loss"] += float(terms.control)
        totals["response_loss"] += float(terms.response)
        totals["kl"] += float(terms.kl)
        totals["entropy"] += float(entropy_BT.sum())
        totals["control_entropy"] += float(entropy_BT[:, 0].sum())
        totals["rollouts"] += len(indices)
        _compare_samplers(batch, indices, old_logprobs_BT=old_BT, totals=totals)
        for index, clipped, tokens in zip(
            indices, terms.num_clipped_B.tolist(), mask_BT.sum(dim=1).tolist(), strict=True
        ):
            mode = batch.scored[index].rollout.mode
            totals["clipped"] += clipped
            totals["tokens"] += tokens
            totals[f"clipped/{mode}"] += clipped
            totals[f"tokens/{mode}"] += tokens
    sum_gradients(model, accelerator=accelerator)
    totals = summed(totals, accelerator=accelerator)
    return _step(model, optimizer, totals=totals, max_grad_norm=config.optimizer.max_grad_norm)


def control_importance(batch: PolicyBatch, indices: Sequence[int], *, old_logprobs_B: Tensor) -> Tensor | None:
    """pi_old / q of every control token: q where a mode was drawn with a known probability, else 1.

    None where every mode is the policy's own choice, or taken as if it were.
    """
    probabilities = [batch.scored[i].rollout.assigned_probability for i in indices]
    if all(probability is None for probability in probabilities):
        return None
    drawn_B = torch.tensor([math.nan if p is None else p for p in probabilities], device=old_logprobs_B.device)
    return torch.where(drawn_B.isnan(), 1.0, old_logprobs_B.exp() / drawn_B)


def _compare_samplers(
    batch: PolicyBatch, indices: Sequence[int], *, old_logprobs_BT: Tensor, totals: dict[str, float]
) -> None:
    """Add up how far the sampler's log-probabilities are from the trainer's, where the sampler told some.

    The loss never sees them: its ratio is between two numbers of the trainer.
    """
    for row, index in enumerate(indices):
        rollout = batch.scored[index].rollout
        if rollout.sampler_logprobs:
            end = len(rollout.completion_ids)
            told_T = torch.tensor(rollout.sampler_logprobs, device=old_logprobs_BT.device)
            totals["gap"] += float((old_logprobs_BT[row, end - len(told_T) : end] - told_T).abs().sum())
            totals["compared"] += len(told_T)


def _step(
    model: PreTrainedModel, optimizer: torch.optim.Optimizer, *, totals: Mapping[str, float], max_grad_norm: float
) -> dict[str, float]:
    """Move the weights by the gradient that has been summed up; returns the numbers of the step."""
    grad_norm = clip_gradients(model, max_norm=max_grad_norm)
    numbers = {name: totals.get(name, 0.0) for name in ("loss", "control_loss", "response_loss", "kl")}
    if not math.isfinite(numbers["loss"]) or not math.isfinite(grad_norm):
        raise TrainingError(
            f"loss {numbers['loss']} with gradient norm {grad_norm} is not finite; lower "
            "rl.optimizer.learning_rate. The last good checkpoint is kept"
        )
    gap = totals["gap"] / totals["compared"] if totals.get("compared") else None
    if gap is not None and gap > LARGEST_GAP:
        raise TrainingError(
            f"the sampler's log-probabilities are {gap:.2f} nats per token from the trainer's, expected at most "
            f'{LARGEST_GAP}: it does not sample from the policy; set rl.sampler.kind = "transformers", or '
            "rl.sampler.dtype to the precision of training. The last good checkpoint is kept"
        )
    if totals.get("rollouts"):  # without a single gradient, AdamW would still move the weights by its momentum
        optimizer.step()
    optimizer.zero_grad()
    tokens = totals.get("tokens") or 1.0
    numbers |= {
        "clip_fraction": totals.get("clipped", 0.0) / tokens,
        "entropy": totals.get("entropy", 0.0) / tokens,
        "control_entropy": totals.get("control_entropy", 0.0) / (totals.get("rollouts") or 1.0),
        "grad_norm": grad_norm,
    }
    if gap is not None:
        numbers["sampler_logprob_gap"] = gap
    for mode in Mode:  # a mode that nobody learned from has no number
        if tokens_of_mode := totals.get(f"tokens/{mode}"):
            numbers[f"clip_fraction/{mode}"] = totals[f"clipped/{mode}"] / tokens_of_mode
    return numbers
