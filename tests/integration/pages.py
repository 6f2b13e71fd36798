"""What README and docs print: blocks of code, and the commands in blocks and in running text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.integration.processes import ROOT

PAGES = [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").glob("*.md"))]
CODE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PROGRAMS = (
    "thinkless",
    "accelerate",
    "make",
    "prefect",
    "python",
    "pip",
    "hf",
    "vllm",
    ".",
    "export",
    "sbatch",
    "sudo",
)
COMMAND = re.compile(rf"([A-Z_]+=\S+ )*({'|'.join(map(re.escape, PROGRAMS))}) ")


def text_of(page: Path) -> str:
    """A page without its blocks of code."""
    return CODE.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path, language: str) -> list[str]:
    """A page's blocks of code in a language; `` is that of those without a name."""
    return [code for name, code in CODE.findall(page.read_text(encoding="utf-8")) if name == language]


def lines_of_commands(page: Path) -> Iterator[str]:
    """Every line of a page's blocks of commands, without its comment, continued lines joined.

    A block is of commands if it is called `bash`, or has no name and begins with one; other blocks are output or files.
    """
    for code in [*blocks(page, "bash"), *filter(COMMAND.match, blocks(page, ""))]:
        lines = code.replace("\\\n", " ").splitlines()
        yield from filter(None, (re.sub(r"(^|\s+)# .*", "", line) for line in lines))


def program_of(command: str) -> str:
    """The first word of a command line, behind variables that are set for it."""
    return next(word for word in command.split() if "=" not in word)


def spans_of(page: Path) -> list[str]:
    """Code in running text."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text_of(page))]


def printed_commands(page: Path) -> list[str]:
    """The commands of a page: its blocks', then those in running text.

    In running text two words (`thinkless doctor`) are the name of a command; `make demo` is all of one.
    """
    whole = [
        span for span in spans_of(page) if COMMAND.match(span) and (span.count(" ") > 1 or span.startswith("make "))
    ]
    return list(dict.fromkeys([*lines_of_commands(page), *whole]))
