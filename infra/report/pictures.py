"""The pictures of a report as SVG files of their own: page -> its charts -> one file each, in light and dark colours.

On the page the style sheet decides the colours; here they are taken into the file.
"""

from __future__ import annotations

import re
from pathlib import Path

from infra.report.templates import source
from schemas.errors import ConfigError

_CHART = re.compile(
    r'<svg class="chart" (?P<head>viewBox="0 0 (?P<width>[\d.]+) (?P<height>[\d.]+)" role="img" '
    r'aria-labelledby="(?P<name>\S+)-title [^"]*")>(?P<body>.*?)</svg>',
    re.DOTALL,
)


def pictures_in(page: str) -> dict[str, str]:
    """Name -> SVG file, of every chart of a report's page, in its order."""
    return {chart["name"]: _file(chart) for chart in _CHART.finditer(page)}


def write_pictures(page: Path, folder: Path) -> list[Path]:
    """Write the charts of a report as `<folder>/<name>.svg`; raises ConfigError if the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for name, svg in pictures_in(page.read_text(encoding="utf-8")).items():
            written.append(folder / f"{name}.svg")
            written[-1].write_text(svg, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--pictures {folder}: {error.strerror}; name a folder that can be written to") from error
    return written


def _file(chart: re.Match[str]) -> str:
    used = {"paper", *re.findall(r"var\(--([\w-]+)\)", chart["body"])}
    light, dark = ("".join(f"--{name}:{code};" for name, code in colours if name in used) for colours in _colours())
    style = (
        f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}svg{{background:var(--paper)}}"
        "text{font-family:system-ui,'Segoe UI',Roboto,'Noto Sans','Liberation Sans',sans-serif}"
    )
    size = f'width="{chart["width"]}" height="{chart["height"]}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {chart["head"]} overflow="visible">'
    return f"{head}<style>{style}</style>{chart['body']}</svg>\n"


def _colours() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Variables and their codes, light and dark: the first two rules of the style sheet that set any."""
    rules = re.findall(r":root \{(.*?)\}", source("style.css"), re.DOTALL)
    light, dark = (re.findall(r"--([\w-]+): (#\w+)", rule) for rule in rules[:2])
    return light, dark
