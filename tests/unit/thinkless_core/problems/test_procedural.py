"""Problems made by a program: worked out from left to right, distinct, and the same for the same seed."""

from __future__ import annotations

import pytest

from schemas.configs.problems import ProceduralSource
from schemas.errors import ConfigError
from thinkless_core.problems.problem_sources import read_source
from thinkless_core.problems.procedural import draw_distinct_chains, work_out
from thinkless_core.seeding import random_stream


@pytest.mark.parametrize(
    ("prompt", "steps", "answer"),
    [
        ("37+48=?", ["7+8=5"], "5"),
        ("37+48*12=?", ["7+8=5", "5*2=0"], "0"),  # from left to right, not by precedence
        ("11-19=?", ["1-9=2"], "2"),  # -8 modulo 10
        ("99*99*99=?", ["9*9=1", "1*9=9"], "9"),
        ("5+5=?", ["5+5=0"], "0"),
    ],
)
def test_a_chain_is_worked_out_from_left_to_right_modulo_ten(prompt: str, steps: list[str], answer: str) -> None:
    working = work_out(prompt)
    assert working is not None
    assert (list(working.steps), working.answer) == (steps, answer)


@pytest.mark.parametrize("prompt", ["", "37=?", "37+48", "37+=?", "+37+48=?", "37/48=?", "x+1=?", "37+48=? ", "1+2=?3"])
def test_what_is_no_chain_is_not_worked_out(prompt: str) -> None:
    assert work_out(prompt) is None


def test_chains_are_distinct_and_follow_the_mix() -> None:
    first = draw_distinct_chains(random_stream("a"), num_problems=300, mix=[0.5, 0.0, 0.5])
    assert len({text for text, _ in first}) == 300
    for text, difficulty in first:
        working = work_out(text)
        assert working is not None
        assert len(working.steps) == difficulty
    # Half of 300, within 4 standard deviations (8.7 each).
    assert {d for _, d in first} == {1, 3}
    assert abs(sum(d == 1 for _, d in first) - 150) < 35


def test_problems_that_run_out_are_an_error() -> None:
    with pytest.raises(ConfigError, match=r"1 operation\(s\) run out: \d+ of 24301 made; lower num_problems"):
        draw_distinct_chains(random_stream("a"), num_problems=90 * 3 * 90 + 1, mix=[1.0])


def test_a_procedural_source_gives_the_same_problems_for_the_same_name_and_seed() -> None:
    source = ProceduralSource(num_problems=20, mix=(0.5, 0.5))
    first = read_source(source, name="train", seed=1)
    assert read_source(source, name="train", seed=1) == first
    assert read_source(source, name="train", seed=2) != first
    assert read_source(source, name="bench", seed=1) != first
