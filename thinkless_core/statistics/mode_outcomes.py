"""Outcomes of both forced modes of one model on the same problems: everything that a choice of mode can lead to.

EvalCompletions of one model and benchmark -> ModeOutcomes -> expected(think_P) -> accuracy_P, tokens_P

Every mode of a problem has the same random stream, and a forced completion equals the free one that chose the same
mode. So whatever chooses the mode, with probability think_P per problem, its expected accuracy and tokens follow from
the forced completions alone, exactly and without another sample. What remains uncertain is which problems were asked
and which answers were drawn, and that the standard errors over problems contain.

Shapes: P problems. `think_P` is a probability of thinking, one per problem.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.errors import EvaluationError
from schemas.mode import EvalMode
from schemas.records.eval_completions import EvalCompletion
from thinkless_core.statistics.intervals import mean_per_problem, score_accuracy, score_tokens

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ModeOutcomes:
    """Means over each problem's samples, in both forced modes."""

    model: str
    benchmark: str
    problem_ids: tuple[str, ...]
    short_accuracy_P: Floats
    think_accuracy_P: Floats
    short_tokens_P: Floats
    think_tokens_P: Floats
    p_think_P: Floats
    """P(<think>) over both control tokens at temperature 1."""
    tasks_P: tuple[str | None, ...]
    levels_P: tuple[int | None, ...]
    """Difficulty within the task."""

    @classmethod
    def of(cls, completions: Sequence[EvalCompletion]) -> ModeOutcomes:
        """From the completions of one model on one benchmark; those of mode auto are passed over.

        Raises EvaluationError unless both forced modes were asked the same problems, equally often.
        """
        cells = {mode: [c for c in completions if c.mode is mode] for mode in (EvalMode.SHORT, EvalMode.THINK)}
        short, think = cells[EvalMode.SHORT], cells[EvalMode.THINK]
        asked = [sorted((c.problem_id, c.sample) for c in cell) for cell in (short, think)]
        samples = {problem: 0 for problem, _ in asked[0]}
        for problem, _ in asked[0]:
            samples[problem] += 1
        if not short or asked[0] != asked[1] or len(set(samples.values())) != 1:
            raise EvaluationError(
                f"forced short has {len(short)} and forced think {len(think)} completions, expected the same problems "
                "and samples in both, equally many for each; evaluate both modes on the whole benchmark"
            )
        assert len({(c.model, c.benchmark) for c in completions}) == 1, "outcomes of several models or benchmarks"
        problem_ids = tuple(samples)
        kinds = {c.problem_id: (c.task, c.difficulty) for c in short}

        def column(scores: Mapping[str, float]) -> Floats:
            return np.array([scores[problem] for problem in problem_ids])

        return cls(
            model=short[0].model,
            benchmark=short[0].benchmark,
            problem_ids=problem_ids,
            short_accuracy_P=column(mean_per_problem(short, score_accuracy)),
            think_accuracy_P=column(mean_per_problem(think, score_accuracy)),
            short_tokens_P=column(mean_per_problem(short, score_tokens)),
            think_tokens_P=column(mean_per_problem(think, score_tokens)),
            p_think_P=column({c.problem_id: c.p_think for c in short}),
            tasks_P=tuple(kinds[problem][0] for problem in problem_ids),
            levels_P=tuple(kinds[problem][1] for problem in problem_ids),
        )

    def expected(self, think_P: Floats) -> tuple[Floats, Floats]:
        """Expected accuracy (P,) and tokens (P,) where each problem is thought about with probability `think_P`."""
        accuracy_P = self.short_accuracy_P + think_P * (self.think_accuracy_P - self.short_accuracy_P)
        tokens_P = self.short_tokens_P + think_P * (self.think_tokens_P - self.short_tokens_P)
        return accuracy_P, tokens_P

    def oracle_choice(self) -> npt.NDArray[np.bool_]:
        """Where the oracle thinks (P,): where think is right more often, or as often and at fewer tokens."""
        gain_P = self.think_accuracy_P - self.short_accuracy_P
        thinks_P: npt.NDArray[np.bool_] = (gain_P > 0) | ((gain_P == 0) & (self.think_tokens_P < self.short_tokens_P))
        return thinks_P

    def group_choice(self, groups_P: Sequence[Hashable]) -> npt.NDArray[np.bool_]:
        """Where one mode for each group of problems is think (P,): the oracle's rule on the means over a group.

        Means that are equal may differ in their last digit as sums; a difference below 1e-9 is none.
        """
        thinks_P = np.zeros(len(self.problem_ids), dtype=np.bool_)
        for group in set(groups_P):
            members_P = np.array([other == group for other in groups_P])
            gain = round(float((self.think_accuracy_P - self.short_accuracy_P)[members_P].mean()), 9)
            saved = round(float((self.short_tokens_P - self.think_tokens_P)[members_P].mean()), 9)
            thinks_P[members_P] = gain > 0 or (gain == 0 and saved > 0)
        return thinks_P


def stderr_of_mean(values_P: Floats) -> float:
    """Standard error of a mean over problems, one value each; 0 for a single problem, which shows no spread.

    For equally many samples of each problem, averaged first, this is `evaluation.clustered_stderr`.
    """
    num_problems = len(values_P)
    return float(values_P.std(ddof=1)) / math.sqrt(num_problems) if num_problems > 1 else 0.0
