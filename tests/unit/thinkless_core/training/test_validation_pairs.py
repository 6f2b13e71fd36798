"""What a measurement of the validation loss costs does not grow with the number of held-out pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from schemas.records.pairs import Pair
from tests.specimens import make_pairs, make_student, sft_config
from thinkless_core.progress import no_progress
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.training.sft_trainer import spread_out, train_sft
from thinkless_core.training.tokenised_pairs import TokenisedPairs


@pytest.mark.parametrize(
    ("num_rows", "most", "taken"),
    [(0, 3, []), (3, 3, [0, 1, 2]), (4, 3, [0, 2]), (7, 3, [0, 3, 6]), (9, 3, [0, 3, 6]), (1000, 1, [0])],
)
def test_rows_are_spread_over_all_and_never_too_many(num_rows: int, most: int, taken: list[int]) -> None:
    assert spread_out(np.arange(num_rows), most=most).tolist() == taken


def test_validation_measures_no_more_pairs_than_asked_for(tmp_path: Path) -> None:
    pairs = make_pairs(12, validation_share=0.5)
    held_out = [pair for pair in pairs if pair.split == "validation"]
    fewer = [pair for pair in pairs if pair.split == "train" or pair in held_out[::3]]
    assert (len(held_out), len(fewer)) == (6, 8)

    def losses(folder: str, used: list[Pair], most: int) -> dict[str, float]:
        log = train_sft(
            make_student(),
            pairs=TokenisedPairs.of(used, tokenizer=tiny_tokenizer()),
            tokenizer=tiny_tokenizer(),
            config=sft_config(steps=1, validate_pairs=most),
            scratch=tmp_path / folder,
            progress=no_progress,
        )
        return {metric.name: metric.value for metric in log if metric.name.startswith("validation")}

    measured = losses("all", pairs, 2)
    assert measured == losses("fewer", fewer, 1000)
    assert measured != losses("more", pairs, 1000)
