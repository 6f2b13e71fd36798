"""Part `train`: warm-up, then RL of every objective and seed asked for, each evaluated by task and level.

pairs -> train_sft -> evaluation -> (copy of the warm-up -> train_rl -> evaluation) per objective and seed

Training stops in time: what is left of the budget when a step ends must do for the evaluation that follows.
"""

from __future__ import annotations

import copy
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from schemas.configs.rl import RlConfig
from schemas.configs.sampler import TransformersSamplerConfig
from schemas.configs.schedule import at
from schemas.mode import EvalMode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.metrics import Metric
from schemas.records.problems import Problem, ProblemSplit
from tests.gpu.budget import OutOfTimeError
from tests.gpu.card import estimates, forget_peak, gib, peak_bytes
from tests.gpu.cells import cell_table, control_mass, of_benchmarks, rollout_table, summaries
from tests.gpu.prepared import task_of
from tests.gpu.results import table
from tests.gpu.session import Session
from thinkless_core.evaluation.evaluate_problems import evaluate_problems
from thinkless_core.progress import Progress
from thinkless_core.rl.rl_logs import RlLogs
from thinkless_core.rl.rl_trainer import train_rl
from thinkless_core.sampling.sampler import Sampler
from thinkless_core.sampling.sampling_copy import SamplingCopy
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.training.acceleration import in_bfloat16, use_threads
from thinkless_core.training.precision import merge_student, prepare_student
from thinkless_core.training.sft_trainer import metrics_log, train_sft
from thinkless_core.training.tokenised_pairs import TokenisedPairs

LINES = 12
"""Lines of progress and rows of a curve, at most (each, and the last)."""
SHOWN = 2
"""Examples of each task and level."""
FEW_PAIRS = 64
"""Pairs that a trial takes: to encode all of them takes longer than its steps."""
FIRST_EVALUATION = 60.0
"""Seconds kept for the first evaluation; later ones are taken to last as long as it did."""
CURVE = ("loss", "think_loss", "short_loss", "validation_loss", "grad_norm")
RL_CURVE = (
    "reward_mean", "accuracy", "think_share", "probe_p_think", "short_accuracy", "think_accuracy", "mean_tokens",
    "malformed_share", "truncated_share", "grad_norm",
)  # fmt: skip


def run(session: Session) -> tuple[dict[str, Any], str]:
    """Train and evaluate; results are written after each model as well."""
    data: dict[str, Any] = {"judged_by": session.judged_by, "rl": []}
    texts = [f"## Training\n\n{session.judged_by}"]
    warm, sft = _warm_up(session)
    texts.append(_curve_text("Warm-up", sft, CURVE))
    data["sft"] = sft
    session.results.put("train", data, "\n\n".join(texts))
    started = time.monotonic()
    rows, completions = _evaluated(session, warm, name="warm-up")
    lasts = time.monotonic() - started
    data["sft"] |= {"cells": rows, "summary": summaries(rows), "evaluation_seconds": lasts}
    texts.append(f"### Warm-up by task and level\n\n{cell_table(rows)}\n\n{LEGEND}")
    examples = _examples(session, completions)
    session.budget.say(f"evaluated in {lasts:.0f} s\n{examples}\n{cell_table(rows)}")
    session.results.put("train", data, "\n\n".join([*texts, examples]))
    for objective in session.options.objectives.split(","):
        for seed in map(int, session.options.rl_seeds.split(",")):
            name = f"{objective} seed {seed}"
            if session.budget.left() < 2 * lasts + 10:
                texts.append(f"{name}: not run, {session.budget.left():.0f} s were left.")
                session.budget.say(texts[-1])
                continue
            found, text = _reinforced(session, warm, objective=objective, seed=seed, before=rows, lasts=lasts)
            data["rl"].append(found)
            texts.append(text)
            session.budget.say(f"{text}\n{_runs_table(data)}")
            session.results.put("train", data, "\n\n".join([*texts, _runs_table(data), examples]))
    return data, "\n\n".join([*texts, _runs_table(data), examples])


LEGEND = (
    "`short`, `think`: right with the mode forced; `pays`: the mode with the larger reward (1 for right and short, "
    "1 - gamma for right and think, -1 for wrong); `P(think)`: over both control tokens, before: of the warm-up; "
    "`cut`: forced completions that ran into the limit; `P(control)`: probability that token 0 is a control token."
)


