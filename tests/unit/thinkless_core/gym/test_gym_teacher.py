"""The teacher of reasoning_gym's problems: short answers, worked steps, re-checks at times."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.configs.gym import GymTeacher
from schemas.errors import TeacherError
from schemas.mode import Mode
from schemas.records.problems import Problem
from tests.unit.thinkless_core.gym.gym_problems import problems_of
from thinkless_core.grading.verifier import judge_completions
from thinkless_core.gym.working import FIRST_CHECK
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.teachers.reply import TeacherReply

pytest.importorskip("reasoning_gym", reason="needs reasoning-gym: pip install 'thinkless-flows[gym]'")


def answers(problems: list[Problem], mode: Mode, **settings: Any) -> list[TeacherReply]:
    teacher = GymTeacher.model_validate(settings).build(tokenizer=tiny_tokenizer())
    return list(teacher.answer(problems, mode=mode, max_tokens=1000, seed=3))


EASY = {"name": "chain_sum", "level": 1, "config": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 2}}
WORDS = {"name": "spell_backward", "level": 2, "config": {"min_word_len": 4, "max_word_len": 6}}


def test_both_sides_solve_the_problem_and_thoughts_recheck_themselves_at_times() -> None:
    problems = problems_of(EASY, WORDS, num_problems=60)
    short, think = answers(problems, Mode.SHORT), answers(problems, Mode.THINK)
    assert [reply.text for reply in short] == [problem.answer for problem in problems]
    for mode, replies in ((Mode.SHORT, short), (Mode.THINK, think)):
        texts = [f"{mode.token}{reply.text}" for reply in replies]
        assert all(verdict is not None and verdict.correct for verdict in judge_completions(problems, texts))
    easy = [FIRST_CHECK in r.text for r, p in zip(think, problems, strict=True) if p.difficulty == 1]
    assert 0.2 < sum(easy) / len(easy) < 0.6  # 0.4 expected
    assert [r.text for r in answers(problems, Mode.THINK)] == [r.text for r in think]


def test_rechecks_follow_their_weights() -> None:
    problems = problems_of(EASY, num_problems=10)
    assert not any(FIRST_CHECK in reply.text for reply in answers(problems, Mode.THINK, recheck_weights=(1.0,)))
    assert all(reply.text.count("\n") >= 2 for reply in answers(problems, Mode.THINK, recheck_weights=(0.0, 0.0, 1.0)))


def test_a_task_without_a_program_is_named() -> None:
    problems = problems_of({"name": "sudoku"}, num_problems=1)
    with pytest.raises(
        TeacherError, match=r"no program works out the task 'sudoku' of reasoning_gym \(there are .*sum"
    ):
        answers(problems, Mode.THINK)
