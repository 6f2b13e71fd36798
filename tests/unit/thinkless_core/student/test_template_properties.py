"""Whatever a text, a role or an argument says, a repaired template asks for an answer with its plain header.

Inputs are drawn at random, with fixed seeds, over templates of every form (tests/cases/template_forms.py).
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from tests.cases.template_forms import FORMS
from tests.unit.thinkless_core.student.trained_tokenizers import byte_level
from thinkless_core.student.chat_template import faults, repair_template
from thinkless_core.student.control_tokens import add_control_tokens

WORDS = (
    "2+2?", "/no_think", "/think", "off", "<think>", "</think>", "<short>", "[THINK]", "<reasoning>", "<|im_end|>",
    "</s>", "assistant:", "\n", " ", "\ue000", "\ue001\ue001", "\ue002", "\ue0000\ue002", "\\ue001", "{{ x }}",
    "{% endmacro %}", '"', "CALL", "",
)  # fmt: skip
NAMES = ("enable_thinking", "thinking", "reasoning_effort", "open", "ns", "spot", "mark", "texts")
VALUES: tuple[Any, ...] = (True, False, None, "high", "none", "<think>")
CALLS = [{"id": "call00001", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    """Byte-level, with control tokens."""
    made = byte_level()
    add_control_tokens(made)
    return made


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerBase) -> str:
    """The name of a form; the tokenizer has its repaired template."""
    name: str = request.param
    repaired = repair_template(tokenizer, FORMS[name].template)
    assert (repaired.text == FORMS[name].template) is not bool(repaired.repairs)
    tokenizer.chat_template = repaired.text
    return name


def text_of(rng: random.Random, *, least: int = 0) -> str:
    """Words that a template could look for, some of which would break a careless placeholder."""
    return "".join(rng.choice(WORDS) for _ in range(rng.randint(least, 5))) + ("x" if least else "")


def rendered(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], *, generate: bool, **names: Any
) -> str:
    """A conversation in plain transformers."""
    return str(tokenizer.apply_chat_template(messages, add_generation_prompt=generate, tokenize=False, **names))


def drawn(rng: random.Random) -> list[dict[str, Any]]:
    """A conversation that ends with a user's text: system message or none, answers, calls of tools."""
    messages = [{"role": "system", "content": text_of(rng, least=1)}] if rng.random() < 0.5 else []
    for _ in range(rng.randint(0, 3)):
        messages += [
            {"role": "user", "content": text_of(rng, least=1)},
            {"role": "assistant", "content": text_of(rng, least=1)},
        ]
    return [*messages, {"role": "user", "content": text_of(rng)}]


@pytest.mark.parametrize("seed", range(12))
def test_the_generation_prompt_is_the_plain_header_whatever_is_said(
    form: str, tokenizer: PreTrainedTokenizerBase, seed: int
) -> None:
    rng = random.Random(f"prompt-{seed}")
    messages, arguments = drawn(rng), {rng.choice(NAMES): rng.choice(VALUES) for _ in range(3)}
    written = rendered(tokenizer, messages, generate=True, **arguments)
    asked = messages[-1]["content"].strip() if FORMS[form].trims else messages[-1]["content"]
    assert written.endswith(asked + FORMS[form].opening)
    assert written == rendered(tokenizer, messages, generate=True), "arguments change nothing"
    parts = [dict(m, content=[{"type": "text", "text": m["content"]}]) for m in messages]
    assert "thinkless_inner" not in tokenizer.chat_template or written == rendered(tokenizer, parts, generate=True)


@pytest.mark.parametrize("seed", range(12))
def test_prompt_and_answer_begin_the_conversation_and_one_end_token_follows(
    form: str, tokenizer: PreTrainedTokenizerBase, seed: int
) -> None:
    rng = random.Random(f"answer-{seed}")
    messages, answer = drawn(rng), rng.choice(("<think>\n", "<short>")) + text_of(rng) + "7 "
    whole = [*messages, {"role": "assistant", "content": answer}]
    prompt, written = (rendered(tokenizer, shown, generate=shown is messages) for shown in (messages, whole))
    end = str(tokenizer.eos_token)
    assert written.startswith(prompt + answer + end)
    assert written.removeprefix(prompt + answer + end).strip() == "", "one end token, and nothing more"
    further = rendered(tokenizer, [*whole, {"role": "user", "content": "R"}], generate=True)
    assert further.startswith(prompt + answer + end)
    assert not further.removeprefix(prompt + answer + end).lstrip().startswith((end, "</s>"))


@pytest.mark.parametrize("seed", range(8))
def test_texts_are_written_and_change_nothing_else(form: str, tokenizer: PreTrainedTokenizerBase, seed: int) -> None:
    """A conversation of the same shape with other texts is the same but for these texts."""
    rng = random.Random(f"texts-{seed}")
    messages = drawn(rng)
    messages[-1]["content"] += "y"
    plain = [dict(message, content=f"@{i}@") for i, message in enumerate(messages)]
    expected = rendered(tokenizer, plain, generate=True)
    for i, message in reversed(list(enumerate(messages))):
        trims = FORMS[form].trims and message["role"] != "assistant"
        before, spot, after = expected.partition(f"@{i}@")
        assert spot
        expected = before + (message["content"].strip() if trims else message["content"]) + after
    assert rendered(tokenizer, messages, generate=True) == expected


def test_a_message_that_calls_a_tool_or_says_nothing_stays_as_the_template_writes_it(
    form: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    original = FORMS[form].template
    if form in ("masks", "parts only", "switch that changes history"):
        pytest.skip("the form itself writes such a message by what it must not see")
    for message in ({"content": "", "tool_calls": CALLS}, {"content": ""}, {"content": "Wait", "tool_calls": CALLS}):
        messages = [{"role": "user", "content": "Q"}, {"role": "assistant", **message}]
        asked = tokenizer.apply_chat_template(messages, chat_template=original, tokenize=False)
        assert rendered(tokenizer, messages, generate=False) == asked


def test_once_is_enough(form: str, tokenizer: PreTrainedTokenizerBase) -> None:
    assert faults(tokenizer, tokenizer.chat_template) == ()
    assert repair_template(tokenizer, tokenizer.chat_template).repairs == ()


def test_masks_cover_the_answers_and_their_end_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.chat_template = repair_template(tokenizer, FORMS["masks"].template).text
    answers = ("<think>\na b\n</think>\n\n7", "<short>8")
    messages = [
        {"role": role, "content": content}
        for answer in answers
        for role, content in (("user", "Q <think>"), ("assistant", answer))
    ]
    made = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    masked = [i for i, mask in zip(made["input_ids"], made["assistant_masks"], strict=True) if mask]
    assert tokenizer.decode(masked) == "".join(answer + "<|im_end|>" for answer in answers)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
def test_thoughts_outside_of_content_and_parts_that_are_no_text_are_refused(
    tokenizer: PreTrainedTokenizerBase, field: str
) -> None:
    tokenizer.chat_template = repair_template(tokenizer, FORMS["tag"].template).text
    user, answer = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "7"}
    assert rendered(tokenizer, [user, answer | {field: None}], generate=False)
    with pytest.raises(Exception, match="an answer holds its thoughts in content"):
        rendered(tokenizer, [user, answer | {field: "6 + 1"}], generate=False)
    with pytest.raises(Exception, match="a text or a list of parts of type text"):
        rendered(tokenizer, [user | {"content": [{"type": "image", "url": "x"}]}], generate=False)
