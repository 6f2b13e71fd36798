"""The reference code's lenient rules, so that published numbers can be compared with ours.

whole completion -> last `\\boxed{}` anywhere, unclosed thinking included; else `<answer>`; else the last number
-> same spelling or same number as the reference? else: same FIRST unsigned number? -> right

Written from the description of the rules, not from their source. The last step is what makes them lenient; it
accepts \\frac34 for \\frac35, 3x+1 for 3y-7, 2 for -2, \\sqrt5 for 5 and (2,5] for [2,7). Results under these rules
are upper bounds; they are reported beside the strict ones and are never a reward.
"""

from __future__ import annotations

import re
from typing import Literal

from schemas.records.problems import Problem
from thinkless_core.grading.boxes import closed_boxes
from thinkless_core.grading.verdict import Outcome, Verdict
from thinkless_core.grading.verifier import Verifier

_ANSWER_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_SIGNED_NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?|\.\d+)", re.ASCII)
_UNSIGNED_NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+", re.ASCII)
_BARE_FRACTION = re.compile(r"\\frac\s*(\d)\s*(\d)")
_NOISE = re.compile(r"\\(?:left|right)(?![a-zA-Z])|\\[!,;: ]|\\?[$%]|\s+")


class PaperVerifier(Verifier):
    """Judges as the reference code would; reads the whole text, a truncated or malformed one too."""

    name: Literal["paper"] = "paper"

    def judge(self, problem: Problem, completion: str) -> Verdict:
        """See Verifier.judge."""
        answer = _lenient_answer(completion)
        if answer is None:
            return Verdict(Outcome.UNREADABLE, None, reason="missing")
        if _same(_spelling(answer), _spelling(problem.answer)):
            return Verdict(Outcome.CORRECT, answer, score=1.0)
        return Verdict(Outcome.WRONG, answer, reason="different")


def _same(ours: str, theirs: str) -> bool:
    if ours == theirs:
        return True
    numbers = _UNSIGNED_NUMBER.search(ours), _UNSIGNED_NUMBER.search(theirs)
    if numbers[0] is None or numbers[1] is None:
        return False
    return float(numbers[0].group()) == float(numbers[1].group())


def _lenient_answer(completion: str) -> str | None:
    if boxes := closed_boxes(completion):
        return boxes[-1].value
    if tagged := _ANSWER_TAG.findall(completion):
        return str(tagged[-1])
    numbers = _SIGNED_NUMBER.findall(completion.replace(",", ""))
    return str(numbers[-1]) if numbers else None


def _spelling(value: str) -> str:
    """Spelling to compare: no spaces, delimiters or commas between thousands; bare fractions in braces."""
    text = re.sub(r"\\[dt]frac", r"\\frac", value)
    text = _BARE_FRACTION.sub(r"\\frac{\1}{\2}", text)
    text = re.sub(r"(?<=\d),(?:\\!)?\s*(?=\d{3}(?!\d))", "", text)
    return _NOISE.sub("", text).rstrip(".")
