"""Chunks: each is done once, by whoever takes it first, and those that a process leaves are done by another."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from schemas.errors import ConfigError
from tasks.running.chunks import Chunk, unfinished
from tasks.running.gpus import gpus_for


def chunks_in(folder: Path, number: int) -> list[Chunk]:
    """Chunks that nobody has done."""
    return [Chunk(folder / f"chunk-{place}.txt", size=1) for place in range(number)]


def test_a_chunk_that_exists_is_not_done_again_and_one_that_is_taken_is_left_to_the_other(tmp_path: Path) -> None:
    chunks = chunks_in(tmp_path, 4)
    chunks[0].file.touch()
    first, second = unfinished(chunks, owner="first"), unfinished(chunks, owner="second")
    assert next(first) is chunks[1]
    assert next(second) is chunks[2]
    chunks[1].file.touch()
    assert next(first) is chunks[3]
    chunks[2].file.touch()
    chunks[3].file.touch()
    assert list(first) == list(second) == []


def test_what_another_leaves_undone_is_taken_at_the_end(tmp_path: Path) -> None:
    (chunk,) = chunks_in(tmp_path, 1)
    first, taken = unfinished([chunk], owner="first"), []
    assert next(first) is chunk

    def wait_for_it() -> None:
        for waited_for in unfinished([chunk], owner="second"):
            taken.append(waited_for)
            waited_for.file.touch()

    second = threading.Thread(target=wait_for_it)
    second.start()
    second.join(timeout=0.2)
    assert taken == []
    first.close()  # as the kernel does for a process that is killed
    second.join(timeout=30)
    assert taken == [chunk]


@pytest.mark.parametrize(
    ("processes", "each", "words"),
    [
        (
            3,
            1,
            r"^evaluate\.launch\.processes: 3 processes need a GPU each, and this machine has 2; set .*processes=2$",
        ),
        (2, 2, r"2 processes need 2 GPUs each, and this machine has 2; set evaluate\.launch\.processes=1$"),
        (1, 4, r"1 processes need 4 GPUs each, and this machine has 2; lower tensor_parallel_size$"),
    ],
)
def test_more_processes_than_there_are_gpus_for_are_refused(
    processes: int, each: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match=words):
        gpus_for(processes, stage="evaluate", each=each)
    assert gpus_for(2, stage="evaluate") == 2
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert gpus_for(processes, stage="evaluate", each=each) == 0
