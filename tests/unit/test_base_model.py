"""A model from a folder becomes the student: what is repaired on the way, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from schemas.configs.base_model import BaseModelConfig, PretrainedModel
from schemas.errors import ConfigError
from schemas.mode import Mode
from tests.specimens import identical, make_student, weights_of
from thinkless_core.model_files import build_base, prepare_tokenizer, save_folder
from thinkless_core.rendering import render_prompt
from thinkless_core.tiny_model import tiny_tokenizer


def test_a_model_folder_that_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"base\.model\.path: .* cannot be loaded .* give a local folder"):
        build_base(BaseModelConfig(model=PretrainedModel(path=str(tmp_path))))


def test_a_pretrained_folder_becomes_the_student(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    model = make_student(seed=3)
    save_folder(model, tokenizer, tmp_path)
    loaded, _ = build_base(BaseModelConfig(model=PretrainedModel(path=str(tmp_path))))
    assert identical(weights_of(loaded), weights_of(model))


@pytest.mark.parametrize("opened", [Mode.THINK.token, Mode.SHORT.token])
def test_a_chat_template_that_already_writes_the_control_token_is_repaired(tmp_path: Path, opened: str) -> None:
    tokenizer = tiny_tokenizer()
    prompt_end = "{% if add_generation_prompt %}<assistant>"
    assert prompt_end in tokenizer.chat_template
    expected = render_prompt(tokenizer, "1+2=?")
    tokenizer.chat_template = tokenizer.chat_template.replace(prompt_end, prompt_end + opened)
    save_folder(make_student(), tokenizer, tmp_path)
    prepared = prepare_tokenizer(BaseModelConfig(model=PretrainedModel(path=str(tmp_path))))
    assert len(prepared.template_repairs) == 1
    assert render_prompt(prepared.tokenizer, "1+2=?") == expected


def test_a_folder_without_a_chat_template_is_refused_unless_it_is_given_one(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    template, tokenizer.chat_template = tokenizer.chat_template, None
    save_folder(make_student(), tokenizer, tmp_path / "model")
    folder, file = str(tmp_path / "model"), tmp_path / "template.jinja"
    with pytest.raises(
        ConfigError, match=r"base\.model\.path: .* has no chat template; .* set base\.model\.chat_template"
    ):
        build_base(BaseModelConfig(model=PretrainedModel(path=folder)))
    given = BaseModelConfig(model=PretrainedModel(path=folder, chat_template=str(file)))
    with pytest.raises(
        ConfigError, match=r"base\.model\.chat_template: .* cannot be read: .*; expected a Jinja template"
    ):
        build_base(given)
    file.write_text(template, encoding="utf-8")
    assert build_base(given)[1].chat_template == template


def test_a_revision_of_a_local_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"base\.model\.revision: 'main' has no effect on the local folder"):
        build_base(BaseModelConfig(model=PretrainedModel(path=str(tmp_path), revision="main")))


def test_weights_that_are_not_safetensors_are_refused(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    model = make_student()
    save_folder(model, tokenizer, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"cannot be loaded as a causal language model: .*safetensors"):
        build_base(BaseModelConfig(model=PretrainedModel(path=str(tmp_path))))


def test_code_that_comes_with_a_model_does_not_run(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    save_folder(make_student(), tokenizer, tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    settings |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ConfigError, match=r"base\.model\.path: .* cannot be loaded"):
        build_base(BaseModelConfig(model=PretrainedModel(path=str(tmp_path))))
    assert not (tmp_path / "ran").exists()
