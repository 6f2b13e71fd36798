"""From problems to scored rollouts, and to the numbers of a step."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerFast

from schemas.mode import Mode
from tests.invariants import rollout_checks
from tests.specimens import ScriptedSampler, make_problem, make_rollout, rl_config
from thinkless_core.rl import scoring
from thinkless_core.rl.mode_assignment import free_choice
from thinkless_core.rl.rl_metrics import rollout_numbers
from thinkless_core.rl.schedules import settings_at
from thinkless_core.rl.scoring import sample_groups, score_rollouts
from thinkless_core.student.control_tokens import ControlTokens


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


def test_numbers_of_a_step_are_means_over_its_rollouts(tokenizer: PreTrainedTokenizerFast) -> None:
    problem = make_problem("11+22=?")  # 3
    rollouts = [
        make_rollout((5, 11, 1), mode=Mode.SHORT, completion="<short>3", problem=problem),
        make_rollout((6, 11, 7, 11, 1), mode=Mode.THINK, completion="<think>3</think>3", problem=problem),
        make_rollout((5, 12, 1), mode=Mode.SHORT, completion="<short>4", problem=problem),
        make_rollout((12, 1), mode=None, completion="4", problem=problem),
    ]
    config = rl_config()
    scored = score_rollouts(
        rollouts, control=ControlTokens.of(tokenizer), config=config, settings=settings_at(config, step=1)
    )
    numbers = rollout_numbers(scored, group_size=2)
    assert numbers["reward_mean"] == (1 + 0.5 - 1 - 1) / 4
    assert numbers["accuracy"] == 0.5
    assert numbers["think_share"] == numbers["malformed_share"] == 0.25
    assert numbers["mean_tokens"] == (3 + 5 + 3 + 2) / 4
    assert numbers["zero_variance_share"] == 0.5  # the second pair earned -1 twice
    assert (numbers["short_count"], numbers["short_accuracy"], numbers["think_tokens"]) == (2, 0.5, 5)
