"""The graded tasks through every stage with SmolLM2, made small: nothing is learned, everything happens."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from infra.catalog.query import run_query
from schemas.records.eval_completions import EvalCompletion
from schemas.records.pairs import Pair
from schemas.records.problems import Problem
from schemas.records.rollouts import RolloutRecord
from tasks.running.parquet_files import read_records
from tests.integration.driver import FinishedRun, run_pipeline
from tests.smollm2 import smollm2_source

SMALL = (
    "problems.source.num_problems=60",
    "problems.rl_source.num_problems=60",
    "problems.benchmarks.trained.num_problems=15",
    "problems.benchmarks.harder.num_problems=5",
    "problems.benchmarks.unseen.num_problems=4",
    "sft.steps=2",
    "sft.pairs_per_step=4",
    "sft.optimizer.warmup_steps=1",
    "rl.steps=1",
    "rl.prompts_per_step=4",
    "rl.group_size=4",
    "rl.max_new_tokens=24",
    "rl.short_max_tokens=24",
    "rl.probe_problems=4",
    'evaluate.models=["rl"]',
    "evaluate.limit=5",
    "evaluate.max_new_tokens=16",
    "evaluate.short_max_tokens=16",
    "report.examples=2",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FinishedRun]:
    """Home and run."""
    pytest.importorskip("reasoning_gym", reason="needs reasoning-gym: pip install 'thinkless-flows[gym]'")
    smollm2_source()
    home = tmp_path_factory.mktemp("graded") / "home"
    return home, run_pipeline(home, profile="smollm2", small=SMALL)


@pytest.mark.slow
def test_tasks_and_levels_are_columns_from_the_problems_to_the_report(run: tuple[Path, FinishedRun]) -> None:
    _, finished = run
    folders = {label: Path(artifact.path) for label, artifact in finished.artifacts.items()}
    problems = read_records(folders["problems"] / Problem.FILE, Problem)
    assert {p.verifier for p in problems} == {"gym"}
    assert len({(p.task, p.difficulty) for p in problems if not p.benchmark}) >= 13
    trained = {p.task for p in problems if p.benchmark == "trained"}
    assert not trained & {p.task for p in problems if p.benchmark == "unseen"}
    pairs = read_records(folders["pairs"] / Pair.FILE, Pair)
    assert len(pairs) >= 55
    assert all(p.think_completion.endswith(f"</think>{p.answer}") for p in pairs if "\n" not in p.answer)
    rollouts = read_records(folders["rl"] / RolloutRecord.FILE, RolloutRecord)
    assert len(rollouts) == 16
    assert all(r.task in trained and r.score is not None for r in rollouts)
    rows = read_records(folders["evaluate"] / EvalCompletion.FILE, EvalCompletion)
    assert Counter(r.benchmark for r in rows) == {"trained": 15, "harder": 15, "unseen": 12}
    assert all(r.grader == "gym" and r.task for r in rows)
    page = (folders["report"] / "report.html").read_text()
    assert "By task and level" in page
    assert "chain_sum" in page


@pytest.mark.slow
def test_results_by_task_and_level_are_a_query_away(run: tuple[Path, FinishedRun]) -> None:
    home, finished = run
    table = run_query(
        home,
        "select benchmark, count(distinct (task, difficulty)) as levels, sum(n) as n from eval_by_task "
        "where mode = 'think' group by benchmark order by benchmark",
        timeout_seconds=60,
    )
    rows = read_records(Path(finished.artifacts["evaluate"].path) / EvalCompletion.FILE, EvalCompletion)
    levels = {
        name: {(r.task, r.difficulty) for r in rows if r.benchmark == name} for name in ("harder", "trained", "unseen")
    }
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (name, len(levels[name]), num_problems) for name, num_problems in (("harder", 5), ("trained", 5), ("unseen", 4))
    ]
    assert all(len(found) >= 4 for found in levels.values())
