"""README and docs: every link leads somewhere, and every printed command is one."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from flows.grammar.whole_grammar import build_parser
from tests.integration.processes import ROOT

PAGES = [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").glob("*.md"))]
CODE = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[str]:
    """Every `thinkless ...` line of a page's code, continued lines joined."""
    code = "\n".join(CODE.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    return [line for line in code.splitlines() if line.startswith("thinkless ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    targets = [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'src="([^"]+)"', text)]
    missing = []
    for target in targets:
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            missing.append(target)
    assert missing == []


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", CODE.sub("", page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_printed_command_is_understood(page: Path) -> None:
    refused = []
    for command in commands(page):
        words = shlex.split(command, comments=True)[1:]
        try:
            assert isinstance(build_parser().parse_args(words), argparse.Namespace)
        except SystemExit as ended:
            if ended.code != 0:
                refused.append(command)
    assert refused == []


def test_there_are_pages_and_commands() -> None:
    assert len(PAGES) > 10
    assert sum(len(commands(page)) for page in PAGES) > 30
