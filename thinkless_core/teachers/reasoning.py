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
from collections.abc import Sequence, Set
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from schemas.finish_reason import FinishReason
from schemas.mode import THINK_END, Mode
from thinkless_core.grading.extraction import extract_answer
from thinkless_core.student.counted_tokens import CountedTokens
from thinkless_core.teachers.notations import in_think_tags, unknown_mark
from thinkless_core.teachers.reply import TeacherReply, UnusableReply, cut_body

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
    content = THINK_END.join(part.strip() for part in in_think_tags(text).split(THINK_END))
    if content.startswith(Mode.THINK.token):
        content = Mode.THINK.token + content.removeprefix(Mode.THINK.token).lstrip()
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
    return as_replies([written], mode=mode, max_tokens=max_tokens, tokens=CountedTokens(tokenizer))[0]


def as_replies(
    written: Sequence[Written], *, mode: Mode, max_tokens: int, tokens: CountedTokens
) -> list[TeacherReply | UnusableReply]:
    """The same for many, in order, whose tokens are counted together."""
    bodies = [_body(one, mode) for one in written]
    overran = [one.num_tokens is not None and one.num_tokens > max_tokens for one in written]
    uncounted = [
        body
        for one, body, over in zip(written, bodies, overran, strict=True)
        if isinstance(body, str) and (over or one.num_tokens is None)
    ]
    counted = tokens.read(uncounted, most=max_tokens - 1)
    special = re.compile("|".join(map(re.escape, sorted(_special_tokens(tokens)))))
    replies: list[TeacherReply | UnusableReply] = []
    for one, body, over in zip(written, bodies, overran, strict=True):
        if isinstance(body, UnusableReply):
            replies.append(body)
            continue
        finish_reason, num_tokens = one.finish_reason, one.num_tokens
        if over or num_tokens is None:
            body, finish_reason, num_tokens = cut_body(
                body, finish_reason, next(counted), max_tokens=max_tokens, tokens=tokens, overran=over
            )
        reason = _fault(body, mode=mode, finish_reason=finish_reason, special=special)
        usable = TeacherReply(body, finish_reason, num_tokens, mode)
        replies.append(usable if reason is None else UnusableReply(reason, _everything(one)))
    return replies


def _body(written: Written, mode: Mode) -> str | UnusableReply:
    """The whole body, however long."""
    if not _is_text(written.content + written.reasoning):
        return UnusableReply("broken_text", _everything(written).encode(errors="replace").decode())
    parts = _parts(written, mode)
    if mode is Mode.SHORT:
        return (
            UnusableReply("short_reasoned", _everything(written)) if _visible(parts.thought) else parts.answer.strip()
        )
    body = (parts.thought + (THINK_END + parts.answer if parts.ended else "")).rstrip()
    if not _visible(parts.thought) and _visible(parts.answer):
        mark = unknown_mark(parts.answer)
        unknown = "no_reasoning" if mark is None else f"{UNKNOWN_NOTATION}:{mark}"
        return UnusableReply(unknown, _everything(written))
    if not parts.ended and not _is_cut(written) and _visible(body):
        return UnusableReply("reasoning_not_ended", _everything(written))
    return body


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


def _special_tokens(tokens: CountedTokens) -> Set[str]:
    """Texts that no body may hold."""
    return {*tokens.special, *(mode.token for mode in Mode)} - {THINK_END}


def _fault(body: str, *, mode: Mode, finish_reason: FinishReason, special: re.Pattern[str]) -> str | None:
    """Why this body cannot be a completion's, in a word; None if it can."""
    if not _visible(body):
        return "empty"
    if special.search(body):
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
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _visible(text: str) -> bool:
    """Whether a text has a character that is neither white space nor a control character."""
    return any(unicodedata.category(character)[0] not in "ZC" for character in text)
