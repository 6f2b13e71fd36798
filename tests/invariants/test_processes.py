"""Two processes take the steps that one takes: the same losses, gradients, rollouts and weights, sharded or not.

Two gloo processes on the CPU compute every case of training_in_processes.py; this process computes them alone.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import torch

from tests.forked import ForkedPython
from tests.invariants import training_checks
from tests.invariants.training_in_processes import CASES, KEPT, SAMPLES, Computed, nan_update
from tests.specimens import make_batch, make_student

ROOT = Path(__file__).parents[2]
KINDS = ["", "-sharded"]
STEPS = ["sft_gradient", "rl_gradient"]
RUNS = sorted(name for name in CASES if "run" in name)
"""With adapters where peft is installed."""
PROGRAM = "from tests.invariants.training_in_processes import main; main()"


def launch(folder: Path, *cases: str) -> Path:
    """The folder, filled by two processes with what they computed of the cases, plain and sharded."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What torchrun and `accelerate launch` tell each process; both meet over gloo.
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true"}
    processes = [
        ForkedPython(
            ["-c", PROGRAM, str(folder), *cases],
            cwd=ROOT,
            env=os.environ | group | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=folder / f"{rank}.log",
        )
        for rank in range(2)
    ]
    try:
        codes = [process.wait(timeout=900) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert codes == [0, 0], "\n".join((folder / f"{rank}.log").read_text() for rank in range(2))
    return folder


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One step of each trainer, and one whose loss is not finite."""
    return launch(tmp_path_factory.mktemp("launched"), *STEPS, "nan_update")


@pytest.fixture(scope="module")
def launched_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whole runs, each launched twice."""
    return launch(tmp_path_factory.mktemp("launched-runs"), *RUNS)


def computed(folder: Path, case: str, *, rank: int = 0, launch: int = 0) -> Computed:
    """What a process computed in the first or a later launch of a case."""
    found: list[Computed] = torch.load(folder / f"{case}-{rank}.pt", weights_only=False)
    return found[launch]


def test_the_cases_give_the_processes_different_numbers_of_micro_batches() -> None:
    """Else the pass with weight 0 that a sharded model needs would never run."""
    batches = make_batch(SAMPLES, [1.0] * len(SAMPLES)).micro_batches(
        model=make_student(), max_tokens=64, skip_zero_advantage=False
    )
    assert len(batches) % 2 == 1
    assert len(batches) > 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", STEPS)
def test_two_processes_have_the_losses_and_the_gradient_of_one(
    case: str, kind: str, launched: Path, tmp_path: Path
) -> None:
    alone = CASES[case](tmp_path)
    for rank in range(2):
        found = computed(launched, case + kind, rank=rank)
        # float32 sums in another order
        assert found.numbers == pytest.approx(alone.numbers, rel=1e-5, abs=1e-6)
        training_checks.same_gradient(dict(alone.tensors), dict(found.tensors))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", RUNS)
def test_a_run_in_two_processes_goes_where_one_goes(case: str, kind: str, launched_runs: Path, tmp_path: Path) -> None:
    alone, found = CASES[case](tmp_path), computed(launched_runs, case + kind)
    assert found.said == alone.said, "other rollouts"
    # Adam divides by the root of the squared gradient, which magnifies rounding where a gradient is nearly 0.
    assert found.numbers == pytest.approx(alone.numbers, rel=1e-3, abs=1e-4)
    for name, weight in alone.tensors.items():
        torch.testing.assert_close(found.tensors[name], weight, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", RUNS)
def test_a_second_launch_goes_on_from_the_checkpoint_to_the_same_bits(
    case: str, kind: str, launched_runs: Path
) -> None:
    first, second = (computed(launched_runs, case + kind, launch=launch) for launch in range(2))
    checkpoints = launched_runs / f"{case}{kind}" / KEPT / "checkpoints"
    assert [p.name for p in checkpoints.iterdir()] == ["step-000006"]
    assert first.numbers == second.numbers
    assert first.said == second.said
    assert all(torch.equal(second.tensors[name], weight) for name, weight in first.tensors.items())


def test_a_loss_that_is_not_finite_in_one_process_stops_both(launched: Path, tmp_path: Path) -> None:
    for found in (nan_update(tmp_path), *(computed(launched, "nan_update", rank=rank) for rank in range(2))):
        assert "not finite" in found.said
        assert "The last good checkpoint is kept" in found.said
