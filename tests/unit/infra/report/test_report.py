"""The page of a run: structure, what it loads, what it says and what it says is missing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from infra.report.data.answers import answers
from infra.report.data.evidence import Evidence
from infra.report.data.inputs import ReportInputs
from infra.report.data.result_table import result_table_text
from infra.report.data.verdicts import Headline, headline, judge_benchmarks
from infra.report.page import SECTIONS, render_report
from schemas.errors import EvaluationError, MissingArtifactError
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_summary import EvalSummary
from tests.unit.infra.report.html_outline import outline
from tests.unit.infra.report.reported import complete_inputs, write


def test_every_section_is_there_in_order_and_in_the_navigation(page: str) -> None:
    parsed = outline(page)
    assert [a["id"] for tag, a in parsed.tags if tag == "section"] == list(SECTIONS)
    navigation = outline(page[page.index("<nav") : page.index("</nav>") + len("</nav>")])
    assert [a["href"] for tag, a in navigation.tags if tag == "a"] == [f"#{name}" for name in SECTIONS]


@pytest.mark.parametrize("shape", ["complete", "partial"])
def test_tags_balance_and_identifiers_are_unique_and_known(shape: str, request: pytest.FixtureRequest) -> None:
    text = request.getfixturevalue("page") if shape == "complete" else render_report(request.getfixturevalue(shape))
    parsed = outline(text)
    assert len(parsed.identifiers) == len(set(parsed.identifiers))
    for _, attributes in parsed.tags:
        for name in ("href", "aria-labelledby", "clip-path"):
            value = attributes.get(name) or ""
            if name == "href" and not value.startswith("#"):
                continue
            for reference in re.findall(r"[^\s()#]+", value.removeprefix("url")):
                assert reference in parsed.identifiers


def test_nothing_is_loaded_from_elsewhere_and_only_the_filter_may_run(page: str) -> None:
    parsed = outline(page)
    for tag, attributes in parsed.tags:
        assert tag not in {"iframe", "object", "embed"}
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "data", "poster", "xlink:href"):
            assert not re.match(r"(https?:)?//", attributes.get(name) or "")
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    scripts = [a.get("type") for tag, a in parsed.tags if tag == "script"]
    assert scripts == ["application/json", None]
    (policy,) = [str(a["content"]) for _, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy"]
    script = page[page.rindex("<script>") + len("<script>") : page.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_every_filter_is_a_labelled_form_control(page: str) -> None:
    form = page[page.index('<form id="filters"') : page.index("</form>")]
    controls = re.findall(r'<(?:select|input)[^>]*name="(\w+)"', form)
    assert controls == ["source", "difficulty", "mode", "verdict", "text"]
    assert len(re.findall(r"<label\b[^>]*>[^<]*\S[^<]*<(?:select|input)\b", form)) == len(controls)
    assert 'role="status"' in page


def test_the_page_is_small_and_the_same_every_time(complete: ReportInputs, page: str) -> None:
    assert render_report(replace(complete, manifests=complete.manifests[::-1])) == page
    assert len(page.encode()) < 1_000_000


def test_every_picture_has_a_title_and_a_description(page: str) -> None:
    parsed = outline(page)
    pictures = [attributes for tag, attributes in parsed.tags if tag == "svg"]
    assert len(pictures) == 18  # 4 of routing, 3 benchmarks twice, 5 of RL, 2 of warm-up, lineage
    assert all(a["role"] == "img" and a["aria-labelledby"] for a in pictures)
    assert all(a.get("scope") for tag, a in parsed.tags if tag == "th")


def test_colours_are_left_to_the_style_sheet(page: str) -> None:
    body = page[page.index("</style>") :]
    assert not re.findall(r"(?:fill|stroke): ?#[0-9a-f]{6}", body)
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", page))
    for theme in re.findall(r":root \{(.*?)\}", page, flags=re.DOTALL):
        assert used - {"tone", "tone-panel"} <= {*re.findall(r"--([a-z0-9-]+):", theme), "link"}


def test_text_of_the_run_is_escaped_and_a_folder_may_have_an_odd_name(tmp_path: Path) -> None:
    folder = tmp_path / "it's [a] folder*"
    folder.mkdir()
    inputs = complete_inputs(folder)
    evil = '</pre></script><script>alert("x")</script><!--'
    (completions_file,), (summary_file,) = inputs.tables["eval_completions"], inputs.tables["eval_summary"]
    completions = pq.read_table(completions_file).to_pylist()
    rows = [EvalCompletion(**{**row, "completion": evil, "benchmark": "a<b>&c"}) for row in completions]
    write(completions_file, EvalCompletion, rows)
    summary = pq.read_table(summary_file).to_pylist()
    renamed = [EvalSummary(**{**row, "benchmark": "a<b>&c"}) for row in summary if row["benchmark"] == "tiny-hard"]
    write(summary_file, EvalSummary, renamed)
    text = render_report(inputs)
    parsed = outline(text)
    assert "RL auto" in text
    assert evil not in text
    assert evil in "".join(parsed.text)
    assert "a<b>&c" in parsed.text
    data = text[text.index('id="example-data">') + len('id="example-data">') :]
    rows_of_script = json.loads(data[: data.index("</script>")])
    assert rows_of_script[0][7][0][3] == evil


def test_metrics_that_were_not_logged_are_named_and_break_nothing(partial: ReportInputs) -> None:
    text = render_report(partial)
    parsed = outline(text)
    assert [a["id"] for tag, a in parsed.tags if tag == "section"] == list(SECTIONS)
    assert "the metrics hold no loss, validation_loss" in text
    assert "the metrics and rollouts hold no counts of either mode" in text
    assert "Not logged: think_share." in text
    assert "Cannot tell" in text
    assert "none were asked for" in text


def test_a_verdict_is_worded_and_not_only_coloured(evidence: Evidence, page: str) -> None:
    for verdict in judge_benchmarks(evidence):
        assert f"</span> {verdict.words}</span>" in page


NEARLY_NOTHING = ("unknown", "solves nearly nothing in any mode")


@pytest.mark.parametrize("accuracy", [0.0, 0.01, 0.049])
def test_a_model_that_solves_nearly_nothing_keeps_no_accuracy(evidence: Evidence, accuracy: float) -> None:
    cells = tuple(cell.model_copy(update={"accuracy": accuracy}) for cell in evidence.cells)
    little = replace(evidence, cells=cells, comparisons={}, against_think=())
    verdicts = judge_benchmarks(little)
    assert verdicts
    assert {(v.tone, v.words) for v in verdicts} == {NEARLY_NOTHING}
    assert headline(little) == Headline("unknown", "Cannot tell: it solves nearly nothing in any mode")
    costs = next(answer for answer in answers(little, ()) if "accuracy" in answer.question)
    assert all("cannot be said" in line or "no answer is right" in line for line in costs.sentences[:-1])
    assert NEARLY_NOTHING not in {(v.tone, v.words) for v in judge_benchmarks(evidence)}


def test_one_mode_that_solves_something_or_a_loss_is_said(evidence: Evidence) -> None:
    def judged(**accuracies: float) -> set[str]:
        cells = [
            cell.model_copy(update={"accuracy": accuracies.get(f"{cell.model}_{cell.mode.value}", 0.01)})
            for cell in evidence.cells
        ]
        changed = replace(evidence, cells=tuple(cells), comparisons={}, against_think=())
        return {v.words for v in judge_benchmarks(changed)}

    assert judged() == {NEARLY_NOTHING[1]}
    assert NEARLY_NOTHING[1] not in judged(rl_short=0.05)
    assert judged(sft_think=0.6) <= {"saves tokens, costs accuracy", "loses accuracy and saves nothing"}


def test_checks_link_to_their_documents_and_failures_are_spelled_out(page: str) -> None:
    assert '<a href="../pairs/docs/index.html">' in page
    assert "answer is not &lt;null&gt;" in page
    assert "p-1" in page


def test_lineage_draws_an_input_without_a_manifest(complete: ReportInputs) -> None:
    fewer = tuple(m for m in complete.manifests if m.stage != "teach")
    text = render_report(replace(complete, manifests=fewer))
    assert "no manifest here" in text
    assert "pairs from teach, problems" in text


def test_an_absent_file_and_an_empty_evaluation_are_errors(complete: ReportInputs, tmp_path: Path) -> None:
    with pytest.raises(MissingArtifactError, match="rollouts"):
        render_report(replace(complete, tables={**complete.tables, "rollouts": (tmp_path / "none.parquet",)}))
    empty = write(tmp_path / "empty.parquet", EvalSummary, [])
    with pytest.raises(EvaluationError, match="no rows"):
        result_table_text(empty)
