"""Text -> token ids: a problem's prompt as the model sees it, and a completion as the model should write it.

prompt text -> chat template with generation prompt -> prompt ids
completion text (control token first) -> completion ids, with the end token if it was finished

A user who writes `<think>` or `<|im_end|>` asks about it and must not steer the model with it. The whole rendered text
is still encoded in one go, as a piece on its own gets other ids (SentencePiece puts a space before it, byte-level BPE
joins line breaks across its border), but by a copy of the tokenizer in which every added token has another name, one
that no text holds; the template's own tokens are written by those names, and the user's are text like any other. Added
tokens count whether they are special or not: some models' turn markers are not. Those of white space alone do not.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from schemas.errors import ConfigError
from thinkless_core.student.control_tokens import CONTROL_TEXTS

PLACEHOLDER = "\ue000"
"""Stands for somebody's text in a template; a private character that no text holds."""
MARKERS = tuple(map(chr, range(0xE000, 0xF900)))
"""Private characters; the first that a prompt does not hold quotes the other names of special tokens in it."""


@dataclass(frozen=True)
class Sample:
    """One training sample; the loss counts on `completion_ids` only (control token included)."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


def render_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> tuple[int, ...]:
    """Token ids of a user turn, ending right before the control token.

    Added and control tokens that the user spelt out are encoded as plain text, even those that only the tokenizer's
    normaliser makes of what was spelt: a question about `<think>` is a question. Plain
    `apply_chat_template(tokenize=True)` does not do that; of all other prompts it makes the same ids.
    """
    return render_prompts(tokenizer, [prompt])[0]


def render_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> list[tuple[int, ...]]:
    """The same for many prompts at once, on all cores."""
    spelling = _spelling(tokenizer)
    ids_of = _encode(tokenizer, [_apply_template(tokenizer, prompt) for prompt in prompts])
    expected = _of_the_template(tokenizer, str(tokenizer.chat_template))
    return [
        ids
        if spelling.pattern.search(prompt) is None and spelling.found(ids) == expected
        else _render_spelt_out(tokenizer, prompt)
        for prompt, ids in zip(prompts, ids_of, strict=True)
    ]


def _render_spelt_out(tokenizer: PreTrainedTokenizerBase, prompt: str) -> tuple[int, ...]:
    """Token ids of a prompt in which the user spelt out added tokens."""
    spelling = _spelling(tokenizer)
    text = _apply_template(tokenizer, prompt)
    marker = next(character for character in MARKERS if character not in text)
    number = {token: index for index, token in enumerate(spelling.tokens)}
    masked = spelling.pattern.sub(lambda found: f"{marker}user{number[found[0]]}{marker}", prompt)
    text = _apply_template(tokenizer, masked)
    text = spelling.pattern.sub(lambda found: _other_name(marker, number[found[0]]), text)
    text = re.sub(f"{marker}user(\\d+){marker}", lambda found: spelling.tokens[int(found[1])], text)
    return tuple(_renamed(tokenizer, marker).encode(text, add_special_tokens=False).ids)


def render_completion(tokenizer: PreTrainedTokenizerBase, completion: str, *, finished: bool) -> tuple[int, ...]:
    """Token ids of a completion; a truncated one gets no end token, so that its end is not taught."""
    return render_completions(tokenizer, [completion], finished=[finished])[0]


def render_completions(
    tokenizer: PreTrainedTokenizerBase, completions: Sequence[str], *, finished: Sequence[bool]
) -> list[tuple[int, ...]]:
    """The same for many completions at once, on all cores."""
    end = tokenizer.eos_token_id
    ids_of = _encode(tokenizer, completions)
    return [(*ids, end) if ends else ids for ids, ends in zip(ids_of, finished, strict=True)]


def _encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[tuple[int, ...]]:
    if not texts:
        return []
    encoded = tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False)
    return [tuple(ids) for ids in encoded.input_ids]


def decode_completion(tokenizer: PreTrainedTokenizerBase, completion_ids: Sequence[int]) -> str:
    """Text of generated ids, control tokens kept, the end token dropped.

    Tokenizers that begin every piece of text with a space (SentencePiece's older way) show one after a control token.
    """
    ids = list(completion_ids)
    if ids and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _apply_template(tokenizer: PreTrainedTokenizerBase, content: str) -> str:
    return str(
        tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
    )


@dataclass(frozen=True)
class _Spelling:
    """Texts that a tokenizer reads as added or control tokens, and the pattern that finds them, longest first."""

    tokens: tuple[str, ...]
    pattern: re.Pattern[str]
    ids: frozenset[int]
    """Theirs, but for the one of unknown text."""

    def found(self, ids: Sequence[int]) -> list[int]:
        """Those of the ids that are such tokens."""
        return [i for i in ids if i in self.ids]


@functools.lru_cache(maxsize=8)
def _spelling(tokenizer: PreTrainedTokenizerBase) -> _Spelling:
    """Of a tokenizer that has its control tokens; one that gets new tokens later is not looked at again."""
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.content.strip(" \t\r\n\u2581")}
    texts = added | set(tokenizer.all_special_tokens) | set(CONTROL_TEXTS)
    tokens = tuple(sorted(texts, key=lambda text: (-len(text), text)))
    ids = {tokenizer.backend_tokenizer.token_to_id(token) for token in tokens} - {None, tokenizer.unk_token_id}
    return _Spelling(tokens, re.compile("|".join(map(re.escape, tokens))), frozenset(ids))


@functools.lru_cache(maxsize=8)
def _of_the_template(tokenizer: PreTrainedTokenizerBase, _template: str) -> list[int]:
    """Ids of added tokens in a prompt that spells none out; kept for as long as the template is the same."""
    text = _apply_template(tokenizer, "x")
    return _spelling(tokenizer).found(tokenizer(text, add_special_tokens=False).input_ids)


def _other_name(marker: str, number: int) -> str:
    return f"{marker}{number}{marker}"


@functools.lru_cache(maxsize=8)
def _renamed(tokenizer: PreTrainedTokenizerBase, marker: str) -> Tokenizer:
    """A copy in which added and control tokens have other names and the same ids.

    They are renamed in the vocabulary too, and merges that would make one are left out: some models know their special
    tokens as ordinary pieces and would find them in plain text.
    """
    names = {token: _other_name(marker, number) for number, token in enumerate(_spelling(tokenizer).tokens)}
    table = json.loads(tokenizer.backend_tokenizer.to_str())
    for token in table["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    model = table["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {names.get(text, text): i for text, i in model["vocab"].items()}
    else:
        model["vocab"] = [[names.get(text, text), score] for text, score in model["vocab"]]
    if "merges" in model:
        model["merges"] = [[a, b] for a, b in model["merges"] if not {a, b, a + b} & names.keys()]
    if model.get("unk_token") is not None:
        model["unk_token"] = names.get(model["unk_token"], model["unk_token"])
    renamed = Tokenizer.from_str(json.dumps(table | {"post_processor": None, "truncation": None, "padding": None}))
    for text, name in names.items():
        expected = tokenizer.backend_tokenizer.token_to_id(text)
        if renamed.token_to_id(name) != expected:
            raise ConfigError(
                f"this tokenizer cannot keep what a user spells out apart from its special tokens: {text!r} has id "
                f"{expected}, in a copy {renamed.token_to_id(name)}; choose a base model with an ordinary tokenizer"
            )
    return renamed
