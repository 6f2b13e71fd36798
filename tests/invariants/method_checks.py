"""What must hold of the method, as functions of the module that implements it.

The unit tests call each check on the real module, the mutant test calls the same check on a damaged copy of it.
Every check raises AssertionError where the module is wrong.

Shapes: B rollouts, T completion tokens, P prompts, G group.
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

from schemas.configs.evaluate import EvaluateConfig
from schemas.mode import EvalMode, Mode
from schemas.records import FinishReason
from tests.oracles import method as oracle
from tests.oracles.student import next_token_logprobs, sequence_logprobs
from tests.specimens import (
    LIVELY,
    GradientRecorder,
    ScriptedSampler,
    make_batch,
    make_pairs,
    make_problem,
    make_rollout,
    make_student,
    ragged_samples,
    rl_config,
)
from thinkless_core.control_tokens import ControlTokens
from thinkless_core.degrpo import StepCounts
from thinkless_core.rendering import Sample
from thinkless_core.rollouts import SampleRequest
from thinkless_core.seeding import random_stream
from thinkless_core.tiny_model import tiny_tokenizer

OBJECTIVES = ("paper", "token", "grpo")


def padded(rows: Sequence[Sequence[float]], *, fill: float) -> Tensor:
    """Ragged rows as a float64 tensor (B, T)."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows], dtype=torch.float64)


def random_rows(seed: int, *, lengths: Sequence[int], spread: float = 0.0, around: Any = None) -> list[list[float]]:
    """Log-probabilities, ragged; `around` other rows at distance `spread` where given."""
    stream = random_stream("rows", seed)
    if around is None:
        return [[float(-x) for x in stream.exponential(1.5, size=n)] for n in lengths]
    return [[float(x + spread * stream.standard_normal()) for x in row] for row in around]


def step_loss(
    degrpo: ModuleType,
    logprobs: Sequence[Sequence[float]],
    *,
    old: Sequence[Sequence[float]],
    reference: Sequence[Sequence[float]] | None = None,
    advantages: Sequence[float],
    objective: str = "paper",
    alpha: float = 0.3,
    beta: float = 0.0,
    clip_low: float = 0.2,
    clip_high: float = 0.25,
    fill: float = 0.0,
) -> tuple[Any, Tensor]:
    """LossTerms of one whole step in float64, and the gradient with respect to the log-probabilities (B, T)."""
    lengths = [len(row) for row in logprobs]
    logprobs_BT = padded(logprobs, fill=fill).requires_grad_()
    terms = degrpo.degrpo_loss(
        logprobs_BT,
        old_logprobs_BT=padded(old, fill=-fill),
        ref_logprobs_BT=None if reference is None else padded(reference, fill=-2 * fill),
        advantages_B=torch.tensor(advantages, dtype=torch.float64),
        completion_mask_BT=torch.tensor([[t < n for t in range(max(lengths))] for n in lengths]),
        objective=objective,
        control_weight=alpha,
        clip_low=clip_low,
        clip_high=clip_high,
        kl_coef=beta,
        counts=StepCounts(len(lengths), sum(lengths) - len(lengths)),
    )
    terms.total.backward()
    return terms, logprobs_BT.grad


def loss_equals_the_oracle(degrpo: ModuleType) -> None:
    """All objectives, with and without KL, ragged, with one-token completions: value, terms and gradient."""
    shapes = ((5, 1, 3, 1, 8), (2, 2), (1, 1, 2), (4,))
    for seed, (objective, lengths, beta) in enumerate(itertools.product(OBJECTIVES, shapes, (0.0, 0.7))):
        logprobs = random_rows(seed, lengths=lengths)
        old = random_rows(seed + 1000, lengths=lengths, around=logprobs, spread=0.3)
        reference = random_rows(seed + 2000, lengths=lengths, around=logprobs, spread=0.8) if beta else None
        advantages = random_stream("advantages", seed).standard_normal(len(lengths)).tolist()
        settings: dict[str, Any] = {
            "old": old,
            "reference": reference,
            "advantages": advantages,
            "objective": objective,
            "alpha": 0.3,
            "beta": beta,
            "clip_low": 0.2,
            "clip_high": 0.25,
        }
        terms, gradient_BT = step_loss(degrpo, logprobs, **settings)
        expected = oracle.degrpo(logprobs, **settings)
        for name in ("total", "control", "response", "kl"):
            value = torch.tensor(getattr(expected, name), dtype=torch.float64)
            torch.testing.assert_close(getattr(terms, name).detach(), value, msg=lambda m, n=name: f"{n}: {m}")
        torch.testing.assert_close(gradient_BT, padded(expected.gradient, fill=0.0))
        assert int(terms.num_clipped) == expected.num_clipped


