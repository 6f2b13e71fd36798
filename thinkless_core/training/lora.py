"""Low-rank adapters inside a model, and trained rows for its control tokens (LoRA, arXiv 2106.09685).

model -> every chosen linear layer W becomes W + alpha/rank B A, all else is frozen -> training -> plain weights again

The layers are peft's, put in place, so the model stays the object it was. A new control token is of no use to a model
that cannot learn its embedding, so the rows of `<short>`, `<think>` and `</think>` are trained too, as differences to
what they were: in the embedding and, if it is not tied, in the head.

Shapes: K control tokens, N tokens, V vocabulary, X hidden size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from schemas.configs.training import ALL_LINEAR, LoraConfig
from schemas.errors import ConfigError, nearest
from thinkless_core.seeding import derive_seed

ADAPTER = "default"
"""Name of the one adapter that every layer has."""
ROWS, IDS = "control_rows", "control_ids"
"""Parameter (K, X): what was added to the rows of the control tokens; buffer (K): their ids."""
SCALE = "embed_scale"
"""Attribute of an embedding that multiplies what it looks up: the factor, a number or a buffer."""


def add_adapters(
    model: PreTrainedModel, config: LoraConfig, *, control_ids: Sequence[int], seed: int, key: str
) -> None:
    """Freeze the model, then add adapters and rows that can be trained; its predictions stay as they are.

    Raises ConfigError, naming the configuration's table `key`, if peft is missing or a layer does not exist.
    """
    try:
        import peft  # takes seconds
    except ImportError as error:
        raise ConfigError(
            f'{key}: needs peft, which is not installed; run: pip install "thinkless-flows[lora]"'
        ) from error
    named = ALL_LINEAR[0] if config.target_modules == ALL_LINEAR else list(config.target_modules)
    _check_names(model, config.target_modules, key=key)
    _check_rows(model, key=key)
    way_out = _by_name(model)
    settings = peft.LoraConfig(
        r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=named, bias="none"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("lora", seed))
        try:
            peft.inject_adapter_in_model(settings, model, adapter_name=ADAPTER)
        except ValueError as error:  # peft's own list of layers that it cannot adapt
            raise ConfigError(f"{key}.target_modules: {' '.join(str(error).split())}; {way_out}") from error
    _check_foldable(model, way_out=way_out, key=key)
    _add_control_rows(model, control_ids)


@contextmanager
def without_adapters(model: PreTrainedModel) -> Iterator[None]:
    """Inside, the model predicts as it did before it got adapters; a model without adapters stays as it is."""
    layers = [*_adapted(model).values(), *_rowed(model).values()]
    for layer in layers:
        layer._disable_adapters = True
    try:
        yield
    finally:
        for layer in layers:
            layer._disable_adapters = False


@torch.no_grad()
def merged_weights(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Every parameter under its plain name, adapters and rows folded in; the model stays as it is.

    Tied parameters come once. Without adapters these are the model's own parameters.
    """
    adapted, rowed = _adapted(model), _rowed(model)
    for name, parameter in model.named_parameters():
        *path, leaf = name.split(".")
        if leaf == ROWS or any(part.startswith("lora_") for part in path):
            continue
        owner = ".".join(part for part in path if part != "base_layer")
        if leaf == "weight" and owner in adapted:
            yield f"{owner}.{leaf}", parameter + adapted[owner].get_delta_weight(ADAPTER)
        elif leaf == "weight" and owner in rowed:
            yield f"{owner}.{leaf}", _with_rows(rowed[owner], parameter)
        else:
            yield f"{owner}.{leaf}" if owner else leaf, parameter


@torch.no_grad()
def fold_adapters(model: PreTrainedModel) -> None:
    """Make the model an ordinary one again, with what it learned in its weights; a plain one stays as it is."""
    adapted, rowed = _adapted(model), _rowed(model)
    if not adapted and not rowed:
        return
    folded: set[int] = set()
    for layer in rowed.values():
        if id(layer.weight) not in folded:  # tied: one matrix
            layer.weight.copy_(_with_rows(layer, layer.weight))
            folded.add(id(layer.weight))
    for layer in rowed.values():
        layer.control_hook.remove()
        del layer.control_hook, layer._parameters[ROWS], layer._buffers[IDS]
    for name, layer in adapted.items():
        base = layer.get_base_layer()
        base.weight += layer.get_delta_weight(ADAPTER)
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, base)
    model.requires_grad_(requires_grad=True)
    if hasattr(model, "peft_config"):
        del model.peft_config


def control_rows_of(layer: nn.Module) -> tuple[Tensor, tuple[int, ...]] | None:
    """What was added to a layer's rows of the control tokens (K, X), and their ids; None if nothing was, or if adapters
    are out of use at the moment."""
    if ROWS not in layer._parameters or layer._disable_adapters:
        return None
    return layer.get_parameter(ROWS), tuple(layer.get_buffer(IDS).tolist())


def _adapted(model: PreTrainedModel) -> dict[str, Any]:
    """Layers that have an adapter, by name."""
    return {name: module for name, module in model.named_modules() if hasattr(module, "lora_A")}


def _rowed(model: PreTrainedModel) -> dict[str, Any]:
    """The embedding, and the head if it is a matrix of its own or a tied one, if they have control rows."""
    return {name: module for name, module in model.named_modules() if ROWS in module._parameters}


