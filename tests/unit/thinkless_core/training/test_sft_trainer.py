"""What the warm-up says before its first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from tests.specimens import make_pairs
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.training import sft_trainer


def test_many_pairs_are_tokenised_with_news_and_few_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sft_trainer, "PAIRS_BETWEEN_NEWS", 2)
    said: list[tuple[int, int, Mapping[str, float]]] = []

    def progress(done: int, total: int, numbers: Mapping[str, float], notes: Sequence[str] = ()) -> None:
        said.append((done, total, numbers))

    pairs = make_pairs(5, validation_share=0.2)
    found = sft_trainer._tokenised(pairs, tokenizer=tiny_tokenizer(), num_steps=70, progress=progress)
    assert [len(found[split]) for split in ("train", "validation")] == [4, 1]
    assert said == [(0, 70, {"tokenised": share}) for share in (0.0, 0.4, 0.8)]
    said.clear()
    sft_trainer._tokenised(pairs[:2], tokenizer=tiny_tokenizer(), num_steps=70, progress=progress)
    assert said == []
