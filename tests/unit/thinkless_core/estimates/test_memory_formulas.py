"""The formulas of memory, held to what torch and transformers really keep."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import DynamicCache, Qwen2Config, Qwen2ForCausalLM

from schemas.configs.base_model import TinyModel
from schemas.configs.training import LoraConfig
from thinkless_core.estimates.memory_formulas import (
    LOGITS_AT_ONCE,
    SLICE_WIDTH,
    ModelShape,
    StageMemory,
    Term,
    TrainingSize,
    activation_bytes,
    learning_terms,
    total,
    training_state,
)
from thinkless_core.estimates.model_shape import KNOWN, shape_of
from thinkless_core.student.rendering import Sample
from thinkless_core.student.tiny_model import tiny_model, tiny_tokenizer
from thinkless_core.training.logprobs import MAX_LOGITS
from thinkless_core.training.packed_attention import packed_attention
from thinkless_core.training.packing import pack_samples
from thinkless_core.training.vocabulary_chunks import CHUNK_LOGITS, LEAST_WIDTH

SMALL = ModelShape(
    hidden=64, intermediate=160, layers=3, heads=4, kv_heads=2, head_size=16, vocabulary=500, tied=True, context=512
)


def model_of(shape: ModelShape) -> Qwen2ForCausalLM:
    """A real model of that shape."""
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=shape.vocabulary,
            hidden_size=shape.hidden,
            intermediate_size=shape.intermediate,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            tie_word_embeddings=shape.tied,
        )
    )


@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_those_of_the_model(tied: bool) -> None:
    shape = ModelShape(**{**SMALL.__dict__, "tied": tied})
    matrices = sum(p.numel() for p in model_of(shape).parameters() if p.ndim == 2)
    assert shape.parameters == matrices
    configured = TinyModel()
    tiny = tiny_model(configured, tokenizer=tiny_tokenizer(), seed=0)
    found = shape_of(configured)
    assert found is not None
    assert found.parameters == sum(p.numel() for p in tiny.parameters() if p.ndim == 2)


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 1.78),  # "1.78B params" on its page
        ("Qwen/Qwen2.5-1.5B-Instruct", 1.54),
        ("Qwen/Qwen2.5-0.5B-Instruct", 0.49),
    ],
)
def test_known_students_have_the_sizes_their_pages_say(name: str, billions: float) -> None:
    assert round(KNOWN[name].parameters / 1e9, 2) == billions


def test_adapters_are_as_large_as_real_ones() -> None:
    pytest.importorskip("peft", reason="peft is not installed: extra `lora`")
    from thinkless_core.training.lora import add_adapters

    model = model_of(SMALL)
    add_adapters(model, LoraConfig(rank=4), control_ids=(5, 6, 7), seed=0, key="sft.lora")
    adapters = sum(p.numel() for n, p in model.named_parameters() if p.requires_grad and "lora_" in n)
    assert SMALL.adapter_parameters(4) == adapters


def test_keys_and_values_take_what_the_cache_takes() -> None:
    cache = DynamicCache(config=model_of(SMALL).config)
    model_of(SMALL)(input_ids=torch.ones(1, 7, dtype=torch.long), past_key_values=cache, use_cache=True)
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert SMALL.cache_bytes_per_token(4) * 7 == held


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(("hidden", "intermediate"), [(64, 256), (128, 256), (64, 512)])
def test_activations_are_what_torch_keeps_for_the_gradient(mixed: bool, hidden: int, intermediate: int) -> None:
    def kept(layers: int) -> tuple[int, int]:
        shape = ModelShape(
            hidden=hidden, intermediate=intermediate, layers=layers, heads=4, kv_heads=4, head_size=hidden // 4,
            vocabulary=64, tied=True, context=512,
        )  # fmt: skip
        model = model_of(shape).train()
        own = {p.untyped_storage().data_ptr() for p in model.parameters()}
        sizes = {shape for p in model.parameters() if p.ndim == 2 for shape in (tuple(p.shape), tuple(p.T.shape))}
        stored: dict[int, tuple[int, torch.Tensor]] = {}  # a tensor kept alive keeps its address

        def remember(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            rounded_weight = tuple(tensor.shape) in sizes
            if storage.data_ptr() not in own and not rounded_weight:
                stored[storage.data_ptr()] = storage.nbytes(), tensor
            return tensor

        samples = [Sample(prompt_ids=tuple(range(10)), completion_ids=(5,) * 90) for _ in range(4)]
        batch = pack_samples(samples, device="cpu", dtype=torch.bfloat16 if mixed else torch.float32)
        with (
            torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor),
            torch.autocast("cpu", torch.bfloat16, enabled=mixed),
            packed_attention(model),
        ):
            model.base_model(
                input_ids=batch.input_ids_1N,
                position_ids=batch.position_ids_1N,
                packed_layout=batch.layout,
                use_cache=False,
            )
        return sum(num_bytes for num_bytes, _ in stored.values()), batch.input_ids_1N.shape[1]

    (two, tokens), (four, _) = kept(2), kept(4)
    shape = ModelShape(
        hidden=hidden, intermediate=intermediate, layers=1, heads=4, kv_heads=4, head_size=hidden // 4, vocabulary=64,
        tied=True, context=512,
    )  # fmt: skip
    # A tenth for what depends on lengths, such as masks; another version of transformers may keep other tensors.
    assert (four - two) / 2 / tokens == pytest.approx(activation_bytes(shape, mixed=mixed), rel=0.1)


def test_training_state_by_hand() -> None:
    p = SMALL.parameters
    assert total(training_state(SMALL, TrainingSize(1000))) == 16 * p
    mixed = {term.name: term.num_bytes for term in training_state(SMALL, TrainingSize(1000, mixed=True))}
    assert mixed["bfloat16 copy"] == 2 * SMALL.linear_parameters
    adapters = {term.name: term.num_bytes for term in training_state(SMALL, TrainingSize(1000, lora_rank=4))}
    assert adapters == {
        "weights": 4 * p,
        "gradients": 4 * SMALL.adapter_parameters(4),
        "Adam": 8 * SMALL.adapter_parameters(4),
    }
    assert total(training_state(SMALL, TrainingSize(1000, sharded_over=4))) == pytest.approx(4 * p, abs=4)


def test_gradient_checkpointing_keeps_a_hidden_state_per_layer_and_one_layer() -> None:
    sizes = TrainingSize(1000), TrainingSize(1000, gradient_checkpointing=True)
    without, kept = (learning_terms(SMALL, size)[0].num_bytes for size in sizes)
    one_layer = activation_bytes(SMALL, mixed=False)
    assert without == 1000 * 3 * one_layer
    assert kept == 1000 * (3 * 4 * 64 + one_layer)


def logits_of(shape: ModelShape, tokens: int) -> int:
    """Bytes of the term "logits"."""
    return {term.name: term.num_bytes for term in learning_terms(shape, TrainingSize(tokens))}["logits"]


def test_logits_are_counted_up_to_what_stands_in_memory_at_once() -> None:
    assert LOGITS_AT_ONCE == MAX_LOGITS == CHUNK_LOGITS
    assert SLICE_WIDTH == LEAST_WIDTH
    large = replace(SMALL, vocabulary=262_144)
    few, several, many = (logits_of(large, m) for m in (3, 1000, 10_000))
    assert few == 16 * 3 * 262_144
    assert several == 16 * MAX_LOGITS
    assert many == 16 * 10_000 * LEAST_WIDTH


def test_learning_and_sampling_take_turns() -> None:
    held, learning, sampling = (Term("h", 5, ""),), (Term("l", 3, ""),), (Term("s", 7, ""),)
    memory = StageMemory("rl", held, learning=learning, sampling=sampling)
    assert memory.num_bytes == 12
    assert [term.name for term in memory.at_the_peak] == ["h", "s"]
    assert StageMemory("rl", (*held, *sampling), learning=learning).num_bytes == 15
