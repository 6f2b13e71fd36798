"""A file that changes while a stage reads it is named, and nothing of it is kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.settings import Settings
from schemas.configs.loading import load_config
from schemas.errors import SourceError
from schemas.records.problems import Problem
from tasks.prepare_base import PrepareBase
from tasks.prepare_problems import PrepareProblems
from tasks.running.context import RunContext
from tests.problem_rows import write
from tests.unit.thinkless_core.probe.toys import toy_folder
from thinkless_core.progress import no_progress


def grows(path: Path) -> None:
    """A whole row more, as of a program that is still writing."""
    with path.open("ab") as file:
        file.write(b'{"prompt": "90+1=?", "answer": "91"}\n')


def ends_in_half_a_row(path: Path) -> None:
    """A part of a row more."""
    with path.open("ab") as file:
        file.write(b'{"prompt": "90+')


def shrinks(path: Path) -> None:
    """The first half of the bytes are left."""
    os.truncate(path, path.stat().st_size // 2)


def is_replaced(path: Path) -> None:
    """Another file of the same size under its name."""
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes().replace(b"+1=?", b"+2=?"))
    other.replace(path)


CHANGES = (grows, ends_in_half_a_row, shrinks, is_replaced)


@pytest.mark.parametrize("change", CHANGES)
def test_problems_of_a_file_that_changes_are_not_kept(change: Callable[[Path], None], tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", [{"prompt": f"{n}+1=?", "answer": str(n + 1)} for n in range(30)])
    config = load_config("tiny", overrides=["problems.source.kind=local", f"problems.source.path={path}"])
    stage = PrepareProblems()
    plan, context = stage.plan(config, {}), RunContext(run_id="r", profile="tiny", settings=Settings(home=tmp_path))
    (tmp_path / "made").mkdir()
    change(path)
    with pytest.raises(
        SourceError, match=r"p\.jsonl: changed while stage problems read it; expected a file that stays"
    ):
        stage.build(plan, context, tmp_path / "made", no_progress)
    assert not list((tmp_path / "made").iterdir())
    again = stage.plan(config, {})
    assert again.key != plan.key
    if change in (grows, is_replaced):
        stage.build(again, context, tmp_path / "made", no_progress)
        assert (tmp_path / "made" / Problem.FILE).exists()


def test_a_student_that_changes_is_not_kept(tmp_path: Path) -> None:
    given = toy_folder("qwen3_moe", tmp_path / "given")
    config = load_config("tiny", overrides=[f'base.model={{kind="pretrained", path="{given}"}}'])
    stage = PrepareBase()
    plan, context = stage.plan(config, {}), RunContext(run_id="r", profile="tiny", settings=Settings(home=tmp_path))
    (Path(given) / "notes.txt").write_text("more")
    plan.slice["files"][str(Path(given) / "config.json")] = "0" * 64  # type: ignore[index]
    with pytest.raises(SourceError, match=r"config\.json: changed while stage base read it"):
        stage.build(plan, context, tmp_path / "made", no_progress)
