"""Stage `evaluate`: the models on every benchmark, in auto, forced short and forced think, and what follows from it.

models x benchmarks x modes -> completions (one cell each) -> summary, routers, accuracy-token curves
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import torch
from prefect import task

from infra.validation.suites import eval_completions_suite
from schemas.artifact import Artifact
from schemas.base import tables_of
from schemas.configs.evaluate import EvaluateConfig
from schemas.mode import EvalMode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_pareto import ParetoPoint
from schemas.records.eval_routers import RouterScore
from schemas.records.eval_summary import EvalSummary
from schemas.records.problems import Problem, ProblemSplit
from tasks.running.context import Gate, RunContext, StageOutcome, StagePlan
from tasks.running.parquet_files import read_records, write_records
from tasks.running.samplers import sampler_source
from tasks.running.stage import STAGE_CACHE, run_stage
from thinkless_core.evaluation.cells import evaluate_cell
from thinkless_core.progress import Progress
from thinkless_core.statistics.pareto import pareto_curve
from thinkless_core.statistics.routers import score_routers
from thinkless_core.statistics.summary import summarise_cell
from thinkless_core.student.context_length import context_length, refuse_over_context
from thinkless_core.student.model_files import load_student, load_student_tokenizer
from thinkless_core.training.acceleration import single_process_accelerator, use_threads


def build(plan: StagePlan[EvaluateConfig], context: RunContext, workspace: Path, progress: Progress) -> StageOutcome:
    """Write completions, cell by cell (a cell that is there already is kept), and the three tables made from them."""
    config = plan.config
    use_threads(config.num_threads)
    folders = {artifact.stage: Path(artifact.path) for artifact in plan.inputs}
    tests = read_records(folders["problems"] / Problem.FILE, Problem, where=[("split", ProblemSplit.TEST)])
    benchmarks = list(dict.fromkeys(p.benchmark or "" for p in tests))
    asked = {name: [p for p in tests if p.benchmark == name][: config.limit] for name in benchmarks}
    device = single_process_accelerator().device
    total = len(config.models) * len(benchmarks) * len(EvalMode)
    cells: list[Path] = []
    with sampler_source(config.sampler, batch_size=config.batch_size) as source:
        for name in config.models:
            folder = folders[name] / "model"
            model = load_student(folder, dtype=getattr(torch, config.precision)).to(device)
            tokenizer = load_student_tokenizer(folder)
            refuse_over_context(
                (problem.prompt for problems in asked.values() for problem in problems),
                tokenizer=tokenizer,
                context=context_length(model),
                max_new_tokens=config.max_new_tokens,
                stage=f"evaluate {name}",
                setting="evaluate.max_new_tokens",
            )
            sampler = source.sampler_of(model, tokenizer=tokenizer, folder=folder)
            for benchmark in benchmarks:
                for mode in EvalMode:
                    cell = workspace / "scratch" / f"{name}-{benchmark}-{mode}.parquet"
                    cells.append(cell)
                    if not cell.exists():
                        completions = evaluate_cell(
                            model,
                            asked[benchmark],
                            sampler=sampler,
                            tokenizer=tokenizer,
                            model_name=name,
                            benchmark=benchmark,
                            mode=mode,
                            config=config,
                        )
                        write_records(cell, EvalCompletion, completions)
                    progress(len(cells), total, {})
    per_cell = [read_records(cell, EvalCompletion) for cell in cells]
    rows = write_records(workspace / EvalCompletion.FILE, EvalCompletion, chain.from_iterable(per_cell))
    write_records(workspace / EvalSummary.FILE, EvalSummary, map(summarise_cell, per_cell))
    # Cells come mode after mode: so many in a row are one model on one benchmark.
    per_model = [
        list(chain.from_iterable(per_cell[start : start + len(EvalMode)]))
        for start in range(0, len(per_cell), len(EvalMode))
    ]
    write_records(
        workspace / RouterScore.FILE,
        RouterScore,
        chain.from_iterable(score_routers(rows, threshold=config.router_threshold) for rows in per_model),
    )
    write_records(workspace / ParetoPoint.FILE, ParetoPoint, chain.from_iterable(map(pareto_curve, per_model)))
    return StageOutcome(
        rows=rows,
        tables=tables_of(EvalCompletion, EvalSummary, RouterScore, ParetoPoint),
        gates=(Gate(EvalCompletion.FILE, eval_completions_suite(benchmarks=tuple(benchmarks), models=config.models)),),
    )


@task(name="evaluate", cache_policy=STAGE_CACHE, persist_result=True, result_serializer="json")
def evaluate_models(context: RunContext, plan: StagePlan[EvaluateConfig]) -> Artifact:
    """Measure the models in three modes."""
    return run_stage(context, plan, build)
