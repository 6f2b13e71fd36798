"""Nothing paid for is asked twice, whatever happens in between; and the key is seen by the endpoint alone."""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from infra.endpoints.api_key import ApiKey
from schemas.chat import ChatRequest
from schemas.errors import TeacherError
from schemas.mode import Mode
from tests.unit.thinkless_core.teachers.chat_asking import KEY, PROBLEMS, ask, config_for, endpoint, kept_files
from tests.unit.thinkless_core.teachers.chat_server import Told, chat, serving
from thinkless_core.teachers.asking import ask_teacher


def test_a_second_run_asks_nothing_and_gets_the_same(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    with serving(lambda payload, before: chat(f"3, {len(server.asked)}")) as server:
        config = config_for(server.url)
        first = ask(config, tmp_path, tokenizer, num=12)
        assert ask(config, tmp_path, tokenizer, num=12) == first
        assert len(server.asked) == 12
        ask(config_for(server.url, concurrency=2, retries=0, timeout_seconds=9.0), tmp_path, tokenizer, num=12)
        assert len(server.asked) == 12  # how it is asked does not count
        ask(config_for(server.url, temperature=0.7), tmp_path, tokenizer, num=1)
        assert len(server.asked) == 13  # what is asked does
    told: list[bool] = []
    teacher = config.build(tokenizer=tokenizer, connect=lambda config: endpoint(config, tmp_path, told))
    assert ask_teacher(teacher, PROBLEMS, mode=Mode.SHORT, max_tokens=64, seed=0) == first  # the server is gone
    assert told == [True] * 12


def test_a_damaged_reply_is_asked_for_again_with_a_warning(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(lambda payload, before: chat("3")) as server:
        ask(config_for(server.url), tmp_path, tokenizer, num=3)
        whole = {path: path.read_bytes() for path in kept_files(tmp_path)}
        damaged, swapped, emptied = whole
        damaged.write_bytes(whole[damaged][:-20])
        swapped.write_bytes(whole[damaged])
        emptied.write_text(json.dumps({**json.loads(whole[emptied]), "response": {}}))
        ask(config_for(server.url), tmp_path, tokenizer, num=3)
    assert len(server.asked) == 6
    assert {path: path.read_bytes() for path in kept_files(tmp_path)} == whole
    assert [path.name in record.getMessage() for path, record in zip((damaged, swapped), caplog.records, strict=True)]


KILLED = """
import sys
from pathlib import Path
from infra.endpoints.chat_endpoint import ChatEndpoint
from infra.endpoints.replay_cache import ReplayCache
from schemas.chat import ChatRequest
from schemas.configs.teach import OpenAITeacher

config = OpenAITeacher(model="m", base_url=sys.argv[1], concurrency=2)
requests = [ChatRequest(f"p-{i}", {"i": i}, i) for i in range(12)]
ChatEndpoint(config, ReplayCache(Path(sys.argv[2])), lambda problem_id, attempt: 0.0).complete(requests)
"""


def test_a_run_killed_in_the_middle_goes_on_where_it_ended(tmp_path: Path) -> None:
    with serving(lambda payload, before: chat("3", seconds=0.1)) as server:
        victim = subprocess.Popen([sys.executable, "-c", KILLED, server.url, str(tmp_path)], env=os.environ.copy())
        deadline = time.monotonic() + 60
        while len(kept_files(tmp_path)) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        kept = kept_files(tmp_path)
        assert 4 <= len(kept) < 12
        before = len(server.asked)
        assert before <= len(kept) + 2  # those under way are lost, and no other
        requests = [ChatRequest(f"p-{i}", {"i": i}, i) for i in range(12)]
        assert len(endpoint(config_for(server.url), tmp_path).complete(requests)) == 12
        assert len(server.asked) == before + 12 - len(kept)


def test_the_key_is_in_no_file_no_log_and_no_picture_of_itself(
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TEACHER_KEY", f" {KEY}\n")
    with serving(lambda payload, before: Told(500, KEY) if before == 0 else chat(f"3 {KEY}", tokens=None)) as server:
        config = config_for(server.url, api_key_env="TEACHER_KEY")
        (generation,) = ask(config, tmp_path, tokenizer)
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert generation.completion == "<short>3 [key]"
    assert caplog.records
    everything = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert everything
    key = ApiKey.from_environment("TEACHER_KEY")
    said = (*everything, caplog.text, *capfd.readouterr(), repr(key), str(key), config.model_dump_json())
    assert not [text for text in said if KEY in text]
    with pytest.raises(TypeError, match="does not leave its process"):
        pickle.dumps(key)


def test_a_key_is_wanted_only_where_something_has_to_be_asked(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda payload, before: chat("3")) as server:
        config = config_for(server.url, api_key_env="TEACHER_KEY")
        monkeypatch.setenv("TEACHER_KEY", KEY)
        ask(config, tmp_path, tokenizer)
        monkeypatch.delenv("TEACHER_KEY")
        ask(config, tmp_path, tokenizer)
        with pytest.raises(TeacherError, match=r"environment variable TEACHER_KEY, .* is not set; export it"):
            ask(config, tmp_path, tokenizer, num=2)
        monkeypatch.setenv("TEACHER_KEY", "two\nlines-of-secret")
        with pytest.raises(TeacherError, match="export the key alone") as caught:
            ask(config, tmp_path, tokenizer, num=2)
    assert "secret" not in str(caught.value)


def test_a_kept_reply_can_be_read_by_a_person(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    with serving(lambda payload, before: chat("3")) as server:
        ask(config_for(server.url), tmp_path, tokenizer)
    (path,) = kept_files(tmp_path)
    kept = json.loads(path.read_text())
    assert kept["asked"]["payload"] == server.asked[0]
    assert kept["response"]["choices"][0]["message"]["content"] == "3"
