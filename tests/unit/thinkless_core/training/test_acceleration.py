"""Which precision `auto` is: what the machine is faster in."""

from __future__ import annotations

import pytest
import torch

from thinkless_core.training.acceleration import in_bfloat16


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True}, False),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({}, False),
    ],
)
def test_auto_is_bfloat16_where_the_processor_has_units_for_it(
    capabilities: dict[str, bool], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert in_bfloat16("auto") is expected
    assert in_bfloat16("mixed")
    assert in_bfloat16("bfloat16")
    assert not in_bfloat16("float32")
