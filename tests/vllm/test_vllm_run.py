"""A whole run with vLLM as the sampler of both stages, the same in two processes, and its export in vLLM."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from flows.cli import main
from infra.processes.vllm_environment import run_engine_in_this_process
from schemas.mode import Mode
from tests.specimens import make_problems
from tests.vllm.conftest import CONFIG, SHAPE
from thinkless_core.sampling.vllm_engine import cache_bytes, end_engine

SETTINGS = {
    "problems.source.num_problems": 400,
    "base.model.hidden_size": SHAPE.hidden_size,
    "base.model.num_attention_heads": SHAPE.num_attention_heads,
    "sft.steps": 60,
    "rl.steps": 2,
    "rl.prompts_per_step": 8,
    "rl.probe_problems": 20,
    "evaluate.limit": 6,
    "evaluate.num_samples": 2,
    **{
        f"{stage}.sampler.{key}": value
        for stage in ("rl", "evaluate")
        for key, value in (("kind", "vllm"), ("enforce_eager", "true"), ("kv_cache_gb", 0.25), ("max_model_len", 160))
    },
}
RUN = ["run", "--no-prefect", *(word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}"))]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the finished run."""
    folder = tmp_path_factory.mktemp("vllm-run") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THINKLESS_HOME", str(folder))
        assert main(RUN) == 0
    return folder


@pytest.fixture(autouse=True)
def _in_that_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINKLESS_HOME", str(home))


def answer(capsys: pytest.CaptureFixture[str], query: str) -> str:
    """The last line of what a query gives."""
    capsys.readouterr()
    assert main(["sql", "--format", "csv", query]) == 0
    return capsys.readouterr().out.splitlines()[-1].lower()


def test_both_stages_sample_through_vllm(capsys: pytest.CaptureFixture[str]) -> None:
    gaps = "select count(*), max(value) < 1e-4 from metrics where name = 'sampler_logprob_gap'"
    assert answer(capsys, gaps) == "2,true"
    cells = "select count(*), count(distinct model || mode) from eval_completions"
    assert answer(capsys, cells) == f"{3 * 3 * 3 * 6 * 2},9"


def test_two_processes_with_an_engine_each_sample_what_one_samples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--set", "rl.launch.processes=2", "--set", "rl.num_threads=1", "--until", "rl"]) == 0
    runs = "select count(distinct artifact_key), max(value) < 1e-4 from metrics where name = 'sampler_logprob_gap'"
    assert answer(capsys, runs) == "2,true"
    first = "select rollout_id, completion from rollouts where step = 1"
    assert answer(capsys, f"select count(*), count(distinct (rollout_id, completion)) from ({first})") == "128,64"


def test_the_export_loads_in_transformers_and_in_vllm_and_begins_with_a_control_token(tmp_path: Path) -> None:
    import vllm

    assert main(["export", str(tmp_path / "export"), "--model", "sft"]) == 0
    folder = str(tmp_path / "export")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    control = {tokenizer.convert_tokens_to_ids(mode.token) for mode in Mode}
    assert AutoModelForCausalLM.from_pretrained(folder).config.vocab_size >= len(tokenizer)
    run_engine_in_this_process()
    engine = vllm.LLM(
        model=folder, dtype="float32", enforce_eager=True, kv_cache_memory_bytes=cache_bytes(CONFIG.kv_cache_gb)
    )
    try:
        asked = [[{"role": "user", "content": problem.prompt}] for problem in make_problems(40)]
        params = vllm.SamplingParams(temperature=0.6, top_p=0.95, max_tokens=32, seed=0)
        outputs = engine.chat(asked, params, use_tqdm=False)
    finally:
        end_engine(engine, began_group=True)
    assert {output.outputs[0].token_ids[0] for output in outputs} <= control
