"""Small pictures that fit a phone and follow the reader's light or dark theme: drawing -> SVG -> inline SVG.

matplotlib draws with one fixed hex code per role; afterwards every hex code becomes a CSS variable, so that the page's
style sheet decides the colour. Identifiers are prefixed with the chart's name, because all charts share one page, and
dates, fonts and style rules are taken out, so that the same numbers give the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

from infra.report.charts.label_layout import spread

WIDTH, HEIGHT = 360, 236
"""Pixels of a chart at its natural size, which is also the width of a phone."""

INK, MUTED, GRID, PAPER = "#1b1f24", "#5a6470", "#e2e5e9", "#fefefe"
COLORS = {
    "auto": "#00795a",
    "short": "#0064a6",
    "think": "#c14a00",
    "base": "#6d7480",
    "sft": "#9a6c00",
    "rl": "#8b3aa3",
}
"""One colour per mode and per model, everywhere; hues of Okabe and Ito, darkened until they read on white."""
RAMP = ("#46a89c", "#2f8f9d", "#267494", "#275985", "#2b3d6d", "#291f4d")
"""Easy to hard."""
SERIES = ("#1f5fa8", "#b8460a", "#08775c", "#8a2f96", "#8f6a04", "#b3205a", "#3f7d1d", "#5b6471")
"""Conditions of a study, in the order of the page."""
LineStyle = str | tuple[int, tuple[int, ...]]
"""A style of matplotlib: a name, or an offset and the lengths of dashes and gaps."""
SERIES_STYLES: tuple[LineStyle, ...] = ("-", "--", "-.", (0, (4, 1, 1, 1, 1, 1)), "-", "--", "-.", (0, (1, 1)))
SERIES_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "d")
MARKERS = {"base": "o", "sft": "s", "rl": "D", "auto": "D", "short": "o", "think": "^"}
"""Shapes, so that no difference is shown by colour alone."""

_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    PAPER: "paper",
    **{code: name for name, code in COLORS.items()},
    **{code: f"ramp-{index}" for index, code in enumerate(RAMP)},
    **{code: f"series-{index}" for index, code in enumerate(SERIES)},
}

_RC = {
    "svg.fonttype": "none",
    "svg.hashsalt": "thinkless",
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10.5,
    "axes.titlecolor": MUTED,
    "axes.titlelocation": "left",
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
}


@dataclass(frozen=True)
class Chart:
    """A titled picture; or, where the numbers for it are absent, the sentence that says so."""

    name: str
    """Unique on the page."""
    title: str
    caption: str
    svg: str | None
    """Inline SVG with title and description, or None."""
    missing: str = ""
    tall: bool = False
    """Two panels, which take the room of two charts."""


class EndLabel(NamedTuple):
    """The name of a line, written where the line ends."""

    y: float
    text: str
    color: str


def missing_chart(name: str, title: str, reason: str) -> Chart:
    """The place of a chart whose numbers are absent."""
    return Chart(name, title, "", None, reason)


def draw(
    name: str,
    plot: Callable[[Any], None],
    *,
    title: str,
    description: str,
    left: int = 44,
    right: int = 12,
    top: int = 26,
    height: int = HEIGHT,
    lower: Callable[[Any], None] | None = None,
    foot: int = 0,
) -> str:
    """One chart as inline SVG.

    name: unique on the page; plot: draws on the matplotlib axes it is given; description: what a reader who does
    not see the picture should know; left, right, top: pixels kept free for names of rows, for labels at the ends of
    lines, and above each panel; lower: draws a second panel of the same size below the first, over the same horizontal
    axis; foot: pixels kept free below all of it.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
        figure.patch.set_alpha(0)
        panels = [plot] if lower is None else [plot, lower]
        bottom, share = 38, (height - foot) / len(panels)
        shared = None
        for index, panel in enumerate(panels):
            # An upper panel needs no room for the name of the axis that it shares.
            below = bottom if index == len(panels) - 1 else 16
            box = (
                left / WIDTH,
                (height - (index + 1) * share + below) / height,
                (WIDTH - left - right) / WIDTH,
                (share - below - top) / height,
            )
            axes = figure.add_axes(box, sharex=shared)
            panel(axes)
            if index < len(panels) - 1:
                axes.set_xlabel("")
            shared = axes
        buffer = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(buffer, metadata=metadata)
    return inline_svg(buffer.getvalue(), name=name, title=title, description=description)


def inline_svg(svg: str, *, name: str, title: str, description: str) -> str:
    """A stand-alone SVG file as an element of the page: own identifiers, CSS variables for colours, and a title."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    body = re.sub(r"(\d\.\d\d)\d+", r"\1", body)  # a hundredth of a pixel is enough, and halves the page
    body = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", body)
    body = _own_identifiers(body, name)
    for code, variable in _VARIABLES.items():
        body = body.replace(code, f"var(--{variable})")
    box = re.search(r'viewBox="([^"]+)"', body)
    assert box is not None, "an SVG of matplotlib has a viewBox"
    head = (
        f'<svg class="chart" viewBox="{box.group(1)}" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    )
    return re.sub(r"\n\s*", "\n", head + body[body.index(">") + 1 :]).strip()


def _own_identifiers(body: str, name: str) -> str:
    """Identifiers that something refers to get the chart's name in front; all others go."""
    used = set(re.findall(r'href="#([^"]+)"', body)) | set(re.findall(r"url\(#([^)]+)\)", body))
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m.group(1)}"' if m.group(1) in used else "", body)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)


def percent_axis(axes: Any, *, x: bool = False) -> None:
    """Shares from 0 to 1, written as percent."""
    ticks = [0, 0.25, 0.5, 0.75, 1]
    names = ["0%", "25%", "50%", "75%", "100%"]
    if x:
        axes.set_xticks(ticks, names)
        axes.set_xlim(0, 1)
    else:
        axes.set_yticks(ticks, names)
        axes.set_ylim(-0.03, 1.03)


def label_ends(axes: Any, labels: Sequence[EndLabel]) -> None:
    """Names at the right end of lines, moved apart where they would overlap; call it when the limits are final."""
    box = axes.get_window_extent()
    wanted = [float(axes.transData.transform((0, label.y))[1]) for label in labels]
    placed = spread(wanted, gap=13, low=box.y0 + 4, high=box.y1 - 2)
    for label, at, target in zip(labels, placed, wanted, strict=True):
        axes.annotate(
            label.text,
            xy=(1, (target - box.y0) / box.height),
            xycoords="axes fraction",
            xytext=(15, at - target),
            textcoords="offset pixels",
            va="center",
            color=label.color,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": label.color,
                "lw": 0.7,
                "relpos": (0, 0.5),
                "shrinkA": 2,
                "shrinkB": 3,
            },
        )
