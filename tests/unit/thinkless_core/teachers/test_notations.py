"""Recorded thoughts in every notation found in public data sets and models are told apart, or the notation is named."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from schemas.mode import Mode
from thinkless_core.teachers.notations import in_think_tags, unknown_mark
from thinkless_core.teachers.reasoning import as_recorded, as_reply
from thinkless_core.teachers.reply import TeacherReply, UnusableReply

TOLD_APART = {
    "R1": "<think>\n1+2\n</think>\n\nSo 3",
    "opened by the prompt": "1+2\n</think>\n\nSo 3",
    "R1-Zero": "<think>1+2</think> <answer>So 3</answer>",
    "OpenThoughts, Sky-T1, Bespoke-Stratos": (
        "<|begin_of_thought|>\n\n1+2\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\nSo 3\n\n<|end_of_solution|>"
    ),
    "the same, cut off behind": "<|begin_of_thought|>1+2<|end_of_thought|><|begin_of_solution|>So 3",
    "thinking": "<thinking>1+2</thinking>So 3",
    "Reflection": "<thinking>\n1+2\n</thinking>\n<output>\nSo 3\n</output>",
    "Open-O1, Marco-o1": "<Thought>\n1+2\n</Thought>\n<Output>\nSo 3\n</Output>",
    "EXAONE": "<thought>\n1+2\n</thought>\n\nSo 3",
    "GRPO notebooks": "<reasoning>\n1+2\n</reasoning>\n<answer>\nSo 3\n</answer>\n",
    "Magistral": "[THINK]1+2[/THINK]So 3",
    "Magistral, opened by the prompt": "1+2[/THINK]So 3",
    "Cohere": "<|START_THINKING|>1+2<|END_THINKING|><|START_RESPONSE|>So 3<|END_RESPONSE|>",
    "Kimi": "\u25c1think\u25b71+2\u25c1/think\u25b7So 3",
    "Seed": "<seed:think>1+2</seed:think>So 3",
    "MiniCPM and others": "<|think|>1+2<|/think|>So 3",
    "ERNIE": "<think>\n1+2\n</think>\n\n<response>\nSo 3\n</response>\n",
    "gpt-oss": "<|channel|>analysis<|message|>1+2<|end|><|start|>assistant<|channel|>final<|message|>So 3<|return|>",
    "gpt-oss, special tokens skipped": "analysis1+2assistantfinalSo 3",
    "Gemma": "<|channel>thought\n1+2<channel|>So 3",
    "HuatuoGPT": "## Thinking\n\n1+2\n\n## Final Response\n\nSo 3",
    "Granite": "Here is my thought process:\n\n1+2\n\nHere is my response:\n\nSo 3",
    "Apriel": "Here are my reasoning steps:\n1+2\n[BEGIN FINAL RESPONSE]\nSo 3\n[END FINAL RESPONSE]\n<|end|>",
    "scratchpad": "<scratchpad>1+2</scratchpad>So 3",
}


@pytest.mark.parametrize("name", TOLD_APART)
def test_thought_and_answer_are_told_apart(name: str, tokenizer: PreTrainedTokenizerFast) -> None:
    written = as_recorded(TOLD_APART[name], "", finished=True)
    think = as_reply(written, mode=Mode.THINK, max_tokens=200, tokenizer=tokenizer)
    assert isinstance(think, TeacherReply), think
    assert think.text == "1+2</think>So 3"
    short = as_reply(written, mode=Mode.SHORT, max_tokens=200, tokenizer=tokenizer)
    assert isinstance(short, UnusableReply), "what was thought about is no short answer, in whatever marks"
    assert short.reason == "short_reasoned"


NOT_TOLD_APART = {
    "an unknown tag": ("<ponder>1+2</ponder>3", "unknown_notation:<ponder>"),
    "our own token of the other mode": ("<short>3", "no_reasoning"),
    "unknown special tokens": ("<|open|>think<|sep|>1+2<|close|>3", "unknown_notation:<|open|>"),
    "unknown brackets": ("[INNER VOICE]1+2[OUTER VOICE]3", "unknown_notation:[INNER VOICE]"),
    "no thought": ("3", "no_reasoning"),
    "an answer in tags": ("<answer>3</answer>", "no_reasoning"),
    "mathematics in angles": ("a < b and b > 3, so 3", "no_reasoning"),
    "an empty thought": ("[THINK] [/THINK]3", "no_reasoning"),
    "a thought without end": ("<|begin_of_thought|>1+2", "reasoning_not_ended"),
    "channels without an answer": ("<|channel|>analysis<|message|>1+2", "reasoning_not_ended"),
    "two ends": ("<reasoning>1</reasoning>2</reasoning>3", "reasoning_ended_twice"),
    "the end of another notation": ("<think>1+2[/THINK]3", "reasoning_not_ended"),
    "half a character": ("<think>1\ud8352</think>3", "broken_text"),
    "nothing": (" ", "empty"),
}


@pytest.mark.parametrize("name", NOT_TOLD_APART)
def test_what_cannot_be_told_apart_is_dropped_with_its_true_reason(
    name: str, tokenizer: PreTrainedTokenizerFast
) -> None:
    text, reason = NOT_TOLD_APART[name]
    reply = as_reply(as_recorded(text, "", finished=True), mode=Mode.THINK, max_tokens=200, tokenizer=tokenizer)
    assert isinstance(reply, UnusableReply), reply
    assert reply.reason == reason


@pytest.mark.parametrize(
    "text",
    [
        "3",
        "<think>1</think>3",
        "1</think>3",
        "So <reasoning> is a tag",
        "analysis shows 3",
        "## Thinking\nnever ends",
        "\\boxed{[thought]}",
        "<answer>3</answer>",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert in_think_tags(text) == text


def test_only_a_mark_in_front_is_unknown() -> None:
    assert unknown_mark(" <plan>x</plan>") == "<plan>"
    assert unknown_mark("x <plan>") is None
    assert unknown_mark("<think>x") is None
    assert unknown_mark("[1, 2]") is None
