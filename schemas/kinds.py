"""Kinds that users add: problem sources, teachers, verifiers, rewards, objectives.

profile: `name = "hgpo"` | `"my_rewards.py:LengthBonus"` | `"package.module:LengthBonus"`
    -> find_kind -> a configuration class -> checked like any other table -> `.build()` -> the working object

A name is an entry point of an installed package (group `thinkless.rewards`, ...); the shipped ones are entry points
too. Configuration classes load fast: they import no torch. The class that does the work may be in another module, named
by `implementation` and imported by `build`. Stage keys count both (infra/fingerprint.py).
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, TypeVar

from schemas.configs.stage import Table, tables_in
from schemas.errors import ConfigError, nearest

DISTRIBUTION = "thinkless-flows"


class Kind(Table):
    """A configuration table whose class is chosen by name, by file or by import path.

    The base class of a group (all rewards, all sources, ...) sets `group`. A class of the group does its work itself,
    or names in `implementation` the class that does; that one is called with the configuration.
    """

    group: ClassVar[str] = ""
    """Entry-point group, such as `thinkless.rewards`."""
    tag: ClassVar[str] = "kind"
    """Field that holds the choice."""
    implementation: ClassVar[str | None] = None
    """`module:Class` of the object that `build` makes; None: the configuration itself does the work."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Installed packages that decide what it gives: their versions are part of the keys of the stages that use it."""
    extra: ClassVar[str] = ""
    """Extra of this project that brings those packages."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        """A class from outside that builds on a shipped one may have any name, not only that of the shipped one."""
        super().__init_subclass__(**keywords)
        own: dict[str, Any] = vars(cls).get("__annotations__", {})
        if is_plugin(cls) and cls.tag in getattr(cls, "model_fields", {}) and cls.tag not in own:
            cls.__annotations__ = {**own, cls.tag: "str"}
            setattr(cls, cls.tag, "")

    def build(self, *args: Any, **keywords: Any) -> Any:
        """The working object; the arguments are passed on to its class."""
        if self.implementation is None:
            return self
        module, _, name = self.implementation.partition(":")
        return getattr(importlib.import_module(module), name)(self, *args, **keywords)

    @classmethod
    def modules(cls) -> tuple[str, ...]:
        """First-party modules that implement it, for the keys of the stages that use it."""
        return tuple(name for name in _modules_of(cls) if _is_first_party(name))

    @classmethod
    def source_files(cls) -> Mapping[str, Path]:
        """Name -> source file, for a class from outside this program."""
        return _plugin_files([name for name in _modules_of(cls) if not _is_first_party(name)])


K = TypeVar("K", bound=Kind)


def chosen(base: type[K]) -> Callable[[Any], Any]:
    """A validator for a field of type `base`: `"name"` or `{name = "name", ...}` -> an instance of that class."""

    def choose(value: Any) -> Any:
        if isinstance(value, str):
            value = {base.tag: value}
        if not isinstance(value, dict):
            return value  # an instance, or a value that pydantic will refuse
        name = value.get(base.tag)
        if not isinstance(name, str):
            got = "is missing" if name is None else f"is {name!r}"
            raise ValueError(f"{base.tag} {got}; set it to one of {', '.join(kind_names(base))}, or to FILE.py:Class")
        found = find_kind(base, name)
        field = found.model_fields.get(base.tag)
        own = field.default if field is not None else None
        # An alias of a shipped kind becomes its name; a class from outside is found again only by what was written.
        canonical = isinstance(own, str) and own and not is_plugin(found)
        named = {**value, base.tag: own if canonical else name}
        return found.model_validate(named)

    return choose


def kind_names(base: type[Kind]) -> tuple[str, ...]:
    """Every name that installed packages offer for a group."""
    return tuple(sorted({point.name for point in metadata.entry_points(group=base.group)} | set(_shipped(base.group))))


def find_kind(base: type[K], name: str) -> type[K]:
    """The class given by a name, a file or an import path; raises ValueError with the way out."""
    location, colon, attribute = name.partition(":")
    if colon:
        module = _module_of_file(location, base) if location.endswith(".py") else _module_of_path(location, base)
        found = getattr(module, attribute, None)
        if found is None:
            offered = [
                n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, base) and v is not base
            ]
            raise ValueError(
                f"{location} has no {attribute!r}; {nearest(attribute, offered) if offered else 'it is empty'}"
            )
    else:
        found = _named(base, name)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(f"{name} is {found!r}, expected a subclass of {base.__module__}.{base.__qualname__}")
    return found


def kinds_in(config: object) -> Iterator[Kind]:
    """Every kind chosen anywhere in a configuration, outer ones first."""
    return (table for _, table in tables_in(config) if isinstance(table, Kind))


def is_plugin(kind: type[Kind]) -> bool:
    """Whether a class comes from outside this program."""
    return not _is_first_party(kind.__module__)


def shipped_kinds(base: type[K]) -> tuple[type[K], ...]:
    """The classes of a group that come with this program."""
    found = (point.load() for point in _shipped(base.group).values())
    return tuple(kind for kind in found if issubclass(kind, base))


def _is_first_party(module: str) -> bool:
    return module.partition(".")[0] in ("schemas", "thinkless_core", "infra", "tasks", "flows")


def _modules_of(kind: type[Kind]) -> tuple[str, ...]:
    """The module of the class and that of its implementation; a plug-in may use an implementation of this program."""
    return (kind.__module__,) + ((kind.implementation.partition(":")[0],) if kind.implementation else ())


@functools.cache
def _shipped(group: str) -> Mapping[str, metadata.EntryPoint]:
    """This program's own names; they are looked up first, because reading every installed package is slow."""
    return {point.name: point for point in _own_entry_points() if point.group == group}


