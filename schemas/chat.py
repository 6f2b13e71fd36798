"""What is asked of a chat endpoint and what comes back: all that teacher and connection know of each other.

TeacherSide -> ChatRequest -> (endpoint, or a recorded response) -> ChatReply -> the teacher's reply
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

REFUSED = "refused"
"""Finish reason, besides the endpoint's own, of a request it refused as it is."""


@dataclass(frozen=True)
class ChatRequest:
    """One answer to one problem."""

    problem_id: str
    """For messages alone."""
    payload: Mapping[str, JsonValue]
    """Body of the request; no key in it."""
    seed: int
    """Tells answers to the same payload apart, also where no seed is sent."""


@dataclass(frozen=True)
class ChatReply:
    """The first choice of one response."""

    content: str
    """Text of the message; may hold its reasoning between think tags."""
    reasoning: str
    """Reasoning that the endpoint returned in a field of its own; empty where there is none."""
    finish_reason: str
    """In the endpoint's words: `stop`, `length`, `content_filter` and others."""
    num_tokens: int | None
    """Generated tokens as the endpoint counts them, reasoning included; None where it does not say."""


class ChatService(Protocol):
    """Whoever answers chat requests."""

    def complete(self, requests: Sequence[ChatRequest]) -> list[ChatReply]:
        """One reply per request, in order; raises TeacherError, or Transient where trying later may help."""
        ...
