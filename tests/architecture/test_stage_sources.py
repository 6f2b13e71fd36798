"""The key of each stage counts every module that can change its bytes, and no other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.prefect.deployments import prefect_yaml
from flows.recipe import RECIPE
from infra.fingerprint import PLUMBING, source_hashes
from schemas.configs.loading import load_config
from tasks.summarise_study import SummariseStudy

ROOT = Path(__file__).parents[2]
STAGES = {stage.name: stage for stage in (*RECIPE, SummariseStudy("any"))}
SAMPLING = (
    "tasks.running.samplers", "thinkless_core.sampling.sampling_copy", "thinkless_core.sampling.transformers_sampler",
    "thinkless_core.sampling.vllm_engine", "thinkless_core.sampling.vllm_sampler",
)  # fmt: skip
GRADING = ("thinkless_core.grading.strict", "thinkless_core.grading.extraction", "thinkless_core.grading.canonical")
TRAINING = ("thinkless_core.training.logprobs", "thinkless_core.training.packing", "tasks.running.student_folder")
INSIDE = {
    "base": (
        "thinkless_core.student.tiny_model",
        "thinkless_core.student.mode_token_init",
        "schemas.configs.base_model",
    ),
    "problems": ("thinkless_core.problems.problem_set", "thinkless_core.problems.contamination"),
    "teach": (*GRADING, "thinkless_core.teachers.asking", "infra.endpoints.chat_response"),
    "pairs": ("infra.catalog.paired_generations", "thinkless_core.teachers.pairing", "schemas.records.pairs"),
    "sft": (
        *TRAINING,
        "thinkless_core.training.sft_trainer",
        "thinkless_core.training.tokenised_pairs",
        "schemas.records.pairs",
    ),
    "rl": (*SAMPLING, *GRADING, *TRAINING, "thinkless_core.rl.rl_trainer", "thinkless_core.rl.policy_loss"),
    "evaluate": (
        *SAMPLING,
        *GRADING,
        "thinkless_core.evaluation.evaluate_problems",
        "thinkless_core.statistics.summary",
    ),
    "report": ("infra.report.page", "infra.report.charts.figures", "infra.report.cards.model_card"),
    "study": ("thinkless_core.statistics.claims", "infra.report.study_page", "infra.report.charts.study_charts"),
}
BEFORE_EVALUATION = ("base", "problems", "teach", "pairs", "sft", "rl")
NEVER_BEFORE_EVALUATION = ("flows", "infra.report", "thinkless_core.statistics", "thinkless_core.estimates")
OUTSIDE = {
    "base": ("thinkless_core.rl", "thinkless_core.teachers", "thinkless_core.grading", "schemas.records"),
    "problems": ("thinkless_core.rl", "thinkless_core.training", "thinkless_core.sampling", "schemas.records.rollouts"),
    "teach": ("thinkless_core.rl", "schemas.records.pairs", "schemas.records.rollouts", "schemas.configs.rl"),
    "pairs": (
        "infra.catalog.lineage",
        "infra.catalog.query",
        "thinkless_core.rl",
        "thinkless_core.training",
        "thinkless_core.sampling",
        "schemas.records.metrics",
    ),
    "sft": ("thinkless_core.rl", "thinkless_core.teachers", "thinkless_core.grading", "schemas.records.rollouts"),
    "rl": ("thinkless_core.teachers", "schemas.records.eval_summary", "schemas.records.pairs", "tasks.train_sft"),
    "evaluate": ("thinkless_core.rl", "thinkless_core.teachers", "schemas.records.rollouts", "schemas.configs.rl"),
    "report": ("thinkless_core.rl.rl_trainer", "thinkless_core.sampling", "thinkless_core.training"),
    "study": ("thinkless_core.rl.rl_trainer", "thinkless_core.sampling", "thinkless_core.training"),
}
"""Modules, and packages with all in them, whose edit must cost no rebuild."""

EDIT_AND_TELL = """
import json, pathlib, sys
from infra import fingerprint
from infra.python_sources import module_sources

