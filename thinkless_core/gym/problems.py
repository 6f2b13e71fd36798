"""Problems of a source of kind gym: each task and level in turn, by weight, and distinct.

GymTask with its range of indices -> items -> SourceProblem with task, level and the place of its item
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from schemas.configs.gym import GymSource, GymTask
from schemas.configs.source import SourceProblem
from schemas.errors import SourceError
from thinkless_core.gym.items import check_task, read_item

SPLIT_STARTS = {"train": 0, "rl": 10_000_000, "validation": 20_000_000, "test": 30_000_000}
"""First index of each split. The package draws item i of seed s with Random(s + i)."""
SEED_STEP = 100_000_000
"""Seed s of this project is seed s * SEED_STEP of the package, so that no item of one is an item of another."""
MOST_SEEDS = 2**31
"""Seeds are taken modulo this one."""
MOST_REPEATS = 1000
"""Items in a row whose questions all were there before, after which a task counts as exhausted."""


class GymProblems:
    """The problems of a source."""

    def __init__(self, source: GymSource) -> None:
        self._source = source

    def problems(self, *, name: str, seed: int) -> Iterator[SourceProblem]:
        """See SourceConfig.problems. Any prefix holds the tasks by their weights.

        Raises SourceError if a task is unknown, or has fewer distinct questions than asked for.
        """
        tasks = self._source.chosen()
        for task in tasks:
            check_task(task)
        split = self._source.split or (name if name in ("train", "rl") else "test")
        drawn = {task.label: _distinct(task, seed=seed, start=SPLIT_STARTS[split]) for task in tasks}
        given = dict.fromkeys(drawn, 0)
        total = sum(task.weight for task in tasks)
        for number in range(1, self._source.num_problems + 1):
            task = max(tasks, key=lambda one: one.weight / total * number - given[one.label])
            found = next(drawn[task.label], None)
            if found is None:
                raise SourceError(
                    f"task {task.label} has only {given[task.label]} distinct questions in {split}, more are asked "
                    f"for; lower its weight or num_problems={self._source.num_problems}, or widen its config"
                )
            given[task.label] += 1
            yield found


def _distinct(task: GymTask, *, seed: int, start: int) -> Iterator[SourceProblem]:
    """Problems of one task whose questions differ; ends if MOST_REPEATS in a row bring nothing new."""
    seen: set[str] = set()
    repeats = 0
    index = start
    while repeats < MOST_REPEATS:
        details = {"task": task.name, "config": task.config, "seed": seed % MOST_SEEDS * SEED_STEP, "index": index}
        item = read_item(details)
        index += 1
        question = str(item["question"]).strip()
        if question in seen:
            repeats += 1
            continue
        repeats = 0
        seen.add(question)
        yield SourceProblem(
            prompt=question,
            answer=str(item["answer"]),
            difficulty=task.level,
            source=f"reasoning_gym {task.label} {details['index']}",
            task=task.name,
            details=json.dumps(details, sort_keys=True),
        )
