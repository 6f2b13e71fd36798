"""Log-probabilities in slices of the vocabulary: those of the whole, by an oracle in float64, and never all logits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.specimens import LIVELY, make_student
from thinkless_core.training import vocabulary_chunks
from thinkless_core.training.lora import control_rows_of
from thinkless_core.training.vocabulary_chunks import Head, chosen_logprobs, head_of

M, V, X = 23, 301, 16
CONTROL_IDS = (5, 300, 6)


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven slices, the last a short one."""
    monkeypatch.setattr(vocabulary_chunks, "LEAST_WIDTH", 47)
    monkeypatch.setattr(vocabulary_chunks, "CHUNK_LOGITS", 1)


def tensors(*, bias: bool, rows: bool) -> list[Tensor | None]:
    """Hidden states, weight, bias, rows in float64; logits of a few units, some far from zero."""
    generator = torch.Generator().manual_seed(0)
    hidden_MX = torch.randn(M, X, generator=generator, dtype=torch.float64)
    hidden_MX[0] *= 30
    weight_VX = torch.randn(V, X, generator=generator, dtype=torch.float64)
    bias_V = torch.randn(V, generator=generator, dtype=torch.float64) if bias else None
    rows_KX = torch.randn(len(CONTROL_IDS), X, generator=generator, dtype=torch.float64) if rows else None
    return [hidden_MX, weight_VX, bias_V, rows_KX]


def chosen_ids() -> Tensor:
    """First and last token of the vocabulary and of slices, and control tokens among them."""
    edges = [0, V - 1, 46, 47, 93, 94, *CONTROL_IDS]
    return torch.tensor((edges * 3)[:M])


def oracle(
    hidden_MX: Tensor, weight_VX: Tensor, bias_V: Tensor | None, rows_KX: Tensor | None, temperature: float
) -> tuple[Tensor, Tensor]:
    """log pi and entropy from all logits."""
    if rows_KX is not None:
        weight_VX = weight_VX.index_add(0, torch.tensor(CONTROL_IDS), rows_KX)
    logps_MV = (nn.functional.linear(hidden_MX, weight_VX, bias_V) / temperature).log_softmax(dim=-1)
    return logps_MV.gather(1, chosen_ids()[:, None])[:, 0], -(logps_MV.exp() * logps_MV).sum(dim=1)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize(("bias", "rows"), [(False, False), (True, False), (False, True), (True, True)])
def test_values_and_all_gradients_are_those_of_float64(temperature: float, bias: bool, rows: bool) -> None:
    exact = [None if t is None else t.clone().requires_grad_() for t in tensors(bias=bias, rows=rows)]
    ours = [None if t is None else t.float().requires_grad_() for t in tensors(bias=bias, rows=rows)]
    weights_M = torch.linspace(-1, 2, M, dtype=torch.float64)

    expected_M, entropy_M = oracle(*exact, temperature)  # type: ignore[arg-type]
    (expected_M * weights_M).sum().backward()
    hidden_MX, weight_VX, bias_V, rows_KX = ours
    assert hidden_MX is not None
    assert weight_VX is not None
    head = Head(weight_VX, bias_V, rows_KX, CONTROL_IDS if rows else ())
    found = chosen_logprobs(hidden_MX, head, chosen_ids(), temperature=temperature)
    (found.logprobs_M * weights_M.float()).sum().backward()

    assert not found.entropy_M.requires_grad
    torch.testing.assert_close(found.logprobs_M.detach().double(), expected_M.detach(), rtol=2e-6, atol=5e-6)
    torch.testing.assert_close(found.entropy_M.double(), entropy_M.detach(), rtol=2e-6, atol=5e-6)
    for mine, theirs in zip(ours, exact, strict=True):
        if mine is not None and theirs is not None:
            assert mine.grad is not None
            assert theirs.grad is not None
            gap = float((mine.grad.double() - theirs.grad).norm() / theirs.grad.norm())
            assert gap < 2e-6


def test_what_is_frozen_gets_no_gradient_and_costs_none() -> None:
    hidden_MX, weight_VX, _, rows_KX = (None if t is None else t.float() for t in tensors(bias=False, rows=True))
    assert hidden_MX is not None
    assert weight_VX is not None
    assert rows_KX is not None
    hidden_MX.requires_grad_()
    rows_KX.requires_grad_()
    chosen_logprobs(
        hidden_MX, Head(weight_VX, None, rows_KX, CONTROL_IDS), chosen_ids(), temperature=1.0
    ).logprobs_M.sum().backward()
    assert weight_VX.grad is None
    assert rows_KX.grad is not None
    assert hidden_MX.grad is not None


def test_no_tensor_of_all_logits_is_made_or_kept() -> None:
    hidden_MX, weight_VX, _, _ = (None if t is None else t.float() for t in tensors(bias=False, rows=False))
    assert hidden_MX is not None
    assert weight_VX is not None

    class Largest(torch.utils._python_dispatch.TorchDispatchMode):
        """Remembers the largest result of an operation whose first dimension is M."""

        numbers = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = func(*args, **(kwargs or {}))
            if isinstance(result, Tensor) and result.ndim and result.shape[0] == M:
                self.numbers = max(self.numbers, result.numel())
            return result

    hidden_MX.requires_grad_()
    weight_VX.requires_grad_()
    with Largest() as largest:
        found = chosen_logprobs(hidden_MX, Head(weight_VX, None, None, ()), chosen_ids(), temperature=1.0)
        found.logprobs_M.sum().backward()
    assert M * X <= largest.numbers <= M * 47


def test_a_head_that_does_more_than_multiply_is_none() -> None:
    model = make_student(scale=LIVELY)
    layer = model.get_output_embeddings()
    found = head_of(layer)
    assert found is not None
    assert found.weight_VX is model.get_input_embeddings().weight
    assert control_rows_of(layer) is None
    layer.register_forward_hook(lambda *_: None)
    assert head_of(layer) is None
    assert head_of(nn.Sequential(nn.Linear(3, 4))) is None


def test_bfloat16_products_are_rounded_as_those_of_all_logits() -> None:
    hidden_MX, weight_VX, _, _ = (None if t is None else t.float() for t in tensors(bias=False, rows=False))
    assert hidden_MX is not None
    assert weight_VX is not None
    with torch.autocast("cpu", torch.bfloat16):
        logits_MV = nn.functional.linear(hidden_MX, weight_VX)
        found = chosen_logprobs(hidden_MX, Head(weight_VX, None, None, ()), chosen_ids(), temperature=1.0)
    assert logits_MV.dtype == torch.bfloat16
    expected_M = logits_MV.float().log_softmax(dim=-1).gather(1, chosen_ids()[:, None])[:, 0]
    torch.testing.assert_close(found.logprobs_M, expected_M, rtol=2e-6, atol=5e-6)
