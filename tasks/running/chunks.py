"""Work in chunks: a chunk is done if its file exists, and whoever is free takes the next one that nobody has.

chunks -> (lock of a chunk) -> done by this process -> its file, renamed into place -> lock released
The kernel drops the lock of a process that is killed, so another one takes its chunk.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from infra.locks import file_lock
from schemas.configs.stage import StageConfig
from schemas.errors import Transient


@dataclass(frozen=True)
class Chunk:
    """A piece of work, done if its file exists."""

    file: Path
    """A file or a folder, renamed into place when it is whole."""
    size: int
    """What it counts in the stage's progress."""


C = TypeVar("C", bound=StageConfig)
Ch = TypeVar("Ch", bound=Chunk)


class SharedWork(ABC, Generic[C, Ch]):
    """All chunks of a stage. Each process that does some of them makes this object anew, from the same arguments."""

    config_class: ClassVar[type[StageConfig]]
    chunks: Sequence[Ch]
    refuse_changes: Callable[[], None] = staticmethod(lambda: None)
    """Raises SourceError if a file that the settings name changed since the key was made. Work that reads such files
    calls it behind that, before the first chunk is written; whoever calls `do` sets it."""

    @abstractmethod
    def __init__(self, config: C, inputs: Mapping[str, Path], workspace: Path) -> None:
        """The work of a stage, given its settings and the folders of its inputs by stage."""

    @abstractmethod
    def do(self, turns: Iterator[Ch], *, processes: int) -> None:
        """Write the file of each chunk in `turns`, as one of several processes. The bytes of a chunk may not depend on
        the process that writes it, nor on their number.
        """


AnyWork = SharedWork[Any, Any]


def unfinished(chunks: Sequence[Ch], *, owner: str) -> Generator[Ch]:
    """Each chunk that is for this process to do: first those that are neither done nor taken, then what others leave.

    At the end it waits for the chunks of other processes, and takes those that were not finished; so all chunks are
    done when it ends. A chunk is locked until the next is asked for, or until the iterator is closed.
    """
    for patience_seconds in (0.0, None):
        for chunk in chunks:
            if chunk.file.exists():
                continue
            lock = chunk.file.with_suffix(".lock")
            try:
                with file_lock(lock, owner=owner, timeout_seconds=patience_seconds):
                    if not chunk.file.exists():
                        yield chunk
            except Transient:
                continue
