"""Base classes of the configurations of all stages."""

from __future__ import annotations

import functools
import os
import typing
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


class Table(BaseModel):
    """A frozen configuration table; an unknown key is refused, not ignored."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, protected_namespaces=()
    )

    @model_validator(mode="before")
    @classmethod
    def _values_are_what_they_look_like(cls, data: Any) -> Any:
        """Refuse `true` and `"7"` as numbers: pydantic alone would read them as 1 and 7."""
        if not isinstance(data, dict):
            return data
        fields = cls.model_fields
        return {
            name: _undisguised(value, _plain_types(cls, name)) if name in fields else value
            for name, value in data.items()
        }

    def unused_fields(self) -> dict[str, str]:
        """Fields that have no effect with the present values of the others: field -> why. Setting one is refused."""
        return {}

    def local_paths(self) -> tuple[str, ...]:
        """Files and folders on this machine that it reads; their content is part of the key."""
        return ()

    def resources(self) -> tuple[str, ...]:
        """Files of this program, other than Python, that it makes a stage read; their content is part of the key."""
        return ()


LocalPath = Annotated[str, AfterValidator(os.path.expanduser)]
"""A file or folder on this machine; `~` is the user's home, as in a shell."""

MAX_SEED = 2**63 - 1
"""Largest seed: it must fit into a 64-bit column."""


def tables_in(config: object, prefix: str = "") -> Iterator[tuple[str, Table]]:
    """(dotted key, table) of a configuration and of every table below it, outer ones first."""
    if isinstance(config, Table):
        yield prefix, config
        inner: Iterable[tuple[str, object]] = ((name, getattr(config, name)) for name in type(config).model_fields)
    elif isinstance(config, dict):
        inner = config.items()
    elif isinstance(config, list | tuple):
        inner = ((str(place), value) for place, value in enumerate(config))
    else:
        return
    for name, value in inner:
        yield from tables_in(value, f"{prefix}.{name}" if prefix else name)


def local_paths_in(config: object) -> tuple[str, ...]:
    """All files and folders on this machine that a configuration names."""
    return tuple(path for _, table in tables_in(config) for path in table.local_paths())


def resources_in(config: object) -> tuple[str, ...]:
    """All files of this program, other than Python, that a configuration makes a stage read."""
    return tuple(path for _, table in tables_in(config) for path in table.resources())


class StageConfig(Table):
    """A stage's slice of the pipeline configuration. It is part of the stage's key, but for `Stage.outside_key`."""

    seed: int = Field(0, ge=0, le=MAX_SEED)
    """Seed of everything random in this stage; the pipeline's `seed` if not set."""


class ComputeConfig(StageConfig):
    """Configuration of a stage that computes with a model."""

    num_threads: int = Field(0, ge=0)
    """CPU threads; 0 takes all cores. The order of sums depends on it, so a fixed number gives the same weights on
    machines with more cores. A tiny model is hardly faster with two."""


class OptimizerConfig(Table):
    """AdamW with a warm-up - constant - linear decay schedule."""

    learning_rate: float = Field(gt=0)
    """Peak learning rate."""
    warmup_steps: int = Field(0, ge=0)
    """Steps of linear warm-up from 0."""
    decay_fraction: float = Field(0.0, ge=0, le=1)
    """Last share of the steps over which the rate falls linearly to `final_fraction` of the peak."""
    final_fraction: float = Field(0.05, ge=0, le=1)
    """Share of the peak rate at the last step, if the rate decays."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """Decay of the mean gradient."""
    beta2: float = Field(0.95, ge=0, lt=1)
    """Decay of the mean squared gradient (reference warm-up: 0.95)."""
    weight_decay: float = Field(0.01, ge=0)
    """Decoupled weight decay of matrices; norms and biases have none."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients with a larger total norm are scaled down to it."""


@functools.cache
def _plain_types(table: type[Table], name: str) -> frozenset[type]:
    """Plain types in the type of a field: `Literal["a"] | tuple[float, ...]` -> str, float."""

    def parts(annotation: object) -> Iterator[type]:
        if typing.get_origin(annotation) is typing.Literal:
            yield from (type(choice) for choice in typing.get_args(annotation))
            return
        if isinstance(annotation, type) and annotation in (bool, int, float):
            yield annotation
        elif isinstance(annotation, type) and issubclass(annotation, str):
            yield str
        for inner in typing.get_args(annotation):
            yield from parts(inner)

    return frozenset(parts(table.model_fields[name].annotation))


class _Refused:
    """Replaces a value of the wrong type, so that pydantic refuses it with the name of the field and the value."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return repr(self._value)


def _undisguised(value: object, belongs: frozenset[type]) -> object:
    """The value, or `_Refused` for a bool or text in a field of numbers, and for a number in a field of bools."""
    if isinstance(value, list | tuple):
        return type(value)(_undisguised(item, belongs) for item in value)
    if not belongs or not isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bool | str):
        fits = (bool if isinstance(value, bool) else str) in belongs
    else:
        fits = bool(belongs & {int, float}) or bool not in belongs
    return value if fits else _Refused(value)
