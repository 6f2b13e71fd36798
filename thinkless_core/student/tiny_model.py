"""The tiny student: a Qwen2-architecture model with random weights and a byte-level tokenizer without merges.

Both are ordinary Hugging Face objects: saved with `save_pretrained`, loaded with the Auto classes, no custom code.
"""

from __future__ import annotations

import torch
from tokenizers import AddedToken, pre_tokenizers
from transformers import PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from schemas.configs.base_model import TinyModel
from schemas.mode import THINK_END, Mode
from thinkless_core.seeding import derive_seed

PAD, EOS, UNKNOWN, USER, ASSISTANT = "<pad>", "<eos>", "<unk>", "<user>", "<assistant>"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}" + ASSISTANT + "{{ message['content'] }}" + EOS + "{% else %}"
    + USER + "{{ message['content'] }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}" + ASSISTANT + "{% endif %}"
)  # fmt: skip
"""Ends right before the control token; keeps thinking in history as it was written."""


def tiny_tokenizer() -> Qwen2Tokenizer:
    """A tokenizer with one token per byte (per character, for ASCII), and the special and control tokens.

    It is Qwen2's own class without merges: what AutoTokenizer makes of a folder with a Qwen2 model in it.
    """
    special = [PAD, EOS, UNKNOWN, USER, ASSISTANT, Mode.SHORT.token, Mode.THINK.token, THINK_END]
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    return Qwen2Tokenizer(
        vocab={text: i for i, text in enumerate([*special, *symbols])},
        merges=[],
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        additional_special_tokens=[AddedToken(t, special=True, normalized=False) for t in special[3:]],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def tiny_model(config: TinyModel, *, tokenizer: PreTrainedTokenizerBase, seed: int) -> Qwen2ForCausalLM:
    """A model with random weights drawn from `seed`; its vocabulary is the tokenizer's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("tiny-model", seed))
        return Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=len(tokenizer),
                hidden_size=config.hidden_size,
                intermediate_size=config.intermediate_size,
                num_hidden_layers=config.num_hidden_layers,
                num_attention_heads=config.num_attention_heads,
                num_key_value_heads=config.num_attention_heads,
                max_position_embeddings=config.max_position_embeddings,
                initializer_range=config.initializer_range,
                rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
                tie_word_embeddings=True,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
