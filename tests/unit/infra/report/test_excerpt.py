"""What of a report's page fits into Markdown."""

from __future__ import annotations

import base64

import pytest

from infra.report.excerpt import excerpt
from infra.report.page import render_report
from infra.report.pictures import pictures_in
from tests.unit.infra.report.tasked import tasked_inputs


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render_report(tasked_inputs(tmp_path_factory.mktemp("tasked")))


def test_headline_title_and_first_picture(page: str) -> None:
    headline, title, picture = excerpt(page)
    assert headline.startswith("## ")
    assert "<" not in headline + title
    alt, _, encoded = picture.partition("](data:image/svg+xml;base64,")
    assert alt == f"![{title.strip('*')}"
    assert base64.b64decode(encoded.removesuffix(")")).decode() == next(iter(pictures_in(page).values()))


def test_a_page_without_them_gives_nothing() -> None:
    assert excerpt("<p>text</p>") == []
