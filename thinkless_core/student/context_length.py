"""Prompts and completions that are longer than the model's context: refused before anything is computed.

prompts + limit of new tokens -> ConfigError, or nothing
"""

from __future__ import annotations

from collections.abc import Iterable

from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from schemas.errors import ConfigError
from thinkless_core.student.rendering import render_prompt


def context_length(model: PreTrainedModel | PreTrainedConfig) -> int | None:
    """Most tokens, prompt and completion together, that the model was made for; None if it does not say."""
    config = model.config if isinstance(model, PreTrainedModel) else model
    length = getattr(config.get_text_config(), "max_position_embeddings", None)
    return length if isinstance(length, int) and length > 0 else None


def refuse_over_context(
    prompts: Iterable[str],
    *,
    tokenizer: PreTrainedTokenizerBase,
    context: int | None,
    max_new_tokens: int,
    stage: str,
    setting: str,
) -> None:
    """Raise ConfigError if a prompt and `max_new_tokens` together are longer than `context`.

    `setting` is what the user calls the limit of new tokens, such as rl.max_new_tokens.
    """
    if context is None:
        return
    frame = len(render_prompt(tokenizer, "x"))
    num_prompts = num_too_long = longest = 0
    for prompt in prompts:
        num_prompts += 1
        if frame + most_tokens(prompt) + max_new_tokens > context:
            length = len(render_prompt(tokenizer, prompt))
            num_too_long += length + max_new_tokens > context
            longest = max(longest, length)
    if not num_too_long:
        return
    room = context - longest
    way_out = f"set {setting} to at most {room}, or leave" if room > 0 else "leave"
    raise ConfigError(
        f"{stage}: {num_too_long} of {num_prompts} prompts are too long for the model: the longest has "
        f"{longest} tokens and {setting}={max_new_tokens}, together {longest + max_new_tokens}, over its "
        f"context of {context}; {way_out} long problems out (problems.source), or choose a base model with a longer "
        "context"
    )


def most_tokens(text: str) -> int:
    """A bound that costs nothing: a token is a byte or more, save for rare characters that tokenizers spell out."""
    return len(text.encode())
