"""`thinkless export`: a folder that others load, serve and publish without this program."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from infra.runs import list_runs
from infra.store.artifact_store import ArtifactStore
from schemas.errors import ConfigError, MissingArtifactError
from tasks.export_model import Export, export_model
from tests.integration.conftest import BuiltHome
from tests.integration.processes import ROOT, Said
from tests.specimens import identical, weights_of
from thinkless_core.student.model_files import load_model

Thinkless = Callable[..., Said]


def export(home: Path, folder: Path, model: str = "rl") -> Export:
    return export_model(ArtifactStore(home), list_runs(home)[-1], model=model, folder=folder)


@pytest.fixture(scope="module")
def exported(built: BuiltHome, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The small pipeline's policy, exported once; nothing may change it."""
    return export(built.path, tmp_path_factory.mktemp("export") / "my-model")


def test_the_command_writes_a_folder_and_says_how_to_serve_it(
    thinkless: Thinkless, built: BuiltHome, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "model"
    answer = thinkless(built.path, "export", str(folder))
    assert answer.code == 0, answer.err
    assert f"thinkless-tiny of run {built.run.run_id} is in {folder}" in answer.out
    assert f"vllm serve {folder} --served-model-name thinkless-tiny --dtype float32" in answer.out
    assert {path.name for path in folder.iterdir()} >= {
        "README.md", "config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja", "think_bias.py",
        "dataset", "export.json",
    }  # fmt: skip
    assert list(folder.parent.iterdir()) == [folder]
    again = thinkless(built.path, "export", str(folder))
    assert again.code == 2
    assert "is a folder that is not empty, expected a new or an empty folder" in again.err
    unknown = thinkless(built.path, "export", str(tmp_path / "x"), "--run", "nobody")
    assert (unknown.code, "no run 'nobody'" in unknown.err) == (2, True)
    assert not (tmp_path / "x").exists()


def test_plain_transformers_loads_the_policy_as_it_was_trained(exported: Export, built: BuiltHome) -> None:
    model = AutoModelForCausalLM.from_pretrained(exported.folder)
    trained = Path(built.run.artifacts["rl"].path) / "model"
    assert identical(weights_of(model), weights_of(load_model(trained)))
    tokenizer = AutoTokenizer.from_pretrained(exported.folder)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "1+2=?"}], add_generation_prompt=True, tokenize=False
    )
    assert asked == AutoTokenizer.from_pretrained(trained).apply_chat_template(
        [{"role": "user", "content": "1+2=?"}], add_generation_prompt=True, tokenize=False
    )
    for text in ("<short>", "<think>", "</think>"):
        assert len(tokenizer(text, add_special_tokens=False).input_ids) == 1


