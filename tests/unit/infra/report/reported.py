"""Made-up runs for the tests of the report, in two shapes: complete, and with much missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from infra.report.data.inputs import TABLES, ReportInputs
from schemas.artifact import MANIFEST_VERSION, CheckResult, InputRef, Manifest
from schemas.base import Record, records_to_table
from schemas.finish_reason import FinishReason
from schemas.mode import EvalMode, Mode
from schemas.records.dropped import DroppedRow
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_pareto import ParetoPoint
from schemas.records.eval_routers import RouterScore
from schemas.records.eval_summary import EvalSummary
from schemas.records.generations import Generation
from schemas.records.guard_events import GuardEvent
from schemas.records.metrics import Metric
from schemas.records.pairs import Pair
from schemas.records.problems import Problem, ProblemSplit
from schemas.records.rollouts import RolloutRecord

MIXES = {"tiny-easy": (0.9, 0.1, 0, 0, 0), "tiny-mixed": (0.3, 0.2, 0.2, 0.2, 0.1), "tiny-hard": (0, 0, 0.2, 0.4, 0.4)}
NUM_PROBLEMS = 120
P_THINK = {"base": (0.5,) * 5, "sft": (0.49, 0.5, 0.51, 0.5, 0.52), "rl": (0.02, 0.94, 0.97, 0.98, 0.99)}
SHORT_ACCURACY = {"base": (0.1,) * 5, "sft": (0.99, 0.3, 0.22, 0.19, 0.15), "rl": (1.0, 0.45, 0.25, 0.2, 0.16)}
THINK_ACCURACY = {"base": 0.04, "sft": 0.985, "rl": 0.99}
RL_STEPS = 120


def make_problems() -> list[Problem]:
    """Held-out problems of all benchmarks; prompts carry characters that HTML must escape."""
    rng = np.random.default_rng(0)
    problems = []
    for benchmark, mix in MIXES.items():
        for index in range(NUM_PROBLEMS):
            difficulty = int(rng.choice(5, p=np.array(mix) / sum(mix))) + 1
            digits = rng.integers(10, 99, size=difficulty + 1)
            problems.append(
                Problem(
                    problem_id=f"{benchmark}-{index:04d}",
                    prompt="+".join(map(str, digits)) + "=?",
                    answer=str(int(digits.sum()) % 10),
                    difficulty=difficulty,
                    split=ProblemSplit.TEST,
                    benchmark=benchmark,
                    source="procedural",
                )
            )
    return problems


def make_completions(problems: Sequence[Problem], p_think: dict[str, tuple[float, ...]]) -> list[EvalCompletion]:
    """Three models in three modes on every problem."""
    rng = np.random.default_rng(1)
    rows = []
    for model in ("rl", "base", "sft"):
        for problem in problems:
            level = (problem.difficulty or 1) - 1
            chance = float(np.clip(p_think[model][level] + rng.normal(0, 0.02), 0.001, 0.999))
            for mode in ("think", "auto", "short"):
                thinks = mode == "think" or (mode == "auto" and rng.random() < chance)
                skill = THINK_ACCURACY[model] if thinks else SHORT_ACCURACY[model][level]
                correct = bool(rng.random() < skill)
                answer = problem.answer if correct else str((int(problem.answer) + 1) % 10)
                length = 40 if model == "base" else (12 + 9 * level + int(rng.integers(0, 6)) if thinks else 3)
                text = f"<think>{problem.prompt[:-2]}: & so on</think>{answer}" if thinks else f"<short>{answer}"
                rows.append(
                    EvalCompletion(
                        completion_id=f"{model}-{problem.problem_id}-{mode}",
                        model=model,
                        benchmark=str(problem.benchmark),
                        mode=EvalMode(mode),
                        problem_id=problem.problem_id,
                        difficulty=problem.difficulty,
                        sample=0,
                        chosen_mode=Mode.THINK if thinks else Mode.SHORT,
                        completion=text,
                        answer=answer,
                        correct=correct,
                        num_tokens=length,
                        truncated=model == "base" and bool(rng.random() < 0.6),
                        malformed=False,
                        fake_short=False,
                        p_think=chance,
                        grader="exact",
                        correct_paper=correct or (model == "base" and bool(rng.random() < 0.05)),
                    )
                )
    return rows


def summarise(completions: Sequence[EvalCompletion]) -> list[EvalSummary]:
    """Cells of the result table."""
    rows = []
    for benchmark in MIXES:
        for model in ("rl", "sft", "base"):
            for mode in EvalMode:
                cell = [c for c in completions if (c.benchmark, c.model, c.mode) == (benchmark, model, mode)]
                correct = np.array([c.correct for c in cell], dtype=float)
                rows.append(
                    EvalSummary(
                        model=model,
                        benchmark=benchmark,
                        mode=mode,
                        n=len(cell),
                        accuracy=float(correct.mean()),
                        accuracy_stderr=float(correct.std(ddof=1) / np.sqrt(len(cell))),
                        think_share=float(np.mean([c.chosen_mode is Mode.THINK for c in cell])),
                        mean_tokens=float(np.mean([c.num_tokens for c in cell])),
                        truncated_share=float(np.mean([c.truncated for c in cell])),
                        malformed_share=0.0,
                        fake_short_share=0.0,
                        grader="exact",
                        accuracy_paper=float(np.mean([c.correct_paper for c in cell])),
                    )
                )
    return rows


def make_routers(completions: Sequence[EvalCompletion]) -> list[RouterScore]:
    """Routers of the rl model, computed from its forced completions problem by problem."""
    rows = []
    for benchmark in MIXES:
        short, think, auto = (forced(completions, "rl", benchmark, mode) for mode in ("short", "think", "auto"))
        oracle = [not s.correct and t.correct for s, t in zip(short, think, strict=True)]
        share = float(np.mean([c.chosen_mode is Mode.THINK for c in auto]))
        choices: dict[str, list[float]] = {
            "auto": [float(c.chosen_mode is Mode.THINK) for c in auto],
            "short": [0.0] * len(short),
            "think": [1.0] * len(short),
            "oracle": [float(o) for o in oracle],
            "random": [share] * len(short),
            "threshold": [float(c.p_think > 0.5) for c in short],
        }
        for router, choice in choices.items():
            right, tokens = mixed(short, think, choice)
            agrees = np.mean([c if o else 1 - c for c, o in zip(choice, oracle, strict=True)])
            rows.append(
                RouterScore(
                    model="rl",
                    benchmark=benchmark,
                    router=router,  # type: ignore[arg-type]
                    threshold=0.5 if router == "threshold" else None,
                    n=len(short),
                    accuracy=float(right.mean()),
                    accuracy_stderr=float(right.std(ddof=1) / np.sqrt(len(short))),
                    think_share=float(np.mean(choice)),
                    mean_tokens=float(tokens.mean()),
                    mean_tokens_stderr=float(tokens.std(ddof=1) / np.sqrt(len(short))),
                    hybrid_accuracy=None if router in ("short", "think") else float(agrees),
                )
            )
    return rows


def make_pareto(completions: Sequence[EvalCompletion]) -> list[ParetoPoint]:
    """The curve of warm-up and policy as a bias on the think logit sweeps, in expectation over the choice."""
    rows = []
    for benchmark in MIXES:
        for model in ("sft", "rl"):
            short, think = (forced(completions, model, benchmark, mode) for mode in ("short", "think"))
            for bias in (-8.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0):
                odds = [c.p_think / (1 - c.p_think) * float(np.exp(bias)) for c in short]
                choice = [o / (1 + o) for o in odds]
                right, tokens = mixed(short, think, choice)
                rows.append(
                    ParetoPoint(
                        model=model,
                        benchmark=benchmark,
                        think_bias=bias,
                        n=len(short),
                        accuracy=float(right.mean()),
                        accuracy_stderr=float(right.std(ddof=1) / np.sqrt(len(short))),
                        think_share=float(np.mean(choice)),
                        mean_tokens=float(tokens.mean()),
                        mean_tokens_stderr=float(tokens.std(ddof=1) / np.sqrt(len(short))),
                    )
                )
    return rows


def forced(completions: Sequence[EvalCompletion], model: str, benchmark: str, mode: str) -> list[EvalCompletion]:
    """One cell's completions by problem."""
    cell = [c for c in completions if (c.model, c.benchmark, c.mode.value) == (model, benchmark, mode)]
    return sorted(cell, key=lambda c: c.problem_id)


