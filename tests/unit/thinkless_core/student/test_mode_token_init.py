"""New mode tokens begin as likely as the model's own first words, and alike."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tests.specimens import identical, weights_of
from tests.unit.thinkless_core.student.trained_tokenizers import byte_level
from thinkless_core.student.control_tokens import ControlTokens, add_control_tokens, extend_embeddings
from thinkless_core.student.mode_token_init import QUESTIONS, start_mode_tokens
from thinkless_core.student.rendering import render_prompt


def model_for(tokenizer: PreTrainedTokenizerFast, *, tied: bool) -> LlamaForCausalLM:
    """One whose first words are far from equally likely."""
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            tie_word_embeddings=tied,
            initializer_range=0.5,
        )
    )


def first_probabilities(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, question: str) -> torch.Tensor:
    with torch.no_grad():
        logits_V = model(torch.tensor([render_prompt(tokenizer, question)])).logits[0, -1]
    return logits_V.double().softmax(dim=-1)


@pytest.mark.parametrize("tied", [True, False])
def test_new_mode_tokens_start_at_exp_of_minus_the_entropy_and_known_tokens_keep_their_rows(tied: bool) -> None:
    tokenizer = byte_level()
    model = model_for(tokenizer, tied=tied)
    num_known = len(tokenizer)
    before = {question: first_probabilities(model, tokenizer, question) for question in QUESTIONS}
    new = add_control_tokens(tokenizer)
    extend_embeddings(model, tokenizer, new, seed=0)
    control = ControlTokens.of(tokenizer)
    modes = [control.short_id, control.think_id]
    far = {question: first_probabilities(model, tokenizer, question)[modes] for question in QUESTIONS}
    rows = model.get_output_embeddings().weight.detach().clone()
    start_mode_tokens(model, tokenizer, new)
    changed = (model.get_output_embeddings().weight != rows).any(dim=1).nonzero()[:, 0].tolist()
    assert sorted(changed) == sorted(modes), "</think> never begins an answer"
    gained = 0.0
    for question, known in before.items():
        after = first_probabilities(model, tokenizer, question)
        gained += float((after[modes].log() - far[question].log()).mean()) / len(before)
        # The rest is as likely as before, in proportion: known rows are untouched.
        rest = after[:num_known] / after[:num_known].sum()
        torch.testing.assert_close(rest, known, rtol=1e-3, atol=1e-6)
    assert gained > 1.0, "nats"


def test_one_question_alone_gives_the_exact_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thinkless_core.student.mode_token_init.QUESTIONS", QUESTIONS[:1])
    tokenizer = byte_level()
    model = model_for(tokenizer, tied=False)
    num_known = len(tokenizer)
    new = add_control_tokens(tokenizer)
    extend_embeddings(model, tokenizer, new, seed=0)
    start_mode_tokens(model, tokenizer, new)
    after = first_probabilities(model, tokenizer, QUESTIONS[0])
    control = ControlTokens.of(tokenizer)
    others = torch.cat([after[:num_known], after[[control.think_end_id]]])
    others = others / others.sum()
    expected = float(torch.exp((others * others.log()).sum()))  # exp(-H)
    for token in (control.short_id, control.think_id):
        assert float(after[token] / (after[:num_known].sum() + after[control.think_end_id])) == pytest.approx(
            expected, rel=0.25
        ), "but for the noise that tells the two apart"


def test_a_model_that_begins_with_think_begins_with_short_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thinkless_core.student.mode_token_init.QUESTIONS", QUESTIONS[:1])
    tokenizer = byte_level()
    tokenizer.add_tokens(["<think>", "</think>"])
    model = model_for(tokenizer, tied=False)
    think = tokenizer.convert_tokens_to_ids("<think>")
    with torch.no_grad():  # its head knows one answer
        hidden = model.model(torch.tensor([render_prompt(tokenizer, QUESTIONS[0])])).last_hidden_state[0, -1]
        model.lm_head.weight.zero_()
        model.lm_head.weight[think] = 2 * hidden / hidden.norm()
    new = add_control_tokens(tokenizer)
    assert new == ("<short>",)
    extend_embeddings(model, tokenizer, new, seed=0)
    start_mode_tokens(model, tokenizer, new)
    probabilities = first_probabilities(model, tokenizer, QUESTIONS[0])
    control = ControlTokens.of(tokenizer)
    assert probabilities[control.think_id] > 0.3
    assert float(probabilities[control.short_id] / probabilities[control.think_id]) == pytest.approx(1.0, abs=0.2)


def test_a_model_that_knows_its_mode_tokens_is_left_alone() -> None:
    tokenizer = byte_level()
    new = add_control_tokens(tokenizer)
    model = model_for(tokenizer, tied=True)
    before = weights_of(model)
    start_mode_tokens(model, tokenizer, ())
    start_mode_tokens(model, tokenizer, [text for text in new if text == "</think>"])
    assert identical(weights_of(model), before)
