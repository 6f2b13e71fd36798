"""A path that names no model: one sentence that says what it is, and the way out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

from schemas.configs.base_model import BaseModelConfig, PretrainedModel
from schemas.errors import ConfigError
from tests.specimens import make_student
from thinkless_core.student.model_files import build_base, prepare_tokenizer, save_folder
from thinkless_core.student.tiny_model import CHAT_TEMPLATE


@pytest.fixture
def folder(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A good folder."""
    save_folder(make_student(), tokenizer, tmp_path / "model")
    return tmp_path / "model"


def refusal(path: object) -> str:
    """What stage base says about a path: one line."""
    with pytest.raises(ConfigError) as refused:
        build_base(BaseModelConfig(model=PretrainedModel(path=str(path))))
    message = str(refused.value)
    named = str(Path(str(path)).expanduser()) if str(path).startswith("~") else str(path)
    assert message.startswith(f"base.model.path: {named!r} cannot be loaded as a causal language model: ")
    assert "\n" not in message
    assert "Repo id" not in message
    return message


@pytest.mark.parametrize(
    "path", ["/nowhere/model", "./model", "../x", "a/b/c", "~/no-such-model", "C:\\models\\m", "m odel"]
)
def test_a_folder_that_does_not_exist_is_called_so(path: str) -> None:
    assert "there is no such folder (" in refusal(path)
    with pytest.raises(ConfigError, match="there is no such folder"):
        prepare_tokenizer(BaseModelConfig(model=PretrainedModel(path=path)))


def test_a_home_folder_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    source = PretrainedModel(path="~/model")
    assert source.location == str(folder)
    assert source.local_paths() == (str(folder),)
    build_base(BaseModelConfig(model=source))


def test_a_file_is_no_folder(folder: Path) -> None:
    assert "it is a file; give the folder that it lies in" in refusal(folder / "model.safetensors")
    (folder / "m.gguf").touch()
    assert "and set base.model.gguf_file='m.gguf'" in refusal(folder / "m.gguf")


ADAPTERS = {"peft_type": "LORA", "base_model_name_or_path": "org/base", "r": 4, "target_modules": ["q_proj"]}


@pytest.mark.parametrize("alone", [True, False])
def test_adapters_are_to_be_merged(alone: bool, folder: Path) -> None:
    if alone:
        (folder / "model.safetensors").unlink()
        (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text(json.dumps(ADAPTERS))
    save_file({"x": torch.zeros(2)}, folder / "adapter_model.safetensors")
    message = refusal(folder)
    assert "it holds adapters of 'org/base' (adapter_config.json), no whole model; merge them with peft" in message
    assert "merge_and_unload().save_pretrained(NEW_FOLDER)" in message


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("pytorch_model.bin", r"PyTorch files alone .*from_pretrained\(FOLDER\)\.save_pretrained\(NEW_FOLDER\)"),
        ("consolidated.00.pth", r"PyTorch files alone"),
        ("tf_model.h5", r"TensorFlow files alone .*from_tf=True"),
        ("flax_model.msgpack", r"Flax files alone .*from_flax=True"),
        ("model.onnx", r"ONNX files alone .*exported from"),
        ("model-q4.gguf", r"GGUF files alone .*set base\.model\.gguf_file"),
        ("model-00001-of-00002.safetensors", r"neither model\.safetensors nor model\.safetensors\.index\.json"),
    ],
)
def test_weights_of_another_kind_are_to_be_converted(file: str, said: str, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / file)
    message = refusal(folder)
    assert file in message
    assert re.search(said, message)


def test_a_folder_around_the_model_points_at_it(folder: Path) -> None:
    assert f"its sub-folder 'model' has a config.json: give {str(folder)!r}" in refusal(folder.parent)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("{", "is not a valid JSON file"),
        ("{}", "Should have a `model_type` key"),
        ('{"model_type": "t5"}', "T5Config"),
        ('{"model_type": "no-such-model"}', "no-such-model"),
        ('{"model_type": "qwen2", "hidden_size": "wide"}', "hidden_size"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_one_line(settings: str, said: str, folder: Path) -> None:
    (folder / "config.json").write_text(settings)
    message = refusal(folder)
    assert said in message
    assert len(message) < 1000


def test_templates_without_a_default_are_listed(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = [{"name": name, "template": CHAT_TEMPLATE} for name in ("rag", "tool_use")]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(
        ConfigError,
        match=r"chat templates named rag, tool_use and none named 'default', .* set base\.model\.chat_template to its",
    ):
        prepare_tokenizer(BaseModelConfig(model=PretrainedModel(path=str(folder))))
