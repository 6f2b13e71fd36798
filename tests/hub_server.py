"""A Hugging Face Hub of one data set on this machine, and some that it refuses: what a client needs, and no more.

`o/sums` has configurations `easy` and `hard` with splits `train` and `test`; `o/gated` wants its terms accepted,
`o/old` has no other revision than main, `o/busy` is overloaded; nothing else exists.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_CONFIGS = "".join(
    f"- config_name: {name}\n  data_files:\n"
    + "".join(f"  - split: {split}\n    path: {name}/{split}.jsonl\n" for split in ("train", "test"))
    for name in ("easy", "hard")
)
FILES = {
    "README.md": f"---\nconfigs:\n{_CONFIGS}---\n",
    **{
        f"{name}/{split}.jsonl": "".join(
            json.dumps({"problem": f"{name} {split} {n}", "answer": str(n)}) + "\n" for n in range(3)
        )
        for name in ("easy", "hard")
        for split in ("train", "test")
    },
}


class _Hub(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """One request, and HEAD the same without its body."""
        path = self.path.partition("?")[0]
        if "o/gated" in path:
            return self._answer(403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."})
        if "o/old" in path:
            return self._answer(404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
        if "o/busy" in path:
            return self._answer(503, {})
        if "o/sums" not in path:
            return self._answer(401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        if "/resolve/" in path:
            name = path.partition("/resolve/")[2].partition("/")[2]
            if name not in FILES:
                return self._answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            return self._answer(200, {"X-Repo-Commit": COMMIT, "ETag": f'"{abs(hash(name)):x}"'}, FILES[name])
        if "/tree/" in path:
            folder = path.partition("/tree/")[2].partition("/")[2]
            return self._json([_entry(name) for name in FILES if name.startswith(folder)])
        return self._json(
            {"id": "o/sums", "sha": COMMIT, "private": False, "gated": False, "disabled": False, "tags": [],
             "downloads": 0, "likes": 0, "siblings": [{"rfilename": name} for name in FILES]}
        )  # fmt: skip

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """`paths-info`: which of some paths there are."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._json([_entry(name) for name in FILES if name in body or name.replace("/", "%2F") in body])

    def _json(self, value: object) -> None:
        self._answer(200, {"Content-Type": "application/json", "X-Repo-Commit": COMMIT}, json.dumps(value))

    def _answer(self, status: int, headers: dict[str, str], text: str = "") -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


def _entry(name: str) -> dict[str, object]:
    return {"type": "file", "path": name, "oid": "0" * 40, "size": len(FILES[name].encode())}


@contextmanager
def hub_server() -> Iterator[str]:
    """The address of such a Hub while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
