"""Row `pairs`: problems and both teachers' generations joined, filtered, with their token counts, and stored.

Parquet in, Parquet out, the same rules and columns on all sides: problems with two finished, correct answers, 2 % of
them held out. Ours is the stage's own `build`. pandas merges and filters by masks; datasets looks both sides up by a
dictionary of row numbers and maps in batches, its caches in a fresh folder each time. All have to agree on the number
of pairs and of tokens. Token counts come with the generations, on all sides; what tokenizing them again would cost is
shown for pandas on a tenth of the rows. Validation is not part of it.
"""

from __future__ import annotations

import importlib
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.contest import Contestant, SideResult
from tests.benchmarks.pairing_data import PairInputs, write_inputs
from tests.benchmarks.row import Row, Setting, megabytes, number, source_tag, speed_up, spread, table
from tests.benchmarks.turns import Side, Spec, Turns

ROWS = 1_000_000
SLOPE = (100_000, 300_000, 1_000_000, 3_000_000)
UNORDERED_ROWS = 300_000
QUICK_ROWS, QUICK_SLOPE = 20_000, (5_000, 20_000)
WARM_UP_ROWS = 5_000
VALIDATION_SHARE = 0.02


def build_with_stage(inputs: PairInputs, workspace: Path) -> Path:
    """The one place that knows how our stage is called; returns the file with the pairs."""
    from infra.settings import Settings
    from schemas.artifact import Artifact
    from schemas.configs.pairs import PairsConfig
    from schemas.records.pairs import Pair
    from tasks.build_pairs import BuildPairs
    from tasks.running.context import RunContext
    from tasks.running.stage import make_plan
    from thinkless_core.progress import no_progress

    def artifact(stage: str, folder: Path) -> Artifact:
        return Artifact(stage=stage, key=folder.name, digest=folder.name, path=str(folder), rows=0)

    stage = BuildPairs()
    read = artifact("problems", inputs.problems), artifact("teach", inputs.think), artifact("teach", inputs.short)
    plan = make_plan(stage, PairsConfig(validation_share=VALIDATION_SHARE), inputs=read)
    context = RunContext(run_id="benchmark", profile="tiny", settings=Settings(home=workspace))
    stage.build(plan, context, workspace, no_progress)
    return workspace / Pair.FILE


def ours(spec: Spec, turns: Turns) -> None:
    """The stage."""
    importlib.import_module("tasks.build_pairs")  # before the clock runs, like the peers' imports
    _in_turns(spec, turns, build_with_stage)


def with_pandas(spec: Spec, turns: Turns) -> None:
    """Whole tables in memory, merged and filtered; where `tokenize` is set, the tokenizer is called once per column."""
    import numpy as np
    import pandas as pd
    from transformers import AutoTokenizer

    def work(inputs: PairInputs, scratch: Path) -> Path:
        problems = pd.read_parquet(inputs.problems / "problems.parquet")
        columns = ["problem_id", "completion", "num_tokens", "truncated", "correct"]
        think = pd.read_parquet(inputs.think / "generations.parquet", columns=columns)
        short = pd.read_parquet(inputs.short / "generations.parquet", columns=columns)
        joined = problems[problems["split"] == "sft"].merge(think, on="problem_id")
        joined = joined.merge(short, on="problem_id", suffixes=("_think", "_short"))
        kept = joined[
            ~joined["truncated_think"] & ~joined["truncated_short"] & joined["correct_think"] & joined["correct_short"]
        ]
        pairs = kept[["problem_id", "prompt", "answer"]].copy()
        for side in ("think", "short"):
            pairs[f"{side}_completion"] = kept[f"completion_{side}"]
            pairs[f"{side}_tokens"] = kept[f"num_tokens_{side}"]
            pairs[f"{side}_truncated"] = kept[f"truncated_{side}"]
            if spec.get("tokenize"):
                tokenizer = AutoTokenizer.from_pretrained(inputs.base / "model")
                ids = tokenizer(kept[f"completion_{side}"].tolist(), add_special_tokens=False).input_ids
                pairs[f"{side}_tokens"] = [len(row) + 1 for row in ids]
        held_out = np.random.default_rng(0).permutation(len(pairs))[: round(VALIDATION_SHARE * len(pairs))]
        pairs["split"] = "train"
        pairs.iloc[held_out, pairs.columns.get_loc("split")] = "validation"
        pairs["difficulty"] = kept["difficulty"]
        pairs.to_parquet(scratch / "pairs.parquet", compression="zstd", index=False)
        return scratch / "pairs.parquet"

    _in_turns(spec, turns, work)


