"""The control tokens as token ids: a completion's mode is the id of its token 0, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from schemas.errors import ConfigError
from schemas.mode import THINK_END, Mode


@dataclass(frozen=True)
class ControlTokens:
    """Ids of `<short>`, `<think>` and `</think>` in one tokenizer."""

    short_id: int
    think_id: int
    think_end_id: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> ControlTokens:
        """Look the control tokens up; raises ConfigError where one is not a single token."""
        ids = {}
        for text in (Mode.SHORT.token, Mode.THINK.token, THINK_END):
            encoded = tokenizer(text, add_special_tokens=False).input_ids
            if len(encoded) != 1:
                raise ConfigError(
                    f"control token {text!r} is {len(encoded)} tokens {encoded} in this tokenizer, expected one; "
                    "add it as a special token before training"
                )
            ids[text] = encoded[0]
        return cls(short_id=ids[Mode.SHORT.token], think_id=ids[Mode.THINK.token], think_end_id=ids[THINK_END])

    def id_of(self, mode: Mode) -> int:
        """The control token id of a mode."""
        return self.short_id if mode is Mode.SHORT else self.think_id

    def mode_of(self, token_id: int) -> Mode | None:
        """The mode a first token stands for; None if it is no control token (malformed)."""
        return {self.short_id: Mode.SHORT, self.think_id: Mode.THINK}.get(token_id)
