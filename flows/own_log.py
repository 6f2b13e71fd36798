"""This project's log on standard error, and no other library's."""

from __future__ import annotations

import logging


def show_own_log() -> None:
    """Print the project's lines, each with its time; a second call changes nothing."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    own = logging.getLogger("thinkless")
    own.setLevel(logging.INFO)
    own.handlers = [handler]
    own.propagate = False
