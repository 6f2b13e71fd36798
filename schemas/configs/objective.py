"""Names of the objectives of stage `rl`, and what each of them leaves without effect.

The objectives themselves are one file each in `thinkless_core/rl/objectives/`; what is known here is what has to be
known before torch is loaded: which names there are, and which settings an objective does not read.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from schemas.errors import nearest

ObjectiveName = Literal[
    "grpo", "dr_grpo", "degrpo-paper", "degrpo-token", "adaptthink", "hgpo", "ada-grpo", "length-truncation"
]
"""Every objective by the name it is chosen with."""

OBJECTIVES: tuple[ObjectiveName, ...] = typing.get_args(ObjectiveName)
ALIASES: Mapping[str, ObjectiveName] = {"paper": "degrpo-paper", "token": "degrpo-token"}
"""Shorter names, replaced by the full ones when they are read, so that they share a key."""
HALVES: tuple[ObjectiveName, ...] = ("adaptthink", "hgpo")
"""Objectives that force one half of each group into either mode."""

_NO_DECOUPLING = "weighs control and response tokens alike"
_NO_BONUS = "has a reward of its own, without a discount of thinking"
_OWN_ADVANTAGE = "has an advantage of its own"
_NOTHING_FREE = "assigns every mode itself, so there is no free choice to watch"
_UNREAD: Mapping[ObjectiveName, Mapping[str, str]] = {
    "grpo": {"alpha": _NO_DECOUPLING},
    "dr_grpo": {"alpha": _NO_DECOUPLING, "advantage": _OWN_ADVANTAGE},
    "degrpo-paper": {},
    "degrpo-token": {},
    "adaptthink": {
        "alpha": _NO_DECOUPLING,
        "gamma": _NO_BONUS,
        "advantage": _OWN_ADVANTAGE,
        "guard": _NOTHING_FREE,
    },
    "hgpo": {
        "gamma": _NO_BONUS,
        "advantage": _OWN_ADVANTAGE,
        "short_max_tokens": "pays a short answer for being right alone",
        "guard": _NOTHING_FREE,
    },
    "ada-grpo": {"alpha": _NO_DECOUPLING},
    "length-truncation": {
        "alpha": "learns nothing about the control token",
        "gamma": _NO_BONUS,
        "short_max_tokens": "never answers in short mode",
        "guard": _NOTHING_FREE,
    },
}
_ONLY_OF: Mapping[str, ObjectiveName] = {
    "adaptthink_delta": "adaptthink",
    "reference_samples": "adaptthink",
    "hgpo_margin": "hgpo",
}
"""Settings that one objective alone reads."""


def full_name(value: Any) -> Any:
    """An alias replaced, an unknown name refused with the nearest one."""
    if not isinstance(value, str):
        return value
    if value not in OBJECTIVES and value not in ALIASES:
        raise ValueError(f"unknown objective {value!r}; {nearest(value, (*OBJECTIVES, *ALIASES))}")
    return ALIASES.get(value, value)


def unread_fields(name: ObjectiveName) -> dict[str, str]:
    """Fields of RlConfig that an objective does not read: field -> why."""
    unread = {field: f"objective {name!r} {why}" for field, why in _UNREAD[name].items()}
    others = {field: f"objective {owner!r} alone reads it" for field, owner in _ONLY_OF.items() if owner != name}
    return unread | others


ObjectiveField = Annotated[ObjectiveName, BeforeValidator(full_name)]
"""The field: a name or an alias."""
