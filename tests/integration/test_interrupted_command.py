"""`thinkless run` stopped from outside: no process is left behind, and the same command goes on from there.

Each is the real command with the temporary server that Prefect starts for it.
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from infra.runs import PROCESS_ENDED, list_runs
from tests.integration.conftest import BuiltHome
from tests.integration.driver import SMALL, run_pipeline
from tests.integration.processes import environment, family_of, started, still_alive, wait_until
from tests.integration.test_kill_and_resume import newest_checkpoint

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

GONE_AFTER_SECONDS = 15.0
LONG = "sft.steps=1500"
"""Long enough to be met in the middle, short enough to be finished afterwards."""


@pytest.fixture(scope="module")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands' temporary servers keep their database; made once, as that takes seconds."""
    return tmp_path_factory.mktemp("prefect-home")


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        (signal.SIGTERM, 130, "TerminationSignal"),
        (signal.SIGINT, 130, "KeyboardInterrupt"),
        (signal.SIGKILL, -signal.SIGKILL, PROCESS_ENDED),
    ],
    ids=["terminated", "interrupted", "killed"],
)
def test_a_stopped_command_leaves_no_process_and_resumes(
    sent: signal.Signals, code: int, said: str, home: Path, prefect_home: Path, built: BuiltHome, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    directory, log = home / "artifacts" / "sft", tmp_path / "run.log"
    shutil.rmtree(directory)
    words = [word for override in (*SMALL, LONG) for word in ("--set", override)]
    run = ["-m", "flows.cli", "run", "--until", "sft", *words]
    with started(run, log=log, env=environment(home, PREFECT_HOME=str(prefect_home))) as process:
        wait_until(lambda: newest_checkpoint(directory) >= 4, process=process, log=log)
        family = family_of(process.pid)
        assert any("prefect.server" in " ".join(member.cmdline()) for member in family), "no temporary server to lose"
        process.send_signal(sent)
        assert process.wait(timeout=60) == code, log.read_text()
        assert still_alive(family, after_seconds=GONE_AFTER_SECONDS) == []
    step = newest_checkpoint(directory)
    assert 4 <= step < 1500
    (stopped,) = [record for record in list_runs(home) if record.run_id != built.run.run_id]
    assert stopped.status == ("failed" if sent is signal.SIGKILL else "cancelled")
    assert said in (stopped.error or "")
    if sent is not signal.SIGKILL:
        assert "thinkless: interrupted; the same command goes on from here" in log.read_text()

    caplog.clear()
    finished = run_pipeline(home, LONG, until="sft")
    assert finished.built == ["sft"]
    lines = [record.getMessage().split() for record in caplog.records if str(record.msg).startswith("%-12s %d/%d")]
    assert lines[0][0] == "sft"
    assert int(lines[0][1].split("/")[0]) > step
