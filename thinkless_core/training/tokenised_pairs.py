"""Pairs as token ids in an Arrow table: tokenised once, and mapped from a file by all processes of a training.

pairs -> some at a time, their ids by the tokenizer on all cores -> record batches -> table in memory
                                                                                   -> file, complete or absent
table -> samples of the rows that a step or a validation asks for

A token takes 4 bytes on the disk, and memory is needed for the samples of a step only, however many pairs there are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from schemas.errors import CheckpointError
from schemas.records.pairs import Pair
from thinkless_core.student.rendering import Sample
from thinkless_core.training.fitting_pairs import fits, refuse_if_none_fits
from thinkless_core.training.sided_samples import SidedSamples, pair_samples, sided

PAIRS_AT_ONCE = 500
CHARACTERS_AT_ONCE = 1 << 21
"""Pairs that are tokenised together; a tokenizer needs about 100 bytes per token while it works."""
BYTES_PER_BATCH = 16 << 20
"""Record batches of a file are large, because opening it touches a few pages of each."""
_MADE_FROM = b"made_from"
"""Key in a file's metadata."""
_SIDES = ("think_ids", "short_ids")
_SCHEMA = pa.schema(
    [("problem_id", pa.string()), ("split", pa.string())]
    + [(name, pa.list_(pa.int32())) for name in ("prompt_ids", *_SIDES)]
)
"""One row per pair, in the order of the pairs. Ids are null if the pair is longer than the student's context."""


@dataclass(frozen=True, eq=False)
class TokenisedPairs:
    """Pairs as token ids, in memory or mapped from a file."""

    table: pa.Table

    @classmethod
    def of(
        cls, pairs: Iterable[Pair], *, tokenizer: PreTrainedTokenizerBase, context: int | None = None
    ) -> TokenisedPairs:
        """Tokenise pairs into memory. Raises ConfigError if all are longer than `context`."""
        return cls(pa.Table.from_batches(_batches(pairs, tokenizer=tokenizer, context=context), schema=_SCHEMA))

    @classmethod
    def mapped(cls, path: Path, *, made_from: str | None = None) -> TokenisedPairs:
        """Those in a file of `write_tokenised`.

        Raises FileNotFoundError if there is none, CheckpointError if it is not whole or was not made from `made_from`.
        """
        try:
            with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
                table = reader.read_all()
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowInvalid) as error:
            raise CheckpointError(f"{path} is not a whole Arrow file: {error}") from error
        found = (table.schema.metadata or {}).get(_MADE_FROM, b"").decode()
        if made_from not in (None, found):
            raise CheckpointError(f"{path} was made from another tokenizer or other pairs ({found}, not {made_from})")
        return cls(table)

    @property
    def too_long(self) -> NDArray[np.int64]:
        """Rows of the pairs that are longer than the student's context, in order."""
        return np.flatnonzero(pc.is_null(self.table["prompt_ids"]).to_numpy())

    def rows(self, split: str) -> NDArray[np.int64]:
        """Rows of a split's pairs that fit into the context, in order."""
        chosen = pc.and_(pc.equal(self.table["split"], split), pc.is_valid(self.table["prompt_ids"]))
        return np.flatnonzero(chosen.to_numpy())

    def samples(self, rows: NDArray[np.int64]) -> SidedSamples:
        """Both samples of each of these rows, read when they are asked for."""
        numbers = (2 * rows[:, None] + np.arange(2)).reshape(-1)
        return sided(_Samples(self.table, numbers))


@dataclass(frozen=True, eq=False)
class _Samples(Sequence[Sample]):
    """Samples of a table by number: row r holds samples 2 r (long) and 2 r + 1 (short)."""

    table: pa.Table
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Samples(self.table, self.numbers[index])
        row, side = divmod(int(self.numbers[index]), 2)
        return Sample(self._ids("prompt_ids", row), self._ids(_SIDES[side], row))

    def _ids(self, column: str, row: int) -> tuple[int, ...]:
        return tuple(self.table[column][row].values.to_numpy().tolist())


def write_tokenised(
    path: Path,
    pairs: Iterable[Pair],
    *,
    tokenizer: PreTrainedTokenizerBase,
    context: int | None,
    made_from: str,
    on_done: Callable[[int], None],
) -> None:
    """Tokenise pairs into a file, which appears when it is complete; `on_done` is told how many pairs are done.

    `made_from` stands for tokenizer, context and pairs. Raises ConfigError if all are longer than `context`.
    """
    part = path.with_suffix(".part")
    schema = _SCHEMA.with_metadata({_MADE_FROM: made_from})
    try:
        with part.open("wb") as file:
            with pa.ipc.new_file(file, schema) as writer:
                waiting: list[pa.RecordBatch] = []
                num_done = 0
                for batch in _batches(pairs, tokenizer=tokenizer, context=context):
                    waiting.append(batch)
                    num_done += len(batch)
                    if sum(b.nbytes for b in waiting) >= BYTES_PER_BATCH:
                        _write(writer, waiting)
                    on_done(num_done)
                _write(writer, waiting)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write(writer: pa.RecordBatchWriter, waiting: list[pa.RecordBatch]) -> None:
    writer.write_table(pa.Table.from_batches(waiting, schema=_SCHEMA).combine_chunks())
    waiting.clear()


def _batches(
    pairs: Iterable[Pair], *, tokenizer: PreTrainedTokenizerBase, context: int | None
) -> Iterator[pa.RecordBatch]:
    num_pairs = num_dropped = 0
    for some in _some_at_a_time(pairs):
        batch = _tokenise(some, tokenizer=tokenizer, context=context)
        num_pairs, num_dropped = num_pairs + len(batch), num_dropped + batch["prompt_ids"].null_count
        yield batch
    refuse_if_none_fits(num_pairs, num_dropped=num_dropped, context=context)


def _some_at_a_time(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    """As many as are tokenised together."""
    some: list[Pair] = []
    num_characters = 0
    for pair in pairs:
        some.append(pair)
        num_characters += len(pair.prompt) + len(pair.think_completion) + len(pair.short_completion)
        if len(some) == PAIRS_AT_ONCE or num_characters >= CHARACTERS_AT_ONCE:
            yield some
            some, num_characters = [], 0
    if some:
        yield some


def _tokenise(pairs: Sequence[Pair], *, tokenizer: PreTrainedTokenizerBase, context: int | None) -> pa.RecordBatch:
    samples = pair_samples(pairs, tokenizer=tokenizer).samples
    rows = [
        (pair.problem_id, pair.split)
        + (
            (think.prompt_ids, think.completion_ids, short.completion_ids)
            if fits((think, short), context=context)
            else (None, None, None)
        )
        for pair, think, short in zip(pairs, samples[::2], samples[1::2], strict=True)
    ]
    columns = zip(*rows, strict=True)
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA
    )
