"""Who chooses the mode of each rollout of a group: the policy, the objective, or the collapse guard.

    free choice       every rollout samples its own control token
    halves            the first half is forced into short, the other into think
    all think         every rollout is forced to think: no modes
    forced into rare  the guard gives the last k of an otherwise free group the mode that is being lost

A forced control token is part of the completion like a sampled one, and the loss treats it as if the policy had
chosen it (ratio 1 at the first update). If the assignment says with which probability q it was drawn, the loss weighs
it by pi_old / q: its expected gradient is then that of the policy's own choice.
The guard's tokens are NOT corrected, on purpose: pi_old is nearly 0 for a mode that is being lost, and the correction
would shrink them to nothing. Uncorrected they pull harder towards the rare mode than the policy's own samples would, if
it earns more than the group's mean: a biased exploration, there to end a collapse.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.mode import Mode


class AssignedMode(NamedTuple):
    """How one rollout of a group gets its mode."""

    mode: Mode | None = None
    """The forced mode; None if the policy chooses."""
    probability: float | None = None
    """Probability that the mode was drawn with, if the loss corrects for it; None: as if the policy had chosen."""


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
    """The assignment with the last k rollouts forced into the mode that the guard names: (rare mode, k), or None.

    A group that is not left to the policy stays as it is.
    """
    if forced is None or any(choice.mode is not None for choice in assigned):
        return assigned
    mode, count = forced
    return (*assigned[: len(assigned) - count], *(AssignedMode(mode),) * count)
