"""Stage `problems`: sources -> normalised, deduplicated, decontaminated problems, split for warm-up, RL and tests."""

from __future__ import annotations

from pathlib import Path

from schemas.configs.problems import ProblemsConfig
from schemas.records.conflicting_answers import ConflictingAnswer
from schemas.records.dropped import DroppedRow
from schemas.records.problems import Problem
from schemas.records.removed_problems import RemovedProblem
from schemas.records.unreadable_answers import UnreadableAnswer
from tasks.running.context import RunContext
from tasks.running.parquet_files import write_table
from tasks.running.stage import Gate, Stage, StageOutcome, StagePlan, unchanged_files
from thinkless_core.progress import Progress


class PrepareProblems(Stage[ProblemsConfig]):
    """Prepares training problems and benchmarks."""

    name = "problems"
    config = ProblemsConfig
    tables = (Problem, DroppedRow, RemovedProblem, UnreadableAnswer, ConflictingAnswer)

    def build(
        self, plan: StagePlan[ProblemsConfig], context: RunContext, workspace: Path, progress: Progress
    ) -> StageOutcome:
        """Write the problems, the rows that were left out, and tables with more about some of these.

        Raises SourceError for a file that changes meanwhile.
        """
        from infra.validation.suites import problems_suite
        from thinkless_core.problems.problem_set import build_problem_set

        with unchanged_files(plan):
            problem_set = build_problem_set(plan.config, folder=workspace)
        rows = write_table(workspace, Problem, problem_set.problems)
        write_table(workspace, DroppedRow, problem_set.dropped)
        write_table(workspace, RemovedProblem, problem_set.removed)
        write_table(workspace, UnreadableAnswer, problem_set.unreadable)
        write_table(workspace, ConflictingAnswer, problem_set.conflicts)
        progress(1, 1, {"problems": float(rows)}, problem_set.notes)
        suite = problems_suite(benchmarks=tuple(plan.config.benchmarks))
        return StageOutcome(rows=rows, gates=(Gate(Problem.FILE, suite),))
