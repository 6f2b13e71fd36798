"""Stage `sft`: warm-up distillation on the pairs, which teaches the student both modes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from infra.disk import writing
from infra.store.workspace import SCRATCH_NAME
from schemas.configs.sft import SftConfig
from schemas.errors import CheckpointError
from schemas.records.dropped import DroppedRow
from schemas.records.metrics import Metric
from schemas.records.pairs import Pair
from tasks.running.context import RunContext
from tasks.running.parquet_files import iter_records, write_table
from tasks.running.stage import Stage, StageOutcome, StagePlan
from thinkless_core.progress import Progress

if TYPE_CHECKING:
    from thinkless_core.training.tokenised_pairs import TokenisedPairs

TOKENS = f"{SCRATCH_NAME}/tokens.arrow"
"""The pairs as token ids, which every process of a training maps."""


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

        pairs = tokenise(plan, workspace, progress)
        run_training(plan, workspace, progress, train=train, settings=context.settings)
        write_table(workspace, Metric, sft_trainer.metrics_log(workspace / "scratch"))
        write_table(workspace, DroppedRow, _left_out(plan, pairs))
        return StageOutcome(rows=len(pairs.rows("train")))


def _left_out(plan: StagePlan[SftConfig], pairs: TokenisedPairs) -> Iterator[DroppedRow]:
    """The pairs that are longer than the student's context."""
    from thinkless_core.training.fitting_pairs import left_out

    too_long = set(pairs.too_long.tolist())
    if not too_long:
        return
    base, source = (Path(artifact.path) for artifact in plan.inputs)
    context = _context_of(base)
    for row, pair in enumerate(iter_records(source / Pair.FILE, Pair)):
        if row in too_long:
            yield left_out(pair, context=context)


def _context_of(base: Path) -> int | None:
    """Most tokens of the student of an artifact of stage `base`."""
    from thinkless_core.student.context_length import context_length
    from thinkless_core.student.model_files import load_student_config

    return context_length(load_student_config(base / "model"))


def tokenise(plan: StagePlan[SftConfig], workspace: Path, progress: Progress) -> TokenisedPairs:
    """The pairs as token ids, mapped from a file in `scratch/`; written first, unless an interrupted build did it.

    A file that is damaged, or was made from another tokenizer or other pairs, is written anew. Raises StoreError for a
    full disk, and ConfigError if no pair fits into the student's context.
    """
    from thinkless_core.student.model_files import load_student_tokenizer
    from thinkless_core.training.tokenised_pairs import TokenisedPairs, write_tokenised

    base, pairs = (Path(artifact.path) for artifact in plan.inputs)
    file, source = workspace / TOKENS, pairs / Pair.FILE
    made_from = " ".join(artifact.digest for artifact in plan.inputs)
    try:
        return TokenisedPairs.mapped(file, made_from=made_from)
    except FileNotFoundError:
        pass
    except CheckpointError as error:
        progress(0, plan.config.steps, {}, notes=[f"{error}; pairs are tokenised anew"])
    num_pairs = pq.read_metadata(source).num_rows

    takes_time = False

    def tell(num_done: int) -> None:
        nonlocal takes_time
        takes_time = takes_time or num_done < num_pairs  # few pairs, or short ones, are done at once
        if takes_time:
            progress(0, plan.config.steps, {"tokenised": num_done / num_pairs})

    tokenizer = load_student_tokenizer(base / "model")
    context = _context_of(base)
    with writing(file):
        write_tokenised(
            file,
            iter_records(source, Pair),
            tokenizer=tokenizer,
            context=context,
            made_from=made_from,
            on_done=tell,
        )
    return TokenisedPairs.mapped(file)


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
    from thinkless_core.training.tokenised_pairs import TokenisedPairs

    base, _ = inputs
    model, tokenizer = load_for_training(base, config, processes=processes)
    sft_trainer.train_sft(
        model,
        tokenizer=tokenizer,
        pairs=TokenisedPairs.mapped(workspace / TOKENS),
        config=config,
        scratch=workspace / "scratch",
        progress=progress,
        sharded=sharded,
    )
    save_trained(model, tokenizer, before=base, workspace=workspace)
