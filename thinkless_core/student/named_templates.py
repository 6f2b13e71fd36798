"""All chat templates of a tokenizer: the one that prompts are made with, and named ones beside it, such as `tool_use`.

templates -> each repaired by itself -> those that could be, and in words what was done to every one
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from schemas.errors import ConfigError
from thinkless_core.student.chat_template import TOOL, foreign_markers, repair_template
from thinkless_core.student.template_probe import WAY_OUT

DEFAULT = "default"


@dataclass(frozen=True)
class RepairedTemplates:
    """What the tokenizer gets as `chat_template`, and what was done, in words; none for one used as it is."""

    chat_template: str | dict[str, str]
    repairs: tuple[str, ...]


def default_of(templates: str | Mapping[str, str]) -> str:
    """The template that prompts are made with; raises ConfigError if there are only others."""
    if isinstance(templates, str):
        return templates
    if DEFAULT not in templates:
        raise ConfigError(
            f"the tokenizer has chat templates named {', '.join(sorted(templates))} and none named {DEFAULT!r}, which "
            f"prompts are made with; write one of them into a file and set base.model.chat_template to its path"
        )
    return templates[DEFAULT]


def repair_templates(tokenizer: PreTrainedTokenizerBase, templates: str | Mapping[str, str]) -> RepairedTemplates:
    """Repair the default template, and of the named ones those that can be; raises ConfigError for the default one.

    `tokenizer` has its control tokens, and the end token that the default template writes.
    """
    default = default_of(templates)
    repaired = repair_template(tokenizer, default)
    said = list(repaired.repairs)
    markers = foreign_markers(tokenizer, default)
    if markers:
        said.append(
            f"it writes {', '.join(markers)} as plain text: this tokenizer has no such token, so the template was made "
            f"for another one; answers end with {tokenizer.eos_token}"
        )
    kept = {}
    for name, template in ({} if isinstance(templates, str) else templates).items():
        if name == DEFAULT:
            continue
        try:
            other = repair_template(tokenizer, template, tools=[TOOL])
        except ConfigError as error:
            said.append(f"template {name!r} is left out: {str(error).removesuffix(f'; {WAY_OUT}')}")
            continue
        kept[name] = other.text
        said.append(f"template {name!r} {', '.join(other.repairs) or 'kept as it is'}")
    return RepairedTemplates({DEFAULT: repaired.text, **kept} if kept else repaired.text, tuple(said))
