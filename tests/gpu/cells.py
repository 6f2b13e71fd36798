"""Completions by task and level: what is right in either mode, what is chosen, what a choice by the cell would earn.

EvalCompletions of one model (auto, short, think) -> one row of numbers per task and level, and one over all

Rewards are those of `thinkless_core.rl.rewards.Thinkless`: 1 for a right short answer, 1 - gamma for a right think
answer, -1 for a wrong one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.problems import Problem
from schemas.records.rollouts import RolloutRecord
from tests.gpu.prepared import task_of
from tests.gpu.results import share, table
from thinkless_core.sampling.decoding import decoding_of
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.rendering import render_prompt

Place = tuple[str, int | None]
"""Task and level."""
ALL: Place = ("all", None)


def control_mass(
    model: PreTrainedModel, problems: Sequence[Problem], *, tokenizer: PreTrainedTokenizerBase, batch_size: int
) -> dict[str, float]:
    """Problem -> probability that token 0 is one of the two control tokens."""
    control = ControlTokens.of(tokenizer)
    found: list[float] = []
    with torch.inference_mode():
        for start in range(0, len(problems), batch_size):
            prompts = [render_prompt(tokenizer, p.prompt) for p in problems[start : start + batch_size]]
            logits_BV = decoding_of(model, pad_id=tokenizer.pad_token_id).start(prompts).float()
            both_B2 = logits_BV.softmax(dim=-1)[:, [control.short_id, control.think_id]]
            found += both_B2.sum(dim=1).tolist()
    return dict(zip((p.problem_id for p in problems), found, strict=True))


def cell_rows(
    problems: Sequence[Problem], completions: Iterable[EvalCompletion], *, mass: Mapping[str, float], gamma: float
) -> list[dict[str, Any]]:
    """One row per task and level of one benchmark in their order, the row over all of them last."""
    places = {problem.problem_id: (task_of(problem), problem.difficulty) for problem in problems}
    by_place: dict[Place, list[EvalCompletion]] = defaultdict(list)
    for completion in completions:
        by_place[places[completion.problem_id]].append(completion)
    rows = [_numbers(place, by_place[place], mass=mass, gamma=gamma) for place in sorted(by_place, key=_order)]
    whole = _numbers(ALL, [c for found in by_place.values() for c in found], mass=mass, gamma=gamma)
    # What a choice by task and level alone would earn; the whole's own better mode is one choice for all.
    whole["best_reward"] = sum(row["best_reward"] * row["n"] for row in rows) / max(whole["n"], 1)
    return [*rows, whole]


def of_benchmarks(
    problems: Sequence[Problem], completions: Sequence[EvalCompletion], *, mass: Mapping[str, float], gamma: float
) -> list[dict[str, Any]]:
    """The rows of every benchmark, one after the other, with its name."""
    rows = []
    for name in dict.fromkeys(problem.benchmark for problem in problems):
        asked = [problem for problem in problems if problem.benchmark == name]
        ids = {problem.problem_id for problem in asked}
        found = [completion for completion in completions if completion.problem_id in ids]
        rows += [{"benchmark": name, **row} for row in cell_rows(asked, found, mass=mass, gamma=gamma)]
    return rows


def summaries(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """The summary of every benchmark by its name."""
    names = dict.fromkeys(row["benchmark"] for row in rows)
    return {name: summary([row for row in rows if row["benchmark"] == name]) for name in names}


def cell_table(rows: Sequence[Mapping[str, Any]], *, before: Sequence[Mapping[str, Any]] | None = None) -> str:
    """The rows, with think share and accuracy of an earlier model beside them."""
    earlier = {_key(row): row for row in before or ()}
    header = ["benchmark", "task", "level", "n", "short", "think", "pays", "auto thinks", "P(think)"]
    header += ["before", "auto right"] + (["before "] if before else [])
    if not before:
        header.remove("before")
    header += ["tok short", "tok think", "tok auto", "cut", "malformed", "P(control)"]
    lines = []
    for row in rows:
        old = earlier.get(_key(row))
        thinks = [share(row["auto_think"]), share(row["p_think"]), *([share(old["p_think"])] if old else [])]
        right = [share(row["auto_right"]), *([share(old["auto_right"])] if old else [])]
        lines.append(
            [*_key(row), row["n"], share(row["short_right"]), share(row["think_right"]), row["pays"]]
            + thinks
            + right
            + [round(row[f"{mode}_tokens"]) for mode in ("short", "think", "auto")]
            + [share(row["cut"]), share(row["malformed"]), f"{row['control']:.3f}"]
        )
    return table(header, lines)


def _key(row: Mapping[str, Any]) -> tuple[str, str, int | None]:
    return row["benchmark"], row["task"], row["level"]


def rollout_table(problems: Sequence[Problem], rollouts: Sequence[RolloutRecord]) -> str:
    """Free rollouts of some steps by task and level."""
    places = {problem.problem_id: (task_of(problem), problem.difficulty) for problem in problems}
    by_place: dict[Place, list[RolloutRecord]] = defaultdict(list)
    for rollout in rollouts:
        by_place[places[rollout.problem_id]].append(rollout)
        by_place[ALL].append(rollout)
    lines = []
    for place in sorted(by_place, key=_order):
        found = by_place[place]
        by_mode = {mode: [r for r in found if r.mode is mode] for mode in Mode}
        lines.append(
            [*place, len(found), share(_mean(r.mode is Mode.THINK for r in found))]
            + [share(_mean(r.correct for r in by_mode[mode])) for mode in (Mode.SHORT, Mode.THINK)]
            + [share(_mean(r.malformed for r in found)), round(_mean(r.num_tokens for r in found) or 0)]
        )
    return table(["task", "level", "rollouts", "think share", "short", "think", "malformed", "tokens"], lines)


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Whether the choice was learned: how often it thinks where thinking pays and where it does not, and what it earns
    beside both fixed modes and the better mode of each task and level.
    """
    cells, whole = rows[:-1], rows[-1]
    shares = {
        name: _weighted([(row["p_think"], row["n"]) for row in cells if row["pays"] == pays])
        for name, pays in (("p_think_where_it_pays", "think"), ("p_think_elsewhere", "short"))
    }
    rewards = {name: whole[f"{name}_reward"] for name in ("auto", "short", "think", "best")}
    return (
        shares
        | {f"{name}_reward": value for name, value in rewards.items()}
        | {
            "auto_right": whole["auto_right"],
            "auto_think": whole["auto_think"],
            "auto_tokens": whole["auto_tokens"],
            "malformed": whole["malformed"],
        }
    )


