"""Kinds of a user's own, for tests: as a file, and as a package that offers them by name."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Mapping
from pathlib import Path

CARELESS = '''
import json
from pathlib import Path

from schemas.configs.teacher import TeacherConfig
from schemas.finish_reason import FinishReason
from thinkless_core.teachers.reply import TeacherReply


class Careless(TeacherConfig):
    """Says what its file holds, word for word; shipped teachers drop what cannot be a completion."""

    path: str

    def local_paths(self):
        return (self.path,)

    def build(self, *, tokenizer, connect=None, scratch=None):
        return Saying(self.path)


class Saying:
    name = "careless"

    def __init__(self, path):
        rows = map(json.loads, Path(path).read_text().splitlines())
        self.said = {row["prompt"]: (row["completion"], FinishReason(row["finish_reason"])) for row in rows}

    def answer(self, problems, *, mode, max_tokens, seed):
        return [TeacherReply(*self.said[problem.question], 9, mode) for problem in problems]

    def close(self):
        pass
'''
"""A teacher of a user's own that breaks the contract of table `generations`."""


def careless_teacher(path: Path) -> dict[str, str]:
    """Settings of a teacher that says what the rows of a file hold; its own file is written beside it."""
    file = path.with_name("careless.py")
    file.write_text(CARELESS, encoding="utf-8")
    return {"kind": f"{file}:Careless", "path": str(path)}


def example_of(base: type, after: str, before: str) -> str:
    """The file that a base class's docstring shows between two of its lines."""
    _, _, behind = (inspect.getdoc(base) or "").partition(after)
    return textwrap.dedent(behind.partition(before)[0])


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


def pip_install(written: Path, *, target: Path) -> None:
    """Let pip install, into `target`, what `write_package` wrote."""
    (about,) = written.glob("*.dist-info")
    (about / "WHEEL").write_text("Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    (about / "RECORD").touch()
    wheel = written.with_name(f"{about.stem}-py3-none-any.whl")
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in filter(Path.is_file, written.rglob("*")):
            archive.write(file, file.relative_to(written))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(target)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
