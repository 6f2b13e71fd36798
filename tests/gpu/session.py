"""What all parts of a run share: prepared data, settings, the student before training, the time, the results."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.configs.base_model import BaseModelConfig, PretrainedModel
from schemas.configs.evaluate import EvaluateConfig
from schemas.configs.loading import apply_overrides
from schemas.configs.rl import RlConfig
from schemas.configs.sft import SftConfig
from schemas.errors import ConfigError
from schemas.records.pairs import Pair
from schemas.records.problems import Problem, ProblemSplit
from tests.gpu.budget import Budget
from tests.gpu.judging import judged_here
from tests.gpu.prepared import PROBE_TEXT, WEIGHTS, Prepared, recognised
from tests.gpu.results import Results
from thinkless_core.student.context_length import context_length
from thinkless_core.student.limits import Limit, set_limits
from thinkless_core.student.model_files import build_base, load_student, load_student_tokenizer, save_folder
from thinkless_core.student.rendering import render_prompt
from thinkless_core.training.sided_samples import SidedSamples, pair_samples
from thinkless_core.training.tokenised_pairs import TokenisedPairs

FREE_BYTES = 16 * 2**30
"""Free space that makes shared memory the place of checkpoints."""


@dataclass(frozen=True)
class Session:
    """One run."""

    options: argparse.Namespace
    prepared: Prepared
    settings: dict[str, Any]
    """Sections as in settings.json, with what the command line changed."""
    base: Path
    """Folder of the student before training."""
    tokenizer: PreTrainedTokenizerBase
    pairs: list[Pair]
    """Those that fit into the student's context."""
    problems: list[Problem]
    judged_by: str
    """A sentence on the verifiers."""
    same: str
    """A sentence on whether student and tokenizer are those of `prepare`."""
    device: torch.device
    work: Path
    budget: Budget
    results: Results

    @property
    def small(self) -> bool:
        """Whether everything is to be tried and nothing measured."""
        return self.options.steps is not None

    def sft(self) -> SftConfig:
        """Settings of the warm-up."""
        return SftConfig.model_validate(self.settings["sft"])

    def rl(self, *overrides: str) -> RlConfig:
        """Settings of RL, with changes."""
        return RlConfig.model_validate(changed(self.settings, overrides)["rl"])

    def evaluate(self) -> EvaluateConfig:
        """Settings of the evaluation."""
        return EvaluateConfig.model_validate(self.settings["evaluate"])

    def judged(self, split: ProblemSplit) -> list[Problem]:
        """Problems of a split, with verifiers that work here."""
        return [problem for problem in self.problems if problem.split is split]

    def student(self) -> PreTrainedModel:
        """The student before training, in float32 on the CPU."""
        return load_student(self.base)

    def samples(self, num_pairs: int, *, start: int = 0, longest: int | None = None) -> SidedSamples:
        """Both sides of some training pairs in their order, from the beginning again if there are too few; `longest`
        leaves out pairs with more tokens than that on a side.
        """
        train = [pair for pair in self.pairs if pair.split == "train"]
        short = [p for p in train if longest is None or max(p.think_tokens, p.short_tokens) <= longest] or train
        chosen = [short[(start + i) % len(short)] for i in range(num_pairs)]
        return pair_samples(chosen, tokenizer=self.tokenizer)


