"""Where the store lives, and the probe that it can be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.disk import write_whole
from infra.settings import Settings
from schemas.errors import ConfigError, StoreError


def test_home_defaults_to_dot_thinkless_here_and_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THINKLESS_HOME", raising=False)
    monkeypatch.delenv("THINKLESS_LOCK_TIMEOUT_SECONDS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert Settings.from_environment() == Settings(home=tmp_path / ".thinkless", lock_timeout_seconds=60.0)


def test_environment_overrides_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THINKLESS_HOME", "elsewhere/../store")
    monkeypatch.setenv("THINKLESS_LOCK_TIMEOUT_SECONDS", "0.5")
    assert Settings.from_environment() == Settings(home=tmp_path / "store", lock_timeout_seconds=0.5)


def test_trackers_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THINKLESS_TRACKERS", raising=False)
    assert Settings.from_environment().trackers == ()
    monkeypatch.setenv("THINKLESS_TRACKERS", "trackio, wandb,,trackio")
    assert Settings.from_environment().trackers == ("trackio", "wandb")


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf"])
def test_a_bad_timeout_is_a_config_error_naming_variable_and_value(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINKLESS_LOCK_TIMEOUT_SECONDS", value)
    with pytest.raises(ConfigError, match=f"THINKLESS_LOCK_TIMEOUT_SECONDS is '{value}'"):
        Settings.from_environment()


def test_prepare_creates_the_home_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "a" / "b")
    assert settings.prepare() is settings
    assert list(settings.home.iterdir()) == []


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_home_at_or_below_a_regular_file_names_path_reason_and_way_out(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("in the way")
    home = tmp_path / "file" / below
    with pytest.raises(StoreError, match=r"(?s)file.*(not a directory|exists where).*set THINKLESS_HOME"):
        Settings(home=home).prepare()


def test_a_file_that_may_not_grow_is_reported_and_the_old_content_stays(tmp_path: Path) -> None:
    """A file size limit stands in for a full disk: the write fails half-way, as it does there."""
    target = tmp_path / "record.json"
    write_whole(target, b"old")
    program = f"""
import errno, resource, signal
from pathlib import Path
from infra import disk
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
disk._REASONS[errno.EFBIG] = disk._REASONS[errno.ENOSPC]
try:
    disk.write_whole(Path({str(target)!r}), b"x" * 100_000)
except disk.StoreError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "no space left" in done.stdout
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_no_space_left_asks_for_space(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("/dev/full is absent: no device that is always full")
    from infra.disk import writing

    with (
        pytest.raises(StoreError, match=r"no space left on the device.*free some space"),
        writing(tmp_path),
        full.open("wb", buffering=0) as stream,
    ):
        stream.write(b"x")


def test_what_a_cluster_sets_is_read_and_a_wrong_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINKLESS_NETWORK_INTERFACE", "ib0")
    monkeypatch.setenv("THINKLESS_LONGEST_WAIT_SECONDS", "600")
    monkeypatch.setenv("THINKLESS_STAGES", "deployments")
    monkeypatch.setenv("THINKLESS_PILOT", "pilot.sh {pool}")
    found = Settings.from_environment()
    assert (found.network_interface, found.longest_wait_seconds) == ("ib0", 600.0)
    assert (found.stages_as_deployments, found.pilot) == (True, "pilot.sh {pool}")
    monkeypatch.setenv("THINKLESS_STAGES", "deployment")
    with pytest.raises(ConfigError, match="THINKLESS_STAGES is 'deployment'; expected tasks or deployments"):
        Settings.from_environment()
