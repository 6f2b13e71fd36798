"""Control tokens for models that had none: one id each, a row each, and everything else as it was.

Rows are compared with `torch.equal`: the other tokens' must not change by a bit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    CanineTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from schemas.configs.base_model import BaseModelConfig, PretrainedModel
from schemas.errors import ConfigError
from schemas.mode import EvalMode
from tests.unit.thinkless_core.student.trained_tokenizers import KINDS, byte_level, tiny, unigram
from thinkless_core.evaluation.answering import ask
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.student.control_tokens import (
    CONTROL_TEXTS,
    NOISE,
    ControlTokens,
    add_control_tokens,
    extend_embeddings,
)
from thinkless_core.student.model_files import build_base, prepare_tokenizer, save_folder
from thinkless_core.student.rendering import render_prompt


def llama(*, rows: int, tied: bool) -> PreTrainedModel:
    """A small Llama with weights of its own."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=rows,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config)


def rows_of(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Copies of the embedding and of the head."""
    matrices = {"embedding": model.get_input_embeddings().weight, "head": model.get_output_embeddings().weight}
    return {name: weight.detach().clone() for name, weight in matrices.items()}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_control_texts_become_single_ids_and_the_other_ids_stay(kind: Callable[[], PreTrainedTokenizerBase]) -> None:
    tokenizer = kind()
    before = tokenizer.get_vocab()
    new = add_control_tokens(tokenizer)
    assert new == (() if kind is tiny else CONTROL_TEXTS)
    assert {text: i for text, i in tokenizer.get_vocab().items() if text not in new} == before
    control = ControlTokens.of(tokenizer)
    assert len({control.short_id, control.think_id, control.think_end_id}) == 3
    for text in CONTROL_TEXTS:
        (only,) = tokenizer(text, add_special_tokens=False).input_ids
        assert tokenizer.decode([only]) == text
    assert not set(CONTROL_TEXTS) & set(tokenizer.all_special_tokens)
    assert add_control_tokens(tokenizer) == (), "twice does no harm"


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(("spare", "expected"), [(0, 3), (1, 3), (40, 40)])
def test_new_rows_are_near_the_mean_and_the_others_are_untouched(tied: bool, spare: int, expected: int) -> None:
    tokenizer = byte_level()
    num_known = len(tokenizer)
    model = llama(rows=num_known + spare, tied=tied)
    before = rows_of(model)
    new = add_control_tokens(tokenizer)
    extend_embeddings(model, tokenizer, new, seed=0)
    control = ControlTokens.of(tokenizer)
    assert model.config.vocab_size == num_known + expected
    assert (model.get_input_embeddings().weight is model.get_output_embeddings().weight) == tied
    for name, after in rows_of(model).items():
        assert after.shape == (num_known + expected, 16)
        assert torch.equal(after[:num_known], before[name][:num_known])
        assert torch.equal(after[num_known + 3 : num_known + spare], before[name][num_known + 3 :]), "spare rows"
        mean, deviation = before[name][:num_known].mean(0), before[name][:num_known].std(0)
        distances = (after[num_known : num_known + 3] - mean) / deviation
        assert distances.abs().max() < 4 * NOISE, "48 normal numbers lie within four deviations"
        assert 0.5 * NOISE < distances.std() < 2 * NOISE
        assert not torch.equal(after[control.think_id], after[control.short_id])
    again = llama(rows=num_known + spare, tied=tied)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    extend_embeddings(again, tokenizer, new, seed=0)
    assert torch.equal(torch.get_rng_state(), state), "nothing is drawn from the global state"
    assert all(torch.equal(rows_of(again)[name], rows) for name, rows in rows_of(model).items())


def test_a_padded_row_count_stays_padded_and_the_padding_is_the_mean() -> None:
    tokenizer = byte_level()
    model = llama(rows=len(tokenizer) // 128 * 128, tied=False)
    num_rows = model.config.vocab_size
    unused = [text for text, i in tokenizer.get_vocab().items() if i >= num_rows]
    new = add_control_tokens(tokenizer)
    before = rows_of(model)
    extend_embeddings(model, tokenizer, (*unused, *new), seed=0)
    assert model.config.vocab_size == num_rows + 128
    for name, after in rows_of(model).items():
        assert torch.equal(after[:num_rows], before[name])
        padding = after[len(tokenizer) :]
        assert torch.allclose(padding, before[name].mean(0).expand_as(padding))


def test_the_bias_of_a_head_has_a_row_for_each_token_too() -> None:
    tokenizer = byte_level()
    num_known = len(tokenizer)
    model = PhiForCausalLM(PhiConfig(vocab_size=num_known, hidden_size=16, num_hidden_layers=1, num_attention_heads=2))
    torch.nn.init.normal_(model.lm_head.bias)
    before = model.lm_head.bias.detach().clone()
    extend_embeddings(model, tokenizer, add_control_tokens(tokenizer), seed=0)
    assert torch.equal(model.lm_head.bias[:num_known], before)
    assert torch.allclose(model.lm_head.bias[num_known:], before.mean().expand(3))


def test_a_model_with_its_control_tokens_is_not_touched() -> None:
    tokenizer = tiny()
    model = llama(rows=len(tokenizer), tied=True)
    before = rows_of(model)
    extend_embeddings(model, tokenizer, add_control_tokens(tokenizer), seed=0)
    assert all(torch.equal(rows_of(model)[name], rows) for name, rows in before.items())


class FixedRows(LlamaForCausalLM):
    """Stands for a model class whose embeddings cannot be resized."""

    def resize_token_embeddings(self, *_args: object, **_kwargs: object) -> None:
        raise NotImplementedError("rows are fixed")


class NoHead(LlamaForCausalLM):
    """Stands for a model class that does not say where its embeddings are."""

    def get_output_embeddings(self) -> None:
        return None


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (FixedRows, r"FixedRows: its vocabulary cannot be extended to \d+ rows: rows are fixed; choose a base model"),
        (NoHead, r"NoHead: its vocabulary cannot be extended: expected a matrix of .* as head, got none; choose"),
    ],
)
def test_a_vocabulary_that_cannot_be_extended_is_refused(family: type[LlamaForCausalLM], message: str) -> None:
    tokenizer = byte_level()
    model = family(llama(rows=len(tokenizer), tied=False).config)
    with pytest.raises(ConfigError, match=message):
        extend_embeddings(model, tokenizer, add_control_tokens(tokenizer), seed=0)


def test_a_tokenizer_that_is_no_fast_one_is_refused(tmp_path: Path) -> None:
    CanineTokenizer().save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"base\.model\.path: .* has a CanineTokenizer, .*; choose a base model"):
        prepare_tokenizer(BaseModelConfig(model=PretrainedModel(path=str(tmp_path))))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", [byte_level, unigram])
def test_a_prepared_student_is_an_ordinary_folder(
    tmp_path: Path, kind: Callable[[], PreTrainedTokenizerBase], tied: bool
) -> None:
    given = kind()
    given.eos_token = "</s>"
    given.pad_token = None
    save_folder(llama(rows=len(given), tied=tied), given, tmp_path / "given")
    config = BaseModelConfig(model=PretrainedModel(path=str(tmp_path / "given")))
    model, tokenizer = build_base(config)
    save_folder(model, tokenizer, tmp_path / "student")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "student").eval()
    plain = AutoTokenizer.from_pretrained(tmp_path / "student")
    assert ControlTokens.of(plain) == ControlTokens.of(tokenizer)
    assert plain.eos_token == "<|im_end|>", "what the template ends a turn with"
    assert {loaded.config.eos_token_id, loaded.generation_config.eos_token_id} == {plain.eos_token_id}
    assert plain.pad_token_id == loaded.config.pad_token_id == tokenizer.pad_token_id is not None
    shared = loaded.get_input_embeddings().weight.data_ptr() == loaded.get_output_embeddings().weight.data_ptr()
    assert shared == tied
    ids = torch.tensor([render_prompt(plain, "1 + 2 = <think>?")])
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, model.eval()(ids).logits)
    generated = loaded.generate(ids, max_new_tokens=4, do_sample=False)
    assert generated.shape[1] > ids.shape[1]
    sampler = TransformersSampler(loaded, plain.pad_token_id, plain.eos_token_id)
    reply = ask(
        loaded,
        "1 + 2 = ?",
        sampler=sampler,
        tokenizer=plain,
        mode=EvalMode.SHORT,
        think_bias=0.0,
        temperature=1.0,
        max_new_tokens=4,
        seed=0,
    )
    assert reply.completion.startswith("<short>")
    assert 0.2 < reply.p_think < 0.8, "neither mode begins as the favourite"
    again = build_base(BaseModelConfig(model=PretrainedModel(path=str(tmp_path / "student"))))[0]
    assert all(torch.equal(rows_of(again)[name], rows) for name, rows in rows_of(model).items()), "once is enough"
