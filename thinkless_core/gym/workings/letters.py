"""Words spelled letter by letter."""

from __future__ import annotations

from thinkless_core.gym.working import Working, reads


def spelled(word: str) -> str:
    """The letters of a word with spaces between them, each of them one token of most tokenizers."""
    return " ".join(word)


@reads("word")
def spell_backward(word: str) -> Working | None:
    """The word's letters, then the same from the last to the first; the check turns the answer round again."""
    backward = word[::-1]
    return Working((spelled(word), spelled(backward)), backward, (spelled(backward), spelled(word)))
