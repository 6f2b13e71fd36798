"""The two modes and the text of their control tokens."""

from __future__ import annotations

from enum import StrEnum

THINK_END = "</think>"
"""Ends the reasoning of a think completion; what follows is the answer."""


class Mode(StrEnum):
    """How a completion answers: at once, or after thinking. Its control token is completion token 0."""

    SHORT = "short"
    THINK = "think"

    @property
    def token(self) -> str:
        """The control token's text, `<short>` or `<think>`."""
        return f"<{self.value}>"


class EvalMode(StrEnum):
    """How a model is evaluated: it chooses (`auto`), or its control token is forced."""

    AUTO = "auto"
    SHORT = "short"
    THINK = "think"

    @property
    def forced(self) -> Mode | None:
        """The forced mode, or None if the model chooses."""
        return None if self is EvalMode.AUTO else Mode(self.value)
