"""Items of the package reasoning_gym, found by task, settings, seed and index.

task, settings -> data set (made once, kept) -> item by its index: question, answer, metadata

Items are read as `data_set[i]`: iterating over a data set adds random names to some of them.
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from schemas.configs.gym import GymTask
from schemas.errors import SourceError, nearest
from schemas.records.problems import Problem

NUM_ITEMS = 10**8
"""Size that every data set is made with: indices below it are in range."""

Item = Mapping[str, Any]
"""One problem as the package has it: `question`, `answer` and `metadata`."""


def read_item(details: Mapping[str, Any]) -> Item:
    """The item that a problem was made from; raises SourceError if the package is not there or knows no such task."""
    return _read(details)[1]


def item_of(problem: Problem) -> Item:
    """The item of a problem; raises SourceError if the problem comes from another source."""
    return read_item(json.loads(_details(problem)))


def score(problem: Problem, answer: str) -> float:
    """What the package's own program gives an answer: 1 if it is right, less for a part of it."""
    judge, item = _last_judged(_details(problem))
    return float(judge.score_answer(answer, copy.deepcopy(item)))  # what one answer is judged by stays as it was made


@functools.lru_cache(maxsize=1)
def _last_judged(details: str) -> tuple[Any, Item]:
    """As `_read`. Answers to one problem come in a row, and an item may take a thousand times as long as a score."""
    return _read(json.loads(details))


def _details(problem: Problem) -> str:
    if problem.details is None:
        raise SourceError(
            f"problem {problem.problem_id} comes from {problem.source}, and not from a source of kind gym; "
            "choose another teacher or verifier for it"
        )
    return problem.details


def _read(details: Mapping[str, Any]) -> tuple[Any, Item]:
    """A data set, and its item that a problem was made from."""
    found = data_set(details["task"], details["config"], seed=details["seed"])
    return found, found[details["index"]]


def data_set(task: str, config: Mapping[str, JsonValue], *, seed: int) -> Any:
    """The package's data set of a task; raises SourceError for an unknown task or settings that it refuses."""
    return _data_set(task, json.dumps(config, sort_keys=True), seed)


@functools.lru_cache(maxsize=256)
def _data_set(task: str, config: str, seed: int) -> Any:
    try:
        from reasoning_gym.factory import DATASETS, create_dataset
    except ImportError as error:
        raise SourceError(
            f"problems of kind gym need the package reasoning-gym ({error}); pip install 'thinkless-flows[gym]'"
        ) from error
    if task not in DATASETS:
        raise SourceError(f"reasoning_gym has no task {task!r}; {nearest(task, DATASETS)}")
    try:
        return create_dataset(task, size=NUM_ITEMS, seed=seed, **json.loads(config))
    except (TypeError, ValueError, AssertionError) as error:
        raise SourceError(f"task {task!r} of reasoning_gym refuses the settings {config}: {error}") from error


def check_task(task: GymTask) -> None:
    """Raises SourceError if a task or its settings are unknown."""
    data_set(task.name, task.config, seed=0)
