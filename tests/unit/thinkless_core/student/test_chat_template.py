"""Chat templates: those with a trap are repaired, the others kept, and all of them work in plain transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import TemplateError
from tokenizers import AddedToken
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from schemas.errors import ConfigError
from tests.cases.chat_templates import ASSISTANT, GENERATE, PLAIN_TURN, TRAPS
from tests.unit.thinkless_core.student.trained_tokenizers import KINDS, byte_level
from thinkless_core.student.chat_template import TOOL, RepairedTemplate, end_token_of, faults, repair_template
from thinkless_core.student.control_tokens import CONTROL_TEXTS, add_control_tokens
from thinkless_core.student.named_templates import repair_templates
from thinkless_core.student.rendering import render_completion, render_prompt

THOUGHT = "<think>\nStep </think> by step, \n\n</think>\n\n 7 \n"
ANSWERS = (THOUGHT, "<short>7", "<short>\n", "<think>never done")


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    """One of every kind, with control tokens."""
    made: PreTrainedTokenizerBase = request.param()
    add_control_tokens(made)
    return made


def plain(tokenizer: PreTrainedTokenizerBase, *contents: str, generate: bool = False) -> str:
    """A conversation as plain transformers renders it."""
    messages = [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]
    return str(tokenizer.apply_chat_template(messages, add_generation_prompt=generate, tokenize=False))


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_repaired_and_the_saved_template_works_in_plain_transformers(name: str, tmp_path: Path) -> None:
    trap, tokenizer = TRAPS[name], byte_level()
    add_control_tokens(tokenizer)
    assert (trap.repair is None) == (faults(tokenizer, trap.template) == ())
    repaired = repair_template(tokenizer, trap.template)
    if trap.repair is None:
        assert (repaired.text, repaired.repairs) == (trap.template, ())
    else:
        assert trap.repair in ", ".join(repaired.repairs)
    assert faults(tokenizer, repaired.text) == ()
    assert repair_template(tokenizer, repaired.text).repairs == (), "once is enough"
    tokenizer.chat_template = repaired.text
    tokenizer.save_pretrained(tmp_path)
    saved = AutoTokenizer.from_pretrained(tmp_path)
    end = saved.eos_token
    assert plain(saved, "Q", generate=True) == trap.prompt
    for answer in ANSWERS:
        assert plain(saved, "Q", answer).startswith(trap.prompt + answer + end)
        second = plain(saved, "Q", answer, "R", generate=True)
        assert second.startswith(trap.prompt + answer + end)
        assert not any(text in second.rpartition("R")[2] for text in CONTROL_TEXTS)
        assert plain(saved, "Q", answer, "R", THOUGHT).startswith(second + THOUGHT + end)


@pytest.mark.parametrize("name", TRAPS)
def test_prompt_and_completion_have_the_ids_of_the_whole_conversation(
    name: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    changed, template = tokenizer.chat_template, TRAPS[name].template
    end = tokenizer.eos_token
    tokenizer.chat_template = repair_template(tokenizer, template.replace("<|im_end|>", end)).text
    for answer in ANSWERS:
        whole = tokenizer(plain(tokenizer, "1 + 2?", answer), add_special_tokens=False).input_ids
        ids = [*render_prompt(tokenizer, "1 + 2?"), *render_completion(tokenizer, answer, finished=True)]
        assert whole[: len(ids)] == ids
    tokenizer.chat_template = changed


def test_the_templates_of_the_tiny_student_and_of_the_tokenizers_at_hand_stay_as_they_are(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    assert repair_template(tokenizer, tokenizer.chat_template) == RepairedTemplate(tokenizer.chat_template, ())
    assert end_token_of(tokenizer, tokenizer.chat_template) == tokenizer.eos_token


def test_a_wrapped_template_keeps_system_messages_and_answers_that_are_no_text_and_takes_no_arguments() -> None:
    tokenizer = byte_level()
    add_control_tokens(tokenizer)
    turn = PLAIN_TURN.replace("m['content']", "(m['content'] or 'called') | trim")
    template = "{{ extra or '' }}{% for m in messages %}" + turn + "{% endfor %}" + GENERATE
    tokenizer.chat_template = repair_template(tokenizer, template).text
    assert "thinkless_inner" in tokenizer.chat_template
    messages = [
        {"role": "system", "content": " S "},
        {"role": "user", "content": " Q "},
        {"role": "assistant", "content": None},
        {"role": "user", "content": "R"},
    ]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, extra="E")
    start, end = "<|im_start|>", "<|im_end|>\n"
    system, user, called = f"{start}system\nS{end}", f"{start}user\nQ{end}", f"{start}assistant\ncalled{end}"
    assert text == f"{system}{user}{called}{start}user\nR{end}{start}assistant\n"


def test_a_refusal_of_system_messages_stays_a_refusal() -> None:
    tokenizer = byte_level()
    add_control_tokens(tokenizer)
    tokenizer.chat_template = repair_template(tokenizer, TRAPS["the system role is refused"].template).text
    with pytest.raises(TemplateError, match="System role not supported"):
        tokenizer.apply_chat_template([{"role": "system", "content": "S"}], tokenize=False)
    assert plain(tokenizer, "Q", generate=True) == ASSISTANT


def test_the_end_token_is_the_one_the_template_writes() -> None:
    """Base models have a chat template that ends turns otherwise than their tokenizer ends texts."""
    tokenizer = byte_level()
    add_control_tokens(tokenizer)
    tokenizer.eos_token = "</s>"
    assert end_token_of(tokenizer, TRAPS["fine"].template) == "<|im_end|>"
    assert end_token_of(tokenizer, TRAPS["no end token after an answer"].template) == "</s>"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for m in messages %}", r"cannot render a conversation of user: TemplateSyntaxError.*base\.model\.chat_t"),
        ("{{ raise_exception('only tools') }}", r"conversation of user: TemplateError: only tools; write a repaired"),
        ("{{ messages[0].content.nothing() }}", r"conversation of user: UndefinedError"),
        ("no messages at all", r"leaves the user's text out of 'no messages at all'.*set base\.model\.chat_template"),
        (
            "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}",
            r"cannot be repaired: an answer is written as .* expected .*; write a repaired template into a file",
        ),
    ],
)
def test_a_template_beyond_repair_is_refused_with_the_way_out(template: str, message: str) -> None:
    tokenizer = byte_level()
    add_control_tokens(tokenizer)
    with pytest.raises(ConfigError, match=message):
        repair_template(tokenizer, template)


def test_a_tokenizers_own_end_token_is_chosen_among_several_and_one_that_is_not_special_counts() -> None:
    tokenizer = byte_level()
    add_control_tokens(tokenizer)
    tokenizer.add_tokens([AddedToken("<|turn_end|>", special=False, normalized=False)])
    fine = TRAPS["fine"].template
    assert end_token_of(tokenizer, fine.replace("<|im_end|>", "<|turn_end|>")) == "<|turn_end|>"
    assert end_token_of(tokenizer, fine.replace("<|im_end|>", "<|turn_end|><|im_end|>")) == "<|im_end|>"
    assert end_token_of(tokenizer, fine.replace("<|im_end|>", " <|turn_end|>")) == "<|turn_end|>"
    only_between = fine.replace("+ '<|im_end|>\\n'", "+ ('' if loop.last else '<|turn_end|>')")
    assert end_token_of(tokenizer, only_between) == "<|turn_end|>"


def test_named_templates_are_kept_or_their_loss_is_said(tmp_path: Path) -> None:
    tokenizer = byte_level()
    add_control_tokens(tokenizer)
    fine = TRAPS["fine"].template
    tools = "{% for tool in tools %}{{ tool.function.name + '\\n' }}{% endfor %}" + fine.replace(
        "assistant\\n' }}", "assistant\\n<think>' }}"
    )
    tokenizer.chat_template = {"default": fine, "tool_use": tools, "rag": "{{ documents[0].title }}"}
    repaired = repair_templates(tokenizer, tokenizer.chat_template)
    kept, left_out = repaired.repairs
    assert kept.startswith("template 'tool_use' wrapped, because it looks at texts; its generation prompt goes on with")
    assert left_out.startswith("template 'rag' is left out: the chat template ")
    tokenizer.chat_template = repaired.chat_template
    tokenizer.save_pretrained(tmp_path)
    saved = AutoTokenizer.from_pretrained(tmp_path)
    assert plain(saved, "Q", generate=True) == ASSISTANT
    asked = saved.apply_chat_template(
        [{"role": "user", "content": "Q"}], tools=[TOOL], add_generation_prompt=True, tokenize=False
    )
    assert asked == "f\n" + ASSISTANT
    with pytest.raises(ConfigError, match=r"chat templates named rag, tool_use and none named 'default'.*set base\.mo"):
        repair_templates(tokenizer, {"tool_use": tools, "rag": "x"})


def test_markers_that_the_tokenizer_lacks_are_said() -> None:
    tokenizer = byte_level()
    add_control_tokens(tokenizer)
    for marker in ("<|bot|>", "[|end|]"):
        template = TRAPS["fine"].template.replace("<|im_start|>", marker)
        said = repair_templates(tokenizer, template).repairs
        assert len(said) == 1
        assert said[0].startswith(f"it writes {marker} as plain text: this tokenizer has no such token")
    assert repair_templates(tokenizer, TRAPS["fine"].template).repairs == ()
