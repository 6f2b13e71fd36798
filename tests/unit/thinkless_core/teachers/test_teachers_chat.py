"""The teacher behind an endpoint, against a real local server: what is asked, and what the answers come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from transformers import PreTrainedTokenizerFast

from infra.endpoints.endpoint_check import check_endpoint
from schemas.configs.teach import OpenAITeacher
from schemas.configs.teacher import SampleRules
from schemas.errors import TeacherError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from tests.unit.thinkless_core.teachers.chat_asking import KEY, ask, config_for
from tests.unit.thinkless_core.teachers.chat_server import Told, chat, serving
from thinkless_core.teachers.asking import DroppedAnswer


def test_a_request_holds_model_turn_limit_sampling_and_a_seed_of_its_own(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    with serving(lambda payload, before: chat("\\boxed{3}")) as server:
        generations = ask(config_for(server.url, extra_body={"top_k": 20}), tmp_path, tokenizer, num=2)
    assert [(g.completion, g.correct, g.num_tokens, g.teacher) for g in generations] == [
        ("<short>\\boxed{3}", True, 9, "openai:m")
    ] * 2
    first, second = sorted(server.asked, key=lambda payload: str(payload["messages"]))
    assert first["messages"] == [{"role": "user", "content": "10+22=?\n\nPut the final answer within \\boxed{}."}]
    seeds = {payload.pop("seed") for payload in (first, second)}
    assert len(seeds) == 2
    assert all(0 <= seed < 2**31 for seed in seeds)
    del first["messages"]
    assert first == {"model": "m", "max_tokens": 64, "temperature": 0.6, "top_p": 0.95, "top_k": 20}
    assert "authorization" not in {name.lower() for headers in server.headers for name in headers}


def test_what_an_endpoint_does_not_know_is_not_sent(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    with serving(lambda payload, before: chat("3")) as server:
        changes = {"temperature": None, "top_p": None, "send_seed": False, "limit_field": "max_completion_tokens"}
        ask(config_for(server.url, instruction="", **changes), tmp_path, tokenizer)
    assert server.asked == [
        {"model": "m", "max_completion_tokens": 64, "messages": [{"role": "user", "content": "10+22=?"}]}
    ]


def test_no_more_requests_are_under_way_than_the_bound_allows(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    with serving(lambda payload, before: chat("3", seconds=0.05)) as server:
        assert len(ask(config_for(server.url, concurrency=3), tmp_path, tokenizer, num=12)) == 12
    assert server.most_at_once == 3


# Several samples


def test_another_sample_is_asked_only_where_none_is_right_and_the_first_right_one_is_kept(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    answers = {"10+22": ["3"], "11+22": ["4", "3"], "12+22": ["5", "6", "7"]}

    def script(payload: dict[str, Any], before: int) -> Told:
        name = payload["messages"][0]["content"][:5]
        place = sum(name in str(earlier) for earlier in server.asked) - 1
        return chat(answers[name][place])

    with serving(script) as server:
        config = config_for(server.url)
        generations = ask(config, tmp_path, tokenizer, num=3, rules=SampleRules(num_samples=3))
        assert [(g.answer, g.correct) for g in generations] == [("3", True), ("3", True), ("5", False)]
        assert len(server.asked) == 6
        dropped: list[DroppedAnswer] = []
        strict = SampleRules(num_samples=3, reject_wrong=True)
        assert ask(config, tmp_path, tokenizer, num=3, rules=strict, dropped=dropped) == generations[:2]
        assert len(server.asked) == 6
    assert [(d.problem_id, d.reason, d.text) for d in dropped] == [("p-2", "rejected_wrong", "5")]
    assert len({payload["seed"] for payload in server.asked}) == 6


def test_samples_are_told_apart_where_no_seed_is_sent(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    with serving(lambda payload, before: chat(str(before))) as server:
        (generation,) = ask(
            config_for(server.url, send_seed=False), tmp_path, tokenizer, rules=SampleRules(num_samples=5)
        )
    assert (generation.answer, generation.correct, len(server.asked)) == ("3", True, 4)


# What comes back


def test_length_means_truncated_and_other_ends_are_no_answers(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    ends = iter(("length", "content_filter", "tool_calls"))
    dropped: list[DroppedAnswer] = []
    with serving(lambda payload, before: chat("3", finish=next(ends), tokens=64)) as server:
        generations = ask(config_for(server.url, concurrency=1), tmp_path, tokenizer, num=3, dropped=dropped)
    assert [(g.truncated, g.correct, g.answer, g.finish_reason, g.num_tokens) for g in generations] == [
        (True, False, None, FinishReason.LENGTH, 64)
    ]
    assert [d.reason for d in dropped] == ["content_filter", "tool_calls"]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_in_a_field_of_its_own_is_joined(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, name: str
) -> None:
    with serving(lambda payload, before: chat("3", **{name: "1+2=3"})) as server:
        (generation,) = ask(config_for(server.url), tmp_path, tokenizer, mode=Mode.THINK)
    assert (generation.completion, generation.correct) == ("<think>1+2=3</think>3", True)


# Configuration and a look before the run

BAD_CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "no address": ({"base_url": "api.example.com/v1"}, "expected an address such as https"),
    "a password in the address": ({"base_url": "https://me:pass@api.example.com/v1"}, "must hold no user"),
    "a key in the address": ({"base_url": "https://api.example.com/v1?key=abc"}, "must hold no user, query"),
    "the key itself": ({"api_key_env": "sk-abc"}, "the NAME of an environment variable"),
    "a field twice": ({"extra_body": {"temperature": 1}}, "temperature: set by a field of its own"),
    "a key in the body": ({"extra_body": {"api_key": "abc"}}, "api_key: .*secret"),
    "streaming": ({"extra_body": {"stream": True}}, "stream: set by"),
}


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_a_table_that_cannot_work_is_refused(name: str) -> None:
    changes, said = BAD_CONFIGS[name]
    with pytest.raises(ValidationError, match=said):
        OpenAITeacher(**({"model": "m", "base_url": "https://api.example.com/v1"} | changes))


def test_a_look_at_the_endpoint_says_what_would_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    models = {"data": [{"id": "deepseek-reasoner"}, {"id": "deepseek-chat"}]}
    told = {"look": Told(200, models)}
    with serving(lambda payload, before: told["look"]) as server:
        config = config_for(server.url, model="deepseek-reasoner", api_key_env="TEACHER_KEY")
        assert check_endpoint(config) == f"{server.url} serves deepseek-reasoner"
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
        with pytest.raises(TeacherError, match="no model 'deepseek-reasonr'; did you mean 'deepseek-reasoner'"):
            check_endpoint(config_for(server.url, model="deepseek-reasonr"))
        told["look"] = Told(404)
        assert "lists no models" in check_endpoint(config)
        for status, said in ((401, "refuses the key .401.; check environment variable TEACHER_KEY"), (503, "503")):
            told["look"] = Told(status)
            with pytest.raises(TeacherError, match=said):
                check_endpoint(config)
    with pytest.raises(TeacherError, match="does not answer"):
        check_endpoint(config)
