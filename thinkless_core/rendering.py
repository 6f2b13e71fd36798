"""Text -> token ids: a problem's prompt as the model sees it, and a completion as the model should write it.

prompt text -> chat template with generation prompt -> prompt ids
completion text (control token first) -> completion ids, with the end token if it was finished
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from schemas.mode import THINK_END, Mode

PLACEHOLDER = "\ue000"
"""Stands for the user's text in a template; a private character that no text holds."""


@dataclass(frozen=True)
class Sample:
    """One training sample; the loss counts on `completion_ids` only (control token included)."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


def render_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> tuple[int, ...]:
    """Token ids of a user turn, ending right before the control token.

    Special tokens that the user spelt out are encoded as plain text: a question about `<think>` is a question.
    """
    spelt = (*tokenizer.all_special_tokens, *(mode.token for mode in Mode), THINK_END)
    if not any(token in prompt for token in spelt):
        text = _apply_template(tokenizer, prompt)
        return tuple(tokenizer(text, add_special_tokens=False).input_ids)
    before, _, after = _apply_template(tokenizer, PLACEHOLDER).partition(PLACEHOLDER)
    plain = tokenizer(prompt, add_special_tokens=False, split_special_tokens=True).input_ids
    return (
        *tokenizer(before, add_special_tokens=False).input_ids,
        *plain,
        *tokenizer(after, add_special_tokens=False).input_ids,
    )


def _apply_template(tokenizer: PreTrainedTokenizerBase, content: str) -> str:
    return str(
        tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
    )


def render_completion(tokenizer: PreTrainedTokenizerBase, completion: str, *, finished: bool) -> tuple[int, ...]:
    """Token ids of a completion; a truncated one gets no end token, so that its end is not taught."""
    ids = tokenizer(completion, add_special_tokens=False).input_ids
    return (*ids, tokenizer.eos_token_id) if finished else tuple(ids)


def decode_completion(tokenizer: PreTrainedTokenizerBase, completion_ids: Sequence[int]) -> str:
    """Text of generated ids, control tokens kept, the end token dropped."""
    ids = list(completion_ids)
    if ids and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    return str(tokenizer.decode(ids, skip_special_tokens=False))
