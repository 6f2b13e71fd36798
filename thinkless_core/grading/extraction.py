"""Finds the final value of a completion.

completion text -> text after `</think>`, or after `<short>` -> what stands in its last `<answer>`, if it has one
-> final value

In that text the first of these decides, and of several of one kind the last:
1. `\\boxed{...}`, several side by side as a list (see `boxes.py`), unless a formula behind is called the final answer;
2. `#### value`, up to the end of the line (how GSM8K writes it);
3. `answer is value`, `answer: value` or `answer = value`, up to the end of the sentence, displayed mathematics whole;
4. displayed mathematics at the end;
5. the whole text, if it is no longer than a value can be; else its last line, if that is.
Where 3 to 5 give a sentence, `The volume is 120`, its value is what follows the last `is`. A longer text without any
of them has no final value: to fish the last number out of it would be the paper's rule, which
`thinkless_core/grading/paper.py` follows.
"""

from __future__ import annotations

import re
from itertools import pairwise

from schemas.mode import THINK_END, Mode
from thinkless_core.grading.boxes import boxed_value, closed_boxes
from thinkless_core.grading.delimiters import MATHS_DELIMITERS, without_delimiters

LONGEST_BARE_VALUE = 200
"""Characters up to which a text without any marker is taken for a value; MATH's longest reference has 159."""

_ANSWER_TAG = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL | re.IGNORECASE)
_HASHES = re.compile(r"####[ \t]*(\S[^\n]*)")
_ANSWER_IS = re.compile(
    r"\b(?:answer|correct\s+(?:option|choice))\**(?:[ \t]+is(?=[\s:])[ \t]*:?|[ \t]*[:=])[\s*}]*(?=\S)"
    r"|\u7b54\u6848(?:\u662f|\u4e3a|[:\uff1a])[\s*]*(?=\S)"  # Chinese: the answer is
    r"|^[#* \t]*(?:the[ \t]+)?(?:final[ \t]+)?answer[*: \t]*\n\s*(?=\S)",
    re.IGNORECASE | re.MULTILINE,
)
_FINAL = re.compile(r"\bfinal answer is:?\s*", re.IGNORECASE)
_MATHS = re.compile(r"\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|(?<!\\)\$[^$\n]*?(?<!\\)\$", re.DOTALL)
_DISPLAYED = re.compile(r"(?:\$\$|\\\[)(.*?)(?:\$\$|\\\])", re.DOTALL)
_SENTENCE_END = re.compile(r"\n|[.!?](?=\s|\**$)|,\s+(?=(?:as|so|where|which)\b)|,?\s+(?=(?:because|since)\b)")
_SAYS = re.compile(
    r"^(?:the|so|thus|hence|therefore|this|it|its|our|we)\b.*\b(?:is|are|equals)\b:?\s+(?=\S)", re.I | re.S
)
_JOINED = re.compile(r"(?:[\s,;]|and|or)+")
_CHOICE = re.compile(r"\s*\(?[A-Z]\)?")
_WORDS = re.compile(r"^[^\W\d_]{2}")
_HEDGE = re.compile(
    r"^(?:(?:approximately|about|roughly|therefore|thus|hence|simply|equal to|option|choice)\s+)+(?=\S)", re.I
)
_DELIMITERS = (*MATHS_DELIMITERS, ("`", "`"), ('"', '"'), ("\u201c", "\u201d"))


def extract_answer(completion: str) -> str | None:
    """The final value of a completion (control token first), or None if there is none.

    A think completion's value comes after its last `</think>`; one that never stopped thinking has none. The
    caller decides about truncation: a short completion that ran into the limit still yields its text here.
    """
    if completion.startswith(Mode.THINK.token):
        _, end, text = completion.rpartition(THINK_END)
        if not end:
            return None
    elif completion.startswith(Mode.SHORT.token):
        text = completion.removeprefix(Mode.SHORT.token).rpartition(THINK_END)[2]
    else:
        return None
    return final_value(text) or None


def final_value(text: str) -> str:
    """The value in a text that has no control token and no thinking; empty if there is none."""
    if tagged := [inside for inside in _ANSWER_TAG.findall(text) if inside.strip()]:
        text = tagged[-1]
    boxed = boxed_value(text)
    if boxed is not None:
        return _final_after(text[closed_boxes(text)[-1].end :]) or boxed
    if hashes := _HASHES.findall(text):
        return str(hashes[-1]).strip()
    for told in reversed(list(_ANSWER_IS.finditer(text))):
        if value := _told(_first_sentence(text[told.end() :])):
            return value
    whole = text.strip()
    if (displayed := _last_displayed(whole)) is not None:
        return _told(displayed)
    if len(whole) <= LONGEST_BARE_VALUE:
        return _told(whole)
    last_line = whole.rpartition("\n")[2].strip()
    return _told(last_line) if len(last_line) <= LONGEST_BARE_VALUE else ""


def _final_after(rest: str) -> str | None:
    """The value that a text calls its final answer in mathematics behind its last box, which held a step then."""
    finals = list(_FINAL.finditer(rest))
    if not finals:
        return None
    maths = _MATHS.match(rest, finals[-1].end())
    return _told(maths.group()) if maths else None


def _first_sentence(text: str) -> str:
    """The text up to the end of its first sentence; no stop or line break inside mathematics ends it.

    Displayed mathematics in front is a sentence of its own.
    """
    if (displayed := _DISPLAYED.match(text)) is not None:
        return displayed[1]
    maths = [match.span() for match in _MATHS.finditer(text)]
    for end in _SENTENCE_END.finditer(text):
        within = any(start <= end.start() < stop for start, stop in maths)
        names_choice = _CHOICE.fullmatch(text, 0, end.start()) and text[end.end() :].strip()
        if not within and not names_choice:
            return text[: end.start()]
    return text


def _last_displayed(text: str) -> str | None:
    """What is displayed at the end of a text; None if nothing is."""
    displayed = list(_DISPLAYED.finditer(text))
    return displayed[-1][1] if displayed and text[displayed[-1].end() :].strip(" .,\n") == "" else None


def _told(sentence: str) -> str:
    """The value in a sentence, without delimiters of mathematics around all of it.

    That is its only mathematics, if it has no other number; else what follows its last `is`; else all of it.
    """
    value = sentence.strip().strip("*").strip()
    if _WORDS.match(value):
        maths, said = list(_MATHS.finditer(value)), _SAYS.match(value)
        others = [value[a.end() : b.start()] for a, b in pairwise(maths)]
        if maths and all(map(_JOINED.fullmatch, others)) and not re.search(r"\d", _MATHS.sub("", value)):
            value = value[maths[0].start() : maths[-1].end()]
        elif said:
            value = value[said.end() :].rstrip(".").strip("* ")
    value = _HEDGE.sub("", value)
    stopped = value.rstrip(".,")
    for left, right in _DELIMITERS:
        inside = without_delimiters(stopped, left, right)
        if inside != stopped and inside.strip():
            return inside.strip()
    return value


def answer_in(text: str) -> str | None:
    """The final value of a text, whether it is a completion that begins with a control token or not."""
    if text.startswith((Mode.THINK.token, Mode.SHORT.token)):
        return extract_answer(text)
    return final_value(text.rpartition(THINK_END)[2]) or None
