"""Opens the object store of a remote, and says in a sentence what it refuses.

s3://bucket/prefix, gs://..., az://..., file:///folder -> obstore's store;  its errors -> RemoteError
Keys come from the environment or the usual files, are asked for where they are needed, and kept nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.installed import installed_version
from infra.remote import aws_files
from schemas.errors import ConfigError, RemoteError

SCHEMES = ("s3", "gs", "az", "file")
VARIABLE = "THINKLESS_REMOTE"
_CLIENT: dict[str, Any] = {"connect_timeout": "5s", "read_timeout": "30s", "timeout": "12h"}
"""A large file may take long, a silent server may not."""
_RETRIES: dict[str, Any] = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
_LONGEST_REASON = 240


def open_store(url: str) -> Any:
    """The store of an address; nothing is sent yet. Raises ConfigError for an address that is none."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or (parts.scheme == "file") == bool(parts.netloc):
        raise ConfigError(
            f"{VARIABLE}={_without_key(url)} is no address of a remote; expected s3://BUCKET/PREFIX (or gs, az), or "
            "file:///FOLDER"
        )
    if "@" in parts.netloc or parts.query:
        raise ConfigError(
            f"{VARIABLE}={_without_key(url)} holds a key or options; expected the place alone: keys belong in "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in ~/.aws/credentials"
        )
    if installed_version("obstore") is None:
        raise ConfigError(
            f'{VARIABLE} is set, and package `obstore` is not installed; run `pip install "thinkless-flows[remote]"`, '
            "or unset the variable"
        )
    from obstore.store import LocalStore, from_url

    with explained(url):
        if parts.scheme == "file":
            return LocalStore(Path(parts.path), mkdir=True)
        options = aws_files.s3_options() if parts.scheme == "s3" else {}
        http = parts.scheme == "s3" and aws_files.endpoint(options).startswith("http://")
        client = {**_CLIENT, "allow_http": http}
        return from_url(url, client_options=client, retry_config=_RETRIES, **options)  # type: ignore[call-overload]


@contextmanager
def explained(url: str, what: str = "") -> Iterator[None]:
    """Raises what the object store says as RemoteError with a way out; `what` is the object. Two of its errors are
    answers, and pass: FileNotFoundError, and obstore's AlreadyExistsError."""
    from obstore import exceptions

    try:
        yield
    except (FileNotFoundError, exceptions.NotFoundError, exceptions.AlreadyExistsError):
        raise
    except (exceptions.BaseError, OSError, ValueError) as error:
        where = f"{url}/{what}" if what else url
        raise RemoteError(f"remote {where}: {_reason(error)}; {_way_out(error)}") from None


def _reason(error: Exception) -> str:
    """What went wrong, in the store's own words: the message of an S3 answer, else the innermost cause."""
    said = str(error)
    message = re.search(r"<Code>(.*?)</Code>.*?<Message>(.*?)</Message>", said, flags=re.DOTALL)
    if message:
        return f"{message[1]}: {message[2]}"[:_LONGEST_REASON]
    lines = [line.strip() for line in said.partition("Debug source:")[0].splitlines() if line.strip()]
    return " ".join(lines)[:_LONGEST_REASON]


def _way_out(error: Exception) -> str:
    from obstore import exceptions

    said = str(error)
    refused = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
    if isinstance(error, refused) or "InvalidAccessKeyId" in said or "SignatureDoesNotMatch" in said:
        return "the keys are refused: see AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE"
    if "NoSuchBucket" in said:
        return f"make the bucket, or correct {VARIABLE}"
    if any(word in said for word in ("No space left", "QuotaExceeded", "InsufficientStorage", "InternalError")):
        return "the server is full or broken: free some space there, then repeat with `thinkless push`"
    return f"see whether the server is up and {VARIABLE} (with AWS_ENDPOINT_URL) names it, then repeat"


def _without_key(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//[key]@", url.partition("?")[0])
