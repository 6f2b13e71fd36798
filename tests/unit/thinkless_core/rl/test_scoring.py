"""From problems to scored rollouts, and to the numbers of a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from schemas.errors import TrainingError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from tests.invariants import rollout_checks
from tests.specimens import ScriptedSampler, make_problem, make_rollout, rl_config
from thinkless_core.grading.verdict import Outcome
from thinkless_core.rl import scoring
from thinkless_core.rl.metrics import rollout_numbers
from thinkless_core.rl.mode_assignment import free_choice
from thinkless_core.rl.rewards import Reward, Thinkless
from thinkless_core.rl.rollouts import JudgedRollout, Rollout, ScoredRollout
from thinkless_core.rl.schedules import StepSettings, settings_at
from thinkless_core.rl.scoring import judge_rollouts, sample_groups, score_rollouts
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.rendering import render_prompt


def scored_by(
    reward: Reward, rollouts: Sequence[Rollout], tokenizer: PreTrainedTokenizerFast, *, group_size: int = 4
) -> list[ScoredRollout]:
    """The rollouts, judged and paid at the settings of step 1."""
    config = rl_config(group_size=group_size)
    return score_rollouts(
        rollouts,
        reward=reward,
        control=ControlTokens.of(tokenizer),
        config=config,
        settings=settings_at(config, step=1),
    )


def test_scoring_reads_the_mode_from_token_0_and_counts_truncated_as_wrong() -> None:
    rollout_checks.scoring_is_strict(scoring)


def test_assigned_modes_are_sampled_and_remembered() -> None:
    rollout_checks.assigned_modes_are_sampled_and_remembered(scoring)


def test_groups_are_contiguous_and_every_rollout_has_its_own_stream(tokenizer: PreTrainedTokenizerFast) -> None:
    seen = []

    def remember(prompt: str, request: Any) -> str:
        seen.append(request.stream)
        return "<short>1" if request.stream[-1] else "1"

    problems = [make_problem("11+22=?"), make_problem("11+33=?")]
    config = rl_config(group_size=3, seed=5, steps=7)
    rollouts = sample_groups(
        ScriptedSampler(tokenizer, remember),
        problems,
        assigned=free_choice(3),
        tokenizer=tokenizer,
        config=config,
        settings=settings_at(config, step=7),
    )
    assert [(r.problem.prompt, r.sample) for r in rollouts] == [(p.prompt, s) for p in problems for s in range(3)]
    assert len(set(seen)) == 6
    assert {stream[1:3] for stream in seen} == {(5, 7)}, "seed and step are part of the stream's name"
    assert [r.mode for r in rollouts] == [None, Mode.SHORT, Mode.SHORT] * 2
    expected = [render_prompt(tokenizer, problem.prompt) for problem in problems]
    assert [rollouts[0].prompt_ids, rollouts[3].prompt_ids] == expected
    assert len({id(r.prompt_ids) for r in rollouts}) == 2, "a prompt is encoded once for its group"


def test_numbers_of_a_step_are_means_over_its_rollouts(tokenizer: PreTrainedTokenizerFast) -> None:
    problem = make_problem("11+22=?")  # 3
    rollouts = [
        make_rollout((5, 11, 1), mode=Mode.SHORT, completion="<short>3", problem=problem),
        make_rollout((6, 11, 7, 11, 1), mode=Mode.THINK, completion="<think>3</think>3", problem=problem),
        make_rollout((5, 12, 1), mode=Mode.SHORT, completion="<short>4", problem=problem),
        make_rollout((12, 1), mode=None, completion="4", problem=problem),
    ]
    scored = scored_by(Thinkless(), rollouts, tokenizer)
    numbers = rollout_numbers(scored, group_size=2)
    assert numbers["reward_mean"] == (1 + 0.5 - 1 - 1) / 4
    assert numbers["accuracy"] == 0.5
    assert numbers["think_share"] == numbers["malformed_share"] == 0.25
    assert numbers["mean_tokens"] == (3 + 5 + 3 + 2) / 4
    assert numbers["zero_variance_share"] == 0.5  # the second pair earned -1 twice
    assert (numbers["short_count"], numbers["short_accuracy"], numbers["think_tokens"]) == (2, 0.5, 5)


def test_a_verdict_says_why_a_rollout_is_not_right() -> None:
    problem = make_problem("11+22=?")  # 3
    right = make_rollout((5, 11, 1), completion="<short>3", problem=problem)
    assert judge_rollouts([right]) == [(Outcome.CORRECT, "3", "", 1.0)]
    cases = {
        "malformed": make_rollout((11, 1), mode=None, completion="3", problem=problem),
        "truncated": make_rollout((5, 11), completion="<short>3", finish_reason=FinishReason.LENGTH, problem=problem),
        "different": make_rollout((5, 12, 1), completion="<short>4", problem=problem),
        "missing": make_rollout((6, 11, 1), mode=Mode.THINK, completion="<think>3", problem=problem),
    }
    for reason, verdict in zip(cases, judge_rollouts(list(cases.values())), strict=True):
        assert not verdict.correct
        assert reason in verdict.reason
        assert (verdict.outcome is Outcome.UNREADABLE) == (reason == "missing")


class ShortestOfItsGroup(Reward):
    def rewards(self, group: Sequence[JudgedRollout], *, step: StepSettings) -> list[float]:
        shortest = min(rollout.num_tokens for rollout in group)
        return [float(rollout.num_tokens == shortest) for rollout in group]


def test_a_reward_sees_the_lengths_of_its_own_group_and_no_other(tokenizer: PreTrainedTokenizerFast) -> None:
    lengths = (3, 5, 9, 7)
    rollouts = [make_rollout([5] * length) for length in lengths]
    scored = scored_by(ShortestOfItsGroup(), rollouts, tokenizer, group_size=2)
    assert [s.reward for s in scored] == [1.0, 0.0, 0.0, 1.0]
    assert [s.num_tokens for s in scored] == list(lengths)


class OneNumberTooFew(Reward):
    def rewards(self, group: Sequence[JudgedRollout], *, step: StepSettings) -> list[float]:
        return [1.0] * (len(group) - 1)


class NoNumber(Reward):
    def reward(self, rollout: JudgedRollout, *, step: StepSettings) -> float:
        return float("nan")


@pytest.mark.parametrize("kind", [OneNumberTooFew, NoNumber])
def test_a_reward_that_is_no_finite_number_for_each_rollout_is_refused(
    kind: type[Reward], tokenizer: PreTrainedTokenizerFast
) -> None:
    rollouts = [make_rollout([5, 1])] * 2
    message = rf"reward '{kind.__name__}' gave .* for the 2 rollouts of problem p-11\+22=\?, expected one finite number"
    with pytest.raises(TrainingError, match=message):
        scored_by(kind(), rollouts, tokenizer, group_size=2)
