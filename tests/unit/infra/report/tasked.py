"""A made-up run whose problems have tasks: six tasks at three levels, on two benchmarks, two samples each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from infra.report.data.inputs import ReportInputs
from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_pareto import ParetoPoint
from schemas.records.eval_routers import RouterScore
from schemas.records.eval_summary import EvalSummary
from schemas.records.metrics import Metric
from schemas.records.pairs import Pair
from schemas.records.problems import Problem, ProblemSplit
from tests.unit.infra.report.reported import complete_inputs, make_metrics, make_pairs, write
from thinkless_core.statistics.pareto import pareto_curve
from thinkless_core.statistics.routers import score_routers
from thinkless_core.statistics.summary import summarise_cell

TASKS = {
    "basic_arithmetic": (0.97, 0.7, 0.35), "chain_sum": (0.99, 0.6, 0.2), "fraction_simplification": (0.8, 0.4, 0.1),
    "leg_counting": (0.9, 0.3, 0.05), "letter_counting": (0.95, 0.85, 0.6), "spell_backward": (0.5, 0.1, 0.0),
}  # fmt: skip
"""How often a short answer is right at levels 1, 2 and 3."""
LEVELS = (1, 2, 3)
BENCHMARKS = {"gym-mixed": LEVELS, "gym-hard": LEVELS[1:]}
NUM_PROBLEMS = 8
"""Of each task and level on each benchmark."""
NUM_SAMPLES = 2


def make_tasked_problems() -> list[Problem]:
    """Held-out problems, and those of the pairs."""
    held_out = [
        Problem(
            problem_id=f"{benchmark}-{task}-{level}-{index}", prompt=f"{task} {level}, number {index}: how much?",
            answer=str(index), difficulty=level, split=ProblemSplit.TEST, benchmark=benchmark, source="gym", task=task,
        )
        for benchmark, levels in BENCHMARKS.items()
        for task in TASKS
        for level in levels
        for index in range(NUM_PROBLEMS)
    ]  # fmt: skip
    taught = [
        Problem(
            problem_id=pair.problem_id, prompt=pair.prompt, answer=pair.answer, difficulty=pair.difficulty,
            split=ProblemSplit.SFT, benchmark=None, source="gym", task=list(TASKS)[index % len(TASKS)],
        )
        for index, pair in enumerate(make_pairs())
    ]  # fmt: skip
    return [*held_out, *taught]


def make_tasked_completions(problems: Sequence[Problem]) -> list[EvalCompletion]:
    """Three models in three modes; RL thinks where its short answers fail, warm-up by a coin."""
    rng = np.random.default_rng(4)
    rows = []
    for model in ("base", "sft", "rl"):
        for problem in problems:
            if problem.benchmark is None or problem.task is None or problem.difficulty is None:
                continue
            skill = TASKS[problem.task][problem.difficulty - 1] * (0.2 if model == "base" else 1)
            p_think = float(np.clip((1 - skill if model == "rl" else 0.5) + rng.normal(0, 0.06), 0.001, 0.999))
            for sample in range(NUM_SAMPLES):
                for mode in EvalMode:
                    thinks = mode is EvalMode.THINK or (mode is EvalMode.AUTO and bool(rng.random() < p_think))
                    correct = bool(rng.random() < (0.92 if thinks and model != "base" else skill))
                    rows.append(
                        EvalCompletion(
                            completion_id=f"{model}-{problem.problem_id}-{mode}-{sample}", model=model,
                            benchmark=problem.benchmark, mode=mode, problem_id=problem.problem_id,
                            difficulty=problem.difficulty, sample=sample, task=problem.task,
                            chosen_mode=Mode.THINK if thinks else Mode.SHORT,
                            completion=f"<think>so </think>{problem.answer}" if thinks else f"<short>{problem.answer}",
                            answer=problem.answer, correct=correct, score=float(correct),
                            num_tokens=int(rng.integers(40, 60)) * problem.difficulty if thinks else 5, truncated=False,
                            malformed=False, fake_short=False, p_think=p_think, grader="gym", correct_paper=correct,
                        )
                    )  # fmt: skip
    return rows


def make_task_metrics() -> list[Metric]:
    """Metrics of RL with the probe by task and level, each moving from a coin to where short answers fail."""
    _, metrics = make_metrics()
    for step in range(0, 121, 4):
        for task, skills in TASKS.items():
            for level, skill in zip(LEVELS, skills, strict=True):
                value = 0.5 + (0.5 - skill) * step / 120
                metrics.append(Metric(stage="rl", step=step, name=f"probe_p_think/task_{task}:{level}", value=value))
    return metrics


def tasked_inputs(folder: Path) -> ReportInputs:
    """A run in which everything was measured, by task and level."""
    inputs = complete_inputs(folder)
    problems = make_tasked_problems()
    completions = make_tasked_completions(problems)
    cells = [
        [c for c in completions if (c.benchmark, c.model, c.mode) == (benchmark, model, mode)]
        for benchmark in BENCHMARKS
        for model in ("base", "sft", "rl")
        for mode in EvalMode
    ]
    models = [list(chain.from_iterable(cells[at : at + 3])) for at in range(0, len(cells), 3)]
    scores = chain.from_iterable(score_routers(rows, threshold=0.5) for rows in models)
    tables = {
        "problems": write(folder / "problems.parquet", Problem, problems),
        "eval_completions": write(folder / "eval_completions.parquet", EvalCompletion, completions),
        "eval_summary": write(folder / "eval_summary.parquet", EvalSummary, map(summarise_cell, cells)),
        "eval_routers": write(folder / "eval_routers.parquet", RouterScore, scores),
        "eval_pareto": write(
            folder / "eval_pareto.parquet", ParetoPoint, chain.from_iterable(map(pareto_curve, models))
        ),
        "rl_metrics": write(folder / "rl_metrics.parquet", Metric, make_task_metrics()),
        "pairs": write(folder / "pairs.parquet", Pair, make_pairs()),
    }
    return replace(inputs, tables={**inputs.tables, **{name: (path,) for name, path in tables.items()}})
