"""Teaching shared out over workers has the bytes of teaching in one process, whoever of them is killed."""

from __future__ import annotations

import json
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest

from schemas.errors import TeacherError
from tests.integration import worker_runs
from tests.integration.conftest import BuiltHome
from tests.integration.driver import command, run_pipeline
from tests.integration.processes import environment, family_of, started, still_alive, stop, wait_until
from tests.integration.test_kill_and_resume import answer_chunks
from tests.integration.worker_runs import GONE_AFTER_SECONDS, run_with_a_worker_killed
from tests.unit.thinkless_core.teachers.chat_server import chat, serving
from thinkless_core.problems.procedural import work_out

in_workers = partial(worker_runs.in_workers, stage="teach")


def recorded(home: Path, built: BuiltHome) -> tuple[str, ...]:
    """Overrides: the think side replays what the built home's teacher said, half of it twice."""
    import pyarrow.parquet as pq

    rows = pq.read_table(Path(built.run.artifacts["teach-think"].path) / "generations.parquet").to_pylist()
    file = home / "recorded.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for number, row in enumerate(rows):
            for text in ["<think>wrong</think>7", row["completion"]][number % 2 :]:
                out.write(json.dumps({"prompt": row["prompt"], "completion": text}) + "\n")
    return (f'teach.think.teacher={{kind="recorded",path="{file}"}}',)


def test_the_number_of_processes_is_not_in_the_key(built: BuiltHome, home: Path) -> None:
    finished = run_pipeline(home, in_workers(2))
    assert finished.built == []


@pytest.mark.slow
def test_any_number_of_workers_comes_to_the_same_bytes(home: Path, built: BuiltHome) -> None:
    replayed = recorded(home, built)
    found = []
    for overrides in ((), (in_workers(1),), (in_workers(2),), (in_workers(2), "teach.chunk_size=7")):
        shutil.rmtree(home / "artifacts" / "teach", ignore_errors=True)
        finished = run_pipeline(home, *replayed, *overrides, until="teach")
        found.append([finished.artifacts[f"teach-{mode}"].digest for mode in ("think", "short")])
        assert not (Path(finished.artifacts["teach-think"].path) / "scratch").exists()
    assert found == [found[0]] * 4
    assert found[0][1] == built.run.artifacts["teach-short"].digest


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_is_named_and_the_bytes_are_the_same(
    home: Path, built: BuiltHome, tmp_path: Path
) -> None:
    log = tmp_path / "run.log"
    rank = run_with_a_worker_killed(home, stage="teach", log=log)
    assert f"teach-think: worker {rank} of 2 was ended by SIGKILL" in log.read_text()
    finished = run_pipeline(home, until="teach")
    assert finished.built == []
    assert finished.artifacts["teach-think"].digest == built.run.artifacts["teach-think"].digest


@pytest.mark.slow
def test_after_all_were_killed_the_rest_is_asked(home: Path, built: BuiltHome, tmp_path: Path) -> None:
    directory, log = home / "artifacts" / "teach", tmp_path / "run.log"
    shutil.rmtree(directory)
    with started(command(home, in_workers(2), until="teach"), log=log, env=environment(home)) as process:
        wait_until(lambda: len(answer_chunks(directory)) >= 1, process=process, log=log)
        family = family_of(process.pid)
        stop(process, signal.SIGKILL)
        assert still_alive(family, after_seconds=GONE_AFTER_SECONDS) == []
    assert answer_chunks(directory)
    finished = run_pipeline(home, in_workers(2), until="teach")
    assert finished.artifacts["teach-think"].digest == built.run.artifacts["teach-think"].digest


@pytest.mark.slow
def test_an_error_of_a_teacher_in_a_worker_names_the_worker(home: Path, built: BuiltHome) -> None:
    file = home / "short.jsonl"
    file.write_text(json.dumps({"prompt": "no problem of this run", "completion": "<think>a</think>1"}) + "\n")
    with pytest.raises(TeacherError, match=r"does not have the question.* \(teach-think, worker [01] of 2\)$"):
        run_pipeline(home, f'teach.think.teacher={{kind="recorded",path="{file}"}}', in_workers(2), until="teach")


@pytest.mark.slow
def test_a_teacher_at_an_endpoint_is_asked_from_one_process_and_the_other_side_by_workers(
    home: Path, built: BuiltHome, caplog: pytest.LogCaptureFixture
) -> None:
    def knows(payload: dict[str, object], before: int) -> object:
        working = work_out(str(payload["messages"]).split("'content': '")[1].partition("\\n")[0])
        assert working is not None
        return chat(working.answer)

    with serving(knows) as server:
        endpoint = f'teach.short.teacher={{kind="openai",base_url="{server.url}",model="m"}}'
        shutil.rmtree(home / "artifacts" / "teach")
        finished = run_pipeline(home, endpoint, in_workers(2), until="teach")
    assert "this teacher is at an endpoint: one process asks it, and teach.launch is for the other side" in caplog.text
    assert finished.artifacts["teach-think"].digest == built.run.artifacts["teach-think"].digest
    assert finished.artifacts["teach-short"].rows == built.run.artifacts["teach-short"].rows


@pytest.mark.slow
def test_a_model_that_teaches_in_the_process_does_so_in_every_worker_with_the_same_bytes(
    home: Path, built: BuiltHome
) -> None:
    model = Path(built.run.artifacts["sft"].path) / "model"
    teacher = f'teach.short.teacher={{kind="transformers",model="{model}"}}'
    found = []
    for overrides in ((), (in_workers(2), "teach.chunk_size=7")):
        shutil.rmtree(home / "artifacts" / "teach", ignore_errors=True)
        finished = run_pipeline(home, teacher, "teach.short.max_tokens=12", *overrides, until="teach")
        found.append(finished.artifacts["teach-short"].digest)
    assert found[0] == found[1]
    assert found[0] != built.run.artifacts["teach-short"].digest
