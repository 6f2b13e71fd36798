"""From a profile and overrides to a checked configuration.

profile name or TOML file -> table -> overrides (`rl.gamma=0.3`) applied -> PipelineConfig.
Everything that can be wrong is refused before the first stage runs: unknown keys with the nearest valid name, values
out of range with the key they belong to, keys that would have no effect.
"""

from __future__ import annotations

import contextlib
import os
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, JsonValue, ValidationError

from schemas.broken_escapes import unusable_character
from schemas.configs.explanation import explained
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.stage import Table
from schemas.errors import ConfigError, nearest
from schemas.kinds import Kind, find_kind, shipped_kinds

MOVED: Mapping[str, str] = {
    "rl.alpha": "rl.objective.alpha (under hgpo: rl.objective.inter_weight)",
    "rl.advantage": "rl.baseline",
    "rl.adaptthink_delta": "rl.objective.delta",
    "rl.hgpo_margin": "rl.objective.margin",
    "rl.reference_samples": "rl.objective.reference_samples",
}
"""Keys of earlier versions -> where they are now. They are refused, in a profile as in an override."""


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that ship with the package."""
    files = resources.files("schemas.profiles").iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml")))


def load_config(profile: str, *, overrides: Sequence[str] = ()) -> PipelineConfig:
    """The checked configuration of `profile` with `overrides` applied.

    `profile`: a shipped name or a TOML file; override: `dotted.key=value` as in TOML, text bare. Raises ConfigError.
    """
    table = _read_profile(profile)
    table.setdefault("profile", Path(profile).stem)
    assigned = apply_overrides(table, overrides)
    _refuse_moved(table)
    _refuse_broken_escapes(table)
    try:
        config = PipelineConfig.model_validate(table)
    except ValidationError as error:
        raise ConfigError(explained(error, profile, table, known=dict(known_keys(table=table)))) from error
    _refuse_unused(config, assigned)
    return config


def apply_overrides(table: dict[str, JsonValue], overrides: Sequence[str]) -> list[list[str]]:
    """Write overrides into the table of a profile, or of some of its sections, in place; returns the keys they set."""
    assignments = [_naming_the_choice(*_parse_override(text)) for text in overrides]
    assignments.sort(key=lambda a: a[0][-1] not in ("kind", "name"))  # a changed choice starts its table afresh
    for keys, value in assignments:
        _assign(table, keys, value)
    return [keys for keys, _ in assignments]


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
            text = Path(os.path.expanduser(profile)).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise ConfigError(f"profile file {profile}: {error.strerror}; give the path of a TOML file") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"profile file {profile} is not UTF-8 text: {error}; give a TOML file") from error
    else:
        raise ConfigError(
            f"unknown profile {profile!r}; {nearest(profile, profile_names())} (shipped: {', '.join(profile_names())}; "
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
    except tomllib.TOMLDecodeError as error:
        value = raw.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            raise ConfigError(
                f"override {text!r}: the text in quotes is not TOML: {error}; write it without quotes, in single "
                "quotes, or each backslash twice"
            ) from error
    return key.strip().split("."), value


def _naming_the_choice(keys: list[str], value: JsonValue) -> tuple[list[str], JsonValue]:
    """`rl.objective=hgpo` as `rl.objective.name=hgpo`; other overrides as they are."""
    kind = _kind_at(keys)
    return ([*keys, kind.tag], value) if kind is not None and isinstance(value, str) else (keys, value)


def _kind_at(keys: Sequence[str]) -> type[Kind] | None:
    """The base class of the kinds that a key chooses from, if it chooses one."""
    annotation: object = PipelineConfig
    for key in keys:
        models = [m for m in _plain_models(annotation) if not issubclass(m, Kind)]
        fields = [model.model_fields[key] for model in models if key in model.model_fields]
        if not fields:
            return None
        annotation = fields[0].annotation
    return next((m for m in _plain_models(annotation) if issubclass(m, Kind)), None)


def _plain_models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for member in typing.get_args(annotation):
        yield from _plain_models(member)


def _assign(table: dict[str, JsonValue], keys: Sequence[str], value: JsonValue) -> None:
    node = table
    for depth, key in enumerate(keys[:-1], start=1):
        child = node.setdefault(key, {})
        kind = _kind_at(keys[:depth])
        if kind is not None and isinstance(child, str):
            child = node[key] = {kind.tag: child}  # the short form of a choice
        if not isinstance(child, dict) and list(keys[depth:]) == ["kind"]:
            child = node[key] = {}  # a plain number gives way to a schedule
        if not isinstance(child, dict):
            raise ConfigError(f"{'.'.join(keys)}: {key!r} is a value, not a table, so nothing can be set below it")
        node = child
    kind = _kind_at(keys[:-1])
    if kind is not None and keys[-1] == kind.tag == "name":
        _keep_what_both_have(node, kind, name=value)
    elif keys[-1] == "kind" and node.get("kind", value) != value:
        node.clear()
    node[keys[-1]] = value


def _keep_what_both_have(node: dict[str, JsonValue], kind: type[Kind], *, name: JsonValue) -> None:
    """Drop the fields that a newly chosen objective or reward does not have; one unknown by name loses them all.

    `alpha` of the profile stays if `degrpo-token` takes the place of `degrpo-paper`.
    """
    try:
        fields = find_kind(kind, str(name)).model_fields
    except ValueError:  # said with all else that is wrong
        fields = {}
    for field in [field for field in node if field not in fields]:
        del node[field]


def _refuse_moved(table: Mapping[str, JsonValue]) -> None:
    """Raise ConfigError for keys that earlier versions had."""
    lines = []
    for old, new in MOVED.items():
        node: object = table
        for key in old.split("."):
            node = node.get(key) if isinstance(node, dict) else None
        if node is not None:
            lines.append(f"key {old!r} (got value {node!r}) is now {new}; write that instead")
    if lines:
        raise ConfigError("\n".join(lines))


def _refuse_broken_escapes(node: object, key: str = "") -> None:
    """Raise ConfigError for a text whose backslash TOML took for an escape: `"\\boxed{}"` is backspace and `oxed{}`."""
    if isinstance(node, Mapping):
        for name, inner in node.items():
            _refuse_broken_escapes(inner, f"{key}.{name}" if key else name)
    elif isinstance(node, list):
        for inner in node:
            _refuse_broken_escapes(inner, key)
    elif isinstance(node, str) and (damage := unusable_character(node)):
        raise ConfigError(
            f"{key}: the text holds {damage}, got {node!r:.80}; write it in single quotes ('...'), or each backslash "
            "twice"
        )


def _refuse_unused(config: PipelineConfig, explicit: Sequence[Sequence[str]]) -> None:
    """Refuse a key set by hand that has no effect as the others are set."""
    for keys in explicit:
        node: object = config
        for depth, key in enumerate(keys):
            unused = node.unused_fields() if isinstance(node, Table) else {}
            reason = unused.get(key) or unused.get(".".join(keys[depth:]))
            if reason:
                message = f"{'.'.join(keys)} would have no effect: {reason}; leave it out or change the other key"
                raise ConfigError(message)
            node = node[key] if isinstance(node, dict) else getattr(node, key, None)
