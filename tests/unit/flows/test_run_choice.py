"""Which run is meant, and what is said about runs that are passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.run_choice import choose_run
from infra.runs import StageUse, add_stage, finish_run, save_run, start_run
from schemas.errors import MissingArtifactError


def saved(home: Path, run_id: str, *stages: str, study: str | None = None, error: BaseException | None = None) -> str:
    """A finished run that used these stages; returns its id."""
    record = start_run(run_id, profile="tiny", config={}, study=study)
    for stage in stages:
        record = add_stage(record, StageUse(stage=stage, key=f"{run_id}-{stage}", cached=False))
    save_run(home, finish_run(record, error=error))
    return run_id


def test_the_newest_is_a_whole_run_of_its_own_and_the_others_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="thinkless")
    whole = saved(tmp_path, "a", "sft", "rl")
    assert choose_run(tmp_path, having="rl").run_id == whole
    assert caplog.text == ""
    saved(tmp_path, "b", "sft", "rl", study="claims")
    saved(tmp_path, "c", "sft", "rl", study="claims")
    saved(tmp_path, "d", "sft", "rl", error=OSError("full"))
    saved(tmp_path, "e", "sft")
    assert choose_run(tmp_path, having="rl").run_id == whole
    assert "run a; newer, and passed over: 2 of study claims, 1 failed" in caplog.text
    assert choose_run(tmp_path).run_id == "e"
    assert choose_run(tmp_path, having="sft").run_id == "e"


def test_a_member_or_an_unfinished_run_is_taken_if_there_is_no_other_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="thinkless")
    saved(tmp_path, "a", "sft", "rl", error=KeyboardInterrupt())
    assert choose_run(tmp_path, having="rl").run_id == "a"
    assert "run a is cancelled: no other kind of run has this" in caplog.text


def test_a_run_is_named_by_its_id_or_the_beginning_of_one(tmp_path: Path) -> None:
    for run_id in ("20260101-aa", "20260101-ab", "20260102-cc"):
        saved(tmp_path, run_id, "sft")
    assert choose_run(tmp_path, "20260102").run_id == "20260102-cc"
    assert choose_run(tmp_path, "20260101-ab").run_id == "20260101-ab"
    with pytest.raises(MissingArtifactError, match="begins the ids of 2 runs, 20260101-aa, 20260101-ab; give more"):
        choose_run(tmp_path, "20260101")
    with pytest.raises(MissingArtifactError, match="no run '20260102-cd'; did you mean '20260102-cc'"):
        choose_run(tmp_path, "20260102-cd")
    with pytest.raises(MissingArtifactError, match=r"run 20260102-cc \(completed\) has no stage rl; it has: sft"):
        choose_run(tmp_path, "20260102", having="rl")


def test_what_is_not_there_is_said_with_the_way_to_it(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifactError, match=r"no run yet in .*start one with: thinkless run"):
        choose_run(tmp_path)
    saved(tmp_path, "a", "sft")
    with pytest.raises(MissingArtifactError, match=r"none of the 1 runs .* stage rl yet; .*thinkless run --until rl"):
        choose_run(tmp_path, having="rl")
