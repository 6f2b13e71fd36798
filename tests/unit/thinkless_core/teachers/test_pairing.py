"""Pairs: the query over Parquet files gives what a loop over the rows gives, and streams."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from infra.catalog.paired_generations import paired_generations
from infra.row_groups import write_groups
from schemas.configs.pairs import PairsConfig
from schemas.errors import SourceError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.dropped import DroppedRow
from schemas.records.generations import Generation
from schemas.records.pairs import Pair
from schemas.records.problems import Problem, ProblemSplit
from tasks.running.parquet_files import read_records, write_records
from tests.fast_and_slow import fast_and_slow
from tests.oracles.pairing import pairs_by_loop
from tests.peak_memory import needs_its_peak, peak_memory
from thinkless_core.seeding import epoch_order, random_stream
from thinkless_core.teachers.pairing import apply_rules, held_out_pairs

POLICIES = [
    PairsConfig(truncated=truncated, incorrect=incorrect, validation_share=0.2, seed=seed)
    for seed, (truncated, incorrect) in enumerate(itertools.product(("keep_truncated", "drop"), ("keep", "drop")))
]


class Made(NamedTuple):
    """Pairs as a stage makes them, and what the rules touched."""

    pairs: list[Pair]
    touched: dict[str, int]
    dropped: list[DroppedRow]


def make(
    folder: Path, problems: list[Problem], think: list[Generation], short: list[Generation], config: PairsConfig
) -> Made:
    """Rows -> Parquet files -> pairs.parquet -> rows."""
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "problems.parquet", Problem, problems)
    write_records(folder / "think.parquet", Generation, think)
    write_records(folder / "short.parquet", Generation, short)
    with paired_generations(
        folder / "problems.parquet", think=folder / "think.parquet", short=folder / "short.parquet", scratch=folder
    ) as paired:
        rules = apply_rules(paired.faults, config=config)
        held_out = held_out_pairs(rules.num_pairs, share=config.validation_share, seed=config.seed)
        rows = paired.write_pairs(folder / "pairs.parquet", dropping=rules.dropping, held_out=held_out)
        num_dropped = paired.write_dropped(folder / "dropped.parquet", dropping=rules.dropping)
    dropped = read_records(folder / "dropped.parquet", DroppedRow)
    assert len(dropped) == num_dropped
    pairs = read_records(folder / "pairs.parquet", Pair)
    assert len(pairs) == rows == rules.num_pairs
    return Made(pairs, rules.touched, dropped)


def random_problems(num_problems: int, *, seed: int) -> list[Problem]:
    """Problems of all splits, mixed."""
    stream = random_stream("pairing", seed)
    return [
        Problem(
            problem_id=f"p-{number}",
            prompt=f"it's {number}; 'π'\n?",
            answer=str(number % 10),
            difficulty=None if stream.random() < 0.2 else int(stream.integers(1, 6)),
            split=ProblemSplit(("sft", "sft", "sft", "rl", "test")[stream.integers(5)]),
            benchmark=None,
            source="random",
        )
        for number in range(num_problems)
    ]


def random_generations(problems: list[Problem], mode: Mode, *, seed: int, truncated: float = 0.2) -> list[Generation]:
    """One generation per warm-up problem, in order; some truncated, some wrong."""
    stream = random_stream("pairing", mode, seed)
    rows = []
    for problem in problems:
        if problem.split is not ProblemSplit.SFT:
            continue
        cut = bool(stream.random() < truncated)
        rows.append(
            Generation(
                generation_id=f"{mode}-{problem.problem_id}",
                problem_id=problem.problem_id,
                prompt=problem.prompt,
                mode=mode,
                completion=f"{mode.token}{stream.integers(1000)}",
                answer=None if cut else "1",
                num_tokens=int(stream.integers(2, 50)),
                finish_reason=FinishReason.LENGTH if cut else FinishReason.STOP,
                truncated=cut,
                correct=not cut and bool(stream.random() < 0.8),
                teacher="random",
            )
        )
    return rows


def shuffled(rows: list[Generation], *, seed: int) -> list[Generation]:
    """The same rows in another order."""
    return [rows[i] for i in random_stream("shuffle", seed).permutation(len(rows))]


@pytest.mark.parametrize("config", POLICIES, ids=[f"{c.truncated}, {c.incorrect}" for c in POLICIES])
@pytest.mark.parametrize("order", ["in order", "shuffled", "some missing", "others among them", "answered twice"])
def test_the_query_gives_what_a_loop_over_the_rows_gives(tmp_path: Path, order: str, config: PairsConfig) -> None:
    problems = random_problems(300, seed=config.seed)
    think, short = (random_generations(problems, mode, seed=config.seed) for mode in (Mode.THINK, Mode.SHORT))
    if order == "shuffled":
        think, short = shuffled(think, seed=0), shuffled(short, seed=1)
    elif order == "some missing":
        think, short = think[5:150] + think[152:], short[4:-7]
    elif order == "others among them":
        alien = think[0].model_copy(update={"problem_id": "of no problem", "truncated": True, "correct": False})
        think = [*think[:60], alien, *think[61:]]
    elif order == "answered twice":
        again = [row.model_copy(update={"completion": "<short>again", "num_tokens": 99}) for row in short[3:9]]
        short = [*short[:100], *again, *short[100:]]
    made = make(tmp_path, problems, think, short, config)
    expected = pairs_by_loop(
        [p for p in problems if p.split is ProblemSplit.SFT], think=think, short=short, config=config
    )
    assert made.pairs == expected.pairs
    assert made.touched == expected.touched
    assert made.dropped == expected.dropped
    assert {p.split for p in made.pairs} == {"train", "validation"}


def test_the_order_of_the_generations_changes_not_one_byte_and_seed_only_the_split(tmp_path: Path) -> None:
    problems = random_problems(200, seed=0)
    think, short = (random_generations(problems, mode, seed=0) for mode in (Mode.THINK, Mode.SHORT))
    config = PairsConfig(validation_share=0.25)
    first = make(tmp_path / "first", problems, think, short, config)
    make(tmp_path / "other", problems, shuffled(think, seed=3), short[::-1], config)
    for name in ("pairs.parquet", "dropped.parquet"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    reseeded = make(tmp_path / "seed", problems, think, short, PairsConfig(validation_share=0.25, seed=1)).pairs
    assert [p.problem_id for p in reseeded] == [p.problem_id for p in first.pairs]
    assert [p.split for p in reseeded] != [p.split for p in first.pairs]


@pytest.mark.parametrize(
    ("num_problems", "row_groups"), [(42_000, 1), pytest.param(110_000, 3, marks=pytest.mark.slow)]
)
def test_rows_stay_in_order_and_in_their_split_over_many_row_groups(
    num_problems: int, row_groups: int, tmp_path: Path
) -> None:
    problems = [p for p in random_problems(num_problems, seed=1) if p.split is ProblemSplit.SFT]
    think, short = (random_generations(problems, mode, seed=1, truncated=0.01) for mode in (Mode.THINK, Mode.SHORT))
    pairs = make(tmp_path, problems, think, short, PairsConfig(incorrect="keep")).pairs
    place = {p.problem_id: number for number, p in enumerate(problems)}
    places = [place[p.problem_id] for p in pairs]
    assert places == sorted(places)
    assert len(pairs) > row_groups * 20_480
    answers = {g.problem_id: (g.completion, g.num_tokens) for g in think}
    assert all(answers[p.problem_id] == (p.think_completion, p.think_tokens) for p in pairs)
    held_out = set(epoch_order(len(pairs), seed=0, epoch=0)[: round(0.02 * len(pairs))])
    assert {number for number, p in enumerate(pairs) if p.split == "validation"} == held_out


def test_held_out_pairs_are_the_first_of_epoch_zero() -> None:
    for num_pairs, share, seed in ((1, 0.5, 0), (7, 0.5, 0), (40, 0.25, 3), (1000, 0.0, 1), (999, 0.99, 2)):
        expected = epoch_order(num_pairs, seed=seed, epoch=0)[: round(share * num_pairs)]
        assert held_out_pairs(num_pairs, share=share, seed=seed).tolist() == expected


def test_rules_are_counted_on_both_sides_and_a_missing_side_is_no_other_fault() -> None:
    faults = {
        (None, None): 5,
        ("truncated", None): 3,
        ("truncated", "incorrect"): 2,
        (None, "incorrect"): 4,
        ("missing", "truncated"): 6,
        (None, "missing"): 1,
    }
    rules = apply_rules(faults, config=PairsConfig(truncated="keep_truncated", incorrect="drop"))
    assert rules.num_pairs == 5 + 3
    assert set(rules.dropping) == {"missing", "incorrect"}
    assert rules.touched == {"missing_side": 7, "think_truncated_kept": 5, "short_incorrect_dropped": 6}


def test_no_pair_left_is_an_error_that_says_why(tmp_path: Path) -> None:
    problems = random_problems(20, seed=0)
    num_problems = sum(p.split is ProblemSplit.SFT for p in problems)
    with pytest.raises(
        SourceError,
        match=rf"no pair is left of {num_problems} problems .*missing_side.*see why a teacher's answers were dropped",
    ):
        make(tmp_path, problems, [], [], PairsConfig())


def test_a_path_may_hold_quotes_brackets_and_equals_signs_and_scratch_is_left_empty(tmp_path: Path) -> None:
    problems = random_problems(50, seed=0)
    think, short = (random_generations(problems, mode, seed=0) for mode in (Mode.THINK, Mode.SHORT))
    folder = tmp_path / "it's [a] split=rl *"
    made = make(folder, problems, think[::-1], short, PairsConfig(validation_share=0.0))
    assert made.pairs
    assert {p.name for p in folder.iterdir()} == {
        "problems.parquet", "think.parquet", "short.parquet", "pairs.parquet", "dropped.parquet"
    }  # fmt: skip


WRITING = """
import sys
from pathlib import Path
import numpy as np
from infra import chosen_rows
from infra.catalog.paired_generations import paired_generations
chosen_rows._RUN_BYTES = int(sys.argv[2])
folder = Path(sys.argv[1])
files = [folder / f"{name}.parquet" for name in ("problems", "think", "short")]
with paired_generations(files[0], think=files[1], short=files[2], scratch=folder) as paired:
    paired.write_pairs(folder / "pairs.parquet", dropping=["missing", "incorrect"], held_out=np.arange(0))
    paired.write_dropped(folder / "dropped.parquet", dropping=["missing", "incorrect"])
