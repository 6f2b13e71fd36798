"""`thinkless why`, `--dry-run`, `--keep` and `--same-versions` on the small pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.cli import main
from infra.catalog.lineage import ArtifactName, ancestors, descendants, format_lineage
from infra.catalog.query import run_query
from infra.fingerprint import PLUMBING
from infra.report.run_inputs import write_unfinished_report
from infra.runs import list_runs
from infra.store.artifact_store import ArtifactStore
from schemas.errors import ConfigError
from tasks.running import stage
from tests.integration.conftest import BuiltHome
from tests.integration.driver import LABELS, SMALL, run_pipeline

SETS = [word for override in SMALL for word in ("--set", override)]


@pytest.fixture
def edited_sft(monkeypatch: pytest.MonkeyPatch) -> str:
    """As if a module that only sft uses had been edited since the home was built."""
    module, real = "thinkless_core.training.sft_trainer", stage.source_hashes

    def source_hashes(entry_modules: list[str]) -> dict[str, str]:
        hashes = dict(real(entry_modules))
        return hashes | {module: "edited"} if "tasks.train_sft" in entry_modules else hashes

    monkeypatch.setattr(stage, "source_hashes", source_hashes)
    assert not module.startswith(PLUMBING)
    return module.replace(".", "/") + ".py"


def test_a_hit_is_said_and_a_change_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THINKLESS_HOME", str(home))
    assert main(["why", "rl", *SETS]) == 0
    assert capsys.readouterr().out.startswith("rl           cached ")
    assert main(["why", "rl", *SETS, "--set", "rl.gamma=0.3"]) == 0
    out = capsys.readouterr().out
    assert "because rl.gamma 0.5 -> 0.3" in out
    assert "built by run" in out


def test_a_dry_run_has_a_line_for_every_stage_and_builds_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], edited_sft: str
) -> None:
    monkeypatch.setenv("THINKLESS_HOME", str(home))
    before = list_runs(home)
    assert main(["run", "--dry-run", *SETS]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(LABELS)
    assert [line.split()[1] for line in lines] == ["cached"] * 5 + ["build"] * 4
    assert lines[5].endswith(f"because {edited_sft} changed")
    assert lines[6].endswith("because input sft has to be built first")
    assert list_runs(home) == before


def test_a_dry_run_says_what_refresh_asks_for(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THINKLESS_HOME", str(home))
    assert main(["run", "--dry-run", "--refresh", "rl", *SETS]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[6].split() == ["rl", "build", "because", "--refresh", "asks", "for", "it"]
    assert [line.split()[1] for line in lines[:6]] == ["cached"] * 6


def test_a_kept_stage_is_taken_although_its_sources_changed_and_that_is_on_record(
    home: Path, built: BuiltHome, edited_sft: str
) -> None:
    run = run_pipeline(home, "rl.gamma=0.3", keep=["sft"], until="rl")
    assert run.artifacts["sft"].key == built.run.artifacts["sft"].key
    assert run.built == ["rl"]
    assert [use.kept for use in run.uses] == [label == "sft" for label in LABELS[:7]]
    inputs = ArtifactStore(home).manifest("rl", run.artifacts["rl"].key).inputs
    assert {ref.stage: ref.kept for ref in inputs} == {"problems": False, "sft": True}
    edges = run_query(home, "select parent_stage, kept from edges where child_key = $key order by 1",
                      timeout_seconds=20, parameters={"key": run.artifacts["rl"].key})  # fmt: skip
    assert edges.to_pylist() == [{"parent_stage": "problems", "kept": False}, {"parent_stage": "sft", "kept": True}]
    rl = ArtifactName("rl", run.artifacts["rl"].key)
    lines = format_lineage(rl, ancestors=ancestors(rl, home), descendants=descendants(rl, home))
    assert lines.count("PARENT KEPT although its sources had changed") == 1
    report = write_unfinished_report(ArtifactStore(home), list_runs(home)[-1], at_work={})
    assert f"had changed: sft {run.artifacts['sft'].key[:8]}." in report.read_text(encoding="utf-8")


def test_a_stage_whose_settings_changed_is_built_even_if_it_is_to_be_kept(home: Path, edited_sft: str) -> None:
    assert "sft" in run_pipeline(home, "sft.seed=7", keep=["sft"], until="sft").built


def test_keep_and_refresh_of_one_stage_contradict_each_other(home: Path) -> None:
    with pytest.raises(ConfigError, match="--keep rl and --refresh rl contradict"):
        run_pipeline(home, keep=["rl"], refresh=["rl"])


def test_a_hit_made_with_other_versions_is_said_and_rebuilt_on_request(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    from tasks.running import find

    real = find.installed_version
    monkeypatch.setattr(find, "installed_version", lambda name: "99.0" if name == "torch" else real(name))
    with caplog.at_level("INFO", logger="thinkless"):
        assert run_pipeline(home, until="base").built == []
    assert "and 99.0 is installed; --same-versions rebuilds it" in caplog.text
    monkeypatch.setenv("THINKLESS_HOME", str(home))
    assert main(["run", "--no-prefect", "--same-versions", "--until", "base", *SETS]) == 0
    assert "to be built, because it was made with other versions" in capsys.readouterr().err
