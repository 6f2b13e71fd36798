"""A trained model that answers: of a run in the store, or of an exported folder.

run, stage | folder -> model, tokenizer, sampler, the instruction it was trained with -> Policy -> answer
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from infra.store.artifact_store import ArtifactStore
from schemas.artifact import Manifest
from schemas.errors import ConfigError, MissingArtifactError
from schemas.mode import EvalMode

if TYPE_CHECKING:
    from thinkless_core.evaluation.answering import Reply


class Policy:
    """A model in memory, and the instruction below every problem that it was trained on."""

    def __init__(self, folder: Path, *, instruction: str = "") -> None:
        if not (folder / "config.json").is_file():
            raise ConfigError(
                f"{folder} is no model: it has no config.json; give a folder that `thinkless export` wrote, or a run"
            )
        # Imported here because torch takes a second to load.
        from thinkless_core.sampling.transformers_sampler import TransformersSampler
        from thinkless_core.student.model_files import load_student, load_student_tokenizer

        self.folder, self.instruction = folder, instruction
        self._model, self._tokenizer = load_student(folder), load_student_tokenizer(folder)
        self._sampler = TransformersSampler(self._model, self._tokenizer.pad_token_id, self._tokenizer.eos_token_id)

    def answer(
        self,
        prompt: str,
        *,
        mode: EvalMode | str = EvalMode.AUTO,
        effort: float = 0.0,
        temperature: float = 0.6,
        max_new_tokens: int = 128,
        seed: int = 0,
    ) -> Reply:
        """Answer one question.

        `mode` is `auto` (the model chooses), `short` or `think`. `effort` is added to the logit of `<think>` before
        it chooses: above 0 it thinks more often, below 0 less (`--think-bias` on the command line). Raises ConfigError
        for settings out of range and a prompt that does not fit into the model's context.
        """
        if mode not in (known := [str(one) for one in EvalMode]):
            raise ConfigError(f"mode is {mode!r}, expected one of {', '.join(known)}")
        refuse_settings(prompt, temperature=temperature, effort=effort, max_new_tokens=max_new_tokens)
        from thinkless_core.evaluation.answering import ask

        return ask(
            self._model,
            prompt,
            sampler=self._sampler,
            tokenizer=self._tokenizer,
            mode=EvalMode(mode),
            think_bias=effort,
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            seed=seed,
            instruction=self.instruction,
        )


def refuse_settings(
    prompt: str,
    *,
    temperature: float,
    effort: float,
    max_new_tokens: int,
    spelled: Mapping[str, str] = {},
) -> None:
    """Raise ConfigError for an empty question or an invalid setting, under the name that `spelled` has for it."""
    if not prompt.strip():
        raise ConfigError('the question is empty; ask something, for example: thinkless ask "37+48=?"')
    if not 0 < temperature < math.inf:
        name = spelled.get("temperature", "temperature")
        raise ConfigError(f"{name} is {temperature:g}, expected a number above 0")
    if math.isnan(effort):
        raise ConfigError(
            f"{spelled.get('effort', 'effort')} is nan, expected a number: above 0 thinks more, below 0 less"
        )
    if max_new_tokens < 1:
        name = spelled.get("max_new_tokens", "max_new_tokens")
        raise ConfigError(f"{name} is {max_new_tokens}, expected at least 1, the control token")


def policy_of(store: ArtifactStore, stage: str, key: str) -> Policy:
    """The model that stage `sft` or `rl` of a run trained."""
    return Policy(store.path(stage, key) / "model", instruction=trained_instruction(store, store.manifest(stage, key)))


def trained_instruction(store: ArtifactStore, model: Manifest) -> str:
    """The instruction below every problem that a model was trained on; empty if its problems left the store."""
    for parent in model.inputs:
        if parent.stage == "problems":
            with contextlib.suppress(MissingArtifactError):
                return str(store.manifest(parent.stage, parent.key).config.get("instruction", ""))
    return ""
