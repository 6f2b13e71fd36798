"""What the formulas say of disk, beside what stages write: while they run, and afterwards."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.doctor.data import counts
from flows.doctor.first_texts import known_data
from schemas.configs.loading import load_config
from tests.integration.driver import SMALL, run_pipeline
from tests.problem_rows import write
from thinkless_core.estimates.data_sizes import LETTERS, Sizes, StageData, most_disk, stage_data
from thinkless_core.seeding import random_stream
from thinkless_core.training import tokenised_pairs

WORDS = (
    "so",
    "we",
    "take",
    "each",
    "of",
    "them",
    "half",
    "twelve",
    "look",
    "again",
    "because",
    "sides",
    "are",
    "equal",
)


def test_the_worst_moment_counts_what_earlier_stages_left() -> None:
    stages = [StageData("a", 0, 9, 2, ""), StageData("b", 0, 5, 4, ""), StageData("c", 0, 4, 0, "")]
    assert most_disk(stages) == 10  # 2 + 4 of a and b, and 4 of c
    assert most_disk(stages[:2]) == 9
    assert most_disk([]) == 0


def test_a_token_id_has_as_many_bytes_as_the_text_of_a_token_is_taken_to_have() -> None:
    assert tokenised_pairs._SCHEMA.field("think_ids").type.value_type.bit_width // 8 == LETTERS


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux, which lists files without a name")
def test_stages_write_what_the_doctor_says(tmp_path: Path) -> None:
    stream = random_stream("traces")
    rows = [
        {
            "prompt": f"{n // 40}+{n % 40}+{n}=?",
            "answer": str(n // 40 + n % 40 + n),
            "trace": f"<think>{' '.join(WORDS[i] for i in stream.integers(len(WORDS), size=8000))}</think>1",
            "solution": "it is 1",
        }
        for n in range(300)
    ]
    path = write(tmp_path / "traces.jsonl", rows)
    source = f'{{kind="local", path="{path}"}}'
    overrides = [
        f"problems.source={source}", "teach.think.max_tokens=90000", "teach.short.max_tokens=60",
        f'teach.think.teacher={{kind="recorded", completion_field="trace", source={source}}}',
        f'teach.short.teacher={{kind="recorded", completion_field="solution", source={source}}}',
        'pairs.incorrect="keep"',
    ]  # fmt: skip
    small = [one for one in SMALL if not one.startswith("problems.source.")]
    config = load_config("tiny", overrides=[*small, *overrides])
    known = known_data(config, problems=counts(config))
    expected = list(stage_data(config, Sizes.of(config, known), known.problems, generated={}))
    expected = [stage for stage in expected if stage.stage != "sft"]
    home = tmp_path / "home"
    run_pipeline(home, *overrides, small=small, until="base")
    before = disk_of(home)
    with watched(home) as most:
        run_pipeline(home, *overrides, small=small, until="pairs")
    stays = disk_of(home) - before
    assert sum(stage.stays for stage in expected) == pytest.approx(stays, rel=0.5)
    assert most_disk(expected) == pytest.approx(most[0] - before, rel=0.5)


@contextmanager
def watched(home: Path) -> Iterator[list[int]]:
    """The most bytes on the disk during the block, looked at again and again."""
    most, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            most[0] = max(most[0], disk_of(home))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def disk_of(home: Path) -> int:
    """Bytes of all files of a home, and of those without a name that this process has open."""
    names = [os.path.join(folder, name) for folder, _, files in os.walk(home) for name in files]
    numbers = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return sum(
        map(size_of, [*names, *(n for n in numbers if str(home) in target_of(n) and "(deleted)" in target_of(n))])
    )


def size_of(path: str) -> int:
    """Bytes on the disk; 0 if it is gone by now."""
    try:
        return os.stat(path).st_blocks * 512
    except OSError:
        return 0


def target_of(link: str) -> str:
    """What a link leads to."""
    try:
        return os.readlink(link)
    except OSError:
        return ""
