"""What a run found, written to disk after every part: results.json, report.md, completions.jsonl.gz."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

MOST_BYTES = 15_000_000
"""Completions are written up to this size, compressed."""


class Results:
    """The files of a run in one folder."""

    def __init__(self, folder: Path, *, doc: Path | None, head: Mapping[str, Any], intro: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._doc = doc
        self._intro = intro
        self._data: dict[str, Any] = {**head, "parts": {}}
        self._texts: dict[str, str] = {}
        self._full = False
        self.completions.unlink(missing_ok=True)
        self._write()

    @property
    def completions(self) -> Path:
        """File of all evaluated completions."""
        return self._folder / "completions.jsonl.gz"

    def put(self, part: str, data: Mapping[str, Any], text: str) -> None:
        """What a part found so far, in place of what it found before."""
        self._data["parts"][part] = dict(data)
        self._texts[part] = text
        self._write()

    def add_failure(self, part: str, error: str, text: str) -> None:
        """What went wrong in a part, beside what it found before; without folders of this machine."""
        text = re.sub(r"(?:/[\w.+-]+)+/(site-packages|lib/python[\d.]+)/", r"\1/", text.replace(f"{Path.cwd()}/", ""))
        self._data["parts"].setdefault(part, {})["failed"] = error
        found = self._texts.get(part, f"## {part.capitalize()}")
        self._texts[part] = f"{found}\n\nFailed:\n\n```\n{text}\n```"
        self._write()

    def add_completions(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows, until the file is as large as it may become."""
        if self._full:
            return
        with gzip.open(self.completions, "at", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        self._full = self.completions.stat().st_size > MOST_BYTES

    def _write(self) -> None:
        data = json.dumps(self._data, indent=1, default=float) + "\n"
        text = "\n\n".join([self._intro, *self._texts.values()]) + "\n"
        _replace(self._folder / "results.json", data)
        _replace(self._folder / "report.md", text)
        if self._doc is not None:
            _replace(self._doc, text)
            _replace(self._doc.with_suffix(".json"), data)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; numbers on the right, aligned so that it reads as plain text too."""
    cells = [[cell(value) for value in row] for row in rows]
    widths = [max(3, len(name), *(len(row[i]) for row in cells)) for i, name in enumerate(header)]
    left = [i == 0 or any(not _number_like(row[i]) for row in cells) for i in range(len(header))]
    lines = [_line(header, widths, left)]
    lines.append(
        "|" + "|".join(f" {'-' * w} " if t else f" {'-' * (w - 1)}: " for w, t in zip(widths, left, strict=True)) + "|"
    )
    return "\n".join([*lines, *(_line(row, widths, left) for row in cells)])


def cell(value: object) -> str:
    """A value as it stands in a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) >= 100 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|").replace("\n", " ")


def share(value: float | None) -> str:
    """A share with two digits."""
    return "" if value is None else f"{value:.2f}"


def _number_like(text: str) -> bool:
    return not text or text[0] in "+-.0123456789"


def _line(row: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    parts = (text.ljust(w) if t else text.rjust(w) for text, w, t in zip(row, widths, left, strict=True))
    return "| " + " | ".join(parts) + " |"


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
