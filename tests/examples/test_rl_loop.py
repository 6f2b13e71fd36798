"""The example runs, and what it prints is what it learned."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

EXAMPLE = Path(__file__).parents[2] / "examples" / "rl_loop.py"


def test_the_rl_loop_runs_from_warm_up_to_the_last_step(capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    example = runpy.run_path(str(EXAMPLE))
    history = example["main"](warm_up_steps=40, rl_steps=3)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("warm-up: loss")
    assert [line.split()[:2] for line in said[1:]] == [["step", "1"], ["step", "2"], ["step", "3"]]
    assert len(history) == 3
    for numbers in history:
        assert numbers["malformed_share"] < 0.2, "the warm-up teaches to begin with a control token"
        assert -1.0 <= numbers["reward_mean"] <= 1.0
