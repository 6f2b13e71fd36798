"""Rows of a Hugging Face Hub data set, and the way out if the Hub does not give it.

HubSource -> the datasets library, one configuration after another -> (where, fields)

Whatever the client raises becomes one of two errors: SourceError if trying again cannot help (no such data set,
gated, no such split, offline), Transient if the Hub is overloaded or the connection breaks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.configs.problems import HubSource
from schemas.errors import SourceError, ThinklessError, Transient
from thinkless_core.problems.row_reader import Row, RowReader
from thinkless_core.problems.source_files import wanted_columns

_COMMIT = re.compile(r"[0-9a-f]{40}")
_OWN_COPY = "or read a copy of your own: kind=local (or path= of a preset)"


class HubReader(RowReader):
    """Reads a data set on the Hub, or a folder in its layout."""

    def __init__(self, source: HubSource) -> None:
        super().__init__(source)
        self._hub = source

    def rows(self, fields: Sequence[str]) -> Iterator[Row]:
        """Every row of the source's configurations, in their order, with the columns that hold `fields`.

        Raises SourceError or Transient.
        """
        source = self._hub
        if source.is_folder and not Path(source.id).is_dir():
            raise SourceError(f"{source.id}: no such folder; check problems.*.id (relative to the current directory)")
        if not source.is_folder and Path(source.id).exists():
            raise SourceError(
                f"{source.id}: the current directory holds a folder of that name, which would be read instead of the "
                f"data set on the Hub; write ./{source.id} to read it, or run from another directory"
            )
        names = source.config_name if isinstance(source.config_name, tuple) else (source.config_name,)
        for name in names:
            with _explained(source, name):
                dataset, version = _load(source, name)
                columns = wanted_columns(fields, dataset.column_names or ())
                dataset = dataset if columns is None else dataset.select_columns(columns)
                place = "/".join(part for part in (name, source.split) if part)
                where = f"{source.id}{version} {place}"
                classes = {c: f for c, f in (dataset.features or {}).items() if type(f).__name__ == "ClassLabel"}
                for number, row in enumerate(dataset, start=1):
                    yield with_names((f"{where}, row {number}", row), classes)


def with_names(row: Row, classes: Mapping[str, Any]) -> Row:
    """The row with the names of classes in place of their numbers: `B`, and not 1, is the answer."""
    where, fields = row
    held = {column: fields[column] for column in classes if column in fields}
    names = {c: classes[c].int2str(n) if isinstance(n, int) and n >= 0 else None for c, n in held.items()}
    return (where, {**fields, **names}) if names else row


def _load(source: HubSource, name: str | None) -> tuple[Any, str]:
    """The rows, and what to call the version they came from: the commit, where the client tells."""
    from datasets import load_dataset_builder  # slow import, only for a Hub data set

    builder = load_dataset_builder(source.id, name, revision=source.revision)
    if source.streaming:
        dataset = builder.as_streaming_dataset(split=source.split)
    else:
        builder.download_and_prepare()
        dataset = builder.as_dataset(split=source.split)
    commit = builder.hash if _COMMIT.fullmatch(builder.hash or "") else None
    return dataset, "" if source.is_folder else f"@{(commit or source.revision or 'main')[:12]}"


@contextmanager
def _explained(source: HubSource, name: str | None) -> Iterator[None]:
    """Errors of the Hub's client in our words."""
    try:
        yield
    except ThinklessError:
        raise
    except Exception as error:  # the client raises its own, its HTTP library's and Python's errors
        raise explain(error, source=source, name=name) from error


def explain(error: Exception, *, source: HubSource, name: str | None) -> ThinklessError:
    """An error of the Hub's client in our words: SourceError, or Transient if another try may help."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    which = f"Hub data set {source.id!r}"
    causes = list(_causes(error))
    text = " ".join(f"{type(cause).__name__}: {cause}" for cause in causes)
    first = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    page = f"https://huggingface.co/datasets/{source.id}"
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes) or "OfflineMode" in text:
        return SourceError(
            f"{which} is not in the local cache and HF_HUB_OFFLINE forbids to fetch it; unset HF_HUB_OFFLINE, "
            f"{_OWN_COPY}"
        )
    if "GatedRepo" in text or re.search(r"\bgated\b", text):
        return SourceError(
            f"{which} is gated; accept its terms at {page}, then log in with `hf auth login` or set HF_TOKEN, "
            f"{_OWN_COPY}"
        )
    if "RevisionNotFound" in text or "Revision Not Found" in text or "Invalid rev id" in text:
        return SourceError(f"{which} has no revision {source.revision!r}; they are listed at {page}/commits/main")
    if "DatasetNotFoundError" in text or "RepositoryNotFound" in text or "HFValidationError" in text:
        return SourceError(
            f"{which} does not exist, or is private; check problems.*.id (`owner/name`), log in with `hf auth "
            f"login` or set HF_TOKEN if it is private, {_OWN_COPY}"
        )
    if "LocalEntryNotFound" not in text and isinstance(error, ValueError | RuntimeError | FileNotFoundError):
        asked = f"config_name={name!r}, split={source.split!r}"
        return SourceError(f"{which} cannot be read with {asked}: {first}; set config_name and split to what there is")
    return Transient(
        f"{which}: the Hub cannot be reached or broke off: {first}; run the same command again, {_OWN_COPY}"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
