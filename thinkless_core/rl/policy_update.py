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
from thinkless_core.rl.objectives.objective import Objective
from thinkless_core.rl.policy_batch import PolicyBatch
from thinkless_core.rl.policy_loss import policy_loss
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
SUMS = ("loss", "control_loss", "response_loss", "kl")
"""Metrics of an update that are sums over its micro-batches."""
MEANS = {
    "clip_fraction": ("clipped", "tokens"),
    "entropy": ("entropy", "tokens"),
    "control_entropy": ("control_entropy", "rollouts"),
}
"""Metrics that are one sum divided by another."""
PARTIAL_MEANS = {
    "sampler_logprob_gap": ("sampler_gap", "compared_tokens"),
    **{f"clip_fraction/{mode}": (f"clipped/{mode}", f"tokens/{mode}") for mode in Mode},
}
"""Such metrics of a part of the rollouts; without any in that part there is no number."""


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
    """log pi of every completion token under the policy that sampled, before it is updated.

    Each process computes a share, and all of them get all.
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
    objective: Objective,
    old_logprobs: OldLogprobs | None,
    reference: PreTrainedModel | None,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    config: RlConfig,
    settings: StepSettings,
    pad_id: int,
) -> dict[str, float]:
    """One optimiser step, shared by all processes; returns its metrics.

    `old_logprobs` None: the policy has not moved since it sampled, so they equal the current ones by construction.
    Raises TrainingError for a loss that is not finite.
    """
    totals: dict[str, float] = defaultdict(float)
    for indices, weighted in turns(
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
        loss = policy_loss(
            logprobs_BT,
            old_logprobs_BT=old_BT,
            ref_logprobs_BT=ref_BT,
            control_advantages_B=batch.control_advantages_B[indices].to(logprobs_BT.device),
            response_advantages_B=batch.advantages_B[indices].to(logprobs_BT.device),
            completion_mask_BT=mask_BT,
            weights=objective.token_weights(mask_BT, over=batch.denominators, step=settings),
            control_importance_B=control_importance(batch, indices, old_logprobs_B=old_BT[:, 0]),
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            kl_coef=settings.kl_coef,
        )
        accelerator.backward(loss.total if weighted else 0.0 * loss.total)
        if weighted:
            entropies = {"entropy": entropy_BT.sum(), "control_entropy": entropy_BT[:, 0].sum()}
            gap = sampler_gap(batch, indices, old_logprobs_BT=old_BT)
            modes = [batch.scored[i].mode for i in indices]
            add_up(totals, {**loss.sums, **entropies, **gap, "rollouts": len(indices)}, modes=modes)
    sum_gradients(model, accelerator=accelerator)
    return _step(
        model,
        optimizer,
        totals=summed(totals, accelerator=accelerator),
        max_grad_norm=config.optimizer.max_grad_norm,
    )


def add_up(totals: dict[str, float], sums: Mapping[str, Tensor | float], *, modes: Sequence[Mode | None]) -> None:
    """Add each number to the total of its name; numbers of rollouts also to `name/mode`, the total of their mode."""
    for name, value in sums.items():
        if isinstance(value, Tensor) and value.ndim == 1:
            for mode, part in zip(modes, value.tolist(), strict=True):
                totals[name] += part
                totals[f"{name}/{mode}"] += part
        else:
            totals[name] += float(value)


def control_importance(batch: PolicyBatch, indices: Sequence[int], *, old_logprobs_B: Tensor) -> Tensor | None:
    """pi_old / q of a control token whose mode was drawn with a known probability q, and 1 of the others.

    None if every mode is the policy's own choice, or taken as if it were.
    """
    probabilities = [batch.scored[i].rollout.assigned_probability for i in indices]
    if all(probability is None for probability in probabilities):
        return None
    drawn_B = torch.tensor([math.nan if p is None else p for p in probabilities], device=old_logprobs_B.device)
    return torch.where(drawn_B.isnan(), 1.0, old_logprobs_B.exp() / drawn_B)


def sampler_gap(batch: PolicyBatch, indices: Sequence[int], *, old_logprobs_BT: Tensor) -> dict[str, float]:
    """How far the sampler's log-probabilities are from the trainer's, summed over the tokens that it gave some for.

    The loss never sees them: its ratio is between two numbers of the trainer.
    """
    gap, compared = 0.0, 0
    for row, index in enumerate(indices):
        rollout = batch.scored[index].rollout
        if rollout.sampler_logprobs:
            end = len(rollout.completion_ids)
            theirs_T = torch.tensor(rollout.sampler_logprobs, device=old_logprobs_BT.device)
            gap += float((old_logprobs_BT[row, end - len(theirs_T) : end] - theirs_T).abs().sum())
            compared += len(theirs_T)
    return {"sampler_gap": gap, "compared_tokens": float(compared)}


def _step(
    model: PreTrainedModel, optimizer: torch.optim.Optimizer, *, totals: Mapping[str, float], max_grad_norm: float
) -> dict[str, float]:
    """Move the weights by the gradient that has been summed up; returns the metrics of the update."""
    grad_norm = clip_gradients(model, max_norm=max_grad_norm)
    numbers = {name: totals.get(name, 0.0) for name in SUMS}
    if not math.isfinite(numbers["loss"]) or not math.isfinite(grad_norm):
        raise TrainingError(
            f"loss {numbers['loss']} with gradient norm {grad_norm} is not finite; lower "
            "rl.optimizer.learning_rate. The last good checkpoint is kept"
        )
    partial_means = {
        name: totals[total] / totals[over] for name, (total, over) in PARTIAL_MEANS.items() if totals.get(over)
    }
    gap = partial_means.get("sampler_logprob_gap", 0.0)
    if gap > LARGEST_GAP:
        raise TrainingError(
            f"the sampler's log-probabilities are {gap:.2f} nats per token from the trainer's, expected at most "
            f'{LARGEST_GAP}: it does not sample from the policy; set rl.sampler.kind = "transformers", or '
            "rl.sampler.dtype to the precision of training. The last good checkpoint is kept"
        )
    if totals.get("rollouts"):  # without a single gradient, AdamW would still move the weights by its momentum
        optimizer.step()
    optimizer.zero_grad()
    means = {name: totals.get(total, 0.0) / (totals.get(over) or 1.0) for name, (total, over) in MEANS.items()}
    return numbers | means | {"grad_norm": grad_norm} | partial_means
