"""Graded completions made by hand, for what is computed from evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from tests.specimens import make_problem
from thinkless_core.grading.paper import PaperVerifier
from thinkless_core.grading.strict import grade_batch
from thinkless_core.seeding import random_stream


def graded(
    problem_id: str,
    mode: EvalMode,
    *,
    correct: bool,
    num_tokens: int,
    p_think: float = 0.5,
    sample: int = 0,
    chosen_mode: Mode | None = None,
) -> EvalCompletion:
    """One graded completion of model `m` on benchmark `b`; in mode auto, without a chosen mode it is malformed."""
    chosen = mode.forced or chosen_mode
    return EvalCompletion(
        completion_id=f"m-{mode}-{problem_id}-{sample}",
        model="m",
        benchmark="b",
        mode=mode,
        problem_id=problem_id,
        difficulty=None,
        sample=sample,
        chosen_mode=chosen,
        completion="",
        answer=None,
        correct=correct,
        num_tokens=num_tokens,
        truncated=False,
        malformed=chosen is None,
        fake_short=False,
        p_think=p_think,
        grader="hand",
        correct_paper=correct,
    )


class Outcome(NamedTuple):
    """One problem in all three modes, one sample each."""

    short: tuple[bool, int]
    """Correct, tokens."""
    think: tuple[bool, int]
    p_think: float = 0.5
    auto: Mode | None = Mode.SHORT
    """What mode auto chose; None: malformed, of 6 tokens."""


def evaluated(outcomes: dict[str, Outcome], *, sample: int = 0) -> list[EvalCompletion]:
    """The three cells of these problems."""
    rows = []
    for problem, outcome in outcomes.items():
        free = {Mode.SHORT: outcome.short, Mode.THINK: outcome.think, None: (False, 6)}[outcome.auto]
        for mode, (correct, num_tokens) in zip(EvalMode, (free, outcome.short, outcome.think), strict=True):
            rows.append(
                graded(
                    problem,
                    mode,
                    correct=correct,
                    num_tokens=num_tokens,
                    p_think=outcome.p_think,
                    sample=sample,
                    chosen_mode=outcome.auto,
                )
            )
    return rows


def random_evaluation(num_problems: int, *, num_samples: int = 1, seed: int = 0) -> list[EvalCompletion]:
    """Cells in which everything varies."""
    stream = random_stream("evaluation", seed)
    p_think = stream.random(num_problems)
    rows: list[EvalCompletion] = []
    for sample in range(num_samples):
        outcomes = {
            f"p{i}": Outcome(
                (bool(stream.integers(2)), int(stream.integers(2, 6))),
                (bool(stream.random() < 0.8), int(stream.integers(4, 30))),
                float(p_think[i]),
                (Mode.SHORT, Mode.THINK, None)[int(stream.integers(3))],
            )
            for i in range(num_problems)
        }
        rows += evaluated(outcomes, sample=sample)
    return rows


def with_tasks(rows: list[EvalCompletion], kinds: Mapping[str, tuple[str | None, int]]) -> list[EvalCompletion]:
    """The same completions, of problems with these tasks and levels."""
    return [
        row.model_copy(update={"task": kinds[row.problem_id][0], "difficulty": kinds[row.problem_id][1]})
        for row in rows
    ]


def is_correct_paper(completion: str, *, reference: str) -> bool:
    """Whether the paper's verifier calls a completion right."""
    return PaperVerifier().judge(make_problem("?", answer=reference), completion).correct


def is_correct(answer: str | None, *, reference: str) -> bool:
    """Whether the strict grader takes an extracted value for the reference value; None never is."""
    return grade_batch([answer], [reference])[0].correct
