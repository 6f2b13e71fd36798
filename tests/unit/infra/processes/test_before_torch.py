"""What is set before torch is loaded, in every run, unless the user has decided otherwise: threads that soon sleep
while they wait, and large tensors that begin at large pages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.processes.before_torch import CHOICES, LARGE_PAGES, SHORT, SPIN_COUNT, prepare_for_torch

CHECK_THEN_LOAD = """
import os, sys
from flows.request import check_request
check_request("tiny")
assert "torch" not in sys.modules, "too late: the library has read its variables"
assert os.environ["THP_MEM_ALLOC_ENABLE"] == "1"
import torch
assert "libgomp" in open("/proc/self/maps").read()
"""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux, to see which libraries are loaded")
def test_a_run_that_is_checked_has_set_the_policy_before_torch_reads_it(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name not in (*CHOICES, LARGE_PAGES)}
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
    monkeypatch.setenv(LARGE_PAGES, "0")
    monkeypatch.setenv(chosen, "7")
    before = dict(os.environ)
    prepare_for_torch()
    assert dict(os.environ) == before
    monkeypatch.delenv(chosen)
    monkeypatch.setenv(SPIN_COUNT, "1")  # restored after the test
    monkeypatch.delenv(SPIN_COUNT)
    prepare_for_torch()
    assert os.environ[SPIN_COUNT] == SHORT
    assert os.environ[LARGE_PAGES] == "0"
