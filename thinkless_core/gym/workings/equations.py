"""Linear equations with one unknown."""

from __future__ import annotations

import re

from thinkless_core.gym.working import Working, reads
from thinkless_core.gym.workings.place_value import combine, divide


@reads("equation", "variable")
def simple_equations(equation: str, variable: str) -> Working | None:
    """All numbers to the side where the unknown has a positive factor, then divide; the check puts the value in."""
    left, _, right = equation.partition(" = ")
    parsed = _linear(left, variable)
    if parsed is None or parsed[0] == 0 or not re.fullmatch(r"-?\d+", right):
        return None
    (factor, constant), value = parsed, int(right)
    size, sign = abs(factor), 1 if factor > 0 else -1
    rest = sign * (value - constant)
    if rest <= 0 or rest % size:
        return None
    answer = rest // size
    unknown = variable if size == 1 else f"{size}*{variable}"
    lines = []
    if constant:
        first, second = sign * value, -sign * constant
        if first < 0:
            first, second = second, first
        lines.append(f"{unknown}={first}{'-' if second < 0 else '+'}{abs(second)}")
        lines += combine(first, "+", second)
    lines.append(f"{unknown}={rest}")
    if size != 1:
        lines += [*divide(rest, size), f"{variable}={answer}"]
    check = [f"{size}*{answer}={rest}"] if size != 1 else []
    if constant and factor < 0:
        check.append(f"{constant}-{rest}={value}")
    elif constant:
        check.append(f"{rest}{'-' if constant < 0 else '+'}{abs(constant)}={value}")
    return Working(tuple(lines), str(answer), tuple(check))


def _linear(text: str, variable: str) -> tuple[int, int] | None:
    """(factor, constant) of a sum such as `60 - 4*x`; None for anything else."""
    terms = re.findall(r"[+-]?[^+-]+", text.replace(" ", ""))
    factor = constant = 0
    for term in terms:
        known = re.fullmatch(rf"([+-]?)(?:(\d+)\*)?{re.escape(variable)}", term)
        if known:
            factor += int(f"{known[1]}{known[2] or 1}")
        elif re.fullmatch(r"[+-]?\d+", term):
            constant += int(term)
        else:
            return None
    return factor, constant
