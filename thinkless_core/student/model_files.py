"""Models and tokenizers as ordinary Hugging Face folders.

configured model -> tokenizer with control tokens and a repaired chat template -> model with a row for each new token

A saved folder loads with plain `AutoModelForCausalLM` / `AutoTokenizer`: safetensors weights, no custom code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from schemas.configs.base_model import BaseModelConfig, PretrainedModel, TinyModel
from schemas.errors import ConfigError
from thinkless_core.student.chat_template import end_token_of
from thinkless_core.student.control_tokens import add_control_tokens, extend_embeddings
from thinkless_core.student.mode_token_init import start_mode_tokens
from thinkless_core.student.model_folder import EXPECTED, in_one_line, refuse_what_is_no_model
from thinkless_core.student.named_templates import default_of, repair_templates
from thinkless_core.student.tiny_model import tiny_model, tiny_tokenizer
from thinkless_core.student.whole_weights import load_whole

transformers_logging.disable_progress_bar()

T = TypeVar("T")

TRUSTED = "remote_code_trusted"
"""File in a student's folder: its code may run in later stages. Only stages of this pipeline look for it."""
TRUSTED_TEXT = "base.model.trust_remote_code was set when this student was made.\n"


@dataclass(frozen=True)
class PreparedTokenizer:
    """A tokenizer as the student will have it, and what was done to it."""

    tokenizer: PreTrainedTokenizerBase
    new_tokens: tuple[str, ...]
    """Control tokens that it did not have; the model needs rows for them."""
    template_repairs: tuple[str, ...]
    """In words; none for a chat template that was used as it is."""


def prepare_tokenizer(config: BaseModelConfig) -> PreparedTokenizer:
    """The student's tokenizer: control tokens, end and padding token, chat template. Needs no weights.

    Raises ConfigError for a tokenizer that cannot be loaded or extended, or whose template is missing or beyond repair.
    """
    if isinstance(config.model, TinyModel):
        return PreparedTokenizer(tiny_tokenizer(), (), ())
    source = config.model
    if source.revision is not None and Path(source.location).is_dir():
        raise ConfigError(
            f"base.model.revision: {source.revision!r} has no effect on the local folder {source.path!r}; leave it out"
        )
    tokenizer = _read(load_tokenizer, source)
    if not tokenizer.is_fast:
        raise ConfigError(
            f"base.model.path: {source.path!r} has a {type(tokenizer).__name__}, which is not backed by `tokenizers`, "
            "so its vocabulary cannot be extended without losing track of spelt-out control tokens; choose a base "
            "model with a tokenizer.json"
        )
    templates = _templates(source, tokenizer)
    try:
        new_tokens = add_control_tokens(tokenizer)
        tokenizer.eos_token = end_token_of(tokenizer, default_of(templates))
        if tokenizer.eos_token_id is None:
            raise ConfigError("the tokenizer has no end token; set `eos_token` in its tokenizer_config.json")
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        repaired = repair_templates(tokenizer, templates)
    except ConfigError as error:
        raise ConfigError(f"base.model.path: {source.path!r}: {error}") from error
    tokenizer.chat_template = repaired.chat_template
    return PreparedTokenizer(tokenizer, new_tokens, repaired.repairs)


