"""What must hold of everything between a model and its gradient: log-probabilities, updates, warm-up, learning rate.

Shapes: B samples, T completion tokens, V vocabulary.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import PreTrainedModel

from schemas.configs.rl import RlConfig
from schemas.mode import Mode
from tests.oracles import method as oracle
from tests.oracles import objectives as objective_oracle
from tests.oracles.objectives import NAMES
from tests.oracles.statistics import learning_rates
from tests.oracles.student import next_token_logprobs, sequence_logprobs
from tests.specimens import (
    LIVELY,
    GradientRecorder,
    make_batch,
    make_pairs,
    make_student,
    optimizer_config,
    ragged_samples,
    rl_config,
)
from thinkless_core.rl.policy_batch import PolicyBatch
from thinkless_core.rl.schedules import settings_at
from thinkless_core.student.rendering import Sample
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.training.sided_samples import pair_samples


def logprobs_equal_a_plain_forward(logprobs: ModuleType) -> None:
    """Right-padded, ragged batch against one unpadded forward pass per token; padding id and company irrelevant."""
    model, temperature = make_student(scale=LIVELY), 0.7
    samples = [Sample(tuple(p), tuple(c)) for p, c in ragged_samples(6)]
    expected = [sequence_logprobs(model, s.prompt_ids, s.completion_ids, temperature=temperature) for s in samples]
    for pad_id in (0, 50):
        batch = logprobs.pad_samples(samples, pad_id=pad_id)
        values_BT, entropy_BT = logprobs.completion_logprobs(model, batch, temperature=temperature)
        for row, sample in enumerate(samples):
            length = len(sample.completion_ids)
            assert batch.completion_mask_BT[row].tolist() == [t < length for t in range(values_BT.shape[1])]
            # The model computes in float32, hence its default tolerances.
            torch.testing.assert_close(values_BT[row, :length].detach(), torch.tensor(expected[row]).float())
            for t in range(length):
                ids = [*sample.prompt_ids, *sample.completion_ids[:t]]
                p_V = next_token_logprobs(model, ids, temperature=temperature)
                entropy = -(p_V.exp() * p_V).sum().float()
                torch.testing.assert_close(entropy_BT[row, t], entropy)
        assert bool(values_BT.isfinite().all())


def run_update(
    update: ModuleType,
    batch: PolicyBatch,
    *,
    config: RlConfig,
    model: PreTrainedModel | None = None,
    sampled_by: PreTrainedModel | None = None,
    reference: PreTrainedModel | None = None,
) -> tuple[dict[str, float], GradientRecorder]:
    """Numbers of one optimiser step at the settings of step 1, and what the optimiser was given.

    `sampled_by`: the policy that sampled, where it is another one than `model`.
    """
    model = model or make_student(scale=2.0)
    recorder, settings = GradientRecorder(model), settings_at(config, step=1)
    old = None
    if sampled_by is not None:
        old = update.sampling_logprobs(sampled_by, batch, config=config, settings=settings, pad_id=0)
    numbers = update.update_policy(
        model,
        batch,
        objective=config.objective.build(),
        old_logprobs=old,
        reference=reference,
        optimizer=recorder,
        accelerator=Accelerator(),
        config=config,
        settings=settings,
        pad_id=0,
    )
    return numbers, recorder


def update_gradient(
    update: ModuleType,
    samples: Sequence[tuple[Sequence[int], Sequence[int]]],
    advantages: Sequence[float],
    *,
    micro_batch_tokens: int,
    objective: str = "degrpo-paper",
    with_old: bool = False,
    with_reference: bool = False,
    batch_class: type[PolicyBatch] = PolicyBatch,
    **of_batch: Any,
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Numbers and gradient of one optimiser step through a real model."""
    config = rl_config(
        objective=objective,
        micro_batch_tokens=micro_batch_tokens,
        kl_coef=0.5 if with_reference else 0.0,
        temperature=0.8,
    )
    made = make_batch(samples, advantages, **of_batch)
    numbers, recorder = run_update(
        update,
        batch_class(made.scored, made.advantages_B, made.control_advantages_B, made.max_new_tokens),
        config=config,
        sampled_by=make_student(seed=1, scale=2.0) if with_old else None,
        reference=make_student(seed=2, scale=2.0) if with_reference else None,
    )
    return numbers, recorder.gradients[0] if recorder.gradients else {}


