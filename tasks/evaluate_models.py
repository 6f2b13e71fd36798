"""Stage `evaluate`: base, warm-up and policy on every benchmark, in auto, forced short and forced think."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from infra.validation.suites import eval_completions_suite
from schemas.artifact import Artifact
from schemas.configs.evaluate import EvaluateConfig
from schemas.mode import EvalMode
from schemas.records import EvalCompletion, EvalSummary, Problem, ProblemSplit
from tasks.context import Gate, RunContext, StageOutcome, StagePlan, make_plan
from tasks.parquet_files import read_records, write_records
from tasks.prepare_problems import FILE as PROBLEMS_FILE
from tasks.stage import STAGE_CACHE, run_stage
from thinkless_core.acceleration import use_threads
from thinkless_core.evaluation import evaluate_cell, summarise_cell
from thinkless_core.model_files import load_model, load_tokenizer
from thinkless_core.progress import Progress
from thinkless_core.transformers_sampler import TransformersSampler

COMPLETIONS_FILE = "completions.parquet"
SUMMARY_FILE = "summary.parquet"
MODELS = ("base", "sft", "rl")
"""Names of the models evaluated, in the order of the plan's inputs after the problems."""


def plan(
    config: EvaluateConfig, *, problems: Artifact, base: Artifact, warm_up: Artifact, policy: Artifact
) -> StagePlan[EvaluateConfig]:
    """What the stage would build."""
    return make_plan("evaluate", module=__name__, config=config, inputs=(problems, base, warm_up, policy))


def build(plan: StagePlan[EvaluateConfig], context: RunContext, workspace: Path, progress: Progress) -> StageOutcome:
    """Write `completions.parquet` and `summary.parquet`, cell by cell; a cell that is there already is kept."""
    use_threads(plan.config.num_threads)
    problems, *models = (Path(artifact.path) for artifact in plan.inputs)
    tests = read_records(problems / PROBLEMS_FILE, Problem, where=[("split", ProblemSplit.TEST)])
    benchmarks = list(dict.fromkeys(p.benchmark or "" for p in tests))
    total = len(MODELS) * len(benchmarks) * len(EvalMode)
    cells: list[Path] = []
    for name, folder in zip(MODELS, models, strict=True):
        model, tokenizer = load_model(folder / "model"), load_tokenizer(folder / "model")
        sampler = TransformersSampler(
            model, tokenizer.pad_token_id, tokenizer.eos_token_id, batch_size=plan.config.batch_size
        )
        for benchmark in benchmarks:
            for mode in EvalMode:
                cell = workspace / "scratch" / f"{name}-{benchmark}-{mode}.parquet"
                cells.append(cell)
                if not cell.exists():
                    completions = evaluate_cell(
                        model,
                        [p for p in tests if p.benchmark == benchmark][: plan.config.limit],
                        sampler=sampler,
                        tokenizer=tokenizer,
                        model_name=name,
                        benchmark=benchmark,
                        mode=mode,
                        config=plan.config,
                    )
                    write_records(cell, EvalCompletion, completions)
                progress(len(cells), total, {})
    per_cell = [read_records(cell, EvalCompletion) for cell in cells]
    rows = write_records(workspace / COMPLETIONS_FILE, EvalCompletion, (row for rows in per_cell for row in rows))
    write_records(workspace / SUMMARY_FILE, EvalSummary, [summarise_cell(rows) for rows in per_cell])
    return StageOutcome(
        rows=rows,
        tables={COMPLETIONS_FILE: "eval_completions", SUMMARY_FILE: "eval_summary"},
        gates=(Gate(COMPLETIONS_FILE, eval_completions_suite(benchmarks=tuple(benchmarks))),),
    )


@task(name="evaluate", cache_policy=STAGE_CACHE, persist_result=True, result_serializer="json")
def evaluate_models(context: RunContext, plan: StagePlan[EvaluateConfig]) -> Artifact:
    """Measure three models in three modes."""
    return run_stage(context, plan, build)
