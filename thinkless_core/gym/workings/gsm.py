"""Word problems that come with a worked solution of their own."""

from __future__ import annotations

import re
from fractions import Fraction

from thinkless_core.gym.working import Working, reads

_NUMBER = r"[£$€]?\d[\d,]*(?:\.\d+)?"
_EQUATION = re.compile(rf"({_NUMBER}(?: ?[-+*x×/] ?{_NUMBER})+) ?= ?({_NUMBER})")  # noqa: RUF001
_TERM = re.compile(r"([-+*x×/]?) ?[£$€]?(\d[\d,]*(?:\.\d+)?)")  # noqa: RUF001


@reads("answer", "answer_cot")
def gsm_symbolic(answer: str, answer_cot: str) -> Working | None:
    """The package's own solution without its last line, `#### answer`. None if one of its equations is false."""
    lines = [line.strip() for line in answer_cot.splitlines()]
    steps = tuple(line for line in lines if line and not line.startswith("####"))
    wrong = any(is_false(line, found) for line in steps for found in _EQUATION.finditer(line))
    return Working(steps, answer) if steps and not wrong else None


def is_false(line: str, found: re.Match[str]) -> bool:
    """Whether an equation in a line is false. One that begins before the match or goes on after it is not looked at."""
    before, after = line[: found.start()], line[found.end() :]
    if re.search(r"[-+*x×/÷=.,)%\d] ?$", before) or re.match(r" ?[-+*x×/÷] ?\d|%", after):  # noqa: RUF001
        return False
    return _value(found[1]) != _value(found[2])


def _value(expression: str) -> Fraction:
    """Products and quotients first, from left to right, then their sum."""
    parts: list[Fraction] = []
    for operation, digits in _TERM.findall(expression):
        number = Fraction(digits.replace(",", "").rstrip("."))
        if operation == "/":
            parts[-1] = parts[-1] / number if number else Fraction(-1)
        elif operation in ("*", "x", "×"):  # noqa: RUF001
            parts[-1] *= number
        else:
            parts.append(-number if operation == "-" else number)
    return sum(parts, Fraction(0))