def changed(settings: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of the sections with overrides applied; raises ConfigError for a section that is not valid then."""
    table: dict[str, Any] = json.loads(json.dumps(settings))
    apply_overrides(table, overrides)
    try:
        for section, model in (("sft", SftConfig), ("rl", RlConfig), ("evaluate", EvaluateConfig)):
            model.model_validate(table[section])
    except ValidationError as error:
        raise ConfigError(f"section {section} with {', '.join(overrides)}: {error}") from error
    return table


def sections(prepared: Prepared, options: argparse.Namespace) -> dict[str, Any]:
    """The sections as the command line changes them."""
    overrides = small_overrides(prepared, options.steps) if options.steps is not None else []
    overrides += [f"sft.steps={options.sft_steps}"] if options.sft_steps else []
    overrides += [f"rl.steps={options.rl_steps}"] if options.rl_steps else []
    settings = {name: prepared.settings[name] for name in ("base", "sft", "rl", "evaluate")}
    return changed(settings, [*overrides, *options.set])


def small_overrides(prepared: Prepared, steps: int) -> list[str]:
    """Sizes with which a CPU gets through in a minute or two."""
    limits = {name: min(16, prepared.settings[name]["short_max_tokens"]) for name in ("rl", "evaluate")}
    return [
        f"sft.steps={steps}", "sft.pairs_per_step=2", f"rl.steps={steps}", "rl.prompts_per_step=2", "rl.group_size=4",
        "rl.updates_per_step=1", "rl.probe_problems=4", "rl.max_new_tokens=16", f"rl.short_max_tokens={limits['rl']}",
        "evaluate.limit=4", "evaluate.num_samples=1", "evaluate.max_new_tokens=16",
        f"evaluate.short_max_tokens={limits['evaluate']}",
    ]  # fmt: skip


def work_folder(chosen: Path | None) -> Path:
    """A place for weights and checkpoints: shared memory if it is large, for disks can be slow."""
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        return chosen
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and shutil.disk_usage(shared).free > FREE_BYTES
    return Path(tempfile.mkdtemp(prefix="thinkless-gpu-", dir=shared if roomy else None))


def write_base(prepared: Prepared, work: Path) -> tuple[Path, str]:
    """The folder that stage base would write, and whether weights and prompts came out as where `prepare` ran.

    One that an earlier run has left in `work` is taken as it is.
    """
    ready = work / "base.json"
    mark = [prepared.settings[name] for name in ("base", "limits", "weights", "prompt_ids")]
    if ready.exists() and (known := json.loads(ready.read_text(encoding="utf-8")))["mark"] == mark:
        return work / "base", str(known["said"])
    config = BaseModelConfig.model_validate(prepared.settings["base"])
    parts = sorted(prepared.folder.glob(f"{WEIGHTS}*"), key=lambda path: int(path.suffix[1:]))
    if parts and isinstance(config.model, PretrainedModel) and config.model.gguf_file is not None:
        gguf = work / "gguf"
        gguf.mkdir(exist_ok=True)
        (gguf / config.model.gguf_file).write_bytes(b"".join(part.read_bytes() for part in parts))
        model = config.model.model_copy(update={"path": str(gguf)})
        config = config.model_copy(update={"model": model})
    student, tokenizer = build_base(config)
    set_limits(student, {Limit(name): reason for name, reason in prepared.settings["limits"].items()})
    save_folder(student, tokenizer, work / "base")
    sentence = _compared(prepared.settings, load_student(work / "base"), tokenizer)
    ready.write_text(json.dumps({"mark": mark, "said": sentence}), encoding="utf-8")
    return work / "base", sentence


def _compared(settings: dict[str, Any], student: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    found = recognised(student, tokenizer)
    same = found.weights == settings["weights"]
    same_ids = list(render_prompt(tokenizer, PROBE_TEXT)) == settings["prompt_ids"]
    rows, expected = torch.tensor(found.control_rows), torch.tensor(settings.get("control_rows", found.control_rows))
    return (
        f"The student's weights are {'' if same else 'NOT '}bit by bit those of the machine that prepared them; the "
        f"rows of its control tokens, which are computed, are at most {float((rows - expected).abs().max()):.1e} away; "
        f"its prompts have {'the same' if same_ids else 'OTHER'} token ids."
    )


def open_session(
    options: argparse.Namespace, prepared: Prepared, budget: Budget, results: Results, *, work: Path
) -> Session:
    """Everything loaded and checked; raises ConfigError for settings that are not valid."""
    settings = sections(prepared, options)
    base, same = write_base(prepared, work)
    budget.say(f"{same} Work folder {work}.")
    tokenizer = load_student_tokenizer(base)
    problems, judged_by = judged_here(prepared.problems)
    tokens = TokenisedPairs.of(prepared.pairs, tokenizer=tokenizer, context=context_length(load_student(base)))
    too_long = set(tokens.too_long.tolist())
    pairs = [pair for row, pair in enumerate(prepared.pairs) if row not in too_long]
    budget.say(f"{len(pairs)} pairs, {len(too_long)} too long; {len(problems)} problems. {judged_by}")
    return Session(
        options=options,
        prepared=prepared,
        settings=settings,
        base=base,
        tokenizer=tokenizer,
        pairs=pairs,
        problems=problems,
        judged_by=judged_by,
        same=same,
        device=torch.device("cuda" if options.device == "cuda" else "cpu"),
        work=work,
        budget=budget,
        results=results,
    )
