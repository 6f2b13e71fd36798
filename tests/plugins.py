"""Kinds of a user's own, for tests: as a file, and as a package that offers them by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def write_package(folder: Path, name: str, source: str, *, entry_points: Mapping[str, Mapping[str, str]]) -> None:
    """An installed package in `folder`: group -> offered name -> class of its one module."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("")
    (folder / name / "kinds.py").write_text(source)
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        line
        for group, offered in entry_points.items()
        for line in (f"[{group}]", *(f"{kind} = {name}.kinds:{cls}" for kind, cls in offered.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