def same_gradient(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    """Equal within float32 rounding, relative to the largest entry of each parameter."""
    for name, gradient in left.items():
        scale = float(gradient.abs().max())
        assert scale > 1e-4, f"{name} has no gradient to compare"
        # Sums in another order: float32 rounding of the largest terms, times their number (some hundreds of tokens).
        torch.testing.assert_close(
            gradient / scale, right[name] / scale, rtol=0, atol=2e-5, msg=lambda m, n=name: n + m
        )


ASSIGNED = (0.5, None, 0.5, 0.25, None, 0.5, 0.5)
"""Probabilities with which the modes of seven rollouts were drawn; None: chosen."""
CONTROL_ADVANTAGES = (0.2, 0.7, -0.3, -0.1, 0.4, -0.6, 0.5)


def micro_batches_do_not_change_the_gradient(update: ModuleType) -> None:
    """One pass over everything, and one pass per rollout: the same gradient and the same numbers."""
    samples = ragged_samples(7)
    advantages = [0.9, -0.4, 0.3, -1.0, 0.6, 0.2, -0.6]

    class Alone(PolicyBatch):
        """Each rollout in a micro-batch of its own; the configuration's least is 64 tokens."""

        def micro_batches(self, **settings: object) -> list[list[int]]:
            return [[i] for i in range(len(self.scored))]

    # One of each kind of weights.
    for objective, full in itertools.product(("degrpo-paper", "degrpo-token", "grpo", "adaptthink"), (False, True)):
        settings: dict[str, Any] = {"objective": objective, "with_old": full, "with_reference": full}
        if objective == "adaptthink":
            settings |= {"assigned_probabilities": ASSIGNED, "control_advantages": CONTROL_ADVANTAGES}
        whole, gradient = update_gradient(update, samples, advantages, micro_batch_tokens=4096, **settings)
        parts, gradient_of_parts = update_gradient(update, samples, advantages, micro_batch_tokens=64, **settings)
        single, gradient_of_single = update_gradient(
            update, samples, advantages, micro_batch_tokens=64, batch_class=Alone, **settings
        )
        same_gradient(gradient, gradient_of_parts)
        same_gradient(gradient, gradient_of_single)
        for name, value in whole.items():
            for other in (parts[name], single[name]):
                # float32 sums in another order; the numbers are of order 1
                assert math.isclose(value, other, rel_tol=1e-5, abs_tol=1e-6), f"{objective} {name}: {value} {other}"


def update_loss_equals_the_oracle(update: ModuleType) -> None:
    """A whole step through a real model: loss terms from log-probabilities of plain forward passes."""
    samples = ragged_samples(5)
    advantages = [1.0, -0.5, 0.25, -0.75, 0.4]
    control_advantages, assigned = CONTROL_ADVANTAGES[:5], ASSIGNED[:5]
    models = [make_student(seed=seed, scale=2.0) for seed in (0, 1, 2)]
    current, old, reference = (
        [sequence_logprobs(model, p, c, temperature=0.8) for p, c in samples] for model in models
    )
    importance = [1.0 if q is None else math.exp(row[0]) / q for row, q in zip(old, assigned, strict=True)]
    for objective in NAMES:
        numbers, _ = update_gradient(
            update,
            samples,
            advantages,
            micro_batch_tokens=64,
            objective=objective,
            with_old=True,
            with_reference=True,
            control_advantages=control_advantages,
            assigned_probabilities=assigned,
        )
        weights = objective_oracle.token_weights(objective, [len(c) for _, c in samples], alpha=0.5, limit=16)
        expected = oracle.clipped_loss(
            current,
            old=old,
            reference=reference,
            weights=weights.policy,
            kl_weights=weights.kl,
            control_advantages=control_advantages,
            response_advantages=advantages,
            importance=importance,
            clip_low=0.2,
            clip_high=0.2,
            beta=0.5,
        )
        num_tokens = sum(map(len, current))
        assert math.isclose(numbers["clip_fraction"], expected.num_clipped / num_tokens)
        for name, value in (
            ("loss", expected.total),
            ("control_loss", expected.control),
            ("response_loss", expected.response),
            ("kl", expected.kl),
        ):
            # the model computes in float32
            assert math.isclose(numbers[name], value, rel_tol=2e-5, abs_tol=1e-5), f"{name}: {numbers[name]}, {value}"


def clipped_tokens_are_counted_by_mode(update: ModuleType) -> None:
    """Each mode's clip fraction is of its own tokens, and together they make the whole."""
    samples = [([3, 9], [5, 20, 21]), ([3, 10], [6, 30, 31, 32, 33]), ([3, 11], [5, 22]), ([3, 12], [40, 41])]
    numbers, _ = update_gradient(update, samples, [1.0, -1.0, 1.0, -1.0], micro_batch_tokens=64, with_old=True)
    alone = {
        mode: update_gradient(update, rows, values, micro_batch_tokens=64, with_old=True)[0]
        for mode, rows, values in (
            ("short", [samples[0], samples[2]], [1.0, 1.0]),
            ("think", [samples[1]], [-1.0]),
            ("malformed", [samples[3]], [-1.0]),
        )
    }
    assert numbers["clip_fraction/short"] == alone["short"]["clip_fraction"]
    assert numbers["clip_fraction/think"] == alone["think"]["clip_fraction"]
    assert numbers["clip_fraction/short"] != numbers["clip_fraction/think"]
    # 5 short tokens, 5 of thinking, 2 malformed
    clipped = 5 * numbers["clip_fraction/short"] + 5 * numbers["clip_fraction/think"]
    clipped += 2 * alone["malformed"]["clip_fraction"]
    assert math.isclose(numbers["clip_fraction"], clipped / 12)
    assert "clip_fraction/think" not in alone["short"], "a mode nobody was in has no number"


def pairs_are_two_samples_each(sided_samples: ModuleType) -> None:
    """Both sides of every pair, the long one first; only a side that was not cut ends with the end token."""
    tokenizer = tiny_tokenizer()
    pairs = make_pairs(4, mix=(0.5, 0.5))
    pairs[0] = pairs[0].model_copy(update={"think_truncated": True, "think_completion": "<think>1+2"})
    pairs[1] = pairs[1].model_copy(update={"short_truncated": True})
    texts = [
        (mode, f"<user>{pair.prompt}<assistant>", text if truncated else f"{text}<eos>")
        for pair in pairs
        for mode, text, truncated in (
            (Mode.THINK, pair.think_completion, pair.think_truncated),
            (Mode.SHORT, pair.short_completion, pair.short_truncated),
        )
    ]
    found = sided_samples.pair_samples(pairs, tokenizer=tokenizer)
    assert found.sides == tuple(mode for mode, *_ in texts)
    assert [(s.prompt_ids, s.completion_ids) for s in found.samples] == [
        tuple(tuple(tokenizer(text, add_special_tokens=False).input_ids) for text in both) for _, *both in texts
    ]


def sft_loss_equals_the_oracle(sft: ModuleType) -> None:
    """Mean over all completion tokens, control token included, and over those of each side; no prompt token counts."""
    model = make_student(scale=2.0)
    batch = pair_samples(make_pairs(4, mix=(0.5, 0.5)), tokenizer=tiny_tokenizer())
    expected: dict[Mode, list[float]] = {Mode.THINK: [], Mode.SHORT: []}
    for sample, mode in zip(batch.samples, batch.sides, strict=True):
        expected[mode] += [-x for x in sequence_logprobs(model, sample.prompt_ids, sample.completion_ids)]
    losses = sft.accumulate_sft_loss(model, batch, pad_id=0, micro_batch_tokens=100)
    every = expected[Mode.THINK] + expected[Mode.SHORT]
    for name, values in (("all", every), ("think", expected[Mode.THINK]), ("short", expected[Mode.SHORT])):
        mean = sum(values) / len(values)
        assert math.isclose(getattr(losses, name), mean, rel_tol=1e-5), name  # the model computes in float32
    assert all(p.grad is None for p in model.parameters()), "without an accelerator there is no gradient"


def sft_gradient_is_that_of_the_loss(sft: ModuleType) -> None:
    """The gradient accumulated over micro-batches is that of the mean over all completion tokens."""
    tokenizer = tiny_tokenizer()
    batch = pair_samples(make_pairs(3), tokenizer=tokenizer)
    gradients = []
    for accumulated in (True, False):
        model = make_student(scale=2.0)
        if accumulated:
            sft.accumulate_sft_loss(model, batch, pad_id=0, micro_batch_tokens=70, accelerator=Accelerator())
        else:
            num_tokens = sum(len(s.completion_ids) for s in batch.samples)
            for sample in batch.samples:
                ids = torch.tensor([[*sample.prompt_ids, *sample.completion_ids]])
                labels = ids.clone()
                labels[0, : len(sample.prompt_ids)] = -100
                (model(ids, labels=labels).loss * len(sample.completion_ids) / num_tokens).backward()
        recorder = GradientRecorder(model)
        recorder.step()
        gradients.append(recorder.gradients[0])
    same_gradient(gradients[1], gradients[0])


def rates_equal_the_oracle(optimization: ModuleType) -> None:
    """The rate of every step with and without warm-up and decay, overlapping too, and by hand."""
    schedules = (
        # steps, warm-up steps, decay fraction, final fraction
        (20, 0, 0.0, 0.05),
        (20, 5, 0.0, 0.05),
        (20, 5, 0.4, 0.1),
        (20, 0, 1.0, 0.0),
        (20, 15, 0.5, 0.2),
        (7, 3, 0.5, 1.0),
        (1, 4, 1.0, 0.05),
    )
    for num_steps, warmup_steps, decay_fraction, final_fraction in schedules:
        shape = {"warmup_steps": warmup_steps, "decay_fraction": decay_fraction, "final_fraction": final_fraction}
        rates = _rates(optimization, num_steps, learning_rate=0.01, **shape)
        expected = learning_rates(peak=0.01, num_steps=num_steps, **shape)
        torch.testing.assert_close(_float64(rates), _float64(expected))
        assert min(rates) > 0 or final_fraction == 0
    # Ten steps, the last five of which go down by (1 - 0.1) / 5 = 0.18 each; the last one runs at the final fraction.
    rates = _rates(optimization, 10, learning_rate=1.0, decay_fraction=0.5, final_fraction=0.1)
    torch.testing.assert_close(_float64(rates), _float64([1.0, 1.0, 1.0, 1.0, 1.0, 0.82, 0.64, 0.46, 0.28, 0.1]))


def _float64(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _rates(optimization: ModuleType, num_steps: int, **settings: float) -> list[float]:
    config = optimizer_config(**settings)
    return [optimization.learning_rate(config, step=step, num_steps=num_steps) for step in range(1, num_steps + 1)]