def _numbers(
    place: Place, found: Sequence[EvalCompletion], *, mass: Mapping[str, float], gamma: float
) -> dict[str, Any]:
    by_mode = {mode: [c for c in found if c.mode is mode] for mode in EvalMode}
    auto, short, think = (by_mode[mode] for mode in (EvalMode.AUTO, EvalMode.SHORT, EvalMode.THINK))
    right = {mode.value: _mean(c.correct for c in rows) or 0.0 for mode, rows in by_mode.items()}
    tokens = {f"{mode}_tokens": _mean(c.num_tokens for c in rows) or 0.0 for mode, rows in by_mode.items()}
    rewards = {
        "short_reward": _reward(right["short"], 1.0),
        "think_reward": _reward(right["think"], 1.0 - gamma),
    }
    return {
        "task": place[0],
        "level": place[1],
        "n": len({c.problem_id for c in found}),
        **{f"{mode}_right": value for mode, value in right.items()},
        "pays": "think" if rewards["think_reward"] > rewards["short_reward"] else "short",
        "auto_think": _mean(c.chosen_mode is Mode.THINK for c in auto) or 0.0,
        "p_think": _mean(c.p_think for c in auto) or 0.0,
        **tokens,
        "cut": _mean(c.truncated for c in (*short, *think)) or 0.0,
        "malformed": _mean(c.malformed for c in auto) or 0.0,
        "control": _mean(mass[c.problem_id] for c in auto) or 0.0,
        **rewards,
        "auto_reward": _mean(_earned(c, gamma) for c in auto) or 0.0,
        "best_reward": max(rewards.values()),
    }


def _reward(right: float, paid: float) -> float:
    """Mean reward of answers of which the share `right` earns `paid` each, and the others -1."""
    return right * paid - (1.0 - right)


def _earned(completion: EvalCompletion, gamma: float) -> float:
    thought = completion.chosen_mode is Mode.THINK or completion.fake_short
    return _reward(float(completion.correct), 1.0 - gamma if thought else 1.0)


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def _weighted(values: Sequence[tuple[float, int]]) -> float | None:
    total = sum(n for _, n in values)
    return sum(value * n for value, n in values) / total if total else None


def _order(place: Place) -> tuple[bool, str, int]:
    task, level = place
    return place == ALL, task, -1 if level is None else level
