r"""A chat template that leaves the first token of an answer to the model, and keeps all of the answer.

template -> probes -> it is fine: kept as it is, character by character
                   -> edited if a known phrase is at fault -> probes
                   -> wrapped: rendered by itself, then assistant turns put in verbatim -> probes

What the probes ask of a template, on made-up conversations:
* the generation prompt ends right before the control token (not after `<think>\n`, as reasoning models' do);
* a conversation is, up to and with the end token, generation prompt + completion, as text and as token ids, also in
  its second turn: thinking stays in the history, nothing is trimmed, nothing is put before an answer;
* the prompt does not change with the date.
Everything else is the template's own business and stays: a default system prompt, the header of a turn, a refusal of
system messages. Templates are saved as ordinary ones, for plain transformers and vLLM.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from schemas.errors import ConfigError
from schemas.mode import THINK_END, Mode
from thinkless_core.student.control_tokens import CONTROL_TEXTS
from thinkless_core.student.rendering import render_completion

WAY_OUT = "write a repaired template into a file and set base.model.chat_template to its path"
QUESTIONS = ("What is 1 + 1?", "And 2 + 2?")
ANSWERS = (f"{Mode.THINK.token}\nOne and one.\n{THINK_END}\n\n2 \n", f"{Mode.SHORT.token}4")
SPOTS = ("\ue0000\ue000", "\ue0001\ue000", "\ue0002\ue000", "\ue0003\ue000")
"""What a wrapped template shows the original instead of an assistant's message, by the message's place."""
FIXED_DAY = datetime.datetime(2024, 7, 26)
"""The day a template that names today's date is fixed to: the one Llama's own falls back on."""


@dataclass(frozen=True)
class RepairedTemplate:
    """A template that passes the probes, and what was done to it; nothing for one that did at once."""

    text: str
    repairs: tuple[str, ...]


def repair_template(tokenizer: PreTrainedTokenizerBase, template: str) -> RepairedTemplate:
    """The template, or the least changed version of it that passes all probes; raises ConfigError if none does.

    `tokenizer` has its control tokens, and the end token that the template writes (`end_token_of`).
    """
    found = faults(tokenizer, template)
    if not found:
        return RepairedTemplate(template, ())
    edited, edits = _edited(template)
    if edits and not faults(tokenizer, edited):
        return RepairedTemplate(edited, edits)
    dated = _without_date(template)
    wrapped = _wrapped(tokenizer, dated)
    left = faults(tokenizer, wrapped)
    if left:
        raise ConfigError(f"the chat template cannot be repaired: {'; '.join(left)}; {WAY_OUT}")
    dates = ("the date is fixed",) if dated != template else ()
    return RepairedTemplate(wrapped, (*dates, f"wrapped, because {'; '.join(found)}"))


def end_token_of(tokenizer: PreTrainedTokenizerBase, template: str) -> str:
    """The special token that the template writes after an assistant's message; the tokenizer's own if none is there."""
    whole = _render(tokenizer, template, _conversation(QUESTIONS[0], SPOTS[1]), generate=False)
    after = whole.partition(SPOTS[1])[2]
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    written = [token for token in special if after.startswith(token)]
    return max(written, key=len) if written else str(tokenizer.eos_token)


def faults(tokenizer: PreTrainedTokenizerBase, template: str) -> tuple[str, ...]:
    """What is wrong with a template, in words; raises ConfigError for one that cannot be rendered at all."""
    return tuple(dict.fromkeys(_faults(tokenizer, template)))


def _faults(tokenizer: PreTrainedTokenizerBase, template: str) -> Iterator[str]:
    first = _conversation(QUESTIONS[0])
    opening = _render(tokenizer, template, first, generate=True)
    before, question, tail = opening.rpartition(QUESTIONS[0])
    if not question:
        yield f"it leaves the user's text out of {opening!r}"
        return
    if _opener(tail):
        yield f"its generation prompt already writes the control token: {tail!r}"
    dates = (lambda _format: "one day", lambda _format: "another day")
    if len({_render(tokenizer, template, first, generate=True, strftime_now=date) for date in dates}) > 1:
        yield f"the prompt changes with the date: {before!r}"
    for answer in ANSWERS:
        yield from _turn_faults(tokenizer, template, first, answer)
    for answer, last in (ANSWERS, ANSWERS[::-1]):
        earlier = _conversation(QUESTIONS[0], answer, QUESTIONS[1])
        if not _render(tokenizer, template, earlier, generate=True).startswith(opening + answer):
            yield f"an earlier answer {answer!r} is not kept as it was written"
        yield from _turn_faults(tokenizer, template, earlier, last)


def _turn_faults(
    tokenizer: PreTrainedTokenizerBase, template: str, earlier: list[dict[str, str]], answer: str
) -> Iterator[str]:
    """Whether the conversation so far and an answer are: generation prompt + answer + end token."""
    opening = _render(tokenizer, template, earlier, generate=True)
    whole = _render(tokenizer, template, [*earlier, {"role": "assistant", "content": answer}], generate=False)
    expected = opening + answer + str(tokenizer.eos_token)
    if not whole.startswith(expected):
        start = max(0, len(opening) - 20)
        yield f"an answer is written as {whole[start:]!r}, expected {expected[start:]!r}"
        return
    prompt_ids = tokenizer(opening, add_special_tokens=False).input_ids
    expected_ids = [*prompt_ids, *render_completion(tokenizer, answer, finished=True)]
    whole_ids = tokenizer(whole, add_special_tokens=False).input_ids
    if whole_ids[: len(expected_ids)] != expected_ids:
        yield f"{expected!r} has other token ids as a whole than as prompt and completion"


def _render(
    tokenizer: PreTrainedTokenizerBase, template: str, messages: list[dict[str, str]], *, generate: bool, **names: Any
) -> str:
    try:
        return str(
            tokenizer.apply_chat_template(
                messages, chat_template=template, add_generation_prompt=generate, tokenize=False, **names
            )
        )
    except (TemplateError, TypeError, ValueError, LookupError) as error:
        turns = ", ".join(message["role"] for message in messages)
        raise ConfigError(
            f"the chat template cannot render a conversation of {turns}: {type(error).__name__}: {error}; {WAY_OUT}"
        ) from error


def _conversation(*contents: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]


def _opener(tail: str) -> str:
    """What a generation prompt writes from its first control token on; empty for one without."""
    places = [tail.index(text) for text in CONTROL_TEXTS if text in tail]
    return tail[min(places) :] if places else ""


def _edited(template: str) -> tuple[str, tuple[str, ...]]:
    """The template without the phrases that are known to be at fault, and what was taken out."""
    edits = []
    text = _without_date(template)
    if text != template:
        edits.append("the date is fixed")
    kept = re.sub(r"""\.split\(\s*(["'])</think>\1\s*\)\[-1\](?:\s*\|\s*trim|\.l?strip\([^)]*\))?""", "", text)
    if kept != text:
        edits.append("history keeps thinking")
    body, condition, tail = kept.rpartition("add_generation_prompt")
    closed = re.sub(r"<think>(?:\\n|\n)*(?=[\"'{])", "", tail)
    if closed != tail:
        edits.append("the generation prompt ends before <think>")
    return body + condition + closed, tuple(edits)


def _without_date(template: str) -> str:
    """`strftime_now("%d %b %Y")` -> the fixed day in that format."""
    return re.sub(
        r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""", lambda call: _literal(FIXED_DAY.strftime(call[2])), template
    )


WRAPPER = """\
{#- Assistant turns are written verbatim, after what the template inside writes before an answer of the model. -#}
{%- macro thinkless_inner(messages, add_generation_prompt) %}
@TEMPLATE@{% endmacro -%}
{%- set thinkless = namespace(messages=[], text="") -%}
{%- for message in messages -%}
{%- if message["role"] == "assistant" and message["content"] is string -%}
{%- set message = dict(message, content="\\ue000" ~ loop.index0 ~ "\\ue000") -%}
{%- endif -%}
{%- set thinkless.messages = thinkless.messages + [message] -%}
{%- endfor -%}
{%- set thinkless.text = thinkless_inner(thinkless.messages, add_generation_prompt) -%}
{%- if add_generation_prompt and @OPENER@ and thinkless.text.endswith(@OPENER@) -%}
{%- set thinkless.text = thinkless.text[:-@LENGTH@] -%}
{%- endif -%}
{%- for message in messages -%}
{%- if message["role"] == "assistant" and message["content"] is string -%}
{%- set spot = "\\ue000" ~ loop.index0 ~ "\\ue000" -%}
{%- set thinkless.text = thinkless.text.replace(spot ~ @END@, spot) -%}
{%- for written, wanted in @HEADERS@ -%}
{%- set thinkless.text = thinkless.text.replace(written ~ spot, wanted ~ message["content"] ~ @END@) -%}
{%- endfor -%}
{%- endif -%}
{%- endfor -%}
{{- thinkless.text -}}
"""


def _wrapped(tokenizer: PreTrainedTokenizerBase, template: str) -> str:
    """A template that renders the original on spots instead of answers, then writes the answers into the spots.

    Where the original puts something else before an answer in the history than before one to be generated (an empty
    `<think></think>`, a missing line break), the latter is written in both places.
    """
    opening = _render(tokenizer, template, _conversation(QUESTIONS[0]), generate=True)
    opener = _opener(opening.rpartition(QUESTIONS[0])[2])
    one = _conversation(QUESTIONS[0], SPOTS[1])
    two = _conversation(QUESTIONS[0], SPOTS[1], QUESTIONS[1])
    three = [*two, {"role": "assistant", "content": SPOTS[3]}]
    headers = {("", "")}
    for history, spot, prompt in ((one, SPOTS[1], one[:1]), (two, SPOTS[1], one[:1]), (three, SPOTS[3], two)):
        written = _render(tokenizer, template, history, generate=False).partition(spot)[0].rpartition(SPOTS[1])[2]
        wanted = _render(tokenizer, template, prompt, generate=True).removesuffix(opener).rpartition(SPOTS[1])[2]
        common = next((i for i, (a, b) in enumerate(zip(written, wanted, strict=False)) if a != b), None)
        common = min(len(written), len(wanted)) if common is None else common
        headers.add((written[common:], wanted[common:]))
    longest_first = sorted(headers - {("", "")}, key=lambda header: -len(header[0]))
    if all(written for written, _ in longest_first):
        longest_first.append(("", ""))
    names = {
        "@OPENER@": _literal(opener),
        "@LENGTH@": str(max(1, len(opener))),
        "@END@": _literal(str(tokenizer.eos_token)),
        "@HEADERS@": f"[{', '.join(f'({_literal(a)}, {_literal(b)})' for a, b in longest_first)}]",
        "@TEMPLATE@": template.removesuffix("\n"),
    }
    return re.sub("|".join(names), lambda found: names[found[0]], WRAPPER)


def _literal(text: str) -> str:
    """A text as Jinja reads it."""
    return json.dumps(text, ensure_ascii=False)
