"""Asks an OpenAI-compatible chat endpoint; an answer that was stored is not asked for again.

requests -> replay cache -> the rest side by side, at most `concurrency` -> retries with backoff -> cache -> replies

An overloaded endpoint is asked again: exponential backoff with jitter on 429, 5xx, timeouts, cut connections and
unreadable answers; a Retry-After holds back all requests, not only the one it came with. A request that waits still
counts towards `concurrency`, so that a server in trouble gets fewer requests. After a failure that waiting does not
mend no new request is started; those under way end and their replies are kept, because they are paid for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import httpx
from pydantic import JsonValue

from infra.endpoints.api_key import ApiKey
from infra.endpoints.chat_response import Answer, Refusal, TryAgainError, read_reply, read_response
from infra.endpoints.replay_cache import ReplayCache
from schemas.chat import REFUSED, ChatReply, ChatRequest
from schemas.configs.teach import OpenAITeacher
from schemas.errors import TeacherError, Terminal, ThinklessError, Transient

CONNECT_SECONDS = 20.0
UNMET_RETRIES = 2
"""Retries of a refused connection, as long as the endpoint has never answered this teacher."""

Jitter = Callable[[str, int], float]
"""(problem id, try) -> a number in [0, 1)."""


@dataclass
class ChatEndpoint:
    """One endpoint, as a teacher's configuration describes it (schemas.chat.ChatService)."""

    config: OpenAITeacher
    cache: ReplayCache
    jitter: Jitter
    on_reply: Callable[[bool], None] = lambda replayed: None
    """Called for each reply with whether it came from the cache."""
    has_answered: bool = False
    """Whether anything ever came back."""

    def complete(self, requests: Sequence[ChatRequest]) -> list[ChatReply]:
        """One reply per request, in order.

        Raises TeacherError if the endpoint is down, refuses the key or a request, or answers nothing that can be
        read; Transient if it stays overloaded after all retries. Every reply that came is kept all the same.
        """
        replies: dict[int, ChatReply] = {}
        for place, request in enumerate(requests):
            kept = self.cache.find(request, address=self.config.base_url)
            if kept is not None:
                with suppress(TryAgainError):  # unreadable: asked for again
                    replies[place] = read_reply(kept)
                    self.on_reply(True)
        waiting = {place: request for place, request in enumerate(requests) if place not in replies}
        if waiting:
            variable = self.config.api_key_env
            key = ApiKey.from_environment(variable) if variable else None
            replies |= _run(_Conversation(self, key).ask(waiting))
        return [replies[place] for place in range(len(requests))]


class _AbandonedError(Exception):
    """A request that was not tried again, because another one has ended the conversation."""


