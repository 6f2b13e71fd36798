"""The command for a GPU, on a CPU with two steps: every part runs, in a bare copy of the repository too."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.gpu import run, train
from tests.gpu.__main__ import PARTS, main
from tests.smollm2 import smollm2_source

ROOT = Path(__file__).parents[2]
FEW = (
    *(f"problems.{name}.num_problems={number}" for name, number in (("source", 120), ("rl_source", 60))),
    *(f"problems.benchmarks.tiny-{name}.num_problems=9" for name in ("easy", "mixed", "hard")),
)
ABSENT = ("prefect", "duckdb", "datasets", "math_verify", "great_expectations", "reasoning_gym", "peft")
BARE = f"""
import runpy, sys
from importlib import metadata

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        absent = name.partition(".")[0] in {ABSENT!r}
        return None if absent else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
find = metadata.distribution

def distribution(name):
    if name == "thinkless-flows":
        raise metadata.PackageNotFoundError(name)
    return find(name)

metadata.distribution = distribution
sys.argv = ["tests.gpu", *sys.argv[1:]]
runpy.run_module("tests.gpu", run_name="__main__", alter_sys=True)
"""
"""A machine that has torch, transformers and accelerate and little else, and on which the project is not installed."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `prepare` writes of the tiny profile."""
    folder = tmp_path_factory.mktemp("gpu") / "prepared"
    settings = [part for text in FEW for part in ("--set", text)]
    assert main(["prepare", str(folder), "--profile", "tiny", *settings]) == 0
    return folder


