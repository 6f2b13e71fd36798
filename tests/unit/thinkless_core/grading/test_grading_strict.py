"""Grading in detail: exact comparison, the processes behind math-verify, and the paper's lenient rules."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from schemas.errors import EvaluationError
from tests.unit.thinkless_core.grading.graded import is_correct, is_correct_paper
from thinkless_core.grading import worker
from thinkless_core.grading.closed_form import settle
from thinkless_core.grading.pool import GradingPool, GradingProcess, shared_pool
from thinkless_core.grading.strict import Reason, grade_batch
from thinkless_core.grading.units import split_unit

ROOT = Path(__file__).parents[4]
HANGS = ["9^{9^{9^9}}", "10^{10^{10}}!", "(" * 300 + "1" + ")" * 300]


@pytest.mark.parametrize("value", HANGS)
def test_a_value_that_hangs_sympy_is_wrong_and_the_next_one_is_graded(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        verdicts = grade_batch([value, "\\ln(9)"], ["3", "2\\ln(3)"], timeout_seconds=1.0, workers=1)
    assert [v.reason for v in verdicts] == [Reason.TIMEOUT, Reason.SYMBOLIC]
    assert [v.correct for v in verdicts] == [False, True]
    assert "1 s of processor time" in caplog.text


def test_a_hang_costs_its_time_limit_once_however_often_it_is_met() -> None:
    answers = ["8^{9^{9^9}}"] * 40
    assert not any(g.correct for g in grade_batch(answers, ["3"] * 40, timeout_seconds=1.0))
    started = time.process_time()
    assert not any(g.correct for g in grade_batch(answers, ["3"] * 40, timeout_seconds=1.0))
    assert time.process_time() - started < 0.5, "the verdict is remembered"


def test_verdicts_keep_the_order_of_the_batch_whichever_process_is_faster() -> None:
    answers = [f"\\sqrt{{{8 * n * n}}}!" for n in range(1, 9)] * 20
    references = [f"({2 * n + (n % 3 == 0)}\\sqrt{{2}})!" for n in range(1, 9)] * 20
    expected = [n % 3 != 0 for n in range(1, 9)] * 20
    assert [g.correct for g in grade_batch(answers, references, workers=2)] == expected


def test_an_empty_batch_is_no_batch() -> None:
    assert grade_batch([], []) == []
    with pytest.raises(ValueError, match="zip"):
        grade_batch(["1"], [])


def test_plain_answers_start_no_process_and_load_no_sympy() -> None:
    script = """