def clip_hand_cases_hold(degrpo: ModuleType) -> None:
    """One rollout of two tokens, `paper`, alpha 1, so that the loss is -(L_0 + L_1); eps 0.2 below, 0.25 above."""
    # advantage, ratio, L = min(ratio A, clip(ratio, 0.8, 1.25) A), gradient of the loss -L = -ratio A, or 0 where cut
    cases = (
        (2.0, 1.5, 2.5, 0.0),  # clip active above: min(3, 1.25 * 2)
        (2.0, 0.5, 1.0, -1.0),  # a good token that became rarer is not clipped: min(1, 0.8 * 2)
        (-2.0, 0.5, -1.6, 0.0),  # clip active below: min(-1, 0.8 * -2)
        (-2.0, 1.5, -3.0, 3.0),  # a bad token that became likelier is not clipped: min(-3, 1.25 * -2)
        (2.0, 1.1, 2.2, -2.2),  # inside the clip range, both sides are equal
        (-2.0, 0.9, -1.8, 1.8),
    )
    for advantage, ratio, objective_value, slope in cases:
        logprobs, old = [[-1.0, -1.0]], [[-1.0 - math.log(ratio)] * 2]
        terms, gradient_BT = step_loss(degrpo, logprobs, old=old, advantages=[advantage], alpha=1.0)
        expected = torch.tensor(-objective_value, dtype=torch.float64)
        torch.testing.assert_close(terms.control, expected)
        torch.testing.assert_close(terms.response, expected)
        torch.testing.assert_close(gradient_BT, torch.full((1, 2), slope, dtype=torch.float64))
        assert int(terms.num_clipped) == (2 if slope == 0 else 0)


def weight_hand_cases_hold(degrpo: ModuleType) -> None:
    """Ratio 1 and advantage 1, so that the gradient of -loss is the weight of each token.

    Two rollouts: one of a control token and 3 response tokens, one of a control token and 1.
    """
    logprobs = [[-1.0] * 4, [-1.0] * 2]
    expected = {
        # alpha/B = 0.3/2; 1/(B T) = 1/(2*3) and 1/(2*1)
        "paper": [[0.15, 1 / 6, 1 / 6, 1 / 6], [0.15, 0.5]],
        # alpha/B = 0.3/2; 1/sum T = 1/(3+1)
        "token": [[0.15, 0.25, 0.25, 0.25], [0.15, 0.25]],
        # 1/(B (T+1)) = 1/(2*4) and 1/(2*2), alpha has no part in it
        "grpo": [[0.125] * 4, [0.25] * 2],
    }
    for objective, weights in expected.items():
        _, gradient_BT = step_loss(degrpo, logprobs, old=logprobs, advantages=[1.0, 1.0], objective=objective)
        torch.testing.assert_close(-gradient_BT, padded(weights, fill=0.0))
    # A control token alone: no response term, and no division by zero.
    for objective, weight in (("paper", 0.3), ("token", 0.3), ("grpo", 1.0)):
        terms, gradient_BT = step_loss(degrpo, [[-1.0]], old=[[-1.0]], advantages=[1.0], objective=objective)
        torch.testing.assert_close(-gradient_BT, torch.tensor([[weight]], dtype=torch.float64))
        assert float(terms.response) == 0.0


