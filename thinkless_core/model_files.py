"""Models and tokenizers as ordinary Hugging Face folders.

A saved folder loads with plain `AutoModelForCausalLM` / `AutoTokenizer`: safetensors weights, no custom code.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from schemas.configs.base_model import BaseModelConfig, TinyModel
from schemas.errors import ConfigError
from thinkless_core.control_tokens import ControlTokens
from thinkless_core.rendering import render_prompt
from thinkless_core.tiny_model import tiny_model, tiny_tokenizer

transformers_logging.disable_progress_bar()


def build_base(config: BaseModelConfig) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The student before training, its control tokens checked; raises ConfigError."""
    if isinstance(config.model, TinyModel):
        tokenizer = tiny_tokenizer()
        return tiny_model(config.model, tokenizer=tokenizer, seed=config.seed), tokenizer
    try:
        model, tokenizer = load_model(config.model.path), load_tokenizer(config.model.path)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"base.model.path: {config.model.path!r} cannot be loaded as a causal language model: {error}; "
            "give a local folder with config.json, tokenizer and safetensors weights, or a reachable Hub id"
        ) from error
    if tokenizer.chat_template is None:
        raise ConfigError(f"base.model.path: the tokenizer of {config.model.path!r} has no chat template; add one")
    control = ControlTokens.of(tokenizer)
    if render_prompt(tokenizer, "1+1=?")[-1] in (control.short_id, control.think_id):
        raise ConfigError(
            f"base.model.path: the chat template of {config.model.path!r} already writes the control token, so the "
            "model would have nothing left to choose; take it out of the template's generation prompt"
        )
    return model, tokenizer


def save_folder(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write weights, configuration and tokenizer."""
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


def load_model(folder: Path | str) -> PreTrainedModel:
    """Weights in float32, no remote code."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False)


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """The tokenizer saved beside the weights."""
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
