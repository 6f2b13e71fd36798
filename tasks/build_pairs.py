"""Stage `pairs`: both teachers' generations -> one row per problem with both sides."""

from __future__ import annotations

from pathlib import Path

from schemas.configs.pairs import PairsConfig
from schemas.records.generations import Generation
from schemas.records.pairs import Pair
from schemas.records.problems import Problem
from tasks.running.context import RunContext
from tasks.running.stage import Gate, Stage, StageOutcome, StagePlan
from thinkless_core.progress import Progress


class BuildPairs(Stage[PairsConfig]):
    """Joins both teachers' answers into pairs."""

    name = "pairs"
    config = PairsConfig
    needs = ("problems", "teach-think", "teach-short")
    tables = (Pair,)
    resources = tuple(
        f"infra/catalog/sql/{query}.sql"
        for query in ("paired_generations", "aligned_generations", "pair_faults", "pairs")
    )

    def build(
        self, plan: StagePlan[PairsConfig], context: RunContext, workspace: Path, progress: Progress
    ) -> StageOutcome:
        """Write the pairs."""
        from infra.catalog.paired_generations import paired_generations
        from infra.validation.suites import pairs_suite
        from thinkless_core.teachers.pairing import apply_rules, held_out_pairs

        problems, think, short = (Path(artifact.path) for artifact in plan.inputs)
        with paired_generations(
            problems / Problem.FILE,
            think=think / Generation.FILE,
            short=short / Generation.FILE,
            scratch=workspace / "scratch",
        ) as paired:
            rules = apply_rules(paired.faults, config=plan.config)
            held_out = held_out_pairs(rules.num_pairs, share=plan.config.validation_share, seed=plan.config.seed)
            rows = paired.write_pairs(workspace / Pair.FILE, dropping=rules.dropping, held_out=held_out)
        progress(1, 1, {"pairs": float(rows)})
        return StageOutcome(rows=rows, drops=rules.touched, gates=(Gate(Pair.FILE, pairs_suite()),))