def padding_never_reaches_the_loss(degrpo: ModuleType) -> None:
    """Numbers in padded places, however large, change nothing and get no gradient."""
    logprobs = [[-1.0, -0.5, -2.0], [-0.7]]
    old, reference = [[-1.1, -0.5, -2.2], [-0.6]], [[-0.9, -0.4, -2.0], [-0.8]]
    for objective in OBJECTIVES:
        results = [
            step_loss(
                degrpo,
                logprobs,
                old=old,
                reference=reference,
                advantages=[0.5, -1.5],
                objective=objective,
                beta=0.4,
                fill=fill,
            )
            for fill in (0.0, -1e6, 1e6)
        ]
        for terms, gradient_BT in results[1:]:
            assert torch.equal(terms.total, results[0][0].total)
            assert torch.equal(terms.num_clipped, results[0][0].num_clipped)
            assert torch.equal(gradient_BT, results[0][1])
            assert not gradient_BT[1, 1:].any()


def ratio_one_gives_reinforce(degrpo: ModuleType) -> None:
    """With old = current, the gradient is that of -sum weight A log pi, whatever the clip range."""
    lengths = (3, 1, 6)
    logprobs = random_rows(0, lengths=lengths)
    advantages = [0.75, -0.25, -0.5]
    for objective in OBJECTIVES:
        _, gradient_BT = step_loss(degrpo, logprobs, old=logprobs, advantages=advantages, objective=objective)
        for i, (length, advantage) in enumerate(zip(lengths, advantages, strict=True)):
            for t in range(length):
                weight = {
                    "paper": 0.3 / 3 if t == 0 else 1 / (3 * (length - 1 or 1)),
                    "token": 0.3 / 3 if t == 0 else 1 / 7,
                    "grpo": 1 / (3 * length),
                }[objective]
                torch.testing.assert_close(float(gradient_BT[i, t]), -weight * advantage)


def k3_equals_the_oracle(kl: ModuleType) -> None:
    """Value, sign and gradient of the k3 estimate; 0 where both policies agree."""
    logprobs = random_rows(0, lengths=(6, 6))
    reference = random_rows(1, lengths=(6, 6), around=logprobs, spread=1.0)
    logprobs_BT = padded(logprobs, fill=0.0).requires_grad_()
    estimate_BT = kl.k3_estimate(logprobs_BT, ref_logprobs_BT=padded(reference, fill=0.0))
    expected = [[oracle.k3(x, y) for x, y in zip(*rows, strict=True)] for rows in zip(logprobs, reference, strict=True)]
    torch.testing.assert_close(estimate_BT.detach(), padded(expected, fill=0.0))
    assert bool((estimate_BT >= 0).all())
    estimate_BT.sum().backward()
    slopes = [[1 - math.exp(y - x) for x, y in zip(*r, strict=True)] for r in zip(logprobs, reference, strict=True)]
    torch.testing.assert_close(logprobs_BT.grad, padded(slopes, fill=0.0))
    assert not kl.k3_estimate(logprobs_BT, ref_logprobs_BT=logprobs_BT).any()


def advantages_equal_the_oracle(advantages: ModuleType) -> None:
    """Both baselines over random groups, and hand cases."""
    for seed, (num_prompts, group) in enumerate(((1, 2), (3, 8), (5, 4))):
        rewards = random_stream("rewards", seed).choice([1.0, 0.5, -1.0], size=(num_prompts, group))
        for baseline, divide in (("mean", False), ("mean_std", True)):
            actual_PG = advantages.group_relative_advantages(torch.tensor(rewards), baseline=baseline)
            expected = oracle.advantages(rewards.tolist(), divide_by_deviation=divide)
            torch.testing.assert_close(actual_PG, torch.tensor(expected, dtype=torch.float64))
    # Mean of (1, 0.5, -1, -1) is -0.125.
    hand_PG = advantages.group_relative_advantages(torch.tensor([[1.0, 0.5, -1.0, -1.0]]))
    torch.testing.assert_close(hand_PG, torch.tensor([[1.125, 0.625, -0.875, -0.875]]))
    # (1, -1): mean 0, population deviation 1, so the division leaves +-1 / (1 + 1e-6).
    hand_PG = advantages.group_relative_advantages(torch.tensor([[1.0, -1.0]]), baseline="mean_std")
    torch.testing.assert_close(hand_PG, torch.tensor([[1.0, -1.0]]) / (1 + 1e-6))
    for baseline in ("mean", "mean_std"):
        flat_PG = advantages.group_relative_advantages(torch.full((2, 4), 0.5), baseline=baseline)
        assert not flat_PG.any(), "a group without variance teaches nothing"