def results_of(out: Path) -> dict[str, Any]:
    """results.json of a run."""
    found: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command sets for its own process is taken back."""
    for name in ("CUDA_VISIBLE_DEVICES", "ACCELERATE_USE_CPU", "HF_HUB_OFFLINE", "TQDM_DISABLE"):
        monkeypatch.setenv(name, "true" if name == "ACCELERATE_USE_CPU" else "1")


@pytest.mark.usefixtures("_environment")
def test_a_run_of_two_steps_measures_trains_and_writes_everything(prepared: Path, tmp_path: Path) -> None:
    out, doc = tmp_path / "out", tmp_path / "docs" / "gpu.md"
    parts = [part for part in PARTS if part != "processes"]
    arguments = ["--device", "cpu", "--steps", "2", "--only", ",".join(parts), "--rl-seeds", "0,1"]
    assert main(["run", str(prepared), "--out", str(out), "--doc", str(doc), *arguments]) == 0
    found = results_of(out)["parts"]
    assert [name for name, part in found.items() if "failed" in part or "skipped" in part] == []
    assert list(found) == ["student", *parts]
    assert "NOT" not in found["student"]["same"]
    assert found["parity"]["gaps"]["sft"]["loss_gap"] < 1e-5
    assert found["parity"]["gaps"]["rl"]["grad_distance"] < 1e-5
    assert 0 < found["drift"]["teacher_tokens"]["logprob_gap_max"] < 0.5
    assert found["speed"]["rows"][0]["tokens_per_second"] > 0
    assert found["vllm"] == {"installed": False, "seconds": found["vllm"]["seconds"]}
    sft, rl = found["train"]["sft"], found["train"]["rl"]
    assert (sft["steps"], [(one["seed"], one["steps"]) for one in rl]) == (2, [(0, 2), (1, 2)])
    assert sum(row["n"] for row in sft["cells"]) == 2 * 12  # every problem in its cell and in its benchmark's row
    assert list(sft["summary"]) == ["tiny-easy", "tiny-mixed", "tiny-hard"]
    with gzip.open(out / "completions.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert len(rows) == 3 * 3 * 12  # models, modes, problems
    report = (out / "report.md").read_text(encoding="utf-8")
    assert doc.read_text(encoding="utf-8") == report
    assert doc.with_suffix(".json").read_text(encoding="utf-8") == (out / "results.json").read_text(encoding="utf-8")
    assert all(f"\n## {title}" in report for title in ("Parity", "Mixed", "Speed", "Sampling", "vLLM", "Training"))


@pytest.mark.usefixtures("_environment")
def test_parts_for_which_no_time_is_left_are_skipped_in_a_sentence(prepared: Path, tmp_path: Path) -> None:
    assert main(["run", str(prepared), "--out", str(tmp_path), "--device", "cpu", "--minutes", "0.01"]) == 0
    parts = results_of(tmp_path)["parts"]
    assert [name for name, part in parts.items() if "skipped" in part] == list(PARTS)
    assert "Not run: " in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("_environment")
def test_training_that_runs_out_of_time_stops_and_is_evaluated(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "FIRST_EVALUATION", 1.0)
    monkeypatch.setattr(run, "PARTS", (run.Part("train", 0.0),))
    small = ["--set", "evaluate.limit=2", "--set", "evaluate.max_new_tokens=8", "--set", "sft.pairs_per_step=2"]
    arguments = ["--device", "cpu", "--only", "train", "--minutes", "0.05", "--sft-steps", "1000000", *small]
    assert main(["run", str(prepared), "--out", str(tmp_path), *arguments]) == 0
    found = results_of(tmp_path)["parts"]["train"]
    assert 0 < found["sft"]["steps"] < 1_000_000
    assert found["sft"]["cells"]
    assert found["rl"] == []
    assert "degrpo-paper seed 0: not run" in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("_environment")
def test_a_part_that_fails_is_reported_and_the_others_go_on(prepared: Path, tmp_path: Path) -> None:
    arguments = ["--device", "cpu", "--steps", "1", "--only", "train,speed", "--objectives", "dr_grpo,nonsense"]
    assert main(["run", str(prepared), "--out", str(tmp_path), *arguments]) == 1
    parts = results_of(tmp_path)["parts"]
    assert "unknown name 'nonsense'" in parts["train"]["failed"]
    assert [one["objective"] for one in parts["train"]["rl"]] == ["dr_grpo"]
    assert "rows" in parts["speed"]
    assert str(ROOT) not in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_what_is_missing_or_wrong_is_said_in_a_line(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(prepared), "--out", str(tmp_path), "--only", "pariti"]) == 2
    assert "unknown pariti" in capsys.readouterr().err
    assert main(["prepare", str(tmp_path), "--profile", "tiny", "--set", "rl.gama=1"]) == 2
    assert "did you mean 'rl.gamma'?" in capsys.readouterr().err


@pytest.mark.slow
def test_a_bare_machine_needs_neither_the_projects_packages_nor_its_installation(
    prepared: Path, tmp_path: Path
) -> None:
    arguments = ["run", str(prepared), "--out", str(tmp_path), "--device", "cpu", "--steps", "2"]
    ended = subprocess.run(
        [sys.executable, "-c", BARE, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    parts = results_of(tmp_path)["parts"]
    assert "strict needs math_verify, not installed here" in parts["train"]["judged_by"]
    assert parts["processes"]["losses_plain"] == pytest.approx(parts["processes"]["losses_sharded"], abs=1e-6)


@pytest.mark.slow
def test_the_real_model_comes_out_of_its_parts_bit_by_bit(tmp_path: Path) -> None:
    source = smollm2_source()
    model = ["--set", "base.model.kind=pretrained", "--set", f"base.model.path={source.path}"]
    model += ["--set", f"base.model.gguf_file={source.gguf_file}", "--set", "teach.think.max_tokens=200"]
    settings = [part for text in (*FEW, "teach.short.max_tokens=32") for part in ("--set", text)]
    folder, out = tmp_path / "prepared", tmp_path / "out"
    command = [sys.executable, "-m", "tests.gpu"]
    prepare = [*command, "prepare", str(folder), "--profile", "tiny", *model, *settings]
    subprocess.run(prepare, cwd=ROOT, check=True, timeout=1800)
    assert [path.stat().st_size < 50_000_001 for path in sorted(folder.glob("model.gguf.*"))] == [True, True]
    command += ["run", str(folder), "--out", str(out), "--device", "cpu", "--steps", "2", "--only", "parity,train"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=1800)
    assert "NOT" not in results_of(out)["parts"]["student"]["same"]
