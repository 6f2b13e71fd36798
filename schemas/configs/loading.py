"""From a profile and overrides to a checked configuration.

profile name or TOML file -> table -> overrides (`rl.gamma=0.3`) applied -> PipelineConfig.
Everything that can be wrong is refused before the first stage runs: unknown keys with the nearest valid name, values
out of range with the key they belong to, keys that would have no effect.
"""

from __future__ import annotations

import contextlib
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from schemas.configs.pipeline import PipelineConfig
from schemas.configs.stage import Table
from schemas.errors import ConfigError, nearest
from schemas.kinds import Kind, find_kind, shipped_kinds


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that ship with the package."""
    files = resources.files("schemas.profiles").iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml")))


def load_config(profile: str, *, overrides: Sequence[str] = ()) -> PipelineConfig:
    """The checked configuration of `profile` with `overrides` applied.

    `profile` is a shipped name or the path of a TOML file; an override is `dotted.key=value`, the value written as
    in TOML (text needs no quotes). Raises ConfigError.
    """
    table = _read_profile(profile)
    table.setdefault("profile", Path(profile).stem)
    assignments = [_parse_override(text) for text in overrides]
    # A changed `kind` starts its table afresh: the keys of the other kind would only be refused.
    for keys, value in sorted(assignments, key=lambda a: a[0][-1] != "kind"):
        _assign(table, keys, value)
    try:
        config = PipelineConfig.model_validate(table)
    except ValidationError as error:
        raise ConfigError(_explain(error, profile, table)) from error
    _refuse_unused(config, [keys for keys, _ in assignments])
    return config


def known_keys(
    model: type[BaseModel] = PipelineConfig, prefix: str = "", table: object = None
) -> Iterator[tuple[str, str | None]]:
    """Every dotted key the configuration knows, with what it means: of all kinds that ship, and of those in `table`."""
    for name, field in model.model_fields.items():
        dotted = f"{prefix}{name}"
        inside = table.get(name) if isinstance(table, Mapping) else None
        yield dotted, field.description
        for inner in _models_in(field.annotation, inside):
            yield from known_keys(inner, f"{dotted}.", inside)


def _models_in(annotation: object, table: object) -> Iterator[type[BaseModel]]:
    """Configuration tables inside a (possibly annotated, union or mapping) type."""
    if isinstance(annotation, type) and issubclass(annotation, Kind):
        yield from shipped_kinds(annotation)
        name = table.get(annotation.tag) if isinstance(table, Mapping) else None
        if isinstance(name, str):
            with contextlib.suppress(ValueError):  # an unknown kind is refused elsewhere
                yield find_kind(annotation, name)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        if typing.get_origin(annotation) is dict:
            return  # keys of a mapping are names of the user's own
        for member in typing.get_args(annotation):
            yield from _models_in(member, table)


def _read_profile(profile: str) -> dict[str, JsonValue]:
    if profile in profile_names():
        text = resources.files("schemas.profiles").joinpath(f"{profile}.toml").read_text(encoding="utf-8")
    elif profile.endswith(".toml"):
        try:
            text = Path(profile).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"profile file {profile}: {error.strerror}; give the path of a TOML file") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"profile file {profile} is not UTF-8 text: {error}; give a TOML file") from error
    else:
        way_out = nearest(profile, profile_names())
        raise ConfigError(
            f"unknown profile {profile!r}; {way_out} (shipped: {', '.join(profile_names())}; "
            "a path that ends in .toml is read as a profile of your own)"
        )
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"profile {profile} is not TOML: {error}") from error


def _parse_override(text: str) -> tuple[list[str], JsonValue]:
    key, equals, raw = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"override {text!r} is not of the form key=value, for example rl.gamma=0.3")
    try:
        value = tomllib.loads(f"value = {raw.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = raw.strip()
    return key.strip().split("."), value


def _assign(table: dict[str, JsonValue], keys: Sequence[str], value: JsonValue) -> None:
    node = table
    for depth, key in enumerate(keys[:-1], start=1):
        child = node.setdefault(key, {})
        if not isinstance(child, dict) and list(keys[depth:]) == ["kind"]:
            child = node[key] = {}  # a plain number gives way to a schedule
        if not isinstance(child, dict):
            raise ConfigError(f"{'.'.join(keys)}: {key!r} is a value, not a table, so nothing can be set below it")
        node = child
    if keys[-1] == "kind" and node.get("kind", value) != value:
        node.clear()
    node[keys[-1]] = value


def _explain(error: ValidationError, profile: str, table: Mapping[str, JsonValue]) -> str:
    known = dict(known_keys(table=table))
    lines = [_explain_one(detail, table, known) for detail in error.errors()]
    return f"configuration of profile {profile!r} cannot be used:\n" + "\n".join(f"  - {line}" for line in lines)


def _explain_one(detail: ErrorDetails, table: Mapping[str, JsonValue], known: Mapping[str, str | None]) -> str:
    """One line: which key, what is wrong, what was got, the way out."""
    location, kind = _as_written(detail, table)
    dotted = ".".join(location)
    got = detail["input"]
    if detail["type"] == "extra_forbidden" and dotted in known:
        return f"key {dotted!r} does not belong to kind {kind!r} (got value {got!r}); set the table's kind as well"
    if detail["type"] == "extra_forbidden":
        return f"unknown key {dotted!r} (got value {got!r}); {nearest(dotted, _keys_near(location, known))}"
    if detail["type"] == "missing":
        return f"{dotted}: missing; set it in the profile or with --set {dotted}=..."
    shown = "" if isinstance(got, Mapping) else f", got {got!r}"
    meaning = known.get(dotted)
    explained = f" ({' '.join(meaning.split())})" if meaning else ""
    return f"{dotted}: {detail['msg'].removeprefix('Value error, ')}{shown}{explained}"


def _as_written(detail: ErrorDetails, table: Mapping[str, JsonValue]) -> tuple[list[str], object]:
    """The error's key as the user wrote it, and the kind of the table that holds it.

    A discriminated union adds the value of `kind` to the location.
    """
    written: list[str] = []
    node: object = table
    kind: object = None
    parts = list(detail["loc"])
    # Only of a missing or unknown key is the last part surely a key.
    num_keys = len(parts) - 1 if detail["type"] in ("extra_forbidden", "missing") else len(parts)
    for depth, part in enumerate(parts):
        here = node if isinstance(node, Mapping) else {}
        kind = here.get("kind", here.get("name"))
        if depth < num_keys and part not in here and part == kind:
            continue
        written.append(str(part))
        node = here.get(part)
    return written, kind


def _keys_near(location: Sequence[str], known: Mapping[str, str | None]) -> Iterator[str]:
    """Known keys; inside a benchmark, whose name is the user's own, those of a source under that name."""
    if location[:2] != ["problems", "benchmarks"]:
        yield from known
        return
    for key in known:
        if key.startswith("problems.source."):
            yield key.replace("source", f"benchmarks.{location[2]}", 1)


def _refuse_unused(config: PipelineConfig, explicit: Sequence[Sequence[str]]) -> None:
    """Refuse a key set by hand that has no effect as the others are set."""
    for keys in explicit:
        node: object = config
        for key in keys:
            reason = node.unused_fields().get(key) if isinstance(node, Table) else None
            if reason:
                said = f"{'.'.join(keys)} would have no effect: {reason}; leave it out or change the other key"
                raise ConfigError(said)
            node = node[key] if isinstance(node, dict) else getattr(node, key, None)
