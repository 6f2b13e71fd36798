"""Which edits change a fingerprint, and what a stage key depends on."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from infra import fingerprint
from infra.fingerprint import (
    KEY_LENGTH,
    canonical_json,
    combined,
    file_sha256,
    resource_hashes,
    source_hashes,
    stage_key,
)
from infra.python_sources import ModuleSources
from schemas.artifact import Artifact

PROJECT = {
    "entry.py": "import json\nfrom corelib.loop import step\n",
    "corelib/__init__.py": "",
    "corelib/loop.py": "def step():\n    from corelib import late\n    return late.VALUE\n",
    "corelib/late.py": "import corelib.deep.leaf\nVALUE = 1\n",
    "corelib/deep/__init__.py": "PACKAGE = 1\n",
    "corelib/deep/leaf.py": "from .sibling import X\n",
    "corelib/deep/sibling.py": "X = 1\n",
    "corelib/unused.py": "X = 1\n",
    "otherlib/__init__.py": "",
    "otherlib/thing.py": "X = 1\n",
}


WORDS = """
class LimitError(Exception):
    pass

class Negative(Exception):
    pass

def check(value):
    assert value, "a value is too large"
    if value > 1:
        raise LimitError(f"{value} is too large")
    if value < 0:
        raise Negative(f"{value} is below 0")
    return LimitError("too large")
"""
PROJECT["corelib/late.py"] += WORDS


def fingerprint_of(folder: Path, **edits: str) -> str:
    """The fingerprint of PROJECT, written to `folder` with some files edited."""
    for name, text in {**PROJECT, **edits}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setattr(fingerprint, "module_sources", lambda: ModuleSources(folder / "module_sources.json"))
        _forget_this_process()
        found = combined(source_hashes(["entry"], packages=("corelib",)))
    _forget_this_process()
    assert "corelib" not in sys.modules, "fingerprinting must not run the code"
    return found


def _forget_this_process() -> None:
    """Code that is loaded does not change, so a process remembers; these folders stand for processes of their own."""
    fingerprint._source_hashes.cache_clear()
    fingerprint._module_file.cache_clear()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("entry.py", PROJECT["entry.py"] + "MORE = 1\n"),
        ("corelib/__init__.py", "X = 1\n"),
        ("corelib/loop.py", PROJECT["corelib/loop.py"].replace("late.VALUE", "-late.VALUE")),
        ("corelib/late.py", PROJECT["corelib/late.py"].replace("VALUE = 1", "VALUE = 2")),
        ("corelib/deep/__init__.py", "PACKAGE = 2\n"),
        ("corelib/deep/sibling.py", "X = 2\n"),
    ],
)
def test_code_that_is_reached_changes_the_fingerprint(tmp_path: Path, name: str, text: str) -> None:
    assert fingerprint_of(tmp_path / "before") != fingerprint_of(tmp_path / "after", **{name: text})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("corelib/unused.py", "X = 2\n"),
        ("otherlib/thing.py", "X = 2\n"),
        ("corelib/deep/sibling.py", '"""Docstring."""\n\n\nX   =   1  # comment\n'),
        ("corelib/loop.py", PROJECT["corelib/loop.py"].replace(":\n", ':\n    """Steps."""\n', 1)),
        (
            "corelib/late.py",
            PROJECT["corelib/late.py"].replace("too large", "over the limit").replace("is below", "under"),
        ),
    ],
)
def test_other_code_comments_docstrings_layout_and_words_of_errors_do_not(tmp_path: Path, name: str, text: str) -> None:
    assert fingerprint_of(tmp_path / "before") == fingerprint_of(tmp_path / "after", **{name: text})


def test_an_entry_module_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no module named 'tasks\.no_such_stage'"):
        source_hashes(["tasks.no_such_stage"])


def test_each_module_has_a_hash_of_its_own_under_its_name() -> None:
    hashes = source_hashes(["schemas.records.problems"])
    assert {"schemas", "schemas.base", "schemas.records.problems"} <= set(hashes)
    assert combined(hashes) != combined({**hashes, "schemas.base": "0"})
    assert combined(hashes) == combined(dict(reversed(hashes.items())))


def test_canonical_json_is_one_text_per_value() -> None:
    assert canonical_json({"b": (1, 2.5), "a": {"ü": None}}) == '{"a":{"ü":null},"b":[1,2.5]}'


@pytest.mark.parametrize("value", [{1, 2}, object(), Path("x")])
def test_values_without_an_order_or_a_json_form_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no canonical JSON"):
        canonical_json({"x": value})


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json(float("nan"))


def key(**changes: object) -> str:
    """A stage key with some parts changed."""
    teach = Artifact(stage="teach", key="k1", digest="d1", path="/one", rows=3)
    base = Artifact(stage="base", key="k2", digest="d2", path="/two", rows=1)
    parts = {
        "stage": "pairs",
        "fingerprint": "f",
        "config": {"a": 1, "b": 2},
        "inputs": [teach, base],
        **changes,
    }
    return stage_key(**parts)  # type: ignore[arg-type]


def test_every_part_of_the_identity_changes_the_key() -> None:
    teach = Artifact(stage="teach", key="k1", digest="d1", path="/one", rows=3)
    base = Artifact(stage="base", key="k2", digest="d2", path="/two", rows=1)
    keys = [
        key(),
        key(stage="sft"),
        key(fingerprint="g"),
        key(config={"a": 1, "b": 3}),
        key(inputs=[teach]),
        key(inputs=[base, teach]),
        key(inputs=[teach.model_copy(update={"digest": "other"}), base]),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(k) == KEY_LENGTH for k in keys)


def test_place_and_key_of_inputs_and_order_of_settings_do_not() -> None:
    moved = Artifact(stage="teach", key="rebuilt", digest="d1", path="/moved", rows=3)
    base = Artifact(stage="base", key="k2", digest="d2", path="/two", rows=1)
    assert key(inputs=[moved, base], config={"b": 2, "a": 1}) == key()


def test_file_hash_is_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc" * 1_000_000)
    assert file_sha256(tmp_path / "f") == hashlib.sha256(b"abc" * 1_000_000).hexdigest()


def test_comments_and_layout_of_a_query_do_not_count_and_its_words_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some_sql_package").mkdir()
    (tmp_path / "some_sql_package" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "some_sql_package" / "one.sql"
    found = []
    for text in ("-- One row: one.\nselect 1\n", "select\n    1  -- the one\n", "select 3", "select 2"):
        file.write_text(text)
        found.append(resource_hashes(["some_sql_package/one.sql"])["some_sql_package/one.sql"])
    assert found[0] == found[1]
    assert len(set(found)) == 3
    with pytest.raises(ValueError, match=r"no file or folder 'some_sql_package/two\.sql'"):
        resource_hashes(["some_sql_package/two.sql"])


def test_a_folder_of_resources_counts_file_by_file() -> None:
    hashes = resource_hashes(["infra/report/html"])
    assert {"infra/report/html/style.css", "infra/report/html/report.html.j2"} <= set(hashes)
    assert not any(name.endswith(".py") for name in hashes)
