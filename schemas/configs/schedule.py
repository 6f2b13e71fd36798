"""Schedules: a setting that may change over the steps of a run is a plain number or a table.

    rl.temperature = 0.8
    rl.temperature = { kind = "linear", start = 1.0, end = 0.6 }              # straight, over the whole run
    rl.gamma = { kind = "cosine", start = 0.2, end = 0.5, last_step = 40 }    # half a cosine wave, then constant
    rl.kl_coef = { kind = "piecewise", points = [[1, 0.1], [20, 0.1], [21, 0.001]] }

number | table -> Schedule -> `at(schedule, step=, num_steps=)`. Steps count from 1. The value depends only
on the step, so a resumed run gets the same values as one without a crash. A schedule may name steps after the end of
the run: a short trial run then has the values of the first steps of the long run.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WrapValidator,
    model_validator,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from schemas.configs.stage import Table
from schemas.errors import nearest

KINDS = ("constant", "linear", "cosine", "piecewise")
"""Every kind of schedule."""


class ConstantSchedule(Table):
    """The same value at every step. It is replaced by a plain number when it is read."""

    kind: Literal["constant"] = "constant"
    value: float
    """The value."""


class _Ramp(Table):
    """From one value to another between two steps, constant before and after."""

    start: float
    """Value up to and including `first_step`."""
    end: float
    """Value from `last_step` on."""
    first_step: int = Field(1, ge=1)
    """Last step that still has the value `start`."""
    last_step: int | None = Field(None, ge=2)
    """First step that has the value `end`; the run's last step if not set."""

    @model_validator(mode="after")
    def _goes_forward(self) -> Self:
        if self.last_step is not None and self.last_step <= self.first_step:
            raise ValueError(
                f"last_step={self.last_step} is not after first_step={self.first_step}; raise last_step, or use "
                'kind="piecewise" with neighbouring steps for a jump'
            )
        return self


class LinearSchedule(_Ramp):
    """A straight line from `start` to `end`."""

    kind: Literal["linear"] = "linear"


class CosineSchedule(_Ramp):
    """Half a cosine wave from `start` to `end`: slow, fast, slow."""

    kind: Literal["cosine"] = "cosine"


class PiecewiseSchedule(Table):
    """Straight lines between points, constant before the first and after the last; neighbouring steps make a jump."""

    kind: Literal["piecewise"] = "piecewise"
    points: tuple[tuple[Annotated[int, Field(ge=1)], float], ...] = Field(min_length=2)
    """Pairs [step, value], steps rising."""

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        for (before, _), (after, _) in itertools.pairwise(self.points):
            if after <= before:
                raise ValueError(
                    f"points must be in the order of their steps, each step once, got step {after} after step "
                    f"{before}; for a jump use neighbouring steps, such as [[10, 1.0], [11, 0.1]]"
                )
        return self


_AnyTable = ConstantSchedule | LinearSchedule | CosineSchedule | PiecewiseSchedule
_NUMBER: TypeAdapter[float] = TypeAdapter(Annotated[float, Field(allow_inf_nan=False)])
_TABLE: TypeAdapter[_AnyTable] = TypeAdapter(Annotated[_AnyTable, Discriminator("kind")])


def _number_or_table(value: Any, _: object) -> float | _AnyTable:
    """Read a schedule. The class is chosen here, so that an error names only the kind that was written."""
    if isinstance(value, Mapping):
        kind = value.get("kind")
        if kind not in KINDS:
            fault = (
                "a schedule needs a kind" if kind is None else f"unknown schedule {kind!r}; {nearest(str(kind), KINDS)}"
            )
            raise ValueError(f"{fault} (one of {', '.join(KINDS)}, or a plain number instead of the table)")
    elif not isinstance(value, BaseModel):
        return _NUMBER.validate_python(value)
    table = _TABLE.validate_python(value)
    return table.value if isinstance(table, ConstantSchedule) else table


Schedule = Annotated[
    float | ConstantSchedule | LinearSchedule | CosineSchedule | PiecewiseSchedule, WrapValidator(_number_or_table)
]
"""A number or a schedule. `InRange` gives its range: `alpha: Annotated[Schedule, InRange(gt=0, le=10)]`."""