def with_datasets(spec: Spec, turns: Turns) -> None:
    """Memory-mapped tables; both sides found by row number, then filter and map in batches."""
    from datasets import Dataset

    def work(inputs: PairInputs, scratch: Path) -> Path:
        caches = {"cache_dir": str(scratch / "cache")}
        problems = Dataset.from_parquet(str(inputs.problems / "problems.parquet"), **caches)
        sides = {
            side: Dataset.from_parquet(str(folder / "generations.parquet"), **caches)
            for side, folder in (("think", inputs.think), ("short", inputs.short))
        }
        places = {side: {pid: i for i, pid in enumerate(rows["problem_id"])} for side, rows in sides.items()}

        def join(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
            known = [
                i
                for i, (pid, split) in enumerate(zip(batch["problem_id"], batch["split"], strict=True))
                if split == "sft" and all(pid in place for place in places.values())
            ]
            rows = {name: [batch[name][i] for i in known] for name in ("problem_id", "prompt", "answer", "difficulty")}
            for side, generations in sides.items():
                found = generations[[places[side][pid] for pid in rows["problem_id"]]]
                rows |= {f"{side}_{name}": found[name] for name in ("completion", "num_tokens", "truncated", "correct")}
            return rows

        joined = problems.map(join, batched=True, remove_columns=problems.column_names)
        kept = joined.filter(
            lambda tt, tc, st, sc: [a and b and not (c or d) for a, b, c, d in zip(tc, sc, tt, st, strict=True)],
            input_columns=["think_truncated", "think_correct", "short_truncated", "short_correct"],
            batched=True,
        )
        named = kept.remove_columns(["think_correct", "short_correct"]).rename_columns(
            {f"{side}_num_tokens": f"{side}_tokens" for side in sides}
        )
        parts = named.train_test_split(test_size=VALIDATION_SHARE, seed=0)
        held_out = set(parts["test"]["problem_id"])
        split = ["validation" if pid in held_out else "train" for pid in named["problem_id"]]
        named.add_column("split", split).to_parquet(scratch / "pairs.parquet")
        return scratch / "pairs.parquet"

    _in_turns(spec, turns, work)


def _in_turns(spec: Spec, turns: Turns, work: Any) -> None:
    """Work in a fresh folder each time; what came out is looked at outside the clock of any other side."""
    import duckdb

    with tempfile.TemporaryDirectory(dir=spec["scratch"]) as folder:  # what is loaded lazily is loaded now
        (Path(folder) / "scratch").mkdir()
        work(PairInputs.of(Path(spec["warmup_inputs"])), Path(folder))
    turns.begin()
    while True:
        scratch = Path(tempfile.mkdtemp(dir=spec["scratch"]))
        (scratch / "scratch").mkdir()
        out = work(PairInputs.of(Path(spec["inputs"])), scratch)
        with duckdb.connect() as connection:
            totals = connection.execute(
                "select count(*), sum(think_tokens + short_tokens)::bigint, count_if(split = 'validation') "
                f"from read_parquet('{out}')"
            ).fetchone()
        turns.note(outcome=list(totals or ()))
        shutil.rmtree(scratch)
        turns.step(rows=spec["rows"])


SIDES: dict[str, Side] = {"ours": ours, "pandas": with_pandas, "datasets": with_datasets}
NAMES = {"ours": "ours, stage pairs", "pandas": "pandas", "datasets": "datasets"}


def _sizes(setting: Setting) -> tuple[int, Sequence[int]]:
    return (QUICK_ROWS, QUICK_SLOPE) if setting.quick else (ROWS, SLOPE)


def _folder(setting: Setting, *, rows: int, ordered: bool = True) -> Path:
    order = "ordered" if ordered else "unordered"
    return setting.folder / "data" / f"pairs-{rows}-{order}-{source_tag('pairing_data.py')}"


def prepare(setting: Setting) -> None:
    """Data of every size."""
    rows, slope = _sizes(setting)
    for size, ordered in ((min(rows, UNORDERED_ROWS), False), *((size, True) for size in {rows, WARM_UP_ROWS, *slope})):
        folder = _folder(setting, rows=size, ordered=ordered)
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_inputs(folder, rows=size, ordered=ordered)


def contests(setting: Setting) -> list[list[Contestant]]:
    """All sides on ordered rows, two on unordered ones, pandas with a tokenizer, then ours alone at each size."""
    rows, slope = _sizes(setting)
    unordered = min(rows, UNORDERED_ROWS)

    def contestant(side: str, name: str, *, rows: int, ordered: bool = True, **more: object) -> Contestant:
        folders = {
            "inputs": str(_folder(setting, rows=rows, ordered=ordered)),
            "warmup_inputs": str(_folder(setting, rows=WARM_UP_ROWS)),
            "scratch": str(setting.folder / "data"),
        }
        spec = folders | {"rows": rows, "threads": setting.threads, "warmup_steps": 0}
        return Contestant("pairing", side, spec | more, name, max_rounds=1 if side == "datasets" else None)

    return [
        [contestant(side, name, rows=rows) for side, name in NAMES.items()],
        [
            contestant(side, f"{NAMES[side]}, {unordered:,} in no order", rows=unordered, ordered=False)
            for side in ("ours", "pandas")
        ],
        [contestant("pandas", f"pandas, tokenizing ({slope[0]:,} problems)", rows=slope[0], tokenize=True)],
        *[[contestant("ours", f"{size:,}", rows=size)] for size in slope],
    ]


def describe(groups: Sequence[Sequence[SideResult]]) -> str:
    """Both tables."""
    ordered, unordered, tokenizing, *slope = groups
    for group in (ordered, unordered, [tokenizing[0], slope[0][0]]):
        outcomes = {tuple(result.notes["outcome"]) for result in group}
        assert len(outcomes) == 1, f"the sides disagree on (pairs, tokens, held out): {outcomes}"
    pairs, tokens, _ = ordered[0].notes["outcome"]
    beside = table(
        ["side", "problems/s", "ours is x times faster", "peak memory, MB"],
        [
            [
                result.name,
                spread(result.rates("rows")),
                "" if result is group[0] else str(speed_up(group[0], result)),
                megabytes(result),
            ]
            for group in (ordered, unordered, tokenizing)
            for result in group
        ],
    )
    growing = table(
        ["problems", "s", "us per problem", "peak memory, MB", "of it work, MB"],
        [
            [
                result.name,
                spread(result.seconds_per_step()),
                number(1e6 / statistics.median(result.rates("rows"))),
                megabytes(result),
                f"{(result.memory['host'] - result.memory['before']) / 1e6:,.0f}",
            ]
            for (result,) in slope
        ],
    )
    return (
        f"{beside}\n\nAll sides: {pairs:,} pairs, {tokens:,} tokens. Ours alone, as rows grow (the last column is what "
        f"the peak rose by after a run on {WARM_UP_ROWS:,} problems):\n\n{growing}"
    )


ROW = Row("pairs", "Pair building", contests, describe, 3, prepare)
