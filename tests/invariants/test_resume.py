"""Training that was interrupted anywhere and launched again ends like training that never was: bit by bit.

A crash is an exception out of the progress callback or the sampler, a kill -9 of a process, and what such a crash
leaves behind: a half-written line in the logs, a half-written checkpoint.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from torch import Tensor
from transformers import Qwen2ForCausalLM

from schemas.configs.rl import RlConfig
from schemas.configs.sft import SftConfig
from schemas.errors import CollapseError
from schemas.records.pairs import Pair
from schemas.records.problems import Problem
from tests.fast_and_slow import fast_and_slow
from tests.forked import ForkedPython
from tests.specimens import (
    Script,
    ScriptedSampler,
    identical,
    make_pairs,
    make_problems,
    make_student,
    mixed_script,
    objective_table,
    optimizer_config,
    rl_config,
    sft_config,
    weights_of,
)
from thinkless_core.progress import no_progress
from thinkless_core.rl.rl_trainer import train_rl
from thinkless_core.sampling.sampler import SampledCompletion, SampleRequest
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.seeding import random_stream
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.training.sft_trainer import train_sft
from thinkless_core.training.tokenised_pairs import TokenisedPairs

STEPS, CHECKPOINT_EVERY = 10, 3
MOVING = optimizer_config(learning_rate=3e-3, warmup_steps=3, decay_fraction=0.4, weight_decay=0.1, max_grad_norm=1.0)


class CrashError(RuntimeError):
    """What a crash looks like from inside."""


@dataclass(frozen=True)
class CrashAt:
    """A progress callback that crashes once `step` is logged (and checkpointed, where it is due)."""

    step: int

    def __call__(self, done: int, total: int, numbers: Mapping[str, float], notes: Sequence[str] = ()) -> None:
        if done == self.step:
            raise CrashError(f"step {done}")


@dataclass(frozen=True)
class Outcome:
    """What a training run leaves behind."""

    weights: dict[str, Tensor]
    logs: dict[str, str]

    def assert_equals(self, other: Outcome) -> None:
        assert self.logs == other.logs
        assert identical(self.weights, other.weights)


def _outcome(model: Qwen2ForCausalLM, scratch: Path) -> Outcome:
    return Outcome(weights_of(model), {p.name: p.read_text() for p in sorted(scratch.glob("*.jsonl"))})


def run_sft(scratch: Path, *, config: SftConfig, pairs: Sequence[Pair], crash_at: int | None = None) -> Outcome:
    """One launch of SFT on the same student as ever."""
    model = make_student()
    train_sft(
        model,
        tokenizer=tiny_tokenizer(),
        pairs=TokenisedPairs.of(pairs, tokenizer=tiny_tokenizer()),
        config=config,
        scratch=scratch,
        progress=no_progress if crash_at is None else CrashAt(crash_at),
    )
    return _outcome(model, scratch)


@dataclass
class CrashingSampler:
    """Samples truly, and crashes in the call after `calls` others."""

    sampler: TransformersSampler | ScriptedSampler
    calls: int | None

    def sample(
        self, requests: Sequence[SampleRequest], *, max_new_tokens: int, temperature: float, top_p: float = 1.0
    ) -> list[SampledCompletion]:
        if self.calls is not None:
            self.calls -= 1
            if self.calls < 0:
                raise CrashError("while sampling")
        return self.sampler.sample(requests, max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p)


def run_rl(
    scratch: Path,
    *,
    config: RlConfig,
    problems: Sequence[Problem],
    crash_at: int | None = None,
    crash_in_sampling: int | None = None,
    script: Script | None = mixed_script,
) -> Outcome:
    """One launch of RL on the same student as ever; the reference must come out as it went in."""
    tokenizer, model, reference = tiny_tokenizer(), make_student(), make_student()
    real = TransformersSampler(model, tokenizer.pad_token_id, tokenizer.eos_token_id)
    try:
        train_rl(
            model,
            reference=reference,
            tokenizer=tokenizer,
            sampler=CrashingSampler(ScriptedSampler(tokenizer, script) if script else real, crash_in_sampling),
            problems=problems,
            config=config,
            scratch=scratch,
            progress=no_progress if crash_at is None else CrashAt(crash_at),
        )
    finally:
        assert identical(weights_of(reference), weights_of(make_student())), "the reference policy moved"
    return _outcome(model, scratch)


def leave_half_a_line(scratch: Path, text: str = '{"stage":"sft","st') -> None:
    """What a process killed while writing leaves at the end of its logs."""
    for log in scratch.glob("*.jsonl"):
        with log.open("a", encoding="utf-8") as file:
            file.write(text)


SFT = sft_config(steps=STEPS, pairs_per_step=6, checkpoint_every=CHECKPOINT_EVERY, validate_every=4, optimizer=MOVING)
RL = rl_config(
    steps=STEPS,
    checkpoint_every=CHECKPOINT_EVERY,
    prompts_per_step=4,
    updates_per_step=2,
    group_size=4,
    kl_coef=0.05,
    probe_every=4,
    optimizer=MOVING,
)


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    """Five pairs for training, six per step: an epoch ends inside every step; and two for validation."""
    return make_pairs(7, validation_share=0.3)


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    """Twelve problems, four per step: an epoch ends after every third step."""
    return make_problems(12)


@pytest.fixture(scope="module")
def unbroken_sft(tmp_path_factory: pytest.TempPathFactory, pairs: list[Pair]) -> Outcome:
    return run_sft(tmp_path_factory.mktemp("sft"), config=SFT, pairs=pairs)


@pytest.fixture(scope="module")
def unbroken_rl(tmp_path_factory: pytest.TempPathFactory, problems: list[Problem]) -> Outcome:
    return run_rl(tmp_path_factory.mktemp("rl"), config=RL, problems=problems)


def test_the_unbroken_runs_learn_something_to_be_compared(unbroken_sft: Outcome, unbroken_rl: Outcome) -> None:
    start = weights_of(make_student())
    for outcome in (unbroken_sft, unbroken_rl):
        assert all(not (outcome.weights[name] == start[name]).all() for name in start if "norm" not in name)
    assert set(unbroken_rl.logs) == {"metrics.jsonl", "rollouts.jsonl"}
    assert '"clip_fraction"' in unbroken_rl.logs["metrics.jsonl"]
    assert '"validation_loss"' in unbroken_sft.logs["metrics.jsonl"]


@pytest.mark.parametrize("crash_at", fast_and_slow([5, 6], [1, 2, 3, 9, 10]))
def test_sft_resumes_to_the_same_bits(tmp_path: Path, pairs: list[Pair], unbroken_sft: Outcome, crash_at: int) -> None:
    with pytest.raises(CrashError):
        run_sft(tmp_path, config=SFT, pairs=pairs, crash_at=crash_at)
    leave_half_a_line(tmp_path)
    run_sft(tmp_path, config=SFT, pairs=pairs).assert_equals(unbroken_sft)


@pytest.mark.parametrize("crash_at", fast_and_slow([4, 9], [1, 3, 8, 10]))
def test_rl_resumes_to_the_same_bits_and_leaves_the_reference_alone(
    tmp_path: Path, problems: list[Problem], unbroken_rl: Outcome, crash_at: int
) -> None:
    with pytest.raises(CrashError):
        run_rl(tmp_path, config=RL, problems=problems, crash_at=crash_at)
    leave_half_a_line(tmp_path)
    run_rl(tmp_path, config=RL, problems=problems).assert_equals(unbroken_rl)


def test_rl_that_crashed_several_times_and_in_the_middle_of_a_step_ends_the_same(
    tmp_path: Path, problems: list[Problem], unbroken_rl: Outcome
) -> None:
    for crash in ({"crash_in_sampling": 0}, {"crash_in_sampling": 5}, {"crash_at": 4}, {"crash_in_sampling": 4}):
        with pytest.raises(CrashError):
            run_rl(tmp_path, config=RL, problems=problems, **crash)
    run_rl(tmp_path, config=RL, problems=problems).assert_equals(unbroken_rl)


def test_rl_with_true_sampling_resumes_to_the_same_bits(tmp_path: Path, problems: list[Problem]) -> None:
    config = RL.model_copy(update={"steps": 5, "checkpoint_every": 2, "max_new_tokens": 8})
    whole = run_rl(tmp_path / "whole", config=config, problems=problems, script=None)
    with pytest.raises(CrashError):
        run_rl(tmp_path / "broken", config=config, problems=problems, crash_at=3, script=None)
    run_rl(tmp_path / "broken", config=config, problems=problems, script=None).assert_equals(whole)


def always_short(prompt: str, request: SampleRequest) -> str:
    """A policy that has lost thinking: where it is not forced to, it never does."""
    return f"<short>{random_stream('digit', *request.stream).integers(10)}"


MOVING_SETTINGS: dict[str, object] = {
    "objective": objective_table("degrpo-paper", alpha={"kind": "linear", "start": 1.0, "end": 0.1}),
    "gamma": {"kind": "cosine", "start": 0.2, "end": 0.6, "last_step": 8},
    "kl_coef": {"kind": "piecewise", "points": [[1, 0.0], [4, 0.0], [5, 0.05]]},
    "max_new_tokens": {"kind": "linear", "start": 16, "end": 12},
}
GUARDED: dict[str, object] = {
    "guard": {"policy": "force_split", "window": 2, "forced_per_group": 1, "max_forced_steps": 3, "min_share": 0.05}
}


@pytest.mark.parametrize("crash_at", fast_and_slow([4], [2, 6, 7, 9]))
def test_schedules_and_the_guard_go_on_where_they_were(tmp_path: Path, problems: list[Problem], crash_at: int) -> None:
    """Thinking is never chosen: lost at step 2, forced until step 5, let go. Crashes before, in and after that."""
    config = rl_config(**(RL.model_dump() | MOVING_SETTINGS | GUARDED))
    settings = {"config": config, "problems": problems, "script": always_short}
    whole = run_rl(tmp_path / "whole", **settings)
    with pytest.raises(CrashError):
        run_rl(tmp_path / "broken", **settings, crash_at=crash_at)
    run_rl(tmp_path / "broken", **settings).assert_equals(whole)
    events = [json.loads(line) for line in whole.logs["guard_events.jsonl"].splitlines()]
    assert [(e["step"], e["action"], e["rare_mode"]) for e in events] == [
        (2, "force", "think"),
        (5, "release", "think"),
    ]
    forced = [json.loads(line) for line in whole.logs["rollouts.jsonl"].splitlines() if '"forced":true' in line]
    # one of four in each of four groups, at the three steps after the alarm; it is the last of its group
    assert [r["step"] for r in forced] == [3] * 4 + [4] * 4 + [5] * 4
    assert {(r["mode"], r["sample"]) for r in forced} == {("think", 3)}


@pytest.mark.slow
def test_reference_accuracies_are_measured_once_before_the_policy_moves(
    tmp_path: Path, problems: list[Problem]
) -> None:
    config = rl_config(**(RL.model_dump() | {"objective": objective_table("adaptthink", reference_samples=3)}))
    whole = run_rl(tmp_path / "whole", config=config, problems=problems)
    scores = [json.loads(line) for line in whole.logs["reference_scores.jsonl"].splitlines()]
    assert sorted(s["problem_id"] for s in scores) == sorted(p.problem_id for p in problems)
    assert len({s["num_correct"] for s in scores}) > 1, "the script was meant to be right now and then"
    # In the middle of measuring (12 problems are three pieces), right after it, and in training after a checkpoint.
    for crash in ({"crash_in_sampling": 2}, {"crash_in_sampling": 3}, {"crash_in_sampling": 7}):
        broken = tmp_path / f"broken-{crash['crash_in_sampling']}"
        with pytest.raises(CrashError):
            run_rl(broken, config=config, problems=problems, **crash)
        leave_half_a_line(broken)
        run_rl(broken, config=config, problems=problems).assert_equals(whole)


def test_a_run_that_the_guard_stops_stops_again_where_it_is_resumed(tmp_path: Path, problems: list[Problem]) -> None:
    guard = {"policy": "stop", "window": 5, "min_share": 0.05}
    config = rl_config(**(RL.model_dump() | {"guard": guard}))
    logs = []
    for _ in range(2):
        with pytest.raises(CollapseError, match=r"think fell to 0\.0% .* step 5"):
            run_rl(tmp_path, config=config, problems=problems, script=always_short)
        logs.append({p.name: p.read_text() for p in sorted(tmp_path.glob("*.jsonl"))})
    assert logs[0] == logs[1]
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-000003"], "the last checkpoint is kept"


def test_a_half_written_checkpoint_is_ignored(tmp_path: Path, pairs: list[Pair], unbroken_sft: Outcome) -> None:
    with pytest.raises(CrashError):
        run_sft(tmp_path, config=SFT, pairs=pairs, crash_at=5)
    part = tmp_path / "checkpoints" / "step-000006.part"
    part.mkdir()
    (part / "model.safetensors").write_bytes(b"half of one")
    run_sft(tmp_path, config=SFT, pairs=pairs).assert_equals(unbroken_sft)


def test_a_crash_between_the_two_logs_of_a_step_is_healed(
    tmp_path: Path, problems: list[Problem], unbroken_rl: Outcome
) -> None:
    with pytest.raises(CrashError):
        run_rl(tmp_path, config=RL, problems=problems, crash_at=5)
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text("".join(line for line in metrics.open() if '"step":5,' not in line))
    run_rl(tmp_path, config=RL, problems=problems).assert_equals(unbroken_rl)


def test_warm_up_called_again_after_its_last_step_repeats_none(
    tmp_path: Path, pairs: list[Pair], unbroken_sft: Outcome
) -> None:
    """Its caller may have crashed while it wrote the tables. A repeated last step would end in a crash here."""
    run_sft(tmp_path, config=SFT, pairs=pairs)
    run_sft(tmp_path, config=SFT, pairs=pairs, crash_at=STEPS).assert_equals(unbroken_sft)


def test_rl_called_again_after_its_last_step_samples_nothing(
    tmp_path: Path, problems: list[Problem], unbroken_rl: Outcome
) -> None:
    run_rl(tmp_path, config=RL, problems=problems)
    run_rl(tmp_path, config=RL, problems=problems, crash_in_sampling=0).assert_equals(unbroken_rl)


def test_the_log_of_a_resumed_run_names_every_step_once(tmp_path: Path, problems: list[Problem]) -> None:
    with pytest.raises(CrashError):
        run_rl(tmp_path, config=RL, problems=problems, crash_at=8)
    outcome = run_rl(tmp_path, config=RL, problems=problems)
    losses = [line for line in outcome.logs["metrics.jsonl"].splitlines() if '"name":"loss"' in line]
    assert [f'"step":{step},' in line for step, line in enumerate(losses, start=1)] == [True] * STEPS
    assert len(outcome.logs["rollouts.jsonl"].splitlines()) == STEPS * 4 * 4


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from tests.invariants import test_resume
from tests.specimens import make_pairs, make_problems
torch.set_num_threads(1)
class Kill:
    def __init__(self, step): self.step = step
    def __call__(self, done, total, numbers, notes=()):
        if done == self.step: os.kill(os.getpid(), signal.SIGKILL)
test_resume.CrashAt = Kill
if sys.argv[1] == "sft":
    pairs = make_pairs(7, validation_share=0.3)
    test_resume.run_sft(Path(sys.argv[2]), config=test_resume.SFT, pairs=pairs, crash_at=5)
else:
    test_resume.run_rl(Path(sys.argv[2]), config=test_resume.RL, problems=make_problems(12), crash_at=7)
"""


@pytest.mark.parametrize("stage", ["sft", "rl"])
def test_a_process_killed_in_training_is_resumed_by_another(
    tmp_path: Path,
    stage: str,
    pairs: list[Pair],
    problems: list[Problem],
    unbroken_sft: Outcome,
    unbroken_rl: Outcome,
) -> None:
    root = Path(__file__).parents[2]
    killed = ForkedPython(["-c", KILLED, stage, str(tmp_path)], cwd=root, env=os.environ, stdout=tmp_path / "said")
    assert killed.wait(timeout=300) == -signal.SIGKILL, (tmp_path / "said").read_text()
    assert list((tmp_path / "checkpoints").iterdir())
    if stage == "sft":
        run_sft(tmp_path, config=SFT, pairs=pairs).assert_equals(unbroken_sft)
    else:
        run_rl(tmp_path, config=RL, problems=problems).assert_equals(unbroken_rl)


def test_the_comparison_would_notice_one_bit(unbroken_sft: Outcome) -> None:
    moved = {name: tensor.clone() for name, tensor in unbroken_sft.weights.items()}
    moved["model.norm.weight"][0] += 1e-6
    with pytest.raises(AssertionError):
        replace(unbroken_sft, weights=moved).assert_equals(unbroken_sft)
