"""What must hold of rollouts: how they are sampled, graded and paid, alone and in an evaluation.

Shapes: P prompts, G group.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from schemas.configs.evaluate import EvaluateConfig
from schemas.finish_reason import FinishReason
from schemas.mode import EvalMode, Mode
from tests.oracles import method as oracle
from tests.oracles import objectives as objective_oracle
from tests.oracles.student import next_token_logprobs
from tests.specimens import (
    LIVELY,
    ScriptedSampler,
    make_judged,
    make_problem,
    make_rollout,
    make_student,
    ragged_samples,
    rl_config,
    spelt_out,
)
from thinkless_core.rl.mode_assignment import AssignedMode, free_choice
from thinkless_core.rl.rewards import Thinkless
from thinkless_core.rl.schedules import settings_at
from thinkless_core.sampling import transformers_sampler
from thinkless_core.sampling.sampler import SampleRequest
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.seeding import random_stream
from thinkless_core.statistics.summary import summarise_cell
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.rendering import decode_completion
from thinkless_core.student.tiny_model import tiny_tokenizer

EOS_ID = 1
END_BIAS = 3.0
"""Added to the end token's logit, so that about one token in ten is the end."""


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
    # A group without variance teaches nothing, to the bit: the mean of 7 times 0.7 is not 0.7 in floating point.
    for baseline, dtype in itertools.product(("mean", "mean_std"), (torch.float32, torch.float64)):
        for reward, group in itertools.product((1.0, 0.9, 0.7, 0.5, 0.3, -1.0), range(2, 33)):
            flat_PG = torch.full((2, group), reward, dtype=dtype)
            assert not advantages.group_relative_advantages(flat_PG, baseline=baseline).any(), (reward, group)
        # Beside a group with variance, whose own advantages stay: the mean of (1, 0) is 0.5.
        mixed_PG = torch.tensor([[0.7, 0.7], [1.0, 0.0]], dtype=dtype)
        assert advantages.group_relative_advantages(mixed_PG).tolist() == [[0.0, 0.0], [0.5, -0.5]]


def rewards_are_the_papers(rewards: ModuleType) -> None:
    """The whole table of `thinkless` at gamma 0.3."""
    reward, step = rewards.Thinkless(), settings_at(rl_config(gamma=0.3), step=1)
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
    for (mode, correct, fake_short), earned in expected.items():
        actual = reward.reward(make_judged(mode, correct=correct, fake_short=fake_short), step=step)
        assert actual == earned, f"{mode}, correct={correct}, fake={fake_short}: {actual}, expected {earned}"


def rewards_equal_the_oracle(rewards: ModuleType) -> None:
    """Every shipped reward, every mode, right and wrong, fake short or not; within its limits."""
    step, delta = settings_at(rl_config(gamma=0.4), step=1), 0.07
    kinds = (rewards.Thinkless(), rewards.Correct(), rewards.RightOrWrong(), rewards.ShortBonus(delta=delta))
    cases = [
        (mode, correct, fake)
        for mode, correct, fake in itertools.product((Mode.SHORT, Mode.THINK, None), (True, False), (True, False))
        # Other rollouts do not exist.
        if (mode is Mode.SHORT or not fake) and (mode is not None or not correct)
    ]
    group = [make_judged(mode, correct=correct, fake_short=fake) for mode, correct, fake in cases]
    for kind in kinds:
        actual = kind.rewards(group, step=step)
        expected = [
            objective_oracle.reward(kind.name, mode, correct=correct, fake_short=fake, gamma=0.4, delta=delta)
            for mode, correct, fake in cases
        ]
        assert list(actual) == expected, f"{kind.name}: {actual}, expected {expected} for {cases}"
        least, most = kind.limits()
        assert (least, most) == (min(actual), max(actual))
        assert actual[cases.index((None, False, False))] == least


