"""What the doctor finds: each missing thing once, versions beside those asked for, data by its first rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.doctor import data, machine, software, student
from flows.doctor.examination import examine
from flows.doctor.finding import Finding, Findings
from flows.doctor.machine import Hardware, plan_for
from flows.doctor.needs import gpus, hub_data, hub_models, optional_packages
from infra.processes.launcher import shards_the_model
from schemas.configs.loading import load_config
from schemas.configs.pipeline import PipelineConfig
from tests.closed_address import closed_address
from tests.problem_rows import write
from thinkless_core.estimates.model_shape import shape_of
from thinkless_core.estimates.stage_memory import stage_memories
from thinkless_core.estimates.work_estimate import Machine, StageWork, stage_works

CPU = Hardware(num_cores=2, ram_bytes=8 * 2**30, gpu_names=(), gpu_bytes=0)


def with_gpus(number: int, *, num_bytes: int = 80 * 10**9) -> Hardware:
    """A machine with GPUs; what is looked at here is arithmetic about them."""
    return CPU._replace(gpu_names=("NVIDIA H100 80GB HBM3",) * number, gpu_bytes=num_bytes)


def works_of(config: PipelineConfig) -> list[StageWork]:
    """The work of every stage."""
    shape = shape_of(config.base.model)
    assert shape is not None
    return list(stage_works(config, shape, problems=data.counts(config)))


def test_alike_findings_are_one_and_nothing_missing_is_said_twice() -> None:
    findings = Findings()
    first = findings.add([Finding("teach.think", False, "down"), Finding("teach.short", False, "down")])
    assert first == [Finding("teach.think, teach.short", False, "down")]
    assert findings.add([Finding("again", False, "down"), Finding("disk", True, "room")]) == [
        Finding("disk", True, "room")
    ]
    assert [finding.text for finding in findings.missing] == ["down"]


def test_packages_are_there_in_the_versions_the_project_asks_for() -> None:
    (packages,) = software.software(load_config("tiny"))
    assert packages.fine, packages.text
    assert "torch 2." in packages.text


def test_a_package_that_two_stages_need_is_missing_once(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = [package.place for package in optional_packages(load_config("paper"))]
    assert needed == ["rl.sampler", "evaluate.sampler", "teach.short"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    missing = [f for f in software.software(load_config("paper", overrides=["rl.lora={rank=8}"])) if not f.fine]
    assert [finding.name for finding in missing] == ["vllm", "peft"]
    assert "needed by rl.sampler, evaluate.sampler, teach.short; pip install" in missing[0].text


def test_a_source_that_lacks_its_package_is_not_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = [{"prompt": f"{n}+1", "answer": n + 1} for n in range(80)]
    file = write(tmp_path / "p.jsonl", rows)
    config = load_config("smollm2", overrides=[f'problems.rl_source={{kind="local", path="{file}"}}'])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    lacking = software.lacking(config)
    assert {"source", "trained", "teach.think"} < lacking
    assert "rl_source" not in lacking
    (found,) = data.problems(config, unreached=(), unmade=lacking)
    assert found.fine, found.text
    assert found.name == "rl_source"


def test_what_the_paper_needs_from_the_hub() -> None:
    config = load_config("paper")
    assert [(place, model.id) for place, model in hub_models(config)] == [
        ("base.model", "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"),
        ("teach.short", "Qwen/Qwen2.5-Math-1.5B-Instruct"),
    ]
    assert {place: found.id for place, found in hub_data(config)} == {
        "source": "open-thoughts/OpenThoughts2-1M",
        "rl_source": "agentica-org/DeepScaleR-Preview-Dataset",
        "aime24": "HuggingFaceH4/aime_2024",
        "minerva_algebra": "EleutherAI/hendrycks_math",
        "math500": "HuggingFaceH4/MATH-500",
        "gsm8k": "openai/gsm8k",
        "teach.think": "open-thoughts/OpenThoughts2-1M",
    }
    assert list(hub_models(load_config("tiny"))) == list(hub_data(load_config("tiny"))) == []


def test_gpus_are_wanted_where_the_cpu_would_take_days(tmp_path: Path) -> None:
    paper, tiny = load_config("paper"), load_config("tiny")
    assert gpus(paper) == {"sft": 4, "rl": 4, "evaluate": 1, "teach.short": 1}
    shared = ["evaluate.launch.processes=3", "evaluate.sampler.kind=vllm", "evaluate.sampler.tensor_parallel_size=2"]
    assert gpus(load_config("paper", overrides=shared))["evaluate"] == 6
    taught = ["teach.launch.processes=3", "teach.short.teacher.tensor_parallel_size=2"]
    assert gpus(load_config("paper", overrides=taught)) == {"sft": 4, "rl": 4, "evaluate": 1, "teach.short": 6}
    assert list(machine.graphics(tiny, works_of(tiny), CPU)) == []
    works = works_of(paper)
    (none,), (two,), (four,) = (list(machine.graphics(paper, works, h)) for h in (CPU, with_gpus(2), with_gpus(4)))
    assert not none.fine
    assert none.text.startswith("no CUDA device found, 4 wanted (sft 4, rl 4); the 2 CPU cores here would take about ")
    assert not two.fine
    assert two.text == "2 x NVIDIA H100 80GB HBM3, 80 GB each; 4 are wanted (sft 4, rl 4): lower launch.processes"
    assert four.fine


def test_a_stage_that_does_not_fit_is_named_with_what_to_lower() -> None:
    config = load_config("paper")
    shape, hardware = shape_of(config.base.model), with_gpus(4, num_bytes=16 * 10**9)
    assert shape is not None
    plan = plan_for(works_of(config), hardware)
    stages = list(stage_memories(config, shape, gpu_bytes=plan.gpu_bytes, shards=shards_the_model))
    found = list(machine.memory(config, stages, plan, hardware))
    assert [finding.text.split()[0] for finding in found if not finding.fine] == ["sft", "rl", "evaluate"]
    assert "and there are 16.0 GB; lower sft.micro_batch_tokens" in found[0].text
    enough = with_gpus(4)
    (fine,) = machine.memory(config, stages, plan_for(works_of(config), enough), enough)
    assert fine.fine


def test_processes_share_the_memory_of_a_cpu() -> None:
    plain = load_config("tiny")
    shape, hardware = shape_of(plain.base.model), CPU._replace(ram_bytes=10**9)
    assert shape is not None
    stages = list(stage_memories(plain, shape, gpu_bytes=None, shards=shards_the_model))
    plan = machine.Plan(Machine.cpu(2), None, gpus_missing=False)
    assert all(finding.fine for finding in machine.memory(plain, stages, plan, hardware))
    for stage, number in (("sft", 100), ("evaluate", 1000)):
        launched = load_config("tiny", overrides=[f"{stage}.launch={{processes={number}}}"])
        (refused,) = machine.memory(launched, stages, plan, hardware)
        assert not refused.fine
        assert refused.text.startswith(f"{stage} needs about ")


def test_limits_over_the_students_context_are_refused() -> None:
    config = load_config("tiny", overrides=["rl.max_new_tokens=250", "evaluate.max_new_tokens=224"])
    (found,) = student.context(config, shape_of(config.base.model))
    assert found.text == (
        "rl.max_new_tokens=250 and a prompt of about 32 tokens are over the student's context of 256; "
        "lower rl.max_new_tokens to 224"
    )


def test_a_large_local_file_and_a_recording_are_looked_at_by_their_first_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"question": f"q{i}", "answer": f"1+1=<<1+1=2>>2\n#### {i}"} for i in range(80)]
    file = write(tmp_path / "train.jsonl", rows)
    monkeypatch.setattr(data, "LARGE_FILES", 100)
    config = load_config(
        "tiny",
        overrides=[
            "problems.source.kind=preset", "problems.source.name=gsm8k", f"problems.source.path={file}",
            "teach.short.teacher.kind=recorded", "teach.short.teacher.completion_field=answer",
            f'teach.short.teacher.source={{kind="preset", name="gsm8k", path="{file}"}}',
        ],
    )  # fmt: skip
    found = {finding.name: finding.text for finding in data.problems(config, unreached=())}
    assert found["source"] == f"{file}, line 1: 'q0' -> '0'"
    (recorded,) = data.recordings(config, unreached=())
    assert recorded.text == f"{file}: 50 of the first 50 rows hold a completion that can be replayed"


def test_first_rows_without_an_answer_are_said(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "answer": None}, {"prompt": "q", "answer": "2"}]
    source = load_config(
        "tiny",
        overrides=["problems.source.kind=local", f"problems.source.path={write(tmp_path / 'rows.jsonl', rows)}"],
    ).problems.source
    assert data.first_rows(source).endswith("'q' -> '2', 1 of the first 2 rows have no readable answer")


def test_an_endpoint_that_is_down_is_one_missing_thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINKLESS_HOME", str(tmp_path))
    address = closed_address()
    sides = [
        f"teach.{side}.teacher.{key}"
        for side in ("think", "short")
        for key in ("kind=openai", "model=m", f"base_url={address}/v1")
    ]
    findings = Findings()
    lines = list(examine(load_config("tiny", overrides=[*sides, "problems.source.num_problems=50"]), findings))
    (missing,) = findings.missing
    assert missing.name == "teach.think, teach.short"
    assert "does not answer" in missing.text
    assert sum("does not answer" in line for line in lines) == 1


def test_what_a_run_would_warn_of_is_said_by_the_doctor_too(tmp_path: Path) -> None:
    rows = [*({"prompt": f"p{n}", "answer": "1"} for n in range(120)), {"prompt": "p1", "answer": "2"}, {"prompt": "q"}]
    path = write(tmp_path / "p.jsonl", [*rows, {"prompt": "is 1 $\neq$ 2?", "answer": "yes"}])
    config = load_config("tiny", overrides=["problems.source.kind=local", f"problems.source.path={path}"])
    (found,) = data.problems(config, unreached=())
    assert found.fine, found.text
    for said in (
        "train: 1 of 123 rows cannot be used and are dropped",
        "train: 1 of 122 rows contradict an earlier row of the same question",
        "train: 1 of 122 problems look damaged",
    ):
        assert said in found.text
