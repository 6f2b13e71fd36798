"""The report, its cards and its result table, on made-up runs in two shapes: complete, and with much missing."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from infra.report.cards import dataset_card, model_card, yaml_block
from infra.report.evidence import gather_evidence
from infra.report.inputs import ReportInputs
from infra.report.label_layout import Box, place_around, spread
from infra.report.page import SECTIONS, render_report
from infra.report.result_table import result_table_text
from infra.report.verdicts import headline, judge_benchmarks
from schemas.artifact import MANIFEST_VERSION, CheckResult, InputRef, Manifest
from schemas.base import Record, records_to_table
from schemas.errors import EvaluationError, MissingArtifactError
from schemas.mode import EvalMode, Mode
from schemas.records import (
    EvalCompletion,
    EvalSummary,
    FinishReason,
    Metric,
    Pair,
    Problem,
    ProblemSplit,
    RolloutRecord,
)

MIXES = {"tiny-easy": (0.9, 0.1, 0, 0, 0), "tiny-mixed": (0.3, 0.2, 0.2, 0.2, 0.1), "tiny-hard": (0, 0, 0.2, 0.4, 0.4)}
NUM_PROBLEMS = 120
P_THINK = {"base": (0.5,) * 5, "sft": (0.49, 0.5, 0.51, 0.5, 0.52), "rl": (0.02, 0.94, 0.97, 0.98, 0.99)}
SHORT_ACCURACY = {"base": (0.1,) * 5, "sft": (0.99, 0.3, 0.22, 0.19, 0.15), "rl": (1.0, 0.45, 0.25, 0.2, 0.16)}
THINK_ACCURACY = {"base": 0.04, "sft": 0.985, "rl": 0.99}
RL_STEPS = 120


def make_problems() -> list[Problem]:
    """Held-out problems of all benchmarks; prompts carry characters that HTML must escape."""
    rng = np.random.default_rng(0)
    problems = []
    for benchmark, mix in MIXES.items():
        for index in range(NUM_PROBLEMS):
            difficulty = int(rng.choice(5, p=np.array(mix) / sum(mix))) + 1
            digits = rng.integers(10, 99, size=difficulty + 1)
            problems.append(
                Problem(
                    problem_id=f"{benchmark}-{index:04d}",
                    prompt="+".join(map(str, digits)) + "=?",
                    answer=str(int(digits.sum()) % 10),
                    difficulty=difficulty,
                    split=ProblemSplit.TEST,
                    benchmark=benchmark,
                    source="procedural",
                )
            )
    return problems


def make_completions(problems: Sequence[Problem], p_think: dict[str, tuple[float, ...]]) -> list[EvalCompletion]:
    """Three models in three modes on every problem."""
    rng = np.random.default_rng(1)
    rows = []
    for model in ("rl", "base", "sft"):
        for problem in problems:
            level = (problem.difficulty or 1) - 1
            chance = float(np.clip(p_think[model][level] + rng.normal(0, 0.02), 0.001, 0.999))
            for mode in ("think", "auto", "short"):
                thinks = mode == "think" or (mode == "auto" and rng.random() < chance)
                skill = THINK_ACCURACY[model] if thinks else SHORT_ACCURACY[model][level]
                correct = bool(rng.random() < skill)
                answer = problem.answer if correct else str((int(problem.answer) + 1) % 10)
                length = 40 if model == "base" else (12 + 9 * level + int(rng.integers(0, 6)) if thinks else 3)
                text = f"<think>{problem.prompt[:-2]}: & so on</think>{answer}" if thinks else f"<short>{answer}"
                rows.append(
                    EvalCompletion(
                        completion_id=f"{model}-{problem.problem_id}-{mode}",
                        model=model,
                        benchmark=str(problem.benchmark),
                        mode=EvalMode(mode),
                        problem_id=problem.problem_id,
                        difficulty=problem.difficulty,
                        sample=0,
                        chosen_mode=Mode.THINK if thinks else Mode.SHORT,
                        completion=text,
                        answer=answer,
                        correct=correct,
                        num_tokens=length,
                        truncated=model == "base" and bool(rng.random() < 0.6),
                        malformed=False,
                        fake_short=False,
                        p_think=chance,
                        grader="exact",
                    )
                )
    return rows


def summarise(completions: Sequence[EvalCompletion]) -> list[EvalSummary]:
    """Cells of the result table."""
    rows = []
    for benchmark in MIXES:
        for model in ("rl", "sft", "base"):
            for mode in EvalMode:
                cell = [c for c in completions if (c.benchmark, c.model, c.mode) == (benchmark, model, mode)]
                correct = np.array([c.correct for c in cell], dtype=float)
                rows.append(
                    EvalSummary(
                        model=model,
                        benchmark=benchmark,
                        mode=mode,
                        n=len(cell),
                        accuracy=float(correct.mean()),
                        accuracy_stderr=float(correct.std(ddof=1) / np.sqrt(len(cell))),
                        think_share=float(np.mean([c.chosen_mode is Mode.THINK for c in cell])),
                        mean_tokens=float(np.mean([c.num_tokens for c in cell])),
                        truncated_share=float(np.mean([c.truncated for c in cell])),
                        malformed_share=0.0,
                        fake_short_share=0.0,
                        grader="exact",
                    )
                )
    return rows


def make_metrics() -> tuple[list[Metric], list[Metric]]:
    """SFT and RL metrics of plausible shape."""
    rng = np.random.default_rng(2)
    sft, rl = [], []
    for step in range(0, 840, 5):
        loss = 0.25 + 2.2 * np.exp(-step / 120) + rng.normal(0, 0.02)
        values = {
            "loss": loss,
            "think_loss": loss * 0.7,
            "short_loss": loss * 1.6,
            "learning_rate": 3e-3,
            "grad_norm": 1.0,
        }
        if step % 100 == 0:
            values["validation_loss"] = loss * 1.05
        sft += [Metric(stage="sft", step=step, name=name, value=float(v)) for name, v in values.items()]
    for step in range(RL_STEPS + 1):
        rise, fall = 1 / (1 + np.exp(-(step - 20) / 6)), 1 / (1 + np.exp(-(step - 60) / 8))
        share = 0.5 + 0.26 * rise - 0.2 * fall
        values = {
            "reward_mean": 0.1 + 0.5 * fall,
            "accuracy": 0.7 + 0.27 * rise,
            "think_share": share,
            "think_accuracy": 0.985,
            "short_accuracy": 0.45 + 0.5 * fall,
            "think_tokens": 30 - 4 * fall,
            "short_tokens": 3.0,
            "mean_tokens": 3 + 27 * share,
            "malformed_share": 0.0,
            "fake_short_share": 0.0,
            "truncated_share": 0.01,
            "zero_variance_share": 0.2 + 0.5 * fall,
            "kl": 0.01 * fall,
            "entropy": 0.05,
            "control_entropy": 0.69 - 0.6 * fall,
            "loss": 0.0,
            "grad_norm": 0.3,
        }
        if step:
            noisy = {name: float(np.clip(v + rng.normal(0, 0.015), 0, None)) for name, v in values.items()}
            rl += [Metric(stage="rl", step=step, name=name, value=v) for name, v in noisy.items()]
        if step % 10 == 0:
            levels = [0.5 + (P_THINK["rl"][d] - 0.5) * fall for d in range(5)]
            rl.append(Metric(stage="rl", step=step, name="probe_p_think", value=float(np.mean(levels))))
            rl += [
                Metric(stage="rl", step=step, name=f"probe_p_think/difficulty_{d + 1}", value=float(v))
                for d, v in enumerate(levels)
            ]
    return sft, rl


def make_rollouts() -> list[RolloutRecord]:
    """32 rollouts a step; their think count rises and falls."""
    rng = np.random.default_rng(3)
    return [
        RolloutRecord(
            rollout_id=f"{step}-{index}", step=step, problem_id="p", difficulty=1, sample=index,
            mode=Mode.THINK if rng.random() < 0.5 + 0.3 * np.sin(np.pi * step / RL_STEPS) else Mode.SHORT,
            completion="<short>1", num_tokens=3, finish_reason=FinishReason.STOP, correct=True, malformed=False,
            fake_short=False, reward=1.0, advantage=0.0,
        )
        for step in range(1, RL_STEPS + 1)
        for index in range(32)
    ]  # fmt: skip


def make_pairs() -> list[Pair]:
    """A few pairs in both splits."""
    return [
        Pair(
            problem_id=f"pair-{index}", prompt="3*7+4=?", answer="5", think_completion="<think>3*7=1,1+4=5</think>5",
            short_completion="<short>5", think_tokens=18, short_tokens=3, think_truncated=False, short_truncated=False,
            split="validation" if index % 10 == 0 else "train", difficulty=index % 5 + 1,
        )
        for index in range(40)
    ]  # fmt: skip


def make_manifests() -> tuple[Manifest, ...]:
    """One artifact per stage, wired as the pipeline wires them."""
    wiring = {
        "base": ((), 0, {}), "problems": ((), 12000, {"duplicate": 310, "in_benchmark": 42}),
        "teach": (("problems",), 16000, {"truncated": 12}),
        "pairs": (("teach", "problems"), 7950, {"think_truncated": 12, "short_incorrect": 38}),
        "sft": (("base", "pairs"), 0, {}), "rl": (("sft", "problems"), 3840, {}),
        "evaluate": (("base", "sft", "rl", "problems"), 3240, {}),
    }  # fmt: skip
    ref = {
        stage: InputRef(stage=stage, key=f"{i}ab4c5d6e7f8091a2", digest=f"{i}f00ba7c0ffee")
        for i, stage in enumerate(wiring)
    }
    passed = CheckResult(
        suite="pairs", expectation="short_tokens between 1 and 512", success=True, observed="3..5", failing_rows="[]"
    )
    failed = CheckResult(
        suite="pairs", expectation="answer is not <null>", success=False, observed="2", failing_rows='["p-1", "p-2"]'
    )
    return tuple(
        Manifest(
            manifest_version=MANIFEST_VERSION, stage=stage, stage_version=1, key=ref[stage].key,
            digest=ref[stage].digest, run_id="run-1" if stage != "base" else "run-0", created_at="2025-01-01T10:00:00Z",
            inputs=tuple(ref[parent] for parent in inputs),
            config={"seed": 7, "model": {"kind": "tiny"}, "note": "a<b"}, fingerprint="feed" * 16,
            packages={"torch": "2.13.0", "numpy": "2.1"} if stage != "sft" else {"torch": "2.13.1"},
            environment={"python": "3.11.7", "threads": "2"}, seed=7, rows=rows, drops=drops,
            checks=(passed, failed) if stage == "pairs" else (), timings={"sample": 12.5, "train": 183.0}, files=(),
        )
        for stage, (inputs, rows, drops) in reversed(wiring.items())
    )  # fmt: skip


def write(path: Path, record: type[Record], rows: Iterable[Record]) -> Path:
    """Rows as Parquet, as the stages write them."""
    pq.write_table(records_to_table(record, rows), path)
    return path


def complete_inputs(folder: Path, p_think: dict[str, tuple[float, ...]] = P_THINK) -> ReportInputs:
    """A run in which everything was measured."""
    problems = make_problems()
    completions = make_completions(problems, p_think)
    sft, rl = make_metrics()
    return ReportInputs(
        title="Does it know <when> to think?",
        profile="tiny",
        run_id="run-1",
        created_at="2025-01-01T12:00:00Z",
        eval_summary=write(folder / "eval_summary.parquet", EvalSummary, summarise(completions)),
        eval_completions=write(folder / "eval_completions.parquet", EvalCompletion, completions),
        sft_metrics=write(folder / "sft_metrics.parquet", Metric, sft),
        rl_metrics=write(folder / "rl_metrics.parquet", Metric, rl),
        rollouts=write(folder / "rollouts.parquet", RolloutRecord, make_rollouts()),
        pairs=write(folder / "pairs.parquet", Pair, make_pairs()),
        problems=write(folder / "problems.parquet", Problem, problems),
        manifests=make_manifests(),
        validation_docs={"pairs": "../pairs/docs/index.html"},
        examples=6,
    )


def partial_inputs(folder: Path) -> ReportInputs:
    """A run with no metrics, rollouts, completions, manifests or examples, and one model only."""
    whole = complete_inputs(folder)
    cell = EvalSummary(
        model="rl", benchmark="only", mode=EvalMode.AUTO, n=1, accuracy=1.0, accuracy_stderr=0.0, think_share=0.0,
        mean_tokens=3.0, truncated_share=0.0, malformed_share=0.0, fake_short_share=0.0, grader="exact",
    )  # fmt: skip
    write(folder / "eval_summary.parquet", EvalSummary, [cell])
    write(folder / "eval_completions.parquet", EvalCompletion, [])
    write(folder / "rollouts.parquet", RolloutRecord, [])
    write(folder / "sft_metrics.parquet", Metric, [])
    write(folder / "rl_metrics.parquet", Metric, [Metric(stage="rl", step=3, name="accuracy", value=0.5)])
    write(folder / "pairs.parquet", Pair, [])
    write(folder / "problems.parquet", Problem, [])
    return replace(whole, manifests=(), validation_docs={}, examples=0)


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    return complete_inputs(tmp_path_factory.mktemp("complete"))


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    return partial_inputs(tmp_path_factory.mktemp("partial"))


@pytest.fixture(scope="module")
def page(complete: ReportInputs) -> str:
    return render_report(complete)


class Outline(HTMLParser):
    """Checks that tags balance, and collects what the tests ask about."""

    VOID = frozenset({"meta", "link", "br", "hr", "img", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.identifiers: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.identifiers += [value for name, value in attrs if name == "id" and value]


def outline(text: str) -> Outline:
    """The page, parsed to its end."""
    parser = Outline()
    parser.feed(text)
    parser.close()
    assert not parser.open, f"never closed: {parser.open}"
    return parser


def test_every_section_is_there_in_order_and_in_the_navigation(page: str) -> None:
    parsed = outline(page)
    assert [a["id"] for tag, a in parsed.tags if tag == "section"] == list(SECTIONS)
    links = [str(a.get("href")) for tag, a in parsed.tags if tag == "a"]
    assert [link for link in links if link.removeprefix("#") in SECTIONS] == [f"#{name}" for name in SECTIONS]


@pytest.mark.parametrize("shape", ["complete", "partial"])
def test_tags_balance_and_identifiers_are_unique_and_known(shape: str, request: pytest.FixtureRequest) -> None:
    parsed = outline(render_report(request.getfixturevalue(shape)))
    assert len(parsed.identifiers) == len(set(parsed.identifiers))
    for _, attributes in parsed.tags:
        for name in ("href", "aria-labelledby", "clip-path"):
            value = attributes.get(name) or ""
            if name == "href" and not value.startswith("#"):
                continue
            for reference in re.findall(r"[^\s()#]+", value.removeprefix("url")):
                assert reference in parsed.identifiers


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_run(page: str) -> None:
    parsed = outline(page)
    for tag, attributes in parsed.tags:
        assert tag not in {"script", "iframe", "object", "embed"}
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "data", "poster", "xlink:href"):
            assert not re.match(r"(https?:)?//", attributes.get(name) or "")
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_the_page_is_small_and_the_same_every_time(complete: ReportInputs, page: str) -> None:
    assert render_report(complete) == page
    assert render_report(replace(complete, manifests=complete.manifests[::-1])) == page
    assert len(page.encode()) < 1_000_000


def test_every_picture_has_a_title_and_a_description(page: str) -> None:
    parsed = outline(page)
    pictures = [attributes for tag, attributes in parsed.tags if tag == "svg"]
    assert len(pictures) == 16  # 4 of routing, 3 benchmarks, 6 of RL, 2 of warm-up, lineage
    assert all(a["role"] == "img" and a["aria-labelledby"] for a in pictures)
    assert all(a.get("scope") for tag, a in parsed.tags if tag == "th")


def test_colours_are_left_to_the_style_sheet(page: str) -> None:
    body = page[page.index("</style>") :]
    assert not re.findall(r"(?:fill|stroke): ?#[0-9a-f]{6}", body)
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", page))
    for theme in re.findall(r":root \{(.*?)\}", page, flags=re.DOTALL):
        assert used - {"tone", "tone-panel"} <= {*re.findall(r"--([a-z0-9-]+):", theme), "link"}


def test_text_of_the_run_is_escaped(tmp_path: Path) -> None:
    inputs = complete_inputs(tmp_path)
    evil = '</pre><script>alert("x")</script>'
    completions = pq.read_table(inputs.eval_completions).to_pylist()
    rows = [EvalCompletion(**{**row, "completion": evil, "benchmark": "a<b>&c"}) for row in completions]
    write(inputs.eval_completions, EvalCompletion, rows)
    summary = pq.read_table(inputs.eval_summary).to_pylist()
    write(
        inputs.eval_summary,
        EvalSummary,
        [EvalSummary(**{**row, "benchmark": "a<b>&c"}) for row in summary if row["benchmark"] == "tiny-hard"],
    )
    text = render_report(inputs)
    parsed = outline(text)
    assert evil not in text
    assert evil in "".join(parsed.text)
    assert "a<b>&c" in parsed.text


def test_metrics_that_were_not_logged_are_named_and_break_nothing(partial: ReportInputs) -> None:
    text = render_report(partial)
    parsed = outline(text)
    assert [a["id"] for tag, a in parsed.tags if tag == "section"] == list(SECTIONS)
    assert "the metrics hold no loss, validation_loss" in text
    assert "the rollouts hold no think, short" in text
    assert "Not logged: think_share." in text
    assert "Cannot tell" in text
    assert "none were asked for" in text


def test_the_result_table_shows_the_numbers_of_the_file(complete: ReportInputs, page: str) -> None:
    text = result_table_text(complete.eval_summary)
    assert text.isascii()
    rows = [line for line in text.splitlines() if line.startswith("  ")]
    assert len(rows) == 3 * (1 + 9)
    assert len({len(line) for line in rows}) == 1
    blocks = dict(zip(MIXES, text.split("\n\n"), strict=True))
    for cell in pq.read_table(complete.eval_summary).to_pylist():
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
            grader="exact",
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
    template = pq.read_table(inputs.eval_completions).to_pylist()[0]
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
    write(inputs.eval_completions, EvalCompletion, rows)
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


def test_a_verdict_is_worded_and_not_only_coloured(complete: ReportInputs, page: str) -> None:
    for verdict in judge_benchmarks(gather_evidence(complete)):
        assert f"</span> {verdict.words}</span>" in page


def test_examples_are_spread_over_difficulties_and_show_failures(complete: ReportInputs) -> None:
    examples = gather_evidence(complete).examples
    chosen = [e for e in examples if not e.picked_as_wrong]
    assert len(chosen) == 6
    assert {e.difficulty for e in chosen} == {1, 2, 3, 4, 5}
    wrong = [e for e in examples if e.picked_as_wrong]
    assert len(wrong) == 2
    assert not any(c.correct for e in wrong for c in e.completions if c.mode == "auto")
    assert all([c.mode for c in e.completions] == ["auto", "short", "think"] for e in examples)


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
        render_report(replace(complete, rollouts=tmp_path / "none.parquet"))
    empty = write(tmp_path / "empty.parquet", EvalSummary, [])
    with pytest.raises(EvaluationError, match="no rows"):
        result_table_text(empty)


def test_folders_with_odd_names_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "it's [a] folder*"
    folder.mkdir()
    assert "RL auto" in render_report(complete_inputs(folder))


def test_cards_carry_front_matter_that_parses_and_measured_numbers(complete: ReportInputs) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: front matter is not parsed")
    _, front, body = model_card(complete).split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["pipeline_tag"] == "text-generation"
    assert "base_model" not in card
    result = card["model-index"][0]["results"][0]
    cell = gather_evidence(complete).cell("tiny-easy", "rl", "auto")
    assert cell is not None
    assert result["dataset"]["name"] == "tiny-easy"
    assert result["metrics"][0]["value"] == round(cell.accuracy, 4)
    assert f"{cell.accuracy:.3f} ± {cell.accuracy_stderr:.3f}" in body
    data = yaml.safe_load(dataset_card(complete).split("---\n", 2)[1])
    assert data["size_categories"] == ["n<1K"]


def test_cards_name_a_pretrained_base_without_its_folder(complete: ReportInputs) -> None:
    def based_on(path: str) -> str:
        changed = tuple(
            m.model_copy(update={"config": {"model": {"kind": "pretrained", "path": path}}}) if m.stage == "base" else m
            for m in complete.manifests
        )
        return model_card(replace(complete, manifests=changed))

    assert 'base_model: "owner/model-1.5B"' in based_on("owner/model-1.5B")
    card = based_on("/somewhere/private/model-1.5B")
    assert 'base_model: "model-1.5B"' in card
    assert "/somewhere" not in card


def test_cards_of_a_partial_run_say_what_is_missing(partial: ReportInputs) -> None:
    assert "Cannot tell" in model_card(partial)
    assert "no manifest" in model_card(partial)
    assert "0 problems" in dataset_card(partial)


def test_yaml_survives_a_round_trip() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    value = {
        "a": [1, [2, 3], {"b": "yes", "c d": None}, [], {}],
        "text": 'a: "b" # c\n- d',
        "n": {"x": 1.5, "y": True, "z": {"w": ["no", "-", "~"]}},
    }
    assert yaml.safe_load(yaml_block(value)) == value


def test_labels_keep_their_order_and_distance() -> None:
    placed = spread([50.0, 50.0, 51.0, 10.0], gap=12, low=0, high=60)
    order = sorted(placed)
    assert all(b - a >= 12 - 1e-9 for a, b in itertools.pairwise(order))
    assert min(order) >= 0
    assert max(order) <= 60 + 1e-9
    assert placed[3] == min(placed)
    assert placed[2] == max(placed)


def test_labels_of_coinciding_points_do_not_overlap() -> None:
    points = [(100.0, 100.0)] * 4 + [(104.0, 98.0), (20.0, 20.0)]
    sizes = [(60.0, 13.0)] * len(points)
    centres = place_around(points, sizes, frame=Box(0, 0, 300, 200), obstacles=[])
    boxes = [Box(x - 30, y - 6.5, x + 30, y + 6.5) for x, y in centres]
    assert all(a.overlap(b) == 0 for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(box.outside(Box(0, 0, 300, 200)) == 0 for box in boxes)


def test_the_page_does_not_scroll_sideways_on_a_phone(page: str, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium here: the width of the page on a phone is not measured")
    opened = escape(page.replace("<details>", "<details open>"), quote=True)
    wrapper = tmp_path / "phone.html"
    wrapper.write_text(
        f'<iframe id="f" srcdoc="{opened}" style="width:390px;height:800px;border:0"></iframe>'
        "<script>onload = () => { const d = f.contentDocument.documentElement;"
        " document.title = d.clientWidth + ' ' + d.scrollWidth }</script>",
        encoding="utf-8",
    )
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-quic"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", wrapper.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    measured = re.search(r"<title>(\d+) (\d+)</title>", done.stdout)
    if measured is None:
        pytest.skip(f"the browser at hand does not start (exit code {done.returncode})")
    assert 300 < int(measured.group(1)) <= 390
    assert int(measured.group(2)) <= int(measured.group(1))
