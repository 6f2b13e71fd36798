"""Row groups of bounded bytes, rows by number: the same in any order and within any bound; a full disk is named."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra import chosen_rows as reading
from infra.catalog.catalog_file import explained
from infra.chosen_rows import chosen_rows
from infra.row_groups import in_parts, write_groups
from schemas.errors import StoreError
from thinkless_core.seeding import random_stream

COLUMNS = ["number", "text"]


def random_rows(num_rows: int, *, longest: int) -> pa.Table:
    """Texts of all lengths, some of them null."""
    stream = random_stream("rows", num_rows)
    lengths = [int(length) for length in stream.integers(-1, longest, num_rows)]
    texts = [None if length < 0 else chr(97 + i % 26) * length for i, length in enumerate(lengths)]
    return pa.table({"text": pa.array(texts, pa.string()), "number": pa.array(range(num_rows), pa.int64())})


def cut(table: pa.Table, *, seed: int) -> list[pa.Table]:
    """The same rows as tables of any size, empty ones among them."""
    ends = np.sort(random_stream("cut", seed).integers(0, len(table) + 1, 9)).tolist()
    return [table.slice(low, high - low) for low, high in zip([0, *ends], [*ends, len(table)], strict=True)]


def test_a_part_ends_with_the_row_that_reaches_a_bound_however_the_rows_come(tmp_path: Path) -> None:
    rows = random_rows(500, longest=100)
    sizes = [16 + len(text or "") for text in rows["text"].to_pylist()]
    expected, part = [], []
    for number, size in enumerate(sizes):
        part.append(size)
        if len(part) == 40 or sum(part) >= 1500 or number == 499:
            expected.append(len(part))
            part = []
    assert len(set(expected)) > 3
    for seed in range(5):
        parts = list(in_parts(cut(rows, seed=seed), most_bytes=1500, most_rows=40))
        assert [len(part) for part in parts] == expected
        assert pa.concat_tables(parts).equals(rows.combine_chunks())
        write_groups(tmp_path / f"{seed}.parquet", rows.schema, cut(rows, seed=seed))
        assert (tmp_path / f"{seed}.parquet").read_bytes() == (tmp_path / "0.parquet").read_bytes()


def test_a_row_longer_than_a_part_is_one(tmp_path: Path) -> None:
    rows = pa.table({"text": ["a", "b" * 100, "c" * 100, "d"]})
    assert [len(part) for part in in_parts([rows], most_bytes=50)] == [2, 1, 1]


@pytest.mark.parametrize("order", ["rising", "in no order", "repeated", "none"])
def test_rows_are_read_by_number_in_any_order(order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for bound, num_bytes in (("_BATCH_BYTES", 300), ("_PIECE_BYTES", 200), ("_RUN_BYTES", 4000)):
        monkeypatch.setattr(reading, bound, num_bytes)
    rows = random_rows(700, longest=60)
    pq.write_table(rows, tmp_path / "rows.parquet", row_group_size=90)
    stream = random_stream("numbers", 0)
    numbers = {
        "rising": np.sort(stream.permutation(700)[:300]),
        "in no order": stream.permutation(700)[:600],
        "repeated": stream.integers(0, 700, 900),
        "none": np.array([], np.int64),
    }[order]
    found = list(chosen_rows(tmp_path / "rows.parquet", COLUMNS, numbers, scratch=tmp_path))
    assert [i for table in found for i in table["number"].to_pylist()] == numbers.tolist()
    texts = rows["text"].to_pylist()
    assert [text for table in found for text in table["text"].to_pylist()] == [texts[i] for i in numbers]
    assert {path.name for path in tmp_path.iterdir()} == {"rows.parquet"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a file on a full disk")
def test_a_full_disk_is_named_with_the_file_and_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "pairs.unfinished").symlink_to("/dev/full")
    rows = random_rows(500, longest=100)
    with pytest.raises(StoreError, match=r"cannot write .*pairs\.parquet: no space left .* free some space, or set"):
        write_groups(tmp_path / "pairs.parquet", rows.schema, [rows])
    assert not (tmp_path / "pairs.parquet").exists()


@pytest.mark.parametrize(
    ("memory", "disk", "message"),
    [
        ("8MB", "100GB", "Out of Memory Error.* take fewer"),
        ("20MB", "1MB", "no space left on the device.* free some space"),
    ],
)
def test_memory_or_a_disk_too_small_for_a_query_is_named(memory: str, disk: str, message: str, tmp_path: Path) -> None:
    limits = {"memory_limit": memory, "threads": 1, "temp_directory": str(tmp_path)}
    with duckdb.connect(config=limits) as connection:
        connection.execute(f"set max_temp_directory_size = '{disk}'")
        with (
            pytest.raises(StoreError, match=rf"cannot write .*pairs\.parquet: {message}"),
            explained(tmp_path / "pairs.parquet"),
        ):
            connection.execute(
                "create table made as select sha256(i::varchar) as s, max(i) from range(1000000) as t(i) group by s"
            )
