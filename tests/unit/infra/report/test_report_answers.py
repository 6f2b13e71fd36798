"""The first screen of a report: four questions, each answered in sentences with their figures."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from infra.report.data.answers import answers
from infra.report.data.evidence import DROPPED_LENGTH, MOST_DROPPED, Evidence, gather_evidence, write_dropped_rows
from infra.report.data.inputs import ReportInputs
from infra.report.data.verdicts import headline, judge_benchmarks
from infra.report.data.wording import asked, counted, saved
from infra.report.page import render_report
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_summary import EvalSummary
from tests.unit.infra.report.html_outline import outline
from tests.unit.infra.report.reported import complete_inputs, make_manifests, write
from thinkless_core.statistics.summary import summarise_cell


def of_a_hundred_problems(folder: Path, *, auto: float, warm_up: float, samples: int = 4) -> ReportInputs:
    """One benchmark of 100 problems; RL has `auto` in auto mode, and the warm-up `warm_up` if forced to think."""
    inputs = complete_inputs(folder)
    (file,) = inputs.tables["eval_completions"]
    template = pq.read_table(file).to_pylist()[0]
    right = {("rl", "auto"): auto, ("rl", "short"): 0.5, ("rl", "think"): auto, ("sft", "think"): warm_up}
    rows = [
        EvalCompletion(
            **{
                **template,
                "completion_id": f"{model}-{mode}-{index}-{sample}",
                "model": model,
                "benchmark": "b",
                "problem_id": f"p{index}",
                "sample": sample,
                "mode": mode,
                "chosen_mode": "short" if mode != "think" and index % 2 else "think",
                "correct": index < 100 * share,
            }
        )
        for (model, mode), share in right.items()
        for index in range(100)
        for sample in range(samples)
    ]
    write(file, EvalCompletion, rows)
    (summary,) = inputs.tables["eval_summary"]
    cells = [[row for row in rows if (row.model, row.mode.value) == cell] for cell in right]
    write(summary, EvalSummary, map(summarise_cell, cells))
    return replace(
        inputs, tables={name: inputs.tables[name] for name in ("eval_completions", "eval_summary", "problems")}
    )


def test_counts_are_problems_and_samples_and_not_their_product(tmp_path: Path) -> None:
    page = render_report(of_a_hundred_problems(tmp_path, auto=0.8, warm_up=0.8))
    text = " ".join(" ".join(outline(page).text).split())
    assert "Measured in every mode on b (100 problems, 4 samples each)." in text
    assert "b 100 problems, 4 samples each" in text
    assert "400 problems" not in text


def test_the_four_questions_are_answered_in_order(evidence: Evidence) -> None:
    found = answers(evidence, make_manifests())
    assert [answer.question for answer in found] == [
        "Did it learn to choose?", "What does it save?", "What does it cost in accuracy?", "Can it be trusted?",
    ]  # fmt: skip
    trust = " ".join(found[-1].sentences)
    assert "It is one run with one seed (warm-up 7 and RL 7)" in trust
    assert "1 of 2 validation checks failed." in trust
    assert "The two graders " in trust


def test_accuracy_is_compared_with_the_warm_up_that_is_forced_to_think_as_well(tmp_path: Path) -> None:
    """RL keeps what its own thinking is worth, and both are 12 points behind what the warm-up could do."""
    evidence = gather_evidence(of_a_hundred_problems(tmp_path, auto=0.78, warm_up=0.9))
    cost, _ = answers(evidence, ())[2].sentences
    assert "On b its accuracy is 78.0%: the same as itself forced to think (78.0%)" in cost
    assert "12.0 points (± 3.3) below the warm-up model forced to think (90.0%)" in cost.replace("\u00a0", " ")
    (result,) = judge_benchmarks(evidence)
    assert result.lost
    assert headline(evidence).answer != "Yes: it learned when to think"


def test_without_an_evaluation_only_trust_is_answered(complete: ReportInputs) -> None:
    tables = {name: files for name, files in complete.tables.items() if not name.startswith("eval_")}
    evidence = gather_evidence(replace(complete, tables=tables))
    assert [answer.question for answer in answers(evidence, ())] == ["Can it be trusted?"]
    assert "Nothing was evaluated" in headline(evidence).reason


def test_words_are_singular_for_one_and_no_share_is_zero_percent_fewer() -> None:
    assert (counted(1, "row"), counted(2, "row")) == ("1 row", "2 rows")
    assert (asked(1, 1), asked(300, 4)) == ("1 problem", "300 problems, 4 samples each")
    assert (saved(0.001), saved(0.334), saved(-0.07)) == ("none", "33%", "7% more")


def test_what_it_gets_wrong_is_counted_over_all_samples(tmp_path: Path) -> None:
    """Of 100 problems 20 are wrong in all four samples; one more is wrong in its last sample alone."""
    inputs = of_a_hundred_problems(tmp_path, auto=0.8, warm_up=0.8)
    (file,) = inputs.tables["eval_completions"]
    rows = [EvalCompletion(**row) for row in pq.read_table(file).to_pylist()]
    last = "rl-auto-0-3"
    write(
        file, EvalCompletion, [r.model_copy(update={"correct": False}) if r.completion_id == last else r for r in rows]
    )
    evidence = gather_evidence(inputs)
    total = evidence.still_wrong
    assert sum(row.num_completions for row in total) == 400
    assert sum(row.wrong for row in total) == 81
    assert (sum(row.always_wrong for row in total), sum(row.sometimes_wrong for row in total)) == (20, 1)
    (example,) = [e for e in evidence.examples if any("right in 3 of 4 samples" in side.detail for side in e.sides)]
    assert "wrong" in example.tags


def test_long_texts_open_and_are_not_cut(complete: ReportInputs, tmp_path: Path) -> None:
    (file,) = complete.tables["eval_completions"]
    long = "<think>" + "so " * 2000 + "end of the long text"
    rows = [EvalCompletion(**{**row, "completion": long}) for row in pq.read_table(file).to_pylist()]
    changed = write(tmp_path / "completions.parquet", EvalCompletion, rows)
    page = render_report(replace(complete, tables={**complete.tables, "eval_completions": (changed,)}))
    before_script = page[: page.index("application/json")]
    assert "end of the long text" in before_script
    assert "open all 6,027 characters" in before_script


def test_dropped_rows_are_listed_with_the_reason(complete: ReportInputs, tmp_path: Path) -> None:
    text = " ".join(" ".join(outline(render_report(complete)).text).split())
    assert f"The first {MOST_DROPPED} of each reason, {MOST_DROPPED + 42 + 1 + 38} of 391 rows" in text
    assert "pairs short incorrect dropped 0+0=? sft-000000000000, train.jsonl, line 2 the short answer is not 5" in text
    assert f"{'First I add 1 and 1. ' * 40}"[:DROPPED_LENGTH].strip() + " …" in text
    write_dropped_rows(complete, tmp_path / "all.csv")
    listed = list(csv.DictReader((tmp_path / "all.csv").open(encoding="utf-8")))
    counted = Counter({r: n for m in complete.manifests for r, n in m.drops.items() if not r.endswith("_kept")})
    assert Counter(row["reason"] for row in listed) == counted
    assert {row["detail"] for row in listed if row["stage"] == "teach-short"} == {"First I add 1 and 1. " * 40}


def test_a_run_that_left_out_nothing_has_no_list(complete: ReportInputs, tmp_path: Path) -> None:
    none = replace(complete, tables={**complete.tables, "dropped": ()})
    assert "No row was left out." in render_report(none)
    write_dropped_rows(none, tmp_path / "all.csv")
    assert not (tmp_path / "all.csv").exists()
    without = {name: files for name, files in complete.tables.items() if name != "dropped"}
    assert "the table dropped was not built" in render_report(replace(complete, tables=without))
