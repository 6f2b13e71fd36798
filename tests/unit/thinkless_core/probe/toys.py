"""Toy models of other builds than the tiny student's, with random weights that make uneven predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    BertConfig,
    DogeConfig,
    FalconMambaConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    Lfm2Config,
    LlamaConfig,
    MambaConfig,
    MarianConfig,
    NemotronConfig,
    OpenAIGPTConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3MoeConfig,
    RobertaConfig,
    RwkvConfig,
)

from thinkless_core.student.model_files import save_folder
from thinkless_core.student.tiny_model import tiny_tokenizer

ROWS = len(tiny_tokenizer())
SHAPE = {"vocab_size": ROWS, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
HEADS = {**SHAPE, "num_attention_heads": 2, "max_position_embeddings": 128}
PAIRED = {
    "vocab_size": ROWS, "d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 48,
    "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 48, "max_position_embeddings": 128,
    "pad_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
RECURRENT = {"vocab_size": ROWS, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "time_step_rank": 4}
CONFIGS: Mapping[str, Callable[[], PreTrainedConfig]] = {
    "llama": lambda: LlamaConfig(**HEADS, num_key_value_heads=1),
    "gpt2": lambda: GPT2Config(vocab_size=ROWS, n_embd=32, n_layer=2, n_head=2, n_positions=128),
    "lfm2": lambda: Lfm2Config(**HEADS, num_key_value_heads=1, layer_types=["conv", "full_attention"]),
    "bert": lambda: BertConfig(**HEADS),
    "roberta": lambda: RobertaConfig(**HEADS, pad_token_id=0),
    "bart": lambda: BartConfig(**PAIRED),
    "marian": lambda: MarianConfig(**PAIRED, decoder_start_token_id=0),
    "mamba": lambda: MambaConfig(**RECURRENT),
    "falcon_mamba": lambda: FalconMambaConfig(**RECURRENT),
    "rwkv": lambda: RwkvConfig(vocab_size=ROWS, hidden_size=32, num_hidden_layers=2, context_length=128),
    "openai-gpt": lambda: OpenAIGPTConfig(vocab_size=ROWS, n_embd=32, n_layer=2, n_head=2, n_positions=128),
    "gemma2": lambda: Gemma2Config(**HEADS, num_key_value_heads=1, head_dim=16, sliding_window=8),
    "gemma3": lambda: Gemma3TextConfig(**HEADS, num_key_value_heads=1, head_dim=16, sliding_window=8),
    "doge": lambda: DogeConfig(**HEADS, num_key_value_heads=1),
    "nemotron": lambda: NemotronConfig(**HEADS, num_key_value_heads=1, head_dim=16),
    "qwen3_moe": lambda: Qwen3MoeConfig(
        **HEADS, num_key_value_heads=1, head_dim=16, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16
    ),
}


def toy(name: str) -> PreTrainedModel:
    """The toy of this name."""
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(CONFIGS[name]())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape)
    return model.eval()


def toy_folder(name: str, folder: Path) -> str:
    """The toy as a folder with the tiny tokenizer; returns its path."""
    save_folder(toy(name), tiny_tokenizer(), folder)
    return str(folder)
