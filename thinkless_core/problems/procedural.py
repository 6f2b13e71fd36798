"""Problems made by a program, and the working a teacher shows for them.

A problem is a chain of + - * on two-digit numbers, evaluated from left to right; its answer is the last digit of
the result (never negative: arithmetic modulo 10). `37+48*12=?` -> 7+8=5, 5*2=0 -> `0`. Its difficulty is the number
of operations: one is a table to know by heart, several need a place to write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from schemas.configs.problems import ProceduralSource
from schemas.configs.source import SourceProblem
from schemas.errors import ConfigError
from thinkless_core.seeding import random_stream

OPERATIONS = "+-*"
_CHAIN = re.compile(r"\d+([+\-*]\d+)+=\?")
_TERM = re.compile(r"([+\-*]?)(\d+)")


class Working(NamedTuple):
    """How a chain is evaluated: one `a+b=c` per operation, and the last digit of the result."""

    steps: tuple[str, ...]
    answer: str


class ChainProblems:
    """The problems of a procedural source."""

    def __init__(self, source: ProceduralSource) -> None:
        self._source = source

    def problems(self, *, name: str, seed: int) -> Iterator[SourceProblem]:
        """See SourceConfig.problems."""
        stream = random_stream("problems", seed, name)
        chains = draw_distinct_chains(stream, num_problems=self._source.num_problems, mix=self._source.mix)
        for text, difficulty in chains:
            working = work_out(text)
            assert working is not None, text
            yield SourceProblem(text, working.answer, difficulty, "procedural")


def draw_chain(stream: np.random.Generator, num_operations: int) -> str:
    """One random problem text with `num_operations` operations."""
    numbers = stream.integers(10, 100, size=num_operations + 1)
    operations = stream.integers(len(OPERATIONS), size=num_operations)
    chain = str(numbers[0]) + "".join(
        f"{OPERATIONS[operation]}{number}" for operation, number in zip(operations, numbers[1:], strict=True)
    )
    return f"{chain}=?"


def draw_distinct_chains(
    stream: np.random.Generator, *, num_problems: int, mix: Sequence[float]
) -> list[tuple[str, int]]:
    """`num_problems` distinct (text, difficulty), difficulties drawn from `mix`.

    Raises ConfigError if a difficulty has too few distinct problems to go on.
    """
    difficulties = stream.choice(len(mix), size=num_problems, p=np.asarray(mix) / np.sum(mix)) + 1
    seen: set[str] = set()
    chains: list[tuple[str, int]] = []
    for difficulty in difficulties.tolist():
        for _ in range(1000):
            text = draw_chain(stream, difficulty)
            if text not in seen:
                break
        else:
            raise ConfigError(
                f"problems with {difficulty} operation(s) run out: {len(chains)} of {num_problems} made; "
                "lower num_problems or the share of that difficulty in mix"
            )
        seen.add(text)
        chains.append((text, difficulty))
    return chains


def work_out(prompt: str) -> Working | None:
    """Evaluate a problem text step by step; None if it is not such a chain."""
    if not _CHAIN.fullmatch(prompt):
        return None
    terms = _TERM.findall(prompt)
    value = int(terms[0][1]) % 10
    steps = []
    for operation, number in terms[1:]:
        digit = int(number) % 10
        result = {"+": value + digit, "-": value - digit, "*": value * digit}[operation] % 10
        steps.append(f"{value}{operation}{digit}={result}")
        value = result
    return Working(tuple(steps), str(value))
