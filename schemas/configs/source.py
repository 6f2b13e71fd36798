"""The base class of all problem sources.

profile: `kind = "hub"` | `kind = "my_source.py:Riddles"` | `kind = "package.module:Riddles"` -> SourceConfig
    -> `problems()` -> SourceProblem, one after another (thinkless_core/problems/problem_sources.py reads them)

Shipped sources: procedural, local and hub (schemas/configs/problems.py), preset (schemas/configs/presets.py), gym
(schemas/configs/gym.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from pydantic import BeforeValidator, SerializeAsAny, field_validator

from schemas.configs.verifier import VerifierConfig
from schemas.errors import SourceError
from schemas.kinds import Kind, chosen, find_kind
from schemas.mode import Mode

if TYPE_CHECKING:
    from schemas.records.unreadable_answers import UnreadableAnswer


class SourceProblem(NamedTuple):
    """A problem as its source gives it, before it has an identity and a split."""

    prompt: str
    answer: str
    """The reference value."""
    difficulty: int | None = None
    """A whole number, if the source knows one."""
    source: str = ""
    """Where it came from, such as a file and its line; the source's title and a number if empty."""
    doubt: str = ""
    """What looks damaged in its text, for a warning; empty if nothing does."""
    task: str | None = None
    """Its kind among the problems of a source that has several, such as `chain_sum`."""
    details: str | None = None
    """What its own verifier or teacher must know of it, as JSON."""


class RecordedAnswer(NamedTuple):
    """One answer that a row records, as it stands there."""

    text: str
    thought: str = ""
    """Empty if it has no field of its own."""
    finished: bool = True
    """Whether it ended by itself."""
    fault: str = ""
    """Why it must not be replayed, in a word, such as `marked_wrong`; empty if it may be."""
    mode: Mode | None = None
    """The only mode it may be replayed in; None: any."""


Recorded = str | Sequence[RecordedAnswer] | None
"""What a row records about its problem: a text, several answers in their order, or nothing."""


class Licence(NamedTuple):
    """What something was made from, and its licence, as a card says it."""

    name: str
    """The data set, file or model, without folders of this machine."""
    licence: str | None
    """Such as `Apache-2.0`; None if the program does not know."""
    note: str = ""
    """Where to look."""


class LocalCopy(NamedTuple):
    """A data set that `--data DIR` can replace by a file, by setting the source's `path`."""

    data_set: str
    file: str | None
    """Usual name of the file; None if there is none."""


class SourceConfig(Kind):
    """A problem source. To add your own, write a class with one method in a file, and name the file in the profile:

        # my_source.py; used by: problems.source = { kind = "my_source.py:Riddles", path = "riddles.tsv" }
        from pathlib import Path
        from schemas.configs.source import SourceConfig, SourceProblem

        class Riddles(SourceConfig):
            '''A file of two columns, separated by a tab.'''

            path: str
            '''The file: question and answer in every line.'''

            def problems(self, *, name, seed):
                for line in Path(self.path).read_text().splitlines():
                    question, answer = line.split("\\t")
                    yield SourceProblem(question, answer, difficulty=len(question.split()))

            def local_paths(self):
                return (self.path,)

    Fields are keys of the profile. `local_paths` makes the content of the file part of the stage's key. Everything else
    below has a default.
    """

    group: ClassVar[str] = "thinkless.sources"
    replayable: ClassVar[bool] = False
    """Whether a recorded teacher can replay it: `traces` or `solutions` give something."""
    made_by_a_program: ClassVar[bool] = False
    """Whether a program makes its problems from a few templates: then only the same whole text is a problem of a
    benchmark, since shared words are the template's."""

    kind: str = ""
    verifier: str = "strict"
    """Verifier that judges answers to these problems: `strict`, `paper`, FILE.py:Class or an import path."""

    @field_validator("verifier")
    @classmethod
    def _verifier_exists(cls, name: str) -> str:
        find_kind(VerifierConfig, name)
        return name

    def problems(self, *, name: str, seed: int) -> Iterator[SourceProblem | UnreadableAnswer]:
        """Every problem, always in the same order; a row that cannot be used is an UnreadableAnswer with its reason.

        `name` says what the problems are for (`train`, `rl`, a benchmark); with `seed` it names a random stream for a
        source that draws problems. Raises SourceError or Transient.
        """
        if self.implementation is None:
            raise SourceError(
                f"source {self.display_name()} has no method `problems`; write one that yields SourceProblem"
            )
        yield from self.build().problems(name=name, seed=seed)

    def traces(self, *, field: str | None = None, thinking_field: str | None = None) -> Iterator[tuple[str, Recorded]]:
        """(problem text, recorded answers with their reasoning) of every row, in whatever marks they are written.

        `field` takes the place of the source's own field of traces; `thinking_field` holds the reasoning if it stands
        in a field of its own. Raises SourceError if the source has no field of traces.
        """
        if self.implementation is None or not self.replayable:
            raise SourceError(f"source {self.display_name()} holds no recorded reasoning; replay another source")
        yield from self.build().traces(field=field, thinking_field=thinking_field)

    def solutions(self, *, field: str) -> Iterator[tuple[str, str | None]]:
        """(problem text, worked solution in `field`) of every row; None for a row without one.

        Raises SourceError if the rows have no such field.
        """
        if self.implementation is None or not self.replayable:
            raise SourceError(f"source {self.display_name()} holds no worked solutions; replay another source")
        yield from self.build().solutions(field=field)

    def display_name(self) -> str:
        """A short name, without folders of this machine."""
        return type(self).__name__

    def place(self) -> str:
        """Where it reads, for messages."""
        return self.display_name()

    def few(self, num_problems: int, *, streaming: bool = True) -> SourceConfig:
        """The same source, of which at most `num_problems` need to be read; `streaming` keeps no copy on disk."""
        return self

    def most_problems(self) -> int | None:
        """Problems it gives at most; None if only reading it would tell."""
        return None

    def hub_data(self) -> str | None:
        """Id of the data set that it reads from the Hugging Face Hub; None if it reads none."""
        return None

    def local_copy(self) -> LocalCopy | None:
        """The data set that a local file could replace; None if there is none, or if it reads a file already."""
        return None

    def licence(self) -> Licence:
        """What it reads, and under which licence."""
        return Licence(self.display_name(), None, "a source of your own")


Source = Annotated[SerializeAsAny[SourceConfig], BeforeValidator(chosen(SourceConfig))]
"""A field that holds any source."""