@functools.cache
def _own_entry_points() -> tuple[metadata.EntryPoint, ...]:
    """Of the installed distribution; in a copy of the repository that is not installed, what pyproject.toml says."""
    try:
        return tuple(metadata.distribution(DISTRIBUTION).entry_points)
    except metadata.PackageNotFoundError as error:
        file = Path(__file__).parents[1] / "pyproject.toml"
        project: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))["project"] if file.is_file() else {}
        if project.get("name") != DISTRIBUTION:
            raise ConfigError(
                f"{DISTRIBUTION} is not installed, so its kinds cannot be found; run `pip install -e .` in its folder"
            ) from error
        groups: dict[str, dict[str, str]] = project["entry-points"]
        return tuple(
            metadata.EntryPoint(name, value, group) for group in groups for name, value in groups[group].items()
        )


def _named(base: type[Kind], name: str) -> Any:
    point = _shipped(base.group).get(name)
    if point is None:
        others = {p.value: p for p in metadata.entry_points(group=base.group, name=name)}
        if not others:
            raise ValueError(f"unknown {base.tag} {name!r}; {nearest(name, kind_names(base))} (or FILE.py:Class)")
        if len(others) > 1:
            raise ValueError(
                f"{name!r} is offered by {' and by '.join(sorted(others))}; write the import path of the one you mean"
            )
        (point,) = others.values()
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{name!r} ({point.value}) cannot be imported: {error}; reinstall the package") from error


def _module_of_path(name: str, base: type[Kind]) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f"{base.tag} names module {name!r}, which cannot be imported: {error}; install its package, or give "
            "FILE.py:Class"
        ) from error


def _module_of_file(name: str, base: type[Kind]) -> ModuleType:
    path = Path(name).expanduser().resolve()
    if not path.is_file():
        raise ValueError(f"{base.tag} names the file {name}, which does not exist (relative to the current directory)")
    return _loaded(path, hashlib.sha256(path.read_bytes()).hexdigest())


@functools.cache
def _loaded(path: Path, digest: str) -> ModuleType:
    """A file as a module with a unique name; it runs again only if its content changed."""
    name = f"thinkless_plugin_{path.stem}_{hashlib.sha256(f'{path}{digest}'.encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a user's file may fail in any way
        del sys.modules[name]
        raise ValueError(f"{path.name} cannot be run: {type(error).__name__}: {error}") from error
    return module


def _plugin_files(modules: Iterable[str]) -> Mapping[str, Path]:
    """The file of each module, or every Python file of its top-level package."""
    files: dict[str, Path] = {}
    for name in modules:
        top = sys.modules.get(name.partition(".")[0]) or importlib.import_module(name.partition(".")[0])
        for root in getattr(top, "__path__", ()):
            files |= {str(f.relative_to(Path(root).parent)): f for f in sorted(Path(root).rglob("*.py"))}
        if not hasattr(top, "__path__") and top.__file__ is not None:
            files[Path(top.__file__).name] = Path(top.__file__)
    return files
