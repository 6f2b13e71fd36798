"""Well-known data sets from local copies: a folder of files instead of the Hub.

profile + overrides + folder -> presets without a path -> `...path="folder/file"` overrides, for files that exist
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from schemas.configs.loading import load_config
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.presets import PRESETS
from schemas.configs.source import LocalCopy, SourceConfig
from schemas.configs.stage import tables_in
from schemas.errors import ConfigError


def local_copy_overrides(profile: str, *, overrides: Sequence[str], folder: Path) -> list[str]:
    """Overrides that make each preset read its copy in `folder`. A preset without a copy there still reads the Hub.

    Raises ConfigError if the folder holds no copy at all.
    """
    if not folder.is_dir():
        raise ConfigError(f"--data: {folder} is no folder; give the one that holds {', '.join(_all_names())}")
    copies = dict(_copies(load_config(profile, overrides=overrides)))
    found = {keys: folder / copy.file for keys, copy in copies.items() if copy.file and (folder / copy.file).is_file()}
    if not found:
        wanted = sorted({f"{copy.data_set} ({copy.file or 'no known file'})" for copy in copies.values()})
        raise ConfigError(
            f"--data: {folder} holds no copy of a data set this profile reads; "
            f"it reads {', '.join(wanted) or 'no preset that lacks a path'}; leave --data out, or copy the file there"
        )
    return [f"{keys}.path={json.dumps(str(file))}" for keys, file in found.items()]


def _copies(config: PipelineConfig) -> Iterator[tuple[str, LocalCopy]]:
    """Dotted key of each source that a local file can replace, with that file's name."""
    for keys, table in tables_in(config):
        copy = table.local_copy() if isinstance(table, SourceConfig) else None
        if copy is not None:
            yield keys, copy


def _all_names() -> list[str]:
    return sorted({name for preset in PRESETS.values() for name in preset.copies.values()})