def mixed(
    short: Sequence[EvalCompletion], think: Sequence[EvalCompletion], choice: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and tokens per problem if it thinks with the probability given."""
    pairs = list(zip(short, think, choice, strict=True))
    right = np.array([(1 - c) * s.correct + c * t.correct for s, t, c in pairs], dtype=float)
    return right, np.array([(1 - c) * s.num_tokens + c * t.num_tokens for s, t, c in pairs], dtype=float)


def make_guard_events() -> list[GuardEvent]:
    """A collapse that was met and overcome."""
    return [
        GuardEvent(step=12, action="warn", rare_mode=Mode.THINK, share=0.04, forced_per_group=0, reason="below 5%"),
        GuardEvent(step=16, action="force", rare_mode=Mode.THINK, share=0.02, forced_per_group=2, reason="below 5%"),
        GuardEvent(step=40, action="release", rare_mode=Mode.THINK, share=0.2, forced_per_group=0, reason="over 15%"),
    ]


def make_metrics() -> tuple[list[Metric], list[Metric]]:
    """SFT and RL metrics of plausible shape."""
    rng = np.random.default_rng(2)
    sft, rl = [], []
    for step in range(0, 840, 5):
        loss = 0.25 + 2.2 * np.exp(-step / 120) + rng.normal(0, 0.02)
        values = {
            "loss": loss,
            "think_loss": loss * 0.7,
            "short_loss": loss * 1.6,
            "learning_rate": 3e-3,
            "grad_norm": 1.0,
        }
        if step % 100 == 0:
            values["validation_loss"] = loss * 1.05
        sft += [Metric(stage="sft", step=step, name=name, value=float(v)) for name, v in values.items()]
    for step in range(RL_STEPS + 1):
        rise, fall = 1 / (1 + np.exp(-(step - 20) / 6)), 1 / (1 + np.exp(-(step - 60) / 8))
        share = 0.5 + 0.26 * rise - 0.2 * fall
        values = {
            "reward_mean": 0.1 + 0.5 * fall,
            "accuracy": 0.7 + 0.27 * rise,
            "think_share": share,
            "think_accuracy": 0.985,
            "short_accuracy": 0.45 + 0.5 * fall,
            "think_tokens": 30 - 4 * fall,
            "short_tokens": 3.0,
            "mean_tokens": 3 + 27 * share,
            "malformed_share": 0.0,
            "fake_short_share": 0.0,
            "truncated_share": 0.01,
            "zero_variance_share": 0.2 + 0.5 * fall,
            "kl": 0.01 * fall,
            "entropy": 0.05,
            "control_entropy": 0.69 - 0.6 * fall,
            "loss": 0.0,
            "grad_norm": 0.3,
        }
        if step:
            noisy = {name: float(np.clip(v + rng.normal(0, 0.015), 0, None)) for name, v in values.items()}
            rl += [Metric(stage="rl", step=step, name=name, value=v) for name, v in noisy.items()]
        if step % 10 == 0:
            levels = [0.5 + (P_THINK["rl"][d] - 0.5) * fall for d in range(5)]
            rl.append(Metric(stage="rl", step=step, name="probe_p_think", value=float(np.mean(levels))))
            rl += [
                Metric(stage="rl", step=step, name=f"probe_p_think/difficulty_{d + 1}", value=float(v))
                for d, v in enumerate(levels)
            ]
    return sft, rl


def make_rollouts() -> list[RolloutRecord]:
    """32 rollouts a step; their think count rises and falls."""
    rng = np.random.default_rng(3)
    return [
        RolloutRecord(
            rollout_id=f"{step}-{index}", step=step, problem_id="p", difficulty=1, sample=index,
            mode=Mode.THINK if rng.random() < 0.5 + 0.3 * np.sin(np.pi * step / RL_STEPS) else Mode.SHORT,
            completion="<short>1", num_tokens=3, finish_reason=FinishReason.STOP, correct=True, malformed=False,
            fake_short=False, reward=1.0, advantage=0.0,
        )
        for step in range(1, RL_STEPS + 1)
        for index in range(32)
    ]  # fmt: skip


def make_pairs() -> list[Pair]:
    """A few pairs in both splits."""
    return [
        Pair(
            problem_id=f"pair-{index}", prompt="3*7+4=?", answer="5", think_completion="<think>3*7=1,1+4=5</think>5",
            short_completion="<short>5", think_tokens=18, short_tokens=3, think_truncated=False, short_truncated=False,
            split="validation" if index % 10 == 0 else "train", difficulty=index % 5 + 1,
        )
        for index in range(40)
    ]  # fmt: skip


def make_generations() -> list[Generation]:
    """Both sides of every pair, as the teachers gave them."""
    return [
        Generation(
            generation_id=f"{pair.problem_id}-{mode}", problem_id=pair.problem_id, prompt=pair.prompt, mode=mode,
            completion=text, answer=pair.answer, num_tokens=18, finish_reason=FinishReason.STOP, truncated=False,
            correct=True, teacher="procedural",
        )
        for pair in make_pairs()
        for mode, text in ((Mode.THINK, pair.think_completion), (Mode.SHORT, pair.short_completion))
    ]  # fmt: skip


def make_dropped() -> list[DroppedRow]:
    """As many rows as the manifests count."""

    def rows(number: int, stage: str, reason: str, detail: str) -> list[DroppedRow]:
        return [
            DroppedRow(
                stage=stage, reason=reason, problem_id=f"sft-{i:012x}", source=f"train.jsonl, line {i + 2}",
                prompt=f"{i}+{i}=?", detail=detail,
            )
            for i in range(number)
        ]  # fmt: skip

    return [
        *rows(310, "problems", "duplicate", "the same as train.jsonl, line 1"),
        *rows(42, "problems", "contaminated", "shares with tiny-hard-0123: 1+1=?"),
        *rows(1, "teach-short", "short_reasoned", "First I add 1 and 1. " * 40),
        *rows(38, "pairs", "short_incorrect_dropped", "the short answer is not 5"),
    ]


def make_manifests() -> tuple[Manifest, ...]:
    """One artifact per stage, wired as the pipeline wires them."""
    wiring = {
        "base": ((), 0, {}), "problems": ((), 12000, {"duplicate": 310, "contaminated": 42}),
        "teach": (("problems",), 16000, {"truncated_kept": 12, "short_reasoned": 1}),
        "pairs": (("teach", "problems"), 7950, {"think_truncated_kept": 12, "short_incorrect_dropped": 38}),
        "sft": (("base", "pairs"), 0, {}), "rl": (("sft", "problems"), 3840, {}),
        "evaluate": (("base", "sft", "rl", "problems"), 3240, {}),
    }  # fmt: skip
    ref = {
        stage: InputRef(stage=stage, key=f"{i}ab4c5d6e7f8091a2", digest=f"{i}f00ba7c0ffee")
        for i, stage in enumerate(wiring)
    }
    passed = CheckResult(
        suite="pairs", expectation="short_tokens between 1 and 512", success=True, observed="3..5", failing_rows="[]"
    )
    failed = CheckResult(
        suite="pairs", expectation="answer is not <null>", success=False, observed="2", failing_rows='["p-1", "p-2"]'
    )
    return tuple(
        Manifest(
            manifest_version=MANIFEST_VERSION, stage=stage, stage_version=1, key=ref[stage].key,
            digest=ref[stage].digest, run_id="run-1" if stage != "base" else "run-0", created_at="2025-01-01T10:00:00Z",
            inputs=tuple(ref[parent] for parent in inputs),
            config={"seed": 7, "model": {"kind": "tiny"}, "note": "a<b"}, fingerprint="feed" * 16,
            packages={"torch": "2.13.0", "numpy": "2.1"} if stage != "sft" else {"torch": "2.13.1"},
            environment={"python": "3.11.7", "threads": "2"}, seed=7, rows=rows, drops=drops,
            checks=(passed, failed) if stage == "pairs" else (), timings={"sample": 12.5, "train": 183.0}, files=(),
        )
        for stage, (inputs, rows, drops) in reversed(wiring.items())
    )  # fmt: skip


def write(path: Path, record: type[Record], rows: Iterable[Record]) -> Path:
    """Rows as Parquet, as the stages write them."""
    pq.write_table(records_to_table(record, rows), path)
    return path


def complete_inputs(folder: Path, p_think: dict[str, tuple[float, ...]] = P_THINK) -> ReportInputs:
    """A run in which everything was measured."""
    problems = make_problems()
    completions = make_completions(problems, p_think)
    sft, rl = make_metrics()
    tables: dict[str, tuple[type[Record], Sequence[Record]]] = {
        "eval_summary": (EvalSummary, summarise(completions)),
        "eval_completions": (EvalCompletion, completions),
        "eval_routers": (RouterScore, make_routers(completions)),
        "eval_pareto": (ParetoPoint, make_pareto(completions)),
        "sft_metrics": (Metric, sft),
        "rl_metrics": (Metric, rl),
        "rollouts": (RolloutRecord, make_rollouts()),
        "guard_events": (GuardEvent, make_guard_events()),
        "pairs": (Pair, make_pairs()),
        "generations": (Generation, make_generations()),
        "problems": (Problem, problems),
        "dropped": (DroppedRow, make_dropped()),
    }
    return ReportInputs(
        title="Does it know <when> to think?",
        profile="tiny",
        run_id="run-1",
        created_at="2025-01-01T12:00:00Z",
        tables={name: (write(folder / f"{name}.parquet", *table),) for name, table in tables.items()},
        manifests=make_manifests(),
        validation_docs={(make_manifests()[3].key, "pairs"): "../pairs/docs/index.html"},
        examples=6,
    )


def partial_inputs(folder: Path) -> ReportInputs:
    """A run with no metrics, rollouts, completions, manifests or examples, and one model only."""
    whole = complete_inputs(folder)
    cell = EvalSummary(
        model="rl", benchmark="only", mode=EvalMode.AUTO, n=1, accuracy=1.0, accuracy_stderr=0.0, think_share=0.0,
        mean_tokens=3.0, truncated_share=0.0, malformed_share=0.0, fake_short_share=0.0, grader="exact",
        accuracy_paper=1.0,
    )  # fmt: skip
    for table, record in TABLES.items():
        write(folder / f"{table}.parquet", record, [])
    write(folder / "eval_summary.parquet", EvalSummary, [cell])
    write(folder / "rl_metrics.parquet", Metric, [Metric(stage="rl", step=3, name="accuracy", value=0.5)])
    return replace(whole, manifests=(), validation_docs={}, examples=0)
