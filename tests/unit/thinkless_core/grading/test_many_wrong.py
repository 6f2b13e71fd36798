"""When a share of wrong answers is said, and what the sentence shows."""

from __future__ import annotations

from thinkless_core.grading.many_wrong import MOST_WRONG_OF_A_TEACHER, JudgedAnswer, say_many_wrong

REFERENCES = {f"p{i}": f"{i} (apples)" for i in range(9)}


def say(num_wrong: int, *, of: int = 9, most_wrong: float = MOST_WRONG_OF_A_TEACHER) -> str | None:
    """The sentence about `of` answers, the first `num_wrong` of them wrong."""
    answers = [JudgedAnswer(f"p{i}", str(i), i >= num_wrong) for i in range(of)]
    return say_many_wrong(answers, REFERENCES, whose="the think teacher", most_wrong=most_wrong)


def test_more_than_a_third_is_said_and_a_third_is_not() -> None:
    assert say(0) is None
    assert say(3) is None
    said = say(4)
    assert said is not None
    assert said.startswith("4 of 9 finished answers of the think teacher are judged wrong (problem p0: ")
    assert said.count("reference '") == 3
    assert "problem p2: reference '2 (apples)', read '2'" in said


def test_a_benchmark_is_said_only_if_all_of_it_is_wrong() -> None:
    assert say(8, most_wrong=1) is None
    assert say(9, most_wrong=1) is not None
    assert say(0, of=0, most_wrong=1) is None


def test_what_was_not_found_and_what_is_long_is_shown_so() -> None:
    answers = [JudgedAnswer("p0", None, False), JudgedAnswer("p1", "x" * 500, False)]
    said = say_many_wrong(answers, REFERENCES, whose="all models", most_wrong=1) or ""
    assert "problem p0: reference '0 (apples)', no value found" in said
    assert "x" * 80 + "...'" in said
    assert "x" * 81 not in said
