"""`thinkless watch`: a finished run, a run in the middle of a training, and a run that ends while it is watched."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.runs import PROCESS_ENDED
from tests.integration.conftest import BuiltHome
from tests.integration.driver import command
from tests.integration.processes import Said, environment, freeze_when, kill_9, started, wait_until

Thinkless = Callable[..., Said]


def test_a_finished_run_has_the_curves_of_both_trainings(thinkless_here: Thinkless, built: BuiltHome) -> None:
    answer = thinkless_here(built.path, "watch")
    assert answer.code == 0, answer.err
    assert answer.out.startswith(f"run {built.run.run_id}  profile tiny  completed\n")
    assert "teach-think built  teach-short built" in " ".join(answer.out.split("\n"))
    assert "\nsft  step 30 of 30\n" in answer.out
    assert "\nrl  step 8 of 8\n" in answer.out
    for label in ("loss", "reward", "accuracy", "think", "P\\(think\\)", "tokens", "  difficulty 1"):
        assert re.search(rf"^{label} +[▁-█]+ +\S+ -> \S+", answer.out, flags=re.MULTILINE), label
    assert answer.out == thinkless_here(built.path, "watch", built.run.run_id[:8], "--once").out


@pytest.mark.slow
def test_a_training_is_watched_without_a_lock_until_it_ends(
    thinkless_here: Thinkless, home: Path, tmp_path: Path
) -> None:
    rl, log, seen = home / "artifacts" / "rl", tmp_path / "run.log", tmp_path / "seen.log"
    shutil.rmtree(rl)
    on_terminal = environment(home, TTY_COMPATIBLE="1", TERM="xterm")
    with started(command(home, until="rl"), log=log, env=environment(home)) as run:
        freeze_when(lambda: any(rl.glob("*.part/scratch/checkpoints/step-??????")), process=run, log=log)
        (written,) = rl.glob("*.part/scratch/metrics.jsonl")
        whole = written.read_bytes()
        written.write_bytes(whole + b'{"stage":"rl","step":7,"na')  # half a line, as a reader may meet it
        answer = thinkless_here(home, "watch", "--once")
        written.write_bytes(whole)
        assert answer.code == 0, answer.err
        assert "  running\n" in answer.out
        assert "\nrl being built\n" in answer.out
        assert re.search(r"^rl  step [2-6] of 8", answer.out, flags=re.MULTILINE), answer.out
        for ends in (signal.SIGINT, None):
            with started(["-m", "flows.cli", "watch"], log=seen, env=on_terminal) as watch:
                wait_until(lambda: "rl being built" in seen.read_text(), process=watch, log=seen)
                if ends is not None:  # Ctrl-C
                    watch.send_signal(ends)
                else:
                    run.send_signal(signal.SIGCONT)
                assert watch.wait(timeout=120) == 0
        assert run.wait(timeout=60) == 0, log.read_text()
    assert "completed" in seen.read_text()


def test_a_killed_run_says_so_and_keeps_its_curves(thinkless_here: Thinkless, home: Path, tmp_path: Path) -> None:
    sft, log = home / "artifacts" / "sft", tmp_path / "run.log"
    shutil.rmtree(sft)
    with started(command(home, until="sft"), log=log, env=environment(home)) as run:
        freeze_when(lambda: any(sft.glob("*.part/scratch/checkpoints/step-??????")), process=run, log=log)
        kill_9(run)
    (killed,) = [line for line in thinkless_here(home, "runs").out.splitlines() if " failed " in line]
    answer = thinkless_here(home, "watch", killed.split()[0])
    assert f"failed: {PROCESS_ENDED}" in answer.out
    assert "\nsft unfinished\n" in answer.out
    assert re.search(r"^loss +[▁-█]+", answer.out, flags=re.MULTILINE), answer.out
