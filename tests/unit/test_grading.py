"""Grading and rewards, case by case (tests/cases/grading.jsonl, rewards.jsonl), and the way from rollout to reward."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from schemas.mode import Mode
from tests.invariants import rollout_checks
from tests.specimens import ScriptedSampler, make_problem, make_rollout, rl_config
from thinkless_core import scoring
from thinkless_core.control_tokens import ControlTokens
from thinkless_core.grading import extract_answer, is_correct
from thinkless_core.rewards import RewardTable, is_fake_short
from thinkless_core.rl_metrics import rollout_numbers
from thinkless_core.scoring import sample_groups, score_rollouts

CASES = Path(__file__).parents[1] / "cases"


def read_cases(name: str) -> list[Any]:
    """One pytest parameter per line, named by its reason."""
    rows = [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").splitlines()]
    return [pytest.param(row, id=row["why"]) for row in rows]


@pytest.mark.parametrize("case", read_cases("grading.jsonl"))
def test_a_completion_is_graded_as_the_case_says(case: dict[str, Any]) -> None:
    answer = extract_answer(case["completion"])
    assert answer == case["answer"]
    assert is_correct(answer, reference=case["reference"]) is case["correct"]


@pytest.mark.parametrize("case", read_cases("rewards.jsonl"))
def test_a_rollout_earns_what_the_case_says(case: dict[str, Any]) -> None:
    mode = None if case["mode"] is None else Mode(case["mode"])
    ids = [20] * case["ids"]
    if case["think_end_inside"]:
        ids[1] = 7
    fake_short = is_fake_short(mode, completion_ids=ids, think_end_id=7, short_max_tokens=6)
    assert fake_short is case["fake_short"]
    assert RewardTable(case["gamma"]).reward(mode, correct=case["correct"], fake_short=fake_short) == case["reward"]


@pytest.mark.parametrize("end", ["", ".", ".5"])
def test_numbers_longer_than_any_float_are_told_apart(end: str) -> None:
    assert is_correct("1" * 400 + end, reference="1" * 400 + end)
    assert not is_correct("1" * 400 + end, reference="2" * 400 + end)


def test_long_numbers_that_differ_in_their_last_digit_are_told_apart() -> None:
    assert not is_correct("1" * 40, reference="1" * 39 + "2")


def test_no_answer_is_never_correct() -> None:
    assert not is_correct(None, reference="None")
    assert not is_correct(None, reference="")


def test_scoring_reads_the_mode_from_token_0_and_counts_truncated_as_wrong() -> None:
    rollout_checks.scoring_is_strict(scoring)


def test_groups_are_contiguous_and_every_rollout_has_its_own_stream(tokenizer: PreTrainedTokenizerFast) -> None:
    seen = []

    def remember(prompt: str, request: Any) -> str:
        seen.append(request.stream)
        return "<short>1" if request.stream[-1] else "1"

    problems = [make_problem("11+22=?"), make_problem("11+33=?")]
    config = rl_config(group_size=3, seed=5)
    rollouts = sample_groups(ScriptedSampler(tokenizer, remember), problems, tokenizer=tokenizer, config=config, step=7)
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
    scored = score_rollouts(rollouts, control=ControlTokens.of(tokenizer), config=rl_config())
    numbers = rollout_numbers(scored, group_size=2)
    assert numbers["reward_mean"] == (1 + 0.5 - 1 - 1) / 4
    assert numbers["accuracy"] == 0.5
    assert numbers["think_share"] == numbers["malformed_share"] == 0.25
    assert numbers["mean_tokens"] == (3 + 5 + 3 + 2) / 4
    assert numbers["zero_variance_share"] == 0.5  # the second pair earned -1 twice
    assert (numbers["short_count"], numbers["short_accuracy"], numbers["think_tokens"]) == (2, 0.5, 5)
