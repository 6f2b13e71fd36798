"""The paper's claims, and the project's own, as measurements over seeds.

ClaimCheck + MemberResults by condition -> Readings (seed -> number, and the threshold) -> StudyClaim rows
Paper: Thinkless, arXiv 2505.13379; its own figures have no error bars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.configs.study import ClaimCheck, StudyBenchmarks
from schemas.mode import EvalMode
from schemas.records.study_claims import StudyClaim
from thinkless_core.statistics.member_results import MemberResults
from thinkless_core.statistics.need import choice_by_need
from thinkless_core.statistics.readings import Members, Reading, at_least, at_most, difference, judge, of_each


def think_shares_on(benchmark: str, members: Iterable[MemberResults]) -> dict[int, float]:
    """Share of a benchmark that the policy thinks about when it is free to choose."""
    return of_each(members, lambda m: m.cell(benchmark, EvalMode.AUTO).think_share)


def fewest_problems(benchmark: str, members: Iterable[MemberResults]) -> int | None:
    """Distinct problems of a benchmark that every member answered; None if no answers were kept."""
    return min((member.num_problems(benchmark) for member in members), default=0) or None


def think_share_falls(members: Members, on: StudyBenchmarks) -> list[Reading]:
    """On easy and mixed problems, against thinking always."""
    readings = []
    for benchmark in (on.easy, on.mixed):
        auto = {m.seed: m.cell(benchmark, EvalMode.AUTO) for m in members["policy"]}
        think = {m.seed: m.cell(benchmark, EvalMode.THINK) for m in members["policy"]}
        fall = {seed: 1 - cell.think_share for seed, cell in auto.items()}
        change = {seed: auto[seed].accuracy - think[seed].accuracy for seed in auto}
        readings += [
            Reading(
                "policy",
                f"fall of the think share on {benchmark}, from 1",
                fall,
                at_least(0.5),
                num_problems=fewest_problems(benchmark, members["policy"]),
            ),
            Reading("policy", f"accuracy on {benchmark}, auto less forced think", change, at_least(-0.01)),
        ]
    return readings


def hard_keeps_thinking(members: Members, on: StudyBenchmarks) -> list[Reading]:
    """On problems that the short mode cannot do."""
    shares = think_shares_on(on.hard, members["policy"])
    problems = fewest_problems(on.hard, members["policy"])
    return [Reading("policy", f"think share on {on.hard}", shares, at_least(0.95), num_problems=problems)]


def grpo_loses_a_mode(members: Members, on: StudyBenchmarks) -> list[Reading]:
    """The paper calls a mode lost below 10 of 1024 rollouts; held-out problems that need thinking say the same."""
    share, held_out = "share of the rarer mode in the last 10 steps", f"think share on {on.hard}"
    return [
        Reading("grpo", share, of_each(members["grpo"], MemberResults.rarer_mode_share), at_most(0.01)),
        Reading("degrpo", share, of_each(members["degrpo"], MemberResults.rarer_mode_share), at_least(0.02)),
        *(
            Reading(
                part,
                held_out,
                think_shares_on(on.hard, members[part]),
                threshold,
                num_problems=fewest_problems(on.hard, members[part]),
            )
            for part, threshold in (("grpo", at_most(0.5)), ("degrpo", at_least(0.9)))
        ),
    ]


def u_shaped_think_count(members: Members, on: StudyBenchmarks) -> list[Reading]:
    """Thinking first grows, while it is what earns most, then shrinks as short answers become right."""
    rises = of_each(members["policy"], lambda m: m.rise_and_fall()[0])
    falls = of_each(members["policy"], lambda m: m.rise_and_fall()[1])
    # A share of 256 rollouts, averaged over 10 steps, moves by 0.01 of itself; its largest of 80 by 0.03.
    return [
        Reading("policy", "rise of the think share from its start to its top", rises, at_least(0.05)),
        Reading("policy", "fall of the think share from its top to its end", falls, at_least(0.05)),
    ]


def alpha_sweep(members: Members, on: StudyBenchmarks) -> list[Reading]:
    """Against the middle alpha: steps until the choice is settled, and share of right choices."""
    settled = {part: of_each(members[part], MemberResults.steps_to_commit) for part in members}
    chosen = {
        part: of_each(members[part], lambda m: m.router(on.mixed, "auto").hybrid_accuracy or 0.0) for part in members
    }
    sooner, later = difference(settled["large"], settled["middle"]), difference(settled["small"], settled["middle"])
    return [
        Reading("large", "steps until the choice settles, large less middle alpha", sooner, at_most(-1.0)),
        Reading("small", "steps until the choice settles, small less middle alpha", later, at_least(1.0)),
        *(
            Reading(
                part,
                f"share of right choices on {on.mixed}, {part} less middle alpha",
                difference(chosen[part], chosen["middle"]),
                at_most(-0.01),
            )
            for part in ("large", "small")
        ),
    ]


def warm_up_scale(members: Members, on: StudyBenchmarks) -> list[Reading]:
    """More warm-up, better answers."""
    readings = []
    for mode in (EvalMode.AUTO, EvalMode.THINK):
        few, everything = ({m.seed: m.cell(on.mixed, mode).accuracy for m in members[part]} for part in ("few", "all"))
        quantity = f"accuracy on {on.mixed} in mode {mode}, all less few"
        readings.append(Reading("all", quantity, difference(everything, few), at_least(0.01)))
    return readings


def smooth_p_think(members: Members, on: StudyBenchmarks) -> list[Reading]:
    """A spectrum over problems, and not two heaps."""
    undecided = of_each(members["policy"], lambda m: m.undecided_share(on.mixed))
    steps = of_each(members["policy"], lambda m: m.smallest_step_in_difficulty(on.mixed))
    rise = f"smallest rise of P(think) from one difficulty of {on.mixed} to the next"
    return [
        Reading(
            "policy",
            f"share of {on.mixed} with 0.05 < P(think) < 0.95",
            undecided,
            at_least(0.1),
            num_problems=fewest_problems(on.mixed, members["policy"]),
        ),
        Reading("policy", rise, steps, at_least(-0.02)),
    ]


def long_chains_shorten(members: Members, on: StudyBenchmarks) -> list[Reading]:
    """Forced to think on the same hard problems before and after RL, so that the choice of problems plays no part."""

    def ratio(member: MemberResults) -> float:
        after, before = (member.cell(on.hard, EvalMode.THINK, model=model).mean_tokens for model in ("rl", "sft"))
        return after / before

    ratios = of_each(members["policy"], ratio)
    return [Reading("policy", f"tokens of forced think on {on.hard}, after RL over before", ratios, at_most(0.99))]


def reaches_oracle(members: Members, on: StudyBenchmarks) -> list[Reading]:
    """The oracle router takes, per problem, the cheaper mode that is right."""

    def short_of(member: MemberResults) -> float:
        return member.router(on.mixed, "oracle").accuracy - member.router(on.mixed, "auto").accuracy

    def cost(member: MemberResults) -> float:
        return member.router(on.mixed, "auto").mean_tokens / member.router(on.mixed, "oracle").mean_tokens

    both = [m.seed for m in members["policy"] if short_of(m) <= 0.01 and cost(m) <= 1.15]
    note = f"{len(both)} of {len(members['policy'])} seeds satisfy both"
    gaps, costs = of_each(members["policy"], short_of), of_each(members["policy"], cost)
    return [
        Reading("policy", f"accuracy on {on.mixed}, oracle router less auto", gaps, at_most(0.01), note),
        Reading("policy", f"tokens on {on.mixed}, auto over oracle router", costs, at_most(1.15), note),
    ]


def chooses_by_need(members: Members, on: StudyBenchmarks) -> list[Reading]:
    """By level of a task: where a short answer will do, and where only thought will; then what that costs and saves."""
    found = {member.seed: choice_by_need(member.completions, on.mixed) for member in members["policy"]}
    auto, think = (
        {m.seed: m.cell(on.mixed, mode) for m in members["policy"]} for mode in (EvalMode.AUTO, EvalMode.THINK)
    )
    easy = {seed: choice.easy for seed, choice in found.items() if choice.easy is not None}
    hard = {seed: choice.hard for seed, choice in found.items() if choice.hard is not None}
    change = {seed: auto[seed].accuracy - think[seed].accuracy for seed in auto}
    cost = {seed: auto[seed].mean_tokens / think[seed].mean_tokens for seed in auto}
    readings = []
    for shares, threshold, where in (
        (easy, at_most(0.15), "short is right in at least 90%"),
        (hard, at_least(0.85), "short is right in at most half as many as think"),
    ):
        mean = {seed: share.mean for seed, share in shares.items()}
        note = "; ".join(f"seed {seed}: {share}" for seed, share in shares.items())
        problems = min((share.num_problems for share in shares.values()), default=None)
        quantity = f"think share on {on.mixed} where {where}"
        readings.append(Reading("policy", quantity, mean, threshold, note, num_problems=problems))
    return [
        *readings,
        Reading("policy", f"accuracy on {on.mixed}, auto less forced think", change, at_least(-0.02)),
        Reading("policy", f"tokens on {on.mixed}, auto over forced think", cost, at_most(0.65)),
    ]


def guard_recovers(members: Members, on: StudyBenchmarks) -> list[Reading]:
    """The same setting that loses a mode, with and without forced rollouts."""
    quantity = "share of the rarer mode among free rollouts in the last 10 steps"
    lost, kept = (of_each(members[part], MemberResults.rarer_mode_share) for part in ("unguarded", "guarded"))
    actions = [
        f"seed {m.seed}: " + ", ".join(f"{event.action} at step {event.step}" for event in m.guard_events)
        for m in members["guarded"]
        if m.guard_events
    ]
    return [
        Reading("unguarded", quantity, lost, at_most(0.01)),
        Reading("guarded", quantity, kept, at_least(0.05), "; ".join(actions) or "the guard never acted"),
    ]


@dataclass(frozen=True)
class Claim:
    """What is claimed, and how it is measured."""

    statement: str
    read: Callable[[Members, StudyBenchmarks], list[Reading]]


CLAIMS: Mapping[str, Claim] = {
    "think-share-falls": Claim(
        "On easy problems thinking falls by at least 50%, at a loss of at most 1 point of accuracy.", think_share_falls
    ),
    "hard-keeps-thinking": Claim("Where short cannot do it, at least 95% are thought about.", hard_keeps_thinking),
    "grpo-loses-a-mode": Claim(
        "Under lopsided lengths grpo loses thinking (below 1% of rollouts), degrpo-paper does not.", grpo_loses_a_mode
    ),
    "u-shaped-think-count": Claim(
        "The think count first rises, then falls, by at least 5 points each.", u_shaped_think_count
    ),
    "alpha-sweep": Claim(
        "Too large an alpha settles early, too small a one late, and both choose worse by at least 1 point.",
        alpha_sweep,
    ),
    "warm-up-scale": Claim("More warm-up gives at least 1 point more accuracy.", warm_up_scale),
    "smooth-p-think": Claim(
        "P(think) rises smoothly with difficulty: at least 10% of problems in between, and no fall.", smooth_p_think
    ),
    "long-chains-shorten": Claim("RL shortens long chains by at least 1%.", long_chains_shorten),
    "reaches-oracle": Claim(
        "The policy is within 1 point of the oracle router at no more than 1.15 x its tokens.", reaches_oracle
    ),
    "chooses-by-need": Claim(
        "It thinks about at most 15% where short is right in 90%, and about at least 85% where short is right in half "
        "as many as think, at most 2 points behind always thinking and with at most 0.65 of its tokens.",
        chooses_by_need,
    ),
    "guard-recovers": Claim(
        "force_split brings a lost mode back to at least 5% of rollouts.",
        guard_recovers,
    ),
}


def measure_claim(
    check: ClaimCheck,
    *,
    study: str,
    members: Mapping[str, Sequence[MemberResults]],
    benchmarks: StudyBenchmarks,
    num_seeds: Mapping[str, int],
) -> list[StudyClaim]:
    """One row per quantity of the claim; `members` are finished runs by condition, of `num_seeds` asked for.

    A quantity that no seed has (because its runs are missing) has no row.
    """
    claim = CLAIMS[check.claim]
    by_part = {part: members.get(condition, ()) for part, condition in check.conditions.items()}
    rows = []
    for reading in claim.read(by_part, benchmarks):
        if not reading.by_seed:
            continue
        condition, found = check.conditions[reading.part], len(reading.by_seed)
        asked = num_seeds[condition]
        judgement = judge(reading, by_part[reading.part], condition=condition)
        interval = judgement.interval
        notes = [judgement.reason, reading.note, f"{found} of {asked} seeds" if found < asked else ""]
        rows.append(
            StudyClaim(
                study=study,
                claim=check.claim,
                statement=claim.statement,
                condition=condition,
                quantity=f"{reading.quantity}, {reading.threshold.side} {reading.threshold.value:g}",
                measured=interval.estimate,
                low=interval.low,
                high=interval.high,
                num_seeds=found,
                verdict=judgement.outcome,
                note="; ".join(note for note in notes if note),
            )
        )
    return rows
