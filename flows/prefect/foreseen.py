"""How a flow run says an error that is foreseen, a ThinklessError: in one line, as the command line does.

error -> last state of the flow run and of its stage's task run, which Prefect logs
"""

from __future__ import annotations

import logging
from typing import Any

from prefect.client.schemas.objects import State
from prefect.logging import get_logger
from prefect.states import Failed

from schemas.errors import ThinklessError


def log_without_tracebacks() -> None:
    """Let Prefect log no traceback of a foreseen error in this process; the last state of its run says the error."""
    for name in ("engine", "flow_runs", "task_runs"):
        get_logger(name).addFilter(_is_no_traceback)


def _is_no_traceback(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], ThinklessError))


def refused(error: ThinklessError) -> State[Any]:
    """The last state of a flow run that cannot start: the error in one line. A caller of the flow gets the error."""
    return Failed(message=" ".join(str(error).split()), data=error)
