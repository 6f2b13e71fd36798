"""What a claim is measured by: runs of a study -> one number per seed -> interval -> holds, fails, undecided.

A reading holds if the whole 95% interval over seeds satisfies its threshold, fails if the whole interval violates it,
and is undecided otherwise. The interval is Student's t over seeds; differences are taken seed by seed. It says nothing
about a model that solves nothing, nor if all seeds give one number: such a reading is undecided, with the reason. A
share of problems that is 0 or 1 under every seed has an interval all the same: Wilson's, over the problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from thinkless_core.statistics.intervals import Interval, interval_over_seeds, wilson_interval
from thinkless_core.statistics.member_results import MemberResults

Members = Mapping[str, Sequence[MemberResults]]
"""Part in the claim -> the finished runs of the condition that plays it."""
ClaimOutcome = Literal["holds", "fails", "undecided"]
SAME_NUMBER = 1e-12
"""Numbers closer than this differ by rounding alone."""


@dataclass(frozen=True)
class Threshold:
    """What a quantity has to satisfy."""

    side: Literal["at least", "at most"]
    value: float

    def outcome(self, interval: Interval) -> ClaimOutcome:
        """Whether the whole interval is on the right side, the whole on the wrong one, or neither."""
        low, high = interval.low, interval.high
        worst, best = (low, high) if self.side == "at least" else (-high, -low)
        needed = self.value if self.side == "at least" else -self.value
        if worst >= needed:
            return "holds"
        return "fails" if best < needed else "undecided"


@dataclass(frozen=True)
class Reading:
    """One quantity of a claim under every seed."""

    part: str
    """The part it is measured for; of a difference, the first."""
    quantity: str
    by_seed: Mapping[int, float]
    threshold: Threshold
    note: str = ""
    num_problems: int | None = None
    """Distinct problems that it is a share of, under each seed; None if it is no share of problems."""


class Judgement(NamedTuple):
    """What a reading says, by which interval, and the reason if that is not the one over seeds or says nothing."""

    outcome: ClaimOutcome
    interval: Interval
    reason: str = ""


def judge(reading: Reading, runs: Sequence[MemberResults], *, condition: str) -> Judgement:
    """The outcome of a reading over seeds; `runs` are those of the condition that it is about."""
    values = list(reading.by_seed.values())
    interval = interval_over_seeds(values)
    if runs and all(run.solves_nothing for run in runs):
        return Judgement(
            "undecided", interval, f"{condition} solves no problem in any mode, so there is nothing to choose between"
        )
    if len(values) > 1 and max(values) - min(values) < SAME_NUMBER:
        bound = round(values[0])
        if reading.num_problems and abs(values[0] - bound) < SAME_NUMBER and bound in (0, 1):
            interval = wilson_interval(bound, reading.num_problems)
            reason = f"all {len(values)} seeds give {bound}: Wilson's interval over {reading.num_problems} problems"
            return Judgement(reading.threshold.outcome(interval), interval, reason)
        same = f"all {len(values)} seeds give the same number"
        return Judgement("undecided", interval, f"{same}, so the spread over seeds is not known")
    return Judgement(reading.threshold.outcome(interval), interval)


def at_least(value: float) -> Threshold:
    """Holds if the quantity is this or more."""
    return Threshold("at least", value)


def at_most(value: float) -> Threshold:
    """Holds if the quantity is this or less."""
    return Threshold("at most", value)


def of_each(members: Iterable[MemberResults], number: Callable[[MemberResults], float]) -> dict[int, float]:
    """One number per seed."""
    return {member.seed: number(member) for member in members}


def difference(left: Mapping[int, float], right: Mapping[int, float]) -> dict[int, float]:
    """Left less right, for the seeds that both have."""
    return {seed: left[seed] - right[seed] for seed in sorted(left.keys() & right.keys())}
