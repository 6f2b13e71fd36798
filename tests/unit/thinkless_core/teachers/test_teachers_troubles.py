"""An endpoint that misbehaves, a real one on this machine: troubles that pass are waited for, others are told."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from infra.endpoints.chat_endpoint import ChatEndpoint
from infra.endpoints.chat_response import retry_after_seconds
from infra.endpoints.replay_cache import ReplayCache
from schemas.chat import ChatRequest
from schemas.errors import TeacherError, Transient
from tests.unit.thinkless_core.teachers.chat_asking import KEY, ask, config_for, kept_files
from tests.unit.thinkless_core.teachers.chat_server import CUT, Told, chat, closed_port, serving
from thinkless_core.teachers.asking import DroppedAnswer

PASSING: dict[str, Callable[[], Told | str]] = {
    "overload": lambda: Told(429, {"error": {"message": "slow down"}}),
    "overload with a pause in seconds": lambda: Told(429, b"", {"Retry-After": "0.2"}),
    "a server error": lambda: Told(500, b"<html>oops</html>"),
    "a bad gateway": lambda: Told(502),
    "a hang": lambda: chat("3", seconds=1.0),
    "a cut connection": lambda: CUT,
    "a body cut short": lambda: Told(200, b'{"choices": [', {"Content-Length": "500"}),
    "malformed JSON": lambda: Told(200, b'{"choices": ['),
    "bytes that are no text": lambda: Told(200, b"\xff\xfe"),
    "no choices": lambda: Told(200, {"choices": []}),
    "an error under status 200": lambda: Told(200, {"error": {"message": "upstream failed"}}),
    "no finish reason": lambda: chat("3", finish=None),
    "an answer given up": lambda: chat("3", finish="insufficient_system_resource"),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_trouble_that_passes_is_waited_for(tmp_path: Path, tokenizer: PreTrainedTokenizerFast, name: str) -> None:
    with serving(lambda payload, before: PASSING[name]() if before < 2 else chat("3")) as server:
        generations = ask(config_for(server.url, timeout_seconds=0.4), tmp_path, tokenizer)
    assert [g.completion for g in generations] == ["<short>3"]
    assert len(server.asked) == 3
    if "pause" in name:
        assert all(later - earlier > 0.19 for earlier, later in zip(server.times, server.times[1:], strict=False))


def test_a_pause_the_server_asks_for_holds_every_request_back(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    def script(payload: dict[str, Any], before: int) -> Told:
        return Told(503, b"", {"Retry-After": "0.5"}) if len(server.asked) == 1 else chat("3")

    with serving(script) as server:
        ask(config_for(server.url, concurrency=1), tmp_path, tokenizer, num=3)
    assert len(server.times) == 4
    assert server.times[1] - server.times[0] > 0.49


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    later = format_datetime(now + timedelta(seconds=90), usegmt=True)
    earlier = format_datetime(now - timedelta(seconds=90), usegmt=True)
    said = {"12": 12.0, "0.5": 0.5, later: 90.0, earlier: 0.0, "-3": 0.0, "soon": 0.0, "": 0.0}
    assert {text: retry_after_seconds({"retry-after": text}, now=now) for text in said} == said
    assert retry_after_seconds({}, now=now) == 0.0


def test_pauses_double_and_lie_in_their_upper_half(tmp_path: Path) -> None:
    for jitter, least in ((0.0, 0.5), (0.999, 1.0)):
        with serving(lambda payload, before: Told(500)) as server:
            config = config_for(server.url, backoff_seconds=0.1, retries=3)
            connection = ChatEndpoint(config, ReplayCache(tmp_path), lambda problem_id, attempt, u=jitter: u)
            with pytest.raises(Transient):
                connection.complete([ChatRequest("p", {}, 0)])
        pauses = [later - earlier for earlier, later in zip(server.times, server.times[1:], strict=False)]
        for pause, whole in zip(pauses, (0.1, 0.2, 0.4), strict=True):
            assert whole * least * 0.99 < pause < whole * least + 0.15


# Troubles that stay

STAYING: dict[str, tuple[Told | str, type[Exception], list[str], int]] = {
    "overload": (
        Told(429, {"error": "busy"}),
        Transient,
        ["p-0", "overloaded", "3 times", "'busy'", "launch again"],
        3,
    ),
    "a server error": (Told(500), Transient, ["p-0", "overloaded", "500"], 3),
    "a hang": (chat("3", seconds=2.0), Transient, ["p-0", "timeout_seconds=0.4"], 3),
    "a cut connection": (CUT, Transient, ["p-0", "the connection was cut"], 3),
    "a pause too long": (Told(429, b"", {"Retry-After": "900"}), Transient, ["900 s", "longest_wait_seconds=300"], 1),
    "malformed JSON": (Told(200, b"{"), TeacherError, ["p-0", "3 times", "no JSON: '{'", "base_url"], 3),
    "no choices": (Told(200, {"choices": []}), TeacherError, ["p-0", "3 times", "no choice", '{"choices": []}'], 3),
    "a refused key": (Told(401, {"error": {"message": f"bad key {KEY}"}}), TeacherError, ["401", "TEACHER_KEY"], 1),
    "a forbidden model": (Told(403), TeacherError, ["403", "TEACHER_KEY", "m"], 1),
    "an empty account": (Told(402), TeacherError, ["asks for payment", "top up"], 1),
    "a used-up quota": (Told(429, {"error": {"code": "insufficient_quota"}}), TeacherError, ["top up"], 1),
    "a wrong model": (Told(404, {"error": {"message": "no m here"}}), TeacherError, ["'m'", "no m here", "/v1"], 1),
    "a refused request": (Told(400, {"message": "too long"}), TeacherError, ["p-0", "too long", 'refused="drop"'], 1),
    "a redirect": (Told(301, b"", {"Location": "/v2"}), TeacherError, ["301", "check teacher.base_url"], 1),
}


@pytest.mark.parametrize("name", STAYING)
def test_a_trouble_that_stays_is_said_with_its_way_out_and_never_the_key(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, kind, said, num_tries = STAYING[name]
    monkeypatch.setenv("TEACHER_KEY", KEY)
    with serving(lambda payload, before: told) as server:
        config = config_for(server.url, timeout_seconds=0.4, retries=2, api_key_env="TEACHER_KEY")
        with pytest.raises(kind) as caught:
            ask(config, tmp_path, tokenizer)
    missing = [part for part in said if part not in str(caught.value)]
    assert not missing, f"{missing} not in: {caught.value}"
    assert len(server.asked) == num_tries
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in str(caught.value)
    assert kept_files(tmp_path) == []
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_endpoint_that_is_down_ends_the_run(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(TeacherError, match=r"p-0: endpoint \S+ is down, tried 3 times: .*; start it, or correct"):
        ask(config_for(f"http://127.0.0.1:{closed_port()}/v1"), tmp_path, tokenizer)


def test_replies_under_way_are_kept_when_another_request_ends_the_run(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    def script(payload: dict[str, Any], before: int) -> Told:
        return Told(404) if "12+22" in str(payload) else chat("3", seconds=0.3)

    with serving(script) as server:
        with pytest.raises(TeacherError, match="404"):
            ask(config_for(server.url, concurrency=3), tmp_path, tokenizer, num=12)
        assert len(server.asked) == 3
        server.script = lambda payload, before: chat("3")
        assert len(ask(config_for(server.url), tmp_path, tokenizer, num=12)) == 12
    assert len(server.asked) == 3 + 10


def test_the_worst_failure_is_the_one_told(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    def script(payload: dict[str, Any], before: int) -> Told:
        return Told(401, seconds=0.2) if "11+22" in str(payload) else Told(429, seconds=0.05)

    with serving(script) as server, pytest.raises(TeacherError, match="refuses the key"):
        ask(config_for(server.url, retries=0), tmp_path, tokenizer, num=2)


def test_a_refused_request_can_be_dropped_and_is_counted(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    def script(payload: dict[str, Any], before: int) -> Told:
        return Told(400, {"error": {"message": "too long"}}) if "10+22" in str(payload) else chat("3")

    dropped: list[DroppedAnswer] = []
    with serving(script) as server:
        generations = ask(config_for(server.url, refused="drop"), tmp_path, tokenizer, num=2, dropped=dropped)
    assert [g.problem_id for g in generations] == ["p-1"]
    assert [(d.problem_id, d.reason, d.text) for d in dropped] == [("p-0", "refused", "400 'too long'")]
