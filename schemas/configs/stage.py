"""What the configurations of all stages have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Table(BaseModel):
    """A frozen configuration table; a key it does not know is refused, never ignored."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, protected_namespaces=()
    )

    def unused_fields(self) -> dict[str, str]:
        """Fields that have no effect as the others are set: field -> why. Setting one by hand is refused."""
        return {}


class StageConfig(Table):
    """A stage's slice of the pipeline configuration: all of it, and nothing else, is part of the stage's key."""

    seed: int = Field(0, ge=0)
    """Seed of everything random in this stage; the pipeline's `seed` where not set."""


class ComputeConfig(StageConfig):
    """A stage that computes with a model."""

    num_threads: int = Field(0, ge=0)
    """CPU threads; 0 takes all cores. The order of sums depends on it, so a fixed number gives the same weights on
    machines with more cores, and a tiny model is hardly faster with two."""


class OptimizerConfig(Table):
    """AdamW with a warm-up - constant - linear decay schedule."""

    learning_rate: float = Field(gt=0)
    """Peak learning rate."""
    warmup_steps: int = Field(0, ge=0)
    """Steps of linear warm-up from 0."""
    decay_fraction: float = Field(0.0, ge=0, le=1)
    """Last share of the steps over which the rate falls linearly to `final_fraction` of the peak."""
    final_fraction: float = Field(0.05, ge=0, le=1)
    """Share of the peak rate that the last step has, where the rate decays."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """Decay of the mean gradient."""
    beta2: float = Field(0.95, ge=0, lt=1)
    """Decay of the mean squared gradient (reference warm-up: 0.95)."""
    weight_decay: float = Field(0.01, ge=0)
    """Decoupled weight decay of matrices; norms and biases have none."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients with a larger total norm are scaled down to it."""
