"""The steps of workings, line by line, on cases done by hand; they need no package."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import chain, combinations, product

import pytest

from tests.unit.thinkless_core.gym.statements import is_true, statements
from thinkless_core.gym.workings.days import days_between
from thinkless_core.gym.workings.logic import syllogism
from thinkless_core.gym.workings.place_value import combine, divide, multiply
from thinkless_core.gym.workings.table import WORKINGS

CASES = [
    ("chain_sum", "4", {"expression": "12 - 15 + 7"}, ["plus 12 7", "12+7=19", "minus 15", "19-10=9", "9-5=4"]),
    ("chain_sum", "-5", {"expression": "3 - 8"}, ["8-3=5", "3-8=-5"]),
    ("products", "192", {"expression": "16 * 12"}, ["10*10=100", "10*2=20", "6*10=60", "6*2=12", "100+20=120",
                                                    "120+60=180", "180+12=192"]),
    ("basic_arithmetic", "-8", {"expression": "4 - -( 2 * -6 )"}, ["2*6=12", "2*-6=-12", "4-12", "12-4=8", "4-12=-8"]),
    ("leg_counting", "22", {"animals": {"wasp": 3, "cat": 1}}, ["wasp 3*6=18", "cat 1*4=4", "18+4=22"]),
    ("letter_counting", "2", {"span": ["The", "tree"], "target_letter": "t"}, ["t h e: 0+1=1", "t r e e: 1+1=2"]),
    ("spell_backward", "nus", {"word": "sun"}, ["s u n", "n u s"]),
    ("number_sorting", "['-2.0', '7.0', '9.0']", {"original_numbers": ["9.0", "-2.0", "7.0"], "direction": "ascending",
                                                   "sorted_numbers": ["-2.0", "7.0", "9.0"]},
     ["9.0, -2.0, 7.0: -2.0", "9.0, 7.0: 7.0, 9.0"]),
    ("count_bits", "2", {"number": 10}, ["10 even 0", "5 odd 1", "2 even 1", "1 odd 2"]),
    ("gcd", "6", {"numbers": [12, 18]}, ["18=12*1+6", "12=6*2+0", "gcd 6"]),
    ("lcm", "36", {"numbers": [12, 18]}, ["18=12*1+6", "12=6*2+0", "gcd 6", "12/6=2", "2*10=20", "2*8=16", "20+16=36"]),
    ("fraction_simplification", "2/3", {"numerator": 12, "denominator": 18, "style": "plain"},
     ["18=12*1+6", "12=6*2+0", "gcd 6", "12/6=2", "18/6=3", "2/3"]),
    ("prime_factorization", "2 \u00d7 2 \u00d7 7", {"number": 28}, ["28=2*14", "14=2*7", "7=2*3+1", "7 is prime"]),
    ("base_conversion", "1a", {"source_repr": "101", "source_base": 5, "target_base": 16},
     ["1*5+0=5", "5*5+1=26", "26=16*1+10, digit a", "1=16*0+1", "1 a"]),
    ("simple_equations", "7", {"equation": "20 - 3*x = -1", "variable": "x"},
     ["3*x=1+20", "1+20=21", "3*x=21", "21/3=7", "x=7"]),
    ("calendar_arithmetic", "Friday", {"task": "weekday_offset", "start_date": "2022-01-02", "offset_days": -9},
     ["9=7*1+2", "2 back: Sunday, Saturday, Friday"]),
    ("calendar_arithmetic", "No", {"task": "is_leap_year", "year": 1900},
     ["1900 is a century: 19", "19=4*4+3", "rest 3: No"]),
    ("time_intervals", "02:58", {"start_time": "2020-01-01 19:44:00", "end_time": "2020-01-01 22:42:00",
                                 "expected_format": "HH:MM"},
     ["minutes 42-44=-2", "-2+60=58", "hours 22-19-1=2", "02:58"]),
    ("number_filtering", "['3']", {"original_numbers": ["3", "8"], "filter_value": "5", "operation": "remove_larger"},
     ["3 < 5 keep", "8 > 5 remove"]),
    ("word_sorting", "Zoe, cat", {"transformed_words": ["cat", "Zoe"], "direction": "ascending"},
     ["cat, Zoe: Zoe, cat"]),
    ("complex_arithmetic", "5.0 + 5.0i", {"num1": [1, 3], "num2": [2, -1], "operation": "*"},
     ["1*2=2", "3*-1=-3", "2+3=5", "1*-1=-1", "3*2=6", "-1+6=5", "5.0 + 5.0i"]),
    ("number_sequence", "17", {"sequence": [2, 5, 8, 11, 14, 17]},
     ["each time +3", "2+3=5", "5+3=8", "8+3=11", "11+3=14", "14+3=17"]),
    ("coin_flip", "0.75", {"num_trials": 2, "k_heads": 1, "problem_type": "at_least"},
     ["1: 1 1", "2: 1 2 1", "2+1=3", "3/4=3/4", "3/2=1.5", "1.5/2=0.75"]),
    ("dice", "1/2", {"puzzle": {"dice_str": "1d3, 1d2", "target": 4}},
     ["1 needs 3: 1", "2 needs 2: 2", "1+2=3", "3*2=6", "6=3*2+0", "gcd 3", "3/6=1/2"]),
    ("caesar_cipher", "AN EGG", {"cipher_text": "BO FHH", "rotation": 1}, ["B O", "1 back: A N", "F H H: E G G"]),
    ("gsm_symbolic", "6", {"answer_cot": "He has 2 + 4 = 6 pens.\n#### 6"}, ["He has 2 + 4 = 6 pens."]),
    ("knights_knaves", "Al is a knight, and Bo is a knave.",
     {"statements": [["lying", 1], ["and", ["lying", 0], ["lying", 1]]], "names": ["Al", "Bo"],
      "knight_knave_terms": {"knight": "knight", "knave": "knave", "a_knight": "a knight", "a_knave": "a knave"}},
     ["Al knight, Bo knight: says false, false, no", "Al knight, Bo knave: says true, false, yes"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer", "metadata", "steps"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_the_steps_are_those_of_a_person(name: str, answer: str, metadata: dict[str, object], steps: list[str]) -> None:
    working = WORKINGS[name]({"question": "", "answer": answer, "metadata": metadata})
    assert working is not None
    assert list(working.steps) == steps
    assert working.answer == answer


def test_a_relation_is_found_along_parents() -> None:
    story = "Ed is married to Abby. They have children called Jo and Kay. Jo is married to Lil. "
    question = f"{story}They have a child called Tim.\n\nWhat is Kay to Tim?"
    asked = {"question": question, "metadata": {"person1": "Kay", "person2": "Tim"}}
    working = WORKINGS["family_relationships"]({**asked, "answer": "aunt"})
    assert working is not None
    assert list(working.steps) == [
        "Tim is a child of Jo",
        "Jo is a child of Ed",
        "Kay is a child of Ed",
        "Kay is the aunt of Tim",
    ]
    assert WORKINGS["family_relationships"]({**asked, "answer": "nephew"}) is None


def test_the_sentence_that_answers_is_found() -> None:
    question = "Al hates dogs. Bo hates hot dogs. Cy likes dogs. \nWho hates dogs? Reply only with a name."
    working = WORKINGS["needle_haystack"]({"question": question, "answer": "Al", "metadata": {}})
    assert working == (("Al hates dogs",), "Al", ())


FORMS = ("All {} are {}", "No {} are {}", "Some {} are {}", "Some {} are not {}")
KINDS = tuple(product((False, True), repeat=3))
"""What somebody can be: (an ant or not, a bee or not, a cat or not)."""
MODELS = tuple(
    model
    for model in chain.from_iterable(combinations(KINDS, size) for size in range(1, len(KINDS) + 1))
    if all(any(kind[term] for kind in model) for term in range(3))
)
"""All worlds in which there is at least one of each."""


def holds(form: int, subject: int, predicate: int, model: tuple[tuple[bool, ...], ...]) -> bool:
    """Whether a statement is true in a world."""
    found = [kind[predicate] for kind in model if kind[subject]]
    return (all(found), not any(found), any(found), not all(found))[form]


@pytest.mark.parametrize("figure", list(product((False, True), repeat=3)))
def test_a_syllogism_is_judged_as_by_going_through_all_worlds(figure: tuple[bool, bool, bool]) -> None:
    terms, wrong = ("ants", "bees", "cats"), []
    pairs = [pair[::-1] if turned else pair for pair, turned in zip([(0, 1), (1, 2), (0, 2)], figure, strict=True)]
    for forms in product(range(4), repeat=3):
        worlds = [m for m in MODELS if all(holds(forms[n], *pairs[n], m) for n in (0, 1))]
        answer = "Yes" if all(holds(forms[2], *pairs[2], world) for world in worlds) else "No"
        texts = [FORMS[form].format(terms[one], terms[other]) for form, (one, other) in zip(forms, pairs, strict=True)]
        fields = dict(zip(("premise1", "premise2", "conclusion"), texts, strict=True))
        if syllogism({"question": "", "answer": answer, "metadata": fields}) is None:
            wrong.append((texts, answer))
    assert wrong == []


def test_lines_of_an_operation_are_true_and_end_with_its_result() -> None:
    for a, b in product((-407, -30, -8, 0, 5, 60, 99, 1003), repeat=2):
        for symbol in "+-":
            lines = combine(a, symbol, b)
            assert all(map(is_true, lines)), lines
            assert lines[-1].endswith(f"={a + b if symbol == '+' else a - b}")
        lines = multiply(a, b)
        assert all(map(is_true, lines)), lines
        assert lines[-1].endswith(f"={a * b}")
    for a, b in product((1, 4, 30, 276, 1020), (1, 3, 12, 98)):
        assert divide(a * b, b)[-1].endswith(f"/{b}={a}")


def test_days_between_two_dates_are_those_of_the_calendar() -> None:
    for start, later in product((date(2023, 12, 30), date(2024, 2, 1), date(1900, 2, 27)), range(100)):
        lines, days = days_between(start, start + timedelta(days=later), both=False)
        assert days == later
        assert lines[-1].endswith(f"={later}")


def test_a_false_statement_would_be_found() -> None:
    text = "plus 4\n12: 1+2=4, x=3\n3*x=9-2\n8/2=4\n0.5+1=1.5\n7=3*2+1\n2--1=3"
    assert list(statements(text)) == ["1+2=4", "8/2=4", "0.5+1=1.5", "7=3*2+1", "2--1=3"]
    assert [is_true(statement) for statement in statements(text)] == [False, True, True, True, True]
