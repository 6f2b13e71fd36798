"""The teacher that is a model in vLLM's offline engine.

problems -> llm.chat(messages, a SamplingParams with its own seed each) -> texts -> TeacherReply | UnusableReply
vLLM is imported at the first question: it is no dependency of this project, and takes its time to load.
Source: https://docs.vllm.ai/en/stable/api/vllm/ (LLM.chat, SamplingParams).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.distributed as dist

from schemas.configs.teach import VllmTeacher
from schemas.configs.teacher import TeacherTools
from schemas.errors import ConfigError, TeacherError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.sampling.vllm_engine import cache_bytes, chunked_prefill, end_engine, failures, import_vllm
from thinkless_core.teachers.chat_teacher import over_context, request_seed_of, user_turn
from thinkless_core.teachers.reasoning import Written, as_reply, continued, opens_thought
from thinkless_core.teachers.reply import TeacherReply, UnusableReply


class VllmEngineTeacher:
    """A local folder or Hub id; the engine starts at the first question."""

    def __init__(self, config: VllmTeacher, tools: TeacherTools) -> None:
        self.config = config
        self._student_tokenizer = tools.tokenizer
        self._engine: Any = None
        self._began_group = False

    @property
    def name(self) -> str:
        """The kind and the model's name; of a folder its last part."""
        return f"vllm:{self.config.model.rstrip('/').rpartition('/')[2]}"

    def answer(
        self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int
    ) -> list[TeacherReply | UnusableReply]:
        """See Teacher.answer; raises TeacherError if vLLM is absent, or refuses the model or a prompt."""
        vllm = _import_vllm()
        if self._engine is None:
            self._began_group = not dist.is_initialized()
            self._engine = _start(vllm, self.config)
        kwargs = dict(self.config.template_kwargs)
        self._refuse_too_long(problems, mode=mode, max_tokens=max_tokens)
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
        except failures() as error:
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

    def _refuse_too_long(self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int) -> None:
        """vLLM would cut such answers before their limit, without a word."""
        tokenizer, context = (
            self._engine.get_tokenizer(),
            self._engine.llm_engine.vllm_config.model_config.max_model_len,
        )
        for problem in problems:
            text = _prompt_text(tokenizer, user_turn(problem, self.config), dict(self.config.template_kwargs))
            length = len(tokenizer(text, add_special_tokens=False).input_ids)
            if length + max_tokens > context:
                raise over_context(
                    problem, mode=mode, num_prompt=length, max_tokens=max_tokens, context=context,
                    model=self.config.model, settings=", raise teacher.max_model_len",
                )  # fmt: skip

    def close(self) -> None:
        """Free the engine and its memory."""
        if self._engine is not None:
            end_engine(self._engine, began_group=self._began_group)
            self._engine = None


def _import_vllm() -> Any:
    try:
        return import_vllm("teacher kind 'vllm'")
    except ConfigError as error:
        raise TeacherError(
            f"{error}; or serve the model with `vllm serve` anywhere and use kind 'openai' with its base_url"
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
            kv_cache_memory_bytes=cache_bytes(None),
            enforce_eager=config.enforce_eager,
            enable_chunked_prefill=chunked_prefill(),
            generation_config="vllm",  # no sampling settings but those that are configured
            trust_remote_code=False,
        )
    except failures() as error:
        raise TeacherError(
            f"vLLM cannot start with {config.model!r}: {error}; check the model's name, and lower "
            "teacher.gpu_memory_utilization or teacher.max_model_len if memory is short"
        ) from error


def _template_opens_thought(tokenizer: Any, kwargs: dict[str, Any]) -> bool:
    return opens_thought(_prompt_text(tokenizer, "1+1=?", kwargs))


def _prompt_text(tokenizer: Any, content: str, kwargs: dict[str, Any]) -> str:
    """The prompt as the engine renders it; raises TeacherError for a tokenizer without a chat template."""
    try:
        return str(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False, **kwargs
            )
        )
    except ValueError as error:
        raise TeacherError(
            f"the teacher's tokenizer cannot render a conversation: {error}; take a chat model"
        ) from error


def _written(output: Any, *, opened: bool) -> Written:
    first = output.outputs[0]
    finish_reason = FinishReason.LENGTH if first.finish_reason == "length" else FinishReason.STOP
    return Written(continued(first.text, opened=opened), "", finish_reason, num_tokens=len(first.token_ids))
