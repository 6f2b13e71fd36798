"""One Slurm of two machines for all tests here, and one small pipeline on a home that both see."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.store.shared_home import share
from tests.cluster.slurm import Cluster, missing_for_a_cluster, two_nodes
from tests.integration.driver import run_pipeline

ONE_THREAD = ("sft.num_threads=1", "rl.num_threads=1", "evaluate.num_threads=1")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Skips where Slurm is not installed, or this user may not make namespaces: `make test-cluster` installs it."""
    if lacking := missing_for_a_cluster():
        pytest.skip(f"a cluster {lacking}: `make test-cluster` installs them")
    with two_nodes(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of one machine with everything until the pairs; nothing may change it."""
    home = tmp_path_factory.mktemp("warm") / "home"
    run_pipeline(home, *ONE_THREAD, until="pairs")
    return home


@pytest.fixture
def home(warm: Path, tmp_path: Path) -> Path:
    """A copy of it that both machines share."""
    shutil.copytree(warm, tmp_path / "home")
    share(tmp_path / "home")
    return tmp_path / "home"
