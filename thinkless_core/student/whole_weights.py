"""Loading that leaves nothing to chance: every weight of the model comes from the files, with its shape, and is finite.

files -> model and what transformers says about the loading -> model, or ConfigError that names the weights

transformers fills what is missing with random numbers. Allowed are what the model's class declares as ignorable (extra
heads, vision towers), a tied head, and buffers that are computed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from schemas.errors import ConfigError

WRAPPERS = {
    "_orig_mod.": "torch.compile",
    "module.": "DistributedDataParallel",
    "_fsdp_wrapped_module.": "FSDP",
    "base_model.model.": "peft",
}
"""Prefix of every name -> what left it there."""
NUM_NAMED = 3


def load_whole(location: Path | str, **options: Any) -> PreTrainedModel:
    """A causal language model with exactly the weights of its files; raises ConfigError that names those at fault.

    Other failures of loading are passed on as transformers raises them.
    """
    with _quiet():
        # A mismatch is asked for, so that it can be told by name and shape.
        model, report = AutoModelForCausalLM.from_pretrained(
            location, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ConfigError(
            "it holds adapters (adapter_config.json), which would be left out; merge them into their model with peft: "
            "AutoPeftModelForCausalLM.from_pretrained(...).merge_and_unload().save_pretrained(FOLDER), and give FOLDER"
        )
    refuse_unless_whole(model, report)
    refuse_unless_finite(model)
    return model


def refuse_unless_whole(model: PreTrainedModel, report: Mapping[str, Any]) -> None:
    """Raise ConfigError for weights that are missing, unexpected or of another shape, by name."""
    computed = {name for name, _ in model.named_buffers()} - model.state_dict().keys()
    missing = set(report["missing_keys"]) - computed
    unexpected = {name for name in report["unexpected_keys"] if not _stands_for(name, computed)}
    wrapper = _wrapper(unexpected)
    if wrapper is not None:
        raise ConfigError(
            f"the names of its {len(unexpected)} weights begin with {wrapper!r}, which {WRAPPERS[wrapper]} left there, "
            f"so none of them would be read; save the model inside the wrapper, or take {wrapper!r} off the names"
        )
    problems = []
    if missing:
        problems.append(f"{_counted(missing)} missing from its files and would be random numbers")
    if unexpected:
        problems.append(f"{_counted(unexpected)} in its files, and {type(model).__name__} has no place for them")
    for name, got, expected in sorted(report["mismatched_keys"])[:1]:
        num_more = len(report["mismatched_keys"]) - 1
        problems.append(
            f"{name} has the shape {tuple(got)}, and config.json wants {tuple(expected)}"
            + (f" (and {num_more} more have another shape)" if num_more else "")
        )
    if problems:
        raise ConfigError(
            f"{'; '.join(problems)}; config.json and weights do not belong together, or the files are not complete: "
            "download or save the model again"
        )


def refuse_unless_finite(model: PreTrainedModel) -> None:
    """Raise ConfigError for NaN and infinite weights, by name."""
    broken = [name for name, tensor in model.state_dict().items() if not _is_finite(tensor)]
    if broken:
        raise ConfigError(
            f"{_counted(broken)} not finite (NaN or infinite), so the model predicts nothing; take an earlier "
            "checkpoint, or download the model again"
        )


def _is_finite(tensor: torch.Tensor) -> bool:
    if not tensor.is_floating_point() or tensor.is_meta:
        return True
    # A sum is finite if all its terms are, and quick; one that overflows is looked at number by number.
    return math.isfinite(float(tensor.float().sum())) or bool(torch.isfinite(tensor).all())


def _stands_for(name: str, computed: Collection[str]) -> bool:
    """Whether a weight of an older file is a buffer that the model computes now, under the same name."""
    return any(name == buffer or name.endswith(f".{buffer}") or buffer.endswith(f".{name}") for buffer in computed)


def _wrapper(unexpected: Collection[str]) -> str | None:
    return next((p for p in WRAPPERS if unexpected and all(name.startswith(p) for name in unexpected)), None)


def _counted(names: Collection[str]) -> str:
    """`2 weights are (a, b)`, without the bracket's end of the list if it is long."""
    shown = ", ".join(sorted(names)[:NUM_NAMED]) + (", ..." if len(names) > NUM_NAMED else "")
    return f"1 weight ({shown}) is" if len(names) == 1 else f"{len(names)} weights ({shown}) are"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps transformers from printing its table of weights: what is wrong is said in one sentence."""
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
