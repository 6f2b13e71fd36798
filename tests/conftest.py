"""What every test shares: one thread, the CPU, the tiny student, and the rule that an all-skipped suite fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ACCELERATE_USE_CPU", "true")
# Real data sets, no part of the product: beside the checkout, where somebody put them; else the tests skip.
os.environ.setdefault("THINKLESS_TEST_DATA", str(Path(__file__).parents[2] / "shared" / "data"))

import pytest
import torch
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from tests.all_skipped import pytest_sessionfinish as pytest_sessionfinish
from tests.specimens import make_student
from thinkless_core.student.tiny_model import tiny_tokenizer


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--regenerate-golden` rewrites tests/cases/golden.json."""
    parser.addoption(
        "--regenerate-golden", action="store_true", help="write tests/cases/golden.json anew, then compare"
    )


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Small CPU work is slowed badly by many threads, and bitwise comparisons want a fixed number of them."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """The tiny student's tokenizer; nothing changes it."""
    return tiny_tokenizer()


@pytest.fixture(scope="session")
def student() -> Callable[..., Qwen2ForCausalLM]:
    """`student(seed=0, scale=1)`: a fresh tiny model (tests.specimens.make_student)."""
    return make_student