def _check_names(model: PreTrainedModel, names: Sequence[str], *, key: str) -> None:
    """Refuse a name that no linear layer has: peft says nothing as long as another one fits."""
    if tuple(names) == ALL_LINEAR:
        return
    head = model.get_output_embeddings()
    layers = [n for n, m in model.named_modules() if isinstance(m, nn.Linear | Conv1D) and m is not head]
    for name in names:
        if not any(layer == name or layer.endswith(f".{name}") for layer in layers):
            known = {layer.rpartition(".")[2] for layer in layers}
            way_out = f"give {name!r} alone" if name in ALL_LINEAR else nearest(name, known)
            raise ConfigError(
                f"{key}.target_modules: {name!r} is no linear layer of {type(model).__name__} (they are "
                f"{', '.join(sorted(known))}); {way_out}"
            )


def _check_foldable(model: PreTrainedModel, *, way_out: str, key: str) -> None:
    """Refuse an adapter on anything but a linear layer: peft adapts the experts of a mixture, too, in a way of its own,
    which cannot be folded into their weights."""
    for name, layer in _adapted(model).items():
        base = layer.get_base_layer()
        if not isinstance(base, nn.Linear | Conv1D):
            raise ConfigError(
                f"{key}.target_modules: an adapter on {name}, a {type(base).__name__} and no linear layer, cannot be "
                f"folded into its weights; {way_out}"
            )


def _by_name(model: PreTrainedModel) -> str:
    """The way out for a model of which not all layers can be adapted."""
    head = model.get_output_embeddings()
    layers = {n.rpartition(".")[2] for n, m in model.named_modules() if isinstance(m, nn.Linear) and m is not head}
    usual = [name for name in ("q_proj", "k_proj", "v_proj", "o_proj", "in_proj") if name in layers]
    return f"name linear layers instead, such as {', '.join(usual or sorted(layers)[:4])}, or leave lora out"


def _check_rows(model: PreTrainedModel, *, key: str) -> None:
    """Refuse an embedding or head that does more than look up (and scale), or multiply: a row added beside it would
    mean another one."""
    for part, layer, plain in (
        ("embedding", model.get_input_embeddings(), nn.Embedding),
        ("head", model.get_output_embeddings(), nn.Linear),
    ):
        if type(layer) is not plain and not (plain is nn.Embedding and _is_scaled(layer)):
            raise ConfigError(
                f"{key}: {type(model).__name__} has a {type(layer).__name__} as {part}, expected a plain "
                f"{plain.__name__}, beside which the control tokens' rows can be trained; leave lora out, which trains "
                "all weights"
            )


def _is_scaled(layer: nn.Module) -> bool:
    """Whether it is an embedding that multiplies its rows by `embed_scale`, as Gemma's does.

    Only its code knows whether it does nothing else: stage `base` folds adapters and compares predictions.
    """
    return isinstance(layer, nn.Embedding) and hasattr(layer, SCALE)


def _add_control_rows(model: PreTrainedModel, control_ids: Sequence[int]) -> None:
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = head.weight is embedding.weight
    for layer, hook in ((embedding, _embed_control), (head, _score_control)):
        zeros_KX = layer.weight.new_zeros(len(control_ids), layer.weight.shape[1])
        shared = tied and layer is head
        layer.register_parameter(ROWS, embedding.control_rows if shared else nn.Parameter(zeros_KX))
        layer.register_buffer(IDS, torch.tensor(control_ids, device=layer.weight.device), persistent=False)
        layer._disable_adapters = False
        layer.control_hook = layer.register_forward_hook(hook)


def _embed_control(layer: nn.Embedding, inputs: tuple[Tensor], output_NX: Tensor) -> Tensor:
    """Embedding of the tokens, with what was learned added to the control tokens' rows, scaled like them."""
    if layer._disable_adapters:
        return output_NX
    ids_K, rows_KX = layer.get_buffer(IDS), layer.get_parameter(ROWS)
    places_K = torch.arange(1, len(ids_K) + 1, device=ids_K.device)
    row_N = ((inputs[0][..., None] == ids_K) * places_K).sum(dim=-1)  # 0 for any other token
    learned_NX = functional.embedding(row_N, functional.pad(rows_KX, (0, 0, 1, 0))).to(output_NX.dtype)
    scale = getattr(layer, SCALE, None)
    if scale is not None:
        learned_NX = learned_NX * torch.as_tensor(scale, dtype=learned_NX.dtype, device=learned_NX.device)
    return output_NX + learned_NX


def _score_control(layer: nn.Linear, inputs: tuple[Tensor], output_NV: Tensor) -> Tensor:
    """Logits, with what was learned added to those of the control tokens."""
    if layer._disable_adapters:
        return output_NV
    extra_NK = functional.linear(inputs[0], layer.get_parameter(ROWS)).to(output_NV.dtype)
    return output_NV.index_add_(-1, layer.get_buffer(IDS), extra_NK)


def _with_rows(layer: nn.Module, weight_VX: Tensor) -> Tensor:
    return weight_VX.index_add(0, layer.get_buffer(IDS), layer.get_parameter(ROWS).to(weight_VX.dtype))
