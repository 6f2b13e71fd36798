"""Which problems become pairs for SFT, why the others do not, and which pairs are held out.

problems by what is wrong with their generations -> rules -> number of pairs, faults that drop one, rows touched
number of pairs -> numbers of those for validation

The join itself is a query (infra/catalog/sql/pairs.sql); nothing here looks at a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.configs.pairs import PairsConfig
from schemas.errors import SourceError
from thinkless_core.seeding import random_stream

MISSING, TRUNCATED, INCORRECT = "missing", "truncated", "incorrect"
"""What can be wrong with a side; a truncated one is not called incorrect as well."""


@dataclass(frozen=True)
class PairRules:
    """What the rules of a configuration come to for the generations at hand."""

    num_pairs: int
    dropping: tuple[str, ...]
    """Faults that drop a pair, on whichever side they are."""
    touched: dict[str, int]
    """Rows each rule applied to, by what it did: dropped or kept."""

    @property
    def marked(self) -> dict[str, int]:
        """Those that were kept all the same."""
        return {rule: rows for rule, rows in self.touched.items() if rule.endswith("_kept")}


def apply_rules(faults: Mapping[tuple[str | None, str | None], int], *, config: PairsConfig) -> PairRules:
    """The rules over all problems; `faults` counts them by what is wrong with the think and the short side.

    Every rule that applies is counted, on both sides. Raises SourceError if no pair is left.
    """
    dropping = [MISSING]
    if config.truncated == "drop":
        dropping.append(TRUNCATED)
    if config.incorrect == "drop":
        dropping.append(INCORRECT)
    touched: Counter[str] = Counter()
    num_pairs = 0
    for both, num_problems in faults.items():
        if MISSING in both:
            touched["missing_side"] += num_problems
            continue
        for side, fault in zip(("think", "short"), both, strict=True):
            if fault is not None:
                touched[f"{side}_{fault}_{'dropped' if fault in dropping else 'kept'}"] += num_problems
        if not set(dropping) & set(both):
            num_pairs += num_problems
    if num_pairs == 0:
        ways_out = {
            "truncated": "raise the teachers' max_tokens, or loosen pairs.truncated",
            "incorrect": 'compare the answers read with the references (`thinkless sql "select * from generations"`, '
            "`thinkless grade`), or loosen pairs.incorrect",
            "missing": 'see why a teacher\'s answers were dropped (`thinkless sql "select * from dropped"`)',
        }
        way_out = "; ".join(way for fault, way in ways_out.items() if any(fault in name for name in touched))
        raise SourceError(
            f"no pair is left of {sum(faults.values())} problems (rules touched {dict(touched)}); {way_out}"
        )
    return PairRules(num_pairs, tuple(dropping), dict(touched))


def held_out_pairs(num_pairs: int, *, share: float, seed: int) -> NDArray[np.int64]:
    """Numbers, counted from 0, of the pairs for validation: the first `share` of epoch 0's order."""
    order: NDArray[np.int64] = random_stream("order", seed, 0).permutation(num_pairs)
    return order[: round(share * num_pairs)]
