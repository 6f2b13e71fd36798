"""A Hugging Face Hub on this machine that takes uploads: what `hf upload` needs, and no more.

whoami -> create repo -> validate-yaml -> preupload (every file goes in the commit) -> commit (ndjson, base64)
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_of_a_test"
"""The one token that may write."""
COMMIT = "89abcdef0123456789abcdef0123456789abcdef"


@dataclass
class UploadHub:
    """A running server, and what it was given."""

    address: str = ""
    created: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """`models/o/name` -> path -> content."""


def _handler(hub: UploadHub) -> type[BaseHTTPRequestHandler]:
    class Uploads(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Who the token belongs to."""
            if self._is_known():
                self._answer(200, {"name": "o", "type": "user"} if self.path == "/api/whoami-v2" else {})

        def do_POST(self) -> None:
            """One step of an upload."""
            sent = self._body()
            if not self._is_known():
                return
            kind, _, rest = self.path.partition("?")[0].removeprefix("/api/").partition("/")
            repo = f"{kind}/{'/'.join(rest.split('/')[:2])}"
            if self.path == "/api/repos/create":
                hub.created.append(json.loads(sent))
                name = "{organization}/{name}".format(**hub.created[-1])
                prefix = "datasets/" if hub.created[-1]["type"] == "dataset" else ""
                self._answer(200, {"url": f"{hub.address}/{prefix}{name}"})
            elif self.path == "/api/validate-yaml":
                self._answer(200, {"errors": [], "warnings": []})
            elif "/preupload/" in self.path:
                paths = [file["path"] for file in json.loads(sent)["files"]]
                plain = {"uploadMode": "regular", "shouldIgnore": False}
                self._answer(200, {"files": [{"path": path, **plain} for path in paths]})
            else:
                lines = [json.loads(line) for line in sent.splitlines()]
                given = [line["value"] for line in lines if line["key"] == "file"]
                hub.files[repo] = {file["path"]: base64.b64decode(file["content"]) for file in given}
                url = f"{hub.address}/{repo.removeprefix('models/')}/commit/{COMMIT}"
                self._answer(200, {"success": True, "commitOid": COMMIT, "commitUrl": url, "hookOutput": ""})

        def _is_known(self) -> bool:
            known = self.headers["Authorization"] == f"Bearer {TOKEN}"
            if not known:
                self._answer(401, {"error": "Invalid username or password."})
            return known

        def _body(self) -> bytes:
            if self.headers["Transfer-Encoding"] != "chunked":
                return self.rfile.read(int(self.headers["Content-Length"] or 0))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _answer(self, status: int, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    return Uploads


@contextmanager
def upload_server() -> Iterator[UploadHub]:
    """Such a Hub while the block runs."""
    hub = UploadHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
