"""Fake short: a short completion that hides a chain of thought."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.mode import Mode


def is_fake_short(
    mode: Mode | None, *, completion_ids: Sequence[int], think_end_id: int, short_max_tokens: int
) -> bool:
    """Whether a short completion hides a chain of thought: `</think>` inside, or too many tokens."""
    if mode is not Mode.SHORT:
        return False
    return think_end_id in completion_ids or len(completion_ids) > short_max_tokens
