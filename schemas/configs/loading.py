"""From a profile and overrides to a checked configuration.

profile name or TOML file -> table -> overrides (`rl.gamma=0.3`) applied -> PipelineConfig.
Everything that can be wrong is said before the first stage runs: unknown keys with the nearest valid name, values
out of range with the key they belong to, keys that would have no effect.
"""

from __future__ import annotations

import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from schemas.configs.pipeline import PipelineConfig
from schemas.configs.schedule import KINDS as SCHEDULE_KINDS
from schemas.configs.stage import Table
from schemas.errors import ConfigError, nearest

TAGS = frozenset(
    {
        "tiny",
        "pretrained",
        "procedural",
        "local",
        "hub",
        "preset",
        "recorded",
        "worked_solutions",
        "openai",
        "transformers",
        "vllm",
    }
    | set(SCHEDULE_KINDS)
)
"""Values of `kind`; a discriminated union puts them into the location of an error."""


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
        raise ConfigError(_explain(error, profile)) from error
    _refuse_unused(config, [keys for keys, _ in assignments])
    return config


def known_keys(model: type[BaseModel] = PipelineConfig, prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """Every dotted key the configuration knows, over all kinds of every table, with what it means."""
    for name, field in model.model_fields.items():
        dotted = f"{prefix}{name}"
        yield dotted, field.description
        for inner in _models_in(field.annotation):
            yield from known_keys(inner, f"{dotted}.")


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Configuration tables inside a (possibly annotated, union or mapping) type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        if typing.get_origin(annotation) is dict:
            return  # keys of a mapping are names of the user's own
        for member in typing.get_args(annotation):
            yield from _models_in(member)


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


def _explain(error: ValidationError, profile: str) -> str:
    lines = [_explain_one(detail) for detail in error.errors()]
    return f"configuration of profile {profile!r} cannot be used:\n" + "\n".join(f"  - {line}" for line in lines)


def _explain_one(detail: ErrorDetails) -> str:
    """One line: which key, what is wrong, what was got, the way out."""
    known = dict(known_keys())
    # A discriminated union adds its tag to the location; the user never wrote it.
    location = [str(part) for part in detail["loc"]]
    # A benchmark's name, at place 2, is the user's own and may look like a tag.
    own_name = 2 if location[:2] == ["problems", "benchmarks"] else None
    # Only of a missing or unknown key is the last part surely a key, and not the tag of the table that is wrong.
    last = len(location) - 1 if detail["type"] in ("extra_forbidden", "missing") else None
    untagged = [p for i, p in enumerate(location) if i in (0, own_name, last) or p not in TAGS]
    dotted = ".".join(untagged)
    got = detail["input"]
    if detail["type"] == "extra_forbidden" and dotted in known:
        kinds = [p for p in location if p in TAGS]
        return f"key {dotted!r} does not belong to kind {kinds[-1]!r} (got value {got!r}); set the table's kind as well"
    if detail["type"] == "extra_forbidden":
        return f"unknown key {dotted!r} (got value {got!r}); {nearest(dotted, _keys_near(location, known))}"
    if detail["type"] == "missing":
        return f"{dotted}: missing; set it in the profile or with --set {dotted}=..."
    shown = "" if isinstance(got, Mapping) else f", got {got!r}"
    meaning = known.get(dotted)
    explained = f" ({' '.join(meaning.split())})" if meaning else ""
    return f"{dotted}: {detail['msg'].removeprefix('Value error, ')}{shown}{explained}"


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
