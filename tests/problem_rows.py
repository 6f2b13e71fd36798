"""Small files of problems, for tests that read them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.configs.problems import LocalSource
from thinkless_core.problems.problem_sources import read_source

GOOD = ({"prompt": "11+22=?", "answer": "3"}, {"prompt": "11+33=?", "answer": "4"})


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Rows in the format of the file's ending."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([dict(r) for r in rows]), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(list(rows)))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path | str, **settings: object) -> list[tuple[str, str, int | None]]:
    """(prompt, answer, difficulty) of every problem in a file."""
    found = read_source(LocalSource(path=str(path), **settings), name="train", seed=0)
    return [(p.prompt, p.answer, p.difficulty) for p in found.problems]


def local(path: Path, rows: Sequence[Mapping[str, object]]) -> LocalSource:
    """A source of these rows, written to the file."""
    return LocalSource(path=str(write(path, rows)))
