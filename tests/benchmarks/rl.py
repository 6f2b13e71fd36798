"""Row `rl-*`: one whole RL step (rollouts, rewards, update), beside TRL's GRPOTrainer.

Both begin with the same warmed-up model, whose answers end by themselves, and see the same prompts step by step: 32
prompts x 8 rollouts, temperature 1, the same length limit, the same graded reward (correct short 1, correct long 0.5,
else -1) without division by the deviation, loss `grpo`, no KL, AdamW. The learning rate is so low that the policy stays
where it is: lengths do not drift apart between the sides. Rollouts are sampled by each side on its own, in process with
transformers; tokens per step are reported, since they are random. Ours is `train_rl` as the stage calls it, records of
all rollouts included; of groups without variance it leaves the (zero) gradient out, TRL computes it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.contest import ROOT, Contestant, SideResult
from tests.benchmarks.machine import precision_here
from tests.benchmarks.models import WARM_UP, WARM_UP_MIX
from tests.benchmarks.row import Row, Setting, megabytes, number, source_tag, speed_up, spread, table
from tests.benchmarks.samples import chain_problems
from tests.benchmarks.turns import Side, Spec, Turns, wait_for_device
from tests.benchmarks.words import word_problems

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"max_new_tokens": 96, "steps_per_turn": 3, "warmup_steps": 2, "trl_batch": 256, "threads": 1},
    "17M": {"max_new_tokens": 96, "steps_per_turn": 1, "warmup_steps": 1, "trl_batch": 16},
    "smollm2": {
        "max_new_tokens": 112,
        "steps_per_turn": 1,
        "warmup_steps": 1,
        "trl_batch": 24,
        "prompts": 12,
        "group_size": 6,
        "short_max_tokens": 16,
        "precision": "auto",
    },
}
QUICK = {
    "tiny": {"steps_per_turn": 1, "warmup_steps": 1},
    "17M": {"prompts": 4, "max_new_tokens": 32, "trl_batch": 16},
    "smollm2": {"prompts": 2, "group_size": 2, "max_new_tokens": 16, "trl_batch": 4},
}
QUICK_WARM_UP = {"tiny": 150, "17M": 15, "smollm2": 1}
DEFAULTS: dict[str, Any] = {"prompts": 32, "group_size": 8, "short_max_tokens": 8, "precision": "float32"}
LEARNING_RATE = 1e-9


def ours(spec: Spec, turns: Turns) -> None:
    """`train_rl` with the transformers sampler."""
    from schemas.configs.loading import load_config
    from schemas.configs.rl import RlConfig
    from schemas.configs.stage import OptimizerConfig
    from thinkless_core.rl.rl_trainer import train_rl
    from thinkless_core.sampling.sampling_copy import SamplingCopy
    from thinkless_core.sampling.transformers_sampler import TransformersSampler
    from thinkless_core.student.model_files import load_model, load_tokenizer
    from thinkless_core.training.acceleration import use_threads

    use_threads(spec["threads"])
    turns.note(precision=spec["precision"])
    policy, tokenizer = load_model(spec["model"]), load_tokenizer(spec["model"])
    sampler = SamplingCopy if spec["precision"] == "mixed" else TransformersSampler
    clock = RolloutClock(sampler(policy, tokenizer.pad_token_id, tokenizer.eos_token_id))
    config = RlConfig(
        steps=10_000,
        prompts_per_step=spec["prompts"],
        group_size=spec["group_size"],
        objective="grpo",
        kl_coef=0.0,
        max_new_tokens=spec["max_new_tokens"],
        short_max_tokens=spec["short_max_tokens"],
        precision=spec["precision"],
        optimizer=OptimizerConfig(learning_rate=LEARNING_RATE),
        probe_every=10_000,
        probe_problems=1,
        checkpoint_every=10_000,
    )
    if spec["size"] == "tiny":
        config = config.model_copy(update={"micro_batch_tokens": load_config("tiny").rl.micro_batch_tokens})

    def progress(done: int, total: int, numbers: dict[str, float], *_: object, **__: object) -> None:
        if not done:
            return
        turns.step(
            tokens=clock.take("tokens"),
            rollout_seconds=clock.take("seconds"),
            zero_variance_groups=numbers["zero_variance_share"] * spec["prompts"],
        )

    with tempfile.TemporaryDirectory() as scratch:
        train_rl(
            policy,
            reference=load_model(spec["model"]),
            tokenizer=tokenizer,
            sampler=clock,
            problems=_problems(spec),
            config=config,
            scratch=Path(scratch),
            progress=progress,
        )


class RolloutClock:
    """A sampler (thinkless_core.rl.rollouts.Sampler) that counts what another one does."""

    def __init__(self, sampler: Any) -> None:
        self._sampler = sampler
        self._sums = {"tokens": 0.0, "seconds": 0.0}

    def sample(self, requests: Sequence[Any], **settings: Any) -> list[Any]:
        """As the sampler does."""
        started = time.perf_counter()
        completions = self._sampler.sample(requests, **settings)
        wait_for_device()
        self._sums["seconds"] += time.perf_counter() - started
        self._sums["tokens"] += sum(len(c.token_ids) for c in completions)
        return list(completions)

    def take(self, name: str) -> float:
        """A sum since it was last taken."""
        value, self._sums[name] = self._sums[name], 0.0
        return value


def trl(spec: Spec, turns: Turns) -> None:
    """TRL's GRPOTrainer, transformers generation, `trl_batch` rollouts per forward pass of the update."""
    import torch
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from tests.benchmarks.peer_loop import in_turns, plain_arguments
    from thinkless_core.seeding import batch_indices
    from thinkless_core.student.model_files import load_model, load_tokenizer
    from thinkless_core.student.rendering import PLACEHOLDER, render_prompt

    torch.set_num_threads(spec["threads"])
    tokenizer = load_tokenizer(spec["model"])
    tokenizer.padding_side = "left"
    num_rollouts = spec["prompts"] * spec["group_size"]
    batch = min(spec["trl_batch"], num_rollouts)
    problems = _problems(spec)
    order = [
        problems[i]
        for step in range(40)
        for i in batch_indices(len(problems), batch_size=spec["prompts"], step=step, seed=0)
    ]
    template = tokenizer.apply_chat_template(
        [{"role": "user", "content": PLACEHOLDER}], add_generation_prompt=True, tokenize=False
    )
    rows = [{"prompt": template.replace(PLACEHOLDER, p.prompt), "answer": p.answer} for p in order]
    assert tuple(tokenizer(rows[0]["prompt"]).input_ids) == render_prompt(tokenizer, order[0].prompt)

    class Clocked(in_turns(GRPOTrainer, turns)):  # type: ignore[misc]
        """GRPOTrainer with a clock around generation."""

        def _generate(self, prompts: Any) -> Any:
            started = time.perf_counter()
            generated = super()._generate(prompts)
            wait_for_device()
            self.sums["rollout_seconds"] = time.perf_counter() - started
            return generated

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            scored = super()._generate_and_score_completions(inputs)
            self.sums["tokens"] = int(scored["completion_mask"].sum())
            groups = scored["advantages"].view(-1, spec["group_size"])
            self.sums["zero_variance_groups"] = int((groups == 0).all(dim=1).sum())
            return scored

    with tempfile.TemporaryDirectory() as folder:
        arguments = GRPOConfig(
            **plain_arguments(folder, learning_rate=LEARNING_RATE, max_steps=40, precision=spec["precision"]),
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=num_rollouts // batch,
            num_generations=spec["group_size"],
            max_completion_length=spec["max_new_tokens"],
            temperature=1.0,
            loss_type="grpo",
            scale_rewards=False,
            beta=0.0,
            shuffle_dataset=False,
        )
        Clocked(
            model=load_model(spec["model"]),
            reward_funcs=_reward_function(tokenizer, short_max_tokens=spec["short_max_tokens"]),
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        ).train()


