"""Short texts: finding a fact, decrypting a sentence, following a family."""

from __future__ import annotations

import re
from collections.abc import Iterator

from thinkless_core.gym.working import Working, reads
from thinkless_core.gym.workings.letters import spelled

_COUPLE = re.compile(r"(\w+) is married to (\w+)\.(?: They have (?:a child|children) called ([^.]+)\.)?")
_PAIRS = {
    "parent": ("mother", "father"),
    "child": ("daughter", "son"),
    "spouse": ("wife", "husband"),
    "sibling": ("sister", "brother"),
    "grandparent": ("grandmother", "grandfather"),
    "parent's sibling": ("aunt", "uncle"),
}
"""Relation -> the words for a woman and for a man."""


@reads("question", "answer")
def needle_haystack(question: str, answer: str) -> Working | None:
    """The sentence that says it."""
    text, _, asked = question.rpartition("\n")
    wanted = re.match(r"Who (.+)\? Reply", asked)
    if wanted is None:
        return None
    found = [sentence for sentence in re.split(r"\.\s*", text) if sentence.endswith(f" {wanted[1]}")]
    if len(found) != 1 or found[0] != f"{answer} {wanted[1]}":
        return None
    return Working((found[0],), answer)


@reads("cipher_text", "rotation")
def caesar_cipher(cipher_text: str, rotation: int) -> Working | None:
    """The first word one letter back after the other until it is English, then the other words with the same shift."""
    words = cipher_text.split(" ")
    lines = [spelled(words[0])]
    lines += [f"{shift} back: {spelled(_back(words[0], shift))}" for shift in range(1, rotation + 1)]
    lines += [f"{spelled(word)}: {spelled(_back(word, rotation))}" for word in words[1:]]
    return Working(tuple(lines), _back(cipher_text, rotation))


def _back(text: str, shift: int) -> str:
    """Every capital letter moved back in the alphabet, round from A to Z."""
    return "".join(chr((ord(c) - ord("A") - shift) % 26 + ord("A")) if c.isalpha() else c for c in text)


@reads("question", "answer", "person1", "person2")
def family_relationships(question: str, answer: str, person1: str, person2: str) -> Working | None:
    """The chain from one person to the other, then the word for it.

    None for nieces, nephews and parents-in-law: the package names what the second person is to the first there.
    """
    spouses: dict[str, str] = {}
    parents: dict[str, list[str]] = {}
    for one, other, children in _COUPLE.findall(question):
        spouses |= {one: other, other: one}
        for child in re.split(r", | and ", children) if children else ():
            parents[child] = [one, other]
    for relation, steps in _relations(person1, person2, spouses, parents):
        if answer in _PAIRS[relation]:
            return Working((*steps, f"{person1} is the {answer} of {person2}"), answer)
        return None
    return None


def _relations(
    one: str, other: str, spouses: dict[str, str], parents: dict[str, list[str]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What `one` is to `other`, nearest relation first, each with the lines that show it."""
    mine, theirs = parents.get(one, []), parents.get(other, [])
    if one in theirs:
        yield "parent", (f"{other} is a child of {one}",)
    if other in mine:
        yield "child", (f"{one} is a child of {other}",)
    if spouses.get(one) == other:
        yield "spouse", (f"{one} is married to {other}",)
    if mine and mine == theirs:
        yield "sibling", (f"{one} is a child of {mine[0]}", f"{other} is a child of {mine[0]}")
    for parent in theirs:
        above = parents.get(parent, [])
        if one in above:
            yield "grandparent", (f"{other} is a child of {parent}", f"{parent} is a child of {one}")
        if mine and mine == above:
            lines = (f"{other} is a child of {parent}", f"{parent} is a child of {mine[0]}")
            yield "parent's sibling", (*lines, f"{one} is a child of {mine[0]}")
