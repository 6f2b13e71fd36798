"""A table that breaks its contract stops the run before anything is trained on it, and names its rows.

A teacher is wrong because somebody wrote a careless one: shipped teachers drop what cannot be a completion. What no
source can bring in is put into the table by a build that goes wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from infra.catalog.query import run_query
from infra.runs import list_runs
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from schemas.configs.problems import ProblemsConfig
from schemas.errors import ContractError, TeacherError
from schemas.mode import Mode
from schemas.records.generations import Generation
from schemas.records.problems import Problem
from tasks.prepare_problems import PrepareProblems
from tasks.running.build import run_stage
from tasks.running.context import RunContext
from tasks.running.parquet_files import read_records, write_records
from tasks.running.stage import StageOutcome, StagePlan, make_plan
from tests.integration.conftest import BuiltHome
from tests.integration.driver import run_pipeline
from tests.plugins import careless_teacher
from thinkless_core.progress import Progress

Row = dict[str, str]
Spoil = Callable[[list[Row]], None]


def recording(built: BuiltHome, mode: Mode) -> list[Row]:
    """What the procedural teacher said in one mode, as a recording holds it."""
    folder = Path(built.run.artifacts[f"teach-{mode}"].path)
    return [
        {
            "prompt": generation.prompt,
            "completion": generation.completion.removeprefix(mode.token),
            "finish_reason": str(generation.finish_reason),
        }
        for generation in read_records(folder / "generations.parquet", Generation)
    ]


def replay(home: Path, mode: Mode, rows: list[Row], *, careless: bool = False, until: str | None = None) -> None:
    """Run the pipeline with a recorded teacher in one mode, or with one that says the same without a look at it."""
    path = home / f"{mode}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = careless_teacher(path) if careless else {"kind": "recorded", "path": str(path)}
    run_pipeline(home, *(f"teach.{mode}.teacher.{key}={value}" for key, value in settings.items()), until=until)


def swapped(rows: list[Row]) -> None:
    """Two answers come from the other teacher."""
    for row in rows[:2]:
        row["completion"] = "7" if "</think>" in row["completion"] else "1+1=2</think>2"


def empty(rows: list[Row]) -> None:
    """Two answers are empty, one of them of spaces."""
    rows[0]["completion"], rows[1]["completion"] = "", "   "


def second_token(rows: list[Row]) -> None:
    """Control tokens inside two answers."""
    rows[0]["completion"] = f"<think>{rows[0]['completion']}"
    rows[1]["completion"] = f"<short>{rows[1]['completion']}"


def no_answer(rows: list[Row]) -> None:
    """Two long answers that end with their reasoning."""
    for row in rows[:2]:
        row["completion"] = row["completion"].partition("</think>")[0] + "</think>"


@pytest.mark.parametrize(
    ("mode", "spoil", "check"),
    [
        (Mode.SHORT, swapped, "completion_does_not_reason"),
        pytest.param(Mode.THINK, swapped, "completion_ends_its_reasoning", marks=pytest.mark.slow),
        pytest.param(Mode.SHORT, empty, "completion_is_not_empty", marks=pytest.mark.slow),
        pytest.param(Mode.THINK, second_token, "completion_has_no_second_control_token", marks=pytest.mark.slow),
        pytest.param(Mode.THINK, no_answer, "finished_generation_has_an_answer", marks=pytest.mark.slow),
    ],
)
def test_a_teacher_that_breaks_the_contract_stops_the_run_before_training(
    mode: Mode, spoil: Spoil, check: str, home: Path, built: BuiltHome
) -> None:
    rows = recording(built, mode)
    for row in rows[:2]:  # a truncated answer is excused from most rules
        row["finish_reason"] = "stop"
    spoil(rows)
    before = published(home)

    with pytest.raises(ContractError) as caught:
        replay(home, mode, rows, careless=True)

    message = str(caught.value)
    guilty = [g.generation_id for g in generations(built, mode)[:2]]
    (line,) = [line for line in message.splitlines() if line.strip().startswith(f"{check}:")]
    assert "2 unexpected rows" in line
    assert all(name in line for name in guilty), line
    assert caught.value.exit_code == 2
    # Only the other mode's artifact may have come in between; nothing of the rejected one, and nothing after it.
    assert {stage for stage, _ in published(home) - before} <= {"teach"}
    (aside,) = (home / "artifacts" / "teach").glob("*.quarantine-*")
    assert str(aside) in message
    assert len(read_records(aside / "generations.parquet", Generation)) == len(rows)
    assert (aside / "validation" / "generations" / "index.html").is_file()
    record = list_runs(home)[-1]
    assert record.status == "failed"
    assert check in (record.error or "")


def test_a_recording_that_keeps_the_contract_is_published(home: Path, built: BuiltHome) -> None:
    for mode in Mode:
        replay(home, mode, recording(built, mode), until="teach")
    names = run_query(home, "select distinct teacher from generations order by 1", timeout_seconds=20)
    assert names.column("teacher").to_pylist() == ["procedural-chains", "recorded:short.jsonl", "recorded:think.jsonl"]


def test_a_teacher_that_is_mostly_wrong_is_shown_with_references_and_what_was_read(
    home: Path, built: BuiltHome, caplog: pytest.LogCaptureFixture
) -> None:
    rows = recording(built, Mode.SHORT)
    for row in rows[: len(rows) // 2]:
        row["completion"] = "77"
    replay(home, Mode.SHORT, rows, until="teach")
    (said,) = [record.getMessage() for record in caplog.records if "judged wrong" in record.getMessage()]
    assert re.match(
        rf"teach-short: \d+ of {len(rows)} finished answers of the short teacher are judged wrong \(problem ", said
    )
    assert said.count("reference '") == 3 == said.count("read '77'")
    assert "try `thinkless grade`" in said


@pytest.mark.parametrize(
    ("mode", "spoil", "reasons"),
    [
        (Mode.SHORT, swapped, {"short_reasoned": 2}),
        (Mode.SHORT, empty, {"empty": 2}),
        (Mode.THINK, no_answer, {"no_answer": 2}),
        # The tag in front is the mode's own: one row is kept.
        (Mode.THINK, second_token, {"special_token_inside": 1}),
    ],
)
def test_what_a_recording_holds_and_what_cannot_be_a_completion_is_dropped_and_counted(
    mode: Mode,
    spoil: Spoil,
    reasons: dict[str, int],
    home: Path,
    built: BuiltHome,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = recording(built, mode)
    for row in rows[:2]:
        row["finish_reason"] = "stop"
    spoil(rows)
    replay(home, mode, rows, until="teach")
    manifest = next(
        m for m in ArtifactStore(home).manifests() if m.stage == "teach" and m.run_id == list_runs(home)[-1].run_id
    )
    assert manifest.drops.items() >= reasons.items()
    assert manifest.rows == len(rows) - sum(reasons.values())
    (line,) = [line for line in caplog.messages if line.startswith(f"teach-{mode}") and "by reason" in line]
    assert all(f"{reason} {number}" in line for reason, number in reasons.items()), "the run says it"


@pytest.mark.slow
def test_a_mended_recording_goes_on_where_the_gate_stopped_it(home: Path, built: BuiltHome) -> None:
    rows = recording(built, Mode.SHORT)
    good = [dict(row) for row in rows]
    rows[0]["completion"] = ""
    with pytest.raises(ContractError):
        replay(home, Mode.SHORT, rows, careless=True, until="teach")
    replay(home, Mode.SHORT, good, careless=True, until="teach")
    assert list_runs(home)[-1].status == "completed"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 3: not JSON"),
        ("[1]", "line 3"),
        ('{"prompt": "1+1=?"}', "line 3: no column 'completion'"),
        ('{"prompt": "1+1=?", "completion": "2", "mode": "long"}', "line 3: 'long' is not a valid Mode"),
        ('{"prompt": "1+1=?", "completion": "2", "finish_reason": "end"}', "line 3: 'end' is not a valid FinishReason"),
        ('{"prompt": "1+1=?", "completion": 2}', "line 3"),
    ],
)
def test_a_recording_that_cannot_be_read_names_its_line(home: Path, built: BuiltHome, line: str, said: str) -> None:
    rows = [json.dumps(row) for row in recording(built, Mode.SHORT)]
    path = home / "recorded.jsonl"
    path.write_text("\n".join([*rows[:2], line, *rows[2:]]), encoding="utf-8")
    before = published(home)
    with pytest.raises(TeacherError) as caught:
        run_pipeline(home, "teach.short.teacher.kind=recorded", f"teach.short.teacher.path={path}", until="teach")
    assert f"{path}, {said}" in str(caught.value)
    assert published(home) == before


def test_a_recording_that_is_missing_or_lacks_a_problem_is_a_clear_error(home: Path, built: BuiltHome) -> None:
    with pytest.raises(TeacherError, match=r"recording absent\.jsonl: .*No such file"):
        run_pipeline(home, "teach.short.teacher.kind=recorded", "teach.short.teacher.path=absent.jsonl", until="teach")
    with pytest.raises(TeacherError, match=r"problem \S+: \S+short\.jsonl holds no short completion for prompt"):
        replay(home, Mode.SHORT, recording(built, Mode.SHORT)[1:], until="teach")


def repeat_an_id(rows: list[Problem]) -> list[Problem]:
    """Two problems of one id."""
    return [*rows, rows[-1].model_copy(update={"prompt": "11+11=?"})]


def lose_an_answer(rows: list[Problem]) -> list[Problem]:
    """A problem whose answer is null."""
    return [*rows[:-1], rows[-1].model_copy(update={"answer": None})]


def leak_a_benchmark(rows: list[Problem]) -> list[Problem]:
    """A training problem that stands in a benchmark as well."""
    return [*rows[:-1], rows[-1].model_copy(update={"prompt": rows[0].prompt})]


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (repeat_an_id, "problem_id_is_unique"),
        (lose_an_answer, "answer_is_not_null"),
        (leak_a_benchmark, "training_prompt_is_in_no_benchmark"),
    ],
)
def test_a_problem_set_that_breaks_the_contract_is_never_published(
    spoil: Callable[[list[Problem]], list[Problem]], check: str, home: Path, built: BuiltHome
) -> None:
    config = read_config(built)

    class Spoiled(PrepareProblems):
        """The stage, with a build that goes wrong."""

        def build(
            self, plan: StagePlan[ProblemsConfig], context: RunContext, workspace: Path, progress: Progress
        ) -> StageOutcome:
            """Spoil what was written."""
            outcome = super().build(plan, context, workspace, progress)
            path = workspace / Problem.FILE
            write_records(path, Problem, spoil(read_records(path, Problem)))
            return outcome

    plan = replace(make_plan(PrepareProblems(), config, inputs=()), builder=Spoiled(), key="spoiled")
    before = published(home)
    guilty = read_records(Path(built.run.artifacts["problems"].path) / Problem.FILE, Problem)[-1].problem_id
    with pytest.raises(ContractError) as caught:
        run_stage(RunContext("a-run", "tiny", Settings(home)), plan)
    (line,) = [line for line in str(caught.value).splitlines() if line.strip().startswith(f"{check}:")]
    assert guilty in line
    assert published(home) == before
    assert (home / "artifacts" / "problems" / "spoiled.quarantine-1" / "problems.parquet").is_file()


def read_config(built: BuiltHome) -> ProblemsConfig:
    """The configuration of stage `problems` that the built home was made with."""
    manifest = ArtifactStore(built.path).manifest("problems", built.run.artifacts["problems"].key)
    return ProblemsConfig.model_validate({k: v for k, v in manifest.config.items() if k != "files"})


def generations(built: BuiltHome, mode: Mode) -> list[Generation]:
    """Rows of one mode in the built home."""
    return read_records(Path(built.run.artifacts[f"teach-{mode}"].path) / "generations.parquet", Generation)


def published(home: Path) -> set[tuple[str, str]]:
    """Stage and key of everything published."""
    return {(manifest.stage, manifest.key) for manifest in ArtifactStore(home).manifests()}