def _reward_function(tokenizer: Any, *, short_max_tokens: int) -> Callable[..., list[float]]:
    """Our reward as TRL wants it: the same decoding, grading and table."""
    from schemas.mode import Mode
    from thinkless_core.grading.extraction import extract_answer
    from thinkless_core.grading.fake_short import is_fake_short
    from thinkless_core.grading.strict import grade_batch
    from thinkless_core.student.control_tokens import ControlTokens
    from thinkless_core.student.rendering import decode_completion

    control = ControlTokens.of(tokenizer)

    def reward(completion_ids: Sequence[Sequence[int]], answer: Sequence[str], **_: object) -> list[float]:
        grades = grade_batch([extract_answer(decode_completion(tokenizer, ids)) for ids in completion_ids], answer)
        rewards = []
        for ids, grade in zip(completion_ids, grades, strict=True):
            mode = control.mode_of(ids[0])
            correct = grade.correct and mode is not None and ids[-1] == tokenizer.eos_token_id
            hidden = is_fake_short(
                mode, completion_ids=ids, think_end_id=control.think_end_id, short_max_tokens=short_max_tokens
            )
            rewards.append(-1.0 if not correct else 1.0 if mode is Mode.SHORT and not hidden else 0.5)
        return rewards

    return reward


def _problems(spec: Spec) -> list[Any]:
    if spec["size"] == "smollm2":
        return word_problems(512, seed=2)
    return chain_problems(512, mix=WARM_UP_MIX, seed=2)


