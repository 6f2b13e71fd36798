"""What a language model wrote, however it returns its thoughts, becomes one body, or is dropped with a reason."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from transformers import PreTrainedTokenizerFast

from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from thinkless_core.teachers.reasoning import Written, as_reply
from thinkless_core.teachers.reply import TeacherReply, UnusableReply

THINK, SHORT = Mode.THINK, Mode.SHORT
STOP, LENGTH = FinishReason.STOP, FinishReason.LENGTH


class Case(NamedTuple):
    """Content and reasoning as they came, and the body or, in angle-free words, the reason of the drop."""

    mode: Mode
    content: str
    reasoning: str
    finish: FinishReason
    body: str | None = None
    dropped: str | None = None


CASES = {
    "a field of its own": Case(THINK, "so 3", "1+2", STOP, "1+2</think>so 3"),
    "white space is the model's": Case(THINK, "\n\nso 3\n", "\n1+2\n", STOP, "\n1+2\n</think>\n\nso 3"),
    "tags in the content": Case(THINK, "<think>1+2</think>so 3", "", STOP, "1+2</think>so 3"),
    "tags after white space": Case(THINK, "\n <think>\n1+2</think> 3", "", STOP, "\n1+2</think> 3"),
    "opened by the template": Case(THINK, "1+2</think>so 3", "", STOP, "1+2</think>so 3"),
    "both ways": Case(THINK, "<think>1+2</think>so 3", "1+2", STOP, "1+2</think>so 3"),
    "both ways, the second half open": Case(THINK, "1+2</think>so 3", "1+2", STOP, "1+2</think>so 3"),
    "tags inside the field": Case(THINK, "so 3", "<think>1+2</think>", STOP, "1+2</think>so 3"),
    "cut in the field": Case(THINK, "", "1+", LENGTH, "1+"),
    "cut in the answer": Case(THINK, "so", "1+2", LENGTH, "1+2</think>so"),
    "cut inside tags": Case(THINK, "<think>1+", "", LENGTH, "1+"),
    "cut in a thought the template opened": Case(THINK, "1+", "", LENGTH, "1+"),
    "cut after tags": Case(THINK, "<think>1+2</think>so", "", LENGTH, "1+2</think>so"),
    "no thought": Case(THINK, "so 3", "", STOP, dropped="no_reasoning"),
    "an empty thought": Case(THINK, "<think>\n\n</think>\n\n3", "", STOP, dropped="no_reasoning"),
    "an empty thought, cut": Case(THINK, "<think>\n\n</think>\n\nso", "", LENGTH, dropped="no_reasoning"),
    "a thought without end": Case(THINK, "<think>1+2=3", "", STOP, dropped="reasoning_not_ended"),
    "two ends": Case(THINK, "<think>1</think>2</think>3", "", STOP, dropped="reasoning_ended_twice"),
    "a thought in an answer": Case(THINK, "3<think>", "1+2", STOP, dropped="special_token_inside"),
    "the other mode's token": Case(THINK, "<short>3", "1+2", STOP, dropped="special_token_inside"),
    "no answer after the thought": Case(THINK, "", "1+2", STOP, dropped="no_answer"),
    "nothing": Case(THINK, "", "", STOP, dropped="empty"),
    "nothing, cut": Case(THINK, " ", "\n", LENGTH, dropped="empty"),
    "invisible": Case(THINK, "\u200b\ufeff", "", STOP, dropped="empty"),
    "short": Case(SHORT, " so 3\n", "", STOP, "so 3"),
    "short by its token": Case(SHORT, "<short>3", "", STOP, "3"),
    "short, cut": Case(SHORT, "so", "", LENGTH, "so"),
    "short after an empty thought": Case(SHORT, "<think>\n\n</think>\n\n3", "", STOP, "3"),
    "short after an empty field": Case(SHORT, "3", "\n\n", STOP, "3"),
    "short after a thought": Case(SHORT, "3", "1+2", STOP, dropped="short_reasoned"),
    "short after a thought in tags": Case(SHORT, "<think>1+2</think>3", "", STOP, dropped="short_reasoned"),
    "short, cut in a thought": Case(SHORT, "<think>1+", "", LENGTH, dropped="short_reasoned"),
    "short and empty": Case(SHORT, "", "", STOP, dropped="empty"),
    "short without a value": Case(SHORT, "\\boxed{}", "", STOP, dropped="no_answer"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_thought_is_joined_once_however_it_came(tokenizer: PreTrainedTokenizerFast, name: str) -> None:
    case = CASES[name]
    written = Written(case.content, case.reasoning, case.finish, num_tokens=7)
    reply = as_reply(written, mode=case.mode, max_tokens=64, tokenizer=tokenizer)
    if case.dropped is not None:
        assert isinstance(reply, UnusableReply)
        assert reply.reason == case.dropped
        assert case.content in reply.text
    else:
        assert reply == TeacherReply(case.body or "", case.finish, 7, case.mode)


def test_a_spelt_out_end_token_of_the_student_is_no_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    written = Written(f"3{tokenizer.eos_token}", "", STOP, num_tokens=2)
    reply = as_reply(written, mode=SHORT, max_tokens=64, tokenizer=tokenizer)
    assert isinstance(reply, UnusableReply)
    assert reply.reason == "special_token_inside"


def test_tokens_are_the_students_where_the_model_does_not_count(tokenizer: PreTrainedTokenizerFast) -> None:
    finished = as_reply(Written("34", "", STOP, None), mode=SHORT, max_tokens=8, tokenizer=tokenizer)
    cut = as_reply(Written("34", "", LENGTH, None), mode=SHORT, max_tokens=8, tokenizer=tokenizer)
    assert (finished, cut) == (TeacherReply("34", STOP, 4, SHORT), TeacherReply("34", LENGTH, 3, SHORT))


@pytest.mark.parametrize("num_tokens", [None, 9])
def test_an_answer_over_the_limit_is_cut_and_marked_truncated(
    tokenizer: PreTrainedTokenizerFast, num_tokens: int | None
) -> None:
    written = Written("4</think>5", "1+2+3", STOP, num_tokens)
    for limit, body in ((5, "1+2+"), (6, "1+2+3"), (7, "1+2+3</think>")):
        reply = as_reply(written._replace(content="5"), mode=THINK, max_tokens=limit, tokenizer=tokenizer)
        assert reply == TeacherReply(body, LENGTH, limit, THINK)


def test_a_models_own_count_over_the_limit_marks_an_answer_that_is_short_for_the_student(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    reply = as_reply(Written("34", "", STOP, num_tokens=9), mode=SHORT, max_tokens=8, tokenizer=tokenizer)
    assert reply == TeacherReply("34", LENGTH, 3, SHORT)
