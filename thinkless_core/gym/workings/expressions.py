"""Expressions with brackets and all four operations, and complex numbers."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from thinkless_core.gym.working import Working, reads
from thinkless_core.gym.workings.place_value import combine, divide, multiply

_SYMBOLS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


@reads("expression")
def basic_arithmetic(expression: str) -> Working | None:
    """One operation after the other, in the order of precedence; after each one the expression with its result.

    None if a division leaves a rest (the package cuts it off), and for the package's expressions without brackets in
    which its answer ignores precedence.
    """
    if not re.fullmatch(r"[\d+\-*/() ]+", expression):
        return None
    tree = _folded(ast.parse(expression, mode="eval").body)
    lines: list[str] = []
    while isinstance(tree, ast.BinOp | ast.UnaryOp):
        node = _next_operation(tree)
        a, b, symbol = _number(node.left), _number(node.right), _SYMBOLS[type(node.op)]
        if symbol == "/" and (b == 0 or a % b):
            return None
        lines += _operation(a, symbol, b)
        result = {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else 0}[symbol]
        tree = _folded(_replaced(tree, node, ast.Constant(result)))
        if isinstance(tree, ast.BinOp):
            lines.append(ast.unparse(tree).replace(" ", ""))
    answer = str(_number(tree))
    return Working(tuple(lines) if lines and lines[-1].endswith(f"={answer}") else (*lines, answer), answer)


def _operation(a: int, symbol: str, b: int) -> list[str]:
    if symbol in "+-":
        return combine(a, symbol, b)
    if symbol == "*":
        return multiply(a, b)
    if a > 0 and b > 0:
        return divide(a, b)
    return [*(divide(abs(a), abs(b)) if abs(a) >= 10 * abs(b) else ()), f"{a}/{b}={a // b}"]


def _number(node: ast.expr) -> int:
    assert isinstance(node, ast.Constant), ast.dump(node)
    assert isinstance(node.value, int), ast.dump(node)
    return node.value


def _next_operation(node: ast.expr) -> ast.BinOp:
    """The first operation, from the left, that has a number on each side."""
    if isinstance(node, ast.UnaryOp):
        return _next_operation(node.operand)
    assert isinstance(node, ast.BinOp), ast.dump(node)
    for side in (node.left, node.right):
        if not isinstance(side, ast.Constant):
            return _next_operation(side)
    return node


def _replaced(tree: ast.expr, old: ast.expr, new: ast.expr) -> ast.expr:
    if tree is old:
        return new
    if isinstance(tree, ast.UnaryOp):
        return ast.UnaryOp(tree.op, _replaced(tree.operand, old, new))
    if isinstance(tree, ast.BinOp):
        return ast.BinOp(_replaced(tree.left, old, new), tree.op, _replaced(tree.right, old, new))
    return tree


def _folded(tree: ast.expr) -> ast.expr:
    """The tree with the sign of a number inside the number."""
    if isinstance(tree, ast.UnaryOp):
        operand = _folded(tree.operand)
        if isinstance(operand, ast.Constant):
            return ast.Constant(-_number(operand) if isinstance(tree.op, ast.USub) else _number(operand))
        return ast.UnaryOp(tree.op, operand)
    if isinstance(tree, ast.BinOp):
        return ast.BinOp(_folded(tree.left), tree.op, _folded(tree.right))
    return tree


@reads("num1", "num2", "operation")
def complex_arithmetic(num1: Sequence[float], num2: Sequence[float], operation: str) -> Working | None:
    """Real part and imaginary part by themselves; a product from four products, a quotient by the conjugate."""
    (a, b), (c, d) = ((int(real), int(imaginary)) for real, imaginary in (num1, num2))
    if operation in ("+", "-"):
        real, imaginary = (a + c, b + d) if operation == "+" else (a - c, b - d)
        lines = [f"real {_sum(a, operation, c)}", f"i {_sum(b, operation, d)}"]
    elif operation == "*":
        real, imaginary = a * c - b * d, a * d + b * c
        lines = _products((a, c), (b, d), "-") + _products((a, d), (b, c), "+")
    elif operation == "/" and (c or d):
        size, upper, lower = c * c + d * d, a * c + b * d, b * c - a * d
        if upper % size or lower % size:
            return None
        real, imaginary = upper // size, lower // size
        lines = _products((c, c), (d, d), "+") + _products((a, c), (b, d), "+")
        lines += [f"{upper}/{size}={real}", *_products((b, c), (a, d), "-"), f"{lower}/{size}={imaginary}"]
    else:
        return None
    answer = _complex(real, imaginary)
    return Working((*lines, answer), answer)


def _complex(real: int, imaginary: int) -> str:
    """A complex number as the package writes it."""
    if imaginary == 0:
        return f"{real:.2f}"
    if real == 0:
        return f"{imaginary:.2f}i"
    return f"{float(real)} {'+' if imaginary > 0 else '-'} {float(abs(imaginary))}i"


def _sum(a: int, operation: str, b: int) -> str:
    """A sum or difference whose second number has no sign of its own."""
    total = a + b if operation == "+" else a - b
    return f"{a}{'+' if (operation == '+') == (b >= 0) else '-'}{abs(b)}={total}"


def _products(first: tuple[int, int], second: tuple[int, int], operation: str) -> list[str]:
    """Two products and their sum or difference."""
    (a, b), (c, d) = first, second
    return [f"{a}*{b}={a * b}", f"{c}*{d}={c * d}", _sum(a * b, operation, c * d)]
