"""Writes an export folder: a model's files, its decoding settings, the pairs by split, and a list of all files.

model folder -> copies;  pairs.parquet -> train.parquet, validation.parquet;  all of it -> export.json with sha256

The folder appears only when it is complete: it is written under a temporary name beside its place, then renamed.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import JsonValue

from infra.disk import writing
from infra.fingerprint import file_sha256
from schemas.errors import ConfigError, StoreError

LIST_FILE = "export.json"
"""File that lists the folder's files and names their run and artifacts."""
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
"""Suffixes of weight files that run code when they are loaded; they are never exported."""


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to write in, which becomes `target` if the block ends without an error.

    Raises ConfigError if `target` is a file or a folder that is not empty, StoreError if it cannot be written.
    """
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        what = "a file" if target.is_file() else "a folder that is not empty"
        raise ConfigError(f"export: {target} is {what}, expected a new or an empty folder; name another one")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        part.chmod(0o755)
        with writing(target):
            yield part
            if target.exists():
                target.rmdir()
            part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def copy_model(model: Path, folder: Path) -> None:
    """Copy weights, configuration, tokenizer and template; raises StoreError if the weights are not safetensors."""
    files = sorted(path for path in model.rglob("*") if path.is_file())
    if not any(path.suffix == ".safetensors" for path in files) or not (model / "config.json").is_file():
        raise StoreError(f"{model} holds no config.json and safetensors weights; rebuild the stage with --refresh")
    for path in files:
        if path.suffix in PICKLES:
            continue
        copy = folder / path.relative_to(model)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def set_decoding(folder: Path, settings: Mapping[str, JsonValue]) -> None:
    """Write the decoding settings into `generation_config.json`, which transformers and vLLM read; other keys stay."""
    file = folder / "generation_config.json"
    there = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    there.pop("_from_model_config", None)  # it would have transformers make the settings anew
    file.write_text(json.dumps({**there, **settings}, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def chat_template(folder: Path) -> str | None:
    """The text of the model's chat template; None if it is in no file of its own."""
    file = folder / "chat_template.jinja"
    return file.read_text(encoding="utf-8") if file.is_file() else None


def write_splits(pairs: Path, folder: Path) -> dict[str, str]:
    """Write the pairs as one Parquet file per split, row group by row group; returns split -> file name."""
    folder.mkdir(parents=True, exist_ok=True)
    writers: dict[str, pq.ParquetWriter] = {}
    try:
        with pq.ParquetFile(pairs) as file:
            for number in range(file.num_row_groups):
                group = file.read_row_group(number)
                for split in pc.unique(group["split"]).to_pylist():
                    if split not in writers:
                        path = folder / f"{split}.parquet"
                        writers[split] = pq.ParquetWriter(path, group.schema, compression="zstd")
                    writers[split].write_table(group.filter(pc.equal(group["split"], split)))
    finally:
        for writer in writers.values():
            writer.close()
    return {split: f"{split}.parquet" for split in sorted(writers)}


def write_list(folder: Path, about: Mapping[str, JsonValue]) -> None:
    """Write `export.json`: the content of `about`, and every file of the folder with its sha256."""
    files: dict[str, JsonValue] = {
        path.relative_to(folder).as_posix(): file_sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    text = json.dumps({**about, "files": files}, indent=1, ensure_ascii=False)
    (folder / LIST_FILE).write_text(text + "\n", encoding="utf-8")