def _warm_up(session: Session) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The student after SFT, and the numbers of its training."""
    config = session.sft().model_copy(update={"checkpoint_every": 10**9, "launch": None})
    use_threads(config.num_threads)
    model = session.student()
    prepare_student(model, config, tokenizer=session.tokenizer)
    scratch = session.work / "sft"
    held = forget_peak(session.device)
    watch = _Watch(session, "sft", CURVE, keep=0.0 if session.small else FIRST_EVALUATION)
    some = session.pairs[:FEW_PAIRS] if session.small else session.pairs
    pairs = TokenisedPairs.of(some, tokenizer=session.tokenizer)
    session.budget.say(f"sft: {config.steps} steps of {config.pairs_per_step} pairs, {config.precision}")
    try:
        train_sft(model, tokenizer=session.tokenizer, pairs=pairs, config=config, scratch=scratch, progress=watch)
    except OutOfTimeError:
        session.budget.say(f"sft stopped after step {watch.step}")
    most = peak_bytes(session.device)
    merge_student(model)
    curve = _by_step(metrics_log(scratch))
    shutil.rmtree(scratch, ignore_errors=True)
    return model, {
        "steps": watch.step, "of": config.steps, "seconds": watch.seconds(), "curve": curve,
        **_memory(session, "sft", held=held, most=most),
    }  # fmt: skip


def _memory(session: Session, stage: str, *, held: int, most: int | None) -> dict[str, int | None]:
    """Peak of a stage beside the doctor's estimate; what was held before it is left out."""
    return {
        "peak_bytes": None if most is None else most - held,
        "estimated_bytes": estimates(session).get(stage),
    }


