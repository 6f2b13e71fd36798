"""`thinkless ask`: one question to a trained model."""

from __future__ import annotations

import argparse
import contextlib
import math

from flows.run_choice import choose_run
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from schemas.artifact import Manifest
from schemas.errors import ConfigError, MissingArtifactError
from schemas.mode import EvalMode


def execute(arguments: argparse.Namespace) -> int:
    """Print the answer, its mode and P(think)."""
    _check(arguments)
    settings = Settings.from_environment()
    store = ArtifactStore(settings.home)
    run = choose_run(settings.home, arguments.run, having=arguments.model)
    (key,) = {use.key for use in run.stages if use.stage == arguments.model}
    folder = store.path(arguments.model, key) / "model"
    instruction = trained_instruction(store, store.manifest(arguments.model, key))
    # Imported here because torch takes a second to load.
    from thinkless_core.evaluation.answering import ask
    from thinkless_core.sampling.transformers_sampler import TransformersSampler
    from thinkless_core.student.model_files import load_student, load_student_tokenizer

    model, tokenizer = load_student(folder), load_student_tokenizer(folder)
    reply = ask(
        model,
        arguments.question,
        sampler=TransformersSampler(model, tokenizer.pad_token_id, tokenizer.eos_token_id),
        tokenizer=tokenizer,
        mode=EvalMode(arguments.mode),
        think_bias=arguments.think_bias,
        temperature=arguments.temperature,
        max_new_tokens=arguments.max_new_tokens,
        seed=arguments.seed,
        instruction=instruction,
    )
    print(reply.completion)
    print(f"answer {reply.answer}   mode {reply.mode}   P(think) {reply.p_think:.3f}   {reply.num_tokens} tokens")
    return 0


def trained_instruction(store: ArtifactStore, model: Manifest) -> str:
    """The instruction below every problem that a model was trained on; empty if its problems left the store."""
    for parent in model.inputs:
        if parent.stage == "problems":
            with contextlib.suppress(MissingArtifactError):
                return str(store.manifest(parent.stage, parent.key).config.get("instruction", ""))
    return ""


def _check(arguments: argparse.Namespace) -> None:
    """Refuse an empty question and invalid sampling settings; raises ConfigError."""
    if not arguments.question.strip():
        raise ConfigError('the question is empty; ask something, for example: thinkless ask "37+48=?"')
    if not 0 < arguments.temperature < math.inf:
        raise ConfigError(f"--temperature is {arguments.temperature:g}, expected a number above 0")
    if math.isnan(arguments.think_bias):
        raise ConfigError("--think-bias is nan, expected a number: above 0 thinks more, below 0 less")
    if arguments.max_new_tokens < 1:
        raise ConfigError(f"--max-new-tokens is {arguments.max_new_tokens}, expected at least 1, the control token")
