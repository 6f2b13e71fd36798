"""A chat template at work on made-up conversations, in plain transformers.

messages -> Probe.render -> text -> what the template writes before and after a known text in it
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from schemas.errors import ConfigError

WAY_OUT = "write a repaired template into a file and set base.model.chat_template to its path"
SPOTS = tuple(f"\ue000{i}\ue002" for i in range(8))
"""Texts that no template writes or knows: user and assistant in turns."""
END_NAME = re.compile(r"end|eo[smt]|</s>", re.IGNORECASE)
Message = Mapping[str, Any]


def conversation(*contents: str) -> list[Message]:
    """A user's and an assistant's messages in turns, the user's first."""
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]


@dataclass(frozen=True)
class Probe:
    """One template with the tokenizer that renders it."""

    tokenizer: PreTrainedTokenizerBase
    template: str
    tools: list[Mapping[str, Any]] | None = None
    """For a template that cannot do without."""
    in_parts: bool = False
    """Whether it is shown texts as lists of parts, for a template that reads nothing else."""
    names: Mapping[str, Any] = field(default_factory=dict)

    def render(self, messages: Sequence[Message], *, generate: bool) -> str:
        """The text of a conversation; raises ConfigError for a template that cannot render it."""
        shown = [dict(message, content=self._content(message["content"])) for message in messages]
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    shown,
                    tools=self.tools,
                    chat_template=self.template,
                    add_generation_prompt=generate,
                    tokenize=False,
                    **self.names,
                )
            )
        except (TemplateError, TypeError, ValueError, LookupError) as error:
            turns = ", ".join(message["role"] for message in messages)
            raise ConfigError(
                f"the chat template cannot render a conversation of {turns}: {type(error).__name__}: {error}; {WAY_OUT}"
            ) from error

    def after(self, text: str, messages: Sequence[Message], *, generate: bool) -> str:
        """What the template writes after a text that it was shown."""
        return self.render(messages, generate=generate).rpartition(text)[2]

    def between(self, first: str, second: str, messages: Sequence[Message]) -> str:
        """What it writes between two texts of a conversation that is over."""
        return self.render(messages, generate=False).partition(second)[0].rpartition(first)[2]

    def pieces(self, text: str) -> list[str]:
        """A text cut into tokens that were added to the vocabulary, tags, words, and single other characters."""
        tokens = sorted(self.added_tokens(), key=len, reverse=True)
        tags = [r"<[^<>\s]*>", r"\[[^\[\]\s]*\]", r"\w+", "."]
        return re.findall("|".join([*map(re.escape, tokens), *tags]), text, re.DOTALL)

    def agree(self, one: str, other: str) -> tuple[str, str]:
        """What two texts begin with alike, in whole pieces, as each of them writes it; white space may differ inside.

        White space after the last piece is what both have; all of it if nothing else follows in the first.
        """
        ones, others = ([piece for piece in self._placed(text) if piece[0]] for text in (one, other))
        ends = (0, 0)
        for (piece, end), (same, other_end) in zip(ones, others, strict=False):
            if piece != same:
                break
            ends = (end, other_end)
        rest, other_rest = one[ends[0] :], other[ends[1] :]
        if not rest.strip():
            return one, other[: ends[1] + len(other_rest) - len(other_rest.lstrip())]
        spaces = zip(rest, other_rest, strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1] and pair[0].isspace(), spaces))
        return one[: ends[0] + shared], other[: ends[1] + shared]

    def chain(self, text: str) -> list[str]:
        """The added tokens that a text begins with, white space between them.

        After the tokenizer's end token only those that are end tokens by their names: others open the next turn.
        """
        found: list[str] = []
        for piece in self.pieces(text):
            over = self.tokenizer.eos_token in found and not END_NAME.search(piece)
            if not piece.isspace() and (over or piece not in self.added_tokens()):
                break
            found += [] if piece.isspace() else [piece]
        return found

    def chained(self, text: str) -> str:
        """The text up to and with the last of these tokens."""
        end = 0
        for token in self.chain(text):
            end = text.index(token, end) + len(token)
        return text[:end]

    def _placed(self, text: str) -> Iterator[tuple[str, int]]:
        """Pieces other than white space, each with the place where it ends."""
        end = 0
        for piece in self.pieces(text):
            end += len(piece)
            yield piece.strip(), end

    def added_tokens(self) -> frozenset[str]:
        """Added tokens that are more than white space, special or not."""
        return frozenset(t.content for t in self.tokenizer.added_tokens_decoder.values() if t.content.strip())

    def _content(self, content: Any) -> Any:
        return [{"type": "text", "text": content}] if self.in_parts and isinstance(content, str) else content
