"""Counting legs, letters and bits: a small count per item and a running total."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thinkless_core.gym.working import Working, reads

LEGS = {
    **dict.fromkeys(("snake", "sea slug", "jellyfish", "flatworm", "leech"), 0),
    **dict.fromkeys(("chicken", "bird", "human", "duck"), 2),
    **dict.fromkeys(("dog", "cat", "cow", "horse", "lion", "elephant", "giraffe", "tiger", "deer", "sheep"), 4),
    "starfish": 5,
    **dict.fromkeys(("insect", "ant", "butterfly", "beetle", "bee", "wasp", "grasshopper", "cricket"), 6),
    **dict.fromkeys(("cockroach", "praying mantis", "firefly"), 6),
    **dict.fromkeys(("spider", "scorpion"), 8),
    **dict.fromkeys(("crab", "lobster", "shrimp"), 10),
    "woodlouse": 14,
}
"""Legs per animal, as reasoning_gym counts them (0.1.25, arithmetic/leg_counting.py)."""


@reads("animals")
def leg_counting(animals: Mapping[str, int]) -> Working | None:
    """Legs of each kind of animal, added to a running total; the check adds them from the last to the first."""
    if any(animal not in LEGS for animal in animals):
        return None
    lines: list[str] = []
    legs: list[int] = []
    total = 0
    for animal, count in animals.items():
        product = count * LEGS[animal]
        lines.append(f"{animal} {count}*{LEGS[animal]}={product}")
        if legs:
            lines.append(f"{total}+{product}={total + product}")
        legs.append(product)
        total += product
    return Working(tuple(lines), str(total), tuple(running_sum(legs[::-1])))


def running_sum(numbers: Sequence[int]) -> list[str]:
    """Lines `a+b=c` that add up some numbers, whole numbers in one go."""
    lines = []
    total = sum(numbers[:1])
    for number in numbers[1:]:
        lines.append(f"{total}+{number}={total + number}")
        total += number
    return lines or [str(total)]


@reads("span", "target_letter")
def letter_counting(span: Sequence[str], target_letter: str) -> Working | None:
    """Each word letter by letter, and how many it adds to the total; the check has the words as they are."""
    lines, check, total = [], [], 0
    for word in span:
        count = word.lower().count(target_letter)
        lines.append(f"{' '.join(word.lower())}: {total}+{count}={total + count}")
        check.append(f"{word} {count}")
        total += count
    return Working(tuple(lines), str(total), (*check, f"total {total}"))


@reads("number")
def count_bits(number: int) -> Working | None:
    """Halve until 1 is left and count the odd numbers; the check takes the largest powers of two away."""
    lines, ones, rest = [], 0, number
    while rest:
        ones += rest % 2
        lines.append(f"{rest} {'odd' if rest % 2 else 'even'} {ones}")
        rest //= 2
    check, rest, taken = [], number, 0
    while rest:
        power = 1 << (rest.bit_length() - 1)
        taken += 1
        check.append(f"{taken}: {rest}-{power}={rest - power}")
        rest -= power
    return Working(tuple(lines), str(ones), tuple(check))
