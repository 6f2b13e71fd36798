"""The instruction below every problem: the student reads it, identities, duplicates and teachers do not."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from infra.catalog.catalog import Catalog
from infra.catalog.query import run_query
from infra.store.artifact_store import ArtifactStore
from schemas.configs.problems import ProblemsConfig, ProceduralSource
from schemas.configs.teach import ProceduralTeacher, TransformersTeacher
from schemas.mode import Mode
from schemas.records.problems import Problem, ProblemSplit
from tests.problem_rows import local
from tests.unit.infra.report.published import publish
from thinkless_core.problems.problem_set import build_problem_set
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.teachers.asking import ask_teacher
from thinkless_core.teachers.chat_teacher import user_turn

BOXED = "Please reason step by step, and put your final answer within \\boxed{}."


def problems_of(tmp_path: Path, instruction: str, **settings: object) -> ProblemsConfig:
    """Ten problems, one of which a benchmark shares but for the case of a letter."""
    rows = [{"prompt": f"problem {i}", "answer": "1"} for i in range(10)]
    return ProblemsConfig.model_validate(
        {
            "source": local(tmp_path / "train.jsonl", rows),
            "benchmarks": {"bench": local(tmp_path / "bench.jsonl", [{"prompt": "Problem 3", "answer": "1"}])},
            "instruction": instruction,
            **settings,
        }
    )


def test_every_prompt_ends_in_the_instruction_and_nothing_else_changes(tmp_path: Path) -> None:
    bare = build_problem_set(problems_of(tmp_path, ""))
    told = build_problem_set(problems_of(tmp_path, f" {BOXED}\n"))
    assert [p.prompt for p in told.problems] == [f"{p.prompt}\n{BOXED}" for p in bare.problems]
    assert (
        [p.question for p in told.problems] == [p.prompt for p in bare.problems] == [p.question for p in bare.problems]
    )
    assert [(p.problem_id, p.split, p.answer) for p in told.problems] == [
        (p.problem_id, p.split, p.answer) for p in bare.problems
    ]
    assert {p.instruction for p in told.problems} == {BOXED}
    assert told.drops == bare.drops
    assert told.drops["contaminated"] == 1
    assert list(told.removed) == list(bare.removed), "a removed problem is shown as its source has it"
    assert {p.split for p in told.problems} == set(ProblemSplit), "benchmarks are asked like training problems"


def test_shared_words_of_the_instruction_are_no_contamination(tmp_path: Path) -> None:
    long = BOXED * 3  # over 13 words that every problem would share with every benchmark
    assert build_problem_set(problems_of(tmp_path, long)).drops["contaminated_ngram"] == 0


def test_a_question_that_holds_the_instruction_keeps_it() -> None:
    twice = Problem(
        problem_id="p", prompt=f"{BOXED}\n{BOXED}", answer="1", difficulty=None, split=ProblemSplit.RL, benchmark=None,
        source="s", instruction=BOXED,
    )  # fmt: skip
    assert twice.question == BOXED


@pytest.mark.parametrize(("own", "asked"), [("", "1+1=?"), ("Be brief.", "1+1=?\n\nBe brief.")])
def test_teachers_are_asked_the_question_with_their_own_instruction(own: str, asked: str) -> None:
    problem = Problem(
        problem_id="p", prompt=f"1+1=?\n{BOXED}", answer="2", difficulty=1, split=ProblemSplit.SFT, benchmark=None,
        source="s", instruction=BOXED,
    )  # fmt: skip
    assert user_turn(problem, TransformersTeacher(model="m", instruction=own)) == asked
    (reply,) = ask_teacher(
        ProceduralTeacher().build(tokenizer=tiny_tokenizer()), [problem], mode=Mode.SHORT, max_tokens=8, seed=0
    )
    assert reply.completion == "<short>2"
    assert reply.prompt == problem.prompt, "what is taught is the prompt the student will see"


def test_artifacts_from_before_there_was_an_instruction_stay_readable(tmp_path: Path) -> None:
    config = ProblemsConfig(
        source=ProceduralSource(num_problems=20, mix=(1.0,)),
        benchmarks={"bench": ProceduralSource(num_problems=3, mix=(1.0,))},
    )
    store, catalog = ArtifactStore(tmp_path), Catalog(tmp_path, timeout_seconds=5)
    rows = list(build_problem_set(config).problems)
    artifact = publish(store, "problems", "old", tables={"problems": rows}, run_id="run-old")
    file = Path(artifact.path) / "problems.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["instruction"]), file)
    catalog.register(store.manifest("problems", "old"), Path(artifact.path))
    found = run_query(tmp_path, "select count(*) as n, count(instruction) as told from problems", timeout_seconds=5)
    assert found.to_pylist() == [{"n": len(rows), "told": 0}]
