"""A made-up study for the tests of its page: three objectives, and a sweep of alpha, under three seeds each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from schemas.records.study_claims import StudyClaim
from schemas.records.study_curves import StudyCurve
from schemas.records.study_members import StudyMember
from schemas.records.study_pareto import StudyPareto
from tests.unit.infra.report.reported import write

SEEDS = (0, 1, 2)
CONDITIONS = {
    "grpo": {"rl.objective": "grpo"},
    "degrpo-paper": {"rl.objective": "degrpo-paper"},
    "hgpo": {"rl.objective": "hgpo"},
    "alpha=0.01": {"rl.objective.alpha": 0.01},
    "alpha=0.1": {},
    "alpha=10": {"rl.objective.alpha": 10},
}
STEPS = 60


def make_members() -> list[StudyMember]:
    """Every condition under every seed."""
    return [
        StudyMember(
            study="claims",
            condition=condition,
            seed=seed,
            overrides=json.dumps({**overrides, "rl.seed": seed}),
            rl_key=f"rl-{index}-{seed}",
            evaluate_key=f"evaluate-{index}-{seed}",
        )
        for index, (condition, overrides) in enumerate(CONDITIONS.items())
        for seed in SEEDS
    ]


def make_curves() -> list[StudyCurve]:
    """Counts that rise and fall, except under `grpo`, which loses thinking at once."""
    rng = np.random.default_rng(0)
    rows = []
    for condition in CONDITIONS:
        for seed in SEEDS:
            for step in range(1, STEPS + 1):
                part = step / STEPS
                share = 0.5 + 0.25 * np.sin(np.pi * part) - 0.2 * part
                if condition == "grpo":
                    share = 0.5 * np.exp(-step / 6)
                share = float(np.clip(share + rng.normal(0, 0.02), 0, 1))
                values = {
                    "think_count": round(256 * share),
                    "short_count": 256 - round(256 * share),
                    "think_share": share,
                    "think_accuracy": 0.98,
                    "short_accuracy": 0.5 + 0.4 * part,
                }
                if step % 10 == 0:
                    values |= {f"probe_p_think/difficulty_{d}": part if d > 1 else 1 - part for d in (1, 2, 3)}
                rows += [
                    StudyCurve(study="claims", condition=condition, seed=seed, step=step, name=name, value=value)
                    for name, value in values.items()
                ]
    return rows


def make_study_pareto() -> list[StudyPareto]:
    """Curves from always short to always think on two benchmarks; the later the condition, the better."""
    rng = np.random.default_rng(1)
    rows = []
    for index, condition in enumerate(CONDITIONS):
        for seed in SEEDS:
            for benchmark, short in (("tiny-easy", 0.9), ("tiny-hard", 0.2)):
                for bias in (-4.0, -2.0, 0.0, 2.0, 4.0):
                    share = 1 / (1 + np.exp(-bias))
                    gain = share ** (0.5 / (1 + index))
                    rows.append(
                        StudyPareto(
                            study="claims",
                            condition=condition,
                            seed=seed,
                            benchmark=benchmark,
                            think_bias=bias,
                            accuracy=float(np.clip(short + (0.99 - short) * gain + rng.normal(0, 0.01), 0, 1)),
                            think_share=float(share),
                            mean_tokens=float(3 + 30 * share + rng.normal(0, 0.4)),
                        )
                    )
    return rows


def make_claims() -> list[StudyClaim]:
    """One claim of every verdict."""
    facts = [
        ("think-share-falls", "Think share on easy problems falls by 50-90% at no more than 1 point of accuracy.", 0.71,
         0.66, 0.76, "holds", ""),
        ("grpo-loses-a-mode", "grpo has lost one mode at the end.", 0.98, 0.97, 0.99, "holds", "it loses thinking"),
        ("long-chains-shorten", "Think answers get at least 5% shorter.", 0.01, -0.01, 0.03, "fails",
         "the chain of a <tiny> problem has one shortest form"),
        ("smooth-p-think", "P(think) rises with difficulty.", 0.4, -0.2, 1.0, "undecided", "two seeds only"),
    ]  # fmt: skip
    return [
        StudyClaim(
            study="claims", claim=claim, statement=statement, condition="degrpo-paper", quantity="share",
            measured=value, low=low, high=high, num_seeds=3, verdict=verdict, note=note,  # type: ignore[arg-type]
        )
        for claim, statement, value, low, high, verdict, note in facts
    ]  # fmt: skip


def write_study(folder: Path) -> Path:
    """All four tables of the study in a folder."""
    write(folder / "study_members.parquet", StudyMember, make_members())
    write(folder / "study_curves.parquet", StudyCurve, make_curves())
    write(folder / "study_pareto.parquet", StudyPareto, make_study_pareto())
    write(folder / "study_claims.parquet", StudyClaim, make_claims())
    return folder
