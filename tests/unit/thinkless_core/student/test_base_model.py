"""A model from a folder becomes the student: what is repaired on the way, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from schemas.configs.base_model import BaseModelConfig, PretrainedModel
from schemas.errors import ConfigError
from schemas.mode import Mode
from tests.specimens import identical, make_student, weights_of
from thinkless_core.student.control_tokens import CONTROL_TEXTS
from thinkless_core.student.model_files import (
    build_base,
    is_trusted,
    load_student,
    load_student_config,
    load_student_tokenizer,
    prepare_tokenizer,
    save_folder,
)
from thinkless_core.student.rendering import render_prompt
from thinkless_core.student.tiny_model import tiny_tokenizer


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
    said: list[str] = []
    build_base(BaseModelConfig(model=PretrainedModel(path=str(tmp_path))), say=said.append)
    assert len(said) == 1, "one line, in which the run says it"
    assert said[0].startswith(f"chat template: wrapped, because its generation prompt goes on with {opened!r}")


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


# Where weights can come from


OWN_CODE = """
from transformers import Qwen2Config, Qwen2ForCausalLM

class OwnConfig(Qwen2Config):
    model_type = "own"

class Own(Qwen2ForCausalLM):
    config_class = OwnConfig
"""


def own_model(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """A folder with a model whose class comes with it."""
    save_folder(make_student(), tokenizer, folder)
    settings = json.loads((folder / "config.json").read_text())
    settings |= {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.Own"}}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "own.py").write_text(OWN_CODE)


def test_code_that_was_trusted_in_stage_base_is_trusted_by_later_stages_and_by_nobody_else(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    own_model(tmp_path / "theirs", tokenizer)
    source = PretrainedModel(path=str(tmp_path / "theirs"), trust_remote_code=True)
    model, prepared = build_base(BaseModelConfig(model=source))
    assert type(model).__name__ == "Own"
    save_folder(model, prepared, tmp_path / "base", trust_remote_code=True)
    later = load_student(tmp_path / "base")
    assert type(later).__name__ == "Own"
    assert identical(weights_of(later), weights_of(model))
    assert load_student_tokenizer(tmp_path / "base").get_vocab() == prepared.get_vocab()
    assert load_student_config(tmp_path / "base").model_type == "own"
    save_folder(later, prepared, tmp_path / "sft", trust_remote_code=is_trusted(tmp_path / "base"))
    assert type(load_student(tmp_path / "sft")).__name__ == "Own"
    # A folder that a user names is trusted by the user's word alone, whatever lies in it.
    with pytest.raises(ConfigError, match=r"cannot be loaded as a causal language model: .*trust_remote_code"):
        build_base(BaseModelConfig(model=PretrainedModel(path=str(tmp_path / "sft"))))
    save_folder(make_student(), tokenizer, tmp_path / "plain")
    assert not is_trusted(tmp_path / "plain")


def test_a_student_loads_in_bfloat16_where_it_is_told_to(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    save_folder(make_student(), tokenizer, tmp_path)
    loaded = load_student(tmp_path, dtype=torch.bfloat16)
    assert {p.dtype for p in loaded.parameters()} == {torch.bfloat16}
    rounded = {name: weight.to(torch.bfloat16) for name, weight in weights_of(make_student()).items()}
    assert identical(weights_of(loaded), rounded)


def test_a_package_stands_for_its_folder(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "weights_in_a_wheel"
    save_folder(make_student(seed=4), tokenizer, package)
    (package / "__init__.py").write_text("raise RuntimeError('looked into, but never imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    source = PretrainedModel(path="package:weights_in_a_wheel")
    assert Path(source.location) == package
    assert identical(weights_of(build_base(BaseModelConfig(model=source))[0]), weights_of(make_student(seed=4)))


@pytest.mark.parametrize("name", ["package:no_such_package", "package:", "package:no.dots", "package:__main__"])
def test_a_package_that_is_not_installed_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"base\.model\.path: 'package:.*' names .* not installed here; install"):
        prepare_tokenizer(BaseModelConfig(model=PretrainedModel(path=name)))


def test_what_counts_by_content_is_the_gguf_file_alone_where_there_is_one(tmp_path: Path) -> None:
    whole = PretrainedModel(path=str(tmp_path), chat_template="template.jinja")
    assert whole.local_paths() == (str(tmp_path), "template.jinja")
    one_file = PretrainedModel(path=str(tmp_path), gguf_file="model.gguf")
    assert one_file.local_paths() == (str(tmp_path / "model.gguf"),)


def test_a_gguf_file_that_is_none_is_refused(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    save_folder(make_student(), tokenizer, tmp_path)
    (tmp_path / "model.gguf").write_bytes(b"no weights")
    for name in ("model.gguf", "missing.gguf"):
        with pytest.raises(ConfigError, match=rf"base\.model\.gguf_file: '{name}' in .* cannot be loaded .*smollm2"):
            build_base(BaseModelConfig(model=PretrainedModel(path=str(tmp_path), gguf_file=name)))


def test_a_model_whose_embeddings_cannot_be_extended_is_refused_by_its_name(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fixed(*_: object, **__: object) -> None:
        raise NotImplementedError("this vocabulary is fixed")

    save_folder(make_student(), tokenizer, tmp_path)
    monkeypatch.setattr(Qwen2ForCausalLM, "resize_token_embeddings", fixed)
    table = json.loads((tmp_path / "tokenizer.json").read_text())
    table["added_tokens"] = [t for t in table["added_tokens"] if t["content"] not in CONTROL_TEXTS]
    for text in CONTROL_TEXTS:
        del table["model"]["vocab"][text]
    # Every row is taken: new tokens need new rows.
    table["model"]["vocab"] |= {f"filler{i}": i for i in set(range(264)) - set(table["model"]["vocab"].values())}
    (tmp_path / "tokenizer.json").write_text(json.dumps(table))
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    settings = {k: v for k, v in settings.items() if k in ("tokenizer_class", "eos_token", "pad_token", "unk_token")}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(
        ConfigError, match=r"base\.model\.path: .*: Qwen2ForCausalLM: its vocabulary cannot be extended"
    ):
        build_base(BaseModelConfig(model=PretrainedModel(path=str(tmp_path))))
