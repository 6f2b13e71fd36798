"""Who chooses the mode of each rollout of a group: the policy, the objective, or the collapse guard.

    free choice       every rollout samples its own control token
    halves            the first half is forced into short, the other into think
    all think         every rollout is forced to think: no modes
    forced into rare  the guard gives the last k of an otherwise free group the mode that is being lost

A forced control token is part of the completion like a sampled one. Its loss treats it as if the policy had chosen it
(ratio 1 at the first update), unless the assignment says with which probability it was drawn: then the loss weighs it
by pi_old / that probability, which makes the expected gradient that of the policy's own choice.
The guard's tokens are NOT corrected, on purpose: the correction would shrink them by the very probability that has
fallen to nothing. So they pull towards the rare mode where it earns more than the group's mean, harder than
the policy's own samples would: a biased exploration, there to end a collapse.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.mode import Mode


class AssignedMode(NamedTuple):
    """How one rollout of a group gets its mode."""

    mode: Mode | None = None
    """The forced mode; None where the policy chooses."""
    probability: float | None = None
    """With which the mode was drawn, where the loss corrects for it; None: as if the policy had chosen."""


FREE = AssignedMode()


def free_choice(group_size: int) -> tuple[AssignedMode, ...]:
    """The policy chooses every mode."""
    return (FREE,) * group_size


def in_halves(group_size: int, *, probability: float | None) -> tuple[AssignedMode, ...]:
    """Short for the first half of an even group, think for the second."""
    half = group_size // 2
    return (AssignedMode(Mode.SHORT, probability),) * half + (AssignedMode(Mode.THINK, probability),) * half


def all_think(group_size: int) -> tuple[AssignedMode, ...]:
    """Think for every rollout."""
    return (AssignedMode(Mode.THINK),) * group_size


def force_rare(assigned: tuple[AssignedMode, ...], *, forced: tuple[Mode, int] | None) -> tuple[AssignedMode, ...]:
    """The assignment with the last k rollouts forced as the guard says: (rare mode, k), or None.

    A group that is not left to the policy stays as it is.
    """
    if forced is None or any(choice.mode is not None for choice in assigned):
        return assigned
    mode, count = forced
    return (*assigned[: len(assigned) - count], *(AssignedMode(mode),) * count)
