"""What two computations of the same thing are compared by: log-probabilities, loss and gradient of fixed samples.

samples, model, precision -> Reading; two Readings -> Gap

Shapes: T completion tokens of one sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from schemas.configs.rl import RlConfig
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.grading.verdict import Outcome, Verdict
from thinkless_core.rl.policy_batch import PolicyBatch, build_policy_batch
from thinkless_core.rl.policy_update import update_policy
from thinkless_core.rl.rollouts import Rollout, ScoredRollout
from thinkless_core.rl.schedules import settings_at
from thinkless_core.seeding import random_stream
from thinkless_core.student.rendering import Sample
from thinkless_core.training.acceleration import training_accelerator
from thinkless_core.training.logprobs import collate, completion_logprobs
from thinkless_core.training.micro_batches import micro_batches
from thinkless_core.training.precision import Precision, autocast
from thinkless_core.training.sft_trainer import accumulate_sft_loss
from thinkless_core.training.sided_samples import SidedSamples

MICRO_BATCH_TOKENS = 4096
GROUP_SIZE = 4
OLD_NOISE, REFERENCE_NOISE = 0.1, 1e-3
"""How far the old policy's log-probabilities are from the policy's (nats), and the reference's weights."""


class Reading(NamedTuple):
    """One computation."""

    loss: float
    gradient: Mapping[str, Tensor]
    """On the CPU, by parameter."""
    logprobs: Tensor
    """Of all completion tokens, sample after sample, on the CPU; empty if they were not asked for."""


def logprobs_of(
    model: PreTrainedModel, samples: Sequence[Sample], *, precision: Precision, pad_id: int
) -> list[Tensor]:
    """log pi of every completion token, a tensor (T,) per sample, on the CPU."""
    found: dict[int, Tensor] = {}
    with torch.inference_mode():
        for indices in micro_batches(samples, model=model, max_tokens=MICRO_BATCH_TOKENS):
            batch = collate([samples[i] for i in indices], model=model, pad_id=pad_id)
            with autocast(model, precision):
                logprobs_BT = completion_logprobs(model, batch).logprobs_BT.double().cpu()
            for row, index in enumerate(indices):
                found[index] = logprobs_BT[row, : len(samples[index].completion_ids)]
    return [found[index] for index in range(len(samples))]


def sft_reading(model: PreTrainedModel, batch: SidedSamples, *, precision: Precision, pad_id: int) -> Reading:
    """The warm-up's loss."""
    model.zero_grad()
    losses = accumulate_sft_loss(
        model,
        batch,
        pad_id=pad_id,
        micro_batch_tokens=MICRO_BATCH_TOKENS,
        accelerator=training_accelerator(),
        precision=precision,
    )
    gradient = _taken_gradient(model)
    return Reading(
        losses.all, gradient, torch.cat(logprobs_of(model, batch.samples, precision=precision, pad_id=pad_id))
    )


def rl_reading(
    model: PreTrainedModel,
    batch: PolicyBatch,
    *,
    old_logprobs: Sequence[Tensor],
    reference: PreTrainedModel,
    config: RlConfig,
    pad_id: int,
) -> Reading:
    """The policy's loss, ratio and KL included."""
    model.zero_grad()
    taken: list[dict[str, Tensor]] = []
    numbers = update_policy(
        model,
        batch,
        objective=config.objective.build(),
        old_logprobs=[logprobs_T.to(model.device, torch.float32) for logprobs_T in old_logprobs],
        reference=reference,
        optimizer=_Taker(model, taken),
        accelerator=training_accelerator(),
        config=config,
        settings=settings_at(config, step=1),
        pad_id=pad_id,
    )
    return Reading(numbers["loss"], taken[0], torch.empty(0))


def policy_batch(samples: SidedSamples, problems: Sequence[Problem], *, config: RlConfig) -> PolicyBatch:
    """Both sides of pairs as groups of rollouts with made-up rewards, each side twice in a group."""
    scored = []
    for pair in range(len(samples.samples) // 2):
        for number in range(GROUP_SIZE):
            place = 2 * pair + number % 2
            sample, mode = samples.samples[place], samples.sides[place]
            rollout = Rollout(
                problem=problems[pair % len(problems)],
                sample=number,
                prompt_ids=sample.prompt_ids,
                completion_ids=sample.completion_ids,
                completion="",
                finish_reason=FinishReason.STOP,
                mode=mode,
            )
            right = (number + pair) % GROUP_SIZE < GROUP_SIZE - 1
            verdict = Verdict(Outcome.CORRECT, "x", score=1.0) if right else Verdict(Outcome.WRONG, "x")
            reward = -1.0 if not right else 1.0 if mode is Mode.SHORT else 0.5
            scored.append(ScoredRollout(rollout, verdict, fake_short=False, reward=reward))
    return build_policy_batch(
        scored,
        objective=config.objective.build(),
        group_size=GROUP_SIZE,
        settings=settings_at(config, step=1),
    )


def noisy(logprobs: Sequence[Tensor]) -> list[Tensor]:
    """Log-probabilities of a policy that has moved a little."""
    return [
        logprobs_T + torch.from_numpy(random_stream("old-logprobs", i).normal(0.0, OLD_NOISE, len(logprobs_T)))
        for i, logprobs_T in enumerate(logprobs)
    ]


@torch.no_grad()
def shake(model: PreTrainedModel) -> PreTrainedModel:
    """Move all matrices a little, in the same way everywhere: a reference that differs from the policy."""
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2:
            noise = torch.from_numpy(random_stream("shake", name).standard_normal(parameter.shape, dtype="float32"))
            parameter.add_(REFERENCE_NOISE * noise.to(parameter.device))
    return model


def gap(one: Reading, other: Reading) -> dict[str, Any]:
    """How far the second is from the first."""
    squares = {"one": 0.0, "other": 0.0, "apart": 0.0}
    worst, worst_name = 0.0, ""
    for name, expected in one.gradient.items():
        got = other.gradient[name].double()
        norm, apart = float(expected.double().norm()), float((got - expected.double()).norm())
        squares["one"] += norm**2
        squares["other"] += float(got.norm()) ** 2
        squares["apart"] += apart**2
        if norm and apart / norm > worst:
            worst, worst_name = apart / norm, name
    norms = {name: value**0.5 for name, value in squares.items()}
    found = {
        "loss": one.loss,
        "loss_gap": abs(other.loss - one.loss),
        "grad_norm": norms["one"],
        "grad_norm_gap": abs(norms["other"] - norms["one"]) / norms["one"],
        "grad_distance": norms["apart"] / norms["one"],
        "worst_parameter_distance": worst,
        "worst_parameter": worst_name,
    }
    if len(one.logprobs):
        apart_M = (other.logprobs - one.logprobs).abs()
        found |= {
            "tokens": len(apart_M),
            "logprob_gap_max": float(apart_M.max()),
            "logprob_gap_mean": float(apart_M.mean()),
        }
    return found


class _Taker(torch.optim.Optimizer):
    """Moves nothing and hands over the gradient."""

    def __init__(self, model: PreTrainedModel, taken: list[dict[str, Tensor]]) -> None:
        super().__init__(list(model.parameters()), {})
        self._model, self._taken = model, taken

    def step(self, closure: object = None) -> None:
        """Take the gradient."""
        assert closure is None
        self._taken.append(_taken_gradient(self._model))


def _taken_gradient(model: PreTrainedModel) -> dict[str, Tensor]:
    found = {name: p.grad.detach().cpu() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found
