"""Answers to reasoning_gym's problems, judged by the package's own programs."""

from __future__ import annotations

import json
from ast import literal_eval

import pytest

from schemas.records.problems import Problem
from tests.unit.thinkless_core.gym.gym_problems import problems_of
from thinkless_core.grading.verdict import Outcome
from thinkless_core.grading.verifier import judge_completions
from thinkless_core.gym import items
from thinkless_core.gym.verifier import answer_text

pytest.importorskip("reasoning_gym", reason="needs reasoning-gym: pip install 'thinkless-flows[gym]'")


def problem_of(task: str, **config: object) -> Problem:
    return problems_of({"name": task, "config": config}, num_problems=1)[0]


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("<short>42", "42"),
        ("<short> 42 \n", "42"),
        ("<think>6 * 7 = 42</think>42", "42"),
        ("<think>a</think>b</think> c", "c"),
        ("<think>6 * 7 = 42", None),
        ("<short>The answer is \\boxed{42}.", "42"),
        ("<short><answer>['1', '2']</answer>", "['1', '2']"),
        ("<short>['1', '2']", "['1', '2']"),
        ("<short>", ""),
    ],
)
def test_the_answer_is_all_that_is_written_after_the_thought(completion: str, expected: str | None) -> None:
    assert answer_text(completion) == expected


def test_only_a_full_score_is_correct_and_a_part_is_kept() -> None:
    word = problem_of("spell_backward", min_word_len=5, max_word_len=5)
    near = word.answer[:-1] + ("b" if word.answer[-1] != "b" else "c")
    right, wrong, none = judge_completions(
        [word] * 3, [f"<short>{word.answer}", f"<think>x</think>{near}", "<think>never ends"]
    )
    assert right is not None
    assert wrong is not None
    assert none is not None
    assert (right.outcome, right.score) == (Outcome.CORRECT, 1.0)
    assert wrong.outcome is Outcome.WRONG
    assert 0 < wrong.score < 1
    assert (none.outcome, none.score, none.answer) == (Outcome.UNREADABLE, 0.0, None)


def test_another_order_of_a_list_is_wrong_and_its_own_spelling_right() -> None:
    numbers = problem_of("number_sorting", min_numbers=3, max_numbers=3, min_decimals=0, max_decimals=0)
    right, turned = judge_completions(
        [numbers] * 2, [f"<short>{numbers.answer}", f"<short>{[*reversed(literal_eval(numbers.answer))]}"]
    )
    assert right is not None
    assert turned is not None
    assert right.correct
    assert not turned.correct


def test_answers_to_one_problem_are_judged_by_one_item_as_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Hungry:
        """A data set that is slow to make an item, and whose judge eats what it judges by."""

        def __getitem__(self, index: int) -> dict[str, object]:
            made.append(index)
            return {"answer": "1", "metadata": {"solutions": ["1", "one"]}}

        def score_answer(self, answer: str, entry: dict[str, dict[str, list[str]]]) -> float:
            return float(entry["metadata"]["solutions"].pop(0) == answer)

    word = problem_of("spell_backward")
    first, second = (
        word.model_copy(update={"details": json.dumps({"task": "hungry", "config": {}, "seed": 0, "index": index})})
        for index in (3, 4)
    )
    monkeypatch.setattr(items, "data_set", lambda task, config, *, seed: Hungry())
    assert [items.score(first, answer) for answer in ("1", "1", "one")] == [1.0, 1.0, 0.0]
    assert items.score(second, "1") == 1.0
    assert made == [3, 4]
