"""What a field of recorded answers holds: one text, a message, blocks of content, a conversation, or several of these.

field of answers, field of thoughts beside it, marks -> RecordedAnswers in their order
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from schemas.configs.source import RecordedAnswer
from schemas.errors import SourceError

THINKING_KEYS = ("reasoning_content", "reasoning", "thinking", "think_content", "thought")
"""Names under which a message or a row keeps a thought apart from its answer."""
CONTENT_KEYS = ("content", "value", "text", "answer_content")
"""Names under which a message keeps its text."""
EMPTY, MARKED_WRONG, NOT_CHECKED = "empty", "marked_wrong", "not_checked"
"""Faults: nothing is recorded; the data set says that it is wrong; it marks answers, and did not check this row's."""


def recorded_answers(
    held: JsonValue, *, thoughts: JsonValue = None, marks: JsonValue = None, marked: bool = False, where: str, key: str
) -> tuple[RecordedAnswer, ...]:
    """The answers in a field, with the thoughts of another field, and without those that marks call wrong.

    `key` is the setting that names the field. Raises SourceError for what is no text.
    """
    if held == []:
        return (RecordedAnswer("", fault=EMPTY),)
    several: list[JsonValue] = [*held] if isinstance(held, list) and not _is_one_answer(held) else [held]
    beside: list[JsonValue] = [*thoughts] if isinstance(thoughts, list) else [thoughts] * len(several)
    if isinstance(thoughts, list) and len(several) == 1:
        beside = ["\n".join(text for text in thoughts if isinstance(text, str))]
    if len(beside) != len(several):
        raise SourceError(
            f"{where}: {len(several)} answers and {len(beside)} thoughts beside them, expected one for each; set "
            f"{key} and thinking_field to lists of the same length, or mend the row"
        )
    if marked and marks is not None and (not isinstance(marks, list) or len(marks) != len(several)):
        raise SourceError(
            f"{where}: the marks are {marks!r:.40}, expected one truth value for each of the {len(several)} traces; "
            "set trace_correct_field to their field"
        )
    faults = [""] * len(several)
    if marked:
        listed = marks if isinstance(marks, list) else [None] * len(several)
        faults = ["" if mark is True else NOT_CHECKED if mark is None else MARKED_WRONG for mark in listed]
    return tuple(
        _answer(one, thought, fault, where=where, key=key)
        for one, thought, fault in zip(several, beside, faults, strict=True)
    )


def _answer(held: JsonValue, thought: JsonValue, fault: str, *, where: str, key: str) -> RecordedAnswer:
    text, inside = _text_and_thought(held, where=where, key=key)
    if thought is not None and not isinstance(thought, str):
        raise SourceError(f"{where}: the thought is {thought!r:.60}, expected text; set thinking_field")
    thought = thought or inside
    empty = EMPTY if not text.strip() and not thought.strip() else ""
    return RecordedAnswer(text, thought, fault=fault or empty)


def _text_and_thought(held: JsonValue, *, where: str, key: str) -> tuple[str, str]:
    if held is None or held != held:  # NaN is how tables of numbers write null
        return "", ""
    if isinstance(held, str):
        return held, ""
    if isinstance(held, list) and _is_one_answer(held):
        messages = [one for one in held if isinstance(one, dict)]
        if "type" not in messages[-1]:  # a conversation: its last turn answers
            return _text_and_thought(messages[-1], where=where, key=key)
        parts = [_block(one, where=where, key=key) for one in messages]
        return "".join(text for text, _ in parts), "".join(thought for _, thought in parts)
    if isinstance(held, dict):
        thought = _first(held, THINKING_KEYS)
        for name in CONTENT_KEYS:
            if name in held:
                text, inside = _text_and_thought(held[name], where=where, key=key)
                return text, thought or inside
    raise SourceError(
        f"{where}: the answer is {held!r:.60}, no object with text in prompt and completion; expected a text, a "
        f"message with `content`, or a list of them; set {key}, mend or drop the line"
    )


def _block(block: dict[str, JsonValue], *, where: str, key: str) -> tuple[str, str]:
    """A block of content: (text, ""), or ("", thought) for a thinking one."""
    kind = str(block["type"])
    if kind in ("thinking", "reasoning", "thought"):
        held = next((block[name] for name in (kind, "thinking", "summary", *CONTENT_KEYS) if name in block), None)
        return "", _text_and_thought(held, where=where, key=key)[0]
    return _text_and_thought({name: block[name] for name in CONTENT_KEYS if name in block}, where=where, key=key)


def _is_one_answer(held: Sequence[JsonValue]) -> bool:
    """Whether a list is one answer: the turns of a conversation, or blocks of content."""
    return bool(held) and all(isinstance(one, dict) and {"role", "from", "type"} & one.keys() for one in held)


def _first(row: dict[str, JsonValue], names: Sequence[str]) -> str:
    return next((text for name in names if isinstance(text := row.get(name), str) and text.strip()), "")
