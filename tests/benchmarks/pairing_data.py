"""Problems and two teachers' generations at any size, as the stages before `pairs` would have left them.

A pool of distinct chain problems is written out again and again under new ids, by DuckDB, so that millions of rows cost
seconds. One generation in twenty is truncated, one in ten is wrong. `ordered`: complete and in the order of the
problems, as our stages leave them; else in no order at all, and one problem in a hundred has no short one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from schemas.mode import Mode
from tests.benchmarks.samples import chain_pairs

POOL_SIZE = 20_000
NUMBERED = "lpad(i::varchar, 8, '0')"
PROBLEMS = f"""
select 'p-' || {NUMBERED} as problem_id, {NUMBERED} || '+' || prompt as prompt, answer, difficulty, 'sft' as split,
       null::varchar as benchmark, 'benchmark' as source
from range($rows) as t(i) join pool on pool.place = i % {POOL_SIZE} order by i
"""
GENERATIONS = f"""
select 'g-{{mode}}-' || {NUMBERED} as generation_id, 'p-' || {NUMBERED} as problem_id,
       {NUMBERED} || '+' || prompt as prompt, '{{mode}}' as mode, {{completion}} as completion, answer,
       {{num_tokens}} as num_tokens, if(i % 20 = {{truncated}}, 'length', 'stop') as finish_reason,
       i % 20 = {{truncated}} as truncated, i % 10 <> {{wrong}} as correct, 'benchmark' as teacher
from range($rows) as t(i) join pool on pool.place = i % {POOL_SIZE} where {{keep}} order by {{order}}
"""
THINK_COMPLETION = f"'{Mode.THINK.token}' || {NUMBERED} || ';' || substr(think_completion, {len(Mode.THINK.token) + 1})"
"""No two alike, as no two workings are; short answers repeat in real data as well."""


@dataclass(frozen=True)
class PairInputs:
    """Folders laid out as artifacts of the stages: base, problems, teach (twice)."""

    base: Path
    problems: Path
    think: Path
    short: Path

    @classmethod
    def of(cls, folder: Path) -> PairInputs:
        """The four folders under one."""
        return cls(folder / "base", folder / "problems", folder / "think", folder / "short")


def write_inputs(folder: Path, *, rows: int, ordered: bool = True) -> PairInputs:
    """Make the inputs of `rows` problems, unless they are there."""
    from thinkless_core.student.tiny_model import tiny_tokenizer

    inputs = PairInputs.of(folder)
    if folder.exists():
        return inputs
    part = folder.with_suffix(".part")
    unfinished = PairInputs.of(part)
    for path in (unfinished.base / "model", unfinished.problems, unfinished.think, unfinished.short):
        path.mkdir(parents=True, exist_ok=True)
    tiny_tokenizer().save_pretrained(unfinished.base / "model")
    _copy_config(unfinished.base / "model")
    pairs = chain_pairs(POOL_SIZE, mix=(0.1, 0.3, 0.3, 0.3))
    pool = pa.table(
        {
            "place": pa.array(range(len(pairs))),
            "difficulty": pa.array([p.prompt.count("+") + p.prompt.count("-") + p.prompt.count("*") for p in pairs]),
        }
        | {
            name: pa.array([getattr(p, name) for p in pairs])
            for name in ("prompt", "answer", "think_completion", "short_completion", "think_tokens", "short_tokens")
        }
    )
    order = "i" if ordered else "hash(i)"
    with duckdb.connect() as connection:
        connection.register("pool", pool)
        texts = {
            unfinished.problems / "problems.parquet": PROBLEMS,
            unfinished.think / "generations.parquet": GENERATIONS.format(
                mode=Mode.THINK, completion=THINK_COMPLETION, num_tokens="think_tokens + 9", truncated=3, wrong=7,
                keep="true", order=order,
            ),
            unfinished.short / "generations.parquet": GENERATIONS.format(
                mode=Mode.SHORT, completion="short_completion", num_tokens="short_tokens", truncated=11, wrong=4,
                keep="true" if ordered else "i % 100 <> 50", order=order,
            ),
        }  # fmt: skip
        for path, text in texts.items():
            connection.execute(
                f"copy ({text}) to '{path}' (format parquet, compression zstd, row_group_size 20000)", {"rows": rows}
            )
    part.rename(folder)
    return inputs


def _copy_config(folder: Path) -> None:
    """AutoTokenizer finds the tokenizer's class through the model's configuration."""
    from tests.benchmarks.models import build_model

    build_model("tiny").config.save_pretrained(folder)
