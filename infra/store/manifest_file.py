"""The file of a manifest: readable JSON in an envelope whose hash detects any changed byte.

Manifest -> {"manifest": {...}, "sha256": of its canonical JSON} -> manifest.json -> checked -> Manifest
"""

from __future__ import annotations

import hashlib
import json

from pydantic import JsonValue, ValidationError

from infra.fingerprint import canonical_json
from schemas.artifact import MANIFEST_VERSION, Manifest
from schemas.errors import StoreError

MANIFEST_NAME = "manifest.json"


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes of manifest.json."""
    return _envelope(manifest.model_dump(mode="json"))


def decode_manifest(content: bytes, *, where: str) -> Manifest:
    """The manifest in `content`; `where` names the file in errors.

    Raises ValueError with the difference if a byte was changed, StoreError if a newer version wrote it.
    """
    try:
        envelope = json.loads(content)
        body = envelope["manifest"]
        version = body["manifest_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{where} is not a manifest ({error!r})") from error
    if _envelope(body) != content:
        raise ValueError(f"{where} does not match its own sha256")
    # Checked only after the hash: a flipped bit in the version is damage, not a newer program.
    if version > MANIFEST_VERSION:
        raise StoreError(
            f"{where} has manifest_version={version}, written by a newer thinkless-flows; this one reads "
            f"up to {MANIFEST_VERSION}: upgrade thinkless-flows, or set THINKLESS_HOME to another directory"
        )
    try:
        return Manifest.model_validate_json(canonical_json(body))
    except ValidationError as error:
        raise ValueError(f"{where} breaks the manifest schema: {error.errors()[0]['msg']}") from error


def _envelope(body: JsonValue) -> bytes:
    digest = hashlib.sha256(canonical_json(body).encode()).hexdigest()
    envelope = {"manifest": body, "sha256": digest}
    return (json.dumps(envelope, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
