"""Asking a teacher behind the local endpoint, as the tests of it do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from infra.endpoints.chat_endpoint import ChatEndpoint
from infra.endpoints.replay_cache import ReplayCache
from schemas.configs.teach import OpenAITeacher
from schemas.configs.teacher import SampleRules
from schemas.mode import Mode
from schemas.records.generations import Generation
from tests.specimens import make_problem
from thinkless_core.teachers.asking import DroppedAnswer, ask_teacher

KEY = "sk-very-secret-0123456789"
PROBLEMS = [make_problem(f"1{i}+22=?", name=f"p-{i}", answer="3") for i in range(12)]


def config_for(url: str, **changes: Any) -> OpenAITeacher:
    """A teacher that is quick to try again."""
    defaults: dict[str, Any] = {"model": "m", "base_url": url, "backoff_seconds": 0.01, "timeout_seconds": 5.0}
    return OpenAITeacher(**(defaults | changes))


def endpoint(config: OpenAITeacher, home: Path, told: list[bool] | None = None) -> ChatEndpoint:
    """A connection whose pauses are the shortest."""
    listen = (lambda replayed: None) if told is None else told.append
    return ChatEndpoint(config, ReplayCache(home), lambda problem_id, attempt: 0.0, listen)


def ask(
    config: OpenAITeacher,
    home: Path,
    tokenizer: PreTrainedTokenizerFast,
    *,
    num: int = 1,
    mode: Mode = Mode.SHORT,
    rules: SampleRules = SampleRules(),  # noqa: B008 - it is immutable
    dropped: list[DroppedAnswer] | None = None,
) -> list[Generation]:
    """The first problems, asked."""
    teacher = config.build(tokenizer=tokenizer, connect=lambda config: endpoint(config, home))
    options: dict[str, Any] = {} if dropped is None else {"on_drop": dropped.append}
    return ask_teacher(teacher, PROBLEMS[:num], mode=mode, max_tokens=64, seed=0, rules=rules, **options)


def kept_files(home: Path) -> list[Path]:
    """Files of the replay cache."""
    return sorted(home.glob("replay/*/*.json"))
