"""Jinja templates of the report: one environment, with the report's way of writing numbers as filters."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

from infra.report.data import wording

_FILTERS = (
    "percent", "signed_percent", "tokens", "accuracy", "signed", "count", "counted", "saved", "asked", "seconds",
    "measured", "moment",
)  # fmt: skip


def source(name: str) -> str:
    """A file of this package: a template, the style sheet or the script."""
    return files("infra.report").joinpath("html", name).read_text(encoding="utf-8")


def render(name: str, **context: Any) -> str:
    """One template as text; `style` and `trusted` are always there, and a name that is unknown is an error."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FunctionLoader(source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    for filter_name in _FILTERS:
        environment.filters[filter_name] = getattr(wording, filter_name)
    environment.globals["interval"] = wording.interval
    environment.globals["trusted"] = Markup  # a global, because macros do not see the context
    return environment.get_template(name).render(style=Markup(source("style.css")), **context)


def script_policy(script: str) -> str:
    """A Content-Security-Policy that lets this one script run and nothing be loaded; `` for no script at all."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    scripts = f"script-src 'sha256-{digest}'; " if script else ""
    return f"default-src 'none'; {scripts}style-src 'unsafe-inline'; img-src data:"
