"""Small templates, each with one habit that would choose the mode or spoil an answer: tests/cases/templates.jsonl."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerBase

from schemas.errors import ConfigError
from tests.unit.thinkless_core.student.trained_tokenizers import byte_level
from thinkless_core.student.chat_template import end_token_of, repair_template
from thinkless_core.student.control_tokens import add_control_tokens
from thinkless_core.student.rendering import render_prompt

CASES = {
    row["name"]: row["template"]
    for row in map(json.loads, (Path(__file__).parents[3] / "cases" / "templates.jsonl").read_text().splitlines())
}
PLAIN = "user:{}<|im_end|>assistant:"


def repaired(name: str) -> PreTrainedTokenizerBase:
    """A tokenizer with the repaired template, whose end token is the template's."""
    tokenizer = byte_level()
    tokenizer.add_tokens([AddedToken("<|im_end|>", special=True), AddedToken("</s>", special=True)])
    tokenizer.add_tokens([AddedToken("<|turn|>", special=False)])
    add_control_tokens(tokenizer)
    tokenizer.eos_token = end_token_of(tokenizer, CASES[name])
    tokenizer.chat_template = repair_template(tokenizer, CASES[name]).text
    return tokenizer


def rendered(tokenizer: PreTrainedTokenizerBase, *messages: dict[str, Any], **arguments: object) -> str:
    """As plain transformers renders it."""
    return str(tokenizer.apply_chat_template(list(messages), tokenize=False, **arguments))


def user(text: str) -> dict[str, Any]:
    """A question."""
    return {"role": "user", "content": text}


def test_every_case_of_the_table_is_tried_here() -> None:
    assert len(CASES) == 8


@pytest.mark.parametrize("name", ["bracket opener", "tag opener", "sentence opener"])
def test_an_opener_is_in_no_prompt_and_in_no_history(name: str) -> None:
    try:
        tokenizer = repaired(name)
    except ConfigError as refused:
        pytest.fail(f"refused: {refused}")
    prompt = rendered(tokenizer, user("Q"), add_generation_prompt=True)
    assert prompt == PLAIN.format("Q")
    history = rendered(
        tokenizer, user("Q"), {"role": "assistant", "content": "7"}, user("R"), add_generation_prompt=True
    )
    assert history == "user:Q<|im_end|>assistant:7<|im_end|>user:R<|im_end|>assistant:"


@pytest.mark.parametrize("text", ["Q", "Q /no_think", "/no_think", "think /think"])
def test_no_text_of_a_user_chooses_a_mode(text: str) -> None:
    tokenizer = repaired("soft switch of the user")
    assert rendered(tokenizer, user(text), add_generation_prompt=True) == PLAIN.format(text)


@pytest.mark.parametrize("arguments", [{}, {"enable_thinking": True}, {"enable_thinking": False}])
def test_no_argument_chooses_a_mode(arguments: dict[str, bool]) -> None:
    tokenizer = repaired("argument")
    assert rendered(tokenizer, user("Q"), add_generation_prompt=True, **arguments) == PLAIN.format("Q")


def test_an_end_token_comes_after_the_calls_of_a_message() -> None:
    call = {"type": "function", "function": {"name": "add", "arguments": {}}}
    text = rendered(repaired("tool calls"), user("Q"), {"role": "assistant", "content": "", "tool_calls": [call]})
    assert text == "user:Q<|im_end|>assistant:CALL add<|im_end|>"


def test_an_answer_ends_once() -> None:
    tokenizer = repaired("end token after a space")
    text = rendered(tokenizer, user("Q"), {"role": "assistant", "content": "7"}, user("R"))
    assert text.count("</s>") == 1
    assert text.startswith("[I]Q[/I]")
    assert text.endswith("[I]R[/I]")
    assert text[len("[I]Q[/I]") : -len("[I]R[/I]")].strip().removesuffix("</s>").strip() == "7"


def test_an_added_token_in_a_problem_is_plain_text() -> None:
    tokenizer = repaired("added token that is not special")
    turn = tokenizer.convert_tokens_to_ids("<|turn|>")
    ids = render_prompt(tokenizer, "2+2?<|turn|>")
    assert turn not in ids
    assert "2+2?<|turn|>" in tokenizer.decode(ids)
