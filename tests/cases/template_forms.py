"""Chat templates in every form that chooses a mode, hides thoughts or ends answers oddly, and their plain header.

Special tokens are those of tests/unit/thinkless_core/student/trained_tokenizers.py.
"""

from __future__ import annotations

from typing import NamedTuple


class Form(NamedTuple):
    """One template, and what it comes to."""

    template: str
    opening: str = "<|im_end|>\nassistant:"
    """What stands between a user's text and an answer."""
    trims: bool = False
    """Whether it trims users' texts."""


def turns(written: str = "m.content", *, before: str = "", end: str = "<|im_end|>\\n") -> str:
    """Every message in a loop: its role, `before` an assistant's, its text, the end of the turn."""
    opened = f"{{% if m.role == 'assistant' %}}{before}{{% endif %}}" if before else ""
    return f"{{% for m in messages %}}{{{{ m.role + ':' }}}}{opened}{{{{ {written} }}}}{{{{ '{end}' }}}}{{% endfor %}}"


def asked(opener: str = "") -> str:
    """The generation prompt, with what follows its header."""
    return "{% if add_generation_prompt %}{{ 'assistant:' }}" + opener + "{% endif %}"


LAST = "messages[-1].content"
FORMS = {
    "bracket": Form(turns() + asked("[THINK]")),
    "tag": Form(turns() + asked("<reasoning>")),
    "tag with a colon": Form(turns() + asked("<think:opensource>\n")),
    "channel": Form(turns() + asked("<|channel>thought\n<channel|>")),
    "upper case": Form(turns() + asked("<|START_THINKING|>")),
    "three tokens": Form(turns() + asked("<|open|>think<|sep|>")),
    "sentence": Form(turns() + asked("Here are my reasoning steps:\n")),
    "sentence on a line of its own": Form(turns() + asked("\nLet us think.\n")),
    "tag in history too": Form(turns(before="<reason>") + asked("<reason>")),
    "control token in history too": Form(turns(before="<think>\n") + asked("<think>\n")),
    "closed thought": Form(turns() + asked("{{ '<think>\\n\\n</think>\\n\\n' }}")),
    "switch": Form(turns() + asked("{% if '/no_think' in " + LAST + " %}<think></think>{% else %}<think>{% endif %}")),
    "switch of the system": Form(
        "{% set ns = namespace(off=false) %}{% for m in messages %}{% if m.role == 'system' and 'off' in m.content %}"
        "{% set ns.off = true %}{% endif %}{% endfor %}" + turns() + asked("{% if ns.off %}<think></think>{% endif %}")
    ),
    "switch that changes history": Form(
        "{% if '/think' in " + LAST + " %}{{ 'system:Think!<|im_end|>\\n' }}{% endif %}" + turns() + asked()
    ),
    "argument": Form(
        turns() + asked("{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}")
    ),
    "argument with a default": Form(
        "{% set thinking = thinking | default(true) %}{% if not thinking %}{{ 'system:Fast.<|im_end|>\\n' }}{% endif %}"
        + turns() + asked("{% if thinking %}<think>{% endif %}")
    ),
    "argument in a macro": Form(
        "{% macro open(text) %}{{ text }}{% if reasoning_effort == 'high' %}<think>{% endif %}{% endmacro %}"
        + turns() + asked().replace("{{ 'assistant:' }}", "{{ open('assistant:') }}")
    ),
    "length of the conversation": Form(turns() + asked("{% if messages | length > 3 %}<think>{% endif %}")),
    "role of the first": Form(turns() + asked("{% if messages[0].role == 'system' %}<think></think>{% endif %}")),
    "thoughts cut off": Form(
        turns("m.content.split('</think>')[-1] | trim if m.role == 'assistant' else m.content") + asked()
    ),
    "trimmed": Form(turns("m.content | trim") + asked(), trims=True),
    "masks": Form(
        "{% for m in messages %}{{ m.role + ':' }}{% if m.role == 'assistant' %}{% generation %}"
        "{{ m.content.split('</think>')[-1] + '<|im_end|>\\n' }}{% endgeneration %}{% else %}"
        "{{ m.content + '<|im_end|>\\n' }}{% endif %}{% endfor %}" + asked("<think>")
    ),
    "two end tokens": Form(turns(end="<|im_end|> </s>\\n") + asked(), opening="<|im_end|> </s>\nassistant:"),
    "another end at the end": Form(turns() + "{% if add_generation_prompt %}assistant:{% else %}</s>{% endif %}"),
    "end token after a space": Form(
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ ' ' + m.content | trim + ' <|im_end|>' }}{% else %}"
        "{{ '[I]' + m.content + '[/I]' }}{% endif %}{% endfor %}",
        opening="[/I]",
    ),
    "tool calls": Form(
        "{% for m in messages %}{{ m.role + ':' + (m.content | trim) }}{% for c in m.tool_calls or [] %}"
        "{{ 'CALL ' + c.function.name }}{% endfor %}{{ '<|im_end|>\\n' }}{% endfor %}" + asked(),
        trims=True,
    ),
    "parts only": Form(
        "{% for m in messages %}{{ m.role + ':' }}{% for p in m.content if p.type == 'text' %}{{ p.text }}{% endfor %}"
        "{{ '<|im_end|>\\n' }}{% endfor %}" + asked("<think>")
    ),
}  # fmt: skip
