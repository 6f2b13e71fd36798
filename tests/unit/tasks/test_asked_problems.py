"""Which problems the evaluation asks."""

from __future__ import annotations

import pytest

from schemas.configs.evaluate import EvaluateConfig
from schemas.records.problems import Problem
from tasks.evaluate_models import asked_problems
from tests.specimens import make_problem


def problems_of(**sizes: int) -> list[Problem]:
    """Held-out problems of these benchmarks."""
    return [
        make_problem(f"{name} {number}", answer="1").model_copy(update={"benchmark": name})
        for name, size in sizes.items()
        for number in range(size)
    ]


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({}, {"easy": 3, "hard": 2}),
        ({"limit": 2}, {"easy": 2, "hard": 2}),
        ({"benchmarks": ("hard",)}, {"hard": 2}),
        ({"benchmarks": ("hard", "easy"), "limit": 1}, {"easy": 1, "hard": 1}),
    ],
)
def test_all_benchmarks_are_asked_or_those_named_and_of_each_the_first(
    settings: dict[str, object], asked: dict[str, int]
) -> None:
    config = EvaluateConfig.model_validate({"max_new_tokens": 8, "short_max_tokens": 4, **settings})
    found = asked_problems(problems_of(easy=3, hard=2), config)
    assert {name: len(problems) for name, problems in found.items()} == asked
    assert list(found) == list(asked)
    assert all(problem.benchmark == name for name, problems in found.items() for problem in problems)
