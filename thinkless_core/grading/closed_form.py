"""The value of a formula at one point: exact if there is only rational arithmetic, else to 50 digits.

LaTeX -> tokens -> exact Fraction, or a complex number of 50 digits

Every letter has a fixed value, a fraction drawn once from 2**61 (i and e are themselves, upper and lower case alike).
Formulas that differ at one point differ. Rational ones that agree there exactly are one: two different quotients of
polynomials as short as an answer agree at such a point with a chance below 1e-14. Irrational numbers that agree in 30
digits are one, too. Irrational formulas with letters that agree at one point may still differ, and math-verify is
asked; as it is about whatever this grammar does not know (functions, relations, `1/2x`), which raises NotClosedForm.
"""

from __future__ import annotations

import functools
import hashlib
import math
import re
from fractions import Fraction

from thinkless_core.grading.exact_numbers import (
    SAME_DIGITS,
    NotClosedForm,
    Number,
    added,
    divided,
    factorial,
    inexact,
    is_gap,
    multiplied,
    powered,
    precise,
    same_digits,
)

MAX_DEPTH = 40
"""Nested brackets, fractions and powers beyond which nothing is evaluated."""

_TOKEN = re.compile(r"\s*(\d+(?:,\d{3})*(?:\.\d+)?|\.\d+|\\[a-zA-Z]+|[a-zA-Z]|[-+*/:^(){}\[\]!])", re.ASCII)
_DEGREES = re.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})(?![a-zA-Z])")
_WORD = re.compile(r"(?<![\\a-zA-Z])(?:[a-zA-Z]{3,}|ln|or|to|is)(?![a-zA-Z])")
_LETTER = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]")
_COMMANDS = {"\\frac", "\\sqrt", "\\cdot", "\\times", "\\div", "\\circ"}
_TIMES = frozenset(("*", "\\cdot", "\\times"))
_GREEK = ("\\alpha", "\\beta", "\\gamma", "\\theta", "\\lambda", "\\mu", "\\omega", "\\phi", "\\varphi")
_MODULUS = 2**61 - 1


def _point(letter: str) -> Fraction:
    """The value of a letter, between 0.5 and 3.5, so that powers of it stay of ordinary size."""
    digest = hashlib.sha256(letter.encode()).digest()
    return Fraction(1, 2) + 3 * Fraction(int.from_bytes(digest[:8], "big") % _MODULUS, _MODULUS)


_LETTERS = {letter: _point(letter) for letter in (*"abcdfghjklmnopqrstuvwxyz", *_GREEK)}
_IRRATIONAL = ("i", "e", "\\pi")


@functools.cache
def _constant(letter: str) -> Number:
    """The value of a letter; None if it is none of this grammar."""
    if letter in _IRRATIONAL:
        context = precise()
        return {"i": context.mpc(0, 1), "e": context.mpc(context.e), "\\pi": context.mpc(context.pi)}[letter]
    return _LETTERS.get(letter)


def evaluate(latex: str) -> Number:
    """Value of a formula; raises NotClosedForm."""
    if _WORD.search(latex):
        raise NotClosedForm(latex)
    tokens = []
    latex = _DEGREES.sub("", latex).rstrip()
    position, end = 0, len(latex)
    while position < end:
        match = _TOKEN.match(latex, position)
        if match is None:
            raise NotClosedForm(latex)
        tokens.append(match[1])
        position = match.end()
    reader = _Reader(tokens)
    try:
        value = reader.sum()
    except (ArithmeticError, ValueError, RecursionError) as error:
        raise NotClosedForm(latex) from error
    if not reader.at_end or not (isinstance(value, Fraction) or precise().isfinite(value)):
        raise NotClosedForm(latex)
    return value


def real_value(latex: str) -> Number:
    """Value of a formula that is a real number; raises NotClosedForm."""
    value = evaluate(latex)
    if isinstance(value, Fraction):
        return value
    if value.imag != 0:
        raise NotClosedForm(latex)
    return value.real


def is_closed_form(latex: str) -> bool:
    """Whether the text is a formula of this grammar."""
    try:
        evaluate(latex)
    except NotClosedForm:
        return False
    return True


