"""Stage `sft`: warm-up distillation on the pairs, which teaches the student both modes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.configs.sft import SftConfig
from schemas.records.dropped import DroppedRow
from schemas.records.metrics import Metric
from schemas.records.pairs import Pair
from tasks.running.context import RunContext
from tasks.running.parquet_files import read_records, write_table
from tasks.running.stage import Stage, StageOutcome, StagePlan
from thinkless_core.progress import Progress

if TYPE_CHECKING:
    from thinkless_core.training.fitting_pairs import FittingPairs


class TrainSft(Stage[SftConfig]):
    """Teaches the student both modes."""

    name = "sft"
    config = SftConfig
    needs = ("base", "pairs")
    tables = (Metric, DroppedRow)

    def build(
        self, plan: StagePlan[SftConfig], context: RunContext, workspace: Path, progress: Progress
    ) -> StageOutcome:
        """Write `model/`, the metrics and the pairs left out; resumes from the newest checkpoint in `scratch/`."""
        from tasks.running.run_training import run_training
        from thinkless_core.training import sft_trainer

        run_training(plan, workspace, progress, train=train)
        write_table(workspace, Metric, sft_trainer.metrics_log(workspace / "scratch"))
        fitting = pairs_that_fit(*(Path(artifact.path) for artifact in plan.inputs))
        write_table(workspace, DroppedRow, fitting.dropped())
        return StageOutcome(rows=sum(pair.split == "train" for pair in fitting.pairs))


def pairs_that_fit(base: Path, pairs: Path) -> FittingPairs:
    """The pairs that fit into the student's context; raises ConfigError if there are none."""
    from thinkless_core.student.context_length import context_length
    from thinkless_core.student.model_files import load_student_config, load_student_tokenizer
    from thinkless_core.training.fitting_pairs import fitting_pairs

    return fitting_pairs(
        read_records(pairs / Pair.FILE, Pair),
        tokenizer=load_student_tokenizer(base / "model"),
        context=context_length(load_student_config(base / "model")),
    )


def train(
    config: SftConfig,
    inputs: Sequence[Path],
    workspace: Path,
    progress: Progress,
    *,
    processes: int = 1,
    sharded: bool = False,
) -> None:
    """Train in this process, or as one of several (tasks/running/run_training.py); writes `model/`, logs and
    checkpoints."""
    from tasks.running.student_folder import load_for_training, save_trained
    from thinkless_core.training import sft_trainer

    base, pairs = inputs
    model, tokenizer = load_for_training(base, config, processes=processes)
    sft_trainer.train_sft(
        model,
        tokenizer=tokenizer,
        pairs=pairs_that_fit(base, pairs).pairs,
        config=config,
        scratch=workspace / "scratch",
        progress=progress,
        sharded=sharded,
    )
    save_trained(model, tokenizer, before=base, workspace=workspace)
