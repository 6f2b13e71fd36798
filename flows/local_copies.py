"""Well-known data sets from local copies: a folder of files instead of the Hub.

profile + overrides + folder -> presets without a path -> `...path="folder/file"` overrides, for files that exist
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from schemas.configs.loading import load_config
from schemas.configs.presets import PRESETS
from schemas.configs.source import LocalCopy, SourceConfig
from schemas.configs.stage import Table
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


def _copies(node: object, prefix: str = "") -> Iterator[tuple[str, LocalCopy]]:
    """Dotted key of each source in a configuration that a local file can replace, with that file's name."""
    if isinstance(node, SourceConfig):
        copy = node.local_copy()
        if copy is not None:
            yield prefix, copy
        return
    inner: Mapping[str, object] = {}
    if isinstance(node, Table):
        inner = {name: getattr(node, name) for name in type(node).model_fields}
    elif isinstance(node, dict):
        inner = node
    for name, value in inner.items():
        yield from _copies(value, f"{prefix}.{name}" if prefix else name)


def _all_names() -> list[str]:
    return sorted({name for preset in PRESETS.values() for name in preset.copies.values()})
