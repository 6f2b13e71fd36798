"""Stage `evaluate`: the models on every benchmark, in auto, forced short and forced think; then tables of the results.

models x benchmarks -> completions in all modes (one file per chunk, by one process or several)
                    -> summary, routers, accuracy-token curves
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from schemas.configs.evaluate import EvaluateConfig, ModelName
from schemas.configs.pipeline import PipelineConfig
from schemas.mode import EvalMode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_pareto import ParetoPoint
from schemas.records.eval_routers import RouterScore
from schemas.records.eval_summary import EvalSummary
from schemas.records.problems import Problem, ProblemSplit
from tasks.running.chunks import Chunk, SharedWork
from tasks.running.context import RunContext
from tasks.running.parquet_files import iter_columns, iter_records, write_records, write_table
from tasks.running.record_table import RecordTable
from tasks.running.share_out import share_out
from tasks.running.stage import Gate, Stage, StageOutcome, StagePlan
from thinkless_core.progress import Progress
from thinkless_core.rows import RowsAt

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tasks.running.samplers import SamplerSource
    from thinkless_core.sampling.sampler import Sampler

CHUNK_BATCHES = 4
"""Batches of completions in a chunk, the unit of what a stopped evaluation keeps and of its progress."""


class EvaluateModels(Stage[EvaluateConfig]):
    """Measures the models in three modes."""

    name = "evaluate"
    config = EvaluateConfig
    tables = (EvalCompletion, EvalSummary, RouterScore, ParetoPoint)
    judges = True
    outside_key = frozenset({"launch"})

    def inputs(self, config: PipelineConfig) -> tuple[str, ...]:
        """The problems and the models to evaluate; the stage depends on no other model."""
        return ("problems", *config.evaluate.models)

    def build(
        self, plan: StagePlan[EvaluateConfig], context: RunContext, workspace: Path, progress: Progress
    ) -> StageOutcome:
        """Write the completions chunk by chunk (a chunk that exists is kept), and the tables made from them."""
        from infra.validation.suites import eval_completions_suite

        config = plan.config
        work = EvaluationWork(config, {artifact.stage: Path(artifact.path) for artifact in plan.inputs}, workspace)
        share_out(work, plan, workspace, progress, launch=config.launch, gpus_each=config.gpus_each)
        if notes := [
            note for name, problems in work.asked.items() if (note := _all_wrong(name, problems, work.chunks))
        ]:
            num_answers = sum(chunk.size for chunk in work.chunks)
            progress(num_answers, num_answers, {}, notes)
        rows = _write_tables(work.chunks, workspace, router_threshold=config.router_threshold)
        suite = eval_completions_suite(benchmarks=tuple(work.asked), models=config.models)
        return StageOutcome(rows=rows, gates=(Gate(EvalCompletion.FILE, suite),))


def asked_problems(tests: Sequence[Problem], config: EvaluateConfig) -> dict[str, Sequence[Problem]]:
    """Benchmark -> its first problems, for the benchmarks that are asked for."""
    places: dict[str, list[int]] = {}
    for place, problem in enumerate(tests):
        places.setdefault(problem.benchmark or "", []).append(place)
    asked = [name for name in places if name in config.benchmarks or not config.benchmarks]
    return {name: RowsAt(tests, places[name][: config.limit]) for name in asked}


def refuse_long_prompts(
    asked: Mapping[str, Sequence[Problem]],
    *,
    config: EvaluateConfig,
    model: str,
    tokenizer: PreTrainedTokenizerBase,
    context: int | None,
) -> None:
    """Raise ConfigError if a prompt leaves no room for an answer in the model's `context`."""
    from thinkless_core.student.context_length import refuse_over_context

    refuse_over_context(
        (problem.prompt for problems in asked.values() for problem in problems),
        tokenizer=tokenizer,
        context=context,
        max_new_tokens=config.max_new_tokens,
        stage=f"evaluate {model}",
        setting="evaluate.max_new_tokens",
    )


@dataclass(frozen=True)
class _EvaluationChunk(Chunk):
    """Some problems of a benchmark, to be answered by one model in all modes; its size is the number of answers."""

    model: ModelName
    benchmark: str
    problems: Sequence[Problem]


class _Student(NamedTuple):
    """A model that answers."""

    name: ModelName
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    sampler: Sampler


