"""Row `store`: looking a whole cached run up, and publishing an artifact of a million rows.

Hit check: every stage of a finished run planned and found, as `thinkless run` does it before it builds anything.
Publish: files described (hashed), renamed into place, and its table loaded into the catalog; each in a fresh home.

python -m tests.benchmarks.store NUM_PAIRS FOLDER HOME   makes a home with such an artifact
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.contest import Contestant, SideResult
from tests.benchmarks.homes import LARGE, QUICK_LARGE, SMALL_RUN, cached_home
from tests.benchmarks.pairing import QUICK_SLOPE, SLOPE, build_with_stage
from tests.benchmarks.pairing_data import write_inputs
from tests.benchmarks.row import Row, Setting, megabytes, number, product_tag, source_tag, spread, table
from tests.benchmarks.turns import Side, Spec, Turns

FILE = "pairs.parquet"


def hit_check(spec: Spec, turns: Turns) -> None:
    """Plan and find every stage of the small run."""
    os.environ["THINKLESS_HOME"] = spec["home"]
    from flows.recipe import RECIPE
    from flows.request import check_request
    from schemas.artifact import Artifact
    from tasks.running.find import find_done

    overrides = [value for option, value in itertools.pairwise(SMALL_RUN) if option == "--set"]
    turns.begin()
    while True:
        request = check_request("tiny", overrides=overrides)
        context = request.new_context()
        artifacts: dict[str, Artifact] = {}
        for stage in RECIPE:
            plan = stage.plan(request.config, artifacts)
            found = find_done(context, plan)
            assert found is not None, f"{plan.label} {plan.key} is not in the store"
            artifacts[plan.label] = found
        turns.step(stages=len(artifacts))


def publish(spec: Spec, turns: Turns) -> None:
    """Publish the table of pairs in a fresh home."""
    turns.begin()
    while True:
        home = Path(tempfile.mkdtemp(dir=spec["scratch"]))
        seconds, rows = publish_pairs(Path(spec["pairs"]), home)
        shutil.rmtree(home)
        turns.step(rows=rows, **seconds)


def publish_pairs(pairs: Path, home: Path) -> tuple[dict[str, float], int]:
    """Make a file of pairs an artifact of this home and load it; returns seconds by phase, and its rows."""
    from infra.catalog.catalog import Catalog
    from infra.store.artifact_store import ArtifactStore
    from schemas.artifact import MANIFEST_VERSION, Manifest

    store, catalog = ArtifactStore(home), Catalog(home, timeout_seconds=60)
    catalog.open_or_rebuild()
    workspace = store.open_workspace("pairs", "benchmark")
    os.link(pairs, workspace / FILE)
    clock = [time.perf_counter()]
    files = store.describe_files(workspace, roles={}, tables={FILE: "pairs"})
    clock.append(time.perf_counter())
    rows = files[0].rows or 0
    manifest = Manifest(
        manifest_version=MANIFEST_VERSION, stage="pairs", key="benchmark",
        digest=store.output_digest(files), run_id="benchmark", created_at=datetime.now(UTC).isoformat(), inputs=(),
        config={}, fingerprint="benchmark", packages={}, environment={}, seed=0, rows=rows, drops={}, checks=(),
        timings={}, files=files,
    )  # fmt: skip
    artifact = store.publish(workspace, manifest)
    clock.append(time.perf_counter())
    catalog.register(manifest, Path(artifact.path))
    clock.append(time.perf_counter())
    assert store.find("pairs", "benchmark") == artifact
    clock.append(time.perf_counter())
    phases = ("describe", "rename", "register", "find")
    return {phase: b - a for phase, a, b in zip(phases, clock[:-1], clock[1:], strict=True)}, rows


def make_pairs(folder: Path, *, rows: int) -> Path:
    """A file of `rows` pairs, made by the stage from the largest inputs of row `pairs` and cut."""
    import duckdb

    target = folder / "data" / f"pairs-of-{rows}-{product_tag()}.parquet"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        for old in target.parent.glob(f"pairs-of-{rows}-*.parquet"):
            old.unlink()
        size = SLOPE[-1] if rows == LARGE else QUICK_SLOPE[-1]
        inputs = write_inputs(folder / "data" / f"pairs-{size}-ordered-{source_tag('pairing_data.py')}", rows=size)
        with tempfile.TemporaryDirectory(dir=target.parent) as workspace, duckdb.connect() as connection:
            (Path(workspace) / "scratch").mkdir()
            made = build_with_stage(inputs, Path(workspace))
            query = f"from read_parquet('{made}') limit {rows}"
            connection.execute(f"copy ({query}) to '{target}' (format parquet, compression zstd, row_group_size 20000)")
    return target


SIDES: dict[str, Side] = {"hit_check": hit_check, "publish": publish}


def prepare(setting: Setting) -> None:
    """The small run's home, and a table of a million pairs."""
    cached_home(setting, make=True)
    make_pairs(setting.folder, rows=QUICK_LARGE if setting.quick else LARGE)


def contests(setting: Setting) -> list[list[Contestant]]:
    """Each alone."""
    pairs = make_pairs(setting.folder, rows=QUICK_LARGE if setting.quick else LARGE)
    shared = {"threads": setting.threads, "warmup_steps": 0}
    hits = {"home": str(cached_home(setting)), **shared}
    table_of_pairs = {"pairs": str(pairs), "scratch": str(pairs.parent), **shared}
    return [
        [Contestant("store", "hit_check", hits, "hit check of a cached run")],
        [Contestant("store", "publish", table_of_pairs, "publish a table")],
    ]


def describe(groups: Sequence[Sequence[SideResult]]) -> str:
    """Seconds by phase."""
    ((hits,), (published,)) = groups
    lines = [
        [
            f"{hits.name}, {number(hits.turns[0].sums['stages'])} stages",
            spread(hits.seconds_per_step()),
            megabytes(hits),
        ],
        *(
            [
                f"{published.turns[0].sums['rows']:,.0f} rows: {phase}",
                spread(published.per_step(phase)),
                megabytes(published),
            ]
            for phase in ("describe", "rename", "register", "find")
        ),
    ]
    return table(["what", "s", "peak memory, MB"], lines)


ROW = Row("store", "Artifact store and catalog", contests, describe, 5, prepare)


if __name__ == "__main__":
    publish_pairs(make_pairs(Path(sys.argv[2]), rows=int(sys.argv[1])), Path(sys.argv[3]))
