"""Verifiers: the shipped ones, one of a user's own by file and by package, each problem judged by the one it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.configs.loading import load_config
from schemas.errors import ConfigError, EvaluationError
from schemas.mode import Mode
from schemas.records.problems import Problem, ProblemSplit
from tests.plugins import write_package
from tests.specimens import make_problem, tiny_tokenizer
from thinkless_core.grading.verdict import Outcome, Verdict
from thinkless_core.grading.verifier import judge_completions
from thinkless_core.problems.problem_set import build_problem_set
from thinkless_core.teachers.asking import ask_teacher

ROUNDED = '''
from thinkless_core.grading.extraction import extract_answer
from thinkless_core.grading.verdict import Outcome, Verdict
from thinkless_core.grading.verifier import Verifier

class Rounded(Verifier):
    """Numbers that agree to two decimals."""

    def judge(self, problem, completion):
        answer = extract_answer(completion)
        try:
            right = round(float(answer), 2) == round(float(problem.answer), 2)
        except (TypeError, ValueError):
            return Verdict(Outcome.UNREADABLE, answer, reason="no number")
        return Verdict(Outcome.CORRECT if right else Outcome.WRONG, answer, score=float(right))
'''


@pytest.fixture
def by_file(tmp_path: Path) -> str:
    """The verifier's class in a file."""
    (tmp_path / "my_verifier.py").write_text(ROUNDED)
    return f"{tmp_path / 'my_verifier.py'}:Rounded"


def named(verifier: str, answer: str) -> Problem:
    """A problem that this verifier judges."""
    return make_problem("q", answer=answer).model_copy(update={"verifier": verifier})


def test_each_problem_is_judged_by_the_verifier_it_names(by_file: str) -> None:
    problems = [named("strict", "1/3"), named(by_file, "0.333"), named("paper", r"\frac34"), named("strict", "0.333")]
    completions = ["<short>\\frac{1}{3}", "<short>0.3333", r"<think>\boxed{\frac35}", "<short>0.3333"]
    verdicts = judge_completions(problems, completions)
    assert [v.outcome for v in verdicts] == [Outcome.CORRECT, Outcome.CORRECT, Outcome.CORRECT, Outcome.WRONG]
    assert [v.answer for v in verdicts] == [r"\frac{1}{3}", "0.3333", r"\frac35", "0.3333"]
    assert judge_completions([], []) == []


def test_the_strict_verifier_says_what_it_cannot_read_and_why() -> None:
    problems = [named("strict", "7"), named("strict", "7"), named("strict", "7")]
    verdicts = judge_completions(problems, ["<think>never ends", "<short>8", "<short>7"])
    assert verdicts == [
        Verdict(Outcome.UNREADABLE, None, "missing"),
        Verdict(Outcome.WRONG, "8", "different"),
        Verdict(Outcome.CORRECT, "7", score=1.0),
    ]


def test_a_source_names_the_verifier_of_its_problems_and_teachers_are_judged_by_it(
    by_file: str, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "11+22=?", "answer": "3.001"}\n{"prompt": "11+33=?", "answer": "9"}\n')
    settings = f'{{kind="local", path="{rows}", verifier="{by_file}"}}'
    config = load_config("tiny", overrides=[f"problems.source={settings}"])
    assert [verifier.name for verifier in config.problems.verifiers()] == [by_file, "strict"]
    problems = [p for p in build_problem_set(config.problems).problems if p.split is ProblemSplit.SFT]
    assert {p.verifier for p in problems} == {by_file}
    teacher = config.teach.short.teacher.build(tokenizer=tiny_tokenizer())
    made = ask_teacher(teacher, problems, mode=Mode.SHORT, max_tokens=8, seed=0)
    assert {g.prompt: (g.answer, g.correct) for g in made} == {"11+22=?": ("3", True), "11+33=?": ("4", False)}


def test_a_verifier_of_an_installed_package_is_chosen_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_package(tmp_path, "rounding_pack", ROUNDED, entry_points={"thinkless.verifiers": {"rounded": "Rounded"}})
    monkeypatch.syspath_prepend(tmp_path)
    config = load_config("tiny", overrides=["problems.source.verifier=rounded"]).problems
    assert list(type(config.verifiers()[0]).source_files()) == ["rounding_pack/__init__.py", "rounding_pack/kinds.py"]
    assert judge_completions([named("rounded", "2.001")], ["<short>2.0"])[0].correct
    with pytest.raises(ConfigError, match=r"problems.source.verifier: unknown name 'rouded'; did you mean 'rounded'\?"):
        load_config("tiny", overrides=["problems.source.verifier=rouded"])


WRONG = {
    "no method": ("pass", "has no method `judge`"),
    "a truth value": (
        "def judge(self, problem, completion): return True",
        "got True for problem p-q, expected a Verdict",
    ),
    "correct without an answer": (
        "def judge(self, problem, completion): return Verdict(Outcome.CORRECT, None)",
        "a correct one names the answer that was read",
    ),
    "a failure": (
        "def judge(self, problem, completion): return 1 / 0",
        "ZeroDivisionError on an answer to problem p-q",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_verifier_of_ones_own_does_wrong_is_said_with_the_way_out(name: str, tmp_path: Path) -> None:
    body, said = WRONG[name]
    head = (
        "from thinkless_core.grading.verdict import Outcome, Verdict\n"
        "from thinkless_core.grading.verifier import Verifier\nclass Mine(Verifier):\n    "
    )
    (tmp_path / "mine.py").write_text(head + body + "\n")
    with pytest.raises(EvaluationError, match=said):
        judge_completions([named(f"{tmp_path / 'mine.py'}:Mine", "1")], ["<short>1"])


def test_a_verifier_that_is_no_longer_there_is_named_with_its_problem_table() -> None:
    with pytest.raises(EvaluationError, match=r"problems name the verifier 'absent.py:Mine', which cannot be used: .*"):
        judge_completions([named("absent.py:Mine", "1")], ["<short>1"])
