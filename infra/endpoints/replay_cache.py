"""Stores every response by its request, so that no later run asks, and pays, for it again.

(address, payload, seed) -> sha256 -> <home>/replay/<first two>/<sha256>.json: what was asked, and the whole response

One file per response, written whole by rename: kill -9 at any point loses at most the requests under way. All runs of
a home share it, and so do concurrent ones; only two that send the same request at the same moment both send it. The key
of an endpoint is no part of a payload, so it is in no file. Delete the folder to ask for everything anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from infra.disk import write_whole
from infra.fingerprint import canonical_json
from schemas.chat import ChatRequest

logger = logging.getLogger("thinkless")
FOLDER = "replay"


@dataclass(frozen=True)
class ReplayCache:
    """The responses kept under one home."""

    home: Path

    def path(self, request: ChatRequest, *, address: str) -> Path:
        """Where the response to a request is kept, whether it is there or not."""
        digest = hashlib.sha256(canonical_json(_asked(request, address)).encode()).hexdigest()
        return self.home / FOLDER / digest[:2] / f"{digest}.json"

    def find(self, request: ChatRequest, *, address: str) -> JsonValue | None:
        """The stored response to a request; None if there is none.

        A damaged file is left to be overwritten, with a warning: its response is lost whatever is done.
        """
        path = self.path(request, address=address)
        try:
            kept = json.loads(path.read_bytes())
            if kept["asked"] == _asked(request, address):
                response: JsonValue = kept["response"]
                return response
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            pass
        logger.warning("replay cache: %s is damaged; its request is made again", path)
        return None

    def keep(self, request: ChatRequest, *, address: str, response: JsonValue) -> None:
        """Store a response; it is on the disk when the call returns. Raises StoreError if it cannot be written."""
        kept = {"asked": _asked(request, address), "response": response}
        write_whole(self.path(request, address=address), canonical_json(kept).encode())


def _asked(request: ChatRequest, address: str) -> Mapping[str, JsonValue]:
    """What decides the response. The same model's name at two addresses may mean two models."""
    return {"address": address, "payload": dict(request.payload), "seed": request.seed}
