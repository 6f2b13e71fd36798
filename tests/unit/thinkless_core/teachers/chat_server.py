"""A real chat endpoint on this machine, which misbehaves as it is told.

with serving(script) as server: server.url, server.asked (payloads), server.most_at_once
A script gets the payload and how often that very payload was asked before, and says what happens.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

CUT = "cut"
"""The connection ends without an answer."""


@dataclass(frozen=True)
class Told:
    """One answer: a status, a body (an object becomes JSON, bytes stay as they are), and how long it takes."""

    status: int = 200
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


Script = Callable[[dict[str, Any], int], "Told | str"]


def chat(
    content: str | None, *, finish: str | None = "stop", tokens: int | None = 9, seconds: float = 0.0, **message: object
) -> Told:
    """A well-formed response; further arguments are fields of the message."""
    usage = {} if tokens is None else {"usage": {"completion_tokens": tokens, "prompt_tokens": 3}}
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
    return Told(200, {"id": "x", "object": "chat.completion", "choices": [choice], **usage}, seconds=seconds)


@dataclass
class ChatServer:
    """What the server was asked."""

    url: str
    script: Script
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    under_way: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    counts: Counter[str] = field(default_factory=Counter)


@contextmanager
def serving(script: Script) -> Iterator[ChatServer]:
    """A server that follows the script, until the block ends."""
    http = _Server(("127.0.0.1", 0), _Handler)
    http.chat = ChatServer(f"http://127.0.0.1:{http.server_address[1]}/v1", script)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("NO_PROXY", "127.0.0.1")
            yield http.chat
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def closed_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Server(ThreadingHTTPServer):
    chat: ChatServer
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        chat = self.server.chat
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/chat/completions"
        with chat.lock:
            name = json.dumps(payload, sort_keys=True)
            before = chat.counts[name]
            chat.counts[name] += 1
            chat.asked.append(payload)
            chat.headers.append(dict(self.headers))
            chat.times.append(time.monotonic())
            chat.under_way += 1
            chat.most_at_once = max(chat.most_at_once, chat.under_way)
        try:
            self._tell(chat.script(payload, before))
        finally:
            with chat.lock:
                chat.under_way -= 1

    def do_GET(self) -> None:
        self.server.chat.headers.append(dict(self.headers))
        self._tell(self.server.chat.script({"path": self.path}, 0))

    def _tell(self, told: Told | str) -> None:
        if told == CUT:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        assert isinstance(told, Told)
        time.sleep(told.seconds)
        content = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
        try:
            self.send_response(told.status)
            for name, value in {"Content-Length": str(len(content)), **told.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            pass  # whoever asked has gone

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing."""
