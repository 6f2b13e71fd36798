"""The pages in headless Chromium: nothing on the console, filters that filter, and a phone that scrolls one way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import escape
from pathlib import Path

import pytest

from infra.report.data.evidence import Evidence
from infra.report.data.examples import Example
from infra.report.study_page import render_study_page
from tests.unit.infra.report.chromium import Loaded, load
from tests.unit.infra.report.studied import write_study

CARDS = re.compile(r'<article class="example">.*?data-slot="prompt">(.*?)</code>.*?data-slot="facts">(.*?)</p>', re.S)


@pytest.fixture(scope="module")
def examples(evidence: Evidence) -> tuple[Example, ...]:
    return evidence.examples


@pytest.fixture(scope="module")
def file(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def study_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render_study_page(write_study(tmp_path_factory.mktemp("study")), profile="tiny", created_at="2026-03-01")


def cards(loaded: Loaded) -> list[tuple[str, str]]:
    """Prompt and facts of every example on the page."""
    body = loaded.document[loaded.document.index('id="example-list"') :]
    return CARDS.findall(body[: body.index('id="more-examples"')])


def status(loaded: Loaded) -> str:
    """What the page says about its filter."""
    found = re.search(r'id="filter-status"[^>]*>([^<]*)<', loaded.document)
    assert found is not None
    return found.group(1)


def test_the_console_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "loud.html"
    path.write_text("<html><script>console.error('said'); nothing.there</script></html>", encoding="utf-8")
    said, thrown = load(path, profile=tmp_path / "profile").console
    assert "said" in said
    assert "nothing is not defined" in thrown


def test_the_page_runs_without_a_word_on_the_console(file: Path, examples: tuple[Example, ...], tmp_path: Path) -> None:
    loaded = load(file, profile=tmp_path)
    assert loaded.console == ()
    assert status(loaded) == f"{len(examples)} examples, 12 shown."
    assert [facts for _, facts in cards(loaded)][:10] == [escape(e.facts) for e in examples[:10]]
    assert '<form id="filters" class="filters" aria-label' in loaded.document  # shown: no longer `hidden`


@pytest.mark.parametrize(
    ("fragment", "fits"),
    [
        ("difficulty=1&mode=think", lambda e: e.difficulty == 1 and e.chosen == "think"),
        ("source=tiny-hard&verdict=wrong", lambda e: e.source == "tiny-hard" and "wrong" in e.tags),
        ("source=training+pairs&difficulty=3", lambda e: e.source == "training pairs" and e.difficulty == 3),
        ("verdict=needs-thinking&mode=short", lambda e: "needs-thinking" in e.tags and e.chosen == "short"),
        ("text=%2B42%2B", lambda e: "+42+" in e.prompt or any("+42+" in s.text for s in e.sides)),
        ("text=no+such+words", lambda e: False),
    ],
)
def test_a_link_presets_the_filters(
    file: Path, examples: tuple[Example, ...], tmp_path: Path, fragment: str, fits: Callable[[Example], bool]
) -> None:
    loaded = load(file, fragment=fragment, profile=tmp_path)
    expected = [(escape(e.prompt), escape(e.facts)) for e in examples if fits(e)]
    assert cards(loaded) == expected[:12]
    assert loaded.console == ()
    if not expected:
        assert status(loaded) == "No example fits; clear a filter."
    else:
        assert len(expected) < len(examples)
        assert status(loaded).startswith(f"{len(expected)} example")


INTERACTION = """
onload = () => {
  const page = f.contentDocument, form = page.getElementById("filters"), said = {};
  const articles = page.getElementById("example-list").children, status = page.getElementById("filter-status");
  const look = () => [articles.length, status.textContent];
  const set = (name, value) => {
    form.elements[name].value = value;
    form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
  };
  set("difficulty", "5"); said.difficulty = look();
  page.getElementById("more-examples").click(); said.more = look();
  said.focus = [...page.querySelectorAll("#example-list pre")].indexOf(page.activeElement);
  set("verdict", "wrong"); said.wrong = look();
  form.reset();
  setTimeout(() => { said.cleared = look(); document.title = JSON.stringify(said); });
}
"""


def test_controls_filter_extend_and_clear_the_list(file: Path, examples: tuple[Example, ...], tmp_path: Path) -> None:
    wrapper = tmp_path / "wrapper.html"
    inner = escape(file.read_text(encoding="utf-8"), quote=True)
    wrapper.write_text(f'<iframe id="f" srcdoc="{inner}"></iframe><script>{INTERACTION}</script>', encoding="utf-8")
    loaded = load(wrapper, profile=tmp_path / "profile")
    title = re.search(r"<title>(\{.*?\})</title>", loaded.document)
    assert title is not None, loaded.console
    said = json.loads(title.group(1))
    hard = [e for e in examples if e.difficulty == 5]
    wrong = [e for e in hard if "wrong" in e.tags]
    assert said["difficulty"] == [12, f"{len(hard)} examples, 12 shown."]
    assert said["more"] == [24, f"{len(hard)} examples, 24 shown."]
    assert said["focus"] >= 24  # the first completion of the first card that was added, not one seen before
    assert said["wrong"] == [len(wrong), f"{len(wrong)} example{'s' if len(wrong) != 1 else ''}, {len(wrong)} shown."]
    assert said["cleared"] == [12, f"{len(examples)} examples, 12 shown."]


def test_the_first_examples_need_no_script(file: Path, examples: tuple[Example, ...]) -> None:
    page = file.read_text(encoding="utf-8")
    shown = [e for e in examples if e.shown]
    assert cards(Loaded(page, ())) == [(escape(e.prompt), escape(e.facts)) for e in shown]
    assert len(shown) == 6 + 2 + 2  # asked for, wrong ones, pairs of the teachers


@pytest.mark.slow
def test_the_study_page_runs_without_a_word_on_the_console(study_page: str, tmp_path: Path) -> None:
    path = tmp_path / "study.html"
    path.write_text(study_page, encoding="utf-8")
    loaded = load(path, profile=tmp_path / "profile")
    assert loaded.console == ()
    assert "Of 4 claims 2 hold, 1 fails and 1 is undecided." in loaded.document


@pytest.mark.parametrize("shape", ["page", "tasked_page", "study_page"])
def test_no_page_scrolls_sideways_on_a_phone(shape: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    opened = escape(request.getfixturevalue(shape).replace("<details>", "<details open>"), quote=True)
    wrapper = tmp_path / "phone.html"
    wrapper.write_text(
        f'<iframe id="f" srcdoc="{opened}" style="width:390px;height:800px;border:0"></iframe>'
        "<script>onload = () => { const d = f.contentDocument.documentElement;"
        " document.title = d.clientWidth + ' ' + d.scrollWidth }</script>",
        encoding="utf-8",
    )
    measured = re.search(r"<title>(\d+) (\d+)</title>", load(wrapper, profile=tmp_path / "profile").document)
    assert measured is not None
    assert 300 < int(measured.group(1)) <= 390
    assert int(measured.group(2)) <= int(measured.group(1))
