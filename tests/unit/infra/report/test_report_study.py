"""The page of a study: claims with intervals and verdicts, curves by seed, sweeps, objectives side by side."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from infra.report.data.study_claim_groups import measured_claims
from infra.report.data.study_evidence import drawn_interval, mean_series, read_studies, sweeps
from infra.report.study_page import render_study_page
from schemas.errors import MissingArtifactError
from schemas.records.study_claims import StudyClaim
from schemas.records.study_members import StudyMember
from tests.unit.infra.report.html_outline import outline
from tests.unit.infra.report.reported import write
from tests.unit.infra.report.studied import CONDITIONS, SEEDS, make_claims, make_members, write_study


def rendered(folder: Path) -> str:
    return render_study_page(folder, profile="tiny", created_at="2026-03-01T10:00:00+00:00")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return rendered(folder)


def test_every_claim_stands_with_interval_and_verdict_in_words(page: str) -> None:
    text = " ".join(" ".join(outline(page).text).split())
    assert "Of 4 claims 2 hold, 1 fails and 1 is undecided." in text
    for claim in make_claims():
        row = text[text.index(claim.claim) :]
        for part in (claim.statement, claim.verdict, claim.note, f"{claim.measured:.3g}"):
            assert part in row
        assert f"{claim.low:.3g} to {claim.high:.3g}" in row


def test_one_seed_has_no_interval_and_the_settings_of_a_run_stand_one_by_one(tmp_path: Path) -> None:
    (some, *_), (member, *_) = make_claims(), make_members()
    alone = some.model_copy(update={"num_seeds": 1, "low": math.nan, "high": math.nan, "verdict": "undecided"})
    set_by_hand = member.model_copy(update={"overrides": json.dumps(["rl.seed=0", 'evaluate.models=["rl"]'])})
    write(tmp_path / "study_claims.parquet", StudyClaim, [alone])
    write(tmp_path / "study_members.parquet", StudyMember, [set_by_hand])
    page = rendered(tmp_path)
    assert '<td role="cell" data-label="95% interval" class="num">-</td>' in page
    assert f"{some.claim}: {some.condition}" in page
    assert "<code>rl.seed=0</code><br><code>evaluate.models=[&#34;rl&#34;]</code>" in page


def test_a_claim_with_four_measures_is_one_claim_with_four_readings() -> None:
    (some, *_) = make_claims()

    def rows(condition: str, *verdicts: str) -> list[StudyClaim]:
        about = {"claim": "chooses-by-need", "condition": condition}
        return [
            some.model_copy(update={**about, "quantity": f"q{n}", "verdict": verdict})
            for n, verdict in enumerate(verdicts)
        ]

    found = measured_claims(
        [*rows("a", "holds", "holds", "holds", "holds"), *rows("b", "holds", "undecided"), *rows("c", "fails", "holds")]
    )
    assert [(c.verdict, len(c.readings)) for c in found] == [("holds", 4), ("undecided", 2), ("fails", 2)]


def test_a_claim_about_two_conditions_is_one_claim_as_often_as_it_is_measured() -> None:
    (some, *_) = make_claims()
    rows = [
        some.model_copy(update={"claim": "guard-recovers", "condition": condition, "quantity": quantity})
        for condition, quantity in (("x", "share, at most 0.01"), ("y", "share, at least 0.05")) * 2
    ]
    assert [len(claim.readings) for claim in measured_claims(rows)] == [2, 2]


def test_the_page_says_when_with_what_profile_and_with_which_seeds(page: str) -> None:
    text = " ".join(" ".join(outline(page).text).split())
    assert "Profile tiny , 2026-03-01 10:00 UTC , 18 runs, seeds 0, 1, 2" in text


def test_the_page_is_whole_small_and_the_same_every_time(folder: Path, page: str) -> None:
    parsed = outline(page)
    assert len(parsed.identifiers) == len(set(parsed.identifiers))
    links = [str(a["href"]).removeprefix("#") for tag, a in parsed.tags if tag == "a"]
    assert set(links) <= set(parsed.identifiers)
    assert not [tag for tag, _ in parsed.tags if tag == "script"]
    assert not re.findall(r"(?:fill|stroke): ?#[0-9a-f]{6}", page[page.index("</style>") :])
    assert rendered(folder) == page
    assert len(page.encode()) < 1_000_000


def test_every_condition_has_a_picture_and_every_benchmark_two(page: str) -> None:
    titles = re.findall(r"<figcaption><h3>(.*?)</h3>", page)
    assert titles[: len(CONDITIONS)] == list(CONDITIONS)
    assert [t for t in titles if t.startswith("rl.objective.alpha")] == [
        "rl.objective.alpha: where the choice ends",
        "rl.objective.alpha: how it got there",
    ]
    assert len([t for t in titles if t.startswith("tiny-")]) == 4


def test_sections_appear_only_where_there_are_data(tmp_path: Path) -> None:
    write(tmp_path / "study_claims.parquet", StudyClaim, make_claims())
    sections = [a["id"] for tag, a in outline(rendered(tmp_path)).tags if tag == "section"]
    assert sections == ["claims"]
    write(tmp_path / "study_claims.parquet", StudyClaim, [])
    assert "hold no rows" in rendered(tmp_path)


def test_a_folder_without_tables_is_an_error_that_names_them(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifactError, match=r"study_members\.parquet.*run the study"):
        rendered(tmp_path)


def test_two_studies_share_a_page_and_no_identifier(folder: Path, tmp_path: Path) -> None:
    write_study(tmp_path)
    members = [m.model_copy(update={"study": study}) for study in ("claims", "compare") for m in make_members()]
    write(tmp_path / "study_members.parquet", StudyMember, members)
    parsed = outline(rendered(tmp_path))
    assert len(parsed.identifiers) == len(set(parsed.identifiers))
    assert "compare: Runs" in parsed.text


def test_an_interval_over_seeds_is_that_of_students_t() -> None:
    """1, 2, 3: mean 2, deviation 1, error 1/sqrt(3), t with two degrees of freedom 4.3027."""
    half_width = 4.3027 / math.sqrt(3)
    assert drawn_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2.0 - half_width, 2.0 + half_width), abs=1e-4)


def test_one_seed_is_drawn_without_an_interval() -> None:
    assert drawn_interval([5.0]) == (5.0, 5.0, 5.0)


def test_the_mean_of_seeds_stops_where_one_of_them_does() -> None:
    assert mean_series({0: ((1, 1.0), (2, 3.0)), 1: ((1, 2.0),)}) == ((1, 1.5),)


def test_a_sweep_is_what_differs_in_one_number() -> None:
    def member(condition: str, overrides: object) -> StudyMember:
        return StudyMember(
            study="s", condition=condition, seed=0, overrides=json.dumps(overrides), rl_key="r", evaluate_key="e"
        )

    found = sweeps(
        [
            member("large", ["rl.objective.alpha=10", "rl.seed=0", 'evaluate.models=["rl"]']),
            member("small", ["rl.objective.alpha=0.05", "rl.seed=1", 'evaluate.models=["sft", "rl"]']),
            member("other", ["rl.objective.alpha=1", "rl.gamma=2"]),
            member("grpo", {"rl.objective": "grpo"}),
            member("few", ["sft.steps=800"]),
            member("as-it-is", ['evaluate.models=["rl"]']),
        ]
    )
    assert [(s.setting, [(p.value, p.condition) for p in s.points]) for s in found] == [
        ("rl.objective.alpha", [(0.05, "small"), (10.0, "large"), (None, "as-it-is")]),
        ("sft.steps", [(800.0, "few"), (None, "as-it-is")]),
    ]


def test_curves_are_read_by_condition_and_seed(folder: Path) -> None:
    (evidence,) = read_studies(folder)
    assert evidence.conditions == tuple(CONDITIONS)
    by_seed = evidence.curves["grpo", "think_count"]
    assert tuple(by_seed) == SEEDS
    assert [step for step, _ in by_seed[0]] == sorted(step for step, _ in by_seed[0])