def fake_short_is_found(fake_short: ModuleType) -> None:
    """Ids of a completion, with 7 for `</think>` and a limit of 4 tokens."""
    fakes = {
        (Mode.SHORT, (5, 20, 1)): False,
        (Mode.SHORT, (5, 20, 21, 1)): False,  # exactly the limit
        (Mode.SHORT, (5, 20, 21, 22, 1)): True,  # one over it
        (Mode.SHORT, (5, 7, 20)): True,  # </think> inside
        (Mode.THINK, (6, 20, 21, 22, 7, 23, 1)): False,
        (None, (20, 7, 21, 22, 23, 1)): False,
    }
    for (mode, ids), fake in fakes.items():
        assert fake_short.is_fake_short(mode, completion_ids=ids, think_end_id=7, short_max_tokens=4) is fake, (
            mode,
            ids,
        )


def scoring_is_strict(scoring: ModuleType) -> None:
    """Truncated is wrong, the mode is token 0's id, fake short is paid like think; gamma 0.5, short limit 6."""
    tokenizer = tiny_tokenizer()
    control = ControlTokens.of(tokenizer)
    spelt = spelt_out(tokenizer, "<short>3")
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
        (None, decode_completion(tokenizer, spelt), spelt, FinishReason.STOP, -1.0),  # reads `<short>3`, is malformed
    )
    rollouts = [
        make_rollout(ids, mode=mode, completion=text, finish_reason=finish, problem=problem)
        for mode, text, ids, finish, _ in cases
    ]
    config = rl_config(gamma=0.5, short_max_tokens=6, group_size=5)
    scored = scoring.score_rollouts(
        rollouts, reward=Thinkless(), control=control, config=config, settings=settings_at(config, step=1)
    )
    assert [s.reward for s in scored] == [reward for *_, reward in cases]
    assert [s.correct for s in scored] == [reward > 0 for *_, reward in cases]
    assert cases[-1][1] == "<short>3"


def assigned_modes_are_sampled_and_remembered(scoring: ModuleType) -> None:
    """Forced rollouts begin with their token, are marked, and continue as the free one of that mode would have."""
    tokenizer, config = tiny_tokenizer(), rl_config(max_new_tokens=8)
    control, model = ControlTokens.of(tokenizer), make_student(scale=LIVELY, bias={5: 12.0, 6: 12.0})
    settings: dict[str, Any] = {
        "tokenizer": tokenizer,
        "config": config,
        "settings": settings_at(config, step=3),
    }
    sampler = TransformersSampler(model, tokenizer.pad_token_id, tokenizer.eos_token_id)
    problems = [make_problem("11+22=?"), make_problem("11+33=?")]
    free = scoring.sample_groups(sampler, problems, assigned=free_choice(4), **settings)
    assigned = (AssignedMode(), AssignedMode(Mode.SHORT), AssignedMode(Mode.THINK, 0.5), AssignedMode(Mode.THINK))
    mixed = scoring.sample_groups(sampler, problems, assigned=assigned, **settings)
    assert {r.mode for r in free} == set(Mode), "both modes were meant to be chosen"
    assert [r.forced for r in mixed] == [False, True, True, True] * 2
    assert [r.assigned_probability for r in mixed] == [None, None, 0.5, None] * 2
    assert not any(r.forced for r in free)
    for before, after, choice in zip(free, mixed, assigned * 2, strict=True):
        assert (before.problem, before.sample) == (after.problem, after.sample)
        if choice.mode is None or choice.mode is before.mode:
            assert after.completion_ids == before.completion_ids
        if choice.mode is not None:
            assert after.mode is choice.mode
            assert after.completion_ids[0] == control.id_of(choice.mode)


def the_guard_forces_the_end_of_a_free_group(assignment: ModuleType) -> None:
    """The last k of a free group, as if chosen; a group that an objective assigns stays as it is."""
    free = assignment.free_choice(4)
    assert assignment.force_rare(free, forced=None) == free
    forced = assignment.force_rare(free, forced=(Mode.SHORT, 1))
    assert [(choice.mode, choice.probability) for choice in forced] == [(None, None)] * 3 + [(Mode.SHORT, None)]
    for assigned in (assignment.in_halves(4, probability=0.5), assignment.all_think(4)):
        assert assignment.force_rare(assigned, forced=(Mode.SHORT, 1)) == assigned


