"""Sequences of rows that are not in memory: each row is fetched when it is asked for.

RowFile: appended to a temporary file, read back in any order
RowsAt: some rows of another sequence, by their places
"""

from __future__ import annotations

import os
import pickle
from abc import abstractmethod
from array import array
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

R = TypeVar("R")


class Rows(Sequence[R]):
    """A sequence whose slices fetch no row yet."""

    @abstractmethod
    def row(self, place: int) -> R:
        """The row at a place, counted from 0."""

    @overload
    def __getitem__(self, index: int) -> R: ...

    @overload
    def __getitem__(self, index: slice) -> RowsAt[R]: ...

    def __getitem__(self, index: int | slice) -> R | RowsAt[R]:
        places = range(len(self))[index]
        return RowsAt(self, places) if isinstance(places, range) else self.row(places)


class RowsAt(Rows[R]):
    """Rows of a sequence at these places."""

    def __init__(self, rows: Sequence[R], places: Sequence[int] | NDArray[np.int64]) -> None:
        self._rows, self._places = rows, places

    def __len__(self) -> int:
        return len(self._places)

    def row(self, place: int) -> R:
        """See Rows."""
        return self._rows[self._places[place]]


class RowFile(Rows[R]):
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

    def row(self, place: int) -> R:
        """See Rows."""
        if self._ends[place + 1] > self._written:
            self._file.flush()
            self._written = self._ends[-1]
        # Nobody else can write to this file: it has no name.
        found: R = pickle.loads(os.pread(self._file.fileno(), self.num_bytes(place), self._ends[place]))
        return found

    def num_bytes(self, place: int) -> int:
        """How long a row is in the file."""
        return self._ends[place + 1] - self._ends[place]

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
