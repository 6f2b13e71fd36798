"""Configuration of stage `base`: the student before any training."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.configs.stage import LocalPath, StageConfig, Table
from schemas.errors import ConfigError

PACKAGE = "package:"
"""Prefix of a path that names an installed Python package."""


class TinyModel(Table):
    """A Qwen2-architecture model with random weights and a character tokenizer; needs no download."""

    kind: Literal["tiny"] = "tiny"
    hidden_size: int = Field(96, ge=8)
    """Width; a multiple of `num_attention_heads`. 96 comes from the feasibility trial."""
    intermediate_size: int = Field(288, ge=8)
    """Width of the MLP."""
    num_hidden_layers: int = Field(3, ge=1)
    """Depth; four layers learned no faster (docs/experiments.md)."""
    num_attention_heads: int = Field(4, ge=1)
    """Heads per layer, each with its own keys and values."""
    max_position_embeddings: int = Field(256, ge=32)
    """Longest prompt + completion, tokens."""
    initializer_range: float = Field(0.1, gt=0)
    """Standard deviation of the initial weights, about 1/sqrt(hidden_size). The usual 0.02 suits widths in the
    thousands; at 96 it costs the student twice the steps (docs/experiments.md)."""
    rope_theta: float = Field(100.0, gt=1)
    """Base of the rotary position frequencies. Qwen2's 10000 serves contexts of thousands of tokens; over a hundred
    tokens most of its frequencies hardly turn, and the student learns to count steps half as fast."""

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.hidden_size % (2 * self.num_attention_heads):
            raise ValueError(
                f"hidden_size={self.hidden_size} is no multiple of 2 x num_attention_heads={self.num_attention_heads}; "
                "rotary positions need pairs of numbers in every head"
            )
        return self


class PretrainedModel(Table):
    """A Hugging Face causal language model, from a local folder or by its Hub id; weights as safetensors or GGUF."""

    kind: Literal["pretrained"] = "pretrained"
    path: LocalPath = Field(min_length=1)
    """Local folder, Hub id, or package:NAME for the folder of an installed Python package."""
    revision: str | None = Field(None, min_length=1)
    """Commit, tag or branch of a Hub id; only a commit makes runs repeatable. Refused for a local folder."""
    gguf_file: str | None = Field(None, min_length=1)
    """GGUF file in that folder with weights and tokenizer; it is converted to float32. Needs gguf (extra `smollm2`)."""
    chat_template: LocalPath | None = Field(None, min_length=1)
    """File with a Jinja chat template, for a tokenizer that has none or one that cannot be repaired."""
    trust_remote_code: bool = False
    """Whether code in the model's folder may run. Only models without a class in transformers need it."""

    @property
    def location(self) -> str:
        """Folder or Hub id, the name of a package resolved; raises ConfigError if it is not installed."""
        if not self.path.startswith(PACKAGE):
            return self.path
        name = self.path.removeprefix(PACKAGE)
        try:
            spec = importlib.util.find_spec(name) if name.isidentifier() else None
        except ValueError:  # a running module without a spec, such as __main__
            spec = None
        folders = [] if spec is None else list(spec.submodule_search_locations or ())
        if not folders:
            raise ConfigError(
                f"base.model.path: {self.path!r} names the Python package {name!r}, which is not installed here; "
                "install the wheel that holds it (its name may have a dash instead of the underscore), or "
                "give a folder or Hub id"
            )
        return folders[0]

    def local_paths(self) -> tuple[str, ...]:
        """Files and folders on this machine whose content defines the student."""
        weights = self.location if self.gguf_file is None else str(Path(self.location) / self.gguf_file)
        return (weights,) if self.chat_template is None else (weights, self.chat_template)


class BaseModelConfig(StageConfig):
    """The student model and its tokenizer, with control tokens and chat template."""

    model: Annotated[TinyModel | PretrainedModel, Field(discriminator="kind")]