def evaluation_is_strict(evaluation: ModuleType) -> None:
    """Truncated or malformed is wrong, forced modes are forced, numbers are means."""
    tokenizer = tiny_tokenizer()
    texts: dict[str, str | tuple[int, ...]] = {
        "11+22=?": "<short>3",
        "11+33=?": "<short>9",
        "11+44=?": spelt_out(tokenizer, "<short>5"),  # reads `<short>5`, is malformed: 7 letters, digit, end
        "11+55=?": "<think>1+5=6,5=5</think>6",  # 13 tokens, cut before the end token
    }
    problems = [make_problem(text) for text in texts]
    sampler = ScriptedSampler(tokenizer, lambda prompt, _: texts[prompt])
    settings: dict[str, Any] = {"sampler": sampler, "tokenizer": tokenizer, "model_name": "sft", "benchmark": "b"}
    config = EvaluateConfig(max_new_tokens=12, short_max_tokens=6)
    rows = evaluation.evaluate_problems(make_student(), problems, config=config, **settings)
    auto, short, think = ([row for row in rows if row.mode is mode] for mode in EvalMode)
    assert [c.correct for c in auto] == [True, False, False, False]
    assert [c.malformed for c in auto] == [False, False, True, False]
    assert [c.truncated for c in auto] == [False, False, False, True]
    assert [c.chosen_mode for c in auto] == [Mode.SHORT, Mode.SHORT, None, Mode.THINK]
    summary = summarise_cell(auto)
    # tokens: <short> d eos = 3, 3; 7 letters, d, eos = 9; cut at 12
    assert (summary.n, summary.accuracy, summary.mean_tokens) == (4, 0.25, 6.75)
    assert (summary.think_share, summary.malformed_share, summary.truncated_share) == (0.25, 0.25, 0.25)
    # one score of 1 and three of 0: sqrt(4/3 * (0.75^2 + 3 * 0.25^2)) / 4 = 0.25
    assert math.isclose(summary.accuracy_stderr, 0.25)
    assert {c.chosen_mode for c in short} == {Mode.SHORT}
    assert {c.chosen_mode for c in think} == {Mode.THINK}


def sampled_tokens_follow_the_model(sampler: ModuleType) -> None:
    """Nearly greedy sampling of ragged prompts, rows ending early: every token is the argmax of a plain forward."""
    model = make_student(scale=LIVELY, bias={EOS_ID: END_BIAS})
    engine = sampler.TransformersSampler(model, 0, EOS_ID)
    requests = [
        SampleRequest(tuple(prompt), ("greedy", i), forced_id=(None, 5, 6)[i % 3])
        for i, (prompt, _) in enumerate(ragged_samples(24, seed=3))
    ]
    with ForwardPasses(model) as passes:
        sampled = engine.sample(requests, max_new_tokens=10, temperature=1e-3)
    for request, completion in zip(requests, sampled, strict=True):
        expected = greedy(model, request.prompt_ids, 10, first=request.forced_id)
        assert list(completion.token_ids) == expected
        stopped = FinishReason.STOP if expected[-1] == EOS_ID else FinishReason.LENGTH
        assert completion.finish_reason is stopped
    passes.assert_rows_left_one_after_another()
    assert len({len(c.token_ids) for c in sampled}) > 5, "rows were meant to end at different times"


