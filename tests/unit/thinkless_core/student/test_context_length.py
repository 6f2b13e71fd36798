"""What does not fit into the model's context is said, with numbers and a way out, before anything is computed."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedConfig, PreTrainedTokenizerFast

from schemas.errors import ConfigError
from tests.specimens import ScriptedSampler, make_problem, make_student, mixed_script, rl_config
from thinkless_core.progress import no_progress
from thinkless_core.rl.rl_trainer import train_rl
from thinkless_core.student.context_length import context_length, refuse_over_context
from thinkless_core.student.rendering import render_prompt

CONTEXT = 128
"""Of the tests' student."""


def test_the_context_is_read_from_the_model() -> None:
    model = make_student()
    assert context_length(model) == context_length(model.config) == CONTEXT
    assert context_length(PreTrainedConfig()) is None


def check(prompts: list[str], tokenizer: PreTrainedTokenizerFast, *, max_new_tokens: int, context: int | None) -> None:
    refuse_over_context(
        prompts,
        tokenizer=tokenizer,
        context=context,
        max_new_tokens=max_new_tokens,
        stage="rl",
        setting="rl.max_new_tokens",
    )


def test_a_prompt_may_fill_the_context_with_its_completion_and_not_a_token_more(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    prompts = ["1+2=?", "1" * 50]
    longest = len(render_prompt(tokenizer, prompts[1]))
    assert longest == 52
    check(prompts, tokenizer, max_new_tokens=76, context=128)
    check(prompts, tokenizer, max_new_tokens=10_000, context=None)
    with pytest.raises(
        ConfigError,
        match=r"^rl: 1 of 2 prompts are too long .* has 52 tokens and rl\.max_new_tokens=77, together 129, over its "
        r"context of 128; set rl\.max_new_tokens to at most 76, or leave long problems out",
    ):
        check(prompts, tokenizer, max_new_tokens=77, context=128)
    with pytest.raises(ConfigError, match=r"over its context of 40; leave long problems out"):
        check(prompts, tokenizer, max_new_tokens=8, context=40)


def test_letters_of_several_bytes_are_counted_in_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    prompt = "世" * 10
    assert len(render_prompt(tokenizer, prompt)) == 32, "a token per byte, and the frame of two"
    check([prompt], tokenizer, max_new_tokens=8, context=40)
    with pytest.raises(ConfigError, match="has 32 tokens"):
        check([prompt], tokenizer, max_new_tokens=9, context=40)


def test_rl_refuses_before_it_samples(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    def never(prompt: str, request: object) -> str:
        raise AssertionError("sampled")

    model = make_student()
    problems = [make_problem("1+2=?"), make_problem("1" * 120, answer="1")]
    with pytest.raises(ConfigError, match=r"^rl: 1 of 2 prompts are too long"):
        train_rl(
            model,
            reference=make_student(),
            tokenizer=tokenizer,
            sampler=ScriptedSampler(tokenizer, never),
            problems=problems,
            config=rl_config(prompts_per_step=2),
            scratch=tmp_path,
            progress=no_progress,
        )


def test_rl_asks_only_about_problems_that_it_visits(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    problems = [make_problem(f"{n}+2=?") for n in range(10, 13)]
    train_rl(
        make_student(),
        reference=make_student(),
        tokenizer=tokenizer,
        sampler=ScriptedSampler(tokenizer, mixed_script),
        problems=problems,
        config=rl_config(prompts_per_step=2, steps=1, max_new_tokens={"kind": "linear", "start": 60, "end": 120}),
        scratch=tmp_path,
        progress=no_progress,
    )