import sys
from thinkless_core.grading.strict import grade_batch
from thinkless_core.grading.pool import shared_pool
assert [g.correct for g in grade_batch(["7", "\\\\frac{1}{2}"], ["7.0", "0.6"])] == [True, False]
print(shared_pool().num_started, sorted({"sympy", "math_verify", "torch", "transformers"} & set(sys.modules)))
"""
    finished = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert finished.stdout.split("\n")[0] == "0 []"


def test_a_process_that_dies_is_told_from_one_that_ran_out_of_time() -> None:
    process = GradingProcess()
    assert process.compare("x+x", "2x", timeout_seconds=10) == "equal"
    os.kill(process._process.pid, signal.SIGKILL)
    assert process.compare("x+x", "2x", timeout_seconds=10) == "crashed"
    assert not process.alive


def test_a_pool_replaces_a_dead_process_and_keeps_a_living_one() -> None:
    pool = GradingPool()
    pairs = [("x+x", "2x"), ("9^{9^{9^9}}", "3"), ("x+x", "3x")]
    assert pool.compare(pairs, timeout_seconds=1, workers=1) == ["equal", "timeout", "different"]
    assert pool.num_started == 2
    assert pool.compare(pairs[:1], timeout_seconds=5, workers=4) == ["equal"]
    assert pool.num_started == 2
    pool.close()


def test_a_grading_process_ends_with_its_input() -> None:
    command = [sys.executable, "-P", worker.__file__]
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert (finished.returncode, finished.stdout) == (0, "ready\n")


def test_without_math_verify_the_error_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'math_verify'\" >&2\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(EvaluationError, match=r"status 1 .*math_verify.*install"):
        GradingPool().compare([("x", "y")], timeout_seconds=1, workers=1)


def test_the_pool_belongs_to_one_process() -> None:
    assert shared_pool() is shared_pool()


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ("\\frac{2}{4}", "0.5", True),
        ("2^{-3}", "0.125", True),
        ("-2^2", "-4", True),  # a power binds more strongly than a sign
        ("1-2-3", "-4", True),  # from left to right
        ("8/2/2", "2", True),
        ("\\frac12", "\\frac{1}{2}", True),  # in TeX a bare fraction takes one digit each
        ("1\\frac{1}{2}", "\\frac{3}{2}", True),
        ("\\sqrt{\\frac{4}{9}}", "\\frac{2}{3}", True),
        ("2^{2000}", "2^{2000}+1", False),  # exact beyond any float
        ("x", "y", False),
        ("X", "x", None),
        ("x-x", "0", None),
        ("(x+1)(x-1)", "x^2-1", True),
        ("(x+1)(x-1)", "x^2-2", False),
        ("ab+ac", "a(c+b)", True),
        ("\\frac{x^2-1}{x-1}", "1+x", True),
        ("\\frac{\\theta}{2}", "0.5\\theta", True),
        ("x^{99}+1", "1+x^{99}", True),
        ("x^{99}+1", "1+x^{98}", False),
        ("\\sqrt{8}", "2\\sqrt{2}", True),
        ("\\sqrt{8x^2}", "2\\sqrt{2}x", None),  # equal at one point is not equal
        ("\\sqrt{x^2}", "x", None),
        ("0.3333333", "\\frac{1}{3}", None),
        ("1/2x", "0.5x", None),  # half of x, or one over 2x
        ("\\frac{1}{0}", "0", None),
        ("2^{99999}", "1", None),
        ("3!", "6", True),
        ("ln 2", "0.69314718", None),
        ("\\sqrt" * 400 + "2", "1", None),
        ("(" * 100 + "1" + ")" * 100, "1", None),
    ],
)
def test_formulas_are_settled_exactly_or_not_at_all(first: str, second: str, verdict: bool | None) -> None:
    assert settle(first, second) is verdict
    assert settle(second, first) is verdict


@pytest.mark.parametrize(
    ("latex", "value", "unit"),
    [
        ("15\\text{ cm}^2", "15", "centimeter^2"),
        ("9 cubic feet", "9", "foot^3"),
        ("\\frac{1}{2} \\text{ hours}", "\\frac{1}{2}", "hour"),
        ("60 miles/hour", "60", "hour^-1 mile"),
        ("5 thousand dollars", "5000", "dollar"),
        ("5 or more", "5 or more", ""),
        ("2x", "2x", ""),
        ("\\text{no digit}", "\\text{no digit}", ""),
    ],
)
def test_a_unit_is_split_off_a_value(latex: str, value: str, unit: str) -> None:
    assert split_unit(latex) == (value, unit)


def test_very_long_values_are_compared_letter_by_letter() -> None:
    assert is_correct("x+" * 600 + "1", reference="x+" * 600 + "1.")
    assert not is_correct("x+" * 600 + "1", reference="x+" * 600 + "2")
    assert not is_correct("(" * 5000, reference="1")
    assert not is_correct("1" * 6000, reference="1" * 5999)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("\\frac34", "\\frac35"),
        ("\\frac{3}{4}", "\\frac{3}{5}"),
        ("3x+1", "3y-7"),
        ("-2", "2"),
        ("5", "\\sqrt5"),
        ("[2,7)", "(2,5]"),
    ],
)
def test_the_papers_rules_accept_what_begins_with_the_same_number(answer: str, reference: str) -> None:
    assert is_correct_paper(f"<short>\\boxed{{{answer}}}", reference=reference)
    assert not is_correct(answer, reference=reference)


@pytest.mark.parametrize(
    ("completion", "reference", "correct"),
    [
        ("<think>so \\boxed{7} but wait", "7", True),  # a box in thinking that never ended
        ("<think>\\boxed{8}</think>\\boxed{7}", "7", True),  # the last box
        ("<think>x</think><answer>7</answer> 8", "7", True),  # a tag comes before the last number
        ("<answer>8</answer>\\boxed{7}", "7", True),  # a box comes before a tag
        ("5 and then 1,007", "1007", True),  # the last number, commas gone
        ("no control token: 7", "7", True),
        ("7 and then 8", "7", False),
        ("\\boxed{8}", "7", False),
        ("\\boxed{east}", "\\text{east}", False),  # no number, another spelling
        ("nothing", "7", False),
        ("", "7", False),
    ],
)
def test_the_papers_rules_read_the_whole_completion(completion: str, reference: str, correct: bool) -> None:
    assert is_correct_paper(completion, reference=reference) is correct
