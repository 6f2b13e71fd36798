"""A warm-up goes out to another framework and comes back as a policy: exported, trained by TRL, imported, reported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from infra.runs import list_runs
from infra.store.artifact_store import ArtifactStore
from tests.integration.conftest import BuiltHome
from tests.integration.driver import SMALL
from tests.integration.processes import ROOT, Said, environment

Thinkless = Callable[..., Said]


@pytest.fixture
def exported(home: Path, tmp_path: Path, thinkless: Thinkless) -> Path:
    """The small pipeline's warm-up, exported for TRL."""
    folder = tmp_path / "for-trl"
    said = thinkless(home, "export", str(folder), "--for", "trl")
    assert said.code == 0, said.err
    assert "199 problems, train.py" in said.out
    return folder


def test_the_folder_has_the_warm_up_the_problems_and_where_they_are_from(exported: Path, home: Path) -> None:
    assert {path.name for path in exported.iterdir()} == {
        "model", "problems.parquet", "train.py", "README.md", "export.json",
    }  # fmt: skip
    about = json.loads((exported / "export.json").read_text())
    run = list_runs(home)[-1]
    key = next(use.key for use in run.stages if use.stage == "sft")
    (digest,) = (entry["digest"] for entry in about["artifacts"] if entry["stage"] == "sft")
    assert digest == ArtifactStore(home).manifest("sft", key).digest
    assert about["config"] == run.config
    assert (exported / "train.py").read_bytes() == (ROOT / "tasks" / "exchange" / "train_with_trl.py").read_bytes()


