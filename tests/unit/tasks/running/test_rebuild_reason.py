"""Why a stage is built: the differences from the artifact that is nearest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from schemas.artifact import MANIFEST_VERSION, Artifact, InputRef, Manifest
from schemas.configs.loading import load_config
from tasks.running.rebuild_reason import Differences, differences, reason
from tasks.running.stage import StagePlan
from tasks.train_sft import TrainSft

BASE = Artifact(stage="base", key="b", digest="b" * 64, path="/none", rows=1)
PAIRS = Artifact(stage="pairs", key="p", digest="a" * 64, path="/none", rows=3)


def plan(*overrides: str, pairs: Artifact = PAIRS) -> StagePlan[Any]:
    """The plan of stage sft."""
    return TrainSft().plan(load_config("tiny", overrides=overrides), {"base": BASE, "pairs": pairs})


def built(planned: StagePlan[Any], **changes: Any) -> Manifest:
    """The manifest that building a plan would have left."""
    manifest = Manifest(
        manifest_version=MANIFEST_VERSION,
        stage=planned.stage,
        key=planned.key,
        digest="d",
        run_id="run-1",
        created_at="2026-01-01T00:00:00+00:00",
        inputs=tuple(InputRef(stage=a.stage, key=a.key, digest=a.digest) for a in planned.inputs),
        config=dict(planned.config.model_dump(mode="json")),
        fingerprint=planned.fingerprint,
        sources=dict(planned.sources),
        packages={},
        environment={},
        seed=0,
        rows=1,
        drops={},
        checks=(),
        timings={},
        files=(),
    )
    return manifest.model_copy(update=changes)


def test_a_plan_equals_the_artifact_that_was_built_from_it() -> None:
    assert differences(plan(), built(plan())) == Differences()


def test_a_setting_is_named_with_its_old_and_new_value() -> None:
    found = reason(plan("sft.steps=7"), [built(plan())])
    assert found.short() == "sft.steps 1200 -> 7"
    assert found.differences.besides_sources()


def test_an_input_is_named_with_both_digests() -> None:
    other = PAIRS.model_copy(update={"digest": "c" * 64})
    assert reason(plan(pairs=other), [built(plan())]).short() == "input pairs aaaaaaaa -> cccccccc"


def test_an_input_that_has_to_be_built_first_is_said_as_such() -> None:
    waiting = PAIRS.model_copy(update={"digest": ""})
    assert reason(plan(pairs=waiting), [built(plan())]).short() == "input pairs has to be built first"


def test_a_changed_a_new_and_a_dropped_source_are_named_by_file() -> None:
    planned = plan()
    old = {**planned.sources, "thinkless_core.training.sft_trainer": "0", "thinkless_core.gone": "1"}
    old.pop("thinkless_core.training.packing")
    found = differences(planned, built(planned, fingerprint="old", sources=old))
    assert found.sources == (
        "thinkless_core/training/packing.py is new",
        "thinkless_core/training/sft_trainer.py changed",
        "thinkless_core/gone.py is no longer used",
    )
    assert not found.besides_sources()


def test_a_file_that_the_configuration_names_counts_by_content() -> None:
    planned = plan()
    now = replace(planned, slice={**planned.slice, "files": {"data.jsonl": "2"}})
    before = built(planned, config={**planned.slice, "files": {"data.jsonl": "1"}})
    assert differences(now, before).config == ("file data.jsonl changed",)


def test_the_nearest_artifact_is_compared_and_the_newest_of_equals() -> None:
    far = built(plan("sft.steps=7", "sft.pairs_per_step=3"), run_id="far")
    near, newer = (built(plan("sft.steps=9"), run_id=name) for name in ("near", "newer"))
    found = reason(plan(), [near, newer, far])
    assert found.nearest is not None
    assert found.nearest.run_id == "newer"
    assert found.short() == "sft.steps 9 -> 1200"


def test_without_an_artifact_of_the_stage_that_is_the_reason() -> None:
    assert reason(plan(), []).short() == "there is none in the store yet"


def test_a_long_list_of_differences_is_cut_in_the_short_form_alone() -> None:
    changes = ("sft.steps=7", "sft.pairs_per_step=3", "sft.seed=5", "sft.checkpoint_every=3", "sft.num_threads=2")
    found = reason(plan(*changes), [built(plan())])
    assert len(found.differences.all()) == 5
    assert found.short().endswith("and 2 more")
