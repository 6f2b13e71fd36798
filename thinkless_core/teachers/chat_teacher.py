"""The teacher behind an OpenAI-compatible chat endpoint: what it is asked, and what its replies come to.

problem -> ChatRequest (payload, seed) -> ChatService -> ChatReply -> TeacherReply | UnusableReply
Who connects, waits, retries and remembers replies is the service's business (infra/endpoints/chat_endpoint.py).
Source: https://platform.openai.com/docs/api-reference/chat; `seed` as in vLLM's OpenAI-compatible server.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from schemas.chat import ChatReply, ChatRequest
from schemas.configs.teach import OpenAITeacher, SampledTeacher
from schemas.configs.teacher import TeacherTools
from schemas.errors import TeacherError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.seeding import derive_seed
from thinkless_core.teachers.reasoning import Written, as_reply
from thinkless_core.teachers.reply import TeacherReply, UnusableReply

SEED_BITS = 31
"""Endpoints read seeds as signed numbers of 32 bits, if not of 64."""

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
}


class ChatTeacher:
    """A model behind a chat endpoint."""

    def __init__(self, config: OpenAITeacher, tools: TeacherTools) -> None:
        assert tools.connect is not None, "a teacher behind an endpoint needs somebody who connects"
        self.config = config
        self._tokenizer = tools.tokenizer
        self._service = tools.connect(config)

    @property
    def name(self) -> str:
        """The kind and the model's name."""
        return f"openai:{self.config.model}"

    def answer(
        self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int
    ) -> list[TeacherReply | UnusableReply]:
        """See Teacher.answer; a reply that the endpoint ended for another reason than its end or the limit is none."""
        requests = [self.request(problem, mode=mode, max_tokens=max_tokens, seed=seed) for problem in problems]
        replies = self._service.complete(requests)
        return [self._as_reply(reply, mode=mode, max_tokens=max_tokens) for reply in replies]

    def close(self) -> None:
        """Holds nothing; connections last as long as one call."""

    def request(self, problem: Problem, *, mode: Mode, max_tokens: int, seed: int) -> ChatRequest:
        """What is asked about one problem."""
        config, request_seed = self.config, request_seed_of(problem, mode=mode, seed=seed)
        payload: dict[str, JsonValue] = {
            "model": config.model,
            "messages": [{"role": "user", "content": user_turn(problem, config)}],
            config.limit_field: max_tokens,
            **config.extra_body,
        }
        if config.temperature is not None:
            payload["temperature"] = config.temperature
        if config.top_p is not None:
            payload["top_p"] = config.top_p
        if config.send_seed:
            payload["seed"] = request_seed
        return ChatRequest(problem.problem_id, payload, request_seed)

    def _as_reply(self, reply: ChatReply, *, mode: Mode, max_tokens: int) -> TeacherReply | UnusableReply:
        finish_reason = _FINISH_REASONS.get(reply.finish_reason)
        if finish_reason is None:
            return UnusableReply(reply.finish_reason, reply.reasoning + reply.content)
        written = Written(reply.content, reply.reasoning, finish_reason, reply.num_tokens)
        return as_reply(written, mode=mode, max_tokens=max_tokens, tokenizer=self._tokenizer)


def user_turn(problem: Problem, config: SampledTeacher) -> str:
    """The problem as its teacher reads it: the question without the student's instruction, with the teacher's."""
    return f"{problem.question}\n\n{config.instruction}" if config.instruction else problem.question


def over_context(
    problem: Problem,
    *,
    mode: Mode,
    num_prompt: int,
    max_tokens: int,
    context: int,
    model: str,
    settings: str = "",
) -> TeacherError:
    """A prompt and an answer at its limit that are longer than what the model reads; `settings` can be changed too."""
    return TeacherError(
        f"problem {problem.problem_id}: its prompt has {num_prompt} tokens, and {max_tokens} of answer pass the "
        f"{context} that {model} can read; lower teach.{mode}.max_tokens{settings}, or take a teacher with a longer "
        "context"
    )


def request_seed_of(problem: Problem, *, mode: Mode, seed: int) -> int:
    """The seed of one answer, whatever is asked beside it."""
    return derive_seed("teacher", seed, mode, problem.problem_id) % (1 << SEED_BITS)
