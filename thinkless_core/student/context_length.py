"""Prompts and completions that are longer than the model's context: refused before anything is computed.

prompts + limit of new tokens -> ConfigError, or nothing        pairs -> pairs whose both sides fit, and how many do not
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from schemas.errors import ConfigError
from schemas.records.pairs import Pair
from thinkless_core.student.rendering import render_completion, render_prompt

OVER_CONTEXT = "over_context"
"""Reason under which dropped pairs are counted."""


class FittingPairs(NamedTuple):
    """Pairs whose prompt and completion fit into the context, on both sides, and how many others there were."""

    pairs: list[Pair]
    num_dropped: int


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
    prompts = list(prompts)
    lengths = [
        len(render_prompt(tokenizer, prompt))
        for prompt in prompts
        if frame + _most_tokens(prompt) + max_new_tokens > context
    ]
    too_long = [length for length in lengths if length + max_new_tokens > context]
    if not too_long:
        return
    room = context - max(too_long)
    way_out = f"set {setting} to at most {room}, or leave" if room > 0 else "leave"
    raise ConfigError(
        f"{stage}: {len(too_long)} of {len(prompts)} prompts are too long for the model: the longest has "
        f"{max(too_long)} tokens and {setting}={max_new_tokens}, together {max(too_long) + max_new_tokens}, over its "
        f"context of {context}; {way_out} long problems out (problems.source), or choose a base model with a longer "
        "context"
    )


def fitting_pairs(pairs: Sequence[Pair], *, tokenizer: PreTrainedTokenizerBase, context: int | None) -> FittingPairs:
    """Leave out pairs of which a side does not fit: cut off, it would teach an answer that stops in the middle.

    Raises ConfigError if none is left.
    """
    if context is None:
        return FittingPairs(list(pairs), 0)
    frame = len(render_prompt(tokenizer, "x"))
    kept = []
    for pair in pairs:
        longest = max(_most_tokens(pair.think_completion), _most_tokens(pair.short_completion))
        if frame + _most_tokens(pair.prompt) + longest + 1 > context:
            prompt = len(render_prompt(tokenizer, pair.prompt))
            think = render_completion(tokenizer, pair.think_completion, finished=not pair.think_truncated)
            short = render_completion(tokenizer, pair.short_completion, finished=not pair.short_truncated)
            if prompt + max(len(think), len(short)) > context:
                continue
        kept.append(pair)
    if pairs and not kept:
        raise ConfigError(
            f"sft: all {len(pairs)} pairs are longer than the model's context of {context} tokens; lower "
            "teach.think.max_tokens, or choose a base model with a longer context"
        )
    return FittingPairs(kept, len(pairs) - len(kept))


def _most_tokens(text: str) -> int:
    """A bound that costs nothing: a token is a byte or more, save for rare characters that tokenizers spell out."""
    return len(text.encode())
