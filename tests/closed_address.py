"""An address of this machine at which nobody listens."""

from __future__ import annotations

import socket


def closed_address() -> str:
    """`http://127.0.0.1:PORT` of a port that was free a moment ago."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
