"""Problems with tasks in the report: the tables and pictures by task and level, the filter, the cards, the sentence."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html import escape
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from infra.report.cards.dataset_card import dataset_card
from infra.report.cards.model_card import model_card
from infra.report.charts.behaviour_charts import difficulty_charts
from infra.report.charts.task_charts import MOST_READINGS, MOST_ROWS, probe_task_chart, task_chart
from infra.report.charts.training_charts import probe_chart
from infra.report.data.evidence import Evidence, gather_evidence
from infra.report.data.evidence_rows import TaskLevel
from infra.report.data.inputs import ReportInputs
from infra.report.data.result_table import task_sentence
from infra.report.data.router_tables import MEANING, router_tables
from infra.report.data.task_tables import ROUTERS, over_benchmarks, task_tables
from infra.report.page import render_report
from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from tests.unit.infra.report.chromium import load
from tests.unit.infra.report.html_outline import outline
from tests.unit.infra.report.reported import complete_inputs, write
from tests.unit.infra.report.tasked import BENCHMARKS, NUM_PROBLEMS, TASKS

LEVEL = TaskLevel("rl", "b", "sum", 1, "short", 10, 0.5, 0.1, 0.0, 0.0, 3.0, 0.25)


@pytest.fixture(scope="module")
def rows(tasked: ReportInputs) -> list[EvalCompletion]:
    return [EvalCompletion(**row) for row in pq.read_table(tasked.tables["eval_completions"][0]).to_pylist()]


def test_every_task_and_level_of_a_benchmark_has_a_row_with_the_numbers_of_its_completions(
    tasked_evidence: Evidence, rows: list[EvalCompletion], tasked_page: str
) -> None:
    tables = task_tables(tasked_evidence)
    assert [table.benchmark for table in tables] == list(BENCHMARKS)
    for table in tables:
        assert [(row.task, row.level) for row in table.rows] == [
            (t, n) for t in TASKS for n in BENCHMARKS[table.benchmark]
        ]
        for row in table.rows:
            own = [r for r in rows if (r.benchmark, r.task, r.difficulty) == (table.benchmark, row.task, row.level)]
            modes = {mode: [r for r in own if (r.model, r.mode) == ("rl", mode)] for mode in EvalMode}
            for mode, cell in ((EvalMode.SHORT, row.short), (EvalMode.THINK, row.think), (EvalMode.AUTO, row.auto)):
                assert cell is not None
                assert cell.accuracy == pytest.approx(sum(r.correct for r in modes[mode]) / len(modes[mode]))
                assert cell.mean_tokens == pytest.approx(sum(r.num_tokens for r in modes[mode]) / len(modes[mode]))
            before = [r.chosen_mode is Mode.THINK for r in own if (r.model, r.mode) == ("sft", EvalMode.AUTO)]
            assert row.num_problems == NUM_PROBLEMS
            assert row.auto is not None
            assert row.before is not None
            assert row.before.think_share == pytest.approx(sum(before) / len(before))
            shares = [f"{100 * share:.0f}%" for share in (row.before.think_share, row.auto.think_share)]
            assert f">{' → '.join(shares)}<" in tasked_page
    assert 'aria-label="Results by task and level"' in tasked_page
    assert tasked_page.count('<th scope="row">chain_sum</th>') == 3 * 5  # 3 levels and 2, in three tables


def test_the_page_of_another_model_than_the_one_after_rl_has_no_share_before(tasked_evidence: Evidence) -> None:
    early = replace(tasked_evidence, cells=tuple(cell for cell in tasked_evidence.cells if cell.model != "rl"))
    assert {row.before for table in task_tables(early) for row in table.rows} == {None}
    assert {row.auto.model for table in task_tables(early) for row in table.rows if row.auto} == {"sft"}


def test_routers_by_task_stand_beside_those_of_the_benchmark(tasked_evidence: Evidence, tasked_page: str) -> None:
    for whole, table in zip(router_tables(tasked_evidence), task_tables(tasked_evidence), strict=True):
        assert [row.score.router for row in whole.rows] == list(MEANING)
        assert len(table.routers) == len(table.rows)
        for place, router in enumerate(ROUTERS):
            found = [line.scores[place] for line in table.routers]
            score = next(row.score for row in whole.rows if row.score.router == router)
            assert sum(s.n * s.accuracy for s in found if s) / score.n == pytest.approx(score.accuracy)
    assert 'aria-label="Routers by task and level"' in tasked_page


def test_the_picture_has_a_row_per_task_and_level_from_easy_to_hard_in_place_of_those_by_difficulty(
    tasked_evidence: Evidence, tasked_page: str
) -> None:
    assert [chart.name for chart in difficulty_charts(tasked_evidence)] == ["task-p-think", "p-think-spread"]
    assert "P(think) by difficulty" not in tasked_page
    svg = task_chart(tasked_evidence).svg
    assert svg is not None
    described = svg[svg.index("<desc") : svg.index("</desc>")]
    names = re.findall(r"(\w+ \d): P\(think\) \d+%", described)
    assert sorted(names) == sorted(f"{task} {level}" for task in TASKS for level in (1, 2, 3))
    shares = [float(share) for share in re.findall(r"forced short right on ([\d.]+)%", described)]
    assert shares == sorted(shares, reverse=True)
    assert [name for name in re.findall(r">(\w+ \d)</text>", svg) if name in names] == names


def test_problems_without_a_task_keep_their_pictures_and_no_level_is_mixed_with_their_difficulty(
    rows: list[EvalCompletion], tasked: ReportInputs, tmp_path: Path
) -> None:
    plain = [row.model_copy(update={"task": None, "difficulty": 9}) for row in rows if row.task == "chain_sum"]
    path = write(tmp_path / "c.parquet", EvalCompletion, [*(row for row in rows if row.task != "chain_sum"), *plain])
    mixed = gather_evidence(replace(tasked, tables={**tasked.tables, "eval_completions": (path,)}))
    assert {row.difficulty for row in mixed.p_think} == {row.difficulty for row in mixed.accuracy} == {9}
    assert "chain_sum" not in {row.task for row in mixed.task_levels}
    names = [chart.name for chart in difficulty_charts(mixed)]
    assert names == ["task-p-think", "p-think", "short-accuracy", "p-think-spread"]


def test_without_tasks_the_page_names_none(tmp_path: Path) -> None:
    inputs = complete_inputs(tmp_path)
    tasked_page = render_report(inputs)
    for word in ("task and level", 'name="task"', "eval_by_task"):
        assert word not in tasked_page
    assert "## Difficulty" in dataset_card(inputs)
    assert "## By task and level" not in model_card(inputs)
    assert task_sentence(inputs.tables["eval_routers"][0], key="k") == ""


def test_benchmarks_of_a_row_are_weighted_by_their_problems() -> None:
    other = LEVEL._replace(num_problems=30, accuracy=0.9, accuracy_stderr=0.2, mean_p_think=0.75)
    mean = over_benchmarks([LEVEL, other])
    # (10 * 0.5 + 30 * 0.9) / 40, (10 * 0.25 + 30 * 0.75) / 40, sqrt(1^2 + 6^2) / 40
    assert (mean.accuracy, mean.p_think) == pytest.approx((0.8, 0.625))
    assert mean.accuracy_stderr == pytest.approx(math.sqrt(37) / 40)
    assert over_benchmarks([LEVEL, other._replace(mean_p_think=None)]).p_think == 0.25
    assert over_benchmarks([LEVEL._replace(mean_p_think=None)]).p_think is None


def test_more_rows_than_fit_become_one_per_task_and_long_names_that_begin_alike_stay_apart(
    tasked_evidence: Evidence,
) -> None:
    names = [f"{'a' * 40}{index}" for index in range(MOST_ROWS // 2)]
    levels = [LEVEL._replace(task=name, difficulty=n) for name in names for n in (1, 2)]
    svg = task_chart(replace(tasked_evidence, task_levels=tuple(levels))).svg
    assert svg is not None
    assert svg.count("… 1</text>") == svg.count("… 2</text>") == len(names)
    svg = task_chart(replace(tasked_evidence, task_levels=(*levels, LEVEL._replace(difficulty=None)))).svg
    assert svg is not None
    assert svg.count("…</text>") == len(names)
    assert ">sum</text>" in svg


def test_the_probe_is_drawn_by_task_and_level_with_its_last_reading(tasked_evidence: Evidence) -> None:
    chart = probe_chart(tasked_evidence.rl)
    assert chart.svg is not None
    described = chart.svg[chart.svg.index("<desc") : chart.svg.index("</desc>")]
    assert "spell_backward 3: 50% at step 0, 100% at step 120" in described
    assert "chain_sum 1: 50% at step 0, 1% at step 120" in described
    names = re.findall(r">(\w+ \d)</text>", chart.svg)
    assert sorted(names) == sorted(f"{task} {level}" for task in TASKS for level in (1, 2, 3))
    opacities = {float(found) for found in re.findall(r"opacity: ([\d.]+)", chart.svg)}
    assert len(opacities) > MOST_READINGS
    assert probe_task_chart({"probe_p_think/difficulty_1": ((0, 0.5),)}) is None


def test_one_reading_of_the_probe_is_a_picture_too() -> None:
    chart = probe_task_chart({"probe_p_think/task_sum:1": ((0, 0.5),), "probe_p_think/task_sum:None": ((0, 0.0),)})
    assert chart is not None
    assert chart.svg is not None
    assert ">50%</text>" in chart.svg


def test_an_example_names_its_task_and_the_filter_knows_it(tasked_evidence: Evidence, tasked_page: str) -> None:
    form = tasked_page[tasked_page.index('<form id="filters"') : tasked_page.index("</form>")]
    assert re.findall(r'name="(\w+)"', form) == ["source", "task", "difficulty", "mode", "verdict", "text"]
    assert all(f"<option>{task}</option>" in form for task in TASKS)
    assert re.search(r"<label>Level\s", form)
    shown = [e for e in tasked_evidence.examples if e.shown]
    assert all(f"{e.task} level {e.difficulty}" in e.facts for e in shown)
    data = tasked_page[tasked_page.index('id="example-data">') + len('id="example-data">') :]
    found = json.loads(data[: data.index("</script>")])
    assert [row[8] for row in found[: len(shown)]] == [e.task for e in shown]


def test_the_first_examples_come_from_every_task_in_turn(tasked: ReportInputs) -> None:
    shown = [e for e in gather_evidence(replace(tasked, examples=18)).examples if e.shown and e.source in BENCHMARKS]
    chosen = [e for e in shown if "shown because" not in e.facts]
    assert {(e.task, e.difficulty) for e in chosen} == {(task, level) for task in TASKS for level in (1, 2, 3)}


def test_a_link_presets_the_task(tasked_page: str, tasked_evidence: Evidence, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(tasked_page, encoding="utf-8")
    loaded = load(file, fragment="task=leg_counting&difficulty=2", profile=tmp_path / "profile")
    found = re.findall(r'data-slot="facts">(.*?)</p>', loaded.document)
    expected = [escape(e.facts) for e in tasked_evidence.examples if (e.task, e.difficulty) == ("leg_counting", 2)]
    assert found == expected[:12]
    assert loaded.console == ()


def test_the_page_with_tasks_is_well_formed_small_and_the_same_every_time(
    tasked: ReportInputs, tasked_page: str
) -> None:
    parsed = outline(tasked_page)
    assert len(parsed.identifiers) == len(set(parsed.identifiers))
    assert all(a.get("scope") for tag, a in parsed.tags if tag == "th")
    assert not re.findall(r"(?:fill|stroke): ?#[0-9a-f]{6}", tasked_page[tasked_page.index("</style>") :])
    assert render_report(tasked) == tasked_page
    assert len(tasked_page.encode()) < 1_000_000


def test_the_cards_have_tables_by_task_and_level(tasked: ReportInputs, tasked_evidence: Evidence) -> None:
    data = dataset_card(tasked)
    assert "## Task and level" in data
    assert "| task | level | pairs |" in data
    # 40 pairs: problem i has task i mod 6 and level i mod 5 + 1; of leg_counting (3) and level 4 are 3 and 33
    assert "| leg_counting | 4 | 2 | 18.0 | 3.0 |" in data
    model = model_card(tasked)
    row = task_tables(tasked_evidence)[0].rows[0]
    assert row.auto is not None
    assert f"| gym-mixed | {row.task} | 1 | {NUM_PROBLEMS} |" in model
    assert f"{row.auto.accuracy:.3f} ± {row.auto.accuracy_stderr:.3f}" in model


def test_the_terminal_says_where_the_numbers_by_task_are(tasked: ReportInputs) -> None:
    assert task_sentence(tasked.tables["eval_routers"][0], key="0ab1") == (
        "by task and level: the report, or thinkless sql \"from eval_by_task where artifact_key = '0ab1'\""
    )
