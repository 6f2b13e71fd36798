"""The bias on the think logit inside transformers' own `generate`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LogitsProcessorList, PreTrainedTokenizerFast

from schemas.mode import EvalMode
from tests.oracles.student import think_probability
from tests.specimens import LIVELY, ScriptedSampler, make_student
from thinkless_core.evaluation.answering import ask
from thinkless_core.sampling.decoding import left_padded
from thinkless_core.sampling.think_bias import ThinkBiasLogitsProcessor
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.rendering import render_prompt

PROMPTS = ("1+2=?", "37+48*12=?", "9*9=?", "11+22*33-44=?")
MODEL = make_student(scale=LIVELY)


def generate(
    tokenizer: PreTrainedTokenizerFast, processor: ThinkBiasLogitsProcessor, *prompts: str, **settings: object
) -> Any:
    """What `generate` returns for a batch of prompts of different lengths, with logits before and after processors."""
    ids = [render_prompt(tokenizer, prompt) for prompt in prompts or PROMPTS]
    padded = left_padded(ids, pad_id=tokenizer.pad_token_id, device=MODEL.device)
    torch.manual_seed(0)
    return MODEL.generate(
        input_ids=padded.input_ids_BL,
        attention_mask=padded.mask_BL,
        logits_processor=LogitsProcessorList([processor]),
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
        **({"do_sample": True, "max_new_tokens": 5, "top_k": 0, "pad_token_id": tokenizer.pad_token_id} | settings),
    )


def shift(out: Any, step: int, control: ControlTokens) -> Tensor:
    """By how much the processors moved the margin of think over short, per row."""
    before_BV, after_BV = out.logits[step], out.scores[step]
    margin = [rows[:, control.think_id] - rows[:, control.short_id] for rows in (after_BV, before_BV)]
    return margin[0] - margin[1]


@pytest.mark.parametrize("bias", [1.5, -2.0, 0.0])
def test_the_margin_moves_by_the_bias_at_token_0_of_every_row_and_nowhere_else(
    tokenizer: PreTrainedTokenizerFast, bias: float
) -> None:
    control = ControlTokens.of(tokenizer)
    out = generate(tokenizer, ThinkBiasLogitsProcessor(control.think_id, bias))
    torch.testing.assert_close(shift(out, 0, control), torch.full((4,), bias))
    others = [i for i in range(out.logits[0].shape[1]) if i != control.think_id]
    assert torch.equal(out.scores[0][:, others], out.logits[0][:, others])
    assert len(out.scores) == 5
    assert all(torch.equal(out.scores[step], out.logits[step]) for step in range(1, 5))


def test_p_think_is_shifted_as_ask_says(tokenizer: PreTrainedTokenizerFast) -> None:
    control = ControlTokens.of(tokenizer)
    out = generate(tokenizer, ThinkBiasLogitsProcessor(control.think_id, 0.7))
    margins = out.scores[0][:, control.think_id] - out.scores[0][:, control.short_id]
    for prompt, margin in zip(PROMPTS, margins, strict=True):
        free = torch.tensor(think_probability(MODEL, tokenizer, prompt))
        assert margin.item() == pytest.approx((free.logit() + 0.7).item(), abs=1e-4)  # float32
        reply = ask(
            MODEL,
            prompt,
            sampler=ScriptedSampler(tokenizer, lambda *_: "<short>3"),
            tokenizer=tokenizer,
            mode=EvalMode.AUTO,
            think_bias=0.7,
            temperature=0.6,
            max_new_tokens=8,
            seed=0,
        )
        assert margin.sigmoid().item() == pytest.approx(reply.p_think, abs=1e-5)  # float32


def test_the_bias_comes_before_the_temperature(tokenizer: PreTrainedTokenizerFast) -> None:
    control = ControlTokens.of(tokenizer)
    out = generate(tokenizer, ThinkBiasLogitsProcessor(control.think_id, 3.0), temperature=0.5)
    out.scores = tuple(rows_BV * 0.5 for rows_BV in out.scores)
    torch.testing.assert_close(shift(out, 0, control), torch.full((4,), 3.0))


def test_a_large_bias_decides_the_mode(tokenizer: PreTrainedTokenizerFast) -> None:
    control = ControlTokens.of(tokenizer)
    out = generate(tokenizer, ThinkBiasLogitsProcessor(control.think_id, 1e4))
    length = out.sequences.shape[1] - len(out.scores)
    assert out.sequences[:, length].tolist() == [control.think_id] * 4
    assert (out.sequences[:, length + 1 :] != control.think_id).any()


def test_one_processor_serves_calls_one_after_another_even_where_a_conversation_goes_on(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    control = ControlTokens.of(tokenizer)
    processor = ThinkBiasLogitsProcessor(control.think_id, 1.0)
    for prompts in (PROMPTS, PROMPTS, PROMPTS[:1], PROMPTS[1:2]):
        out = generate(tokenizer, processor, *prompts)
        torch.testing.assert_close(shift(out, 0, control), torch.ones(len(prompts)))
    turn = generate(tokenizer, processor, PROMPTS[0]).sequences
    longer = torch.cat([turn, turn[:, :2]], dim=1)  # the first turn, and the next question behind it
    assert not torch.equal(processor(longer, torch.zeros(1, 8)), torch.zeros(1, 8))
    assert torch.equal(processor(torch.cat([longer, turn[:, :1]], dim=1), torch.zeros(1, 8)), torch.zeros(1, 8))


class Watched(ThinkBiasLogitsProcessor):
    """Remembers at which steps it changed something."""

    def __init__(self, think_id: int, bias: float) -> None:
        super().__init__(think_id, bias)
        self.changed: list[bool] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Biased, and written down."""
        after = super().__call__(input_ids, scores)
        self.changed.append(not torch.equal(after, scores))
        return after


def test_several_completions_of_a_prompt_and_beams_are_biased_once_each(tokenizer: PreTrainedTokenizerFast) -> None:
    for settings in ({"num_return_sequences": 3}, {"num_beams": 3, "do_sample": False}):
        processor = Watched(ControlTokens.of(tokenizer).think_id, 1.0)
        generate(tokenizer, processor, **settings)
        assert processor.changed == [True, False, False, False, False]


@pytest.mark.parametrize("bias", ["nan", "inf", "-inf"])
def test_a_bias_that_is_no_number_is_refused(bias: str) -> None:
    with pytest.raises(ValueError, match=f"think bias is {bias}, expected a number"):
        ThinkBiasLogitsProcessor(6, float(bias))
