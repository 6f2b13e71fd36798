"""Well-known data sets from local copies: a folder of files instead of the Hub.

profile + overrides + folder -> presets without a path -> `...path="folder/file"` overrides, for files that are there
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from schemas.configs.loading import load_config
from schemas.configs.problems import PresetSource
from schemas.configs.stage import Table
from schemas.errors import ConfigError
from thinkless_core.problems.presets import PRESETS, copy_name


def local_copy_overrides(profile: str, *, overrides: Sequence[str], folder: Path) -> list[str]:
    """Overrides that have every preset whose copy lies in `folder` read from there; others stay with the Hub.

    Raises ConfigError where the folder holds none of them.
    """
    if not folder.is_dir():
        raise ConfigError(f"--data: {folder} is no folder; give the one that holds {', '.join(_all_names())}")
    presets = dict(_presets(load_config(profile, overrides=overrides)))
    found = {
        keys: file
        for keys, preset in presets.items()
        if (name := copy_name(preset)) is not None and (file := folder / name).is_file()
    }
    if not found:
        wanted = sorted({f"{p.name} ({copy_name(p) or 'no known file'})" for p in presets.values()})
        raise ConfigError(
            f"--data: {folder} holds no copy of a data set this profile reads; "
            f"it reads {', '.join(wanted) or 'none by name without a path'}; leave --data out, or copy the file there"
        )
    return [f"{keys}.path={json.dumps(str(file))}" for keys, file in found.items()]


def _presets(node: object, prefix: str = "") -> Iterator[tuple[str, PresetSource]]:
    """Every preset below a configuration that reads no file yet, by its dotted key."""
    if isinstance(node, PresetSource):
        if node.path is None:
            yield prefix, node
        return
    inner: Mapping[str, object] = {}
    if isinstance(node, Table):
        inner = {name: getattr(node, name) for name in type(node).model_fields}
    elif isinstance(node, dict):
        inner = node
    for name, value in inner.items():
        yield from _presets(value, f"{prefix}.{name}" if prefix else name)


def _all_names() -> list[str]:
    return sorted({name for preset in PRESETS.values() for name in preset.copies.values()})
