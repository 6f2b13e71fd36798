"""Signs of life: who gives none, who is behind, and who only takes long."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from infra.processes.pulse import BEAT_SECONDS, Progressed, PulseWatch, pulse_file, start_pulse

WAIT = 10.0


@pytest.fixture
def watch(tmp_path: Path) -> PulseWatch:
    return PulseWatch(tmp_path, ("n1", "n2"), longest_wait_seconds=WAIT)


def sign(folder: Path, rank: int, beat: int, number: int, *, inside: bool = False) -> None:
    pulse_file(folder, rank).write_text(json.dumps([beat, number, "the sum of the gradients", inside]))


def test_a_meeting_that_nobody_leaves_is_blamed_on_the_network(watch: PulseWatch, tmp_path: Path) -> None:
    said = None
    for beat in range(20):
        for rank in (0, 1):
            sign(tmp_path, rank, beat, number=4, inside=True)
        if said := watch.look(BEAT_SECONDS):
            break
    assert said is not None
    assert said.startswith(
        "all processes came to meeting 4, the sum of the gradients, and none got through within 11 s"
    )
    assert "between n1, n2" in said


def test_two_that_meet_again_and_again_are_left_alone(watch: PulseWatch, tmp_path: Path) -> None:
    for beat in range(50):
        sign(tmp_path, 0, beat, number=beat)
        sign(tmp_path, 1, beat, number=beat - beat % 2)
        assert watch.look(BEAT_SECONDS) is None


def test_the_one_that_the_others_wait_for_is_named_with_its_machine(watch: PulseWatch, tmp_path: Path) -> None:
    said = None
    for beat in range(20):
        sign(tmp_path, 0, beat, number=7)
        sign(tmp_path, 1, beat, number=6)
        if said := watch.look(BEAT_SECONDS):
            break
    assert said == (
        "process 1 of 2 on n2 did not come to meeting 7, the sum of the gradients, within 11 s "
        "(THINKLESS_LONGEST_WAIT_SECONDS)"
    )


def test_one_without_a_new_sign_is_named(watch: PulseWatch, tmp_path: Path) -> None:
    sign(tmp_path, 0, 5, number=3)
    said = None
    for beat in range(20):
        sign(tmp_path, 1, beat, number=3)
        if said := watch.look(BEAT_SECONDS):
            break
    assert said == "process 0 of 2 on n1 has given no sign for 11 s"


def test_one_that_has_not_started_yet_is_waited_for_longer(watch: PulseWatch, tmp_path: Path) -> None:
    for beat in range(100):
        sign(tmp_path, 0, beat, number=1)
        assert watch.look(BEAT_SECONDS) is None
    for beat in range(1000):
        sign(tmp_path, 0, beat, number=1)
        if said := watch.look(BEAT_SECONDS):
            assert said.startswith("process 1 of 2 on n2 has not started within 9")
            return
    raise AssertionError("nobody missed it")


def test_a_process_gives_signs_and_the_launcher_too(watch: PulseWatch, tmp_path: Path) -> None:
    start_pulse(tmp_path, 0, read=lambda: Progressed(4, "the end", inside=False))
    first = None
    for _ in range(100):
        time.sleep(0.05)
        if pulse_file(tmp_path, 0).exists():
            first = json.loads(pulse_file(tmp_path, 0).read_text())
            break
    assert first is not None
    assert first[1:3] == [4, "the end"]
    assert watch.look(BEAT_SECONDS) is None
    assert json.loads((tmp_path / "launcher.json").read_text()) == [1]
