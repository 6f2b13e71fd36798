"""Recorded answers in two files of a folder, found by their question; several processes may read them at once.

(question, answer) of every row -> answers: of each a line of JSON, its text and its thought, one after the other
                                -> index.npy (digest of the question, place, length), sorted by digest, written last
The index is mapped, not read: what is in memory is shared by all processes.
"""

from __future__ import annotations

import json
import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from schemas.configs.source import RecordedAnswer
from schemas.mode import Mode
from thinkless_core.problems.problem_set import normalise

_INDEX, _ANSWERS = "index.npy", "answers"
_HALVES = "surrogatepass"
"""Half of a surrogate pair, which JSON can hold, comes back as it was; its answer is dropped later, with a reason."""
_ENTRY = np.dtype([("question", "S16"), ("place", np.int64), ("length", np.int64)])
"""`S16` leaves out zero bytes at the end, of what is stored and of what is compared with it."""


class AnswerFiles:
    """The answers of one recording."""

    def __init__(self, folder: Path, *, temporary: TemporaryDirectory[str] | None = None) -> None:
        """Those that `write` left in a folder."""
        self._temporary = temporary
        self._index: Any = np.load(folder / _INDEX, mmap_mode="r").view(np.ndarray)
        self._questions = self._index["question"]
        self._file = os.open(folder / _ANSWERS, os.O_RDONLY)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, RecordedAnswer]], folder: Path | None) -> AnswerFiles:
        """The answers in a folder; if it holds none, `rows` are written there first.

        None is a temporary folder, which `close` removes.
        """
        if folder is not None:
            if not (folder / _INDEX).exists():
                write(rows, folder)
            return cls(folder)
        temporary = TemporaryDirectory()
        write(rows, Path(temporary.name))
        return cls(Path(temporary.name), temporary=temporary)

    def find(self, question: str, mode: Mode) -> list[RecordedAnswer]:
        """The answers to a question, however its white space is written, for this mode first, then for any."""
        answers = [self._read(int(entry["place"]), int(entry["length"])) for entry in self._entries(question)]
        return [a for a in answers if a.mode is mode] + [a for a in answers if a.mode is None]

    def num_bytes(self, question: str) -> int:
        """How long the answers to a question are together."""
        return int(self._entries(question)["length"].sum())

    def close(self) -> None:
        """Close the files."""
        os.close(self._file)
        if self._temporary is not None:
            self._temporary.cleanup()

    def _entries(self, question: str) -> Any:
        name = _digest(question).rstrip(b"\0")
        return self._index[bisect_left(self._questions, name) : bisect_right(self._questions, name)]

    def _read(self, place: int, length: int) -> RecordedAnswer:
        head, _, texts = os.pread(self._file, length, place).partition(b"\n")
        size, finished, fault, mode = json.loads(head)
        text, thought = (part.decode(errors=_HALVES) for part in (texts[:size], texts[size:]))
        return RecordedAnswer(text, thought, finished, fault, None if mode is None else Mode(mode))


def write(rows: Iterable[tuple[str, RecordedAnswer]], folder: Path) -> None:
    """Write answers to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    names, lengths = bytearray(), array("q")
    with (folder / _ANSWERS).open("wb") as file:
        for question, answer in rows:
            text, thought = (part.encode(errors=_HALVES) for part in (answer.text, answer.thought))
            head = json.dumps([len(text), answer.finished, answer.fault, answer.mode])
            content = head.encode() + b"\n" + text + thought
            file.write(content)
            names += _digest(question)
            lengths.append(len(content))
    index = np.empty(len(lengths), _ENTRY)
    index["question"] = np.frombuffer(names, "S16")
    index["length"] = lengths
    index["place"] = np.cumsum(index["length"]) - index["length"]
    in_order = np.argsort(index["question"], kind="stable")  # answers to one question stay in theirs
    np.save(folder / _INDEX, index[in_order])


def _digest(question: str) -> bytes:
    return blake2b(normalise(question).encode(errors=_HALVES), digest_size=16).digest()