def _reinforced(
    session: Session,
    warm: PreTrainedModel,
    *,
    objective: str,
    seed: int,
    before: Sequence[Mapping[str, Any]],
    lasts: float,
) -> tuple[dict[str, Any], str]:
    """RL of a copy of the warm-up, evaluated."""
    config = session.rl(f"rl.objective={objective}", f"rl.seed={seed}")
    config = config.model_copy(update={"checkpoint_every": 10**9, "launch": None})
    problems = session.judged(ProblemSplit.RL)
    held = forget_peak(session.device)
    policy = copy.deepcopy(warm)
    prepare_student(policy, config, tokenizer=session.tokenizer)
    scratch = session.work / f"rl-{objective}-{seed}".replace(":", "-").replace("/", "-")
    name = f"rl {objective} seed {seed}"
    watch = _Watch(session, name, RL_CURVE, keep=0.0 if session.small else 1.2 * lasts + 5)
    session.budget.say(f"{name}: {config.steps} steps of {config.prompts_per_step} x {config.group_size} rollouts")
    try:
        train_rl(
            policy.to(session.device),
            reference=policy if config.lora is not None else copy.deepcopy(warm),
            tokenizer=session.tokenizer,
            sampler=_sampler(session, policy, config),
            problems=problems,
            config=config,
            scratch=scratch,
            progress=watch,
        )
    except OutOfTimeError:
        session.budget.say(f"{name} stopped after step {watch.step}")
    most = peak_bytes(session.device)
    merge_student(policy)
    logs = RlLogs.in_folder(scratch)
    curve, rollouts = _by_step(logs.metrics), list(logs.rollouts)
    events = [event.reason for event in logs.guard_events]
    shutil.rmtree(scratch, ignore_errors=True)
    rows, _ = _evaluated(session, policy, name=name)
    last = [r for r in rollouts if r.step > watch.step * 3 // 4 and not r.forced]
    found = {
        "objective": objective, "seed": seed, "steps": watch.step, "of": config.steps, "seconds": watch.seconds(),
        "summary": summaries(rows), "cells": rows, "curve": curve, "guard": events,
        **_memory(session, "rl", held=held, most=most),
    }  # fmt: skip
    text = "\n\n".join(
        [
            _curve_text(name, found, RL_CURVE),
            cell_table(rows, before=before),
            f"Rollouts of the last quarter of the steps:\n\n{rollout_table(problems, last)}",
            *events,
        ]
    )
    return found, text


def _sampler(session: Session, policy: PreTrainedModel, config: RlConfig) -> Sampler:
    assert isinstance(config.sampler, TransformersSamplerConfig), "part train samples with the project's own sampler"
    kind = SamplingCopy if in_bfloat16(config.precision) else TransformersSampler
    tokenizer = session.tokenizer
    return kind(policy, tokenizer.pad_token_id, tokenizer.eos_token_id, session.options.sample_batch)


def _evaluated(
    session: Session, model: PreTrainedModel, *, name: str
) -> tuple[list[dict[str, Any]], list[EvalCompletion]]:
    """Rows by task and level, and all completions; the model itself stays as it is."""
    config = session.evaluate().model_copy(update={"batch_size": session.options.sample_batch})
    rl = session.rl()
    model = (
        copy.deepcopy(model)
        .to(session.device, torch.bfloat16 if in_bfloat16(config.precision) else torch.float32)
        .eval()
    )
    tokenizer = session.tokenizer
    sampler = TransformersSampler(model, tokenizer.pad_token_id, tokenizer.eos_token_id, config.batch_size)
    every = _asked(session, config.limit)
    completions = evaluate_problems(  # a token takes as long for few rows as for many: all benchmarks at once
        model, every, sampler=sampler, tokenizer=tokenizer, model_name=name, benchmark="all", config=config
    )
    by_id = {problem.problem_id: problem for problem in every}
    session.results.add_completions(
        c.model_dump(mode="json")
        | {"benchmark": by_id[c.problem_id].benchmark, "task": task_of(by_id[c.problem_id])}
        | {"reference": by_id[c.problem_id].answer}
        for c in completions
    )
    mass = control_mass(model, every, tokenizer=tokenizer, batch_size=config.batch_size)
    gamma = at(rl.gamma, step=rl.steps, num_steps=rl.steps)
    return of_benchmarks(every, completions, mass=mass, gamma=gamma), completions


def _asked(session: Session, limit: int | None) -> list[Problem]:
    """The first problems of each benchmark."""
    tests = session.judged(ProblemSplit.TEST)
    names = dict.fromkeys(problem.benchmark for problem in tests)
    return [problem for name in names for problem in [p for p in tests if p.benchmark == name][:limit]]


def _examples(session: Session, completions: Sequence[EvalCompletion]) -> str:
    """The first problems of each task and level, with what was written in either mode."""
    forced: dict[str, list[EvalCompletion]] = {}
    for completion in completions:
        if completion.mode is not EvalMode.AUTO and completion.sample == 0:
            forced.setdefault(completion.problem_id, []).append(completion)
    shown: Counter[tuple[str, int | None]] = Counter()
    lines = ["Examples (warm-up, forced):"]
    for problem in session.problems:
        place = (task_of(problem), problem.difficulty)
        if problem.problem_id not in forced or shown[place] >= SHOWN:
            continue
        shown[place] += 1
        reference, question = (" ".join(text.split()) for text in (problem.answer, problem.question))
        lines.append(f"\n* {place[0]}:{place[1]}, reference `{reference[:60]}`: {question[:160]}")
        for c in forced[problem.problem_id]:
            mark = "right" if c.correct else "cut" if c.truncated else "wrong"
            lines.append(f"  * {mark} ({c.num_tokens}): `{' '.join(c.completion.split())[:300]}`")
    return "\n".join(lines)


def _curve_text(name: str, found: Mapping[str, Any], columns: Sequence[str]) -> str:
    curve = found["curve"]
    every = max(1, -(-len(curve) // LINES))
    kept = [row for i, row in enumerate(curve, start=1) if i == 1 or i % every == 0 or i == len(curve)]
    lines = [[row["step"], *(row.get(column) for column in columns)] for row in kept]
    rate = found["seconds"] / max(found["steps"], 1)
    said = f"{name}: {found['steps']} of {found['of']} steps in {found['seconds']:.0f} s, {rate:.2f} s a step."
    if found["peak_bytes"] is not None:
        said += f" Memory: at most {gib(found['peak_bytes'])} GiB, estimate {gib(found['estimated_bytes'])} GiB."
    return f"### {name}\n\n{said}\n\n{table(['step', *columns], lines)}"


def _runs_table(data: Mapping[str, Any]) -> str:
    """The warm-up and all RL runs in one table."""
    runs = [("warm-up", "", data["sft"]), *((r["objective"], r["seed"], r) for r in data["rl"])]
    lines = [
        [name, str(seed), run["steps"], benchmark, *numbers.values()]
        for name, seed, run in runs
        for benchmark, numbers in run["summary"].items()
    ]
    columns = next(iter(data["sft"]["summary"].values()))
    header = ["run", "seed", "steps", "benchmark", *(name.replace("_", " ") for name in columns)]
    return f"### All runs\n\n{table(header, lines)}"


def _by_step(metrics: Sequence[Metric] | Any) -> list[dict[str, float]]:
    """Metrics as one row per step."""
    rows: dict[int, dict[str, float]] = {}
    for metric in metrics:
        rows.setdefault(metric.step, {"step": metric.step})[metric.name] = metric.value
    return [rows[step] for step in sorted(rows)]


class _Watch(Progress):
    """Prints some of the steps; ends training when the time that is kept for what follows begins."""

    def __init__(self, session: Session, name: str, columns: Sequence[str], *, keep: float) -> None:
        self._session, self._name, self._columns, self._keep = session, name, columns, keep
        self._started = time.monotonic()
        self._ended = self._started
        self.step = 0

    def __call__(self, done: int, total: int, numbers: Mapping[str, float], notes: Sequence[str] = ()) -> None:
        self.step = done
        self._ended = time.monotonic()
        if done == 1 or done == total or done % max(1, total // LINES) == 0 or notes:
            shown = ", ".join(f"{name} {numbers[name]:.3g}" for name in self._columns if name in numbers)
            self._session.budget.say(f"{self._name} {done}/{total}: {shown} {' '.join(notes)}".rstrip())
        if done < total and self._session.budget.left() < self._keep:
            raise OutOfTimeError

    def seconds(self) -> float:
        """From the start to the end of the last step."""
        return self._ended - self._started
