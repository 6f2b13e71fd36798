"""Training problems that a benchmark holds, whole or in part, are found by the words they share.

benchmark problems -> HeldOut (texts, n-grams);  training problems -> per problem: None, or what it shares with which

Normalisation. For n-grams: Unicode NFC, lower case, words are runs of letters or of digits, everything else (signs,
LaTeX braces and dollars) only separates them; `\\frac{3}{4}` is `frac 3 4`. An n-gram is n words in a row, n = 13 as
in GPT-3 (arXiv 2005.14165, appendix C). As there, an n-gram of more than 10 training problems is a turn of phrase
("m/n where m and n are relatively prime positive integers. Find m ...") and no match by itself.
A problem of fewer than n words has no n-gram: it matches by its text alone, in lower case and without white space,
signs kept (`3+4` is not `3-4`).

Weight. The words that stand in shared n-grams are counted in the shorter of the two texts, and a match covers at least
`min_shared_share` of it: the closing sentence of a competition covers 10 to 40% of it, a benchmark problem
with other numbers in it 43% or more, one copied into a longer text all of it (docs/profiles.md has figures).

Differs from GPT-3: that weight; turns of phrase that make up half of a problem or more are a match all the same, so
that many variants of one benchmark problem do not hide each other; a match removes the whole problem, not a window
around it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import NamedTuple

from schemas.configs.source import SourceProblem
from schemas.records.problems import Problem
from schemas.records.removed_problems import RemovedProblem

_WORD = re.compile(r"[^\W\d_]+|\d+")
MOSTLY = 0.5
"""From this share of a problem's n-grams on, turns of phrase count too."""
GAP = " ... "
"""Stands between two shared passages."""


def words_of(text: str) -> list[str]:
    """Words of a text as n-grams count them."""
    return _WORD.findall(unicodedata.normalize("NFC", text).lower())


def bare_text(text: str) -> str:
    """A text in lower case without white space: what two copies of a problem have in common."""
    return "".join(unicodedata.normalize("NFC", text).lower().split())


def ngrams(words: Sequence[str], n: int) -> Iterator[str]:
    """All runs of `n` words, each as one text; none for n = 0."""
    return (" ".join(words[start : start + n]) for start in range(len(words) - n + 1 if n else 0))


class _Held(NamedTuple):
    """A benchmark problem and its n-grams, in order."""

    problem: Problem
    ngrams: tuple[str, ...]


class _Shared(NamedTuple):
    """What a training problem has in common with one benchmark problem."""

    held: _Held
    ngrams: Set[str]
    share: float
    """Share of the words of the shorter text that stand in shared n-grams."""


class HeldOut:
    """The texts and n-grams of all benchmark problems."""

    def __init__(
        self, problems: Iterable[Problem], *, ngram_words: int, common_ngram_problems: int, min_shared_share: float
    ) -> None:
        self._n = ngram_words
        self._common = common_ngram_problems
        self._min_share = min_shared_share
        self._texts: dict[str, Problem] = {}
        self._holders: dict[str, list[_Held]] = {}
        for problem in problems:
            self._texts.setdefault(bare_text(problem.question), problem)
            held = _Held(problem, tuple(ngrams(words_of(problem.question), ngram_words)))
            for ngram in dict.fromkeys(held.ngrams):
                self._holders.setdefault(ngram, []).append(held)

    def find(self, problems: Sequence[SourceProblem], *, whole_texts: bool = False) -> Iterator[RemovedProblem | None]:
        """Per training problem: what it shares with a benchmark; None if it is clean. All are read twice.

        `whole_texts` compares whole texts alone: shared words of problems that a program makes are its template's.
        """
        touched = bytearray()
        seen_in: Counter[str] = Counter()
        for prompt, *_ in problems:
            own = set() if whole_texts else self._holders.keys() & ngrams(words_of(prompt), self._n)
            touched.append(bool(own))
            seen_in.update(own)
        for problem, shares_words in zip(problems, touched, strict=True):
            prompt, source = problem.prompt, problem.source
            same = self._texts.get(bare_text(prompt))
            if same is not None:
                yield _removed(prompt, source, same, match="text", shared=prompt, ngram_share=1.0, share=1.0)
            elif shares_words:
                yield self._by_ngrams(prompt, source, list(ngrams(words_of(prompt), self._n)), seen_in)
            else:
                yield None

    def _by_ngrams(self, prompt: str, source: str, own: Sequence[str], seen_in: Counter[str]) -> RemovedProblem | None:
        """The benchmark problem of which the most is shared, if that is enough."""
        held = [ngram for ngram in own if ngram in self._holders]
        mostly = len(held) / len(own) >= MOSTLY
        telling = {ngram for ngram in held if mostly or seen_in[ngram] <= self._common}
        candidates = {id(one): one for ngram in held if ngram in telling for one in self._holders[ngram]}
        shared = [self._shared(own, one) for one in candidates.values()]
        best = max(shared, key=lambda one: one.share, default=None)
        if best is None or best.share < self._min_share:
            return None
        return _removed(
            prompt,
            source,
            best.held.problem,
            match="ngram",
            shared=next(ngram for ngram in own if ngram in telling and ngram in best.ngrams),
            ngram_share=len(held) / len(own),
            share=best.share,
            text=_passages(prompt, _covered(own, best.ngrams, self._n)),
        )

    def _shared(self, own: Sequence[str], held: _Held) -> _Shared:
        both = set(own) & set(held.ngrams)
        covered = _covered(min(own, held.ngrams, key=len), both, self._n)
        return _Shared(held, both, sum(covered) / len(covered))


def _covered(own: Sequence[str], shared: Set[str], n: int) -> list[bool]:
    """For each word of a text, given by its n-grams, whether it stands in a shared one."""
    covered = [False] * (len(own) + n - 1)
    for start, ngram in enumerate(own):
        if ngram in shared:
            covered[start : start + n] = [True] * n
    return covered


def _passages(text: str, covered: Sequence[bool]) -> str:
    """The covered words as they are written in the text, signs between them included."""
    text = unicodedata.normalize("NFC", text)
    passages: list[tuple[int, int]] = []
    before = False
    # Lower case may have other positions than the text as it is written (`İ`), but not other words.
    for word, inside in zip(_WORD.finditer(text), covered, strict=False):
        if inside:
            begin = passages.pop()[0] if before else word.start()
            passages.append((begin, word.end()))
        before = inside
    return GAP.join(text[begin:end] for begin, end in passages)


def _removed(
    prompt: str,
    source: str,
    held: Problem,
    *,
    match: str,
    shared: str,
    ngram_share: float,
    share: float,
    text: str | None = None,
) -> RemovedProblem:
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
            "shared_share": ngram_share,
            "shared_text": prompt if text is None else text,
            "shared_words_share": share,
        }
    )
