"""The think bias inside vLLM: exactly so much on the think logit of the first token, and nothing after it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from infra.processes.vllm_environment import run_engine_in_this_process
from tests.vllm.conftest import CONFIG
from thinkless_core.sampling.vllm_engine import end_engine, engine_arguments, failures
from thinkless_core.sampling.vllm_think_bias import ThinkBias
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.model_files import load_model
from thinkless_core.student.rendering import render_prompt

PROMPTS = ("11+22=?", "37+48*12=?", "5*5=?")


@pytest.fixture(scope="module")
def llm(warmed_up: Path) -> Iterator[Any]:
    """The offline engine with the processor."""
    import vllm

    run_engine_in_this_process()
    arguments = engine_arguments(CONFIG, warmed_up) | {"max_logprobs": 1000}
    arguments |= {"logits_processors": [ThinkBias]}
    engine = vllm.LLM(**arguments)
    yield engine
    end_engine(engine, began_group=True)


def first_two(
    llm: Any, tokenizer: PreTrainedTokenizerFast, biases: list[float | None], *, prompts: tuple[str, ...] = PROMPTS
) -> list[list[torch.Tensor]]:
    """Log-probabilities of all tokens at the first two places, for every prompt under every bias, in one batch."""
    import vllm

    num_tokens = llm.llm_engine.vllm_config.model_config.get_vocab_size()
    asked, params = [], []
    for prompt in prompts:
        for bias in biases:
            asked.append({"prompt_token_ids": list(render_prompt(tokenizer, prompt))})
            extra = {} if bias is None else {"extra_args": {"think_bias": bias}}
            params.append(
                vllm.SamplingParams(
                    temperature=1.0, max_tokens=2, seed=1, logprobs=num_tokens, detokenize=False, **extra
                )
            )
    found = []
    for output in llm.generate(asked, params, use_tqdm=False):
        places = []
        for at in output.outputs[0].logprobs:
            logprobs_V = torch.full((num_tokens,), -math.inf)
            for token, told in at.items():
                logprobs_V[token] = told.logprob
            places.append(logprobs_V)
        found.append([torch.tensor(list(output.outputs[0].token_ids)), *places])
    return found


def test_the_odds_of_thinking_change_by_exactly_the_bias(llm: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    control, biases = ControlTokens.of(tokenizer), [None, 0.0, 1.5, -2.25]
    found = first_two(llm, tokenizer, biases)
    for place in range(len(PROMPTS)):
        free, zero, more, less = (first for _, first, *_ in found[place * 4 : place * 4 + 4])
        assert torch.equal(free, zero)
        odds = [float(x[control.think_id] - x[control.short_id]) for x in (free, more, less)]
        assert odds[1] - odds[0] == pytest.approx(1.5, abs=1e-4)
        assert odds[2] - odds[0] == pytest.approx(-2.25, abs=1e-4)
        others = [i for i in range(len(free)) if i != control.think_id and free[i] > -20]
        for biased in (more, less):  # among the other tokens nothing changes but the share of all of them
            torch.testing.assert_close(biased[others].softmax(0), free[others].softmax(0), atol=1e-5, rtol=1e-4)


def test_nothing_after_the_first_token_is_biased(llm: Any, warmed_up: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    model, control = load_model(warmed_up).eval(), ControlTokens.of(tokenizer)
    for prompt, (ids, _, second) in zip(PROMPTS, first_two(llm, tokenizer, [40.0]), strict=True):
        assert int(ids[0]) == control.think_id
        with torch.no_grad():
            expected = model(torch.tensor([[*render_prompt(tokenizer, prompt), control.think_id]])).logits[0, -1]
        likely = expected.log_softmax(-1) > -12
        torch.testing.assert_close(
            second[: len(expected)][likely], expected.log_softmax(-1)[likely], atol=1e-3, rtol=1e-4
        )


def test_many_requests_with_biases_of_their_own_are_not_mixed_up(llm: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    """More than fit side by side, so that requests come, go and move while others wait."""
    import vllm

    control, num = ControlTokens.of(tokenizer), 3 * CONFIG.max_num_seqs
    wanted = [40.0 if i % 3 == 0 else -40.0 for i in range(num)]
    asked = [{"prompt_token_ids": list(render_prompt(tokenizer, PROMPTS[i % 3]))} for i in range(num)]
    params = [
        vllm.SamplingParams(max_tokens=1 + i % 5, seed=i, detokenize=False, extra_args={"think_bias": bias})
        for i, bias in enumerate(wanted)
    ]
    outputs = llm.generate(asked, params, use_tqdm=False)
    thinks = [output.outputs[0].token_ids[0] == control.think_id for output in outputs]
    assert thinks == [bias > 0 for bias in wanted]


@pytest.mark.parametrize("bias", ["much", math.nan, True, [1]])
def test_a_bias_that_is_no_number_fails_its_request_alone(
    llm: Any, tokenizer: PreTrainedTokenizerFast, bias: object
) -> None:
    import vllm

    asked = [{"prompt_token_ids": list(render_prompt(tokenizer, "1+1=?"))}]
    params = vllm.SamplingParams(max_tokens=1, detokenize=False, extra_args={"think_bias": bias})
    with pytest.raises(failures(), match="think_bias must be a finite number"):
        llm.generate(asked, params, use_tqdm=False)
    assert llm.generate(asked, vllm.SamplingParams(max_tokens=1, detokenize=False), use_tqdm=False)
