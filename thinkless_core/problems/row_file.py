"""Rows that are too many for memory: kept in a temporary file, read back one at a time, in any order."""

from __future__ import annotations

import os
import pickle
from array import array
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeVar, overload

R = TypeVar("R")


class RowFile(Sequence[R]):
    """A sequence that is only appended to; 8 bytes of each row are in memory.

    The file has no name, lies on the disk of `folder` (None: in the system's folder for temporary files), and is gone
    with the object.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - open as long as the object lives
        self._ends = array("q", [0])
        self._written = 0

    def append(self, row: R) -> None:
        """Add a row, which must be picklable."""
        content = pickle.dumps(row, protocol=pickle.HIGHEST_PROTOCOL)
        self._file.write(content)
        self._ends.append(self._ends[-1] + len(content))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> R: ...

    @overload
    def __getitem__(self, index: slice) -> list[R]: ...

    def __getitem__(self, index: int | slice) -> R | list[R]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self[place] for place in places]
        if self._ends[places + 1] > self._written:
            self._file.flush()
            self._written = self._ends[-1]
        begin, end = self._ends[places], self._ends[places + 1]
        row: R = pickle.loads(os.pread(self._file.fileno(), end - begin, begin))
        return row
