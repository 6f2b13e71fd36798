"""Teachers through vLLM: the offline engine in this process, and a real `vllm serve` behind kind `openai`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from transformers import PreTrainedTokenizerFast

from infra.processes.vllm_environment import IN_PROCESS
from schemas.configs.teach import TransformersTeacher, VllmTeacher
from schemas.errors import TeacherError
from schemas.mode import Mode
from schemas.records.generations import Generation
from tests.specimens import make_problems
from tests.unit.thinkless_core.teachers.chat_asking import PROBLEMS, config_for, endpoint
from tests.vllm.vllm_server import served
from thinkless_core.teachers.asking import DroppedAnswer, ask_teacher
from thinkless_core.teachers.reply import Teacher

THINK_BIAS = ("--logits-processors", "thinkless_core.sampling.vllm_think_bias:ThinkBias")


def ask(teacher: Teacher, *, mode: Mode, num: int = 12, seed: int = 0) -> tuple[list[Generation], list[DroppedAnswer]]:
    """Answers to some problems, and those that cannot be used."""
    dropped: list[DroppedAnswer] = []
    answers = ask_teacher(teacher, make_problems(num), mode=mode, max_tokens=64, seed=seed, on_drop=dropped.append)
    return answers, dropped


@pytest.mark.parametrize("in_process", ["0", "1"], ids=["here", "in a process of its own"])
def test_the_offline_engine_answers(
    warmed_up: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch, in_process: str
) -> None:
    monkeypatch.setenv(IN_PROCESS, in_process)
    config = VllmTeacher(
        model=str(warmed_up), instruction="", temperature=0.7, enforce_eager=True, dtype="float32", max_model_len=128
    )
    teacher = config.build(tokenizer=tokenizer)
    try:
        runs = [ask(teacher, mode=Mode.THINK, seed=seed) for seed in (0, 0, 1)]
        with pytest.raises(TeacherError, match=r"lower teach\.think\.max_tokens"):
            teacher.answer(make_problems(1), mode=Mode.THINK, max_tokens=4000, seed=0)
    finally:
        teacher.close()
    texts = [[a.completion for a in answers] + [d.text for d in dropped] for answers, dropped in runs]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
    for answers, dropped in runs:
        assert len(answers) + len(dropped) == 12
        assert answers
        assert {a.teacher for a in answers} == {"vllm:model"}
        assert all(a.completion.startswith("<think>") for a in answers)
        assert {d.reason for d in dropped} <= {
            "no_reasoning",
            "reasoning_not_ended",
            "special_token_inside",
            "no_answer",
        }


def test_greedy_answers_are_those_of_transformers(warmed_up: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """The likeliest first token is the mode's own; the local teacher forces the same one."""
    config = VllmTeacher(model=str(warmed_up), instruction="", temperature=0, enforce_eager=True, dtype="float32")
    ours = TransformersTeacher(model=str(warmed_up), instruction="", temperature=1e-4)
    replies = []
    for teacher_config in (config, ours):
        teacher = teacher_config.build(tokenizer=tokenizer)
        try:
            replies.append({a.problem_id: a.completion for mode in Mode for a in ask(teacher, mode=mode)[0]})
        finally:
            teacher.close()
    shared = replies[0].keys() & replies[1].keys()
    assert len(shared) > 6
    assert sum(replies[0][k] == replies[1][k] for k in shared) >= len(shared) - 1  # a tie may fall either way


@pytest.fixture(scope="module")
def url(warmed_up: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the warmed-up student, with the think bias."""
    with served(warmed_up, *THINK_BIAS, log=tmp_path_factory.mktemp("server") / "log") as address:
        yield address


def test_a_served_model_answers_through_the_endpoint_and_nothing_is_asked_twice(
    url: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    config = config_for(url, model="tiny", instruction="", temperature=0.7, timeout_seconds=120.0)
    replayed: list[bool] = []
    teacher = config.build(tokenizer=tokenizer, connect=lambda config: endpoint(config, tmp_path, replayed))
    dropped: list[DroppedAnswer] = []
    first, again = (
        ask_teacher(teacher, PROBLEMS, mode=Mode.THINK, max_tokens=64, seed=0, on_drop=dropped.append) for _ in range(2)
    )
    assert first
    assert first == again
    assert len(first) + len(dropped) / 2 == len(PROBLEMS)
    assert replayed == [False] * len(PROBLEMS) + [True] * len(PROBLEMS)
    assert all(a.num_tokens <= 64 for a in first)


def chat(url: str, *, question: str, seed: int, **extra: object) -> httpx.Response:
    """One request as any client would send it."""
    body = {"model": "tiny", "messages": [{"role": "user", "content": question}], "max_tokens": 48, "seed": seed}
    return httpx.post(f"{url}/chat/completions", json=body | extra, timeout=120, trust_env=False)


def test_every_served_completion_begins_with_a_control_token(url: str) -> None:
    for i, problem in enumerate(make_problems(20)):
        content = chat(url, question=problem.prompt, seed=i).json()["choices"][0]["message"]["content"]
        assert content.startswith(("<think>", "<short>")), content


@pytest.mark.parametrize(("bias", "expected"), [(30.0, "<think>"), (-30.0, "<short>")])
def test_a_request_may_ask_to_think_more_or_less(url: str, bias: float, expected: str) -> None:
    for i, problem in enumerate(make_problems(8)):
        answer = chat(url, question=problem.prompt, seed=i, vllm_xargs={"think_bias": bias}).json()
        assert answer["choices"][0]["message"]["content"].startswith(expected)


def test_a_bias_that_is_no_number_is_a_bad_request(url: str) -> None:
    refused = chat(url, question="1+1=?", seed=0, vllm_xargs={"think_bias": "much"})
    assert refused.status_code == 400
    assert "think_bias must be a finite number" in refused.text
