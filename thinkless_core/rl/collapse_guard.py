"""The collapse guard: watches whether RL loses a mode, and decides what is done.

counts of freely chosen modes, step by step -> share of the rarer mode over a window -> GuardEvent, forced rollouts

    watching --share < min_share--> lost --share >= recovered_share--> watching
                                     '--max_forced_steps passed (force_split)--> let go --recovered--> watching

The state depends on the observed counts alone: given the same counts after a crash, the guard is in the same state.
For what the share can and cannot show see schemas/configs/guard.py.
Differs from the paper: it has no guard; alpha alone keeps both modes alive there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Literal

from schemas.configs.guard import GuardConfig
from schemas.errors import CollapseError
from schemas.mode import Mode
from schemas.records.guard_events import GuardEvent
from schemas.records.metrics import Metric

State = Literal["watching", "lost", "let go"]
Action = Literal["warn", "stop", "force", "release"]


class CollapseGuard:
    """The guard of one run; it observes every step in turn."""

    def __init__(self, config: GuardConfig, *, group_size: int) -> None:
        config.check_group(group_size)
        self._config = config
        self._group_size = group_size
        self._window: deque[Mapping[Mode, int]] = deque(maxlen=config.window)
        self._state: State = "watching"
        self._lost = Mode.THINK
        self._lost_since = 0

    @property
    def forced(self) -> tuple[Mode, int] | None:
        """The mode that rollouts of the next step are forced into, and how many of each group; None if all are free."""
        if self._state == "lost" and self._config.policy == "force_split":
            return self._lost, self._config.forced_per_group
        return None

    def observe(self, *, step: int, free_counts: Mapping[Mode, int]) -> GuardEvent | None:
        """Take in how often each mode was chosen freely at `step`; returns the decision that follows, if there is one.

        Malformed and forced rollouts are in neither count. A step in which no rollout chose a mode freely is ignored.
        """
        if self._config.policy == "off":
            return None
        if sum(free_counts.get(mode, 0) for mode in Mode):
            self._window.append(dict(free_counts))
        if len(self._window) == self._config.window:
            event = self._look_for_loss(step) if self._state == "watching" else self._look_for_recovery(step)
            if event is not None:
                return event
        if self.forced is not None and step - self._lost_since >= self._config.max_forced_steps:
            return self._let_go(step)
        return None

    def numbers(self) -> dict[str, float]:
        """Metrics: whether a mode is lost, and rollouts forced per group; of a step, if read before it is observed."""
        return {
            "guard_alarm": float(self._state != "watching"),
            "guard_forced_per_group": float(self.forced[1] if self.forced else 0),
        }

    def _share(self, mode: Mode) -> float:
        """Share of a mode among the free rollouts of the window."""
        chosen = sum(counts.get(mode, 0) for counts in self._window)
        return chosen / sum(counts.get(m, 0) for counts in self._window for m in Mode)

    def _look_for_loss(self, step: int) -> GuardEvent | None:
        config = self._config
        share, rare = min((self._share(mode), mode) for mode in Mode)
        if share >= config.min_share:
            return None
        self._enter("lost", mode=rare)
        self._lost_since = step
        seen = (
            f"{rare} fell to {share:.1%} of the free rollouts over the {config.window} steps up to step {step}, under "
            f"rl.guard.min_share={config.min_share:g}"
        )
        match config.policy:
            case "stop":
                return self._event("stop", step=step, share=share, reason=f"{seen}; the run stops")
            case "force_split":
                consequence = (
                    f"{config.forced_per_group} of {self._group_size} rollouts of each group are forced into it until "
                    f"it has {config.recovered_share:.1%} of the free ones"
                )
                return self._event("force", step=step, share=share, reason=f"{seen}; {consequence}")
            case _:
                consequence = "what is not sampled cannot be learned; it may be lost for good"
                return self._event("warn", step=step, share=share, reason=f"{seen}; {consequence}")

    def _look_for_recovery(self, step: int) -> GuardEvent | None:
        share, was = self._share(self._lost), self._state
        if share < self._config.recovered_share:
            return None
        self._enter("watching", mode=self._lost)
        if was == "let go":  # it was released when it was let go
            return None
        reason = (
            f"{self._lost} is back at {share:.1%} of the free rollouts over the {self._config.window} steps up to step "
            f"{step}, at least rl.guard.recovered_share={self._config.recovered_share:g}; it was lost at step "
            f"{self._lost_since}"
        )
        return self._event("release", step=step, share=share, reason=reason)

    def _let_go(self, step: int) -> GuardEvent:
        share = self._share(self._lost) if self._window else 0.0
        self._enter("let go", mode=self._lost)
        reason = (
            f"{self._lost} is still at {share:.1%} of the free rollouts after {step - self._lost_since} forced steps "
            f"(rl.guard.max_forced_steps={self._config.max_forced_steps}); the rewards did not "
            "bring it back, and it is let go"
        )
        return self._event("release", step=step, share=share, reason=reason)

    def _enter(self, state: State, *, mode: Mode) -> None:
        self._state, self._lost = state, mode
        self._window.clear()

    def _event(self, action: Action, *, step: int, share: float, reason: str) -> GuardEvent:
        """A decision, made after the state has changed."""
        return GuardEvent(
            step=step,
            action=action,
            rare_mode=self._lost,
            share=share,
            forced_per_group=self.forced[1] if self.forced else 0,
            reason=reason,
        )


def stop_if_asked(event: GuardEvent | None) -> None:
    """Raise CollapseError if the event is a `stop`; to be called after the event has been logged."""
    if event is not None and event.action == "stop":
        raise CollapseError(
            f"rl step {event.step}: {event.reason}. The last checkpoint is kept. Lower rl.optimizer.learning_rate or "
            "the weight of the control token (rl.objective.alpha), change rl.gamma or the mix of problems, or set "
            'rl.guard.policy="force_split" (or "warn" if the loss is right, as on problems that are all easy)'
        )


def replay(guard: CollapseGuard, metrics: Iterable[Metric]) -> None:
    """Bring a fresh guard into the state it had at the end of a metrics log.

    Raises CollapseError if it had stopped the run: launching the same run again cannot mend it.
    """
    counts: dict[int, dict[Mode, int]] = {}
    for metric in metrics:
        for mode in Mode:
            if metric.name == f"free_{mode}_count":
                counts.setdefault(metric.step, {})[mode] = int(metric.value)
    for step, free_counts in sorted(counts.items()):
        stop_if_asked(guard.observe(step=step, free_counts=free_counts))
