"""What every test shares: one thread, the CPU, the tiny student, and the rule that an all-skipped suite fails.

Torch is imported by those who need it: the process that hands tests out does not.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ACCELERATE_USE_CPU", "true")
# Real data sets, no part of the product: beside the checkout, where somebody put them; else the tests skip.
os.environ.setdefault("THINKLESS_TEST_DATA", str(Path(__file__).parents[2] / "shared" / "data"))

import pytest

from tests.all_skipped import pytest_sessionfinish as pytest_sessionfinish

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--regenerate-golden` rewrites tests/cases/golden.json."""
    parser.addoption(
        "--regenerate-golden", action="store_true", help="write tests/cases/golden.json anew, then compare"
    )


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Small CPU work is slowed badly by many threads, and bitwise comparisons want a fixed number of them."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """The tiny student's tokenizer; nothing changes it."""
    from thinkless_core.student.tiny_model import tiny_tokenizer

    return tiny_tokenizer()


@pytest.fixture(scope="session")
def student() -> Callable[..., Qwen2ForCausalLM]:
    """`student(seed=0, scale=1)`: a fresh tiny model (tests.specimens.make_student)."""
    from tests.specimens import make_student

    return make_student
