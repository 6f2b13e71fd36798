"""Pairs are tokenised once, into a file that is complete or absent; what is read back are the samples of each pair."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from schemas.errors import CheckpointError, ConfigError
from schemas.records.pairs import Pair
from tests.specimens import make_pairs
from thinkless_core.student.rendering import Sample, render_completion, render_prompt
from thinkless_core.training import tokenised_pairs
from thinkless_core.training.tokenised_pairs import TokenisedPairs, write_tokenised


@pytest.fixture
def pairs() -> list[Pair]:
    """Pairs of all lengths; one was cut, and one spells out a control token."""
    made = make_pairs(11, mix=(0.2, 0.2, 0.2, 0.2, 0.2), validation_share=0.3)
    made[2] = made[2].model_copy(update={"think_truncated": True})
    made[3] = made[3].model_copy(update={"prompt": "what does <think> do?"})
    return made


def one_by_one(pairs: list[Pair], tokenizer: PreTrainedTokenizerFast) -> list[tuple[Sample, Sample]]:
    """The samples of each pair, every text tokenised on its own."""
    return [
        (
            Sample(
                render_prompt(tokenizer, pair.prompt),
                render_completion(tokenizer, pair.think_completion, finished=not pair.think_truncated),
            ),
            Sample(
                render_prompt(tokenizer, pair.prompt),
                render_completion(tokenizer, pair.short_completion, finished=not pair.short_truncated),
            ),
        )
        for pair in pairs
    ]


def written(path: Path, pairs: list[Pair], tokenizer: PreTrainedTokenizerFast, context: int | None) -> list[int]:
    """Write the file; returns what it said on the way."""
    said: list[int] = []
    write_tokenised(path, pairs, tokenizer=tokenizer, context=context, made_from="these", on_done=said.append)
    return said


@pytest.mark.parametrize("bytes_per_batch", [1, 1 << 26])
def test_a_file_holds_the_samples_of_each_pair_in_order_and_none_of_a_pair_that_does_not_fit(
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerFast,
    pairs: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
    bytes_per_batch: int,
) -> None:
    monkeypatch.setattr(tokenised_pairs, "PAIRS_AT_ONCE", 4)
    monkeypatch.setattr(tokenised_pairs, "BYTES_PER_BATCH", bytes_per_batch)
    expected = one_by_one(pairs, tokenizer)
    context = sorted(max(map(len, samples)) for samples in expected)[7]
    assert written(tmp_path / "tokens.arrow", pairs, tokenizer, context) == [4, 8, 11]
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.arrow"]
    for found in (
        TokenisedPairs.mapped(tmp_path / "tokens.arrow", made_from="these"),
        TokenisedPairs.of(pairs, tokenizer=tokenizer, context=context),
    ):
        assert 0 < len(found.too_long) == sum(max(map(len, samples)) > context for samples in expected)
        for split in ("train", "validation"):
            kept = [
                both
                for pair, both in zip(pairs, expected, strict=True)
                if pair.split == split and max(map(len, both)) <= context
            ]
            assert kept
            batch = found.samples(found.rows(split))
            assert list(batch.samples) == [sample for both in kept for sample in both]
            assert batch.in_memory().samples[2:4] == tuple(batch.samples[2:4])
            assert [side.value for side in batch.sides] == ["think", "short"] * len(kept)
    last_first = found.samples(np.array([len(pairs) - 1, 0])[[found.table["prompt_ids"][10].is_valid, True]])
    assert last_first.samples[-1] == expected[0][1]


def test_many_characters_end_a_batch_too(tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = make_pairs(6)
    monkeypatch.setattr(tokenised_pairs, "CHARACTERS_AT_ONCE", 1)
    batches = tokenised_pairs._some_at_a_time(pairs)
    assert [len(some) for some in batches] == [1] * 6
    assert TokenisedPairs.of(pairs, tokenizer=tokenizer).table["split"].num_chunks == 6
    assert len(TokenisedPairs.of([], tokenizer=tokenizer).rows("train")) == 0


def test_nothing_that_fits_is_an_error_and_leaves_no_file(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ConfigError, match=r"^sft: all 3 pairs are longer than the model's context of 5 tokens; lower"):
        written(tmp_path / "tokens.arrow", make_pairs(3), tokenizer, 5)
    assert not list(tmp_path.iterdir())


def test_a_fault_in_the_middle_leaves_nothing_and_the_old_file_whole(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenised_pairs, "PAIRS_AT_ONCE", 2)
    path = tmp_path / "tokens.arrow"
    written(path, pairs[:1], tokenizer, None)
    before = path.read_bytes()

    def breaking_off() -> Iterator[Pair]:
        yield from pairs[:7]
        assert [file.name for file in tmp_path.iterdir() if file != path] == ["tokens.part"]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_tokenised(
            path, breaking_off(), tokenizer=tokenizer, context=None, made_from="these", on_done=lambda _: None
        )
    assert [file.name for file in tmp_path.iterdir()] == ["tokens.arrow"]
    assert path.read_bytes() == before


def test_a_file_cut_short_or_made_from_something_else_is_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, pairs: list[Pair]
) -> None:
    path = tmp_path / "tokens.arrow"
    with pytest.raises(FileNotFoundError):
        TokenisedPairs.mapped(path, made_from="these")
    written(path, pairs, tokenizer, None)
    with pytest.raises(CheckpointError, match=r"tokens\.arrow was made from .* \(these, not those\)"):
        TokenisedPairs.mapped(path, made_from="those")
    content = path.read_bytes()
    for size in (0, 5, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError, match=r"tokens\.arrow is not a whole Arrow file"):
            TokenisedPairs.mapped(path, made_from="these")