def keys(modules):
    fingerprint._source_hashes.cache_clear()
    return fingerprint.combined(fingerprint.source_hashes(modules))

changed = {}
for stage, modules, file, old, new in json.load(sys.stdin):
    path = pathlib.Path(file)
    text = path.read_text()
    assert old in text, (file, old)
    before = keys(modules)
    path.write_text(text.replace(old, new, 1))
    changed[f"{stage} {file} {new.strip().splitlines()[-1]}"] = keys(modules) != before
    path.write_text(text)
print(json.dumps(changed))
"""


def entries_of(stage: str) -> list[str]:
    """The stage's own module, and those of the kinds that profile tiny chooses for it."""
    of_stage = STAGES[stage]
    kinds = () if stage == "study" else of_stage.kinds(load_config("tiny"))
    return [type(of_stage).__module__, *(module for kind in kinds for module in kind.modules())]


def sources_of(stage: str) -> set[str]:
    """Modules in a stage's key."""
    return set(source_hashes(entries_of(stage)))


@pytest.mark.parametrize("stage", STAGES)
def test_the_key_of_a_stage_counts_what_decides_its_bytes_and_nothing_else(stage: str) -> None:
    found = sources_of(stage)
    assert [module for module in INSIDE[stage] if module not in found] == []
    not_its_own = OUTSIDE[stage] + (NEVER_BEFORE_EVALUATION if stage in BEFORE_EVALUATION else ())
    assert [m for m in sorted(found) for out in not_its_own if m == out or m.startswith((f"{out}.", f"{out}_"))] == []
    assert [m for m in sorted(found) for out in PLUMBING if m == out or m.startswith(f"{out}.")] == []


def file_of(module: str) -> str:
    """Path of a module below the root."""
    return module.replace(".", "/") + ".py"


def test_an_edit_inside_changes_the_key_and_an_edit_outside_does_not(tmp_path: Path) -> None:
    for package in ("schemas", "thinkless_core", "infra", "tasks", "flows"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    future = "from __future__ import annotations\n"
    edits, expected = [], []
    for stage in STAGES:
        outside = "schemas.records.study_claims" if stage not in ("study", "report") else "thinkless_core.rl.rl_trainer"
        for module, changes in ((INSIDE[stage][0], True), (outside, False)):
            edits.append([stage, entries_of(stage), file_of(module), future, f"{future}EDITED = 1\n"])
            expected.append(changes)
    for file, old, new, changes in (
        ("thinkless_core/sampling/transformers_sampler.py", future, f"{future}EDITED = 2\n", True),
        ("thinkless_core/rl/rl_trainer.py", future, f"{future}# A comment.\n", False),
        ("thinkless_core/rl/rl_trainer.py", "lower prompts_per_step", "lower rl.prompts_per_step", False),
        ("schemas/records/eval_summary.py", "    accuracy: float\n", "    median: float\n    accuracy: float\n", False),
    ):
        edits.append(["rl", entries_of("rl"), file, old, new])
        expected.append(changes)
    finished = subprocess.run(
        [sys.executable, "-c", EDIT_AND_TELL],
        input=json.dumps(edits), cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    changed = json.loads(finished.stdout)
    assert dict(zip(changed, expected, strict=True)) == changed


def test_a_resource_of_a_stage_is_in_its_key() -> None:
    assert any("paired_generations" in name for name in STAGES["pairs"].resources)
    assert "infra/report/html" in STAGES["report"].resources


def test_tasks_load_no_prefect_so_that_training_processes_do_not() -> None:
    modules = [type(stage).__module__ for stage in RECIPE]
    program = f"import sys, {', '.join(modules)}, tasks.running.training_process; print(sorted(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "'prefect'" not in finished.stdout
    assert "'torch'" not in finished.stdout


def test_prefects_deployments_follow_from_the_recipe() -> None:
    assert (ROOT / "prefect.yaml").read_text(encoding="utf-8") == prefect_yaml()
    assert (ROOT / "prefect.cluster.yaml").read_text(encoding="utf-8") == prefect_yaml(cluster=True)
