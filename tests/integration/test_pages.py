"""README and docs: every link leads somewhere, every printed command is one, and every printed setting is one."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from flows.grammar.whole_grammar import build_parser
from schemas.configs.loading import load_config
from tests.integration.pages import PAGES, printed_commands, program_of, spans_of, text_of


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = text_of(page)
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
    headings = re.findall(r"^#+ (.*)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_printed_command_is_understood(page: Path) -> None:
    refused = []
    for command in printed_commands(page):
        if program_of(command) != "thinkless":
            continue
        try:
            words = shlex.split(command.partition("thinkless ")[2])
            assert isinstance(build_parser().parse_args(words), argparse.Namespace)
        except SystemExit as ended:
            if ended.code != 0:
                refused.append(command)
    assert refused == []


def test_every_setting_in_running_text_is_one() -> None:
    printed = [span for page in PAGES for span in spans_of(page) if span.startswith("--set ") and "=" in span]
    ours = [span for span in printed if "KEY=VALUE" not in span]
    assert len(ours) > 3
    for span in ours:
        load_config("tiny", overrides=[word for word in shlex.split(span) if word != "--set"])


def test_there_are_pages_and_commands() -> None:
    assert len(PAGES) > 10
    assert sum(len(printed_commands(page)) for page in PAGES) > 50
