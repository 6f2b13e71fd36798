"""Some rows of a sequence, by their places, fetched as they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

R = TypeVar("R")


class RowsAt(Sequence[R]):
    """A sequence of rows of another one, which may lie in a file."""

    def __init__(self, rows: Sequence[R], places: Sequence[int] | NDArray[np.int64]) -> None:
        self._rows, self._places = rows, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> R: ...

    @overload
    def __getitem__(self, index: slice) -> RowsAt[R]: ...

    def __getitem__(self, index: int | slice) -> R | RowsAt[R]:
        if isinstance(index, slice):
            return RowsAt(self._rows, self._places[index])
        return self._rows[self._places[index]]
