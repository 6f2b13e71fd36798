"""The teacher that is a model in this process, sampled by the project's own sampler.

problem -> chat template -> TransformersSampler (draws by named streams) -> text -> TeacherReply | UnusableReply
A model that has control tokens, as this project's own have, is asked in the mode by its control token.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Sequence
from typing import NamedTuple

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.configs.teach import TransformersTeacher
from schemas.configs.teacher import TeacherTools
from schemas.errors import ConfigError, TeacherError
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.probe.probe import predictions, sampling_limits
from thinkless_core.sampling.sampler import SampledCompletion, SampleRequest
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.limits import set_limits
from thinkless_core.student.model_files import load_tokenizer
from thinkless_core.student.model_folder import in_one_line
from thinkless_core.student.rendering import decode_completion, render_prompt
from thinkless_core.student.whole_weights import load_whole
from thinkless_core.teachers.chat_teacher import over_context, user_turn
from thinkless_core.teachers.reasoning import Written, as_reply, continued, opens_thought
from thinkless_core.teachers.reply import TeacherReply, UnusableReply

logger = logging.getLogger("thinkless")


class _Loaded(NamedTuple):
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    control: ControlTokens | None
    """None for a model without control tokens."""


class LocalModelTeacher:
    """A local folder or Hub id; loaded at the first question, on a GPU if there is one."""

    def __init__(self, config: TransformersTeacher, tools: TeacherTools) -> None:
        self.config = config
        self._student_tokenizer = tools.tokenizer
        self._loaded: _Loaded | None = None

    @property
    def name(self) -> str:
        """The kind and the model's name; of a folder its last part."""
        return f"transformers:{self.config.model.rstrip('/').rpartition('/')[2]}"

    def answer(
        self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int
    ) -> list[TeacherReply | UnusableReply]:
        """See Teacher.answer; raises TeacherError if the model cannot be loaded or a prompt is too long for it."""
        loaded = self._loaded = self._loaded or _load(self.config)
        prompts = [render_prompt(loaded.tokenizer, user_turn(problem, self.config)) for problem in problems]
        context = getattr(loaded.model.config, "max_position_embeddings", None)
        for problem, prompt in zip(problems, prompts, strict=True):
            if context is not None and len(prompt) + max_tokens > context:
                raise over_context(
                    problem, mode=mode, num_prompt=len(prompt), max_tokens=max_tokens, context=context,
                    model=self.config.model,
                )  # fmt: skip
        # A template that opens the thought itself leaves no place for a control token.
        opened = [ends_in_thought(loaded.tokenizer, prompt) for prompt in prompts]
        forced = None if loaded.control is None else loaded.control.id_of(mode)
        requests = [
            SampleRequest(prompt, ("teacher", seed, mode, problem.problem_id), None if is_open else forced)
            for problem, prompt, is_open in zip(problems, prompts, opened, strict=True)
        ]
        sampled = _sampler(loaded, batch_size=self.config.batch_size).sample(
            requests, max_new_tokens=max_tokens, temperature=self.config.temperature, top_p=self.config.top_p or 1.0
        )
        return [
            as_reply(
                _written(loaded, completion, opened=is_open),
                mode=mode,
                max_tokens=max_tokens,
                tokenizer=self._student_tokenizer,
            )
            for completion, is_open in zip(sampled, opened, strict=True)
        ]

    def close(self) -> None:
        """Free the weights."""
        self._loaded = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def ends_in_thought(tokenizer: PreTrainedTokenizerBase, prompt_ids: Sequence[int]) -> bool:
    """Whether the template's generation prompt ends in `<think>`, as R1's does."""
    return opens_thought(str(tokenizer.decode(list(prompt_ids[-8:]), skip_special_tokens=False)))


def _load(config: TransformersTeacher) -> _Loaded:
    try:
        tokenizer = load_tokenizer(config.model, revision=config.revision)
        model = load_whole(
            config.model, revision=config.revision, dtype=getattr(torch, config.dtype), trust_remote_code=False
        )
    except Exception as error:  # what foreign files do to other libraries
        raise TeacherError(
            f"teacher {config.model!r} cannot be loaded as a causal language model: {in_one_line(error)}; give a local "
            "folder with config.json, tokenizer and weights, or the id of a model on the Hub that you may read"
        ) from error
    if tokenizer.chat_template is None:
        raise TeacherError(
            f"teacher {config.model!r}: its tokenizer has no chat template, so it cannot be asked; take a chat model"
        )
    try:
        control = ControlTokens.of(tokenizer)
    except ConfigError:
        control = None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    _probe(model, tokenizer, name=config.model)
    return _Loaded(model.to(device).eval(), tokenizer, control)


def _probe(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, name: str) -> None:
    """Find out how the model can be sampled from, and say so if it is not with its cache."""
    model.eval()
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    try:
        limits = sampling_limits(model, predictions(model, tokenizer), pad_id=pad_id)
    except ConfigError as error:
        raise TeacherError(f"teacher {name!r} cannot be asked: {error}") from error
    set_limits(model, limits)
    for limit, reason in limits.items():
        logger.warning("teacher %r: %s (%s)", name, limit.replacement, reason)


def _sampler(loaded: _Loaded, *, batch_size: int) -> TransformersSampler:
    eos_id = loaded.tokenizer.eos_token_id
    pad_id = loaded.tokenizer.pad_token_id
    return TransformersSampler(loaded.model, eos_id if pad_id is None else pad_id, eos_id, batch_size)


def _written(loaded: _Loaded, completion: SampledCompletion, *, opened: bool) -> Written:
    text = decode_completion(loaded.tokenizer, completion.token_ids)
    num_tokens = len(completion.token_ids)
    return Written(continued(text, opened=opened), "", completion.finish_reason, num_tokens=num_tokens)
