"""The checks can fail: each of them rejects a damaged copy of the module it checks, and accepts an undamaged one."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from tests.invariants.mutants import MUTANTS, Mutant


@contextmanager
def _copy(module: str, *, old: str = "", new: str = "") -> Iterator[ModuleType]:
    """A fresh copy of a core module under another name, with `old` replaced by `new`."""
    path = Path(importlib.import_module(f"thinkless_core.{module}").__file__ or "")
    text = path.read_text(encoding="utf-8")
    assert not old or text.count(old) == 1, f"{path.name} holds {old!r} {text.count(old)} times; renew this mutant"
    copy = types.ModuleType(f"mutant_of_{module}")
    sys.modules[copy.__name__] = copy  # dataclasses look their module up
    try:
        exec(compile(text.replace(old, new) if old else text, path.name, "exec"), copy.__dict__)
        yield copy
    finally:
        del sys.modules[copy.__name__]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_mutant_is_rejected(mutant: Mutant) -> None:
    with _copy(mutant.module, old=mutant.old, new=mutant.new) as damaged, pytest.raises(AssertionError):
        mutant.check(damaged)


@pytest.mark.parametrize(
    ("module", "check"),
    sorted({(m.module, m.check) for m in MUTANTS}, key=str),
    ids=lambda x: getattr(x, "__name__", x),
)
def test_an_undamaged_copy_is_accepted(module: str, check: Callable[[ModuleType], None]) -> None:
    with _copy(module) as copy:
        check(copy)