def build_base(
    config: BaseModelConfig, *, say: Callable[[str], None] = lambda _note: None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The student before training, with a row for every control token; raises ConfigError.

    `say` is told what somebody should know of it: that and how the chat template was changed.
    """
    prepared = prepare_tokenizer(config)
    tokenizer = prepared.tokenizer
    if prepared.template_repairs:
        say(f"chat template: {'; '.join(prepared.template_repairs)}; docs/templates.md shows what that means")
    if isinstance(config.model, TinyModel):
        return tiny_model(config.model, tokenizer=tokenizer, seed=config.seed), tokenizer
    source = config.model
    model = _read(_load_weights, source)
    try:
        extend_embeddings(model, tokenizer, prepared.new_tokens, seed=config.seed)
        start_mode_tokens(model, tokenizer, prepared.new_tokens)
    except ConfigError as error:
        raise ConfigError(f"base.model.path: {source.path!r}: {error}") from error
    # A model of several parts has a configuration of its text within its own; either may be the one that is read.
    for settings in (model.config, model.config.get_text_config(), model.generation_config):
        ends = getattr(settings, "eos_token_id", None)
        if tokenizer.eos_token_id not in (ends if isinstance(ends, list) else [ends]):
            settings.eos_token_id = tokenizer.eos_token_id
        settings.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def _load_weights(location: str, *, gguf_file: str | None, **options: Any) -> PreTrainedModel:
    refuse_what_is_no_model(location, gguf_file=gguf_file)
    return load_model(location, gguf_file=gguf_file, **options)


def _read(load: Callable[..., T], source: PretrainedModel) -> T:
    """What `load` makes of the configured place; raises ConfigError if it cannot be loaded."""
    try:
        return load(
            source.location,
            revision=source.revision,
            trust_remote_code=source.trust_remote_code,
            gguf_file=source.gguf_file,
        )
    except ConfigError as error:
        raise ConfigError(f"{_place(source)} cannot be loaded as a causal language model: {error}") from error
    except Exception as error:  # what foreign files do to other libraries
        raise _not_loaded(source, error) from error


def save_folder(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, *, trust_remote_code: bool = False
) -> None:
    """Write weights, configuration and tokenizer; and, for a model whose own code was trusted, that it was."""
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    if trust_remote_code:
        (folder / TRUSTED).write_text(TRUSTED_TEXT, encoding="utf-8")


def is_trusted(folder: Path) -> bool:
    """Whether a folder that a stage wrote holds a model whose own code the user trusted by name in stage `base`."""
    return (folder / TRUSTED).exists()


def load_student(folder: Path, *, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A model that a stage wrote. Code of its own may run if it was trusted when stage `base` loaded it."""
    return load_model(folder, dtype=dtype, trust_remote_code=is_trusted(folder))


def load_student_config(folder: Path) -> PreTrainedConfig:
    """What a stage wrote about its model's shape."""
    return AutoConfig.from_pretrained(folder, trust_remote_code=is_trusted(folder))


def load_student_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer that a stage wrote; the same goes for code."""
    return load_tokenizer(folder, trust_remote_code=is_trusted(folder))


def load_model(
    folder: Path | str,
    *,
    dtype: torch.dtype = torch.float32,
    revision: str | None = None,
    trust_remote_code: bool = False,
    gguf_file: str | None = None,
) -> PreTrainedModel:
    """Weights from safetensors, or from a GGUF file; no remote code unless it is trusted by name.

    Raises ConfigError for weights that are missing, unexpected, of another shape or not finite.
    """
    if gguf_file is None:
        return load_whole(
            folder, dtype=dtype, revision=revision, trust_remote_code=trust_remote_code, use_safetensors=True
        )
    model = load_whole(folder, dtype=dtype, revision=revision, gguf_file=gguf_file)
    # The weights are plain numbers now; what transformers remembers of the file would keep them from being saved.
    del model.config.quantization_config
    model.hf_quantizer, model.is_quantized = None, False
    return model


def load_tokenizer(
    folder: Path | str,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    gguf_file: str | None = None,
) -> PreTrainedTokenizerBase:
    """The tokenizer beside the weights, or inside the GGUF file."""
    inside = {} if gguf_file is None else {"gguf_file": gguf_file}
    return AutoTokenizer.from_pretrained(folder, revision=revision, trust_remote_code=trust_remote_code, **inside)


def _templates(source: PretrainedModel, tokenizer: PreTrainedTokenizerBase) -> str | dict[str, str]:
    """The configured file's template, else the tokenizer's own, by name if there are several."""
    if source.chat_template is not None:
        try:
            return Path(source.chat_template).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"base.model.chat_template: {source.chat_template!r} cannot be read: {error}; expected a Jinja template"
            ) from error
    templates: str | dict[str, str] | None = tokenizer.chat_template
    if templates is None:
        raise ConfigError(
            f"base.model.path: the tokenizer of {source.path!r} has no chat template; write one into a file and set "
            "base.model.chat_template to its path"
        )
    return templates


def _place(source: PretrainedModel) -> str:
    at = "" if source.revision is None else f" at revision {source.revision!r}"
    if source.gguf_file is not None:
        return f"base.model.gguf_file: {source.gguf_file!r} in {source.path!r}{at}"
    return f"base.model.path: {source.path!r}{at}"


def _not_loaded(source: PretrainedModel, error: Exception) -> ConfigError:
    what = f"{_place(source)} cannot be loaded as a causal language model: {in_one_line(error)}"
    try:
        refuse_what_is_no_model(source.location, gguf_file=source.gguf_file)
    except ConfigError as found:
        return ConfigError(f"{_place(source)} cannot be loaded as a causal language model: {found}")
    if source.gguf_file is not None:
        return ConfigError(
            f"{what}; give the name of a GGUF file in that folder, of an architecture that transformers can "
            'read, and install gguf (pip install "thinkless-flows[smollm2]")'
        )
    if not Path(source.location).is_dir():
        return ConfigError(
            f"{what}; there is no folder of this name here, so it was looked for on the Hub: {EXPECTED}, or a "
            "reachable Hub id (a gated one needs a token in HF_TOKEN)"
        )
    return ConfigError(f"{what}; {EXPECTED} of an architecture that transformers knows as a causal language model")
