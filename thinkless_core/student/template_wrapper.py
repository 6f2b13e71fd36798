r"""A chat template around another one, which never sees a text or an argument and so cannot choose a mode by it.

messages -> spots instead of texts -> the template inside -> text cut at the spots -> headers and ends of answers set
         -> texts written into the spots, each once, and never read again

A spot is a mark that stands in none of the messages, the text's number and an end. What the template inside writes
around the texts stays, but for three places:
* before an answer, in history and generation prompt alike, everything after the plain header goes (`Frame`);
* after an answer stands one end token;
* an answer is written verbatim. Other texts are trimmed where the template trims them, and messages that call tools or
  say nothing are left to it.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.errors import ConfigError
from thinkless_core.student.control_tokens import CONTROL_TEXTS
from thinkless_core.student.template_probe import SPOTS, Message, Probe, conversation
from thinkless_core.student.template_syntax import arguments, has_masks, without_masks

QUESTION, ANSWER, NEXT = SPOTS[:3]
THOUGHT_TAG = re.compile(r"<[^<>]*(?:think|thought|reason)[^<>]*>|\[[^\[\]]*THINK[^\[\]]*\]", re.IGNORECASE)
THOUGHT = re.compile(r"think|thought|reason", re.IGNORECASE)
SPACES = " \n\t"
CALL = {"type": "function", "id": "call00001", "function": {"name": "f", "arguments": {"x": "1"}}}

WRAPPER = r"""
{#- thinkless: the template inside sees neither texts nor arguments; answers follow its plain header verbatim. -#}
{%- macro thinkless_inner(@PARAMETERS@) %}
@TEMPLATE@{%+ endmacro -%}
{#- thinkless: end of the template inside. -#}
{%- set thinkless = namespace(texts=[], shown=[], text=none, message=none, rest="") -%}
{%- set mark = "\ue000" ~ "\ue001" * (([messages, tools, documents] | string).count("\\ue001") + 1) -%}
{%- for message in messages -%}
{%- set content, called = message["content"], message["tool_calls"] or message["function_call"] -%}
{%- set thinkless.text = content if content is string else none -%}
{%- if content is defined and content is sequence and content is not string and content is not mapping -%}
{%- set thinkless.text = "" -%}
{%- for part in content -%}
{%- set text = part if part is string else part["text"] if part["type"] == "text" else none -%}
{%- if text is not string -%}
{{ raise_exception("content may be a text or a list of parts of type text, no other ones") }}
{%- endif -%}
{%- set thinkless.text = thinkless.text ~ text -%}
{%- endfor -%}
{%- endif -%}
{%- set answer = message["role"] == "assistant" and thinkless.text and not called -%}
{%- if answer and (message["reasoning_content"] or message["reasoning"] or message["thinking"]) -%}
{{ raise_exception("an answer holds its thoughts in content, <think> ... </think>, not in a field of their own") }}
{%- endif -%}
{%- if thinkless.text or (thinkless.text is string and message["role"] == "user") -%}
{%- set spot = mark ~ (thinkless.texts | length) ~ "\ue002" -%}
{%- set thinkless.message = dict(message if called else {"role": message["role"]}, content=@CONTENT@) -%}
{%- for key in ["name", "tool_call_id", "tools", "functions"] if message[key] is defined -%}
{%- set thinkless.message = dict(thinkless.message, **{key: message[key]}) -%}
{%- endfor -%}
{%- set thinkless.shown = thinkless.shown + [thinkless.message] -%}
{%- set text = dict(text=thinkless.text, answer=answer, role=message["role"] ~ ("+" if called else ""), \
place=loop.index0) -%}
{%- set thinkless.texts = thinkless.texts + [text] -%}
{%- else -%}
{%- set thinkless.shown = thinkless.shown + [message] -%}
{%- endif -%}
{%- endfor -%}
{%- for part in thinkless_inner(thinkless.shown, add_generation_prompt).split(mark) -%}
{%- set cut = ["", "", part] if loop.first else part.partition("\ue002") -%}
{%- set now = none if loop.first else thinkless.texts[cut[0] | int] -%}
{%- set next = none if loop.last else thinkless.texts[loop.nextitem.partition("\ue002")[0] | int] -%}
{%- set asked = loop.last and add_generation_prompt -%}
{%- set thinkless.rest = cut[2] -%}
{%- if now and now.answer and loop.last and not asked and now.place + 1 == messages | length -%}
{%- set thinkless.rest = @SPACE@ -%}
{%- elif now and now.answer -%}
{%- set thinkless.rest = cut[2].lstrip()[(@END@ | length):] if cut[2].lstrip().startswith(@END@) else cut[2] -%}
{%- for closing in @CLOSINGS@ | reverse if cut[2].startswith(closing) -%}
{%- set thinkless.rest = cut[2][(closing | length):] -%}
{%- endfor -%}
{%- endif -%}
{%- if asked or (next and next.answer) -%}
{%- set place = messages | length if asked else next.place -%}
{%- if now and now.role == "user" and now.place + 1 == place and cut[2].startswith(@WRITTEN@) -%}
{%- set thinkless.rest = @OPENING@ -%}
{%- elif @HEADER@ and @HEADER@ in thinkless.rest -%}
{%- set thinkless.rest = thinkless.rest.rpartition(@HEADER@)[0] ~ @LINE@ -%}
{%- elif asked and @OPENER@ and cut[2].endswith(@OPENER@) -%}
{%- set thinkless.rest = cut[2][:-(@OPENER@ | length)] -%}
{%- else -%}
{%- for _ in range(3) -%}
{%- for text in @CONTROL@ if thinkless.rest.rstrip().endswith(text) -%}
{%- set thinkless.rest = thinkless.rest.rstrip()[:-(text | length)] -%}
{%- endfor -%}
{%- endfor -%}
{%- if asked and \
thinkless_inner(thinkless.shown, false).split(mark)[-1].partition("\ue002")[2].strip() != thinkless.rest.strip() -%}
{{ raise_exception("the chat template opens an answer in a way of its own after these messages: " ~ thinkless.rest) }}
{%- endif -%}
{%- endif -%}
{%- endif -%}
{%- if now and now.answer -%}
@MASK@{{- now.text ~ @END@ -}}@UNMASK@
{%- elif now -%}
{%- set form = @FORMS@.get(now.role, ["", "", false]) -%}
{%- set text = now.text.lstrip(form[0]).rstrip(form[1]) -%}
{{- (text | tojson)[1:-1] if form[2] else text -}}
{%- endif -%}
{{- thinkless.rest -}}
{%- endfor -%}
""".lstrip("\n").replace("\\\n", "")
INNER = re.compile(
    re.escape(WRAPPER.partition("@PARAMETERS@")[0])
    + r"[^)]*\) %\}\n(.*)"
    + re.escape(WRAPPER.partition("@TEMPLATE@")[2].partition("-#}")[0]),
    re.DOTALL,
)


@dataclass(frozen=True)
class Frame:
    """What a template writes around answers."""

    opening: str
    """Between a user's text and an answer, as far as generation prompt and history agree: with the plain header."""
    written: tuple[str, str]
    """The same as the generation prompt has it and as the history has it; white space may differ."""
    header: str
    """Its end: what opens the assistant's turn, and not what closes the user's. Empty if nothing does."""
    opener: str
    """What else the generation prompt says: it begins the answer, so it goes."""
    closings: tuple[str, ...]
    """What ends an answer at the end of a conversation, and in its middle: tokens, with white space between them."""
    space: str
    """White space after that at the end of a conversation."""


def frame_of(probe: Probe) -> Frame:
    """Look at what a template writes around answers; raises ConfigError if it leaves texts out or cannot be read."""
    one, two = conversation(*SPOTS[:1]), conversation(*SPOTS[:2])
    asked, history = probe.after(QUESTION, one, generate=True), probe.between(QUESTION, ANSWER, two)
    closed = probe.after(QUESTION, one, generate=False)
    opening, seen = probe.agree(asked, history)
    tag = THOUGHT_TAG.search(opening, len(probe.agree(opening, closed)[0]))
    if tag:
        opening, seen = opening[: tag.start()], seen[: seen.rindex(tag[0])]
    header = opening[len(probe.agree(opening, closed)[0]) :].lstrip()
    end, after = ends_of(probe)
    middle = probe.between(ANSWER, NEXT, conversation(*SPOTS[:3]))
    closings = {end, probe.chained(probe.agree(middle, closed)[0])} - {""}
    return Frame(
        opening=opening,
        written=(opening, seen),
        header=header,
        opener=asked.removeprefix(opening),
        closings=tuple(sorted(closings, key=len, reverse=True)),
        space=after[: len(after) - len(after.lstrip())],
    )


def ends_of(probe: Probe) -> tuple[str, str]:
    """What ends an answer, tokens with white space between them, and what follows if the conversation ends there.

    It is what stands there before a further message too; or else what only the end of a conversation has; or else what
    only a further message has before it, less what stands before a first one.
    """
    end, middle = probe.after(ANSWER, conversation(*SPOTS[:2]), generate=False), ""
    with contextlib.suppress(ConfigError):
        middle = probe.between(ANSWER, NEXT, conversation(*SPOTS[:3]))
    closing = probe.chained(probe.agree(end, middle or end)[0]) or probe.chained(end)
    if closing:
        return closing, end.removeprefix(closing)
    begun = probe.pieces(probe.render(conversation(*SPOTS[:1]), generate=False).partition(QUESTION)[0])
    between = probe.pieces(middle)
    while between and begun and between[-1] == begun[-1]:
        between, begun = between[:-1], begun[:-1]
    return probe.chained("".join(between)), end


def wrap(probe: Probe) -> str:
    """The template inside the wrapper; raises ConfigError for one that cannot be read."""
    frame = frame_of(probe)
    if frame.opener and not frame.opening:
        raise ConfigError(f"its generation prompt {frame.opener!r} has nothing in common with what precedes an answer")
    if THOUGHT.search(frame.header):
        raise ConfigError(f"its header speaks of thinking before every answer: {frame.header!r}")
    names = arguments(probe.template, probe.tokenizer.special_tokens_map)
    masks = has_masks(probe.template)
    values = {
        "PARAMETERS": ", ".join(("messages", "add_generation_prompt", *names)),
        "TEMPLATE": without_masks(probe.template).removesuffix("\n"),
        "CONTENT": '[{"type": "text", "text": spot}]' if probe.in_parts else "spot",
        "OPENING": _literal(frame.opening),
        "WRITTEN": f"({', '.join(map(_literal, dict.fromkeys(frame.written)))},)",
        "HEADER": _literal(frame.header.rstrip()),
        "LINE": _literal(frame.header),
        "CLOSINGS": f"[{', '.join(map(_literal, frame.closings))}]",
        "SPACE": _literal(frame.space),
        "END": _literal(str(probe.tokenizer.eos_token)),
        "OPENER": _literal(frame.opener),
        "CONTROL": f"[{', '.join(map(_literal, CONTROL_TEXTS))}]",
        "MASK": "{%- generation -%}" if masks else "",
        "UNMASK": "{%- endgeneration -%}" if masks else "",
        "FORMS": _forms(probe),
    }
    return re.sub("@([A-Z]+)@", lambda name: values[name[1]], WRAPPER)


def wrapped_template(template: str) -> str | None:
    """The template inside a wrapped one; None for any other."""
    found = INNER.match(template)
    return None if found is None else found[1]


def _forms(probe: Probe) -> str:
    """How the template writes texts of each role that are no answers, as Jinja reads it."""
    spot = ANSWER
    call = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    result = {"role": "tool", "content": spot, "name": "f", "tool_call_id": CALL["id"]}
    first, *_ = conversation(QUESTION)
    shapes: dict[str, list[Message]] = {
        "user": conversation(spot),
        "system": [{"role": "system", "content": spot}, first],
        "developer": [{"role": "developer", "content": spot}, first],
        "assistant+": [first, call | {"content": spot}],
        "tool": [first, call, result],
    }
    forms = {role: _form(probe, spot, shape) for role, shape in shapes.items()}
    return f"{{{', '.join(f'{_literal(role)}: {form}' for role, form in forms.items() if form is not None)}}}"


def _form(probe: Probe, spot: str, shape: Sequence[Message]) -> str | None:
    """What is cut off on the left and on the right of a text, and whether it is written as JSON; None for verbatim."""

    def written(text: str) -> str:
        return probe.render([dict(m, content=text) if m["content"] == spot else m for m in shape], generate=False)

    try:
        bare = written(spot)
        if spot not in bare:
            return None
        left = "".join(space for space in SPACES if written(space + spot) == bare)
        right = "".join(space for space in SPACES if written(spot + space) == bare)
        quoted = f'\\"{spot}' in written(f'"{spot}')
    except ConfigError:  # a role that it refuses
        return None
    if not left and not right and not quoted:
        return None
    cuts = ("none" if cut == SPACES else _literal(cut) for cut in (left, right))
    return f"[{', '.join(cuts)}, {'true' if quoted else 'false'}]"


def _literal(text: str) -> str:
    """A text as Jinja reads it."""
    return json.dumps(text, ensure_ascii=False)
