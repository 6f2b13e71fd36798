"""A report of a run that stopped on the way: it shows what there is and names what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.report.page import SECTIONS
from infra.report.run_inputs import inputs_of_artifacts, write_unfinished_report
from infra.runs import RunRecord, StageUse, add_stage, finish_run, start_run
from infra.store.artifact_store import ArtifactStore
from schemas.artifact import Artifact
from schemas.configs.report import ReportConfig
from schemas.errors import CollapseError, MissingArtifactError, TrainingError
from schemas.mode import Mode
from schemas.records.guard_events import GuardEvent
from schemas.records.metrics import Metric
from tests.unit.infra.report.html_outline import outline
from tests.unit.infra.report.published import publish_pipeline

LABELS = ("base", "problems", "teach_think", "teach_short", "pairs", "sft", "rl", "evaluate")


NO_LOSS = TrainingError("loss")


def stopped_run(artifacts: dict[str, Artifact], *, behind: str, error: BaseException | None = NO_LOSS) -> RunRecord:
    """A run that came as far as one stage, that stage included."""
    record = start_run("run-7", profile="tiny", config={"report": {"title": "A <title>", "later_key": 1}})
    for label in LABELS[: LABELS.index(behind) + 1]:
        use = StageUse(stage=artifacts[label].stage, key=artifacts[label].key, cached=False)
        record = add_stage(record, use)
    return finish_run(record, error=error)


def test_a_run_that_failed_before_evaluation_shows_its_training(tmp_path: Path) -> None:
    record = stopped_run(publish_pipeline(tmp_path), behind="rl")
    path = write_unfinished_report(ArtifactStore(tmp_path), record)
    assert path == tmp_path / "reports" / "run-7.html"
    page = path.read_text(encoding="utf-8")
    parsed = outline(page)
    assert [a["id"] for tag, a in parsed.tags if tag == "section"] == list(SECTIONS)
    text = " ".join(" ".join(parsed.text).split())
    assert "Missing: evaluate (not built)." in text
    assert "TrainingError: loss" in text
    assert "Cannot tell yet" in text
    assert "A <title>" in text
    assert "Nothing to draw: stage sft was not built." not in text
    assert page.count('<svg class="chart"') >= 1
    assert "3*7=?" in text  # the pair is an example already


@pytest.mark.parametrize(
    ("behind", "missing"),
    [
        ("base", "problems (not built), teach-think (not built), teach-short (not built), pairs (not built), "),
        ("teach_think", "teach-short (not built), pairs (not built), "),
    ],
)
def test_the_box_names_every_missing_stage(tmp_path: Path, behind: str, missing: str) -> None:
    record = stopped_run(publish_pipeline(tmp_path), behind=behind)
    text = " ".join(write_unfinished_report(ArtifactStore(tmp_path), record).read_text(encoding="utf-8").split())
    assert f"Missing: {missing}sft (not built), rl (not built), evaluate (not built)." in text
    assert "stage rl was not built" in text


def test_a_stage_that_stopped_at_work_shows_its_log(tmp_path: Path) -> None:
    record = stopped_run(publish_pipeline(tmp_path), behind="sft", error=CollapseError("think is lost"))
    store = ArtifactStore(tmp_path)
    scratch = store.open_workspace("rl", "begunkey") / "scratch"
    metrics = [Metric(stage="rl", step=step, name="think_count", value=60.0 - 10 * step) for step in range(1, 6)]
    lines = [f"{row.model_dump_json()}\n" for row in metrics]
    (scratch / "metrics.jsonl").write_text("".join(lines) + lines[0][:20], encoding="utf-8")  # the last one is torn
    (scratch / "rollouts.jsonl").write_text("", encoding="utf-8")
    event = GuardEvent(step=4, action="stop", rare_mode=Mode.THINK, share=0.01, forced_per_group=0, reason="too rare")
    (scratch / "guard_events.jsonl").write_text(f"{event.model_dump_json()}\n", encoding="utf-8")
    page = write_unfinished_report(store, record, at_work={"rl": "begunkey"}).read_text(encoding="utf-8")
    assert "Missing: rl (not built; its log so far is shown), evaluate (not built)." in " ".join(page.split())
    assert "Think rollouts per step: 50" in page
    assert "too rare" in page
    assert "its log so far" not in write_unfinished_report(store, record, at_work={"rl": "other"}).read_text()


def test_an_artifact_that_is_gone_is_missing_and_no_error(tmp_path: Path) -> None:
    artifacts = publish_pipeline(tmp_path)
    record = stopped_run(artifacts, behind="evaluate", error=None)
    Path(artifacts["rl"].path).rename(tmp_path / "elsewhere")
    text = write_unfinished_report(ArtifactStore(tmp_path), record).read_text(encoding="utf-8")
    assert "Missing: rl (built, and removed from the store since)." in text
    assert "asked to stop early" in text


def test_tables_are_found_by_their_manifests(tmp_path: Path) -> None:
    artifacts = publish_pipeline(tmp_path)
    keys = [(a.stage, a.key) for a in artifacts.values()]
    inputs = inputs_of_artifacts(
        ArtifactStore(tmp_path), keys, config=ReportConfig(), profile="tiny", run_id="r", to_artifacts="../.."
    )
    assert inputs.tables["sft_metrics"] == (Path(artifacts["sft"].path) / "metrics.parquet",)
    assert inputs.tables["rl_metrics"] == (Path(artifacts["rl"].path) / "metrics.parquet",)
    assert len(inputs.tables["generations"]) == 2
    assert inputs.validation_docs[artifacts["pairs"].key, "pairs"] == (
        f"../../pairs/{artifacts['pairs'].key}/validation/pairs/index.html"
    )
    with pytest.raises(MissingArtifactError, match="none-such"):
        inputs_of_artifacts(
            ArtifactStore(tmp_path), [("rl", "none-such")], config=ReportConfig(), profile="tiny", run_id="r",
            to_artifacts=".",
        )  # fmt: skip
