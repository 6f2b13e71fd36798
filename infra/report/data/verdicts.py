"""Conclusions: Evidence -> one result per benchmark -> one answer for the whole run.

The rules are few and written down, so that a reader can disagree with them:
* lost: accuracy in auto mode is below forced think, that of the RL model or of the warm-up or base model, by more than
  two standard errors (paired by problem) and by more than one point; otherwise it is kept;
* saved: auto spends at least 5% fewer tokens than forced think;
* needed: forced think beats forced short by more than two standard errors;
* a difference whose standard error is over 0.05 is called undecided instead of kept;
* nothing is said, kept or saved, of a benchmark on which the model is right less than 5% of the time in every mode;
* the choice follows the problem if forced short does better where the model leans to short than where it leans to
  think, by more than two standard errors, with at least 2% of the problems on either side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from infra.report.data.evidence import Evidence
from infra.report.data.evidence_rows import AgainstThink, Comparison
from infra.report.data.wording import accuracy, percent, signed_percent, tokens
from schemas.records.eval_summary import EvalSummary

Tone = Literal["good", "warn", "bad", "unknown"]

NUM_ERRORS = 2.0
"""Standard errors a difference must exceed to be called one."""
LOST_ACCURACY = 0.01
"""A smaller loss of accuracy is none, however sure it is."""
SAVED_SHARE = 0.05
"""Share of tokens that counts as saved."""
UNDECIDED_STDERR = 0.05
"""A larger standard error of the accuracy difference decides nothing."""
SOLVED_SHARE = 0.05
"""Accuracy that a mode must reach before anything is said: of less, a loss that counts as none (`LOST_ACCURACY`) would
be over a fifth of all there is to lose."""
SIDE_SHARE = 0.02
"""Smallest share of the problems on either side of a choice that follows the problem."""


class BenchmarkResult(NamedTuple):
    """The rl model in auto mode on one benchmark, against the same model forced to think."""

    benchmark: str
    num_problems: int | None
    num_samples: int | None
    """Of each problem; both None if the completions are not there to be counted."""
    think_share: float
    warmup_think_share: float | None
    auto_tokens: float
    think_tokens: float
    tokens_saved: float
    """Share of forced think's tokens; negative where auto spends more."""
    accuracy: float
    think_accuracy: float
    difference: float
    difference_stderr: float
    routing_gain: float | None
    """Accuracy above a coin that has the same think share."""
    routing_gain_stderr: float | None
    against: tuple[AgainstThink, ...]
    """The same accuracy against every model that was forced to think, the rl model itself among them."""
    lost: bool
    """Whether accuracy is lost against one of them."""
    solved: bool
    """Whether the rl model solves enough of it, in one mode at least, to say anything."""
    tone: Tone
    words: str


@dataclass(frozen=True)
class Headline:
    """The answer to "did it learn when to think?"; answers.py supports it with figures."""

    tone: Tone
    answer: str
    reason: str = ""
    """Why there is none, if there is none."""


def judge_benchmarks(evidence: Evidence) -> tuple[BenchmarkResult, ...]:
    """One result for every benchmark on which the rl model was asked in all three modes."""
    return tuple(v for b in evidence.benchmarks if (v := _judge(evidence, b)) is not None)


def _judge(evidence: Evidence, benchmark: str) -> BenchmarkResult | None:
    auto, think, short = (evidence.cell(benchmark, "rl", mode) for mode in ("auto", "think", "short"))
    if auto is None or think is None or short is None:
        return None
    paired = evidence.comparisons.get(benchmark)
    compared = paired or _unpaired(auto, think, short)
    saved = 1 - auto.mean_tokens / think.mean_tokens if think.mean_tokens else 0.0
    against = tuple(a for model in ("rl", "sft", "base") if (a := _against(evidence, benchmark, model)) is not None)
    lost = any(a.difference < -max(NUM_ERRORS * a.difference_stderr, LOST_ACCURACY) for a in against)
    tone, words = _words(compared, saved, lost=lost)
    solved = max(auto.accuracy, think.accuracy, short.accuracy) >= SOLVED_SHARE
    if not solved and not lost:
        tone, words = "unknown", "solves nearly nothing in any mode"
    warmup = evidence.cell(benchmark, "sft", "auto")
    counted = evidence.problem_counts.get(benchmark)
    return BenchmarkResult(
        benchmark=benchmark,
        num_problems=counted and counted.num_problems,
        num_samples=counted and counted.num_samples,
        think_share=auto.think_share,
        warmup_think_share=None if warmup is None else warmup.think_share,
        auto_tokens=auto.mean_tokens,
        think_tokens=think.mean_tokens,
        tokens_saved=saved,
        accuracy=auto.accuracy,
        think_accuracy=think.accuracy,
        difference=compared.against_think,
        difference_stderr=compared.against_think_stderr,
        routing_gain=paired and paired.against_coin,
        routing_gain_stderr=paired and paired.against_coin_stderr,
        against=against,
        lost=lost,
        solved=solved,
        tone=tone,
        words=words,
    )


