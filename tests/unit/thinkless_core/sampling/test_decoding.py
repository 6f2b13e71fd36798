"""Decoding with the cache: logits of plain forward passes, where heads share keys, rows leave, room runs out."""

from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedModel

from tests.small_llama import small_llama
from tests.specimens import LIVELY, make_student
from thinkless_core.sampling import cached_attention
from thinkless_core.sampling.decoding import CachedDecoding
from thinkless_core.sampling.transformers_sampler import FEW, _draw

PROMPTS = ((3, 9, 28), (3, 9, 28, 10, 36, 38, 4), (3, 9, 28), (7, 8))


@pytest.mark.parametrize("room", [1, 2, 64])
@pytest.mark.parametrize(
    "make_model",
    [lambda: make_student(scale=LIVELY), lambda: small_llama(1), lambda: small_llama(2), lambda: small_llama(4)],
    ids=["student", "all share", "pairs share", "none share"],
)
def test_every_token_has_the_logits_of_a_plain_forward_pass(make_model, room, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(cached_attention, "ROOM", room)
    model: PreTrainedModel = make_model()
    rows = [list(prompt) for prompt in PROMPTS]
    with torch.inference_mode():
        decoding = CachedDecoding(model, 0)
        logits_BV = decoding.start(PROMPTS)
        for step in range(6):
            for row, logits_V in zip(rows, logits_BV, strict=True):
                torch.testing.assert_close(logits_V, model(torch.tensor([row])).logits[0, -1])
            if step == 3:
                decoding.keep(torch.tensor([3, 1]))
                rows = [rows[3], rows[1]]
            next_B = torch.tensor([11 + step + 3 * i for i in range(len(rows))])
            for row, token in zip(rows, next_B.tolist(), strict=True):
                row.append(token)
            logits_BV = decoding.advance(next_B)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("top_p", [1e-9, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("spread", [0.1, 3.0, 9.0])
def test_the_nucleus_is_that_of_the_whole_vocabulary_sorted_ties_included(top_p: float, spread: float) -> None:
    """Logits of eight bits have many ties, also at the border of what is sorted first."""
    torch.manual_seed(0)
    logits_BV = (spread * torch.randn(40, 3 * FEW[-1])).bfloat16()
    draws_B = torch.rand(40, dtype=torch.float64)
    probs_BV, ids_BV = logits_BV.float().softmax(-1).sort(dim=-1, descending=True, stable=True)
    probs_BV = probs_BV.double()
    probs_BV[probs_BV.cumsum(-1) - probs_BV >= top_p] = 0
    cdf_BV = probs_BV.cumsum(-1)
    places_B1 = torch.searchsorted(cdf_BV, (draws_B * cdf_BV[:, -1])[:, None], right=True)
    assert torch.equal(_draw(logits_BV, draws_B, temperature=1.0, top_p=top_p), ids_BV.gather(1, places_B1)[:, 0])
