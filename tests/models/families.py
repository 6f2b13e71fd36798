"""Students of other families: their builds, true vocabularies and kinds of template, with random weights; no download.

Sizes of hidden states are small, so that almost all of the 40 to 60 million parameters are rows of the vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

GEMMA_TEMPLATE = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('a system role is not supported') }}{% endif %}"
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' }}"
    "{{ message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
"""No system role, the assistant is `model`, texts are trimmed; a turn ends with a token that is not the tokenizer's
end token."""
QWEN3_TEMPLATE = (
    "{% if messages[0]['role'] == 'system' %}"
    "{{ '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{{ '<|im_start|>assistant\n' + message['content'].split('</think>')[-1].lstrip('\n') + '<|im_end|>\n' }}"
    "{% elif message['role'] == 'user' %}{{ '<|im_start|>user\n' + message['content'] + '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
"""Thoughts are cut out of earlier answers, and `enable_thinking=false` begins the answer with an empty one."""


@dataclass(frozen=True)
class Family:
    """How the models of a family are made."""

    config: Callable[[], PreTrainedConfig]
    num_tokens: int
    """Of the tokenizer; the configuration may have more rows."""
    template: str
    special: Mapping[str, str]
    """Special tokens with a name of their own."""
    markers: tuple[str, ...]
    """Tokens of the template and of thoughts."""
    stops: tuple[str, ...]
    """Tokens at which generation ends."""
    answer_opening: str
    """What the template writes before an answer."""


def _gemma3() -> Gemma3TextConfig:
    return Gemma3TextConfig(
        vocab_size=262_144, hidden_size=160, intermediate_size=640, num_hidden_layers=6, num_attention_heads=4,
        num_key_value_heads=1, head_dim=64, query_pre_attn_scalar=64, sliding_window=16, max_position_embeddings=1024,
        pad_token_id=0, eos_token_id=[1, 4], bos_token_id=2, initializer_range=0.05,
    )  # fmt: skip


def _qwen3() -> Qwen3Config:
    return Qwen3Config(
        vocab_size=151_936, hidden_size=256, intermediate_size=768, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=64, max_position_embeddings=1024, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=2, pad_token_id=0, initializer_range=0.05,
    )  # fmt: skip


FAMILIES: Mapping[str, Family] = {
    "gemma3": Family(
        config=_gemma3,
        num_tokens=262_144,
        template=GEMMA_TEMPLATE,
        special={"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"},
        markers=("<end_of_turn>", "<start_of_turn>"),
        stops=("<eos>", "<end_of_turn>"),
        answer_opening="<start_of_turn>model\n",
    ),
    "qwen3": Family(
        config=_qwen3,
        num_tokens=151_669,
        template=QWEN3_TEMPLATE,
        special={"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"},
        markers=("<|im_start|>", "<think>", "</think>"),
        stops=("<|im_end|>", "<|endoftext|>"),
        answer_opening="<|im_start|>assistant\n",
    ),
}


def family_tokenizer(family: Family) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with as many tokens as the family's: single bytes, and words that no merge makes."""
    texts = [*family.special.values(), *family.markers]
    if family.stops[-1] not in texts[: len(family.special)] and family.stops[-1] not in texts:
        texts.append(family.stops[-1])
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    filler = (f"filler{number}" for number in range(family.num_tokens - len(texts) - len(symbols)))
    backend = Tokenizer(models.BPE(vocab={text: i for i, text in enumerate([*texts, *symbols, *filler])}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    # Thoughts are tokens that no decoder leaves out, as in Qwen3's own table.
    backend.add_tokens([AddedToken(t, special="think" not in t, normalized=False) for t in texts])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **family.special,
        chat_template=family.template,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def write_family(family: Family, folder: Path) -> int:
    """Write model and tokenizer as a folder of safetensors; returns the number of parameters."""
    tokenizer = family_tokenizer(family)
    assert len(tokenizer) == family.num_tokens
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(family.config())
    model.generation_config = GenerationConfig(
        eos_token_id=[int(tokenizer.convert_tokens_to_ids(text)) for text in family.stops],
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["vocab_size"] >= family.num_tokens
    return int(model.num_parameters())
