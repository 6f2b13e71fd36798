"""Stage `pairs`: both teachers' generations -> one row per problem with both sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.configs.pairs import PairsConfig
from schemas.records.dropped import DroppedRow
from schemas.records.generations import Generation
from schemas.records.pairs import Pair
from schemas.records.problems import Problem
from tasks.running.context import RunContext
from tasks.running.stage import Gate, Stage, StageOutcome, StagePlan
from thinkless_core.progress import Progress

if TYPE_CHECKING:
    from thinkless_core.teachers.pairing import PairRules


class BuildPairs(Stage[PairsConfig]):
    """Joins both teachers' answers into pairs."""

    name = "pairs"
    config = PairsConfig
    needs = ("problems", "teach-think", "teach-short")
    tables = (Pair, DroppedRow)
    resources = tuple(
        f"infra/catalog/sql/{query}.sql"
        for query in ("paired_generations", "aligned_generations", "pair_faults", "pairs", "dropped_pairs")
    )

    def build(
        self, plan: StagePlan[PairsConfig], context: RunContext, workspace: Path, progress: Progress
    ) -> StageOutcome:
        """Write the pairs, and why the other problems have none."""
        from infra.validation.suites import pairs_suite

        folders = [Path(artifact.path) for artifact in plan.inputs]
        rules = write_pairs(plan.config, folders, folder=workspace, scratch=workspace / "scratch")
        progress(1, 1, {"pairs": float(rules.num_pairs)})
        return StageOutcome(rows=rules.num_pairs, marked=rules.marked, gates=(Gate(Pair.FILE, pairs_suite()),))


def write_pairs(config: PairsConfig, inputs: Sequence[Path], *, folder: Path, scratch: Path) -> PairRules:
    """Write the pairs, and the problems without one, from the folders of problems, think and short generations.

    Raises SourceError if no pair is left.
    """
    from infra.catalog.paired_generations import paired_generations
    from thinkless_core.teachers.pairing import apply_rules, held_out_pairs

    problems, think, short = inputs
    with paired_generations(
        problems / Problem.FILE, think=think / Generation.FILE, short=short / Generation.FILE, scratch=scratch
    ) as paired:
        rules = apply_rules(paired.faults, config=config)
        held_out = held_out_pairs(rules.num_pairs, share=config.validation_share, seed=config.seed)
        rows = paired.write_pairs(folder / Pair.FILE, dropping=rules.dropping, held_out=held_out)
        paired.write_dropped(folder / DroppedRow.FILE, dropping=rules.dropping)
    assert rows == rules.num_pairs
    return rules
