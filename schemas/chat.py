"""Requests to a chat endpoint and its replies: the interface between a teacher and its connection.

TeacherSide -> ChatRequest -> (endpoint, or a recorded response) -> ChatReply -> the teacher's reply
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

REFUSED = "refused"
"""Finish reason, in addition to the endpoint's own, of a request that the endpoint refused."""


@dataclass(frozen=True)
class ChatRequest:
    """A request for one answer to one problem."""

    problem_id: str
    """Used only in messages."""
    payload: Mapping[str, JsonValue]
    """Body of the request; it holds no API key."""
    seed: int
    """Distinguishes answers to the same payload, even if no seed is sent."""


@dataclass(frozen=True)
class ChatReply:
    """The first choice of one response."""

    content: str
    """Text of the message; may hold its reasoning between think tags."""
    reasoning: str
    """Reasoning that the endpoint returned in a field of its own; empty if there is none."""
    finish_reason: str
    """The endpoint's value: `stop`, `length`, `content_filter` and others."""
    num_tokens: int | None
    """Generated tokens as the endpoint counts them, reasoning included; None if it does not report them."""


class ChatService(Protocol):
    """A service that answers chat requests."""

    def complete(self, requests: Sequence[ChatRequest]) -> list[ChatReply]:
        """One reply per request, in order; raises TeacherError, or Transient if a retry may help."""
        ...
