"""Problems of reasoning_gym: weighed, distinct, apart between splits and seeds, and found again by their details."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.configs.gym import GymSource, GymTask
from schemas.configs.problems import ProblemsConfig
from schemas.configs.source import SourceProblem
from schemas.errors import SourceError
from thinkless_core.gym.items import item_of, read_item
from thinkless_core.gym.problems import SEED_STEP, SPLIT_STARTS
from thinkless_core.problems.problem_set import build_problem_set
from thinkless_core.problems.problem_sources import read_source

pytest.importorskip("reasoning_gym", reason="needs reasoning-gym: pip install 'thinkless-flows[gym]'")

SUMS = {"name": "chain_sum", "level": 1, "config": {"min_terms": 2, "max_terms": 2, "min_digits": 2, "max_digits": 2}}
LEGS = {"name": "leg_counting", "level": 2, "weight": 3.0, "config": {"min_animals": 3, "max_animals": 3}}


def source(**settings: Any) -> GymSource:
    return GymSource.model_validate({"tasks": [SUMS, LEGS], "num_problems": 40, **settings})


def drawn(chosen: GymSource, *, name: str = "train", seed: int = 0) -> tuple[SourceProblem, ...]:
    return read_source(chosen, name=name, seed=seed).problems


def test_every_beginning_holds_the_tasks_by_their_weights() -> None:
    problems = drawn(source())
    assert Counter(p.task for p in problems) == {"leg_counting": 30, "chain_sum": 10}
    assert Counter(p.task for p in problems[:8]) == {"leg_counting": 6, "chain_sum": 2}
    assert {(p.task, p.difficulty) for p in problems} == {("chain_sum", 1), ("leg_counting", 2)}


def test_splits_and_seeds_share_no_item() -> None:
    """The package draws item i of seed s with Random(s + i)."""
    starts = sorted(SPLIT_STARTS.values())
    assert all(later - earlier >= 10_000_000 for earlier, later in pairwise(starts))
    assert starts[-1] + 10_000_000 <= SEED_STEP
    one = {p.prompt for p in drawn(source(only=["leg_counting"]))}
    for name, seed in (("rl", 0), ("a benchmark", 0), ("train", 1)):
        other = {p.prompt for p in drawn(source(only=["leg_counting"]), name=name, seed=seed)}
        assert len(other) == 40
        assert not one & other
    assert one == {p.prompt for p in drawn(source(only=["leg_counting"], split="train"), name="a benchmark")}


def test_a_problem_is_found_again_by_its_details() -> None:
    for problem in drawn(source(num_problems=8)):
        assert problem.details is not None
        details = json.loads(problem.details)
        item = read_item(details)
        assert (item["question"].strip(), item["answer"]) == (problem.prompt, problem.answer)
        assert details["task"] == problem.task


def test_a_task_that_runs_out_of_questions_is_named() -> None:
    few = {"name": "count_bits", "config": {"min_n": 1, "max_n": 7}}
    with pytest.raises(SourceError, match=r"task count_bits:1 has only 7 distinct questions in train, more are"):
        drawn(GymSource.model_validate({"tasks": [few], "num_problems": 8}))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"name": "chain_sums"}, r"reasoning_gym has no task 'chain_sums'; did you mean 'chain_sum'\?"),
        ({"name": "chain_sum", "config": {"min_term": 2}}, r"'chain_sum' of reasoning_gym refuses .*min_term"),
        ({"name": "chain_sum", "config": {"min_terms": 5, "max_terms": 2}}, r"refuses the settings .*max_terms"),
    ],
)
def test_a_task_or_setting_that_the_package_does_not_know_is_refused(task: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        drawn(GymSource.model_validate({"tasks": [task], "num_problems": 1}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"only": ["leg_count"]}, "no 'leg_count' among the tasks; did you mean 'leg_counting'"),
        ({"only": ["leg_counting:3"]}, "no 'leg_counting:3' among the tasks; did you mean 'leg_counting:2'"),
        ({"leave_out": ["leg_counting", "chain_sum:1"]}, "leave no task"),
        ({"tasks": [SUMS, SUMS]}, "chain_sum:1 stands in tasks twice"),
        ({"tasks": [{"name": "gcd", "config": {"seed": 7}}]}, "seed: the source sets it"),
        ({"tasks": "graded_"}, "no mixture 'graded_'; did you mean 'graded'"),
        ({"tasks": "nowhere.toml"}, "no file nowhere.toml"),
        ({"tasks": []}, "at least 1 item"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        source(**settings)


def test_tasks_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[[tasks]]\nname = "gcd"\nlevel = 2\nconfig = { max_value = 20 }\n')
    assert GymSource(tasks=str(file), num_problems=1).tasks == (GymTask(name="gcd", level=2, config={"max_value": 20}),)
    file.write_text("tasks = 3\nother = 1\n")
    with pytest.raises(ValidationError, match=r"holds other, tasks, expected only \[\[tasks\]\]"):
        GymSource(tasks=str(file), num_problems=1)


def test_only_the_same_whole_question_counts_as_a_problem_of_a_benchmark() -> None:
    """Every question about legs has the words of the others in it: they are the template's."""
    config = ProblemsConfig(
        source=source(only=["leg_counting"], num_problems=30),
        rl_share=0.5,
        benchmarks={
            "held-out": source(only=["leg_counting"], num_problems=30),
            "seen": source(only=["leg_counting"], num_problems=4, split="train"),
        },
    )
    built = build_problem_set(config)
    assert (built.drops["contaminated"], built.drops["contaminated_ngram"]) == (4, 0)
    train = [p for p in built.problems if p.benchmark is None]
    assert len(train) == 26
    assert {p.verifier for p in built.problems} == {"gym"}
    assert item_of(train[0])["question"].strip() == train[0].prompt


def test_a_problem_of_another_source_has_no_item() -> None:
    problem = build_problem_set(
        ProblemsConfig.model_validate(
            {
                "source": {"kind": "procedural", "num_problems": 10, "mix": [1.0]},
                "benchmarks": {"b": {"kind": "procedural", "num_problems": 5, "mix": [1.0]}},
            }
        )
    ).problems[0]
    with pytest.raises(SourceError, match=r"comes from procedural, and not from a source of kind gym"):
        item_of(problem)
