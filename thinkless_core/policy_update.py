"""One optimiser step on a batch of scored rollouts.

PolicyBatch -> micro-batches -> logprobs under policy (and reference) -> DeGRPO loss -> summed gradient -> step

Shapes: B rollouts, T completion tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from transformers import PreTrainedModel

from schemas.configs.rl import RlConfig
from schemas.errors import TrainingError
from thinkless_core.degrpo import degrpo_loss
from thinkless_core.logprobs import completion_logprobs, pad_samples
from thinkless_core.policy_batch import PolicyBatch

OldLogprobs = Sequence[Tensor]
"""One 1-d tensor per rollout, with one entry per completion token."""


@torch.no_grad()
def sampling_logprobs(model: PreTrainedModel, batch: PolicyBatch, *, config: RlConfig, pad_id: int) -> OldLogprobs:
    """log pi of every completion token under the policy that sampled, before it is updated."""
    old: list[Tensor] = [torch.empty(0)] * len(batch.scored)
    for indices in batch.micro_batches(max_tokens=config.micro_batch_tokens, skip_zero_advantage=False):
        padded = pad_samples([batch.sample(i) for i in indices], pad_id=pad_id, device=model.device)
        logprobs_BT = completion_logprobs(model, padded, temperature=config.temperature).logprobs_BT
        for index, logprobs_T in zip(indices, logprobs_BT, strict=True):
            old[index] = logprobs_T[: len(batch.sample(index).completion_ids)]
    return old


def update_policy(
    model: PreTrainedModel,
    batch: PolicyBatch,
    *,
    old_logprobs: OldLogprobs | None,
    reference: PreTrainedModel | None,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    config: RlConfig,
    pad_id: int,
) -> dict[str, float]:
    """One optimiser step; returns its numbers. `old_logprobs` None: the policy has not moved since it sampled, so
    they equal the current ones by construction. Raises TrainingError for a loss that is not finite.
    """
    counts = batch.counts
    totals = dict.fromkeys(
        ("loss", "control_loss", "response_loss", "kl", "clipped", "entropy", "control_entropy"), 0.0
    )
    num_tokens, num_seen = 0, 0
    for indices in batch.micro_batches(max_tokens=config.micro_batch_tokens, skip_zero_advantage=reference is None):
        padded = pad_samples([batch.sample(i) for i in indices], pad_id=pad_id, device=model.device)
        mask_BT = padded.completion_mask_BT
        logprobs_BT, entropy_BT = completion_logprobs(model, padded, temperature=config.temperature)
        if old_logprobs is None:
            old_BT = logprobs_BT.detach()
        else:
            old_BT = nn.utils.rnn.pad_sequence([old_logprobs[i] for i in indices], batch_first=True)
        ref_BT = None
        if reference is not None:
            with torch.no_grad():
                ref_BT = completion_logprobs(reference, padded, temperature=config.temperature).logprobs_BT
        terms = degrpo_loss(
            logprobs_BT,
            old_logprobs_BT=old_BT,
            ref_logprobs_BT=ref_BT,
            advantages_B=batch.advantages_B[indices].to(logprobs_BT.device),
            completion_mask_BT=mask_BT,
            objective=config.objective,
            control_weight=config.alpha,
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            kl_coef=config.kl_coef,
            counts=counts,
        )
        accelerator.backward(terms.total)
        totals["loss"] += float(terms.total.detach())
        totals["control_loss"] += float(terms.control)
        totals["response_loss"] += float(terms.response)
        totals["kl"] += float(terms.kl)
        totals["clipped"] += float(terms.num_clipped)
        totals["entropy"] += float(entropy_BT.masked_fill(~mask_BT, 0.0).sum())
        totals["control_entropy"] += float(entropy_BT[:, 0].sum())
        num_tokens += int(mask_BT.sum())
        num_seen += len(indices)
    grad_norm = float(nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.max_grad_norm))
    if not math.isfinite(totals["loss"]) or not math.isfinite(grad_norm):
        raise TrainingError(
            f"loss {totals['loss']} with gradient norm {grad_norm} is not finite; lower "
            "rl.optimizer.learning_rate. The last good checkpoint is kept"
        )
    if num_seen:  # without a single gradient, AdamW would still move the weights by its momentum
        optimizer.step()
    optimizer.zero_grad()
    tokens = max(num_tokens, 1)
    return {
        "loss": totals["loss"],
        "control_loss": totals["control_loss"],
        "response_loss": totals["response_loss"],
        "kl": totals["kl"],
        "clip_fraction": totals["clipped"] / tokens,
        "entropy": totals["entropy"] / tokens,
        "control_entropy": totals["control_entropy"] / max(num_seen, 1),
        "grad_norm": grad_norm,
    }
