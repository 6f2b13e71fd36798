"""Stage `teach` in pieces: chunks that are joined, an interrupted build, long rows, and recordings that change."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from transformers import PreTrainedTokenizerFast

from infra import disk, row_groups
from schemas.artifact import Artifact
from schemas.configs.recorded_teachers import RecordedTeacher
from schemas.configs.teach import TeacherSide, TeachSideConfig
from schemas.errors import SourceError, StoreError, TeacherError
from schemas.mode import Mode
from schemas.records.dropped import DroppedRow
from schemas.records.generations import Generation
from schemas.records.problems import Problem, ProblemSplit
from tasks import ask_teachers
from tasks.ask_teachers import AskTeachers
from tasks.running.context import RunContext
from tasks.running.parquet_files import join_records, num_records, read_records, write_records
from tasks.running.stage import StageOutcome, StagePlan, make_plan
from tests.problem_rows import write
from tests.specimens import make_problem
from thinkless_core.teachers import replaying
from thinkless_core.teachers.recorded_file import RecordingTeacher

NUM_PROBLEMS = 30
QUESTIONS = [f"{number}+1=?" for number in range(NUM_PROBLEMS)]
NOTHING: Callable[..., None] = lambda *_: None  # noqa: E731


def rows_of(length: int = 20) -> list[dict[str, object]]:
    """Rows of a recording: right, wrong, without an answer, several to a question, and without thought."""
    thought = "so it is more " * (length // 14)
    rows: list[dict[str, object]] = []
    for number, question in enumerate(QUESTIONS):
        right, wrong = (f"<think>{thought}</think>\\boxed{{{value}}}" for value in (number + 1, number))
        held = (right, [wrong, right], wrong, f"<think>{thought}", right, "\\boxed{1}")[number % 6]
        rows.append({"prompt": question, "completion": held})
    return rows


@pytest.fixture
def inputs(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> tuple[Artifact, Artifact]:
    """The student and the problems, as far as the stage reads them."""
    tokenizer.save_pretrained(tmp_path / "base" / "model")
    problems = [make_problem(question, answer=str(number + 1)) for number, question in enumerate(QUESTIONS)]
    taught = [problem.model_copy(update={"split": ProblemSplit.SFT}) for problem in problems]
    (tmp_path / "problems").mkdir()
    write_records(tmp_path / "problems" / Problem.FILE, Problem, [*problems[:3], *taught, *problems[3:]])
    base, asked = (
        Artifact(stage=name, key=name, digest=name, path=str(tmp_path / name), rows=1) for name in ("base", "problems")
    )
    return base, asked


def planned(recording: Path, inputs: tuple[Artifact, ...], *, chunk_size: int = 10) -> StagePlan[TeachSideConfig]:
    """The plan of the think side."""
    side = TeacherSide(teacher=RecordedTeacher(path=str(recording)), max_tokens=2_000_000)
    config = TeachSideConfig(mode=Mode.THINK, side=side, chunk_size=chunk_size)
    return make_plan(AskTeachers(Mode.THINK), config, inputs=inputs)


def build(plan: StagePlan[TeachSideConfig], workspace: Path) -> StageOutcome:
    """Build the stage."""
    context = cast(RunContext, SimpleNamespace(settings=SimpleNamespace(home=workspace / "home")))
    workspace.mkdir(exist_ok=True)
    return AskTeachers(Mode.THINK).build(plan, context, workspace, NOTHING)


def written(workspace: Path) -> tuple[bytes, bytes]:
    """What the stage leaves."""
    return (workspace / Generation.FILE).read_bytes(), (workspace / DroppedRow.FILE).read_bytes()


def test_chunks_of_any_size_make_the_same_files(tmp_path: Path, inputs: tuple[Artifact, ...]) -> None:
    recording = write(tmp_path / "r.jsonl", rows_of())
    made = {}
    for size in (1, 7, 1000):
        outcome = build(planned(recording, inputs, chunk_size=size), tmp_path / f"{size}")
        made[size] = written(tmp_path / f"{size}")
        assert (outcome.rows, outcome.marked) == (20, {"truncated_kept": 0, "incorrect_kept": 5})
    assert made[1] == made[7] == made[1000]
    listed = read_records(tmp_path / "7" / DroppedRow.FILE, DroppedRow)
    assert [row.reason for row in listed] == ["reasoning_not_ended", "no_reasoning"] * 5
    assert [(row.prompt, row.detail) for row in listed[1::2]] == [(QUESTIONS[n], "\\boxed{1}") for n in range(5, 30, 6)]
    rows = read_records(tmp_path / "7" / Generation.FILE, Generation)
    assert [row.answer for row in rows[:4]] == ["1", "2", "2", "5"]


def test_joined_files_are_those_that_are_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_groups, "BYTES_PER_GROUP", 3000)
    problems = [make_problem(f"{number}+1=?" + "x" * (number * 37 % 400), answer="1") for number in range(500)]
    problems = [p.model_copy(update={"difficulty": None if i % 3 else i}) for i, p in enumerate(problems)]
    write_records(tmp_path / "whole.parquet", Problem, problems)
    for size in (1, 64, 333):
        parts = []
        for start in range(0, len(problems), size):
            parts.append(tmp_path / f"{size}-{start}.parquet")
            write_records(parts[-1], Problem, problems[start : start + size])
        assert join_records(tmp_path / "joined.parquet", Problem, parts) == num_records(tmp_path / "joined.parquet")
        assert (tmp_path / "joined.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_long_rows_are_asked_for_a_few_at_a_time(
    tmp_path: Path, inputs: tuple[Artifact, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = write(tmp_path / "r.jsonl", rows_of(length=50_000))
    build(planned(recording, inputs), tmp_path / "whole")
    asked: list[int] = []
    real = ask_teachers.ask_side

    def counted(teacher: Any, problems: Sequence[Problem], config: TeachSideConfig) -> Any:
        asked.append(len(problems))
        return real(teacher, problems, config)

    monkeypatch.setattr(ask_teachers, "ask_side", counted)
    monkeypatch.setattr(replaying, "BYTES_AT_ONCE", 150_000)
    build(planned(recording, inputs), tmp_path / "parts")
    assert sum(asked) == NUM_PROBLEMS
    assert max(asked) == 4  # one of them is short
    assert written(tmp_path / "parts") == written(tmp_path / "whole")
    monkeypatch.setattr(replaying, "BYTES_AT_ONCE", 10)
    shutil.rmtree(tmp_path / "parts" / "scratch" / "chunk-00000010")
    asked.clear()
    build(planned(recording, inputs), tmp_path / "parts")
    assert asked == [1] * 10, "a problem is asked alone, however long its answers are"
    assert written(tmp_path / "parts") == written(tmp_path / "whole")


def test_an_interrupted_build_asks_for_the_rest_only(
    tmp_path: Path, inputs: tuple[Artifact, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(write(tmp_path / "r.jsonl", rows_of()), inputs)
    build(plan, tmp_path / "whole")
    real, asked = ask_teachers.ask_side, []

    def interrupted(teacher: Any, problems: Sequence[Problem], config: TeachSideConfig) -> Any:
        asked.append(problems[0].question)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return real(teacher, problems, config)

    monkeypatch.setattr(ask_teachers, "ask_side", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(plan, tmp_path / "parts")
    build(plan, tmp_path / "parts")
    assert asked == [QUESTIONS[0], QUESTIONS[10], QUESTIONS[20], QUESTIONS[20]]
    assert written(tmp_path / "parts") == written(tmp_path / "whole")


def test_a_recording_is_read_once_and_half_of_it_is_never_believed(
    tmp_path: Path, inputs: tuple[Artifact, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(write(tmp_path / "r.jsonl", rows_of()), inputs)
    build(plan, tmp_path / "whole")
    real = RecordingTeacher.completions

    def interrupted(teacher: RecordingTeacher, mode: Mode) -> Iterator[Any]:
        yield from islice(real(teacher, mode), 10)
        raise KeyboardInterrupt

    monkeypatch.setattr(RecordingTeacher, "completions", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(plan, tmp_path / "parts")
    assert (tmp_path / "parts" / "scratch" / "teacher.unfinished").exists()
    monkeypatch.setattr(RecordingTeacher, "completions", real)
    build(plan, tmp_path / "parts")
    assert written(tmp_path / "parts") == written(tmp_path / "whole")
    monkeypatch.delattr(RecordingTeacher, "completions")
    shutil.rmtree(tmp_path / "parts" / "scratch" / "chunk-00000010")
    build(plan, tmp_path / "parts")
    assert written(tmp_path / "parts") == written(tmp_path / "whole")


def test_what_a_killed_process_left_of_a_chunk_is_not_part_of_it(tmp_path: Path, inputs: tuple[Artifact, ...]) -> None:
    plan = planned(write(tmp_path / "r.jsonl", rows_of()), inputs)
    build(plan, tmp_path / "whole")
    left = tmp_path / "parts" / "scratch" / "chunk-00000010.unfinished"
    shutil.copytree(tmp_path / "whole" / "scratch" / "chunk-00000000", left)
    (left / "00000000.parquet").rename(left / "00000007.parquet")
    build(plan, tmp_path / "parts")
    assert written(tmp_path / "parts") == written(tmp_path / "whole")


@pytest.mark.parametrize("more", ['{"prompt": "x", "completion": "y"}\n', '{"prompt": "x", "comp'])
def test_a_recording_that_grows_while_it_is_read_is_named_and_nothing_of_it_is_kept(
    more: str, tmp_path: Path, inputs: tuple[Artifact, ...]
) -> None:
    recording = write(tmp_path / "r.jsonl", rows_of())
    plan = planned(recording, inputs)
    with recording.open("a", encoding="utf-8") as file:
        file.write(more)
    with pytest.raises(SourceError, match=r"r\.jsonl: changed while stage teach-think read it; expected a file that"):
        build(plan, tmp_path / "made")
    assert [path.name for path in (tmp_path / "made").rglob("*.parquet")] == []


def test_a_recording_that_did_not_change_keeps_its_own_error(tmp_path: Path, inputs: tuple[Artifact, ...]) -> None:
    recording = write(tmp_path / "r.jsonl", rows_of())
    recording.write_text(recording.read_text(encoding="utf-8") + '{"prompt"', encoding="utf-8")
    with pytest.raises(TeacherError, match=r"recording .*r\.jsonl, line 31: not JSON"):
        build(planned(recording, inputs), tmp_path / "made")


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """A function that limits the size of files, which stands in for a full disk: a write fails half-way."""
    monkeypatch.setitem(disk._REASONS, errno.EFBIG, disk._REASONS[errno.ENOSPC])
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("moment", ["the recording is read", "a chunk is written", "chunks are joined"])
def test_a_full_disk_is_named_and_the_next_build_goes_on(
    moment: str,
    tmp_path: Path,
    inputs: tuple[Artifact, ...],
    small_files: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [{**row, "completion": f"<think>{os.urandom(2000).hex()}</think>\\boxed{{1}}"} for row in rows_of()]
    plan = planned(write(tmp_path / "r.jsonl", rows), inputs)
    build(plan, tmp_path / "whole")
    whole = (tmp_path / "whole" / Generation.FILE).read_bytes()
    made, real = tmp_path / "made", ask_teachers.ask_side
    if moment == "the recording is read":
        small_files(50_000)
    elif moment == "a chunk is written":
        monkeypatch.setattr(ask_teachers, "ask_side", lambda *asked: (real(*asked), small_files(5_000))[0])
    else:
        build(plan, made)
        (made / Generation.FILE).unlink()
        small_files(len(whole) // 2)
    with pytest.raises(StoreError, match="no space left on the device"), disk.writing(made):
        build(plan, made)
    assert not (made / Generation.FILE).exists()
    assert len(list(made.rglob("chunk-????????"))) == (3 if moment == "chunks are joined" else 0)
    small_files(resource.RLIM_INFINITY)
    monkeypatch.setattr(ask_teachers, "ask_side", real)
    build(plan, made)
    assert (made / Generation.FILE).read_bytes() == whole
