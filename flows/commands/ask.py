"""`thinkless ask`: one question to a trained model."""

from __future__ import annotations

import argparse
import math

from flows.policy import policy_of
from flows.run_choice import choose_run
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from schemas.errors import ConfigError


def execute(arguments: argparse.Namespace) -> int:
    """Print the answer, its mode and P(think)."""
    _check(arguments)
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
