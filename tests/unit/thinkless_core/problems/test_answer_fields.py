"""What the fields of a row mean: values, subjects, and paths to them."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from schemas.errors import SourceError
from thinkless_core.problems.answer_fields import answer_value, boxed_value, field_value, subject_name

BOXES = [
    (r"so $\boxed{7}$.", "7"),
    (r"$\boxed{\frac{1}{2}}$", r"\frac{1}{2}"),
    (r"$\boxed{\sqrt{\frac{a}{b^{2}}}}$", r"\sqrt{\frac{a}{b^{2}}}"),
    (r"$\boxed{1}$, no, $\boxed{2}$", "2"),
    (r"$\boxed{\{1, 2\}}$", r"\{1, 2\}"),
    (r"$\boxed{\left\{x : x > 0\right.}$", r"\left\{x : x > 0\right."),  # an escaped brace closes nothing
    (r"$\boxed{3}$ and an unclosed $\boxed{4", "3"),
    (r"$\boxed 2$", "2"),
    (r"$\boxed\frac{1}{2}$", r"\frac{1}{2}"),
    (r"$\fbox{5}$", "5"),
    (r"$\framebox{204}$ minutes", "204"),
    (r"$\boxed { 6 }$", "6"),
    (r"$\boxed{}$", ""),
    (r"$\boxedtext{5}$", None),
    ("nothing", None),
]


@pytest.mark.parametrize(("text", "value"), BOXES)
def test_the_last_closed_box_gives_the_value(text: str, value: str | None) -> None:
    assert boxed_value(text) == value


@pytest.mark.parametrize(
    ("text", "answer_format", "value", "reason"),
    [
        ("We add.\n#### 1,200", "mark", "1,200", ""),
        ("We add. 12", "mark", "", "no ####"),
        ("We add. ####  ", "mark", "", "empty answer"),
        ("We add.\n#### 12", "auto", "12", ""),
        (r"\frac{14}{3}", "auto", r"\frac{14}{3}", ""),
        (r"so \boxed{5}", "auto", r"so \boxed{5}", ""),  # only the format `boxed` opens a box
        (r"so \boxed{5}", "boxed", "5", ""),
        ("so 5", "boxed", "", r"no \boxed{}"),
        (r"so \boxed{}", "boxed", "", "empty answer"),
        ("#### is a mark", "plain", "#### is a mark", ""),
    ],
)
def test_each_format_reads_the_value_or_says_why_not(text: str, answer_format: str, value: str, reason: str) -> None:
    got, why = answer_value(text, answer_format=answer_format)
    assert got == value
    assert reason in why
    assert bool(got) != bool(why)


ROW: dict[str, JsonValue] = {"a": {"b": [1, {"c": "x"}]}, "a.b": "named so", "text": "t"}


@pytest.mark.parametrize(("path", "value"), [("a.b", "named so"), ("a.b.0", 1), ("a.b.-1.c", "x"), ("text", "t")])
def test_a_path_leads_into_objects_and_lists(path: str, value: JsonValue) -> None:
    row = ROW if path == "a.b" else {name: held for name, held in ROW.items() if name != "a.b"}
    assert field_value(row, path, where="f, line 1", key="answer_field") == value


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("txt", "f, line 1: no column 'txt'; did you mean 'text'?; the columns are a, a.b, text; set answer_field"),
        ("a.x", "stops at 'x': there it holds the fields b"),
        ("a.b.2", "stops at '2': there it holds 2 items"),
        ("a.b.-3", "stops at '-3': there it holds 2 items"),
        ("a.b.first", "stops at 'first': there it holds 2 items"),
        ("text.x", "stops at 'x': there it holds 't'"),
    ],
)
def test_a_path_that_leads_nowhere_says_what_is_there(path: str, said: str) -> None:
    with pytest.raises(SourceError) as caught:
        field_value(ROW, path, where="f, line 1", key="answer_field")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("test/intermediate_algebra/1994.json", "intermediate_algebra"),
        ("Intermediate Algebra", "intermediate_algebra"),
        ("Counting & Probability", "counting_and_probability"),
        (" algebra ", "algebra"),
    ],
)
def test_a_subject_has_one_name(text: str, name: str) -> None:
    assert subject_name(text) == name
