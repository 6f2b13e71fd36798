"""Reads a chat endpoint's response: a reply, a reason to try again, or a final error.

HTTP status, headers, body -> JSON response -> ChatReply
                           -> TryAgain (429, 5xx, unreadable), with the pause the server asks for
                           -> TeacherError with the way out (key refused, wrong address or model, request refused)
Sources: RFC 9110 section 10.2.3 (Retry-After); platform.openai.com/docs/guides/error-codes; api-docs.deepseek.com
(402, `insufficient_system_resource`); docs.vllm.ai reasoning outputs (`reasoning`, before `reasoning_content`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple

from pydantic import JsonValue

from schemas.chat import ChatReply
from schemas.configs.teach import OpenAITeacher
from schemas.errors import TeacherError

RETRIED = frozenset({408, 409, 425, 429})
"""Besides everything from 500 up."""
REFUSED_STATUSES = frozenset({400, 413, 422})
"""The request itself is at fault."""
UNFINISHED = frozenset({"insufficient_system_resource", "abort", "error"})
"""Finish reasons of an answer that the server gave up."""
SHOWN_CHARACTERS = 300


class TryAgainError(Exception):
    """A try that failed in a way that another one may cure."""

    def __init__(
        self, what: str, *, pause_seconds: float = 0.0, is_down: bool = False, is_garbled: bool = False
    ) -> None:
        super().__init__(what)
        self.pause_seconds = pause_seconds
        """The pause that the server asked for."""
        self.is_down = is_down
        """Whether the connection was refused."""
        self.is_garbled = is_garbled
        """Whether the server answered something unreadable."""


class Refusal(Exception):  # noqa: N818 - its text is data: it is written beside the generations
    """A request that the server refuses as it is."""


class Answer(NamedTuple):
    """One HTTP response, with the key taken out of its text."""

    status: int
    headers: Mapping[str, str]
    text: str


def read_response(answer: Answer, *, config: OpenAITeacher) -> JsonValue:
    """The JSON of a response that holds a whole reply; raises TryAgainError, Refusal or TeacherError."""
    if answer.status != HTTPStatus.OK:
        raise _failure(answer, config=config)
    try:
        body: JsonValue = json.loads(answer.text)
    except ValueError:
        raise TryAgainError(f"no JSON: {_shown(answer)}", is_garbled=True) from None
    reply = read_reply(body)
    if reply.finish_reason in UNFINISHED:
        raise TryAgainError(f"the server gave the answer up ({reply.finish_reason})")
    return body


def read_reply(body: JsonValue) -> ChatReply:
    """The first choice of a response; raises TryAgainError if there is none."""
    try:
        choice = _mapping(_mapping(body)["choices"][0])  # type: ignore[index]
        message = _mapping(choice["message"])
        content, finish_reason = message.get("content"), choice["finish_reason"]
        reasoning = message.get("reasoning_content") or message.get("reasoning")
        if not isinstance(content, str | None) or not isinstance(reasoning, str | None):
            raise TypeError
        if not isinstance(finish_reason, str):
            raise TypeError
    except (KeyError, IndexError, TypeError):
        text = json.dumps(body, ensure_ascii=False)[:SHOWN_CHARACTERS]
        raise TryAgainError(f"no choice with a message and a finish reason: {text}", is_garbled=True) from None
    return ChatReply(content or "", reasoning or "", finish_reason, _num_tokens(body))


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime) -> float:
    """Seconds a Retry-After header asks to wait, from its number or its date; 0 if there is none to read."""
    text = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(text)) if text else 0.0
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, ((until if until.tzinfo else until.replace(tzinfo=UTC)) - now).total_seconds())


def _failure(answer: Answer, *, config: OpenAITeacher) -> Exception:
    """The exception for a status other than 200."""
    status, message = answer.status, f"{answer.status} {_shown(answer)}"
    where = f"endpoint {config.base_url}"
    key = f"environment variable {config.api_key_env}" if config.api_key_env else "teacher.api_key_env (not set)"
    if status in (401, 403):
        return TeacherError(
            f"{where} refuses the key: {message}; check {key} and that the account may use {config.model}"
        )
    if status == 402 or (status == 429 and "insufficient_quota" in answer.text):
        return TeacherError(f"{where} asks for payment: {message}; top up the account, then launch again to go on")
    if status == 404:
        return TeacherError(
            f"{where} knows no model {config.model!r}, or no /chat/completions: {message}; check teacher.model and "
            "that teacher.base_url ends in the version, such as /v1"
        )
    if status in RETRIED or status >= 500:
        pause = retry_after_seconds(answer.headers, now=datetime.now(UTC))
        return TryAgainError(message, pause_seconds=pause)
    if status in REFUSED_STATUSES:
        return Refusal(message)
    return TeacherError(f"{where} answers {message}; expected 200: check teacher.base_url")


def _shown(answer: Answer) -> str:
    """The server's own words, in short."""
    try:
        error = json.loads(answer.text)["error"]
        text = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        text = answer.text
    words = " ".join(str(text).split())
    return repr(words[:SHOWN_CHARACTERS]) if words else "(empty answer)"


def _num_tokens(body: JsonValue) -> int | None:
    usage = body.get("usage") if isinstance(body, dict) else None
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else None


def _mapping(value: JsonValue) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        raise TypeError
    return value