def at(schedule: Schedule, *, step: int, num_steps: int) -> float:
    """The value at step `step` (1-based) of a run of `num_steps`."""
    match schedule:
        case ConstantSchedule():
            return schedule.value
        case PiecewiseSchedule():
            return _between_points(schedule.points, step=step)
        case LinearSchedule() | CosineSchedule():
            last_step = num_steps if schedule.last_step is None else schedule.last_step
            if step <= schedule.first_step:
                return schedule.start
            if step >= last_step:
                return schedule.end
            passed = (step - schedule.first_step) / (last_step - schedule.first_step)
            if isinstance(schedule, CosineSchedule):
                passed = (1.0 - math.cos(math.pi * passed)) / 2.0
            return schedule.start + (schedule.end - schedule.start) * passed
        case _:
            return schedule


def _between_points(points: tuple[tuple[int, float], ...], *, step: int) -> float:
    if step <= points[0][0]:
        return points[0][1]
    for (left_step, left), (right_step, right) in itertools.pairwise(points):
        if step < right_step:
            return left + (right - left) * (step - left_step) / (right_step - left_step)
    return points[-1][1]


def values(schedule: Schedule, *, num_steps: int) -> tuple[float, ...]:
    """The values of all steps."""
    return tuple(at(schedule, step=step, num_steps=num_steps) for step in range(1, num_steps + 1))


def is_scheduled(schedule: Schedule) -> bool:
    """True if the setting is not a plain number."""
    return isinstance(schedule, _AnyTable)


@dataclass(frozen=True)
class InRange:
    """The valid range of a schedule, as metadata of a field.

    The length of the run is the field `steps`, which must come first; if the table has none, call `check_schedules`.
    """

    gt: float | None = None
    """The value is greater than this."""
    ge: float | None = None
    """The value is at least this."""
    lt: float | None = None
    """The value is less than this."""
    le: float | None = None
    """The value is at most this."""
    whole: bool = False
    """Whether a plain number must be whole; values of a schedule are rounded at their use."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate with `source` first, then check the range."""
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def _check(self, schedule: Schedule, info: ValidationInfo) -> Schedule:
        num_steps = info.data.get("steps")
        if num_steps is not None or not is_scheduled(schedule):
            check_range(schedule, num_steps=num_steps or 1, valid=self)
        return int(schedule) if self.whole and isinstance(schedule, float) else schedule

    def holds(self, value: float) -> bool:
        """Whether a value is within the range."""
        return (
            (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.lt is None or value < self.lt)
            and (self.le is None or value <= self.le)
        )

    def __str__(self) -> str:
        words = ("greater than", "greater than or equal to", "less than", "less than or equal to")
        bounds = zip(words, (self.gt, self.ge, self.lt, self.le), strict=True)
        return " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


def check_range(schedule: Schedule, *, num_steps: int, valid: InRange) -> None:
    """Raise ValueError if the schedule leaves its valid range at some step; the caller names the field."""
    if not isinstance(schedule, BaseModel):
        if not valid.holds(schedule):
            raise ValueError(f"should be {valid}")
        if valid.whole and schedule != int(schedule):
            raise ValueError("should be a whole number (an integer)")
        return
    for step, value in enumerate(values(schedule, num_steps=num_steps), start=1):
        if not valid.holds(value):
            raise ValueError(
                f"schedule is {value:g} at step {step} of {num_steps}, should be {valid}; "
                f"change {_culprit(schedule, valid)}"
            )


def check_schedules(table: BaseModel, *, num_steps: int) -> None:
    """Check every schedule of a table that has no field `steps`; raises ValidationError."""
    faults: list[InitErrorDetails] = []
    for name, field in type(table).model_fields.items():
        for valid in field.metadata:
            value = getattr(table, name)
            if isinstance(valid, InRange) and is_scheduled(value):
                try:
                    check_range(value, num_steps=num_steps, valid=valid)
                except ValueError as error:
                    reason = PydanticCustomError("schedule", "{reason}", {"reason": str(error)})
                    faults.append(InitErrorDetails(type=reason, loc=(name,), input=value.model_dump()))
    if faults:
        raise ValidationError.from_exception_data(type(table).__name__, faults)


def _culprit(schedule: BaseModel, valid: InRange) -> str:
    """The value in the table that is out of range; no kind exceeds the range of its given values."""
    if isinstance(schedule, PiecewiseSchedule):
        return next(f"its point [{step}, {value:g}]" for step, value in schedule.points if not valid.holds(value))
    ends = ((name, value) for name, value in schedule if name in ("start", "end"))
    return next(f"its {name}={value:g}" for name, value in ends if not valid.holds(value))
