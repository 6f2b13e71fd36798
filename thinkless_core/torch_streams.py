"""Random streams for torch; thinkless_core/seeding.py has those for numpy."""

from __future__ import annotations

import torch

from thinkless_core.seeding import derive_seed


def torch_generator(*parts: str | int) -> torch.Generator:
    """A torch CPU generator for the stream named by `parts`."""
    return torch.Generator().manual_seed(derive_seed(*parts))