def _against(evidence: Evidence, benchmark: str, model: str) -> AgainstThink | None:
    """The rl model against one that is forced to think; unpaired if no completions pair them."""
    for found in evidence.against_think:
        if (found.benchmark, found.other) == (benchmark, model):
            return found
    auto, think = evidence.cell(benchmark, "rl", "auto"), evidence.cell(benchmark, model, "think")
    if auto is None or think is None:
        return None
    difference, error = auto.accuracy - think.accuracy, math.hypot(auto.accuracy_stderr, think.accuracy_stderr)
    return AgainstThink(model, benchmark, difference, error, think.accuracy)


def _unpaired(auto: EvalSummary, think: EvalSummary, short: EvalSummary) -> Comparison:
    """Differences of the summary's cells, where no completions pair them; errors add in quadrature."""
    coin = auto.think_share * think.accuracy + (1 - auto.think_share) * short.accuracy
    return Comparison(
        auto.benchmark,
        auto.accuracy - think.accuracy,
        math.hypot(auto.accuracy_stderr, think.accuracy_stderr),
        auto.accuracy - coin,
        math.hypot(auto.accuracy_stderr, think.accuracy_stderr),
        think.accuracy - short.accuracy,
        math.hypot(think.accuracy_stderr, short.accuracy_stderr),
    )


def _words(compared: Comparison, saved: float, *, lost: bool) -> tuple[Tone, str]:
    needed = compared.need > NUM_ERRORS * compared.need_stderr
    match (lost, saved >= SAVED_SHARE):
        case (True, True):
            return "warn", "saves tokens, costs accuracy"
        case (True, False):
            return "bad", "loses accuracy and saves nothing"
    if compared.against_think_stderr > UNDECIDED_STDERR:
        return "unknown", "undecided: too few problems"
    if saved >= SAVED_SHARE:
        return "good", "saves tokens, keeps accuracy"
    if needed:
        return "good", "thinks, and needs to"
    return "warn", "thinks where short would do"


def headline(evidence: Evidence) -> Headline:
    """The answer, computed; what was not measured is named."""
    verdicts = judge_benchmarks(evidence)
    if not evidence.cells:
        return Headline("unknown", "Cannot tell yet", "Nothing was evaluated: stage evaluate was not built.")
    if not verdicts:
        return Headline("unknown", "Cannot tell", "The RL model was not evaluated in all three modes on any benchmark.")
    return Headline(*_answer(evidence, verdicts))


def _answer(evidence: Evidence, verdicts: tuple[BenchmarkResult, ...]) -> tuple[Tone, str]:
    verdicts = tuple(v for v in verdicts if v.solved or v.lost)
    if not verdicts:
        return "unknown", "Cannot tell: it solves nearly nothing in any mode"
    shares = [v.think_share for v in verdicts]
    follows = _choice_follows_problem(evidence)
    if follows is None:
        if min(shares) > 0.9:
            return "bad", "No: it thinks almost everywhere"
        if max(shares) < 0.1:
            return "bad", "No: it almost never thinks"
        return "unknown", "Cannot tell: it leans to the same mode on nearly every problem"
    if not follows:
        return "bad", "No: its choice does not follow the problem"
    if all(v.tone == "good" for v in verdicts):
        return "good", "Yes: it learned when to think"
    if any(v.lost for v in verdicts):
        return "warn", "Partly: it chooses by problem, at a cost in accuracy"
    if any(v.tone == "unknown" for v in verdicts):
        return "unknown", "It chooses by problem; too few problems to tell what that costs"
    return "warn", "Mostly: it chooses by problem, and still thinks where it need not"


def _choice_follows_problem(evidence: Evidence) -> bool | None:
    """Whether short answers do better where the model chooses them; None if it chooses one mode only."""
    by_side = {group.leans_to_think: group for group in evidence.routing}
    if len(by_side) < 2:
        return None
    short, think = by_side[False], by_side[True]
    if min(short.num_problems, think.num_problems) < SIDE_SHARE * (short.num_problems + think.num_problems):
        return None
    gap = short.short_accuracy - think.short_accuracy
    return gap > NUM_ERRORS * math.hypot(short.stderr, think.stderr)


def benchmark_line(benchmark: str, auto: EvalSummary | None, think: EvalSummary | None) -> str:
    """One line about the rl model on one benchmark, for the terminal."""
    if auto is None or think is None:
        return f"{benchmark}: model rl was not evaluated in modes auto and think"
    change = auto.mean_tokens / think.mean_tokens - 1 if think.mean_tokens else 0.0
    return (
        f"{benchmark}: rl auto thinks on {percent(auto.think_share)} of problems, {tokens(auto.mean_tokens)} tokens "
        f"against {tokens(think.mean_tokens)} forced think ({signed_percent(change)}), "
        f"accuracy {accuracy(auto.accuracy)} vs {accuracy(think.accuracy)}"
    )
