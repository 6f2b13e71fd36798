"""The first screen in sentences: did it learn to choose, what does that save, what does it cost, can it be trusted.

Evidence, manifests -> Answers, each to one question; every figure is in a sentence as one would say it aloud
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from infra.report.data.evidence import Evidence
from infra.report.data.evidence_rows import AgainstThink
from infra.report.data.verdicts import BenchmarkResult, judge_benchmarks
from infra.report.data.wording import asked, count, counted, listing, percent, percent_points, share, tokens
from schemas.artifact import Manifest

OTHERS = {"rl": "itself forced to think", "sft": "the warm-up model forced to think",
          "base": "the base model forced to think"}  # fmt: skip
"""Model -> its name in a comparison, in the order of the sentences."""


class Answer(NamedTuple):
    """What the page says to one question."""

    question: str
    sentences: tuple[str, ...]


def answers(evidence: Evidence, manifests: Sequence[Manifest]) -> tuple[Answer, ...]:
    """The four answers; without an evaluation of the RL model in three modes, the last one alone."""
    verdicts = judge_benchmarks(evidence)
    found = [Answer("Can it be trusted?", _trust(evidence, verdicts, manifests))]
    if verdicts:
        found = [
            Answer("Did it learn to choose?", (_shares(verdicts), _routing(evidence))),
            Answer("What does it save?", (_saving(verdicts),)),
            Answer("What does it cost in accuracy?", _costs(verdicts)),
            *found,
        ]
    return tuple(found)


def _shares(verdicts: Sequence[BenchmarkResult]) -> str:
    after = listing([f"{percent(v.think_share)} of {v.benchmark}" for v in verdicts])
    before = [percent(v.warmup_think_share) for v in verdicts if v.warmup_think_share is not None]
    warmup = f" (after warm-up alone: {listing(before)})" if len(before) == len(verdicts) else ""
    return f"Left to choose, the model thinks on {after}{warmup}."


def _routing(evidence: Evidence) -> str:
    by_side = {group.leans_to_think: group for group in evidence.routing}
    if not by_side:
        return (
            "Whether it thinks where it must was not measured: there are no forced short completions of the RL model."
        )
    if len(by_side) == 1:
        ((leans, group),) = by_side.items()
        mode = "thinking" if leans else "a short answer"
        return (
            f"It leans to {mode} on every one of {counted(group.num_problems, 'problem')}: there is no choice to judge."
        )
    short, think = by_side[False], by_side[True]
    return (
        f"A short answer would have been right on {percent(short.short_accuracy)} of the "
        f"{counted(short.num_problems, 'problem')} that it leans to answer short, and on "
        f"{percent(think.short_accuracy)} of the {counted(think.num_problems, 'problem')} that it leans to think on."
    )


def _saving(verdicts: Sequence[BenchmarkResult]) -> str:
    parts = [
        f"{_fewer(v.tokens_saved)} tokens on {v.benchmark} ({tokens(v.auto_tokens)} an answer instead of "
        f"{tokens(v.think_tokens)})"
        for v in verdicts
    ]
    return f"Compared with always thinking it spends {listing(parts)}."


def _fewer(saved: float) -> str:
    """The share of tokens that is saved, in words."""
    if abs(saved) < 0.005:
        return "as many"
    return f"{percent(abs(saved))} {'fewer' if saved > 0 else 'more'}"


def _costs(verdicts: Sequence[BenchmarkResult]) -> tuple[str, ...]:
    return (*map(_cost, verdicts), "± is one standard error, over problems.")


def _cost(result: BenchmarkResult) -> str:
    others = {other.other: other for other in result.against if other.other in OTHERS}
    if result.accuracy == 0 and not any(other.other_accuracy for other in others.values()):
        return f"On {result.benchmark} no answer is right, here or of a model that is forced to think."
    if not result.solved and not result.lost:
        return (
            f"On {result.benchmark} it solves nearly nothing in any mode (its accuracy is {share(result.accuracy)}): "
            "there is next to nothing to lose, so what its choice costs cannot be said."
        )
    parts = [_difference(others[model]) for model in OTHERS if model in others]
    return f"On {result.benchmark} its accuracy is {share(result.accuracy)}: {listing(parts)}."


def _difference(other: AgainstThink) -> str:
    name, points = f"{OTHERS[other.other]} ({share(other.other_accuracy)})", percent_points(abs(other.difference))
    error = f" (±\u00a0{percent_points(other.difference_stderr)})" if other.difference_stderr else ""
    if abs(other.difference) < 0.0005:
        return f"the same{error} as {name}"
    unit = "point" if points == "1.0" else "points"
    return f"{points} {unit}{error} {'below' if other.difference < 0 else 'above'} {name}"


def _trust(evidence: Evidence, verdicts: Sequence[BenchmarkResult], manifests: Sequence[Manifest]) -> tuple[str, ...]:
    measured = [f"{v.benchmark} ({asked(v.num_problems, v.num_samples)})" for v in verdicts if v.num_problems]
    return tuple(
        sentence
        for sentence in (
            f"Measured in every mode on {listing(measured)}." if measured else "",
            _seeds(manifests),
            _gates(manifests),
            _graders(evidence),
        )
        if sentence
    )


def _seeds(manifests: Sequence[Manifest]) -> str:
    seeds = {m.stage: m.seed for m in manifests if m.seed is not None}
    if "rl" not in seeds:
        return ""
    named = [f"{name} {seeds[stage]}" for stage, name in (("sft", "warm-up"), ("rl", "RL")) if stage in seeds]
    return f"It is one run with one seed ({listing(named)}): what another seed would give is not known from it."


def _gates(manifests: Sequence[Manifest]) -> str:
    checks = [check for manifest in manifests for check in manifest.checks]
    failed = sum(not check.success for check in checks)
    if not checks:
        return "No validation check was made."
    if failed:
        return f"{count(failed)} of {counted(len(checks), 'validation check')} failed."
    if len(checks) == 1:
        return "The one validation check passed."
    return f"All {counted(len(checks), 'validation check')} passed."


def _graders(evidence: Evidence) -> str:
    total = sum(g.num_completions for g in evidence.graders)
    disagreements = sum(g.only_strict + g.only_lenient for g in evidence.graders)
    if not total:
        return ""
    if not disagreements:
        return f"The two graders agree on all {counted(total, 'completion')}."
    share_of = percent(disagreements / total)
    return f"The two graders disagree on {count(disagreements)} of {counted(total, 'completion')} ({share_of})."
