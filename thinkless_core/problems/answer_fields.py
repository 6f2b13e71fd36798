"""What a row's fields mean: the value in an answer, the subject in a name or path, the steps of a worked solution.

row -> field_value (`conversations.-1.value`) -> answer_value | subject_name | solution_completion
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import JsonValue

from schemas.errors import SourceError, nearest
from thinkless_core.grading.boxes import boxed_value

MARK = "####"
"""GSM8K's worked solutions end in `#### value`."""
_CALCULATION = re.compile(r"<<[^<>\n]*=[^<>\n]*>>")


def field_value(row: Mapping[str, JsonValue], path: str, *, where: str, key: str) -> JsonValue:
    """The value a field path leads to; `key` is the setting that names the field. Raises SourceError if there is none.

    A field whose own name has points in it comes first.
    """
    value, absent = find_field(row, path)
    if absent:
        raise SourceError(f"{where}: {absent}; set {key} to what is there")
    return value


def find_field(row: Mapping[str, JsonValue], path: str) -> tuple[JsonValue, str]:
    """(value, "") of the field that a path leads to, or (None, what is there in its place)."""
    if path in row:
        return row[path], ""
    head, _, rest = path.partition(".")
    if head not in row:
        hint = nearest(head, row) if row else "the row is empty"
        return None, f"no column {head!r}; {hint}; the columns are {', '.join(sorted(row))}"
    value = row[head]
    for step in rest.split("."):
        held: str
        if isinstance(value, dict):
            if step in value:
                value = value[step]
                continue
            held = f"the fields {', '.join(sorted(value))}"
        elif isinstance(value, list):
            if re.fullmatch(r"-?\d+", step) and -len(value) <= int(step) < len(value):
                value = value[int(step)]
                continue
            held = f"{len(value)} items"
        else:
            held = f"{value!r:.40}"
        return None, f"{path!r} stops at {step!r}: there it holds {held}"
    return value, ""


def answer_value(text: str, *, answer_format: str) -> tuple[str, str]:
    """(value, "") of an answer field, or ("", reason) where the value cannot be extracted."""
    if answer_format == "boxed":
        boxed = boxed_value(text)
        if boxed is None:
            return "", f"the problem has no \\boxed{{}} in its answer ({_tail(text)})"
        return boxed, "" if boxed else "the problem has an empty answer (nothing in \\boxed{})"
    if answer_format == "mark" and MARK not in text:
        return "", f"the problem has no {MARK} in its answer ({_tail(text)})"
    value = text.strip() if answer_format == "plain" else text.rpartition(MARK)[2].strip()
    return value, "" if value else f"the problem has an empty answer (nothing after {MARK})"


def _tail(text: str) -> str:
    return f"it ends in {text[-40:]!r}"


def subject_name(text: str) -> str:
    """`Counting & Probability` and `test/counting_and_probability/12.json` are `counting_and_probability`."""
    parts = text.split("/")
    name = parts[-2] if len(parts) > 1 else text
    return re.sub(r"\s+", "_", name.strip().lower().replace("&", "and"))


def solution_completion(solution: str) -> str | None:
    """A worked solution as a short completion without its control token; None if it has no value after its mark.

    GSM8K's calculator marks (`48/2 = <<48/2=24>>24`) are left out, and its last line `#### 24` is put the way the
    models are asked to answer: `The answer is \\boxed{24}.` A solution without a mark stays as it is.
    """
    text = plain_steps(solution)
    working, mark, value = (part.strip() for part in text.rpartition(MARK))
    if not mark:
        return text or None
    told = f"The answer is \\boxed{{{value}}}."
    return (f"{working}\n{told}" if working else told) if value else None


def plain_steps(solution: str) -> str:
    """A worked solution without GSM8K's calculator marks."""
    return _CALCULATION.sub("", solution).strip()
