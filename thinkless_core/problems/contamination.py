"""Training problems that a benchmark holds, whole or in part, are found by the words they share.

benchmark problems -> HeldOut (texts, n-grams);  training problems -> per problem: None, or what it shares with which

Normalisation. For n-grams: Unicode NFC, lower case, words are runs of letters or of digits, everything else (signs,
LaTeX braces and dollars) only separates them; `\\frac{3}{4}` is `frac 3 4`. An n-gram is n words in a row, n = 13 as
in GPT-3 (arXiv 2005.14165, appendix C). As there, an n-gram of more than 10 training problems is a turn of phrase
("m/n where m and n are relatively prime positive integers. Find m ...") and no match by itself.
A problem of fewer than n words has no n-gram: it matches by its text alone, in lower case and without white space,
signs kept (`3+4` is not `3-4`).

Differs from GPT-3: turns of phrase that make up half of a problem or more are a match all the same, so that many
variants of one benchmark problem do not hide each other; a match removes the whole problem, not a window around it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from schemas.records.problems import Problem
from schemas.records.removed_problems import RemovedProblem

_WORD = re.compile(r"[^\W\d_]+|\d+")
MOSTLY = 0.5
"""From this share of a problem's n-grams on, turns of phrase count too."""


def words_of(text: str) -> list[str]:
    """Words of a text as n-grams count them."""
    return _WORD.findall(unicodedata.normalize("NFC", text).lower())


def bare_text(text: str) -> str:
    """A text in lower case without white space: what two copies of a problem have in common."""
    return "".join(unicodedata.normalize("NFC", text).lower().split())


def ngrams(words: Sequence[str], n: int) -> Iterator[str]:
    """All runs of `n` words, each as one text; none for n = 0."""
    return (" ".join(words[start : start + n]) for start in range(len(words) - n + 1 if n else 0))


class HeldOut:
    """The texts and n-grams of all benchmark problems; each leads to the first problem that holds it."""

    def __init__(self, problems: Sequence[Problem], *, ngram_words: int, common_ngram_problems: int) -> None:
        self._n = ngram_words
        self._common = common_ngram_problems
        self._texts: dict[str, Problem] = {}
        self._ngrams: dict[str, Problem] = {}
        for problem in problems:
            self._texts.setdefault(bare_text(problem.question), problem)
            for ngram in ngrams(words_of(problem.question), ngram_words):
                self._ngrams.setdefault(ngram, problem)

    def find(self, prompts: Sequence[tuple[str, str]]) -> list[RemovedProblem | None]:
        """Per training problem, given as (text, where it stood): what it shares with a benchmark; None if clean."""
        shared: dict[int, tuple[list[str], int]] = {}
        seen_in: Counter[str] = Counter()
        for index, (prompt, _) in enumerate(prompts):
            own = list(ngrams(words_of(prompt), self._n))
            held = [ngram for ngram in own if ngram in self._ngrams]
            if held:
                shared[index] = held, len(own)
                seen_in.update(set(held))
        found: list[RemovedProblem | None] = []
        for index, (prompt, source) in enumerate(prompts):
            same = self._texts.get(bare_text(prompt))
            held, num_own = shared.get(index, ([], 1))
            telling = [n for n in held if seen_in[n] <= self._common] or (held if len(held) / num_own >= MOSTLY else [])
            if same is not None:
                found.append(_removed(prompt, source, same, match="text", shared=prompt, share=1.0))
            elif telling:
                first = telling[0]
                share = len(held) / num_own
                found.append(_removed(prompt, source, self._ngrams[first], match="ngram", shared=first, share=share))
            else:
                found.append(None)
        return found


def _removed(prompt: str, source: str, held: Problem, *, match: str, shared: str, share: float) -> RemovedProblem:
    assert held.benchmark is not None
    return RemovedProblem.model_validate(
        {
            "prompt": prompt,
            "source": source,
            "match": match,
            "benchmark": held.benchmark,
            "benchmark_problem_id": held.problem_id,
            "benchmark_prompt": held.question,
            "shared": shared,
            "shared_share": share,
        }
    )