def test_a_policy_of_trl_is_evaluated_and_reported_with_its_lineage(
    exported: Path, home: Path, thinkless: Thinkless
) -> None:
    pytest.importorskip("trl", reason="needs TRL, as `make test-all` installs it")
    trained = subprocess.run(
        [sys.executable, str(exported / "train.py"), "--batch", "16"],
        cwd=exported, env=environment(home, PYTHONPATH=str(ROOT), ACCELERATE_USE_CPU="true"), capture_output=True,
        text=True, timeout=600,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr[-3000:]
    history = json.loads((exported / "trained" / "log_history.json").read_text())
    assert [entry["step"] for entry in history if "think_share" in entry] == list(range(1, 9))
    said = thinkless(home, "import", str(exported))
    assert said.code == 0, said.err
    assert "rl           built" in said.err
    assert all(f"{stage:<12} built" not in said.err for stage in ("base", "problems", "teach-think", "pairs", "sft"))
    assert Path(said.out.rpartition("report: ")[2].strip()).is_file()
    run = list_runs(home)[-1]
    store = ArtifactStore(home)
    rl = store.manifest("rl", next(use.key for use in run.stages if use.stage == "rl"))
    assert rl.config["policy"] == str(exported / "trained")
    assert f"{exported}/export.json" in rl.config["files"]  # type: ignore[operator]
    query = "select count(distinct step) as steps from metrics where stage = 'rl' and name = 'think_share'"
    assert "8" in thinkless(home, "sql", f"{query} and run_id = '{run.run_id}'").out
    lineage = thinkless(home, "lineage", f"rl/{rl.key}").out
    assert "sft" in lineage
    assert "evaluate" in lineage
    # Again: everything is there.
    assert "rl           cached" in thinkless(home, "import", str(exported)).err


def give_back_the_warm_up(folder: Path) -> None:
    """What a training leaves, untrained."""
    shutil.copytree(folder / "model", folder / "trained")


def test_what_is_no_policy_of_this_warm_up_is_refused(exported: Path, home: Path, thinkless_here: Thinkless) -> None:
    refused = thinkless_here(home, "import", str(exported))
    assert refused.code == 2
    assert "trained is not there; expected the policy that the training leaves" in refused.err
    refused = thinkless_here(home, "import", str(home))
    assert refused.code == 2
    assert "is no list of an export for another trainer" in refused.err
    give_back_the_warm_up(exported)
    about = json.loads((exported / "export.json").read_text())
    for entry in about["artifacts"]:
        entry["digest"] = "0" * 64
    (exported / "export.json").write_text(json.dumps(about))
    refused = thinkless_here(home, "import", str(exported), "--until", "rl")
    assert refused.code == 2
    assert "was exported from another warm-up (00000000) than this run's" in refused.err


def test_a_policy_is_not_taken_where_its_warm_up_is_missing(
    exported: Path, tmp_path: Path, thinkless_here: Thinkless
) -> None:
    give_back_the_warm_up(exported)
    refused = thinkless_here(tmp_path / "elsewhere", "import", str(exported))
    assert refused.code == 2
    assert "import it where it was exported, or `thinkless pull` that run first" in refused.err
    assert not list((tmp_path / "elsewhere").glob("artifacts/*/*"))


@pytest.mark.parametrize(
    ("framework", "overrides", "message"),
    [
        ("trl", ("rl.objective=hgpo",), "'hgpo' chooses modes or compares rewards in a way of its own"),
        ("trl", ("rl.baseline=mean_std",), "rl.baseline is 'mean_std', which trl does not have"),
        ("trl", ('rl.kl_coef={kind="linear", start=0.01, end=0.001}',), "rl.kl_coef is a schedule"),
        ("verl", (), "verl's plug-in is degrpo-token"),
    ],
)
def test_what_the_framework_cannot_do_is_refused(framework: str, overrides: tuple[str, ...], message: str) -> None:
    from schemas.configs.loading import load_config
    from schemas.errors import ConfigError
    from tasks.exchange.export_for_trainer import refuse_what_others_cannot

    config = load_config("tiny", overrides=overrides)
    with pytest.raises(ConfigError, match=message):
        refuse_what_others_cannot(config.rl, framework=framework)  # type: ignore[arg-type]


def test_verl_gets_its_own_form_of_the_problems(
    built: BuiltHome, home: Path, tmp_path: Path, thinkless: Thinkless
) -> None:
    import pyarrow.parquet as pq

    words = [word for override in (*SMALL, "rl.objective=degrpo-token") for word in ("--set", override)]
    assert thinkless(home, "run", "--no-prefect", "--until", "sft", *words).code == 0
    said = thinkless(home, "export", str(tmp_path / "for-verl"), "--for", "verl")
    assert said.code == 0, said.err
    rows = pq.read_table(tmp_path / "for-verl" / "problems.parquet").to_pylist()
    assert rows[0]["prompt"] == [{"role": "user", "content": json.loads(rows[0]["extra_info"]["problem"])["prompt"]}]
    assert "actor_rollout_ref.actor.policy_loss.loss_mode=degrpo" in (tmp_path / "for-verl" / "README.md").read_text()


@pytest.mark.parametrize("name", ["degrpo-paper", "degrpo-token", "grpo", "dr_grpo"])
def test_the_gradient_of_trl_is_the_objectives(name: str, exported: Path, tmp_path: Path) -> None:
    """Of every micro-batch of one step, on the same rollouts with the same rewards."""
    trl = pytest.importorskip("trl", reason="needs TRL, as `make test-all` installs it")
    from datasets import Dataset

    from schemas.configs.rl import RlConfig
    from tasks.exchange.train_with_trl import ObjectiveTrainer, reward_function, training_rows, trl_settings
    from thinkless_core.rl.objectives.objective import Denominators
    from thinkless_core.rl.policy_loss import policy_loss
    from thinkless_core.rl.schedules import settings_at
    from thinkless_core.student.model_files import load_student, load_student_tokenizer

    about = json.loads((exported / "export.json").read_text())["config"]["rl"]
    rl = RlConfig.model_validate({**about, "steps": 1, "kl_coef": 0.0, "objective": {"name": name}})
    tokenizer = load_student_tokenizer(exported / "model")
    tokenizer.padding_side = "left"
    step, objective = settings_at(rl, step=1), rl.objective.build()
    seen: dict[str, Any] = {"differences": [], "norms": []}

    class Spy(trl.GRPOTrainer):  # type: ignore[misc, name-defined]
        """Below ours: keeps TRL's own advantages beside the weighted ones."""

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            batch = super()._generate_and_score_completions(inputs)
            mask_BT = batch["completion_mask"]
            seen["over"] = Denominators(len(mask_BT), int(mask_BT[:, 1:].sum()), step.max_new_tokens)
            return batch | {"plain": batch["advantages"].clone()}

        def _calculate_rewards(self, *arguments: Any) -> Any:
            rewards = super()._calculate_rewards(*arguments)
            return torch.linspace(-1, 1, len(rewards)).cos()[:, None]  # all of a group differ

    class Watched(ObjectiveTrainer, Spy):
        """Above ours: takes the gradient of both losses."""

        def _compute_loss(self, model: Any, inputs: Any) -> Any:
            theirs = super()._compute_loss(model, inputs)
            mask_BT, plain_B = inputs["completion_mask"].bool(), inputs["plain"]
            ids, attention = (
                torch.cat([inputs[f"prompt_{kind}"], inputs[f"completion_{kind}"]], dim=1) for kind in ("ids", "mask")
            )
            logprobs_BT, *_ = self._get_per_token_logps_and_entropies(model, ids, attention, mask_BT.shape[1])
            ours = policy_loss(
                logprobs_BT, old_logprobs_BT=logprobs_BT.detach(), ref_logprobs_BT=None, control_advantages_B=plain_B,
                response_advantages_B=plain_B, completion_mask_BT=mask_BT,
                weights=objective.token_weights(mask_BT, over=seen["over"], step=step),
                clip_low=rl.clip_low, clip_high=rl.clip_high, kl_coef=0.0,
            ).total  # fmt: skip
            parameters = [p for p in model.parameters() if p.requires_grad]
            first, second = (
                torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters, retain_graph=True)])
                for loss in (theirs, ours)
            )
            seen["differences"].append(float((first - second).norm() / second.norm()))
            seen["norms"].append(float(second.norm()))
            return theirs

    settings = trl_settings(rl, batch=2 * rl.group_size, folder=tmp_path / "checkpoints")
    assert settings.gradient_accumulation_steps > 1
    Watched(
        rl=rl, objective=objective, model=load_student(exported / "model"), args=settings, processing_class=tokenizer,
        reward_funcs=reward_function(tokenizer, rl),
        train_dataset=Dataset.from_list(training_rows(exported / "problems.parquet", tokenizer)),
    ).train()  # fmt: skip
    assert len(seen["differences"]) == settings.gradient_accumulation_steps
    assert min(seen["norms"]) > 1e-6
    assert max(seen["differences"]) < 1e-4
