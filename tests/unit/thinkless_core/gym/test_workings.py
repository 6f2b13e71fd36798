"""Workings of the tasks of reasoning_gym: their statements are true, and they lead to the package's own answer."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.thinkless_core.gym.statements import is_true, statements
from thinkless_core.gym.working import Working, thought
from thinkless_core.gym.workings.table import WORKINGS

NUM_ENTRIES = 60
CONFIGS: dict[str, tuple[dict[str, Any], ...]] = {
    "chain_sum": ({}, {"max_terms": 2, "max_digits": 1}, {"min_terms": 5, "allow_negation": True}),
    "count_bits": ({}, {"max_n": 63}),
    "gcd": ({}, {"max_numbers": 4, "max_value": 60}),
    "leg_counting": ({}, {"min_animals": 1, "max_animals": 1}),
    "letter_counting": ({}, {"min_words": 1, "max_words": 2}),
    "number_sorting": ({}, {"min_numbers": 2, "max_numbers": 2, "max_decimals": 0}),
    "products": ({"max_digits": 3}, {"min_terms": 3, "max_terms": 3, "max_digits": 2, "allow_negation": True}),
    "simple_equations": ({}, {"max_value": 9, "operators": ["+", "-"], "operators_weights": [0.5, 0.5]}),
    "spell_backward": ({}, {"max_word_len": 3}),
}
"""Easy and hard configurations of every task."""
WITHOUT_ARITHMETIC = {"number_sorting", "spell_backward"}
CASES = [(name, config) for name, configs in CONFIGS.items() for config in configs]


def test_every_task_of_the_table_is_tried() -> None:
    assert set(CONFIGS) == set(WORKINGS)


@pytest.mark.parametrize(("name", "config"), CASES, ids=[f"{name}-{config}" for name, config in CASES])
def test_workings_are_true_and_lead_to_the_answer(name: str, config: dict[str, Any]) -> None:
    gym = pytest.importorskip("reasoning_gym", reason="reasoning_gym is not installed: pip install reasoning-gym")
    dataset = gym.create_dataset(name, size=NUM_ENTRIES, seed=11, **config)
    entries = [dataset[index] for index in range(NUM_ENTRIES)]
    workings = [(working, entry) for entry in entries if (working := WORKINGS[name](entry)) is not None]
    assert len(workings) >= 0.95 * NUM_ENTRIES
    num_statements = 0
    for working, entry in workings:
        assert working.answer == entry["answer"]
        assert dataset.score_answer(working.answer, entry) == 1.0
        text = thought(working, rechecks=1)
        found = list(statements(text))
        assert [statement for statement in found if not is_true(statement)] == [], text
        num_statements += len(found)
        assert shows_answer(working), text
    assert (num_statements > 0) == (name not in WITHOUT_ARITHMETIC)


def shows_answer(working: Working) -> bool:
    """Whether all words and numbers of the answer are in the last step, or each of them ends a step or follows it."""
    parts = re.findall(r"-?[\w.]+", working.answer)
    last = working.steps[-1]
    if all(re.search(rf"(?<![\w.]){re.escape(part)}(?![\w.])", last) for part in parts):
        return True
    if "".join(last.split()) == working.answer:
        return True
    picks = [pick for step in working.steps for pick in step.rpartition(": ")[2].split(", ")]
    return picks == parts


def test_a_false_statement_would_be_found() -> None:
    text = "plus 4\n12: 1+2=4, x=3\n3*x=9-2\n8/2=4\n0.5+1=1.5\n7=3*2+1"
    assert list(statements(text)) == ["1+2=4", "8/2=4", "0.5+1=1.5", "7=3*2+1"]
    assert [is_true(statement) for statement in statements(text)] == [False, True, True, True]


@pytest.mark.parametrize("name", sorted(WORKINGS))
def test_an_entry_of_an_unknown_shape_has_no_working(name: str) -> None:
    assert WORKINGS[name]({"question": "What?", "answer": "7", "metadata": {}}) is None


def test_an_entry_with_another_answer_than_the_steps_has_no_working() -> None:
    entry = {"question": "37 + 48 =", "answer": "84", "metadata": {"expression": "37 + 48"}}
    assert WORKINGS["chain_sum"](entry) is None
    assert WORKINGS["chain_sum"]({**entry, "answer": "85"}) is not None


def test_a_thought_has_the_steps_and_then_as_many_checks_as_asked_for() -> None:
    working = Working(("37+40=77", "77+8=85"), "85", ("48+37=85",))
    assert thought(working, rechecks=0) == "37+40=77\n77+8=85"
    assert thought(working, rechecks=2) == ("37+40=77\n77+8=85\nLet me check.\n48+37=85\nOnce more:\n48+37=85")
    assert thought(Working(("5+1=6",), "6"), rechecks=1) == "5+1=6\nLet me check.\n5+1=6"
