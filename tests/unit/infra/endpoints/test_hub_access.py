"""A short look at the Hub: whether it is there, and what it says about a model, from a server on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from huggingface_hub import constants

from infra.endpoints.hub_access import check_model, model_is_cached, why_unreachable
from schemas.errors import SourceError
from tests.closed_address import closed_address

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"o/good": ["config.json", "model.safetensors"], "o/old": ["pytorch_model.bin"], "o/gated": ["a.safetensors"]}


class _Models(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Information about a model, and whether its files may be had."""
        name = "/".join(self.path.partition("?")[0].split("/")[3:5])
        if self.path.endswith("/auth-check"):
            gated = name == "o/gated"
            return self._answer(403 if gated else 200, {"X-Error-Code": "GatedRepo"} if gated else {})
        if "/revision/" in self.path and not self.path.partition("/revision/")[2].startswith("main"):
            return self._answer(404, {"X-Error-Code": "RevisionNotFound"})
        if name not in FILES:
            return self._answer(404 if self.path != "/" else 200, {"X-Error-Code": "RepoNotFound"})
        siblings = [{"rfilename": file} for file in FILES[name]]
        return self._answer(200, {}, json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}))

    do_HEAD = do_GET

    def _answer(self, status: int, headers: dict[str, str], text: str = "{}") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The client's address is that of a small server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Models)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.usefixtures("hub")
def test_a_hub_that_answers_tells_about_models() -> None:
    assert why_unreachable() is None
    assert check_model("o/good", revision=None) == f"model o/good at {COMMIT[:12]}"


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("name", "revision", "said"),
    [
        ("o/gated", None, "model 'o/gated' is gated; accept its terms"),
        ("o/good", "v9", "model 'o/good' has no revision 'v9'"),
        ("o/absent", None, "model 'o/absent' does not exist"),
        ("o/old", None, "model 'o/old' has no safetensors weights among its 1 files"),
    ],
)
def test_what_cannot_be_loaded_is_said_before_the_run(name: str, revision: str | None, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        check_model(name, revision=revision)


def test_a_hub_that_is_not_there_is_known_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", closed_address())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    began = time.monotonic()
    assert (why_unreachable() or "").startswith("ConnectError: ")
    assert time.monotonic() - began < 10
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert why_unreachable() == "HF_HUB_OFFLINE is set"
    assert not model_is_cached("o/nobody-has-this", revision=None)
