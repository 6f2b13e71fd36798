"""An append-only log of records by step, which a resumed run cuts back to its checkpoint.

records -> one JSON line each, flushed per step -> (resume) lines after the checkpoint's step dropped -> records.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from schemas.base import Record

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class RecordLog(Generic[R]):
    """The log of one record class, which has a field `step`, in one file."""

    path: Path
    record: type[R]

    def append(self, rows: Iterable[R]) -> None:
        """Write rows at the end; they have left this process when the call returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(f"{row.model_dump_json()}\n" for row in rows)

    def __iter__(self) -> Iterator[R]:
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                yield self.record.model_validate_json(line)

    def cut_after(self, step: int) -> None:
        """Drop rows of later steps, and a last line that a crash left half written."""
        if not self.path.exists():
            return
        kept = self.path.with_suffix(".kept")
        # As bytes: the crash may have come in the middle of a character.
        with self.path.open("rb") as old, kept.open("wb") as new:
            new.writelines(line for line in old if line.endswith(b"\n") and json.loads(line)["step"] <= step)
        kept.replace(self.path)
