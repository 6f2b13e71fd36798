"""What stands around a value and is none of it: `$7$`, `\\(7\\)`, `\\[7\\]`, `$$7$$`, and other pairs."""

from __future__ import annotations

import re

MATHS_DELIMITERS = (("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"), ("$", "$"))


def without_delimiters(text: str, left: str, right: str) -> str:
    """The text inside one pair of delimiters, if they stand around all of it and begin only once."""
    inside = text[len(left) : -len(right)]
    again = re.search(r"(?<!\\)" + re.escape(left), inside)
    around = text.startswith(left) and text.endswith(right) and len(text) > len(left + right)
    return inside if around and not again else text