class _Conversation:
    """The requests of one call, side by side."""

    def __init__(self, endpoint: ChatEndpoint, key: ApiKey | None) -> None:
        self._endpoint, self._config, self._key = endpoint, endpoint.config, key
        self._failures: list[ThinklessError] = []
        self._not_before = 0.0
        """No request before this time of the monotonic clock: the server asked for a pause."""

    async def ask(self, requests: dict[int, ChatRequest]) -> dict[int, ChatReply]:
        """All replies; raises the worst failure after the requests under way have ended."""
        bound = asyncio.Semaphore(self._config.concurrency)
        replies: dict[int, ChatReply] = {}
        limits = httpx.Limits(max_connections=self._config.concurrency)
        timeout = httpx.Timeout(
            self._config.timeout_seconds, connect=min(CONNECT_SECONDS, self._config.timeout_seconds)
        )
        headers = self._key.headers() if self._key else {}
        async with httpx.AsyncClient(headers=headers, timeout=timeout, limits=limits) as client:

            async def one(place: int, request: ChatRequest) -> None:
                async with bound:
                    if self._failures:
                        return
                    try:
                        replies[place] = await self._reply(client, request)
                        self._endpoint.on_reply(False)
                    except ThinklessError as error:
                        self._failures.append(error)
                    except _AbandonedError:
                        return

            await asyncio.gather(*(one(place, request) for place, request in requests.items()))
        for failure in sorted(self._failures, key=lambda error: not isinstance(error, Terminal)):
            raise failure
        return replies

    async def _reply(self, client: httpx.AsyncClient, request: ChatRequest) -> ChatReply:
        """The reply to one request, kept before it is used."""
        try:
            response = await self._response(client, request)
        except Refusal as refusal:
            if self._config.refused == "drop":
                return ChatReply(content=str(refusal), reasoning="", finish_reason=REFUSED, num_tokens=None)
            raise TeacherError(
                f"problem {request.problem_id}: endpoint {self._config.base_url} refuses the request: {refusal}; "
                'change what it does not like in the teacher\'s table, or set teacher.refused="drop" to go on without'
            ) from None
        self._endpoint.cache.keep(request, address=self._config.base_url, response=response)
        return read_reply(response)

    async def _response(self, client: httpx.AsyncClient, request: ChatRequest) -> JsonValue:
        """The response to one request, after as many tries as it takes; raises Refusal or a ThinklessError."""
        attempt = 0
        while True:
            await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
            if self._failures:
                raise _AbandonedError
            try:
                return await self._try(client, request)
            except TryAgainError as error:
                trouble = error
            retries = self._config.retries
            if trouble.is_down and not self._endpoint.has_answered:
                retries = min(retries, UNMET_RETRIES)
            if attempt >= retries:
                raise self._given_up(request, trouble, tries=attempt + 1)
            if trouble.pause_seconds > self._config.longest_wait_seconds:
                raise Transient(
                    f"endpoint {self._config.base_url} asked for a pause of {trouble.pause_seconds:.0f} s, more than "
                    f"longest_wait_seconds={self._config.longest_wait_seconds:g}: {trouble}; launch again later: "
                    "answers that came are kept"
                )
            self._not_before = max(self._not_before, time.monotonic() + trouble.pause_seconds)
            longest = min(self._config.longest_wait_seconds, self._config.backoff_seconds * 2.0 ** min(attempt, 32))
            await asyncio.sleep(longest * (1 + self._endpoint.jitter(request.problem_id, attempt)) / 2)
            attempt += 1

    async def _try(self, client: httpx.AsyncClient, request: ChatRequest) -> JsonValue:
        """One try; raises TryAgainError, Refusal or TeacherError."""
        seconds = self._config.timeout_seconds
        try:
            async with asyncio.timeout(seconds):  # of the whole, however slowly the server drips
                response = await client.post(f"{self._config.base_url}/chat/completions", json=dict(request.payload))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise TryAgainError(f"the connection is refused ({_named(error)})", is_down=True) from None
        except (httpx.TimeoutException, TimeoutError):
            raise TryAgainError(f"no answer within timeout_seconds={seconds:g}") from None
        except httpx.RequestError as error:
            raise TryAgainError(f"the connection was cut ({_named(error)})") from None
        self._endpoint.has_answered = True
        text = response.content.decode("utf-8", errors="replace")
        text = self._key.hide(text) if self._key else text
        return read_response(Answer(response.status_code, response.headers, text), config=self._config)

    def _given_up(self, request: ChatRequest, trouble: TryAgainError, *, tries: int) -> ThinklessError:
        """The error after the last try."""
        where = f"problem {request.problem_id}: endpoint {self._config.base_url}"
        times = "once" if tries == 1 else f"{tries} times"
        if trouble.is_down:
            return TeacherError(f"{where} is down, tried {times}: {trouble}; start it, or correct teacher.base_url")
        if trouble.is_garbled:
            return TeacherError(
                f"{where} answered {times} with nothing that can be read: {trouble}; expected a chat completion: check "
                "that teacher.base_url is an OpenAI-compatible endpoint"
            )
        return Transient(
            f"{where} is overloaded, tried {times}: {trouble}; launch again later, which goes on where this ended, or "
            "lower teacher.concurrency, or raise teacher.retries or teacher.timeout_seconds"
        )


def _run(asking: Coroutine[None, None, dict[int, ChatReply]]) -> dict[int, ChatReply]:
    """The outcome of a coroutine, in a thread of its own where this one already runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(asking)
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, asking).result()


def _named(error: httpx.RequestError) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
