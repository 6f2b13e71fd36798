"""Checks of the student: control tokens in its tokenizer, a template that leaves the mode open, length of
context, and what the model can do."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from flows.doctor.finding import Finding, checked
from flows.doctor.software import lacking
from schemas.configs.base_model import PACKAGE, PretrainedModel
from schemas.configs.pipeline import PipelineConfig
from thinkless_core.estimates.memory_formulas import ModelShape
from thinkless_core.estimates.stage_memory import longest_rollout, prompt_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

COPIES_WHILE_PROBED = 2
"""The model and what was written of it, each in float32."""


def package(config: PipelineConfig) -> Iterator[Finding]:
    """Whether the Python package that brings the student is installed, if one does."""
    model = config.base.model
    if isinstance(model, PretrainedModel) and model.path.startswith(PACKAGE):
        yield checked("student", lambda: model.location)


def can_be_read(config: PipelineConfig, *, unreached: Collection[str]) -> bool:
    """Whether the student's files can be read; False if something they need is known to be missing."""
    model = config.base.model
    if not isinstance(model, PretrainedModel):
        return True
    if "base.model.gguf_file" in lacking(config) or model.path in unreached:
        return False
    return all(finding.fine for finding in package(config))


def tokenizer(config: PipelineConfig, *, prepared: list[PreTrainedTokenizerBase] | None = None) -> Finding:
    """The tokenizer as the student will have it, put into `prepared`, and a prompt as it will read it."""
    return checked("tokenizer", lambda: _described(config, [] if prepared is None else prepared))


def abilities(config: PipelineConfig, shape: ModelShape | None, *, free_bytes: int) -> Finding:
    """What the model itself can do, probed by the function that stage `base` calls; weights are not downloaded."""
    model = config.base.model
    if isinstance(model, PretrainedModel) and not Path(model.location).exists():
        return Finding("abilities", True, "not probed: the weights are not on this machine; stage base does it")
    needed = 0 if shape is None else COPIES_WHILE_PROBED * 4 * shape.parameters
    if needed > free_bytes:
        return Finding(
            "abilities", True,
            f"not probed: {needed / 1e9:.1f} GB of memory are needed and {free_bytes / 1e9:.1f} GB are free; stage "
            "base does it",
        )  # fmt: skip
    return checked("abilities", lambda: _probed(config))


def context(config: PipelineConfig, shape: ModelShape | None, *, measured: Collection[str] = ()) -> Iterator[Finding]:
    """Whether prompts of an assumed length and completions at their limits fit into what the model was made for.

    `measured` are limits that were looked at with the prompts themselves (rehearsal.py).
    """
    if shape is None or shape.context == 0:
        return
    prompt = prompt_tokens(shape)
    limits = {
        "teach.think.max_tokens": config.teach.think.max_tokens,
        "teach.short.max_tokens": config.teach.short.max_tokens,
        "rl.max_new_tokens": longest_rollout(config.rl),
        "evaluate.max_new_tokens": config.evaluate.max_new_tokens,
    }
    for key, limit in limits.items():
        if key not in measured and limit + prompt > shape.context:
            yield Finding(
                "context", False,
                f"{key}={limit} and a prompt of about {prompt} tokens are over the student's context of "
                f"{shape.context}; lower {key} to {max(shape.context - prompt, 0)}",
            )  # fmt: skip


def size(config: PipelineConfig, shape: ModelShape | None) -> Iterator[Finding]:
    """How large the student is, in words."""
    model = config.base.model
    name = model.path if isinstance(model, PretrainedModel) else "tiny"
    if shape is not None:
        head = "tied" if shape.tied else "not tied"
        yield Finding(
            "student", True,
            f"{name}: P = {amount(shape.parameters)} parameters (L = {shape.layers} layers, h = {shape.hidden}, "
            f"f = {shape.intermediate}, V = {shape.vocabulary}, head {head}), context {shape.context}",
        )  # fmt: skip


def amount(number: float) -> str:
    """A large number in words of a person: 1.8B, 135M, 42k."""
    for unit, name in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:.3g}"


def _probed(config: PipelineConfig) -> str:
    from thinkless_core.probe.examined_student import refuse_unfit_settings, write_examined_student

    with TemporaryDirectory() as folder:
        examined = write_examined_student(config.base, Path(folder))
        refuse_unfit_settings(Path(folder), (config.sft, config.rl))
    return examined.replaced() or "probed with a few tokens; cache, packing and reloading agree with a forward pass"


def _described(config: PipelineConfig, into: list[PreTrainedTokenizerBase]) -> str:
    from thinkless_core.problems.problem_set import asked
    from thinkless_core.student.control_tokens import ControlTokens
    from thinkless_core.student.model_files import prepare_tokenizer
    from thinkless_core.student.rendering import render_prompt

    prepared = prepare_tokenizer(config.base)
    into.append(prepared.tokenizer)
    control = ControlTokens.of(prepared.tokenizer)
    user_turn = asked("1+1=?", instruction=config.problems.instruction)
    prompt = prepared.tokenizer.decode(render_prompt(prepared.tokenizer, user_turn), skip_special_tokens=False)
    return (
        f"control tokens {control.short_id}, {control.think_id} (new: {', '.join(prepared.new_tokens) or 'none'}); "
        f"template {'; '.join(prepared.template_repairs) or 'kept as it is'}; a prompt reads {prompt!r}"
    )
