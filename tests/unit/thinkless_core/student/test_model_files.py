"""Tokenizer, template, model folders and checkpoints: ordinary Hugging Face objects that come back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from schemas.configs.base_model import BaseModelConfig
from schemas.errors import CheckpointError, ConfigError
from schemas.mode import THINK_END, Mode
from tests.specimens import TINY, identical, make_student, optimizer_config, weights_of
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.model_files import build_base, load_model, load_tokenizer, save_folder
from thinkless_core.student.rendering import decode_completion, render_completion, render_prompt
from thinkless_core.training.checkpoints import load_checkpoint, save_checkpoint
from thinkless_core.training.optimization import build_optimizer

TEXTS = (
    "37+48*12=?",
    "<think>7+8=5,5*2=0;7+8=5,5*2=0</think>0",
    "<short>0",
    "  two  spaces, a line\nbreak and ~!@#$%^&*()[]{}",
    "don't , can't .  It 's",
    "a b",
    "What is\n1 + 2?\n\n\ttabs\r\n ",
    "na\u00efve \u4e16\u754c \U0001f642 \u00a0no-break \u2028 line",
)


def test_control_tokens_are_single_ids_and_tell_the_mode(tokenizer: PreTrainedTokenizerFast) -> None:
    control = ControlTokens.of(tokenizer)
    for text in (Mode.SHORT.token, Mode.THINK.token, THINK_END):
        assert len(tokenizer(text, add_special_tokens=False).input_ids) == 1
    assert len({control.short_id, control.think_id, control.think_end_id}) == 3
    for mode in Mode:
        assert control.mode_of(control.id_of(mode)) is mode
    others = set(range(len(tokenizer))) - {control.short_id, control.think_id}
    assert all(control.mode_of(i) is None for i in others)


def test_a_control_token_of_several_ids_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    characters = Tokenizer(models.WordLevel({c: i for i, c in enumerate("<>/shorthink?")}, unk_token="?"))
    characters.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    with pytest.raises(ConfigError, match=r"control token '<short>' is 7 tokens .* expected one; add it to"):
        ControlTokens.of(PreTrainedTokenizerFast(tokenizer_object=characters, unk_token="?"))


def test_the_prompt_ends_right_before_the_control_token(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = render_prompt(tokenizer, "1+2=?")
    assert tokenizer.decode(ids) == "<user>1+2=?<assistant>"
    completion = "<short>3"
    conversation = [{"role": "user", "content": "1+2=?"}, {"role": "assistant", "content": completion}]
    whole = tokenizer.apply_chat_template(conversation, tokenize=False)
    whole_ids = tokenizer(whole, add_special_tokens=False).input_ids
    assert tuple(whole_ids) == (*ids, *render_completion(tokenizer, completion, finished=True))


@pytest.mark.parametrize("text", ["what does <short> mean? <eos>", "<think></think>", "<user><assistant><think>"])
def test_control_tokens_that_a_user_spells_out_are_plain_text(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    ids = render_prompt(tokenizer, text)
    assert tokenizer.decode(ids) == f"<user>{text}<assistant>"
    assert [i for i in ids if i in tokenizer.all_special_ids] == [ids[0], ids[-1]], "those of the template alone"
    plain = render_prompt(tokenizer, "x")
    assert (ids[0], ids[-1]) == (plain[0], plain[-1])


@pytest.mark.parametrize("text", TEXTS)
def test_decoding_gives_the_text_back(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert decode_completion(tokenizer, render_completion(tokenizer, text, finished=True)) == text
    assert decode_completion(tokenizer, render_completion(tokenizer, text, finished=False)) == text


def test_a_truncated_completion_has_no_end_token(tokenizer: PreTrainedTokenizerFast) -> None:
    finished = render_completion(tokenizer, "<short>3", finished=True)
    assert finished == (*render_completion(tokenizer, "<short>3", finished=False), tokenizer.eos_token_id)
    assert decode_completion(tokenizer, ()) == ""


def test_a_saved_folder_loads_with_the_plain_auto_classes_and_gives_the_same_logits(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = make_student(scale=2.0)
    save_folder(model, tokenizer, tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = torch.tensor([render_prompt(tokenizer, "37+48=?")])
    with torch.no_grad():
        assert torch.equal(plain(ids).logits, model(ids).logits)
        assert torch.equal(load_model(tmp_path).eval()(ids).logits, model(ids).logits)
    assert plain.lm_head.weight.data_ptr() == plain.get_input_embeddings().weight.data_ptr(), "weights stay tied"
    for loaded in (AutoTokenizer.from_pretrained(tmp_path), load_tokenizer(tmp_path)):
        assert ControlTokens.of(loaded) == ControlTokens.of(tokenizer)
        assert (loaded.pad_token_id, loaded.eos_token_id) == (tokenizer.pad_token_id, tokenizer.eos_token_id)
        for text in TEXTS:
            assert render_prompt(loaded, text) == render_prompt(tokenizer, text)
            ids = render_completion(loaded, text, finished=True)
            assert ids == render_completion(tokenizer, text, finished=True)
            assert decode_completion(loaded, ids) == text


def test_plain_generation_stops_at_the_end_token(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    save_folder(make_student(), tokenizer, tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert plain.generation_config.eos_token_id == tokenizer.eos_token_id
    assert plain.generation_config.pad_token_id == tokenizer.pad_token_id


def test_the_tiny_student_is_a_function_of_its_seed() -> None:
    models = [build_base(BaseModelConfig(model=TINY, seed=seed))[0] for seed in (0, 0, 1)]
    torch.manual_seed(1)
    assert identical(weights_of(models[0]), weights_of(models[1]))
    assert not identical(weights_of(models[0]), weights_of(models[2]))


def test_making_a_student_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    make_student()
    assert torch.equal(torch.rand(3), expected)


# Checkpoints


def step_once(model: torch.nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    """One optimiser step on a made-up gradient."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizer.step()


