"""How models and data sets mark a thought, all of it rewritten to `<think>thought</think>answer`.

text -> in_think_tags -> text with our tags, or as it was if it has no such marks
     -> unknown_mark -> the mark that it begins with and that no notation here knows

Marks are a word between brackets, with a beginning and an end: `<think>`, `<thinking>`, `<reasoning>`, `<seed:think>`,
`[THINK]`, `<|begin_of_thought|>`, `<|START_THINKING|>`, `◁think▷`; or phrases: gpt-oss's channels (also what is left of
them if their special tokens were skipped), Gemma's channel, headings, Granite's and Apriel's sentences. The first mark
may be missing, because the prompt had it. Marks around the whole answer (`<answer>`, `<|begin_of_solution|>`) belong to
the notation and go with it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from schemas.mode import THINK_END, Mode

_LEFT, _RIGHT = r"(?P<left><\||<\uff5c|<|\[|◁)", r"(?:\|>|\uff5c>|>|\]|▷)"
_THOUGHT = (
    r"(?:\w+:)?(?P<word>think|thinking|thoughts?|thought_process|reasoning|reason|analysis|rationale|scratch_?pad"
    r"|inner_monologue|chain_of_thought|cot)(?::\w+)?"
)
_ANSWER = r"(?P<word>final_answer|final_response|answer|solution|response|output|conclusion)"
_BEGINS, _ENDS = r"(?:(?:begin|start)(?:[_▁]of)?[_▁])?", r"(?:/|(?:end|close)(?:[_▁]of)?[_▁])"


def _mark(kind: str, word: str) -> re.Pattern[str]:
    return re.compile(f"{_LEFT}{kind}{word}{_RIGHT}", re.IGNORECASE)


_THOUGHT_BEGINS, _THOUGHT_ENDS = _mark(_BEGINS, _THOUGHT), _mark(_ENDS, _THOUGHT)
_ANSWER_BEGINS, _ANSWER_ENDS = _mark(_BEGINS, _ANSWER), _mark(_ENDS, _ANSWER)
_ANY_MARK = re.compile(r"<\|?[^\s<>|]{1,40}\|?>|<\uff5c[^\uff5c\n]{1,40}\uff5c>|\[[A-Z][A-Z _]{2,40}\]|◁[^▷\n]{1,40}▷")
_LAST = ("<|return|>", "<|end|>", "[END FINAL RESPONSE]")
_ALONE = re.compile(r"\s*(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>")
_NEXT_ANALYSIS = re.compile(r"<\|end\|>\s*<\|start\|>assistant<\|channel\|>analysis<\|message\|>")


class _Phrases(NamedTuple):
    """A notation whose marks are no words between brackets."""

    begin: re.Pattern[str]
    end: re.Pattern[str]
    special: bool
    """Whether its beginning stands for nothing else, so that a thought without end is one."""


def _phrases(begin: str, end: str, *, special: bool = False) -> _Phrases:
    return _Phrases(re.compile(rf"\s*{begin}"), re.compile(end), special)


_PHRASES = (
    _phrases(
        r"(?:<\|start\|>assistant)?<\|channel\|>analysis<\|message\|>",
        r"(?:<\|end\|>|(?<!\s))\s*(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>",
        special=True,
    ),
    _phrases(r"analysis(?=\S)", r"assistantfinal"),
    _phrases(r"<\|channel>thought\n?", r"<channel\|>", special=True),
    _phrases(
        r"(?:#+ *|\*\*)(?:Thinking|Thoughts?|Thought Process|Reasoning)[:*]*\n",
        r"\n(?:#+ *|\*\*)(?:Final )?(?:Response|Answer|Solution)[:*]*\n",
    ),
    _phrases(r"Here(?: is|'s) my thought process:", r"Here(?: is|'s) my response:"),
    _phrases(r"Here are my reasoning steps:", r"\[BEGIN FINAL RESPONSE\]"),
)


def in_think_tags(text: str) -> str:
    """The text with `<think>` and `</think>` in place of the marks of another notation; without any, as it is."""
    if alone := _ALONE.match(text):
        return _without_last_marks(text[alone.end() :])
    for phrases in _PHRASES:
        begin = phrases.begin.match(text)
        if begin is None:
            continue
        end = phrases.end.search(text, begin.end())
        if end is not None:
            thought = _NEXT_ANALYSIS.sub("\n", text[begin.end() : end.start()])
            return f"{Mode.THINK.token}{thought}{THINK_END}{_without_last_marks(text[end.end() :])}"
        if phrases.special:
            return f"{Mode.THINK.token}{text[begin.end() :]}"
    begin = _THOUGHT_BEGINS.match(text.lstrip())
    ends = list(_THOUGHT_ENDS.finditer(text))
    kind = begin or (ends[0] if ends else None)
    if kind is None:
        return text
    ends = [end for end in ends if _kind(end) == _kind(kind)]
    if begin is not None:
        skipped = len(text) - len(text.lstrip()) + begin.end()
        pieces, at = [Mode.THINK.token], skipped
    else:
        pieces, at = [], 0
    for end in ends:
        pieces += [text[at : end.start()], THINK_END]
        at = end.end()
    return "".join(pieces) + (_unwrapped(text[at:]) if ends else text[at:])


def unknown_mark(text: str) -> str | None:
    """The mark that a text begins with, if it is neither one of a thought nor of an answer, nor our own `<short>`."""
    text = text.lstrip()
    found = _ANY_MARK.match(text)
    if found is None or _THOUGHT_BEGINS.match(text) or _ANSWER_BEGINS.match(text) or found[0] == Mode.SHORT.token:
        return None
    return found[0]


def _kind(mark: re.Match[str]) -> tuple[str, str]:
    return mark["left"], mark["word"].lower()


def _without_last_marks(answer: str) -> str:
    """An answer without what ends a turn in the notations of phrases."""
    while (
        shorter := next((answer.rstrip().removesuffix(m) for m in _LAST if answer.rstrip().endswith(m)), None)
    ) is not None:
        answer = shorter
    return answer


def _unwrapped(answer: str) -> str:
    """An answer without the marks around all of it."""
    inside = answer.strip()
    begin = _ANSWER_BEGINS.match(inside)
    if begin is None:
        return answer
    ends = [end for end in _ANSWER_ENDS.finditer(inside) if _kind(end) == _kind(begin)]
    if not ends:
        return inside[begin.end() :]
    return inside[begin.end() : ends[0].start()] if len(ends) == 1 and ends[0].end() == len(inside) else answer
