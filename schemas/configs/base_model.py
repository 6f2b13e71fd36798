"""Configuration of stage `base`: the student before any training."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.configs.stage import StageConfig, Table


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
    """Heads per layer, each with keys and values of its own."""
    max_position_embeddings: int = Field(256, ge=32)
    """Longest prompt + completion, tokens."""
    initializer_range: float = Field(0.1, gt=0)
    """Standard deviation of the initial weights, about 1/sqrt(hidden_size). The usual 0.02 suits widths in the
    thousands; at 96 it costs the student twice the steps (docs/experiments.md)."""
    rope_theta: float = Field(100.0, gt=1)
    """Base of the rotary position frequencies. Qwen2's 10000 serves contexts of thousands of tokens; over a hundred
    tokens most of its frequencies stand still, and the student learns to count steps half as fast."""

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.hidden_size % (2 * self.num_attention_heads):
            raise ValueError(
                f"hidden_size={self.hidden_size} is no multiple of 2 x num_attention_heads={self.num_attention_heads}; "
                "rotary positions turn pairs of numbers in every head"
            )
        return self


class PretrainedModel(Table):
    """A Hugging Face causal language model, from a local folder or by its Hub id; weights as safetensors only."""

    kind: Literal["pretrained"] = "pretrained"
    path: str = Field(min_length=1)
    """Local folder or Hub id."""
    revision: str | None = Field(None, min_length=1)
    """Commit, tag or branch of a Hub id; a commit, where runs are to be repeated. Refused for a local folder."""
    chat_template: str | None = Field(None, min_length=1)
    """File with a Jinja chat template, for a tokenizer that has none or one that cannot be repaired."""
    trust_remote_code: bool = False
    """Whether code that comes with the model may run; only for models that transformers has no classes for."""


class BaseModelConfig(StageConfig):
    """The student model and its tokenizer, with control tokens and chat template."""

    model: Annotated[TinyModel | PretrainedModel, Field(discriminator="kind")]