def test_weights_are_safetensors_alone_and_every_file_is_listed_with_its_hash(exported: Export) -> None:
    files = {p.relative_to(exported.folder).as_posix(): p for p in exported.folder.rglob("*") if p.is_file()}
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    listed = json.loads(files.pop("export.json").read_text())
    assert listed["files"] == {name: sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert {entry["stage"] for entry in listed["artifacts"]} >= {"base", "problems", "teach", "pairs", "sft", "rl"}
    assert {entry["label"] for entry in listed["artifacts"]} >= {"teach-think", "teach-short"}
    mentions = [name for name, path in files.items() if str(ROOT).encode() in path.read_bytes()]
    assert mentions == []


def test_the_model_card_holds_the_measured_table_and_what_it_was_made_from(exported: Export, built: BuiltHome) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: front matter is not parsed")
    _, front, body = (exported.folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["license"] == "apache-2.0"
    evaluation = Path(built.run.artifacts["evaluate"].path) / "summary.parquet"
    cells = pq.read_table(evaluation).to_pylist()
    assert len(cells) == 27
    for cell in cells:
        row = f"| {cell['benchmark']} | {cell['model']} | {cell['mode']} | {cell['n']} | {cell['accuracy']:.3f} ± "
        assert row in body
    for said in ("chains of arithmetic", "worked out by a program", "| think answers |", "random weights"):
        assert said in body
    trained = ArtifactStore(built.path).manifest("rl", built.run.artifacts["rl"].key)
    assert f"by run `{trained.run_id}`; training ended {trained.created_at[:10]}" in body, "not the day of the export"
    assert (exported.folder / "chat_template.jinja").read_text(encoding="utf-8").rstrip() in body
    stored = pq.read_table(Path(built.run.artifacts["evaluate"].path) / "completions.parquet").to_pylist()
    answers = {row["completion"] for row in stored if (row["model"], row["mode"]) == ("rl", "auto")}
    shown = re.findall(r"```text\n.*?\n---\n(.*?)\n```", body, re.DOTALL)
    assert shown
    assert set(shown) <= answers, "worked examples are stored completions"


def test_generation_starts_from_the_settings_of_the_evaluation(exported: Export) -> None:
    settings = AutoModelForCausalLM.from_pretrained(exported.folder).generation_config
    assert (settings.do_sample, settings.temperature, settings.top_p, settings.top_k) == (True, 0.6, 0.95, 0)
    assert (settings.max_new_tokens, settings.eos_token_id) == (24, 1)


def code_blocks(folder: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_lines_of_the_card_run_as_they_stand_there(exported: Export) -> None:
    blocks = code_blocks(exported.folder, "python")
    assert len(blocks) == 4
    program = "\n".join(block.replace("max_new_tokens=24", "max_new_tokens=4") for block in blocks)
    finished = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=exported.folder.parent, capture_output=True, text=True, timeout=300
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert len(finished.stdout.splitlines()) >= 3
    assert "\n<short>" in finished.stdout
    assert "\nthought: " in finished.stdout
    assert "\nanswer: " in finished.stdout


def test_an_answer_begun_by_the_caller_forces_the_mode_through_the_template(exported: Export) -> None:
    """What `vllm serve` makes of the request on the card."""
    (request,) = (json.loads(block) for block in code_blocks(exported.folder, "json"))
    tokenizer = AutoTokenizer.from_pretrained(exported.folder)
    begun = tokenizer.apply_chat_template(
        request["messages"],
        add_generation_prompt=request["add_generation_prompt"],
        continue_final_message=request["continue_final_message"],
        tokenize=False,
    )
    free = tokenizer.apply_chat_template(request["messages"][:1], add_generation_prompt=True, tokenize=False)
    assert begun == free + "<short>"


def test_the_pairs_load_as_a_data_set_of_their_splits(exported: Export, built: BuiltHome, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(exported.folder / "dataset"), cache_dir=str(tmp_path))
    pairs = pq.read_table(Path(built.run.artifacts["pairs"].path) / "pairs.parquet").to_pylist()
    assert exported.num_pairs == len(pairs)
    card = (exported.folder / "dataset" / "README.md").read_text(encoding="utf-8")
    assert 'load_dataset("FOLDER")' in card
    for meaning in ("Id of the problem", "The long answer, control token included."):
        assert meaning in card
    assert set(json.loads(code_blocks(exported.folder / "dataset", "json")[0])) == set(pairs[0])
    for split in ("train", "validation"):
        assert loaded[split].to_list() == [pair for pair in pairs if pair["split"] == split]


def test_the_warm_up_alone_can_be_exported_and_its_card_says_nothing_of_the_policy(
    built: BuiltHome, tmp_path: Path
) -> None:
    sft = export(built.path, tmp_path / "warm", model="sft")
    model = AutoModelForCausalLM.from_pretrained(sft.folder)
    assert identical(weights_of(model), weights_of(load_model(Path(built.run.artifacts["sft"].path) / "model")))
    card = (sft.folder / "README.md").read_text(encoding="utf-8")
    assert "# thinkless-tiny-sft" in card
    assert "| sft | auto |" in card
    assert "| rl |" not in card
    assert "Reinforcement learning" not in card


def test_what_is_in_the_way_or_missing_is_refused_and_nothing_is_left_behind(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ConfigError, match="file is a file, expected a new or an empty folder"):
        export(home, file)
    (tmp_path / "empty").mkdir()
    export(home, tmp_path / "empty")
    assert (tmp_path / "empty" / "config.json").is_file()
    record = list_runs(home)[-1]
    weights = ArtifactStore(home).path("rl", next(u.key for u in record.stages if u.stage == "rl")) / "model"
    damaged = weights / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(MissingArtifactError, match=r"artifact rl/\w+ of run .* was damaged; rebuild it"):
        export(home, tmp_path / "damaged")
    unfinished = record.model_copy(update={"stages": record.stages[:4]})
    with pytest.raises(MissingArtifactError, match=r"has no stage rl .*thinkless run --profile tiny"):
        export_model(ArtifactStore(home), unfinished, model="rl", folder=tmp_path / "unfinished")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "home"]