SIDES: dict[str, Side] = {"ours": ours, "trl": trl}


def model_folder(size: str, setting: Setting) -> tuple[Path, int]:
    """Where the warmed-up model is cached, and how many steps it is trained."""
    steps = QUICK_WARM_UP[size] if setting.quick else WARM_UP[size][0]
    return (
        setting.folder / "models" / f"{size}-{steps}-steps-{source_tag('models.py', 'samples.py', 'words.py')}",
        steps,
    )


def make_row(size: str) -> Row:
    """The row of one model size."""

    def prepare(setting: Setting) -> None:
        folder, steps = model_folder(size, setting)
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "tests.benchmarks.models", size, str(steps), str(folder)]
            threads = SIZES[size].get("threads", setting.threads)
            subprocess.run([*command, str(threads)], cwd=ROOT, check=True)

    def contests(setting: Setting) -> list[list[Contestant]]:
        folder, _ = model_folder(size, setting)
        spec = {"threads": setting.threads, "size": size, "model": str(folder)} | DEFAULTS | SIZES[size]
        spec |= QUICK[size] if setting.quick else {}
        spec["precision"] = precision_here(spec["precision"])
        return [[Contestant("rl", "ours", spec, "ours, train_rl"), Contestant("rl", "trl", spec, "TRL GRPOTrainer")]]

    def describe(groups: Sequence[Sequence[SideResult]]) -> str:
        ((us, peer),) = groups
        lines = []
        for result in (us, peer):
            whole, rollout = result.seconds_per_step(), result.per_step("rollout_seconds")
            rest = [a - b for a, b in zip(whole, rollout, strict=True)]
            tokens = number(statistics.median(result.per_step("tokens")))
            lines.append([result.name, spread(whole), spread(rollout), spread(rest), tokens, megabytes(result)])
        header = ["side", "step, s", "rollouts, s", "rewards and update, s", "tokens a step", "peak memory, MB"]
        idle = statistics.median(us.per_step("zero_variance_groups"))
        return (
            table(header, lines)
            + f"\n\nOurs is {speed_up(us, peer)} times faster a step, {speed_up(us, peer, unit='tokens')} times per "
            f"generated token, both in precision {us.notes['precision']}. Groups without variance: {idle:g} a step."
        )

    return Row(f"rl-{size}", f"RL step, {size} model", contests, describe, 5 if size == "tiny" else 3, prepare)
