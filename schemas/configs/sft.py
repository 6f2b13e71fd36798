"""Configuration of stage `sft`: warm-up distillation on the pairs."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from schemas.configs.stage import OptimizerConfig
from schemas.configs.training import TrainingConfig


class SftConfig(TrainingConfig):
    """Supervised fine-tuning on both sides of every pair; the loss is on completions only."""

    stage: ClassVar[str] = "sft"
    steps: int = Field(ge=1)
    """Optimiser steps."""
    pairs_per_step: int = Field(ge=1)
    """Pairs per optimiser step; each gives two samples."""
    micro_batch_tokens: int = Field(4096, ge=64)
    """Largest number of tokens (padding included) in one forward pass. Changes memory, not the gradient."""
    optimizer: OptimizerConfig
    validate_every: int = Field(100, ge=1)
    """Steps between two measurements of the validation loss."""
    validate_pairs: int = Field(1000, ge=1)
    """Held-out pairs of a measurement, at most: every n-th."""
    checkpoint_every: int = Field(100, ge=1)
    """Steps between two checkpoints; a crash loses at most these."""
