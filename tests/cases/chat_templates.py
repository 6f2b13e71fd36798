"""Small chat templates, each with the trap of a well-known one, and what they make of a first question `Q`.

Special tokens are those of tests/unit/thinkless_core/student/trained_tokenizers.py.
"""

from __future__ import annotations

from typing import NamedTuple


class Trap(NamedTuple):
    """One template and how it is repaired."""

    template: str
    prompt: str
    """The prompt of the question `Q` afterwards, up to where the control token comes."""
    repair: str | None
    """Part of what is reported as done; None where the template is fine and stays as it is."""


PLAIN_TURN = "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}"
GENERATE = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
ASSISTANT = "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n"

TRAPS = {
    "fine": Trap("{% for m in messages %}" + PLAIN_TURN + "{% endfor %}" + GENERATE, ASSISTANT, None),
    "default system prompt": Trap(
        "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}{% endif %}"
        "{% for m in messages %}" + PLAIN_TURN + "{% endfor %}" + GENERATE,
        "<|im_start|>system\nYou are helpful.<|im_end|>\n" + ASSISTANT,
        None,
    ),
    "generation prompt ends in <think> and a newline, history is stripped of thinking": Trap(
        # DeepSeek-R1 and its distilled models
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '<|user|>' + m['content'] }}{% else %}"
        "{% set content = m['content'] %}{% if '</think>' in content %}"
        "{% set content = content.split('</think>')[-1] %}{% endif %}{{ '<|assistant|>' + content + '<|im_end|>' }}"
        "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|><think>\\n' }}{% endif %}",
        "<s><|user|>Q<|assistant|>",
        "it looks at texts; its generation prompt goes on with '<think>\\n'; it does not write answers",
    ),
    "generation prompt ends in <think> outside of an expression": Trap(
        "{% for m in messages %}" + PLAIN_TURN + "{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n<think>{% endif %}",
        ASSISTANT,
        "wrapped, because its generation prompt goes on with '<think>'",
    ),
    "generation prompt put together from parts": Trap(
        "{% set opener = '<thi' ~ 'nk>\\n' %}{% for m in messages %}" + PLAIN_TURN + "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' ~ opener }}{% endif %}",
        ASSISTANT,
        "wrapped",
    ),
    "an empty thought is put before the last answer, thinking of earlier ones is dropped": Trap(
        # Qwen3
        "{%- set ns = namespace(last=0) -%}{%- for m in messages -%}{%- if m.role == 'user' -%}"
        "{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}"
        "{%- for m in messages -%}{%- if m.role == 'user' -%}{{ '<|im_start|>user\\n' + m.content + '<|im_end|>\\n' }}"
        "{%- else -%}{%- set content = m.content -%}{%- set thought = '' -%}{%- if '</think>' in m.content -%}"
        "{%- set content = m.content.split('</think>')[-1].lstrip('\\n') -%}"
        "{%- set thought = m.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') -%}"
        "{%- endif -%}{%- if loop.index0 > ns.last -%}"
        "{{ '<|im_start|>assistant\\n<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' }}"
        "{{ content.lstrip('\\n') }}"
        "{%- else -%}{{ '<|im_start|>assistant\\n' + content }}{%- endif -%}{{ '<|im_end|>\\n' }}"
        "{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}"
        "{%- if enable_thinking is defined and enable_thinking is false -%}{{ '<think>\\n\\n</think>\\n\\n' }}"
        "{%- endif -%}{%- endif -%}",
        ASSISTANT,
        "wrapped",
    ),
    "generation prompt opens and closes an empty thought": Trap(
        "{% for m in messages %}" + PLAIN_TURN + "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' }}{% endif %}",
        ASSISTANT,
        "wrapped",
    ),
    "header with newlines, content trimmed": Trap(
        # Llama 3
        "{% for m in messages %}{% set content = '<|im_start|>' + m['role'] + '<|user|>\\n\\n' + m['content'] | trim "
        "+ '<|im_end|>' %}{{ content }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|user|>\\n\\n' }}{% endif %}",
        "<|im_start|>user<|user|>\n\nQ<|im_end|><|im_start|>assistant<|user|>\n\n",
        "wrapped",
    ),
    "header differs between history and generation prompt": Trap(
        "{% for m in messages %}{% if m['role'] == 'user' %}{{ '<|user|>' + m['content'] + '\\n' }}{% else %}"
        "{{ '<|assistant|>' + m['content'] + '<|im_end|>\\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
        "<|user|>Q\n<|assistant|>\n",
        "wrapped",
    ),
    "a space in the history that the generation prompt does not have": Trap(
        # Llama 2
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
        "{% else %}{{ ' ' + m['content'] + ' ' + eos_token }}{% endif %}{% endfor %}",
        "<s>[INST] Q [/INST]",
        "wrapped",
    ),
    "no end token after an answer": Trap(
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}",
        "user: Q\nassistant: ",
        "wrapped",
    ),
    "the system role is refused": Trap(
        # Gemma
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('roles must alternate') }}{% endif %}" + PLAIN_TURN + "{% endfor %}" + GENERATE,
        ASSISTANT,
        None,
    ),
    "the prompt names today": Trap(
        # Llama 3.1
        "{% if strftime_now is defined %}{% set date = strftime_now('%d %b %Y') %}{% else %}{% set date = 'x' %}"
        "{% endif %}{{ '<|im_start|>system\\nToday: ' + date + '<|im_end|>\\n' }}"
        "{% for m in messages %}" + PLAIN_TURN + "{% endfor %}" + GENERATE,
        "<|im_start|>system\nToday: 26 Jul 2024<|im_end|>\n" + ASSISTANT,
        "the date is fixed",
    ),
}
