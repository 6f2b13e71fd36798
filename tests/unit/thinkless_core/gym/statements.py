"""Finding the arithmetic statements of a text, and whether they are true: apart from the code that writes them."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator
from fractions import Fraction

_NUMBER = r"-?\d+(?:\.\d+)?"
_EXPRESSION = rf"{_NUMBER}(?:[+\-*/]{_NUMBER})*"
_STATEMENT = re.compile(rf"(?<![\w.*/+\-=]){_EXPRESSION}(?:=-?{_EXPRESSION})+(?![\w.*/])")
_BEGINS_BEFORE = re.compile(r"[-+*/=x\u00d7\u00f7] $")
_OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def statements(text: str) -> Iterator[str]:
    """Every `a+b=c` in a text, chains of several signs of equality too; not the end of a longer one with spaces."""
    return (found[0] for found in _STATEMENT.finditer(text) if not _BEGINS_BEFORE.search(text[: found.start()]))


def is_true(statement: str) -> bool:
    """Whether all sides of a statement have one value."""
    return len({value(ast.parse(side, mode="eval").body) for side in statement.split("=")}) == 1


def value(node: ast.expr) -> Fraction:
    """An expression's exact value."""
    match node:
        case ast.BinOp(left, operation, right):
            return _OPERATIONS[type(operation)](value(left), value(right))
        case ast.UnaryOp(ast.USub(), operand):
            return -value(operand)
        case ast.Constant(int() | float() as number):
            return Fraction(str(number))
        case _:
            raise ValueError(ast.dump(node))
