"""`thinkless ask`: one question to a trained model."""

from __future__ import annotations

import argparse

from flows.policy import policy_of, refuse_settings
from flows.run_choice import choose_run
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore

OPTIONS = {"temperature": "--temperature", "effort": "--think-bias", "max_new_tokens": "--max-new-tokens"}
"""Setting of an answer -> how the command line spells it."""


def execute(arguments: argparse.Namespace) -> int:
    """Print the answer, its mode and P(think)."""
    refuse_settings(  # before a model is loaded
        arguments.question,
        temperature=arguments.temperature,
        effort=arguments.think_bias,
        max_new_tokens=arguments.max_new_tokens,
        spelled=OPTIONS,
    )
    settings = Settings.from_environment()
    store = ArtifactStore(settings.home)
    run = choose_run(settings.home, arguments.run, having=arguments.model)
    (key,) = {use.key for use in run.stages if use.stage == arguments.model}
    reply = policy_of(store, arguments.model, key).answer(
        arguments.question,
        mode=arguments.mode,
        effort=arguments.think_bias,
        temperature=arguments.temperature,
        max_new_tokens=arguments.max_new_tokens,
        seed=arguments.seed,
    )
    print(reply.completion)
    print(f"answer {reply.answer}   mode {reply.mode}   P(think) {reply.p_think:.3f}   {reply.num_tokens} tokens")
    return 0
