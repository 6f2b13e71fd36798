"""Tasks of reasoning_gym (0.1.25) that have a working: name -> function. A new task is a function and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from thinkless_core.gym.working import WorkOut
from thinkless_core.gym.workings import (
    arithmetic,
    calendars,
    chances,
    counting,
    equations,
    expressions,
    gsm,
    intervals,
    letters,
    logic,
    numbers,
    sequences,
    sorting,
    words,
)

WORKINGS: Mapping[str, WorkOut] = MappingProxyType(
    {
        "base_conversion": numbers.base_conversion,
        "basic_arithmetic": expressions.basic_arithmetic,
        "caesar_cipher": words.caesar_cipher,
        "calendar_arithmetic": calendars.calendar_arithmetic,
        "chain_sum": arithmetic.chain_sum,
        "coin_flip": chances.coin_flip,
        "complex_arithmetic": expressions.complex_arithmetic,
        "count_bits": counting.count_bits,
        "dice": chances.dice,
        "family_relationships": words.family_relationships,
        "fraction_simplification": numbers.fraction_simplification,
        "gcd": numbers.gcd,
        "gsm_symbolic": gsm.gsm_symbolic,
        "knights_knaves": logic.knights_knaves,
        "lcm": numbers.lcm,
        "leg_counting": counting.leg_counting,
        "letter_counting": counting.letter_counting,
        "needle_haystack": words.needle_haystack,
        "number_filtering": sorting.number_filtering,
        "number_sequence": sequences.number_sequence,
        "number_sorting": sorting.number_sorting,
        "prime_factorization": numbers.prime_factorization,
        "products": arithmetic.products,
        "simple_equations": equations.simple_equations,
        "spell_backward": letters.spell_backward,
        "syllogism": logic.syllogism,
        "time_intervals": intervals.time_intervals,
        "word_sorting": sorting.word_sorting,
    }
)
