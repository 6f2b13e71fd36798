"""Results of one run of a study, and the numbers that claims are measured by.

evaluation rows + training curves + guard events of one (condition, seed) -> MemberResults -> one number per question

Think and short counts are those of free rollouts: a mode that a guard forces is not a mode that the policy chose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from schemas.errors import EvaluationError
from schemas.mode import EvalMode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_routers import RouterScore
from schemas.records.eval_summary import EvalSummary
from schemas.records.guard_events import GuardEvent

WINDOW_STEPS = 10
"""Steps that are averaged at the beginning and at the end of a run, and by the moving average between."""


@dataclass(frozen=True)
class MemberResults:
    """One finished run."""

    condition: str
    seed: int
    summary: Sequence[EvalSummary]
    routers: Sequence[RouterScore]
    completions: Sequence[EvalCompletion]
    """The policy's, in all modes."""
    curves: Mapping[str, Sequence[float]]
    """Training metric -> its values, in the order of steps."""
    guard_events: Sequence[GuardEvent] = ()

    @property
    def solves_nothing(self) -> bool:
        """Whether the policy was measured, and was wrong on every problem in every mode."""
        accuracies = [row.accuracy for row in self.summary if row.model == "rl"]
        return bool(accuracies) and not any(accuracies)

    def cell(self, benchmark: str, mode: EvalMode, *, model: str = "rl") -> EvalSummary:
        """One cell of the result table; raises EvaluationError if it was not measured."""
        for row in self.summary:
            if (row.model, row.benchmark, row.mode) == (model, benchmark, mode):
                return row
        raise EvaluationError(
            f"condition {self.condition}, seed {self.seed}: no measurement of model {model} on {benchmark} in mode "
            f"{mode}; add {model!r} to its override evaluate.models, or correct the benchmark in the study file"
        )

    def router(self, benchmark: str, router: str) -> RouterScore:
        """One router of the policy; raises EvaluationError if it was not measured."""
        for row in self.routers:
            if (row.model, row.benchmark, row.router) == ("rl", benchmark, router):
                return row
        raise EvaluationError(
            f"condition {self.condition}, seed {self.seed}: no router {router} on {benchmark}; correct the benchmark "
            "in the study file"
        )

    def curve(self, name: str) -> Sequence[float]:
        """One training metric; raises EvaluationError if it was not logged."""
        if not self.curves.get(name):
            known = ", ".join(sorted(self.curves)) or "none"
            raise EvaluationError(
                f"condition {self.condition}, seed {self.seed}: training logged no {name!r} (it has {known})"
            )
        return self.curves[name]

    def think_shares(self) -> list[float]:
        """Share of thinking among the free rollouts that chose a mode, per step; steps without any are left out."""
        counts = zip(self.curve("free_think_count"), self.curve("free_short_count"), strict=True)
        return [think / (think + short) for think, short in counts if think + short]

    def rarer_mode_share(self) -> float:
        """Share of the mode chosen less often, over the last window."""
        last = self.think_shares()[-WINDOW_STEPS:]
        share = math.fsum(last) / len(last)
        return min(share, 1 - share)

    def rise_and_fall(self) -> tuple[float, float]:
        """How far the smoothed think share climbs from its start to its top, and falls from there to its end."""
        smooth = moving_average(self.think_shares())
        top = max(smooth)
        return top - smooth[0], top - smooth[-1]

    def steps_to_commit(self) -> float:
        """First step at which the smoothed entropy of the mode choice is half of what it began with.

        The number of steps plus one if that never happens.
        """
        smooth = moving_average(self.curve("control_entropy"))
        for step, entropy in enumerate(smooth, start=1):
            if entropy <= smooth[0] / 2:
                return float(step)
        return float(len(smooth) + 1)

    def num_problems(self, benchmark: str) -> int:
        """Distinct problems of a benchmark that it answered in mode auto."""
        return len({row.problem_id for row in self._free(benchmark)})

    def undecided_share(self, benchmark: str) -> float:
        """Share of a benchmark's problems with 0.05 < P(think) < 0.95."""
        chances = [row.p_think for row in self._free(benchmark)]
        return sum(0.05 < chance < 0.95 for chance in chances) / len(chances) if chances else 0.0

    def smallest_step_in_difficulty(self, benchmark: str) -> float:
        """Smallest rise of the mean P(think) from one difficulty to the next; below 0 if it falls somewhere.

        Levels of different tasks are not compared: a rise is one within a task. Raises EvaluationError if no task has
        two difficulties.
        """
        by_task: dict[str | None, dict[int, list[float]]] = {}
        for row in self._free(benchmark):
            if row.difficulty is not None:
                by_task.setdefault(row.task, {}).setdefault(row.difficulty, []).append(row.p_think)
        rises = [
            math.fsum(later) / len(later) - math.fsum(earlier) / len(earlier)
            for levels in by_task.values()
            for (_, earlier), (_, later) in pairwise(sorted(levels.items()))
        ]
        if not rises:
            most = max(map(len, by_task.values()), default=0)
            raise EvaluationError(
                f"benchmark {benchmark} has {most} difficulties of one kind of problem, expected at least 2; name "
                "another benchmark in the study file"
            )
        return min(rises)

    def _free(self, benchmark: str) -> list[EvalCompletion]:
        """The completions in mode auto."""
        return [row for row in self.completions if (row.benchmark, row.mode) == (benchmark, EvalMode.AUTO)]


def moving_average(values: Sequence[float]) -> list[float]:
    """Mean of each run of WINDOW_STEPS neighbours (of all values where there are fewer)."""
    width = min(WINDOW_STEPS, len(values))
    return [math.fsum(values[start : start + width]) / width for start in range(len(values) - width + 1)]