"""


KB_OF_A_PROBLEM = 0.3
"""What DuckDB holds of a problem without its texts: 512 MB with 800,000 problems, 337 with 200,000."""


@needs_its_peak
@pytest.mark.parametrize("long", ["think in order", "think in no order", "problems"])
@pytest.mark.parametrize("shape", fast_and_slow(["160 x 1000000"], ["10000 x 20000", "50000 x 320"]))
def test_memory_does_not_grow_with_the_number_of_pairs(shape: str, long: str, tmp_path: Path) -> None:
    fewest, length = map(int, shape.split(" x "))
    peaks = []
    for num_problems in (fewest, 4 * fewest):
        folder = tmp_path / str(num_problems)
        write_long_rows(folder, num_problems, long=long, length=length)
        # What is sorted at once is a part of the fewest, too.
        peaks.append(peak_memory(WRITING, folder, fewest * length // 2))
    # Texts of 160 MB and of 640 MB, of 200 and 800 MB; of 16 and 64 MB. Ids, numbers and their join stay in memory.
    assert peaks[1] < 1.25 * peaks[0] + KB_OF_A_PROBLEM * 3 * fewest


def write_long_rows(folder: Path, num_problems: int, *, long: str, length: int) -> None:
    """Three files, one of them with long texts: thoughts of pairs, or prompts of problems that have no pair."""
    folder.mkdir()
    for name in ("problems", "think", "short"):
        numbers = np.arange(num_problems)
        if (name, long) == ("think", "think in no order"):
            numbers = random_stream("numbers", 0).permutation(numbers)
        parts = (
            rows_of_every_column(
                numbers[first : first + 20], length if long.startswith(name) else 0, long != "problems"
            )
            for first in range(0, num_problems, 20)
        )
        head = next(parts)
        write_groups(folder / f"{name}.parquet", head.schema, itertools.chain([head], parts))


def rows_of_every_column(numbers: NDArray[np.int64], length: int, correct: bool) -> pa.Table:
    """Rows that will do as problems and as generations."""
    texts = [f"what is {number}".ljust(length, "x") for number in numbers]
    columns = {"problem_id": [f"p-{number}" for number in numbers], "prompt": texts, "completion": texts}
    constants = {
        **{"answer": "1", "difficulty": 1, "split": "sft", "source": "f"},
        **{"num_tokens": 9, "truncated": False, "correct": correct},
    }
    return pa.table({**columns, **{name: [value] * len(numbers) for name, value in constants.items()}})
