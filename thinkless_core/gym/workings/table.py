"""Tasks of reasoning_gym (0.1.25) that have a working: name -> function. A new task is a function and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from thinkless_core.gym.working import WorkOut
from thinkless_core.gym.workings import arithmetic, counting, equations, letters, numbers, sorting

WORKINGS: Mapping[str, WorkOut] = MappingProxyType(
    {
        "chain_sum": arithmetic.chain_sum,
        "count_bits": counting.count_bits,
        "gcd": numbers.gcd,
        "leg_counting": counting.leg_counting,
        "letter_counting": counting.letter_counting,
        "number_sorting": sorting.number_sorting,
        "products": arithmetic.products,
        "simple_equations": equations.simple_equations,
        "spell_backward": letters.spell_backward,
    }
)
