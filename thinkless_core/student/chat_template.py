r"""A chat template that leaves the first token of an answer to the model, and keeps all of the answer.

template -> probes, and a look at its syntax -> it is fine: kept as it is, character by character
                                             -> wrapped (`template_wrapper`) -> probes

What is asked of a template:
* the generation prompt ends right before the control token: not after `<think>\n`, nor any other text that it does not
  write before an answer in the history;
* no text of a message and no argument can change that, or hide thoughts: the template looks at roles and places alone;
* a conversation is, up to and with the end token, generation prompt + completion, as text and as token ids, also in
  its second turn: thinking stays in the history, nothing is trimmed, nothing is put before an answer;
* one end token ends an answer;
* the prompt does not change with the date.
Everything else is the template's own business and stays: a default system prompt, the header of a turn, a refusal of
system messages, tools. Templates are saved as ordinary ones, for plain transformers and vLLM.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from schemas.errors import ConfigError
from schemas.mode import THINK_END, Mode
from thinkless_core.student.rendering import render_completion
from thinkless_core.student.template_probe import SPOTS, WAY_OUT, Message, Probe, conversation
from thinkless_core.student.template_syntax import arguments, looks_at_texts, read_before_set
from thinkless_core.student.template_wrapper import ends_of, frame_of, wrap, wrapped_template

QUESTIONS = ("What is 1 + 1?", "And 2 + 2?")
ANSWERS = (f"{Mode.THINK.token}\nOne and one.\n{THINK_END}\n\n2 \n", f"{Mode.SHORT.token}4")
FIXED_DAY = datetime.datetime(2024, 7, 26)
"""The day a template that names today's date is fixed to: the one Llama's own falls back on."""
TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "A tool.", "parameters": {"type": "object", "properties": {}}},
}
MARKER = re.compile(r"<[|\uff5c][^<>\s]{1,40}[|\uff5c]>|\[\|[^\[\]\s]{1,40}\|\]")


@dataclass(frozen=True)
class RepairedTemplate:
    """A template that passes the probes, and what was done to it; nothing for one that did at once."""

    text: str
    repairs: tuple[str, ...]


class Fault(NamedTuple):
    """What is wrong with a template: in a few words for a list, and with what was seen."""

    kind: str
    seen: str


def repair_template(
    tokenizer: PreTrainedTokenizerBase, template: str, *, tools: Sequence[Mapping[str, object]] | None = None
) -> RepairedTemplate:
    """The template, wrapped if it has a fault; raises ConfigError if that does not mend it.

    `tokenizer` has its control tokens, and the end token that the template writes (`end_token_of`). `tools` are for a
    template that cannot do without.
    """
    probe = _probe(tokenizer, template, tools)
    found = list(_faults(probe))
    if not found:
        return RepairedTemplate(template, ())
    dated = replace(probe, template=_without_date(template))
    dates = ("the date is fixed",) if dated != probe else ()
    if dates and not any(_faults(dated)):
        return RepairedTemplate(dated.template, dates)
    seen = [fault.seen for fault in found]
    try:
        wrapped = wrap(dated)
        seen = [fault.seen for fault in _faults(replace(dated, template=wrapped, in_parts=False))]
    except ConfigError as error:
        raise _beyond_repair([*seen, str(error)]) from error
    if seen:
        raise _beyond_repair(seen)
    kinds = dict.fromkeys(fault.kind for fault in found if fault.kind != DATED)
    return RepairedTemplate(wrapped, (*dates, f"wrapped, because {'; '.join(kinds)}"))


def end_token_of(tokenizer: PreTrainedTokenizerBase, template: str) -> str:
    """The token that the template writes after an assistant's message; the tokenizer's own if it writes none.

    Any added token counts, special or not. Of several in a row it is the tokenizer's own, or else the first.
    """
    probe = _probe(tokenizer, template, None)
    written = probe.chain(ends_of(probe)[0])
    own = str(tokenizer.eos_token)
    return own if own in written or not written else written[0]


def faults(tokenizer: PreTrainedTokenizerBase, template: str) -> tuple[str, ...]:
    """What is wrong with a template, in words; raises ConfigError for one that cannot be rendered at all."""
    return tuple(dict.fromkeys(fault.seen for fault in _faults(_probe(tokenizer, template, None))))


def foreign_markers(tokenizer: PreTrainedTokenizerBase, template: str) -> tuple[str, ...]:
    """Markers of turns such as `<|im_start|>` that the template writes and the tokenizer does not have as one token."""
    probe = _probe(tokenizer, template, None)
    written = MARKER.findall(probe.render(conversation(*SPOTS[:1]), generate=True))
    whole = (m for m in dict.fromkeys(written) if len(tokenizer(m, add_special_tokens=False).input_ids) > 1)
    return tuple(m for m in whole if m not in probe.added_tokens())


def _probe(tokenizer: PreTrainedTokenizerBase, template: str, tools: Sequence[Mapping[str, object]] | None) -> Probe:
    """The template as it has to be shown texts: as texts, or as lists of parts if it reads nothing else."""
    plain = Probe(tokenizer, template, None if tools is None else list(tools))
    parts = replace(plain, in_parts=True)
    first = conversation(SPOTS[0])
    try:
        if SPOTS[0] in plain.render(first, generate=True):
            return plain
    except ConfigError:
        pass
    try:
        return parts if SPOTS[0] in parts.render(first, generate=True) else plain
    except ConfigError:
        return plain


DATED = "the prompt changes with the date"


def _faults(probe: Probe) -> Iterator[Fault]:
    first = conversation(QUESTIONS[0])
    opening = probe.render(first, generate=True)
    before, question, tail = opening.rpartition(QUESTIONS[0])
    if not question:
        yield Fault("it leaves out texts", f"it leaves the user's text out of {opening!r}")
        return
    yield from _open_ways(probe)
    opener = frame_of(probe).opener
    if opener:
        kind = f"its generation prompt goes on with {opener!r}"
        yield Fault(kind, f"its generation prompt begins the answer: {opener!r} in {tail!r}")
    dates = (lambda _format: "one day", lambda _format: "another day")
    if len({replace(probe, names={"strftime_now": date}).render(first, generate=True) for date in dates}) > 1:
        yield Fault(DATED, f"{DATED}: {before!r}")
    for answer in ANSWERS:
        yield from _turn_faults(probe, first, answer)
    for answer, last in (ANSWERS, ANSWERS[::-1]):
        earlier = conversation(QUESTIONS[0], answer, QUESTIONS[1])
        second = probe.render(earlier, generate=True)
        if not second.startswith(opening + answer):
            yield Fault("it changes earlier answers", f"an earlier answer {answer!r} is not kept as it was written")
        if second.rpartition(QUESTIONS[1])[2] != tail:
            yield Fault("its generation prompts differ", f"its second generation prompt is not {tail!r}: {second!r}")
        yield from _turn_faults(probe, earlier, last)


def _open_ways(probe: Probe) -> Iterator[Fault]:
    """What the syntax leaves open: texts and arguments that choose. A wrapped template shows none to the one inside."""
    inner = wrapped_template(probe.template)
    if inner is not None and wrap(_probe(probe.tokenizer, inner, probe.tools)) == probe.template:
        return
    if probe.in_parts:
        yield Fault("it reads lists of parts only", "it reads lists of parts only, and writes no text that is one")
    looks = looks_at_texts(probe.template)
    given = arguments(probe.template, probe.tokenizer.special_tokens_map)
    names = ", ".join(read_before_set(probe.template, given) or (() if looks else given))
    if names:
        yield Fault(f"it takes arguments ({names})", f"arguments can change what it writes: {names}")
    if looks:
        yield Fault("it looks at texts", "what messages say, or how many they are, can change what else it writes")


def _turn_faults(probe: Probe, earlier: list[Message], answer: str) -> Iterator[Fault]:
    """Whether the conversation so far and an answer are: generation prompt + answer + end token, and no more tokens."""
    opening = probe.render(earlier, generate=True)
    whole = probe.render([*earlier, {"role": "assistant", "content": answer}], generate=False)
    expected = opening + answer + str(probe.tokenizer.eos_token)
    if not whole.startswith(expected):
        start = max(0, len(opening) - 20)
        seen = f"an answer is written as {whole[start:]!r}, expected {expected[start:]!r}"
        yield Fault("it does not write answers as the model does", seen)
        return
    rest = whole.removeprefix(expected)
    if probe.chain(rest):
        yield Fault("it ends an answer twice", f"after an answer's end token it writes {rest!r}")
    tokenizer = probe.tokenizer
    prompt_ids = tokenizer(opening, add_special_tokens=False).input_ids
    expected_ids = [*prompt_ids, *render_completion(tokenizer, answer, finished=True)]
    whole_ids = tokenizer(whole, add_special_tokens=False).input_ids
    if whole_ids[: len(expected_ids)] != expected_ids:
        seen = f"{expected!r} has other token ids as a whole than as prompt and completion"
        yield Fault("prompt and answer join their tokens", seen)


def _without_date(template: str) -> str:
    """`strftime_now("%d %b %Y")` -> the fixed day in that format."""
    return re.sub(
        r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""",
        lambda call: json.dumps(FIXED_DAY.strftime(call[2]), ensure_ascii=False),
        template,
    )


def _beyond_repair(seen: Sequence[str]) -> ConfigError:
    return ConfigError(f"the chat template cannot be repaired: {'; '.join(dict.fromkeys(seen))}; {WAY_OUT}")