class ForwardPasses:
    """Counts the rows of every forward pass of a model inside a `with`."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.num_rows: list[int] = []

    def __enter__(self) -> ForwardPasses:
        self._handle = self._model.register_forward_pre_hook(self._count, with_kwargs=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._handle.remove()

    def _count(self, module: nn.Module, args: tuple[object, ...], kwargs: dict[str, Any]) -> None:
        self.num_rows.append(len(kwargs["input_ids"]))

    def assert_rows_left_one_after_another(self) -> None:
        """A check in which no finished row leaves the batch, or all at once, would pass whatever leaving does."""
        decoding = self.num_rows[1:]  # the first pass reads the distinct prompts
        assert decoding == sorted(decoding, reverse=True)
        assert len(set(decoding)) > 3, f"finished rows were meant to leave several times, passes had {decoding} rows"


def greedy(model: Any, prompt_ids: Sequence[int], num_tokens: int, *, first: int | None) -> list[int]:
    """The most likely continuation up to its end token, one plain forward pass per token."""
    completion: list[int] = [] if first is None else [first]
    while len(completion) < num_tokens and EOS_ID not in completion:
        completion.append(int(next_token_logprobs(model, [*prompt_ids, *completion]).argmax()))
    return completion


def company_does_not_change_what_is_sampled(sampler: ModuleType) -> None:
    """Batch size, order, company and finished rows that leave: every request gets the completion it gets alone."""
    model = make_student(scale=LIVELY, bias={EOS_ID: END_BIAS})
    prompts = [tuple(p) for p, _ in ragged_samples(8, seed=5)]
    requests = [SampleRequest(p, ("company", i, j)) for i, p in enumerate(prompts) for j in range(4)]
    settings: dict[str, float] = {"temperature": 0.9, "top_p": 0.95}
    engine = sampler.TransformersSampler(model, 0, EOS_ID)
    with ForwardPasses(model) as passes:
        together = engine.sample(requests, max_new_tokens=16, **settings)
    alone = [engine.sample([r], max_new_tokens=16, **settings)[0] for r in requests]
    assert together == alone
    passes.assert_rows_left_one_after_another()
    assert len({len(c.token_ids) for c in alone}) > 5, "rows were meant to end at different times"
    assert {c.finish_reason for c in alone} == set(FinishReason)
    assert engine.sample(requests[::-1], max_new_tokens=16, **settings) == alone[::-1]
    assert (
        sampler.TransformersSampler(model, 0, EOS_ID, batch_size=5).sample(requests, max_new_tokens=16, **settings)
        == alone
    )
    assert sampler.TransformersSampler(model, 77, EOS_ID).sample(requests, max_new_tokens=16, **settings) == alone


def forced_completions_equal_free_ones(sampler: ModuleType) -> None:
    """Forcing the token that was chosen freely changes nothing after it."""
    model = make_student(scale=LIVELY, bias={EOS_ID: END_BIAS})
    vocab_size = model.config.vocab_size
    engine = sampler.TransformersSampler(model, 0, EOS_ID)
    free = [SampleRequest((3, 10 + i, 36, 4), ("forced", i)) for i in range(24)]
    sampled = engine.sample(free, max_new_tokens=12, temperature=1.5)
    forced = [
        SampleRequest(r.prompt_ids, r.stream, forced_id=c.token_ids[0]) for r, c in zip(free, sampled, strict=True)
    ]
    assert engine.sample(forced, max_new_tokens=12, temperature=1.5) == sampled
    other = [
        SampleRequest(r.prompt_ids, r.stream, forced_id=(c.token_ids[0] + 1) % vocab_size)
        for r, c in zip(free, sampled, strict=True)
    ]
    changed = engine.sample(other, max_new_tokens=12, temperature=1.5)
    assert all(c.token_ids[0] == r.forced_id for r, c in zip(other, changed, strict=True))


def _of_decoding(check: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    """A check of the sampler as one of the module that its logits come from."""

    @functools.wraps(check)
    def with_decoding(decoding: ModuleType) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(transformers_sampler, "decoding_of", decoding.decoding_of)
            check(transformers_sampler)

    return with_decoding


decoding_follows_the_model = _of_decoding(sampled_tokens_follow_the_model)
company_does_not_change_decoding = _of_decoding(company_does_not_change_what_is_sampled)
