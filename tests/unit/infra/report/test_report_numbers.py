"""What the report computes from its tables: results, differences, verdicts, routers, curves, examples."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from infra.report.charts.pareto_charts import caption, cheapest_point
from infra.report.charts.u_curve import forced_spans, turn_of, u_curve_chart
from infra.report.data.evidence import MOST_DISAGREEMENTS, Evidence, gather_evidence
from infra.report.data.examples import MOST_BYTES, TRAINING, browser_json
from infra.report.data.inputs import ReportInputs
from infra.report.data.result_table import result_table_markdown, result_table_text
from infra.report.data.router_tables import MEANING, router_tables
from infra.report.data.verdicts import headline, judge_benchmarks
from infra.report.page import render_report
from schemas.mode import EvalMode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_pareto import ParetoPoint
from schemas.records.eval_summary import EvalSummary
from tests.unit.infra.report.reported import (
    MIXES,
    NUM_PROBLEMS,
    P_THINK,
    complete_inputs,
    make_guard_events,
    summarise,
    write,
)


def test_the_result_table_shows_the_numbers_of_the_file(complete: ReportInputs, page: str) -> None:
    text = result_table_text(complete.tables["eval_summary"][0])
    assert text.isascii()
    rows = [line for line in text.splitlines() if line.startswith("  ")]
    assert len(rows) == 3 * (1 + 9)
    assert len({len(line) for line in rows}) == 1
    blocks = dict(zip(MIXES, text.split("\n\n"), strict=True))
    for cell in pq.read_table(complete.tables["eval_summary"][0]).to_pylist():
        accuracy = f"{cell['accuracy']:.3f} +- {cell['accuracy_stderr']:.3f}"
        row = next(
            line.split()
            for line in blocks[cell["benchmark"]].splitlines()
            if line.split()[:2] == [cell["model"], cell["mode"]]
        )
        assert " ".join(row[2:5]) == accuracy
        assert abs(float(row[5].rstrip("%")) - 100 * cell["think_share"]) <= 0.5
        assert row[6] == f"{cell['mean_tokens']:.1f}"
        assert f"{cell['accuracy']:.3f} <small>± {cell['accuracy_stderr']:.3f}</small>" in page


def test_the_summary_line_compares_auto_with_forced_think(tmp_path: Path) -> None:
    def cell(mode: EvalMode, share: float, tokens: float, accuracy: float) -> EvalSummary:
        return EvalSummary(
            model="rl", benchmark="tiny-easy", mode=mode, n=200, accuracy=accuracy, accuracy_stderr=0.005,
            think_share=share, mean_tokens=tokens, truncated_share=0.0, malformed_share=0.0, fake_short_share=0.0,
            grader="exact", accuracy_paper=accuracy,
        )  # fmt: skip

    path = write(
        tmp_path / "summary.parquet",
        EvalSummary,
        [cell(EvalMode.THINK, 1.0, 18.2, 0.99), cell(EvalMode.AUTO, 0.03, 3.4, 0.995)],
    )
    assert result_table_text(path).splitlines()[-1] == (
        "tiny-easy: rl auto thinks on 3% of problems, 3.4 tokens against 18.2 forced think (-81%), "
        "accuracy 0.995 vs 0.990"
    )


def test_differences_are_paired_by_problem(tmp_path: Path) -> None:
    """Four problems, auto right on three of them and think on all: difference -1/4, deviation 1/2, error 1/4."""
    inputs = complete_inputs(tmp_path)
    (completions_file,) = inputs.tables["eval_completions"]
    template = pq.read_table(completions_file).to_pylist()[0]
    rows = [
        EvalCompletion(
            **{
                **template,
                "model": "rl",
                "benchmark": "b",
                "problem_id": f"p{index}",
                "mode": mode,
                "chosen_mode": "short" if mode == "short" or (mode == "auto" and index < 2) else "think",
                "correct": {"auto": index != 0, "think": True, "short": index == 1}[mode],
            }
        )
        for index in range(4)
        for mode in ("auto", "short", "think")
    ]
    write(completions_file, EvalCompletion, rows)
    compared = gather_evidence(inputs).comparisons["b"]
    assert compared.against_think == -0.25
    assert compared.against_think_stderr == 0.25
    # the coin thinks on 2 of 4: 0.5 * 1 + 0.5 * 0.25 = 0.625, and auto has 0.75
    assert compared.against_coin == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("p_think", "answer"),
    [
        (P_THINK, "Partly: it chooses by problem, at a cost in accuracy"),
        ({**P_THINK, "rl": (0.001, 0.999, 0.999, 0.999, 0.999)}, "Yes: it learned when to think"),
        ({**P_THINK, "rl": (0.99,) * 5}, "No: it thinks almost everywhere"),
        ({**P_THINK, "rl": (0.01,) * 5}, "No: it almost never thinks"),
        ({**P_THINK, "rl": (0.95, 0.9, 0.1, 0.1, 0.1)}, "No: its choice does not follow the problem"),
    ],
)
def test_the_answer_follows_the_behaviour(tmp_path: Path, p_think: dict[str, tuple[float, ...]], answer: str) -> None:
    assert headline(gather_evidence(complete_inputs(tmp_path, p_think))).answer == answer


def test_examples_are_spread_over_difficulties_and_show_failures(evidence: Evidence) -> None:
    examples = evidence.examples
    held_out = [e for e in examples if e.shown and e.source != TRAINING]
    chosen, wrong = held_out[:6], held_out[6:]
    assert {e.difficulty for e in chosen} == {1, 2, 3, 4, 5}
    assert not [e for e in chosen if "shown because auto got it wrong" in e.facts]
    assert len(wrong) == 2
    assert all("wrong" in e.tags and "shown because auto got it wrong" in e.facts for e in wrong)
    assert all([s.label for s in e.sides] == ["auto", "short", "think"] for e in examples if e.source != TRAINING)
    assert len([e for e in examples if e.source != TRAINING]) == len(MIXES) * NUM_PROBLEMS
    assert len({(e.source, e.facts, e.prompt) for e in examples[:100]}) > 90  # no problem comes twice


def test_training_examples_show_both_teachers_and_no_model(evidence: Evidence) -> None:
    taught = [e for e in evidence.examples if e.source == TRAINING]
    assert len(taught) == 40
    assert {(e.p_think, e.chosen, e.tags) for e in taught} == {(None, "", ())}
    assert [(s.label, s.verdict, s.text) for s in taught[0].sides] == [
        ("short", "right", "<short>5"),
        ("think", "right", "<think>3*7=1,1+4=5</think>5"),
    ]
    assert "teacher procedural" in taught[0].sides[0].detail


def test_tags_of_an_example_follow_its_verdicts(evidence: Evidence) -> None:
    for example in evidence.examples:
        if example.source == TRAINING:
            continue
        right = {side.label: side.verdict == "right" for side in example.sides}
        assert ("right" in example.tags) == right["auto"]
        assert ("wrong" in example.tags) != right["auto"]
        assert ("needs-thinking" in example.tags) == (right["think"] and not right["short"])
        assert ("neither" in example.tags) == (not right["think"] and not right["short"])


def test_the_data_of_the_browser_stay_within_their_size(evidence: Evidence) -> None:
    (example,) = evidence.examples[:1]
    long = example._replace(sides=tuple(s._replace(text="<" * 1000) for s in example.sides), shown=False)
    text, number = browser_json([long] * 500)
    assert 0 < number < 500
    assert len(text.encode()) <= MOST_BYTES
    assert "<" not in text
    assert json.loads(text)[0][7][0][3] == "<" * 1000
    # those on the page already are always in the data, because the script finds them by position
    assert browser_json([long._replace(shown=True)] * 500)[1] == 500


def test_samples_of_a_problem_are_completions_and_not_problems(tmp_path: Path) -> None:
    inputs = complete_inputs(tmp_path)
    path = inputs.tables["eval_completions"][0]
    rows = [EvalCompletion(**row) for row in pq.read_table(path).to_pylist()]
    again = [row.model_copy(update={"sample": 1, "completion_id": f"{row.completion_id}-1"}) for row in rows]
    write(path, EvalCompletion, [*rows, *again])
    write(inputs.tables["eval_summary"][0], EvalSummary, summarise([*rows, *again]))
    found, page = gather_evidence(inputs), render_report(inputs)
    text = result_table_text(inputs.tables["eval_summary"][0])
    for result in judge_benchmarks(found):
        own = {row.problem_id for row in rows if row.benchmark == result.benchmark}
        cell = found.cell(result.benchmark, "rl", "auto")
        assert cell is not None
        assert (result.num_problems, cell.n) == (len(own), 2 * len(own))
        assert found.problem_counts[result.benchmark].num_samples == 2
        assert f"{result.benchmark} <small>{len(own)} problems, 2 samples each</small>" in page
        assert f"{result.benchmark} ({2 * len(own)} completions, grader" in text


def test_graders_are_counted_by_hand(complete: ReportInputs, evidence: Evidence) -> None:
    rows = pq.read_table(complete.tables["eval_completions"][0]).to_pylist()
    for counted in evidence.graders:
        own = [(row["correct"], row["correct_paper"]) for row in rows if row["model"] == counted.model]
        expected = [own.count(verdicts) for verdicts in ((True, True), (True, False), (False, True))]
        assert [counted.num_completions, counted.both_right, counted.only_strict, counted.only_lenient] == [
            len(own),
            *expected,
        ]
    assert {d.correct for d in evidence.disagreements} == {False}
    assert len(evidence.disagreements) == MOST_DISAGREEMENTS


def test_routers_are_measured_against_the_oracle(evidence: Evidence) -> None:
    tables = router_tables(evidence)
    assert [table.benchmark for table in tables] == list(MIXES)
    for table in tables:
        assert [row.score.router for row in table.rows] == [r for r in MEANING if not r.startswith("task")]
        oracle = next(row for row in table.rows if row.score.router == "oracle")
        assert oracle.tokens_of_oracle == 1.0
        for row in table.rows:
            assert row.tokens_of_oracle == pytest.approx(row.score.mean_tokens / oracle.score.mean_tokens)


def test_the_results_as_markdown_are_those_of_the_rl_model_in_four_columns(complete: ReportInputs) -> None:
    eval_summary = complete.tables["eval_summary"][0]
    text = result_table_markdown(eval_summary)
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows] == ["mode", "auto", "short", "think"] * len(MIXES)
    assert {len(row) for row in rows} == {4}
    for cell in pq.read_table(eval_summary).to_pylist():
        shown = [cell["mode"], f"{cell['accuracy']:.3f} ± {cell['accuracy_stderr']:.3f}"]
        assert any(row[:2] == shown for row in rows) or cell["model"] != "rl"


def test_the_cheapest_point_gives_up_at_most_a_hundredth_of_what_is_solved() -> None:
    def point(bias: float, accuracy: float, tokens: float) -> ParetoPoint:
        return ParetoPoint(
            model="rl", benchmark="b", think_bias=bias, n=100, accuracy=accuracy, accuracy_stderr=0.01,
            think_share=0.5, mean_tokens=tokens, mean_tokens_stderr=0.1,
        )  # fmt: skip

    nothing = [point(-2, 0.0, 3), point(2, 0.04, 30)]
    assert caption({"rl": nothing}) == "RL solves nearly nothing at any bias, so none is better than another."
    points = [point(-2, 0.80, 3), point(-1, 0.979, 9), point(0, 0.98, 12), point(1, 0.99, 20), point(2, 0.985, 30)]
    assert cheapest_point(points).think_bias == 0
    assert "cheapest at a bias of +0: 0.980 at 12.0 tokens" in caption({"rl": points})
    assert cheapest_point(points[:1]).think_bias == -2


def test_the_turn_of_a_curve_is_where_it_leaves_the_straight_line() -> None:
    triangle = tuple((step, float(min(step, 30 - step))) for step in range(31))
    turn = turn_of(triangle)
    assert turn is not None
    assert (turn.step, turn.value) == (15, 15.0)
    assert turn_of(triangle[:4]) is None


def test_forced_spans_run_from_force_to_release_or_to_the_end() -> None:
    events = make_guard_events()
    assert forced_spans(events, last=120) == [(16, 40)]
    assert forced_spans(events[:2], last=120) == [(16, 120)]
    assert forced_spans(events[:1], last=120) == []


def test_free_rollouts_are_drawn_where_they_were_counted(evidence: Evidence) -> None:
    counted = u_curve_chart(evidence.rl, evidence.rollout_counts, ())
    assert counted.svg is not None
    assert "forced ones left out" not in counted.svg
    think = tuple((c.step, float(c.think)) for c in evidence.rollout_counts)
    fewer = tuple((step, value - 2) for step, value in think)
    free = u_curve_chart({"think_count": think, "free_think_count": fewer}, evidence.rollout_counts, ())
    assert free.svg is not None
    assert "forced ones left out" in free.svg
