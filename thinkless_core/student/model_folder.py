"""What a path of a model names, looked at before transformers is asked: one sentence for each thing it cannot be.

path -> nothing, or ConfigError: no such folder, a file, adapters alone, weights of another kind, files that are absent
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from safetensors import SafetensorError, safe_open

from schemas.errors import ConfigError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
"""What can be the name of a model on the Hub."""
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
EXPECTED = "give a local folder with config.json, tokenizer and safetensors weights"
SAVED_AGAIN = (
    "convert it once: AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER), and give NEW_FOLDER "
    "with the tokenizer's files"
)
OTHER_WEIGHTS = {
    "*.gguf": ("GGUF", "set base.model.gguf_file to its name"),
    "*.bin": ("PyTorch", SAVED_AGAIN),
    "*.pt": ("PyTorch", SAVED_AGAIN),
    "*.pth": ("PyTorch", SAVED_AGAIN),
    "*.h5": ("TensorFlow", f"with transformers 4 and from_tf=True {SAVED_AGAIN}"),
    "*.msgpack": ("Flax", f"with transformers 4 and from_flax=True {SAVED_AGAIN}"),
    "*.onnx": ("ONNX", "take the model that it was exported from: an exported graph cannot be trained"),
    "onnx/*.onnx": ("ONNX", "take the model that it was exported from: an exported graph cannot be trained"),
    "*.npz": ("MLX", "take the model that it was converted from"),
}
"""Files of weights that are not read -> what they are, and the way out."""


def refuse_what_is_no_model(location: str, *, gguf_file: str | None = None) -> None:
    """Raise ConfigError if `location` is neither a folder with a model nor what could be an id on the Hub."""
    folder = Path(location)
    if folder.is_file():
        raise ConfigError(f"it is a file; give the folder that it lies in{_file_hint(folder)}")
    if folder.is_dir():
        if gguf_file is None:
            _refuse_folder(folder)
    elif not HUB_ID.fullmatch(location):
        near = next(parent for parent in folder.parents if parent.is_dir())
        raise ConfigError(
            f"there is no such folder (the path is read from the current directory; {near} exists), and it cannot be a "
            f"Hub id, which is NAME or OWNER/NAME; {EXPECTED}"
        )


def _refuse_folder(folder: Path) -> None:
    if (folder / "adapter_config.json").is_file():
        raise ConfigError(
            f"it holds adapters{_adapted(folder)} (adapter_config.json), no whole model; merge them with peft: "
            "AutoPeftModelForCausalLM.from_pretrained(FOLDER).merge_and_unload().save_pretrained(NEW_FOLDER), and "
            "give NEW_FOLDER with the tokenizer's files"
        )
    if (folder / "config.json").is_file() and ((folder / WEIGHTS).is_file() or (folder / INDEX).is_file()):
        _refuse_incomplete(folder)
        return
    for pattern, (kind, way_out) in OTHER_WEIGHTS.items():
        found = [file for file in sorted(folder.glob(pattern)) if file.name != "training_args.bin"]
        if found:
            raise ConfigError(f"its weights are {kind} files alone ({found[0].name}), not safetensors; {way_out}")
    missing = [name for name in ("config.json", WEIGHTS) if not (folder / name).is_file()]
    inside = next((file.parent for file in sorted(folder.glob("*/config.json"))), None)
    parts = sorted(file.name for file in folder.glob("*.safetensors"))
    if parts and missing == [WEIGHTS]:
        raise ConfigError(
            f"it holds {parts[0]}, and neither {WEIGHTS} nor {INDEX}, which says what each part holds; download the "
            "model again, with all its files"
        )
    raise ConfigError(
        f"the folder has no {' and no '.join(missing)}"
        + (f"; its sub-folder {inside.name!r} has a config.json: give {str(inside)!r}" if inside else f"; {EXPECTED}")
    )


def _refuse_incomplete(folder: Path) -> None:
    """Refuse weights of which a file is absent or cut off."""
    names = [WEIGHTS]
    if not (folder / WEIGHTS).is_file():
        try:
            names = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"{INDEX} cannot be read ({error}); download the model again, with all its files"
            ) from error
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise ConfigError(
            f"{INDEX} names {len(names)} files of weights; absent: {', '.join(absent[:3])}"
            f"{', ...' if len(absent) > 3 else ''}; download the model again, with all its files"
        )
    for name in names:
        _refuse_damaged(folder / name)


def _refuse_damaged(file: Path) -> None:
    with file.open("rb") as opened:
        is_pointer = opened.read(40).startswith(b"version https://git-lfs")
    if is_pointer:
        raise ConfigError(f"{file.name} is a pointer of git-lfs, not the weights; run `git lfs pull` in the folder")
    try:
        with safe_open(file, framework="pt"):
            pass
    except SafetensorError as error:
        raise ConfigError(
            f"{file.name} ({file.stat().st_size} bytes) is damaged or cut off ({error}); download it again"
        ) from error


def _adapted(folder: Path) -> str:
    try:
        base = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f" of {base!r}"


def _file_hint(file: Path) -> str:
    return f", and set base.model.gguf_file={file.name!r}" if file.suffix == ".gguf" else ""


def in_one_line(error: Exception, *, most: int = 500) -> str:
    """What an error of another library says, in a readable length."""
    text = " ".join(str(error).split()).partition(" Model type should be one of ")[0] or type(error).__name__
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " ..."
