"""The pictures of a report as files of their own."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from infra.report.page import render_report
from infra.report.pictures import pictures_in, write_pictures
from schemas.errors import ConfigError
from tests.unit.infra.report.reported import partial_inputs


def test_every_chart_of_the_page_is_a_file_that_stands_alone(tasked_page: str) -> None:
    pictures = pictures_in(tasked_page)
    assert len(pictures) == tasked_page.count('<svg class="chart"') > 5
    assert "task-p-think" in pictures
    for name, svg in pictures.items():
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg", name
        assert float(root.attrib["width"]) > 100 < float(root.attrib["height"])
        light, dark = re.findall(r":root\{(.*?)\}", svg)
        used = set(re.findall(r"var\(--([\w-]+)\)", svg))
        for rule in (light, dark):
            assert set(re.findall(r"--([\w-]+):#\w{6}", rule)) == used, name
        assert light != dark


def test_they_are_written_into_a_folder_that_is_made(tasked_page: str, tmp_path: Path) -> None:
    file, folder = tmp_path / "report.html", tmp_path / "new" / "pictures"
    file.write_text(tasked_page, encoding="utf-8")
    written = write_pictures(file, folder)
    assert {path.name for path in written} == {f"{name}.svg" for name in pictures_in(tasked_page)}
    assert sorted(folder.iterdir()) == sorted(written)


def test_a_page_with_nothing_to_draw_has_none_and_a_file_in_the_way_is_named(tasked_page: str, tmp_path: Path) -> None:
    assert len(pictures_in(render_report(partial_inputs(tmp_path)))) < len(pictures_in(tasked_page))
    file = tmp_path / "report.html"
    file.write_text(tasked_page, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"--pictures .*report\.html"):
        write_pictures(file, file)
