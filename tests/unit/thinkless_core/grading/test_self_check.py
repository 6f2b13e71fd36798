"""`check_references`: every preset's references meet themselves in other spellings, and refuse a changed digit."""

from __future__ import annotations

import pytest

from schemas.configs.presets import PRESETS, PresetSource
from tests.fast_and_slow import fast_and_slow
from tests.real_data import real_data
from thinkless_core.grading.self_check import (
    CHANGED,
    OWN,
    as_mathematics,
    check_references,
    reversed_list,
    with_first_digit_changed,
    with_last_digit_changed,
    with_other_spaces,
)
from thinkless_core.problems.problem_sources import read_source

COPIES = [(name, file) for name, preset in PRESETS.items() for file in preset.copies.values()]
SLOW = [("math", "math_train.json")]
LISTS = ["1, 3", "19, 46, \\text{ and } 82", "\\{1,2,3\\}", "(1,2), (3,4)", "-1, \\sqrt{2}", "1,2;3"]


@pytest.mark.parametrize("copy", fast_and_slow([copy for copy in COPIES if copy not in SLOW], SLOW), ids=lambda c: c[1])
def test_the_references_of_a_preset_can_be_met_and_no_changed_digit_is_accepted(copy: tuple[str, str]) -> None:
    name, file = copy
    source = PresetSource(name=name, path=str(real_data(file)))
    references = [problem.answer for problem in read_source(source, name=name, seed=0).problems]
    checks = {check.name: check for check in check_references(references)}
    assert [(check.name, check.exceptions) for check in checks.values() if check.exceptions] == []
    assert checks[OWN].num_asked == len(set(references)) > 20
    assert all(checks[changed].num_asked > 0.9 * len(set(references)) for changed in CHANGED)


def test_lists_are_met_with_other_spaces_and_backwards() -> None:
    checks = {check.name: check for check in check_references(LISTS)}
    assert all(check.passed and check.exceptions == [] for check in checks.values())
    assert checks["reversed list"].num_asked == len(LISTS)
    assert checks["other spaces"].num_asked >= 4


def test_spellings_mean_what_they_say() -> None:
    assert [with_other_spaces(text) for text in ("1, 3", "1,3", "1,234", "2+x", "\\text{a, b}")] == [
        *("1,3", "1, 3", None, None, None)
    ]
    assert with_other_spaces("2+3x=5") == "2 + 3x=5"
    assert [as_mathematics(text) for text in ("\\frac12", "\\$5", "East")] == [" $\\dfrac12$. ", None, None]
    assert [reversed_list(text) for text in ("1, 2, 3", "\\{1,2\\}", "(1,2)", "7")] == [
        "3, 2, 1",
        "\\{2, 1\\}",
        None,
        None,
    ]
    assert [with_last_digit_changed(text) for text in ("19", "\\frac{1}{2}x", "x")] == ["10", "\\frac{1}{3}x", None]
    assert [with_first_digit_changed(text) for text in ("19", "\\frac{1}{2}x")] == ["29", "\\frac{2}{2}x"]


def test_a_check_that_does_not_pass_lists_its_exceptions() -> None:
    changed = next(check for check in check_references(["1^5", "0 \\cdot 3"]) if check.name == CHANGED[0])
    assert changed.exceptions == [("1^6", "1^5"), ("0 \\cdot 4", "0 \\cdot 3")]
    assert not changed.passed
