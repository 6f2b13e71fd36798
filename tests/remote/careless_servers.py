"""Servers that do what a remote must survive: one that ignores conditions, and a wire that is cut."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class _Careless(BaseHTTPRequestHandler):
    """Objects in memory; PUT writes whatever the request's conditions say (as `rclone serve s3` does)."""

    objects: dict[str, bytes]

    def do_PUT(self) -> None:
        self.objects[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200)

    def do_GET(self) -> None:
        content = self.objects.get(self.path)
        self._answer(404) if content is None else self._answer(200, content)

    do_HEAD = do_GET

    def _answer(self, status: int, content: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Sat, 28 Nov 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def ignoring_conditions() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Its address, and the objects that it has."""
    objects: dict[str, bytes] = {}
    handler = type("Careless", (_Careless,), {"objects": objects})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", objects
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def cut_wire(endpoint: str, *, after_bytes: int, times: int) -> Iterator[str]:
    """The address of a wire to a server that breaks after so many bytes from the server, the first `times` times that
    so many come."""
    target = urlsplit(endpoint)
    assert target.hostname is not None
    assert target.port is not None
    listener = socket.create_server(("127.0.0.1", 0))
    left = [times]

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((target.hostname, target.port))
                threading.Thread(target=_copy, args=(client, server, None), daemon=True).start()
                threading.Thread(target=_copy, args=(server, client, after_bytes), daemon=True).start()

    def _copy(source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while chunk := source.recv(1 << 16):
                passed += len(chunk)
                if limit is not None and passed > limit and left[0] > 0:
                    left[0] -= 1
                    break
                sink.sendall(chunk)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