def rewards_are_the_papers(rewards: ModuleType) -> None:
    """The whole table at gamma 0.3."""
    table = rewards.RewardTable(gamma=0.3)
    expected = {
        (Mode.SHORT, True, False): 1.0,
        (Mode.SHORT, True, True): 0.7,  # fake short is paid like think: 1 - 0.3
        (Mode.SHORT, False, False): -1.0,
        (Mode.SHORT, False, True): -1.0,
        (Mode.THINK, True, False): 0.7,
        (Mode.THINK, False, False): -1.0,
        (None, True, False): -1.0,  # malformed
        (None, False, False): -1.0,
    }
    for (mode, correct, fake_short), reward in expected.items():
        actual = table.reward(mode, correct=correct, fake_short=fake_short)
        assert actual == reward, f"{mode}, correct={correct}, fake={fake_short}: {actual}, expected {reward}"
    # ids, think_end_id 7, limit 4 tokens
    fakes = {
        (Mode.SHORT, (5, 20, 1)): False,
        (Mode.SHORT, (5, 20, 21, 1)): False,  # exactly the limit
        (Mode.SHORT, (5, 20, 21, 22, 1)): True,  # one over it
        (Mode.SHORT, (5, 7, 20)): True,  # </think> inside
        (Mode.THINK, (6, 20, 21, 22, 7, 23, 1)): False,
        (None, (20, 7, 21, 22, 23, 1)): False,
    }
    for (mode, ids), fake in fakes.items():
        assert rewards.is_fake_short(mode, completion_ids=ids, think_end_id=7, short_max_tokens=4) is fake, (mode, ids)


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
            # The model computes in float32, and this student's logits are in the tens: 1e-7 of them, layer by layer.
            torch.testing.assert_close(
                values_BT[row, :length].detach(), torch.tensor(expected[row]).float(), rtol=1e-4, atol=1e-4
            )
            for t in range(length):
                ids = [*sample.prompt_ids, *sample.completion_ids[:t]]
                p_V = next_token_logprobs(model, ids, temperature=temperature)
                entropy = -(p_V.exp() * p_V).sum().float()
                torch.testing.assert_close(entropy_BT[row, t], entropy, rtol=1e-4, atol=1e-4)
        assert bool(values_BT.isfinite().all())


