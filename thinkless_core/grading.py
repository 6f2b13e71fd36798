"""Is a completion's answer right?

completion text -> final value (text after `</think>`, or after `<short>`; inside `\\boxed{}` where there is one)
-> equal to the reference value? A completion without a final value is wrong.
"""

from __future__ import annotations

import re
from decimal import Decimal

from schemas.mode import THINK_END, Mode

GRADER = "exact"
"""Name under which these verdicts are stored."""

_NUMBER = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+|(?=\.\d))(\.\d+)?", re.ASCII)


def extract_answer(completion: str) -> str | None:
    """The final value of a completion (control token first), or None where there is none.

    A think completion's value stands after its last `</think>`; one that never stopped thinking has none. The
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
    boxed = _last_boxed(text)
    value = (text if boxed is None else boxed).strip()
    return value or None


def _last_boxed(text: str) -> str | None:
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


def _canonical(value: str) -> str:
    """One spelling per value: no spaces, dollar signs or final stop; whole numbers without sign noise or commas."""
    text = re.sub(r"\s+", "", value).rstrip(".").strip("$").rstrip(".")
    if not _NUMBER.fullmatch(text):
        return text
    # Decimal keeps every digit; its own normalize() would round to 28 of them.
    number = f"{Decimal(text.replace(',', '')).copy_abs():f}"
    digits = number.rstrip("0").rstrip(".") if "." in number else number
    return f"-{digits}" if text.startswith("-") and digits != "0" else digits


def is_correct(answer: str | None, *, reference: str) -> bool:
    """Whether an extracted value equals the reference value; None never does."""
    return answer is not None and _canonical(answer) == _canonical(reference)
