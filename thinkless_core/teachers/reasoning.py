"""The body of a completion from what a language model wrote, or the reason why there is none.

content, reasoning field -> thought | answer -> `thought</think>answer` or `answer` -> TeacherReply | UnusableReply

Models return their thoughts in four ways, and all of them become the same body, with no white space added or taken
between the parts: in a field of their own; as `<think>...</think>answer`; as `...</think>answer`, where the prompt's
template opened the thought; or, cut by the limit, as thought without end. A thought that comes both ways is taken once.
Other marks than `<think>` are rewritten first (notations.py); one that is not known is named in the reason of the drop.

A short answer that was reasoned about is unusable (`short_reasoned`), even though the answer alone could be kept: it
shows what the model can say after thinking, and would teach the student to guess it without. An empty thought, which is
how some templates switch thinking off, is none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from schemas.finish_reason import FinishReason
from schemas.mode import THINK_END, Mode
from thinkless_core.grading.extraction import extract_answer
from thinkless_core.teachers.notations import in_think_tags, unknown_mark
from thinkless_core.teachers.reply import TeacherReply, UnusableReply, within_limit

UNKNOWN_NOTATION = "unknown_notation"
"""Reason of a drop, followed by the mark: what is written begins with marks that notations.py does not know."""


class Written(NamedTuple):
    """What a model wrote, as it came."""

    content: str
    reasoning: str
    """Empty if the model has no field for it."""
    finish_reason: FinishReason
    num_tokens: int | None
    """None if the model does not say; the student's tokens are counted then."""


def as_recorded(text: str, thought: str, *, finished: bool) -> Written:
    """What a recording holds, without the white space around thought and answer, which is the file's."""
    content = re.sub(rf"\s*{THINK_END}\s*", THINK_END, in_think_tags(text).strip())
    content = re.sub(rf"^{Mode.THINK.token}\s*", Mode.THINK.token, content)
    finish_reason = FinishReason.STOP if finished else FinishReason.LENGTH
    return Written(content, thought.strip(), finish_reason, num_tokens=None)


def continued(text: str, *, opened: bool) -> str:
    """What a model wrote, with `<think>` in front if the template `opened` the thought."""
    return Mode.THINK.token + text if opened else text


def opens_thought(prompt: str) -> bool:
    """Whether a rendered prompt ends in `<think>`, as R1's does."""
    return prompt.rstrip().endswith(Mode.THINK.token)


class _Parts(NamedTuple):
    thought: str
    ended: bool
    """Whether the thought came to its end."""
    answer: str


def as_reply(
    written: Written, *, mode: Mode, max_tokens: int, tokenizer: PreTrainedTokenizerBase
) -> TeacherReply | UnusableReply:
    """The completion's body in `mode`, cut at `max_tokens` if the model wrote more.

    `tokenizer` is the student's. Unusable, by reason: `short_reasoned`, `no_reasoning`, `unknown_notation:MARK`,
    `reasoning_not_ended`, `reasoning_ended_twice`, `special_token_inside`, `no_answer`, `empty`, `broken_text`.
    """
    if not _is_text(written.content + written.reasoning):
        return UnusableReply("broken_text", _everything(written).encode(errors="replace").decode())
    parts, finish_reason = _parts(written, mode), written.finish_reason
    if mode is Mode.SHORT:
        if _visible(parts.thought):
            return UnusableReply("short_reasoned", _everything(written))
        body = parts.answer.strip()
    else:
        body = (parts.thought + (THINK_END + parts.answer if parts.ended else "")).rstrip()
        if not _visible(parts.thought) and _visible(parts.answer):
            mark = unknown_mark(parts.answer)
            unknown = "no_reasoning" if mark is None else f"{UNKNOWN_NOTATION}:{mark}"
            return UnusableReply(unknown, _everything(written))
        if not parts.ended and not _is_cut(written) and _visible(body):
            return UnusableReply("reasoning_not_ended", _everything(written))
    num_tokens = written.num_tokens
    if num_tokens is None or num_tokens > max_tokens:
        overran = num_tokens is not None
        body, finish_reason, num_tokens = within_limit(
            body, finish_reason, max_tokens=max_tokens, tokenizer=tokenizer, overran=overran
        )
    special = {*tokenizer.all_special_tokens, *(other.token for other in Mode)} - {THINK_END}
    reason = _fault(body, mode=mode, finish_reason=finish_reason, special=special)
    if reason is not None:
        return UnusableReply(reason, _everything(written))
    return TeacherReply(body, finish_reason, num_tokens, mode)


def _parts(written: Written, mode: Mode) -> _Parts:
    text = written.content.lstrip().removeprefix(Mode.SHORT.token) if mode is Mode.SHORT else written.content
    text = in_think_tags(text)
    opened = text.lstrip().startswith(Mode.THINK.token)
    if opened:
        text = text.lstrip().removeprefix(Mode.THINK.token)
    thought, end, answer = text.rpartition(THINK_END)
    if not end:
        # Without any mark a cut text of a thinking model is thought; everything else is answer.
        inside = opened or (mode is Mode.THINK and _is_cut(written) and not _visible(written.reasoning))
        thought, answer = (text, "") if inside else ("", text)
    if _visible(written.reasoning):
        thought = in_think_tags(written.reasoning).removesuffix(THINK_END)
        if thought.lstrip().startswith(Mode.THINK.token):
            thought = thought.lstrip().removeprefix(Mode.THINK.token)
        return _Parts(thought, bool(end) or _visible(answer) or not _is_cut(written), answer)
    return _Parts(thought, bool(end), answer)


def _fault(body: str, *, mode: Mode, finish_reason: FinishReason, special: Set[str]) -> str | None:
    """Why this body cannot be a completion's, in a word; None if it can."""
    if not _visible(body):
        return "empty"
    if any(token in body for token in special):
        return "special_token_inside"
    if body.count(THINK_END) > 1:
        return "reasoning_ended_twice"
    if finish_reason is FinishReason.STOP and not _visible(extract_answer(mode.token + body) or ""):
        return "no_answer"
    return None


def _is_cut(written: Written) -> bool:
    return written.finish_reason is FinishReason.LENGTH


def _everything(written: Written) -> str:
    return f"{written.reasoning}{THINK_END}{written.content}" if written.reasoning else written.content


def _is_text(text: str) -> bool:
    """Whether every character can be written; half of a surrogate pair cannot."""
    return re.search("[\ud800-\udfff]", text) is None


def _visible(text: str) -> bool:
    """Whether a text has a character that is neither white space nor a control character."""
    return any(unicodedata.category(character)[0] not in "ZC" for character in text)
