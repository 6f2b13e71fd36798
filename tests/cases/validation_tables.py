"""A clean table for each validation suite: small, and with every kind of row the suite must let pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.validation.checks import Suite
from infra.validation.suites import (
    eval_completions_suite,
    generations_suite,
    pairs_suite,
    problems_suite,
    rollouts_suite,
)
from schemas.base import Record
from schemas.mode import Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.generations import Generation
from schemas.records.pairs import Pair
from schemas.records.problems import Problem
from schemas.records.rollouts import RolloutRecord

Row = dict[str, Any]
Rows = list[Row]
NUM = 16
"""Rows of most tables: at least as many as a record has columns."""


@dataclass(frozen=True)
class Clean:
    """A suite and a table that passes it."""

    suite: Suite
    record: type[Record]
    rows: Callable[[], Rows]


def problems() -> Rows:
    splits = ["sft"] * 8 + ["rl"] * 4 + ["test"] * 4
    return [
        {
            "problem_id": f"p{i}",
            "prompt": f"{i}+1=?",
            "answer": str(i + 1),
            "difficulty": 1 if i else None,
            "split": split,
            "benchmark": ("it's easy: {a}" if i % 2 else "hard") if split == "test" else None,
            "source": "generator",
            "instruction": "",
            "verifier": "strict",
        }
        for i, split in enumerate(splits)
    ]


def generations(mode: Mode) -> Rows:
    completion = "<think>1+1=2</think>2" if mode is Mode.THINK else "<short>2"
    rows: Rows = [
        {
            "generation_id": f"g{i}",
            "problem_id": f"p{i}",
            "prompt": f"{i}+1=?",
            "mode": mode.value,
            "completion": completion,
            "answer": "2",
            "num_tokens": 9,
            "finish_reason": "stop",
            "truncated": False,
            "correct": i % 2 == 0,
            "teacher": "procedural",
        }
        for i in range(NUM)
    ]
    cut = f"{mode.token}1+1=2, wait"
    rows[-1] |= {
        "completion": cut,
        "answer": None,
        "finish_reason": "length",
        "truncated": True,
        "correct": False,
    }
    return rows


def pairs() -> Rows:
    rows: Rows = [
        {
            "problem_id": f"p{i}",
            "prompt": f"{i}+1=?",
            "answer": "2",
            "think_completion": "<think>1+1=2</think>2",
            "short_completion": "<short>2",
            "think_tokens": 9,
            "short_tokens": 3,
            "think_truncated": False,
            "short_truncated": False,
            "split": "validation" if i == 0 else "train",
            "difficulty": None,
        }
        for i in range(NUM)
    ]
    rows[-1] |= {"think_completion": "<think>1+1=2, wait", "think_truncated": True}
    return rows


def rollouts() -> Rows:
    """Two steps, the same two problems in both, four rollouts each: think (forced), short, malformed, wrong."""
    kinds = [
        ("think", "<think>a</think>2", True, False, False, 0.5),
        ("short", "<short>2", True, False, False, 1.0),
        (None, "2+2", False, True, False, -1.0),
        ("short", "<short>a</think>3", False, False, True, -1.0),
    ]
    mean = sum(kind[-1] for kind in kinds) / len(kinds)
    return [
        {
            "rollout_id": f"s{step}-p{problem}-{sample}",
            "step": step,
            "problem_id": f"p{problem}",
            "difficulty": None,
            "sample": sample,
            "mode": mode,
            "forced": sample == 0,
            "completion": completion,
            "num_tokens": 5,
            "finish_reason": "stop",
            "correct": correct,
            "malformed": malformed,
            "fake_short": fake_short,
            "reward": reward,
            "advantage": reward - mean,
        }
        for step in (1, 2)
        for problem in (0, 1)
        for sample, (mode, completion, correct, malformed, fake_short, reward) in enumerate(kinds)
    ]


def eval_completions() -> Rows:
    """Two benchmarks of different size; in mode auto the base model's first token is no control token."""
    rows: Rows = []
    for benchmark, size in (("easy", 2), ("hard", 1)):
        for model in ("base", "sft", "rl"):
            for mode in ("auto", "short", "think"):
                chosen = mode if mode != "auto" else (None if model == "base" else "think")
                rows += [
                    {
                        "completion_id": f"{model}-{benchmark}-{mode}-{i}",
                        "model": model,
                        "benchmark": benchmark,
                        "mode": mode,
                        "problem_id": f"{benchmark}{i}",
                        "difficulty": None,
                        "sample": 0,
                        "chosen_mode": chosen,
                        "completion": f"<{chosen}>2" if chosen else "The",
                        "answer": "2" if chosen else None,
                        "correct": chosen is not None,
                        "num_tokens": 3,
                        "truncated": False,
                        "malformed": chosen is None,
                        "fake_short": False,
                        "p_think": 0.5,
                        "grader": "strict",
                        "correct_paper": i == 0,
                    }
                    for i in range(size)
                ]
    return rows


CLEAN = {
    "problems": Clean(problems_suite(benchmarks=["it's easy: {a}", "hard"]), Problem, problems),
    "think": Clean(generations_suite(mode=Mode.THINK, num_problems=NUM), Generation, lambda: generations(Mode.THINK)),
    "short": Clean(generations_suite(mode=Mode.SHORT, num_problems=NUM), Generation, lambda: generations(Mode.SHORT)),
    "pairs": Clean(pairs_suite(), Pair, pairs),
    "rollouts": Clean(rollouts_suite(group_size=4), RolloutRecord, rollouts),
    "eval": Clean(eval_completions_suite(benchmarks=["easy", "hard"]), EvalCompletion, eval_completions),
}
