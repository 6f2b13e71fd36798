"""The gate and the catalog hold only a part of long texts at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.catalog import catalog_rows
from infra.catalog.catalog import Catalog
from infra.catalog.catalog_file import opened
from schemas.artifact import Manifest, OutputFile
from schemas.errors import StoreError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.dropped import DroppedRow
from schemas.records.generations import Generation
from tasks.running.parquet_files import write_table
from tests.peak_memory import needs_its_peak, peak_memory

GATE = """
import sys
from pathlib import Path
from infra.validation.gate import failing, validate_parquet
from infra.validation.suites import generations_suite
from schemas.mode import Mode
path = Path(sys.argv[1]) / "generations.parquet"
assert not failing(validate_parquet(path, suite=generations_suite(mode=Mode.THINK), docs_dir=None))
"""
CATALOG = """
import sys
from pathlib import Path
from infra.catalog.catalog import Catalog
from schemas.artifact import Manifest, OutputFile
folder = Path(sys.argv[1])
file = OutputFile.model_construct(name="generations.parquet", table="generations")
unused = dict(digest="", run_id="", fingerprint="", seed=0, rows=0, config={}, inputs=(), checks=(), drops={})
made_at = "2026-01-01T00:00:00+00:00"
manifest = Manifest.model_construct(stage="teach", key="k", created_at=made_at, files=(file,), **unused)
Catalog(folder, timeout_seconds=10).register(manifest, folder)
"""


@pytest.mark.slow
@needs_its_peak
@pytest.mark.parametrize(("script", "most_megabytes"), [(GATE, 1100), (CATALOG, 1600)], ids=["gate", "catalog"])
def test_memory_stays_within_a_bound_of_its_own(script: str, most_megabytes: int, tmp_path: Path) -> None:
    # 640 MB of text. Without the limits the gate took 1,669 MB of it and the catalog 3,069 MB.
    write_table(tmp_path, Generation, long_generations(32_000, length=20_000))
    assert peak_memory(script, tmp_path) < most_megabytes * 1024


@pytest.mark.parametrize("raised", [True, False])
def test_rows_that_are_too_long_for_the_usual_limit_are_registered(
    raised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB holds 2,048 rows at once, here 160 MB: without a higher limit it refuses them when it commits."""
    write_table(tmp_path, Generation, long_generations(2200, length=80_000))
    write_table(tmp_path, DroppedRow, [])
    monkeypatch.setattr(catalog_rows, "MEMORY_BYTES", 100 * 10**6)
    if not raised:
        monkeypatch.setattr(catalog_rows, "_longest_rows", lambda _: 0)
    # The short table comes last: its limit must not take the place of the one that the long rows need.
    files = [OutputFile.model_construct(name=r.FILE, table=r.TABLE) for r in (Generation, DroppedRow)]
    unused = {"digest": "", "run_id": "", "fingerprint": "", "seed": 0, "rows": 0}
    none = {"config": {}, "inputs": (), "checks": (), "drops": {}}
    manifest = Manifest.model_construct(
        stage="teach", key="k", created_at="2026-01-01T00:00:00+00:00", files=tuple(files), **unused, **none
    )
    catalog = Catalog(tmp_path, timeout_seconds=10)
    if not raised:
        with pytest.raises(StoreError, match=r"cannot write .*catalog\.duckdb: .*take fewer or shorter rows"):
            catalog.register(manifest, tmp_path)
        return
    catalog.register(manifest, tmp_path)
    with opened(catalog.path, read_only=True, timeout_seconds=10) as connection:
        found = connection.execute("select count(*), min(length(completion)) from generations").fetchall()
    assert found == [(2200, 80_000 + len("</think> 1"))]


def long_generations(num_rows: int, *, length: int) -> Iterator[Generation]:
    """Thoughts as the suite of generations wants them; no two are alike."""
    for number in range(num_rows):
        yield Generation(
            generation_id=f"g-{number}",
            problem_id=f"p-{number}",
            prompt=f"what is {number}",
            mode=Mode.THINK,
            completion=f"<think>{number}".ljust(length, "x") + "</think> 1",
            answer="1",
            num_tokens=9,
            finish_reason=FinishReason.STOP,
            truncated=False,
            correct=True,
            teacher="t",
        )