class _Reader:
    """Recursive descent over the tokens; sums, products, powers, atoms."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def at_end(self) -> bool:
        """Whether all tokens were read."""
        return self._at == len(self._tokens)

    def _peek(self) -> str:
        return "" if self.at_end else self._tokens[self._at]

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise NotClosedForm(token)

    def sum(self) -> Number:
        """Value of the terms from here on; stops before what belongs to none."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NotClosedForm("too deep")
        total = self._product()
        while self._peek() in ("+", "-"):
            sign = 1 if self._take() == "+" else -1
            total = added(total, sign * self._product())
        self._depth -= 1
        return total

    def _product(self) -> Number:
        sign = 1
        while self._peek() in ("+", "-"):
            sign = -sign if self._take() == "-" else sign
        product, was_divided = self._power(first=True), False
        while True:
            token = self._peek()
            if token in _TIMES:
                self._take()
                product = multiplied(product, self._power())
            elif token in ("/", ":", "\\div"):
                self._take()
                product, was_divided = divided(product, self._power()), True
            elif token and token not in ("+", "-", ")", "]", "}", "^", "!"):
                if was_divided or token[0].isdigit() or token[0] == ".":  # 1/2x and 2 3 mean different things to many
                    raise NotClosedForm(token)
                product = multiplied(product, self._power())
            else:
                return sign * product

    def _power(self, *, first: bool = False) -> Number:
        base = self._atom(first=first)
        if self._peek() == "!":
            self._take()
            base = factorial(base)
        if self._peek() != "^":
            return base
        self._take()
        exponent = self._argument()
        if self._peek() in ("^", "!"):  # 2^3! means different things to many
            raise NotClosedForm(self._peek())
        return powered(base, exponent)

    def _atom(self, *, first: bool) -> Number:
        token = self._take()
        if token[:1].isdigit() or token[:1] == ".":
            whole = Fraction(token.replace(",", ""))
            return whole + self._proper_fraction() if first and token.isdigit() else whole
        if token == "\\frac":
            top = self._argument()
            return divided(top, self._argument())
        if token == "\\sqrt":
            return self._root()
        if token in ("(", "{"):
            value = self.sum()
            self._expect(")" if token == "(" else "}")
            return value
        constant = _constant(token.lower() if len(token) == 1 else token)
        if constant is None:
            raise NotClosedForm(token)
        return constant

    def _proper_fraction(self) -> Fraction:
        """The fraction behind the whole part of a mixed number; 0 if there is none."""
        tokens = self._tokens[self._at : self._at + 7]
        braced = [*tokens[:2], *tokens[3:5], *tokens[6:]] == ["\\frac", "{", "}", "{", "}"]
        if braced and tokens[2].isdigit() and tokens[5].isdigit():
            self._at += 7
            return Fraction(int(tokens[2]), int(tokens[5]))
        return Fraction(0)

    def _argument(self) -> Number:
        """The value in braces, or of the one token without them."""
        if self._peek() == "{":
            return self._atom(first=False)
        token = self._peek()
        if token.isdigit() and len(token) > 1:  # in TeX \frac12 and x^10 take one digit
            self._tokens[self._at : self._at + 1] = [token[0], token[1:]]
        return self._atom(first=False)

    def _root(self) -> Number:
        degree: Number = Fraction(2)
        if self._peek() == "[":
            self._take()
            degree = self.sum()
            self._expect("]")
        start = self._at
        radicand = self._argument()
        constant = not any(token.lower() in _LETTERS for token in self._tokens[start : self._at])  # sqrt(x^2) may be -x
        if degree == 2 and constant and isinstance(radicand, Fraction) and radicand >= 0:
            top, bottom = math.isqrt(radicand.numerator), math.isqrt(radicand.denominator)
            if top * top == radicand.numerator and bottom * bottom == radicand.denominator:
                return Fraction(top, bottom)
        if degree != 2 and inexact(radicand).real < 0:
            raise NotClosedForm("root of a negative number: real or principal")
        return powered(inexact(radicand), divided(Fraction(1), degree))


def settle(first: str, second: str) -> bool | None:
    """True: one value, and the same letters. False: certainly two. None: not for this grammar to say."""
    try:
        ours, theirs = evaluate(first), evaluate(second)
    except NotClosedForm:
        return None
    letters = [set(_LETTER.findall(text)) - _COMMANDS for text in (first, second)]
    exact = isinstance(ours, Fraction) and isinstance(theirs, Fraction)
    if exact and ours == theirs:
        return True if letters[0] == letters[1] else None
    if "." in first + second:  # a decimal may be rounded
        return False if is_gap(ours, theirs) else None
    if exact:
        return False
    nearness = same_digits(ours, theirs)
    if nearness is None:
        return None
    if nearness > SAME_DIGITS:
        return True if all(letter.lower() in _IRRATIONAL for letter in letters[0] | letters[1]) else None
    return False