def test_a_checkpoint_restores_weights_and_momentum_to_the_bit(tmp_path: Path) -> None:
    model = make_student()
    optimizer = build_optimizer(model, optimizer_config())
    step_once(model, optimizer, 0)
    save_checkpoint(tmp_path, step=1, model=model, optimizer=optimizer)
    step_once(model, optimizer, 1)
    restored = make_student(seed=9)
    restored_optimizer = build_optimizer(restored, optimizer_config())
    assert load_checkpoint(tmp_path, model=restored, optimizer=restored_optimizer) == 1
    step_once(restored, restored_optimizer, 1)
    assert identical(weights_of(restored), weights_of(model))


def test_tied_weights_are_stored_once_and_stay_tied(tmp_path: Path) -> None:
    model = make_student()
    save_checkpoint(tmp_path, step=1, model=model, optimizer=build_optimizer(model, optimizer_config()))
    stored = load_file(tmp_path / "step-000001" / "model.safetensors")
    assert "lm_head.weight" not in stored
    restored = make_student(seed=9)
    load_checkpoint(tmp_path, model=restored, optimizer=build_optimizer(restored, optimizer_config()))
    assert torch.equal(restored.lm_head.weight, model.lm_head.weight)
    assert restored.lm_head.weight.data_ptr() == restored.get_input_embeddings().weight.data_ptr()


def test_only_the_newest_checkpoint_stays_and_is_the_one_loaded(tmp_path: Path) -> None:
    model = make_student()
    optimizer = build_optimizer(model, optimizer_config())
    for step in (9, 10, 100):
        step_once(model, optimizer, step)
        save_checkpoint(tmp_path, step=step, model=model, optimizer=optimizer)
    assert [p.name for p in tmp_path.iterdir()] == ["step-000100"]
    (tmp_path / "step-000200.part").mkdir()
    assert load_checkpoint(tmp_path, model=make_student(), optimizer=build_optimizer(model, optimizer_config())) == 100


def test_no_checkpoint_is_step_0(tmp_path: Path) -> None:
    model = make_student()
    optimizer = build_optimizer(model, optimizer_config())
    assert load_checkpoint(tmp_path / "absent", model=model, optimizer=optimizer) == 0
    assert load_checkpoint(tmp_path, model=model, optimizer=optimizer) == 0


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    model = make_student()
    save_checkpoint(tmp_path, step=1, model=model, optimizer=build_optimizer(model, optimizer_config()))
    file = tmp_path / "step-000001" / "model.safetensors"
    weights = load_file(file)
    weights["another.weight"] = weights.pop("model.norm.weight")
    save_file(weights, file)
    with pytest.raises(CheckpointError, match=r"another\.weight, model\.norm\.weight.* belongs to another run"):
        load_checkpoint(tmp_path, model=model, optimizer=build_optimizer(model, optimizer_config()))


def test_a_checkpoint_of_another_shape_is_refused_before_anything_is_overwritten(tmp_path: Path) -> None:
    model = make_student()
    save_checkpoint(tmp_path, step=1, model=model, optimizer=build_optimizer(model, optimizer_config()))
    wide, _ = build_base(BaseModelConfig(model=TINY.model_copy(update={"hidden_size": 64})))
    before = weights_of(wide)
    with pytest.raises(
        CheckpointError, match=r"has shape \(264, 32\), the model's has \(264, 64\); it belongs to another"
    ):
        load_checkpoint(tmp_path, model=wide, optimizer=build_optimizer(wide, optimizer_config()))
    assert identical(weights_of(wide), before)
