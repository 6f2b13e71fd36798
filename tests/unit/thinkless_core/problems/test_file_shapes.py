"""Files as they come: encodings, endings, shapes of JSON. Each is read, or refused with its place and the way out."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.configs.base_model import PretrainedModel
from schemas.configs.presets import PresetSource
from schemas.configs.problems import HubSource, LocalSource, ProblemsConfig
from schemas.configs.teach import TransformersTeacher
from schemas.errors import SourceError
from tasks.prepare_problems import PrepareProblems
from tasks.running.stage import make_plan
from tests.problem_rows import GOOD, read, write

ROWS = [json.dumps(row) for row in GOOD]
FOUND = [("11+22=?", "3", None), ("11+33=?", "4", None)]
MARK = "\ufeff"


def problems_from(path: str) -> ProblemsConfig:
    """A configuration that reads one file for all."""
    source = LocalSource(path=path)
    return ProblemsConfig(source=source, benchmarks={"bench": source})


READ: Mapping[str, tuple[str, str]] = {
    "capitals": ("P.JSONL", "\n".join(ROWS)),
    "capitals of a list": ("P.Json", f"[{', '.join(ROWS)}]"),
    "another name for lines": ("p.ndjson", "\n".join(ROWS)),
    "a byte order mark": ("p.jsonl", MARK + "\n".join(ROWS)),
    "a byte order mark in each part": ("p.jsonl", f"{MARK}{ROWS[0]}\n{MARK}{ROWS[1]}"),
    "a byte order mark before a list": ("p.json", f"{MARK}[{', '.join(ROWS)}]"),
    "lines of Windows": ("p.jsonl", "\r\n".join(ROWS) + "\r\n"),
    "lines of an old Mac": ("p.jsonl", "\r".join(ROWS) + "\r"),
    "lines called .json": ("p.json", "\n".join(ROWS) + "\n"),
    "lines called .json with a mark and empty lines": ("p.json", f"{MARK}{ROWS[0]}\r\n\r\n{ROWS[1]}\r\n"),
    "a list called .jsonl": ("p.jsonl", f"[{', '.join(ROWS)}]"),
    "a list of many lines called .jsonl": ("p.jsonl", json.dumps(GOOD, indent=2)),
    "a list with a row per line": ("p.jsonl", "[" + ",\n".join(ROWS) + "]\n"),
    "data": ("p.json", json.dumps({"data": GOOD})),
    "rows beside their description": (
        "p.json",
        json.dumps({"version": "1", "tags": ["a"], "problems": GOOD}, indent=1),
    ),
    "data called .jsonl": ("p.jsonl", json.dumps({"data": GOOD}) + "\n"),
    "data on many lines called .jsonl": ("p.jsonl", json.dumps({"rows": GOOD}, indent=2)),
}


@pytest.mark.parametrize("name", READ)
def test_a_file_is_read_whatever_its_shape(tmp_path: Path, name: str) -> None:
    file, text = READ[name]
    (tmp_path / file).write_bytes(text.encode())
    assert read(tmp_path / file) == FOUND


def test_the_place_of_a_row_is_told_in_every_shape(tmp_path: Path) -> None:
    for file, text, place in (
        ("p.json", "\n".join([*ROWS, "", '{"prompt": "q"}']), "p.json, line 4"),
        ("p.json", json.dumps({"data": [*GOOD, {"prompt": "q"}]}), "p.json, item 3 of 'data'"),
        ("p.jsonl", json.dumps([*GOOD, {"prompt": "q"}], indent=1), "p.jsonl, item 3"),
    ):
        (tmp_path / file).write_text(text)
        with pytest.raises(SourceError, match=f"{place}: no column 'answer'"):
            read(tmp_path / file)


def test_a_separator_of_lines_inside_a_text_ends_no_row(tmp_path: Path) -> None:
    for file in ("p.jsonl", "p.json"):
        rows = [{"prompt": f"a{c}b", "answer": "1"} for c in ("\u2028", "\u0085", "\u2029")]
        (tmp_path / file).write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
        assert [prompt for prompt, *_ in read(tmp_path / file)] == ["a\u2028b", "a\x85b", "a\u2029b"]


def test_a_pair_of_surrogates_is_one_character(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "\\ud83d\\ude00", "answer": "1"}')
    assert read(tmp_path / "p.jsonl") == [("\U0001f600", "1", None)]


TEXT = "\n".join(ROWS)
REFUSED: Mapping[str, tuple[str, bytes, list[str]]] = {
    "UTF-16": ("p.jsonl", TEXT.encode("utf-16"), ["p.jsonl: cannot be read", "UTF-16", "save it as UTF-8"]),
    "UTF-16 without a mark": ("p.json", TEXT.encode("utf-16-le"), ["UTF-16", "save it as UTF-8"]),
    "UTF-32": ("p.jsonl", TEXT.encode("utf-32"), ["UTF-32", "save it as UTF-8"]),
    "Latin-1": ("p.jsonl", TEXT.encode() + "\n\u00e9".encode("latin-1"), ["line 3", "0xe9", "save the file as UTF-8"]),
    "Latin-1 in a list": ("p.json", '[\n"\u00e9"]'.encode("latin-1"), ["p.json, line 2", "0xe9", "UTF-8"]),
    "gzip": ("p.jsonl", gzip.compress(TEXT.encode()), ["gzip", "unpack it"]),
    "gzip by its ending": ("p.jsonl.gz", gzip.compress(TEXT.encode()), ["'.gz'", "unpack it"]),
    "bzip2": ("p.json", bz2.compress(TEXT.encode()), ["bzip2", "unpack it"]),
    "xz": ("p.json", lzma.compress(TEXT.encode()), ["xz", "unpack it"]),
    "zip": ("p.parquet", b"PK\x03\x04 and so on", ["zip", "unpack it"]),
    "zstd": ("p.jsonl", b"\x28\xb5\x2f\xfd and so on", ["zstd", "unpack it"]),
    "Parquet called .jsonl": ("p.jsonl", b"PAR1 and so on", ["Parquet", "name it .parquet"]),
    "a pointer of Git LFS": ("p.parquet", b"version https://git-lfs.github.com/spec/v1\n", ["Git LFS", "git lfs pull"]),
    "a web page": ("p.json", b"<!DOCTYPE html>\n<html>", ["web page", "download the data"]),
    "XML": ("p.json", b'<?xml version="1.0"?><Machine-Reading-Corpus/>', ["XML", "as JSON"]),
    "a table": ("p.tsv", b"prompt\tanswer\n", ["'.tsv'", "write it as Parquet", "read_csv", "p.parquet"]),
    "only a mark": ("p.jsonl", MARK.encode(), ["p.jsonl is empty"]),
    "only a mark and a line": ("p.json", f"{MARK}\n".encode(), ["p.json is empty"]),
    "two lists": ("p.json", b'{"train": [{"a": 1}], "test": [{"a": 1}]}', ["2 lists", "'train', 'test'", "of its own"]),
    "columns": ("p.json", b'{"prompt": ["q"], "answer": ["1"]}', ["holds a dict", "columns", "orient='records'"]),
    "columns by number": ("p.json", b'{"prompt": {"0": "q"}, "answer": {"0": "1"}}', ["columns", "orient='records'"]),
    "a text": ("p.jsonl", b'"q"\n', ["p.jsonl, line 1", "'q'", "an object with named columns"]),
    "null": ("p.jsonl", f"{ROWS[0]}\nnull\n".encode(), ["p.jsonl, line 2", "None", "an object"]),
    "a header": ("p.jsonl", b'["prompt", "answer"]\n["q", "1"]\n', ["p.jsonl, line 1", "an object"]),
    "one backslash": ("p.jsonl", rb'{"prompt": "$\pi$", "answer": "1"}', ["line 1", "not JSON", "written twice"]),
    "Python": ("p.jsonl", b"{'prompt': 'q', 'answer': '1'}", ["line 1", "not JSON", "double quotes"]),
    "cut off": ("p.jsonl", TEXT.encode()[:-20], ["p.jsonl, line 2", "not JSON"]),
    "a line break inside a text": ("p.jsonl", b'{"prompt": "a\nb", "answer": "1"}', ["p.jsonl, line 1", "not JSON"]),
    "a huge number": ("p.jsonl", b'{"prompt": "q", "answer": ' + b"9" * 5000 + b"}", ["line 1", "4300 digits"]),
    "too deep": ("p.jsonl", b'{"prompt": ' + b"[" * 100_000, ["p.jsonl, line 1", "nested too deep"]),
    "two answers": ("p.jsonl", b'{"prompt": "q", "answer": "1", "answer": "2"}', ["'answer' stands there twice"]),
    "half of a Parquet file": ("p.parquet", b"PAR1 and no end", ["p.parquet: cannot be read"]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_read_is_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    file, content, said = REFUSED[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(SourceError) as caught:
        read(tmp_path / file)
    assert [part for part in said if part not in str(caught.value)] == [], str(caught.value)
    assert str(caught.value).isprintable(), "one sentence, on one line"


def test_a_parquet_row_whose_bytes_are_no_text_is_named(tmp_path: Path) -> None:
    prompts = pa.array([b"a", b"b", b"\xff"]).view(pa.string())
    pq.write_table(pa.table({"prompt": prompts, "answer": ["1", "2", "3"]}), tmp_path / "p.parquet")
    with pytest.raises(SourceError, match=r"p\.parquet, row 3: cannot be read: .*mend or drop the row"):
        read(tmp_path / "p.parquet")


def test_two_parquet_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    columns = [pa.array(["q"]), pa.array(["1"]), pa.array(["2"])]
    pq.write_table(pa.Table.from_arrays(columns, names=["prompt", "answer", "answer"]), tmp_path / "p.parquet")
    with pytest.raises(SourceError, match=r"p\.parquet: has 2 columns 'answer', expected one; rename the others"):
        read(tmp_path / "p.parquet")


def test_a_parquet_file_may_be_called_in_capitals(tmp_path: Path) -> None:
    write(tmp_path / "p.parquet", GOOD).rename(tmp_path / "P.PARQUET")
    assert read(tmp_path / "P.PARQUET") == FOUND


def test_the_home_of_the_user_is_meant_by_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "p.jsonl", GOOD)
    assert read(Path("~/p.jsonl")) == FOUND
    assert LocalSource(path="~/p.jsonl").local_paths() == (f"{tmp_path}/p.jsonl",), "its content is part of the key"
    assert PresetSource(name="gsm8k", path="~/p.jsonl").local_paths() == (f"{tmp_path}/p.jsonl",)
    assert HubSource(id="~/folder").local_paths() == (f"{tmp_path}/folder",)
    assert TransformersTeacher(model="~/model").local_paths() == (f"{tmp_path}/model",)
    assert PretrainedModel(path="~/model").local_paths() == (f"{tmp_path}/model",)


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/p.jsonl",
        "file:///tmp/p.jsonl",
        "hf://datasets/o/n/p.parquet",
        "s3://b/p.json",
        f"https://example.org/p.jsonl?signature={'0' * 300}",  # longer than the name of any file
    ],
)
def test_an_address_is_no_path(address: str) -> None:
    assert make_plan(PrepareProblems(), problems_from(address), inputs=()).slice.get("files") is None
    with pytest.raises(SourceError) as caught:
        read(address)
    assert str(caught.value).startswith(f"{address}: is an address, expected a file")
    assert "download it" in str(caught.value)


@pytest.mark.parametrize("address", ["https://huggingface.co/datasets/o/sums", "hf://datasets/o/sums"])
def test_the_page_of_a_hub_data_set_is_no_id_but_holds_it(address: str) -> None:
    with pytest.raises(ValueError, match=r"expected `owner/name` as on the Hub \(here: o/sums\)"):
        HubSource(id=address)


def test_a_folder_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", GOOD)
    with pytest.raises(SourceError, match=r"it is a folder, expected a file; it holds train\.jsonl; name one file"):
        read(tmp_path)


def test_a_file_that_may_not_be_read_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", GOOD)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("needs an ordinary user: root may read anything")
    for look in (lambda: read(path), lambda: make_plan(PrepareProblems(), problems_from(str(path)), inputs=())):
        with pytest.raises(SourceError, match=r"p\.jsonl: cannot be read: .*[Pp]ermission denied"):
            look()
