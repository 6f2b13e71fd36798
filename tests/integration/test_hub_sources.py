"""Problems from the Hugging Face Hub: a small Hub on this machine, offline, and everything a Hub refuses.

The client reads its address and its offline switch once per process, so that a process of its own does the reading.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.configs.problems import HubSource
from schemas.errors import SourceError, Transient
from tests.hub_server import hub_server
from thinkless_core.problems.hub_datasets import explain, with_names

READER = """
import json, sys
from schemas.configs.problems import HubSource
from thinkless_core.problems.problem_sources import read_source
found = {}
for name, settings in json.loads(sys.argv[1]).items():
    try:
        read = read_source(HubSource(**settings), name="train", seed=0)
        found[name] = [[p.prompt, p.answer, p.source] for p in read.problems]
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""
SUMS = {"id": "o/sums", "prompt_field": "problem"}


def read_in_a_process(sources: dict[str, dict[str, object]], *, cwd: Path, **environment: str) -> dict[str, object]:
    """What reading each source gave: its problems, or the error's text."""
    root = str(Path(__file__).parents[2])
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "PYTHONPATH": root,
        "HF_HOME": str(cwd / "hf"),
        **environment,
    }
    command = [sys.executable, "-c", READER, json.dumps(sources)]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Every source read once from the small Hub, in one process."""
    cwd = tmp_path_factory.mktemp("hub")
    (cwd / "o" / "taken").mkdir(parents=True)
    sources: dict[str, dict[str, object]] = {
        "one": {**SUMS, "config_name": "easy", "split": "test"},
        "both": {**SUMS, "config_name": ["hard", "easy"], "limit": 4},
        "streamed": {**SUMS, "config_name": "hard", "streaming": True, "limit": 1},
        "no_field": {**SUMS, "config_name": "easy", "prompt_field": "problm"},
        "no_config_said": SUMS,
        "no_config": {**SUMS, "config_name": "medium"},
        "no_split": {**SUMS, "config_name": "easy", "split": "dev"},
        "no_split_streamed": {**SUMS, "config_name": "easy", "split": "dev", "streaming": True},
        "absent": {"id": "o/absent"},
        "gated": {"id": "o/gated"},
        "old": {"id": "o/old", "revision": "v9"},
        "taken": {"id": "o/taken"},
    }
    with hub_server() as address:
        return read_in_a_process(sources, cwd=cwd, HF_ENDPOINT=address)


def test_a_split_of_a_configuration_is_read_and_each_row_names_the_commit(hub: dict[str, object]) -> None:
    origin = "o/sums@0123456789ab easy/test, row"
    assert hub["one"] == [[f"easy test {n}", str(n), f"{origin} {n + 1}"] for n in range(3)]


def test_configurations_are_read_one_after_another_up_to_the_limit(hub: dict[str, object]) -> None:
    assert isinstance(hub["both"], list)
    assert [prompt for prompt, *_ in hub["both"]] == ["hard train 0", "hard train 1", "hard train 2", "easy train 0"]


def test_a_stream_gives_the_same_rows(hub: dict[str, object]) -> None:
    assert hub["streamed"] == [["hard train 0", "0", "o/sums@0123456789ab hard/train, row 1"]]


REFUSALS = {
    "no_field": ["row 1: no column 'problm'; did you mean 'problem'?", "answer, problem", "set prompt_field"],
    "no_config_said": ["'o/sums'", "['easy', 'hard']", "set config_name"],
    "no_config": ["config_name='medium'", "['easy', 'hard']"],
    "no_split": ["split='dev'", "['train', 'test']"],
    "no_split_streamed": ["split='dev'", "['train', 'test']"],
    "absent": ["'o/absent' does not exist, or is private", "hf auth login", "kind=local"],
    "gated": ["'o/gated' is gated", "accept its terms at https://huggingface.co/datasets/o/gated", "HF_TOKEN"],
    "old": ["no revision 'v9'", "datasets/o/old/commits"],
    "taken": ["a folder of that name", "./o/taken"],
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_the_hub_refuses_is_a_terminal_error_with_the_way_out(name: str, hub: dict[str, object]) -> None:
    said = hub[name]
    assert isinstance(said, str), said
    assert said.startswith("SourceError: "), said
    assert [part for part in REFUSALS[name] if part not in said] == [], said


def test_a_hub_that_is_overloaded_or_cut_off_is_worth_another_try() -> None:
    source = HubSource(id="o/busy")
    cut = ConnectionError("Couldn't reach 'o/busy' on the Hub")
    missing = FileNotFoundError("Couldn't find any data file: LocalEntryNotFoundError: check your connection")
    for error in (cut, missing, TimeoutError("timed out")):
        explained = explain(error, source=source, name=None)
        assert isinstance(explained, Transient)
        assert "run the same command again" in str(explained)
    assert isinstance(explain(ValueError("Unknown split"), source=source, name=None), SourceError)


def test_offline_only_what_is_on_this_machine_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"prompt": "q", "answer": "7"}\n', encoding="utf-8")
    (tmp_path / "bare").mkdir()
    sources: dict[str, dict[str, object]] = {
        "folder": {"id": "./folder"},
        "other_split": {"id": "./folder", "split": "test"},
        "empty_folder": {"id": "./bare"},
        "no_folder": {"id": "./absent"},
        "hub": {"id": "openai/gsm8k", "config_name": "main"},
    }
    found = read_in_a_process(sources, cwd=tmp_path, HF_HUB_OFFLINE="1")
    assert found["folder"] == [["q", "7", "./folder train, row 1"]]
    said = {
        "other_split": "SourceError: Hub data set './folder' cannot be read with config_name=None, split='test'",
        "empty_folder": "SourceError: ",
        "no_folder": "SourceError: ./absent: no such folder; check problems.*.id",
        "hub": "SourceError: Hub data set 'openai/gsm8k' is not in the local cache and HF_HUB_OFFLINE forbids",
    }
    assert {name: text for name, text in said.items() if not str(found[name]).startswith(text)} == {}, found


def test_the_number_of_a_class_is_read_as_its_name() -> None:
    from datasets import ClassLabel

    classes = {"answer": ClassLabel(names=["A", "B", "C"])}
    for number, name in ((1, "B"), (0, "A"), (-1, None), (None, None)):  # -1: the label is not published
        where, row = with_names(("row 1", {"question": "q", "answer": number}), classes)
        assert (where, row) == ("row 1", {"question": "q", "answer": name})
    assert with_names(("row 1", {"question": "q"}), classes) == ("row 1", {"question": "q"})
