"""Probes of what training rests on: log-probabilities packed and padded, gradient checkpointing, adapters.

Shapes: B samples, T completion tokens, X hidden size.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.configs.training import LoraConfig
from schemas.errors import ThinklessError
from thinkless_core.probe.examples import Plain, in_words, logprobs_of
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.training.logprobs import collate, completion_logprobs, pad_samples
from thinkless_core.training.lora import add_adapters, fold_adapters, merged_weights
from thinkless_core.training.packed_attention import recompute_context
from thinkless_core.training.packing import PackedSamples, pack_samples

ADAPTER_SIZE = 0.05
"""Standard deviation of the probe's adapters: a few hundredths of the weights they stand beside."""


@torch.no_grad()
def padding_fault(model: PreTrainedModel, plain: Plain, *, pad_id: int) -> str | None:
    """In words, how padded samples differ from single ones; None if they do not."""
    return _gap(model, plain, pad_samples(plain.samples, pad_id=pad_id, device=model.device))


@torch.no_grad()
def packing_fault(model: PreTrainedModel, plain: Plain) -> str | None:
    """In words, how packed samples differ from single ones; None if they do not."""
    try:
        return _gap(model, plain, pack_samples(plain.samples, device=model.device, dtype=model.dtype))
    except Exception as error:  # noqa: BLE001 - whatever a model's code raises, it does not take packed samples
        return in_words(error)


@torch.no_grad()
def head_fault(model: PreTrainedModel, plain: Plain) -> str | None:
    """In words, how logits differ from the head's output on the last hidden state; None if they do not."""
    sample = plain.samples[-1]
    ids = torch.tensor([[*sample.prompt_ids, *sample.completion_ids]], device=model.device)
    try:
        hidden_1LX = model.base_model(input_ids=ids).last_hidden_state
        logits_LV = model.get_output_embeddings()(hidden_1LX)[0]
        gap = plain.differ(logits_LV.float().log_softmax(dim=-1).cpu(), plain.logprobs_LV[-1])
    except Exception as error:  # noqa: BLE001 - whatever a model's code raises
        return in_words(error)
    return None if gap is None else f"its head alone is {gap:.2g} nats from its logits"


def gradient(model: PreTrainedModel, plain: Plain, *, pad_id: int) -> Tensor:
    """Gradient of the samples' log-probability in the embedding, as training computes it; all of it has to be finite.

    Every layer stands between the two, and no other gradient takes memory.
    """
    model.requires_grad_(requires_grad=False)
    weight = model.get_input_embeddings().weight.requires_grad_()
    model.train()
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(0)
            batch = collate(plain.samples, model=model, pad_id=pad_id)
            (found,) = torch.autograd.grad(completion_logprobs(model, batch).logprobs_BT.sum(), [weight])
    finally:
        model.eval().requires_grad_(requires_grad=True)
    return found


def checkpointing_fault(model: PreTrainedModel, plain: Plain, *, pad_id: int, expected: Tensor) -> str | None:
    """In words, how recomputed activations change the gradient; None if they do not."""
    if not model.supports_gradient_checkpointing:
        return f"{type(model).__name__} has no gradient checkpointing"
    try:
        model.gradient_checkpointing_enable({"use_reentrant": False, "context_fn": recompute_context(model)})
        found = gradient(model, plain, pad_id=pad_id)
    except Exception as error:  # noqa: BLE001 - whatever a model's code raises
        return in_words(error)
    finally:
        model.gradient_checkpointing_disable()
    gap = float((found - expected).norm() / expected.norm())
    return None if gap <= 1e-3 else f"the gradient is another one, by {gap:.2g} of its norm"


def adapter_fault(
    model: PreTrainedModel, plain: Plain, target_modules: tuple[str, ...], *, tokenizer: PreTrainedTokenizerBase
) -> str | None:
    """In words, what keeps adapters on these layers from becoming plain weights; None if nothing does, or peft is not
    installed.

    Changes the model's weights: the last of all probes.
    """
    if importlib.util.find_spec("peft") is None:
        return None
    control = ControlTokens.of(tokenizer)
    sample = plain.samples[-1]
    ids = (*sample.prompt_ids, *sample.completion_ids)
    names = [name for name, _ in model.named_parameters()]
    try:
        add_adapters(
            model,
            LoraConfig(rank=2, alpha=2.0, target_modules=target_modules),
            control_ids=(control.short_id, control.think_id, control.think_end_id),
            seed=0,
            key="lora",
        )
        with torch.no_grad():
            generator = torch.Generator().manual_seed(0)
            for parameter in (p for p in model.parameters() if p.requires_grad):
                parameter += ADAPTER_SIZE * torch.randn(parameter.shape, generator=generator).to(parameter)
            adapted_LV = logprobs_of(model, ids)
            listed = [name for name, _ in merged_weights(model)]
            fold_adapters(model)
            folded_LV = logprobs_of(model, ids)
    except ThinklessError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever a model's code raises
        return in_words(error)
    if listed != names or [name for name, _ in model.named_parameters()] != names:
        return "with its adapters folded in, its weights have other names than before"
    gap = plain.differ(folded_LV, adapted_LV)
    if gap is not None:
        return f"with its adapters folded in, it is {gap:.2g} nats from the model that was trained"
    return None


def _gap(model: PreTrainedModel, plain: Plain, batch: PackedSamples | object) -> str | None:
    values_BT: Tensor = completion_logprobs(model, batch).logprobs_BT.cpu()  # type: ignore[arg-type]
    gaps: Sequence[float | None] = [
        plain.differ(values_BT[row, : len(sample.completion_ids)], plain.completion_logprobs(row))
        for row, sample in enumerate(plain.samples)
    ]
    largest = max((gap for gap in gaps if gap is not None), default=None)
    return None if largest is None else f"the log-probability of a token is off by {largest:.2g} nats"
