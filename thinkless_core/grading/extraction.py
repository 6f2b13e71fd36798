"""Finds the final value of a completion.

completion text -> text after `</think>`, or after `<short>` -> final value

In that text the first of these decides, and of several of one kind the last:
1. `\\boxed{...}`;
2. `#### value`, up to the end of the line (how GSM8K writes it);
3. `answer is value`, `answer: value` or `answer = value`, up to the end of the sentence;
4. the whole text, if it is no longer than a value can be; else its last line, if that is.
A longer text without any of them has no final value: to fish the last number out of it would be the paper's rule,
which `thinkless_core/grading/paper.py` follows.
"""

from __future__ import annotations

import re

from schemas.mode import THINK_END, Mode

LONGEST_BARE_VALUE = 200
"""Characters up to which a text without any marker is taken for a value; MATH's longest reference has 159."""

_HASHES = re.compile(r"####[ \t]*(\S[^\n]*)")
_ANSWER_IS = re.compile(r"\banswer\**(?:[ \t]+is(?=[\s:])[ \t]*:?|[ \t]*[:=])\s*(?=\S)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"\n|[.!?](?=\s|\**$)|,\s+(?=(?:as|because|since|so|where|which)\b)")


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
    return _final_value(text) or None


def _final_value(text: str) -> str:
    """The value in the text that follows the thinking; empty if there is none."""
    boxed = last_boxed(text)
    if boxed is not None:
        return boxed.strip()
    if hashes := _HASHES.findall(text):
        return str(hashes[-1]).strip()
    for told in reversed(list(_ANSWER_IS.finditer(text))):
        if value := _SENTENCE_END.split(text[told.end() :], maxsplit=1)[0].strip().strip("*").strip():
            return value
    whole = text.strip()
    if len(whole) <= LONGEST_BARE_VALUE:
        return whole
    last_line = whole.rpartition("\n")[2].strip()
    return last_line if len(last_line) <= LONGEST_BARE_VALUE else ""


def last_boxed(text: str) -> str | None:
    """Content of the last `\\boxed{...}`, braces balanced; None if there is none."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth, begin = 0, start + len("\\boxed{")
    for i in range(begin - 1, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return text[begin:i]
    return None
