"""The lines of docs/publishing.md: `hf upload` takes an exported folder to a Hub as it is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.runs import list_runs
from infra.store.artifact_store import ArtifactStore
from tasks.export_model import export_model
from tests.closed_address import closed_address
from tests.integration.conftest import BuiltHome
from tests.integration.processes import ROOT
from tests.upload_server import TOKEN, UploadHub, upload_server

PAGE = (ROOT / "docs" / "publishing.md").read_text(encoding="utf-8")
LINES = [line.replace("NAME", "o") for line in re.findall(r"^hf upload .*$", PAGE, re.MULTILINE)]


@pytest.fixture(scope="module")
def folder(built: BuiltHome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `my-model` is; nothing may change it."""
    place = tmp_path_factory.mktemp("publishing")
    export_model(ArtifactStore(built.path), list_runs(built.path)[-1], model="rl", folder=place / "my-model")
    return place


@pytest.fixture
def hub() -> Iterator[UploadHub]:
    """A Hub on this machine."""
    with upload_server() as running:
        yield running


def upload(line: str, hub: UploadHub, *, cwd: Path, home: Path, token: str | None) -> subprocess.CompletedProcess[str]:
    """One line of the page, with the user's files in `home`."""
    program = str(Path(sys.executable).with_name("hf"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    env |= {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), **({} if token is None else {"HF_TOKEN": token})}
    return subprocess.run(
        [program, *shlex.split(line)[1:]], cwd=cwd, env=env, capture_output=True, text=True, timeout=120
    )


def test_the_two_lines_publish_the_model_and_the_pairs(folder: Path, hub: UploadHub, tmp_path: Path) -> None:
    for line in LINES:
        done = upload(line, hub, cwd=folder, home=tmp_path, token=TOKEN)
        assert done.returncode == 0, done.stderr
        assert TOKEN not in done.stdout + done.stderr
    exported = folder / "my-model"
    expected = {p.relative_to(exported).as_posix(): p.read_bytes() for p in exported.rglob("*") if p.is_file()}
    pairs = {name: content for name, content in expected.items() if name.startswith("dataset/")}
    assert hub.files == {
        "models/o/my-model": {name: content for name, content in expected.items() if name not in pairs},
        "datasets/o/my-pairs": {name.removeprefix("dataset/"): content for name, content in pairs.items()},
    }
    assert {"README.md", "model.safetensors", "tokenizer.json"} <= set(hub.files["models/o/my-model"])
    assert [(repo["type"], repo["visibility"]) for repo in hub.created] == [
        ("model", "private"),
        ("dataset", "private"),
    ]


@pytest.mark.parametrize("token", [None, "hf_wrong"], ids=["none", "wrong"])
def test_without_a_valid_token_nothing_is_uploaded(
    token: str | None, folder: Path, hub: UploadHub, tmp_path: Path
) -> None:
    done = upload(LINES[0], hub, cwd=folder, home=tmp_path, token=token)
    assert_said("401 Unauthorized", done)
    assert hub.files == {}


def test_a_hub_that_does_not_answer_and_a_missing_folder_are_said(folder: Path, hub: UploadHub, tmp_path: Path) -> None:
    nowhere = UploadHub(address=closed_address())
    assert_said("Connection refused", upload(LINES[0], nowhere, cwd=folder, home=tmp_path, token=TOKEN))
    assert_said("No such file or directory", upload(LINES[0], hub, cwd=tmp_path, home=tmp_path, token=TOKEN))
    assert hub.files == {}


def assert_said(words: str, done: subprocess.CompletedProcess[str]) -> None:
    """A failed upload said it, and the page lists it."""
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert words in PAGE
