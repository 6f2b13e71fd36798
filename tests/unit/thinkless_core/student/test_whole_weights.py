"""Weights that are not the model's own, whole and finite, are refused by name; none is filled in at random."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from schemas.configs.base_model import BaseModelConfig, PretrainedModel
from schemas.configs.teach import TransformersTeacher
from schemas.errors import ConfigError, TeacherError
from schemas.mode import Mode
from tests.specimens import identical, make_problems, make_student, weights_of
from thinkless_core.student.model_files import build_base, save_folder
from thinkless_core.teachers.asking import ask_teacher

Weights = dict[str, Tensor]
NORM = "model.layers.1.input_layernorm.weight"


@pytest.fixture
def folder(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A good folder of a student with two layers."""
    save_folder(make_student(), tokenizer, tmp_path / "model")
    return tmp_path / "model"


def change(folder: Path, changed: Callable[[Weights], Weights]) -> None:
    """Write other weights into the folder."""
    weights = load_file(folder / "model.safetensors")
    save_file(changed(weights), folder / "model.safetensors", metadata={"format": "pt"})


def build(folder: Path) -> object:
    """Load the folder as stage base does."""
    return build_base(BaseModelConfig(model=PretrainedModel(path=str(folder))))


def with_value(name: str, value: float) -> Callable[[Weights], Weights]:
    """One number of one weight is another."""

    def changed(weights: Weights) -> Weights:
        weight = weights[name].clone()
        weight.view(-1)[0] = value
        return weights | {name: weight}

    return changed


CASES = {
    "_orig_mod.": (lambda w: {f"_orig_mod.{k}": v for k, v in w.items()}, r"with '_orig_mod\.', which torch"),
    "module.": (lambda w: {f"module.{k}": v for k, v in w.items()}, r"with 'module\.', which DistributedData"),
    "base_model.model.": (
        lambda w: {f"base_model.model.{k}": v for k, v in w.items()},
        r"with 'base_model\.model\.', which peft",
    ),
    "unknown prefix": (
        lambda w: {f"student.{k}": v for k, v in w.items()},
        r"27 weights \(lm_head\.weight, .*\) are missing.*26 weights \(student\..*\) are in its files",
    ),
    "a layer absent": (
        lambda w: {k: v for k, v in w.items() if ".layers.1." not in k},
        r"12 weights \(model\.layers\.1\.input_layernorm\.weight, .*\) are missing from its files",
    ),
    "one weight absent": (
        lambda w: {k: v for k, v in w.items() if k != NORM},
        r"1 weight \(model\.layers\.1\.input_layernorm\.weight\) is missing from its files and would be random",
    ),
    "a layer too many": (
        lambda w: w | {"model.layers.2.mlp.up_proj.weight": torch.zeros(2, 2)},
        r"1 weight \(model\.layers\.2\.mlp\.up_proj\.weight\) is in its files, and Qwen2ForCausalLM has no place",
    ),
    "another shape": (
        lambda w: w | {"model.norm.weight": torch.ones(7)},
        r"model\.norm\.weight has the shape \(7,\), and config\.json wants \(32,\)",
    ),
    "NaN": (with_value(NORM, float("nan")), r"1 weight \(model\.layers\.1.*\) is not finite"),
    "infinite": (with_value("model.embed_tokens.weight", float("-inf")), r"\(lm_head\.weight, model\..* not finite"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_weights_at_fault_are_refused_by_name(name: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    changed, said = CASES[name]
    change(folder, changed)
    with pytest.raises(ConfigError, match=rf"base\.model\.path: .* causal language model: .*{said}") as refused:
        build(folder)
    assert "\n" not in str(refused.value)
    assert "LOAD REPORT" not in capfd.readouterr().err


def test_numbers_whose_sum_is_infinite_are_still_finite(folder: Path) -> None:
    change(folder, lambda w: w | {NORM: torch.full_like(w[NORM], 3e38)})
    build(folder)


def test_what_the_class_declares_ignorable_and_buffers_that_are_computed_are_no_fault(folder: Path) -> None:
    before = make_student()
    change(folder, lambda w: w | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)})
    model, _ = build(folder)  # type: ignore[misc]
    assert identical(weights_of(model), weights_of(before))


def split(folder: Path, *, absent: bool) -> None:
    """The weights in two files, with an index; the second may be absent."""
    weights = load_file(folder / "model.safetensors")
    halves = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(sorted(weights))}
    for file in sorted(set(halves.values()))[: 1 if absent else 2]:
        save_file({n: w for n, w in weights.items() if halves[n] == file}, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": halves}))


def test_an_index_that_names_absent_files_is_refused(folder: Path) -> None:
    split(folder, absent=True)
    with pytest.raises(ConfigError, match=r"names 2 files of weights; absent: model-00002-of-00002\.safetensors"):
        build(folder)


def test_weights_in_two_files_are_read_whole(folder: Path) -> None:
    split(folder, absent=False)
    model, _ = build(folder)  # type: ignore[misc]
    assert identical(weights_of(model), weights_of(make_student()))


def test_an_index_that_is_no_json_is_refused(folder: Path) -> None:
    split(folder, absent=False)
    (folder / "model.safetensors.index.json").write_text("<html>")
    with pytest.raises(
        ConfigError, match=r"model\.safetensors\.index\.json cannot be read .*; download the model again"
    ):
        build(folder)


@pytest.mark.parametrize("kept", [0, 4, 0.5, 0.999])
def test_a_file_that_is_cut_off_is_refused(kept: float, folder: Path) -> None:
    file = folder / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    with pytest.raises(
        ConfigError, match=r"model\.safetensors \(\d+ bytes\) is damaged or cut off .*; download it again"
    ):
        build(folder)


def test_a_pointer_of_git_lfs_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n")
    with pytest.raises(ConfigError, match=r"model\.safetensors is a pointer of git-lfs, .* run `git lfs pull`"):
        build(folder)


def test_a_teacher_is_held_to_the_same(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    change(folder, lambda w: {k: v for k, v in w.items() if ".layers.1." not in k})
    teacher = TransformersTeacher(model=str(folder)).build(tokenizer=tokenizer)
    with pytest.raises(TeacherError, match=r"teacher .* causal language model: 12 weights .* are missing"):
        ask_teacher(teacher, make_problems(1), mode=Mode.SHORT, max_tokens=8, seed=0)
