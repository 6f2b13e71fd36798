"""Teachers and their replies: the types between a problem and its generation, and the one cut at the token limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from transformers import PreTrainedTokenizerBase

from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.student.counted_tokens import CountedTokens, Tokens


@dataclass(frozen=True)
class TeacherReply:
    """What a teacher wrote about one problem."""

    text: str
    """Body of the completion, without the control token in front."""
    finish_reason: FinishReason
    num_tokens: int
    """Generated tokens as the teacher counts them, end included."""
    mode: Mode
    """The mode the teacher says it answered in."""


@dataclass(frozen=True)
class UnusableReply:
    """What a teacher wrote about one problem and what cannot become a completion: data, to be counted."""

    reason: str
    """One word for the kind of fault, such as `short_reasoned`; drops are counted by it."""
    text: str
    """All it wrote."""


class Teacher(Protocol):
    """Answers problems in one mode; the same problems, mode and seed give the same replies if it can help it.

    It may have a method `num_at_once(problems, *, mode)`: how many of them, from the first, it can be asked together.
    One that answers from rows of others has a method `read_all(mode)`, which reads them into the folder `scratch`. A
    teacher with the same folder finds them there.
    """

    @property
    def name(self) -> str:
        """Its name in the tables."""
        ...

    def answer(
        self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int
    ) -> Sequence[TeacherReply | UnusableReply]:
        """One reply per problem, cut at `max_tokens`; raises TeacherError, Transient if trying later may help."""
        ...

    def close(self) -> None:
        """Free what it holds, such as a model; it is not asked again."""
        ...


class Body(NamedTuple):
    """The body of a completion within the token limit."""

    text: str
    finish_reason: FinishReason
    num_tokens: int
    """Control token and, if it ended by itself, end token included."""


def within_limit(
    text: str, finish_reason: FinishReason, *, max_tokens: int, tokenizer: PreTrainedTokenizerBase
) -> Body:
    """A body cut at `max_tokens`, counted in the tokens of `tokenizer`."""
    tokens = CountedTokens(tokenizer)
    (counted,) = tokens.read([text], most=max_tokens - 1)
    return cut_body(text, finish_reason, counted, max_tokens=max_tokens, tokens=tokens)


def cut_body(
    text: str,
    finish_reason: FinishReason,
    counted: Tokens,
    *,
    max_tokens: int,
    tokens: CountedTokens,
    overran: bool = False,
) -> Body:
    """The same with its tokens `counted`, `max_tokens - 1` at most; `overran`: its own model counted too many."""
    if overran or counted.num + 2 > max_tokens:  # the control and the end token
        finish_reason = FinishReason.LENGTH
        if counted.first is not None:
            text = tokens.decode(counted.first)
    num_tokens = counted.num + 1 + (finish_reason is FinishReason.STOP)
    return Body(text, finish_reason, min(num_tokens, max_tokens))
