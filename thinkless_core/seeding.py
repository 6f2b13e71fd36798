"""Random numbers as functions of what they are for, never of what was drawn before.

(seed, names, counters) -> an independent stream. Nothing random has a state that could be lost in a crash, and no
stream depends on how work was split into batches or processes.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np
from numpy.typing import NDArray


def derive_seed(*parts: str | int) -> int:
    """A 63-bit seed for the stream named by `parts`."""
    blob = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(blob).digest()[:8], "big") >> 1


def random_stream(*parts: str | int) -> np.random.Generator:
    """A numpy generator for the stream named by `parts`."""
    return np.random.Generator(np.random.Philox(key=derive_seed(*parts)))


def epoch_order(num_items: int, *, seed: int, epoch: int) -> list[int]:
    """The order in which epoch `epoch` visits `num_items` items."""
    order: list[int] = _order(num_items, seed, epoch).tolist()
    return order


@functools.lru_cache(maxsize=2)
def _order(num_items: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Kept, because every step of an epoch asks for it: a million items take longer to shuffle than some steps."""
    return random_stream("order", seed, epoch).permutation(num_items)


def batch_indices(num_items: int, *, batch_size: int, step: int, seed: int) -> list[int]:
    """Items of step `step` (0-based); every epoch has its own order.

    No item comes twice in a batch: a remainder too small for a batch is left out of its epoch. Where the items are
    fewer than one batch, epochs follow each other without a gap and items repeat.
    """
    if num_items >= batch_size:
        epoch, place = divmod(step, num_items // batch_size)
        batch: list[int] = _order(num_items, seed, epoch)[place * batch_size : (place + 1) * batch_size].tolist()
        return batch
    positions = range(step * batch_size, (step + 1) * batch_size)
    orders = {p // num_items: epoch_order(num_items, seed=seed, epoch=p // num_items) for p in positions}
    return [orders[p // num_items][p % num_items] for p in positions]
