"""The headlines and the main picture of a report as Markdown, for places that show no HTML page: page -> Markdown."""

from __future__ import annotations

import base64
import html
import re

from infra.report.pictures import pictures_in

_HEADLINE = re.compile(r'<p class="big">(.*?)</p>', re.DOTALL)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL)


def excerpt(page: str) -> list[str]:
    """Paragraphs: the headlines, and the first picture below its title, embedded as an SVG data URI."""
    paragraphs = [f"## {_plain(headline)}" for headline in _HEADLINE.findall(page)]
    for picture in list(pictures_in(page).values())[:1]:
        title = _plain(_TITLE.findall(picture)[0])
        encoded = base64.b64encode(picture.encode()).decode()
        paragraphs += [f"**{title}**", f"![{title}](data:image/svg+xml;base64,{encoded})"]
    return paragraphs


def _plain(markup: str) -> str:
    """Text without tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", markup)).split())
