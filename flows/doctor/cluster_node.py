"""One node that `thinkless doctor --cluster` looks at: `python -m flows.doctor.cluster_node FOLDER`.

FOLDER/token -> a server on this node, its address in FOLDER/HOST.json -> a command in a line of JSON -> its answer
It serves nobody without the token, and ends with the command `end` or after LIFE_SECONDS.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from flows.recipe import RECIPE
from infra.disk import write_whole
from infra.fingerprint import source_hashes
from schemas.errors import ThinklessError
from tasks.running.find import result_versions

LIFE_SECONDS = 300.0
_held: list[int] = []
"""Descriptors of locks that this node holds for a trial."""


def main() -> None:
    """Serve until the end."""
    folder, host = Path(sys.argv[1]), socket.gethostname()
    token = (folder / "token").read_text(encoding="utf-8")
    threading.Timer(LIFE_SECONDS, os._exit, args=[1]).start()
    with socket.create_server(("", 0)) as server:
        write_whole(folder / f"{host}.json", json.dumps([host, server.getsockname()[1]]).encode())
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("rw", encoding="utf-8") as stream:
                command = json.loads(stream.readline())
                if command.pop("token", None) != token:
                    continue
                if command["do"] == "end":
                    os._exit(0)
                try:
                    answer = {"answer": COMMANDS[command.pop("do")](**command)}
                except (OSError, ThinklessError) as error:
                    answer = {"error": str(error)}
                stream.write(json.dumps(answer) + "\n")


def facts() -> dict[str, Any]:
    """Versions, code, and what is known of the network."""
    name = socket.gethostname()
    return {
        "packages": {"Python": platform.python_version(), **result_versions()},
        "sources": dict(source_hashes([type(stage).__module__ for stage in RECIPE])),
        "address": socket.gethostbyname(name),
        "interfaces": {
            interface: [a.address for a in addresses if a.family == socket.AF_INET]
            for interface, addresses in psutil.net_if_addrs().items()
        },
    }


def reach(host: str, port: int) -> float:
    """Seconds until a connection to another node's server is there."""
    began = time.monotonic()
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(b"{}\n")
    return time.monotonic() - began


def flock(path: str) -> bool:
    """Try to take a lock of the file system, and keep it; whether it was free."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    _held.append(descriptor)
    return True


def create(path: str) -> bool:
    """Create a file exclusively; whether it was not there."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        return False
    return True


def rename(path: str, to: str) -> bool:
    """Rename a folder to a name that may be taken; whether that went well."""
    try:
        Path(path).rename(to)
    except OSError:
        return False
    return True


def write(path: str) -> bool:
    """Write a file in a folder that is made if it is not there."""
    write_whole(Path(path), b"thinkless")
    return True


def sees(path: str) -> bool:
    """Whether something is there."""
    return Path(path).exists()


COMMANDS: dict[str, Callable[..., Any]] = {
    "facts": facts,
    "clock": time.time,
    "reach": reach,
    "flock": flock,
    "create": create,
    "rename": rename,
    "write": write,
    "sees": sees,
}

if __name__ == "__main__":
    main()
