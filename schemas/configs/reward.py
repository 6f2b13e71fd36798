"""What has to be known of a reward before torch is loaded; rewards are in thinkless_core/rl/rewards.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from schemas.kinds import Kind, chosen


class RewardConfig(Kind):
    """What a rollout earns. Chosen by name, by `FILE.py:Class` or by import path."""

    group: ClassVar[str] = "thinkless.rewards"
    tag: ClassVar[str] = "name"
    unread: ClassVar[Mapping[str, str]] = {}
    """Fields of stage `rl` that it does not read: field -> why. Such a field may not be set by hand."""

    name: str = ""
    """`thinkless`, `correct`, `right-or-wrong`, `short-bonus`, or your own: `FILE.py:Class` or an import path."""


choose_reward = chosen(RewardConfig)
"""A name or a table -> the reward that it chooses."""
