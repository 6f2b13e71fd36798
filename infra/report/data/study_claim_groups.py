"""Readings of a study put together again: the rows of one claim -> one claim with one verdict and its readings.

StudyClaim rows, in the order of the study -> MeasuredClaim
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from schemas.configs.study import CLAIM_ROLES
from schemas.records.study_claims import StudyClaim


class MeasuredClaim(NamedTuple):
    """One claim on the conditions that it was measured on."""

    claim: str
    statement: str
    verdict: str
    """It holds if all its readings hold, fails if one fails, and is undecided otherwise."""
    readings: tuple[StudyClaim, ...]

    @property
    def conditions(self) -> tuple[str, ...]:
        """What it was measured on."""
        return tuple(dict.fromkeys(reading.condition for reading in self.readings))


def measured_claims(rows: Sequence[StudyClaim]) -> tuple[MeasuredClaim, ...]:
    """Every claim once for each set of conditions that it was measured on."""
    groups: list[list[StudyClaim]] = []
    for row in rows:
        if not groups or _starts_another(row, groups[-1]):
            groups.append([])
        groups[-1].append(row)
    return tuple(MeasuredClaim(g[0].claim, g[0].statement, _verdict(g), tuple(g)) for g in groups)


def _starts_another(row: StudyClaim, group: Sequence[StudyClaim]) -> bool:
    """Whether the row is of another claim, or of the same one on other conditions.

    The readings of a claim about several conditions differ in their quantities, with their thresholds.
    """
    if row.claim != group[0].claim or len(CLAIM_ROLES.get(row.claim, ())) == 1:
        return (row.claim, row.condition) != (group[0].claim, group[0].condition)
    return row.quantity in {other.quantity for other in group}


def _verdict(readings: Sequence[StudyClaim]) -> str:
    verdicts = {reading.verdict for reading in readings}
    if "fails" in verdicts:
        return "fails"
    return "undecided" if "undecided" in verdicts else "holds"
