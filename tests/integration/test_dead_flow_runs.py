"""Flow runs whose process was killed are not Running for ever: the next one on the same home sets them to Crashed."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from infra.runs import save_run, start_run

pytestmark = [pytest.mark.prefect, pytest.mark.slow]
NO_PROCESS = {"pid": 2**22 + 1}
"""Above the highest number that Linux gives."""


def test_a_flow_run_without_a_process_is_set_to_crashed_and_one_begun_anew_is_not(
    runs: ModuleType, tmp_path: Path
) -> None:
    from flows.prefect.dead_runs import end_dead_runs

    dead, retried, alive = (runs.flow_run_that_is_running() for _ in range(3))
    for number, (flow_run, changes) in enumerate(
        [(dead, NO_PROCESS), (retried, NO_PROCESS), (alive, NO_PROCESS), (alive, {})]
    ):
        record = start_run(f"20260101-00000{number}-aaaa", profile="tiny", config={}, flow_run_id=str(flow_run))
        save_run(tmp_path, record.model_copy(update=changes))
    end_dead_runs(tmp_path, besides=str(retried))
    assert [runs.state_of(flow_run) for flow_run in (dead, retried, alive)] == ["Crashed", "Running", "Running"]
    end_dead_runs(tmp_path, besides="")
    assert runs.state_of(retried) == "Crashed"
