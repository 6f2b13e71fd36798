"""The reference code's lenient verdict, so that published numbers can be compared with ours.

whole completion -> last `\\boxed{}` anywhere, unclosed thinking included; else `<answer>`; else the last number
-> same spelling or same number as the reference? else: same FIRST unsigned number? -> right

Written from the description of the rules, not from their source. The last step is what makes them lenient; it
accepts \\frac34 for \\frac35, 3x+1 for 3y-7, 2 for -2, \\sqrt5 for 5 and (2,5] for [2,7). Results under these rules
are upper bounds; they are reported beside the strict ones and are never a reward.
"""

from __future__ import annotations

import re

from thinkless_core.grading.extraction import last_boxed

GRADER_PAPER = "paper"
"""Name under which these verdicts are stored."""

_ANSWER_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_SIGNED_NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?|\.\d+)", re.ASCII)
_UNSIGNED_NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+", re.ASCII)
_BARE_FRACTION = re.compile(r"\\frac\s*(\d)\s*(\d)")
_NOISE = re.compile(r"\\(?:left|right)(?![a-zA-Z])|\\[!,;: ]|\\?[$%]|\s+")


def is_correct_paper(completion: str, *, reference: str) -> bool:
    """Whether the reference code would call the completion right; it reads the whole text, control token included."""
    answer = _lenient_answer(completion)
    if answer is None:
        return False
    ours, theirs = _spelling(answer), _spelling(reference)
    if ours == theirs:
        return True
    numbers = _UNSIGNED_NUMBER.search(ours), _UNSIGNED_NUMBER.search(theirs)
    if numbers[0] is None or numbers[1] is None:
        return False
    return float(numbers[0].group()) == float(numbers[1].group())


def _lenient_answer(completion: str) -> str | None:
    boxed = last_boxed(completion)
    if boxed is not None:
        return boxed
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