def update_gradient(
    update: ModuleType,
    samples: Sequence[tuple[Sequence[int], Sequence[int]]],
    advantages: Sequence[float],
    *,
    micro_batch_tokens: int,
    objective: str = "paper",
    with_old: bool = False,
    with_reference: bool = False,
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Numbers and gradient of one optimiser step through a real model."""
    model = make_student(scale=2.0)
    config = rl_config(
        objective=objective,
        micro_batch_tokens=micro_batch_tokens,
        kl_coef=0.5 if with_reference else 0.0,
        temperature=0.8,
    )
    batch = make_batch(samples, advantages)
    recorder = GradientRecorder(model)
    old = None
    if with_old:  # the policy that sampled was another one
        old = update.sampling_logprobs(make_student(seed=1, scale=2.0), batch, config=config, pad_id=0)
    numbers = update.update_policy(
        model,
        batch,
        old_logprobs=old,
        reference=make_student(seed=2, scale=2.0) if with_reference else None,
        optimizer=recorder,
        accelerator=Accelerator(),
        config=config,
        pad_id=0,
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


def micro_batches_do_not_change_the_gradient(update: ModuleType) -> None:
    """One pass over everything, and one pass per rollout: the same gradient and the same numbers."""
    samples = ragged_samples(7)
    advantages = [0.9, -0.4, 0.3, -1.0, 0.6, 0.2, -0.6]
    for objective, full in itertools.product(OBJECTIVES, (False, True)):
        settings = {"objective": objective, "with_old": full, "with_reference": full}
        whole, gradient = update_gradient(update, samples, advantages, micro_batch_tokens=4096, **settings)
        parts, gradient_of_parts = update_gradient(update, samples, advantages, micro_batch_tokens=64, **settings)
        single = _one_by_one(update, samples, advantages, **settings)
        same_gradient(gradient, gradient_of_parts)
        same_gradient(gradient, single[1])
        for name, value in whole.items():
            for other in (parts[name], single[0][name]):
                # float32 sums in another order; the numbers are of order 1
                assert math.isclose(value, other, rel_tol=1e-5, abs_tol=1e-6), f"{objective} {name}: {value} {other}"


def _one_by_one(update: ModuleType, samples: Any, advantages: Any, **settings: Any) -> Any:
    """The same step with each rollout in a micro-batch of its own (the configuration's least is 64 tokens)."""

    class Alone(update.PolicyBatch):  # type: ignore[misc, name-defined]
        def micro_batches(self, *, max_tokens: int, skip_zero_advantage: bool) -> list[list[int]]:
            return [[i] for i in range(len(self.scored))]

    model = make_student(scale=2.0)
    config = rl_config(
        objective=settings["objective"], kl_coef=0.5 if settings["with_reference"] else 0.0, temperature=0.8
    )
    made = make_batch(samples, advantages)
    batch = Alone(made.scored, made.advantages_B)
    recorder = GradientRecorder(model)
    other = make_student(seed=1, scale=2.0)
    numbers = update.update_policy(
        model,
        batch,
        old_logprobs=update.sampling_logprobs(other, batch, config=config, pad_id=0) if settings["with_old"] else None,
        reference=make_student(seed=2, scale=2.0) if settings["with_reference"] else None,
        optimizer=recorder,
        accelerator=Accelerator(),
        config=config,
        pad_id=0,
    )
    return numbers, recorder.gradients[0]


def update_loss_equals_the_oracle(update: ModuleType) -> None:
    """A whole step through a real model: loss terms from log-probabilities of plain forward passes."""
    samples = ragged_samples(5)
    advantages = [1.0, -0.5, 0.25, -0.75, 0.4]
    models = [make_student(seed=seed, scale=2.0) for seed in (0, 1, 2)]
    current, old, reference = (
        [sequence_logprobs(model, p, c, temperature=0.8) for p, c in samples] for model in models
    )
    for objective in OBJECTIVES:
        numbers, _ = update_gradient(
            update,
            samples,
            advantages,
            micro_batch_tokens=64,
            objective=objective,
            with_old=True,
            with_reference=True,
        )
        expected = oracle.degrpo(
            current,
            old=old,
            reference=reference,
            advantages=advantages,
            objective=objective,
            alpha=0.5,
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


def sft_loss_equals_the_oracle(sft: ModuleType) -> None:
    """Mean over all completion tokens, control token included, and over those of each side; no prompt token counts."""
    tokenizer, model = tiny_tokenizer(), make_student(scale=2.0)
    pairs = make_pairs(4, mix=(0.5, 0.5))
    pairs[0] = pairs[0].model_copy(update={"think_truncated": True, "think_completion": "<think>1+2"})
    batch = sft.join([sft.pair_samples(p, tokenizer=tokenizer) for p in pairs])
    expected: dict[Mode, list[float]] = {Mode.THINK: [], Mode.SHORT: []}
    for pair in pairs:
        prompt_ids = tokenizer(f"<user>{pair.prompt}<assistant>", add_special_tokens=False).input_ids
        for mode, text, truncated in (
            (Mode.THINK, pair.think_completion, pair.think_truncated),
            (Mode.SHORT, pair.short_completion, pair.short_truncated),
        ):
            ids = tokenizer(text if truncated else f"{text}<eos>", add_special_tokens=False).input_ids
            expected[mode] += [-x for x in sequence_logprobs(model, prompt_ids, ids)]
    losses = sft.accumulate_sft_loss(model, batch, pad_id=0, micro_batch_tokens=100)
    every = expected[Mode.THINK] + expected[Mode.SHORT]
    for name, values in (("all", every), ("think", expected[Mode.THINK]), ("short", expected[Mode.SHORT])):
        mean = sum(values) / len(values)
        assert math.isclose(getattr(losses, name), mean, rel_tol=1e-5), name  # the model computes in float32
    assert all(p.grad is None for p in model.parameters()), "without an accelerator there is no gradient"


def sft_gradient_is_that_of_the_loss(sft: ModuleType) -> None:
    """The gradient accumulated over micro-batches is that of the mean over all completion tokens."""
    tokenizer = tiny_tokenizer()
    batch = sft.join([sft.pair_samples(p, tokenizer=tokenizer) for p in make_pairs(3)])
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


def sampled_tokens_follow_the_model(sampler: ModuleType) -> None:
    """Nearly greedy sampling of ragged prompts, rows ending early: every token is the argmax of a plain forward."""
    model = make_student(scale=LIVELY)
    asked = [(tuple(p), (None, 5, 6)[i % 3]) for i, (p, _) in enumerate(ragged_samples(15, seed=3))]
    endless = [greedy(model, prompt, 10, first=forced) for prompt, forced in asked]
    # The end token that makes rows end at the most different places.
    eos_id = max(range(104), key=lambda token: len({row.index(token) for row in endless if token in row}))
    engine = sampler.TransformersSampler(model, 0, eos_id)
    requests = [SampleRequest(p, ("greedy", i), forced_id=forced) for i, (p, forced) in enumerate(asked)]
    sampled = engine.sample(requests, max_new_tokens=10, temperature=1e-3)
    lengths = set()
    for request, completion in zip(requests, sampled, strict=True):
        expected = greedy(model, request.prompt_ids, 10, first=request.forced_id, eos_id=eos_id)
        assert list(completion.token_ids) == expected
        stopped = FinishReason.STOP if expected[-1] == eos_id else FinishReason.LENGTH
        assert completion.finish_reason is stopped
        lengths.add(len(expected))
    assert len(lengths) > 2, "rows were meant to end at different times"


def greedy(
    model: Any, prompt_ids: Sequence[int], num_tokens: int, *, first: int | None = None, eos_id: int = -1
) -> list[int]:
    """The most likely continuation, one plain forward pass per token."""
    completion: list[int] = [] if first is None else [first]
    while len(completion) < num_tokens and eos_id not in completion:
        completion.append(int(next_token_logprobs(model, [*prompt_ids, *completion]).argmax()))
    return completion


def company_does_not_change_what_is_sampled(sampler: ModuleType) -> None:
    """Batch size, order and company: every request gets the completion it gets alone."""
    model = make_student(scale=LIVELY)
    prompts = [tuple(p) for p, _ in ragged_samples(8, seed=5)]
    requests = [SampleRequest(p, ("company", i, j)) for i, p in enumerate(prompts) for j in range(4)]
    settings: dict[str, float] = {"temperature": 0.9, "top_p": 0.95}
    probe = sampler.TransformersSampler(model, 0, -1).sample(requests, max_new_tokens=2, **settings)
    eos_id = max(range(104), key=[c.token_ids[1] for c in probe].count)  # a likely token, so that rows end early
    engine = sampler.TransformersSampler(model, 0, eos_id)
    together = engine.sample(requests, max_new_tokens=16, **settings)
    alone = [engine.sample([r], max_new_tokens=16, **settings)[0] for r in requests]
    assert together == alone
    assert len({len(c.token_ids) for c in alone}) > 3, "rows were meant to end at different times"
    assert engine.sample(requests[::-1], max_new_tokens=16, **settings) == alone[::-1]
    assert (
        sampler.TransformersSampler(model, 0, eos_id, batch_size=5).sample(requests, max_new_tokens=16, **settings)
        == alone
    )
    assert sampler.TransformersSampler(model, 77, eos_id).sample(requests, max_new_tokens=16, **settings) == alone


def forced_completions_equal_free_ones(sampler: ModuleType) -> None:
    """Forcing the token that was chosen freely changes nothing after it."""
    model = make_student(scale=LIVELY)
    engine = sampler.TransformersSampler(model, 0, 1)
    free = [SampleRequest((3, 10 + i, 36, 4), ("forced", i)) for i in range(24)]
    sampled = engine.sample(free, max_new_tokens=12, temperature=1.5)
    forced = [
        SampleRequest(r.prompt_ids, r.stream, forced_id=c.token_ids[0]) for r, c in zip(free, sampled, strict=True)
    ]
    assert engine.sample(forced, max_new_tokens=12, temperature=1.5) == sampled
    other = [
        SampleRequest(r.prompt_ids, r.stream, forced_id=(c.token_ids[0] + 1) % 104)
        for r, c in zip(free, sampled, strict=True)
    ]
    changed = engine.sample(other, max_new_tokens=12, temperature=1.5)
    assert all(c.token_ids[0] == r.forced_id for r, c in zip(other, changed, strict=True))


def scoring_is_strict(scoring: ModuleType) -> None:
    """Truncated is wrong, the mode is token 0's id, fake short is paid like think; gamma 0.5, short limit 6."""
    control = ControlTokens.of(tiny_tokenizer())
    problem = make_problem("11+22=?")  # 1+2=3
    cases = (
        # mode, text, ids, finish, reward
        (Mode.SHORT, "<short>3", (5, 11, 1), FinishReason.STOP, 1.0),
        (Mode.SHORT, "<short>4", (5, 12, 1), FinishReason.STOP, -1.0),
        (Mode.SHORT, "<short>3", (5, 11), FinishReason.LENGTH, -1.0),
        (Mode.SHORT, "<short>1+2=3</think>3", (5, 7, 11, 1), FinishReason.STOP, 0.5),
        (Mode.SHORT, "<short>   3   ", (5, 9, 9, 9, 11, 9, 1), FinishReason.STOP, 0.5),
        (Mode.THINK, "<think>1+2=3</think>3", (6, 9, 7, 11, 1), FinishReason.STOP, 0.5),
        (Mode.THINK, "<think>1+2=3</think>3", (6, 9, 7, 11), FinishReason.LENGTH, -1.0),
        (Mode.THINK, "<think>3", (6, 11, 1), FinishReason.STOP, -1.0),
        (None, "3", (11, 1), FinishReason.STOP, -1.0),
    )
    rollouts = [
        make_rollout(ids, mode=mode, completion=text, finish_reason=finish, problem=problem)
        for mode, text, ids, finish, _ in cases
    ]
    scored = scoring.score_rollouts(rollouts, control=control, config=rl_config(gamma=0.5, short_max_tokens=6))
    assert [s.reward for s in scored] == [reward for *_, reward in cases]


def evaluation_is_strict(evaluation: ModuleType) -> None:
    """Truncated or malformed is wrong, forced modes are forced, numbers are means."""
    tokenizer = tiny_tokenizer()
    texts = {
        "11+22=?": "<short>3",
        "11+33=?": "<short>9",
        "11+44=?": "5",
        "11+55=?": "<think>1+5=6,5=5</think>6",  # 13 tokens, cut before the end token
    }
    problems = [make_problem(text) for text in texts]
    sampler = ScriptedSampler(tokenizer, lambda prompt, _: texts[prompt])
    settings: dict[str, Any] = {"sampler": sampler, "tokenizer": tokenizer, "model_name": "sft", "benchmark": "b"}
    config = EvaluateConfig(max_new_tokens=12, short_max_tokens=6)
    auto = evaluation.evaluate_cell(make_student(), problems, mode=EvalMode.AUTO, config=config, **settings)
    assert [c.correct for c in auto] == [True, False, False, False]
    assert [c.malformed for c in auto] == [False, False, True, False]
    assert [c.truncated for c in auto] == [False, False, False, True]
    assert [c.chosen_mode for c in auto] == [Mode.SHORT, Mode.SHORT, None, Mode.THINK]
    summary = evaluation.summarise_cell(auto)
    # tokens: <short> d eos = 3, 3; d eos = 2; cut at 12
    assert (summary.n, summary.accuracy, summary.mean_tokens) == (4, 0.25, 5.0)
    assert (summary.think_share, summary.malformed_share, summary.truncated_share) == (0.25, 0.25, 0.25)
    # one score of 1 and three of 0: sqrt(4/3 * (0.75^2 + 3 * 0.25^2)) / 4 = 0.25
    assert math.isclose(summary.accuracy_stderr, 0.25)
    for mode in (EvalMode.SHORT, EvalMode.THINK):
        forced = evaluation.evaluate_cell(make_student(), problems, mode=mode, config=config, **settings)
        assert {c.chosen_mode for c in forced} == {mode.forced}
