"""Stage `teach` with a teacher behind a real local endpoint: chunks, drops, resume, and a home without the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows import direct
from infra.store.artifact_store import ArtifactStore
from schemas.errors import ContractError, TeacherError, Transient
from tests.integration.driver import FinishedRun, run_pipeline
from tests.unit.thinkless_core.teachers.chat_server import ChatServer, Told, chat, serving
from thinkless_core.problems.procedural import work_out

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    monkeypatch.setattr(direct, "RETRY_PAUSES_SECONDS", (0.01, 0.01))


def knows(payload: dict[str, Any], before: int) -> Told:
    """A teacher that is right, and overloaded at first; to every problem with `1+` it reasons briefly too."""
    if before == 0 and "*" in str(payload):
        return Told(429, b"", {"Retry-After": "0"})
    working = work_out(str(payload["messages"][0]["content"]).partition("\n")[0])
    assert working is not None
    long = payload["model"] == "long" or "1+" in str(payload)
    return chat(working.answer, reasoning_content=",".join(working.steps) if long else None)


def run(home: Path, server: ChatServer, *overrides: str) -> FinishedRun:
    """The pipeline up to both teachers, who are two models behind the server."""
    sides = [
        f"teach.{side}.teacher.{setting}"
        for side, model in (("think", "long"), ("short", "brief"))
        for setting in (
            "kind=openai",
            f"base_url={server.url}",
            f"model={model}",
            "api_key_env=TEACHER_KEY",
            "backoff_seconds=0.01",
            "retries=2",
        )
    ]
    small = ("problems.source.num_problems=40", "problems.rl_source.num_problems=20", "teach.chunk_size=10")
    return run_pipeline(home, *small, *sides, *overrides, until="teach")


def test_drops_are_listed_and_counted_and_another_run_of_the_home_pays_nothing_more(tmp_path: Path) -> None:
    with serving(knows) as server:
        finished = run(tmp_path, server)
        num_asked = len(server.asked)
        store = ArtifactStore(tmp_path)
        short, think = (store.manifest("teach", finished.artifacts[f"teach-{side}"].key) for side in ("short", "think"))
        num_problems = think.rows
        assert think.drops == {"truncated_kept": 0, "incorrect_kept": 0}
        num_dropped = short.drops["short_reasoned"]
        assert num_dropped > 0
        assert short.rows == num_problems - num_dropped
        folder = Path(finished.artifacts["teach-short"].path)
        listed = pq.read_table(folder / "dropped.parquet").to_pylist()
        assert len(listed) == num_dropped
        assert {(row["stage"], row["reason"], row["source"]) for row in listed} == {
            ("teach-short", "short_reasoned", "openai:brief")
        }
        answered = pq.read_table(folder / "generations.parquet").column("problem_id").to_pylist()
        assert not {row["problem_id"] for row in listed} & set(answered)
        again = run(tmp_path, server, "teach.chunk_size=7", "teach.short.teacher.concurrency=2")
        assert again.built == ["teach-think", "teach-short"]
        assert {a.digest for a in again.artifacts.values()} == {a.digest for a in finished.artifacts.values()}
        assert len(server.asked) == num_asked
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert holding == []


def test_a_run_that_an_endpoint_ended_goes_on_without_asking_again(tmp_path: Path) -> None:
    def tires(payload: dict[str, Any], before: int) -> Told:
        return Told(503) if len(server.asked) > 15 else chat("7", reasoning_content="1+2=3")

    with serving(tires) as server:
        with pytest.raises(Transient, match=r"overloaded.*launch again later"):
            run(tmp_path, server)
        num_kept = len(list(tmp_path.glob("replay/*/*.json")))
        assert num_kept == 15
        server.asked.clear()
        server.script = lambda payload, before: chat("7", reasoning_content="1+2=3" if "long" in str(payload) else None)
        finished = run(tmp_path, server)
    assert len(server.asked) == 2 * finished.artifacts["teach-think"].rows - num_kept


def test_a_teacher_none_of_whose_answers_can_be_used_ends_the_run_and_says_why(tmp_path: Path) -> None:
    with serving(lambda payload, before: chat("7")) as server, pytest.raises(TeacherError) as caught:
        run(tmp_path, server)
    assert not isinstance(caught.value, ContractError)
    for said in ("not one of 40 think answers", "'no_reasoning': 40", "'7'", "teach.think.teacher", "take one that"):
        assert said in str(caught.value)