class EvaluationWork(SharedWork[EvaluateConfig, _EvaluationChunk]):
    """All that is to be answered: model by model, and benchmark by benchmark."""

    config_class = EvaluateConfig

    def __init__(self, config: EvaluateConfig, inputs: Mapping[str, Path], workspace: Path) -> None:
        """The answers of the models in the folders `inputs`, in files of the workspace's `scratch/`."""
        self._config, self._inputs = config, inputs
        tests = RecordTable.read(inputs["problems"] / Problem.FILE, Problem, where=("split", ProblemSplit.TEST))
        self.asked = asked_problems(tests, config)
        answers_each = config.num_samples * len(EvalMode)
        size = max(1, CHUNK_BATCHES * config.batch_size // answers_each)
        self.chunks = [
            _EvaluationChunk(
                file=workspace / "scratch" / f"chunk-{model}-{name}-{start}.parquet",
                size=len(problems[start : start + size]) * answers_each,
                model=model,
                benchmark=name,
                problems=problems[start : start + size],
            )
            for model in config.models
            for name, problems in self.asked.items()
            for start in range(0, len(problems), size)
        ]

    def do(self, turns: Iterator[_EvaluationChunk], *, processes: int) -> None:
        """Write the completions of chunks; a model is loaded when the first of its chunks comes."""
        from tasks.running.samplers import sampler_source
        from thinkless_core.evaluation.evaluate_problems import evaluate_problems
        from thinkless_core.training.acceleration import use_threads

        use_threads(self._config.num_threads, processes=processes)
        student: _Student | None = None
        with sampler_source(self._config.sampler, batch_size=self._config.batch_size) as source:
            for chunk in turns:
                if student is None or student.name != chunk.model:
                    student = self._load(chunk.model, source)
                completions = evaluate_problems(
                    student.model,
                    chunk.problems,
                    sampler=student.sampler,
                    tokenizer=student.tokenizer,
                    model_name=chunk.model,
                    benchmark=chunk.benchmark,
                    config=self._config,
                )
                write_records(chunk.file, EvalCompletion, completions)

    def _load(self, name: ModelName, source: SamplerSource) -> _Student:
        """A model on this process's device; raises ConfigError if a prompt leaves no room for its answer."""
        import torch

        from thinkless_core.student.context_length import context_length
        from thinkless_core.student.model_files import load_student, load_student_tokenizer
        from thinkless_core.training.acceleration import in_bfloat16, single_process_accelerator

        config, folder = self._config, self._inputs[name] / "model"
        dtype = torch.bfloat16 if in_bfloat16(config.precision) else torch.float32
        model = load_student(folder, dtype=dtype).to(single_process_accelerator().device)
        tokenizer = load_student_tokenizer(folder)
        refuse_long_prompts(self.asked, config=config, model=name, tokenizer=tokenizer, context=context_length(model))
        return _Student(name, model, tokenizer, source.sampler_of(model, tokenizer=tokenizer, folder=folder))


def _in_groups(chunks: Sequence[_EvaluationChunk]) -> Iterator[list[_EvaluationChunk]]:
    """The chunks of each model on each benchmark."""
    for _, group in groupby(chunks, key=lambda chunk: (chunk.model, chunk.benchmark)):
        yield list(group)


def _without_texts(chunks: Iterable[_EvaluationChunk]) -> Iterator[EvalCompletion]:
    """What is judged and counted of the completions; their texts, which are long, are left out."""
    for chunk in chunks:
        for row in iter_records(chunk.file, EvalCompletion):
            yield row.model_copy(update={"completion": ""})


def _by_mode(rows: Sequence[EvalCompletion]) -> list[list[EvalCompletion]]:
    """Rows of one model on one benchmark -> those of each mode."""
    return [[row for row in rows if row.mode is mode] for mode in EvalMode]


def _all_wrong(benchmark: str, problems: Iterable[Problem], chunks: Iterable[_EvaluationChunk]) -> str | None:
    """What to say if every finished answer to a benchmark, of all models in all modes, is judged wrong."""
    from thinkless_core.grading.many_wrong import JudgedAnswer, say_many_wrong

    columns = ["problem_id", "answer", "correct", "truncated", "malformed"]
    rows = (row for chunk in chunks if chunk.benchmark == benchmark for row in iter_columns(chunk.file, columns))
    return say_many_wrong(
        (JudgedAnswer(*judged) for *judged, truncated, malformed in rows if not (truncated or malformed)),
        {problem.problem_id: problem.answer for problem in problems},
        whose=f"all models on benchmark {benchmark}",
        most_wrong=1,
    )


def _write_tables(chunks: Sequence[_EvaluationChunk], workspace: Path, *, router_threshold: float) -> int:
    """Write all tables from the completions of each model on each benchmark; returns the number of completions.

    Texts go from file to file; of one model on one benchmark at a time the rest is in memory.
    """
    from thinkless_core.statistics.pareto import pareto_curve
    from thinkless_core.statistics.routers import score_routers
    from thinkless_core.statistics.summary import summarise_cell

    cells: list[EvalSummary] = []
    scores: list[RouterScore] = []
    points: list[ParetoPoint] = []
    for group in _in_groups(chunks):
        by_mode = _by_mode(list(_without_texts(group)))
        rows = list(chain.from_iterable(by_mode))
        cells += map(summarise_cell, by_mode)
        scores += score_routers(rows, threshold=router_threshold)
        points += pareto_curve(rows)
    write_table(workspace, EvalSummary, cells)
    write_table(workspace, RouterScore, scores)
    write_table(workspace, ParetoPoint, points)
    completions = (
        row
        for group in _in_groups(chunks)
        for mode in EvalMode
        for chunk in group
        for row in iter_records(chunk.file, EvalCompletion, where=[("mode", mode)])
    )
    return write_table(workspace, EvalCompletion, completions)
