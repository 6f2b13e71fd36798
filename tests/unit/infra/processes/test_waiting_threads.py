"""Threads of torch soon sleep while they wait, in every run, unless the user has decided otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.processes.waiting_threads import CHOICES, SHORT, SPIN_COUNT, sleep_while_waiting

CHECK_THEN_LOAD = """
import sys
from flows.request import check_request
check_request("tiny")
assert "torch" not in sys.modules, "too late: the library has read its variables"
import torch
assert "libgomp" in open("/proc/self/maps").read()
"""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux, to see which libraries are loaded")
def test_a_run_that_is_checked_has_set_the_policy_before_torch_reads_it(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name not in CHOICES}
    finished = subprocess.run(
        [sys.executable, "-c", CHECK_THEN_LOAD], text=True, capture_output=True, check=False,
        env={**kept, "THINKLESS_HOME": str(tmp_path), "OMP_DISPLAY_ENV": "verbose"},
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    # The library itself tells, as it is loaded: few turns of the loop before a thread sleeps.
    assert f"GOMP_SPINCOUNT = '{SHORT}'" in finished.stderr


@pytest.mark.parametrize("chosen", CHOICES)
def test_what_the_user_has_chosen_stays(chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CHOICES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(chosen, "7")
    before = dict(os.environ)
    sleep_while_waiting()
    assert dict(os.environ) == before
    monkeypatch.delenv(chosen)
    monkeypatch.setenv(SPIN_COUNT, "1")  # restored after the test
    monkeypatch.delenv(SPIN_COUNT)
    sleep_while_waiting()
    assert os.environ[SPIN_COUNT] == SHORT
