"""How large a model is, read off its configuration alone: no weights are loaded.

TinyModel | PretrainedModel | Hub id or folder -> config.json -> ModelShape, or None where it says too little
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import AutoConfig

from schemas.configs.base_model import PretrainedModel, TinyModel
from thinkless_core.estimates.memory_formulas import ModelShape
from thinkless_core.student.tiny_model import tiny_tokenizer

_QWEN_CODES = 151_936
KNOWN: Mapping[str, ModelShape] = {
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": ModelShape(
        hidden=1536, intermediate=8960, layers=28, heads=12, kv_heads=2, head_size=128, vocabulary=_QWEN_CODES,
        tied=False, context=131_072,
    ),
    "Qwen/Qwen2.5-1.5B-Instruct": ModelShape(
        hidden=1536, intermediate=8960, layers=28, heads=12, kv_heads=2, head_size=128, vocabulary=_QWEN_CODES,
        tied=True, context=32_768,
    ),
    "Qwen/Qwen2.5-0.5B-Instruct": ModelShape(
        hidden=896, intermediate=4864, layers=24, heads=14, kv_heads=2, head_size=64, vocabulary=_QWEN_CODES,
        tied=True, context=32_768,
    ),
}  # fmt: skip
"""Students of the shipped profiles, as their config.json says: sizes can be estimated where the Hub is out of reach."""


def shape_of(model: TinyModel | PretrainedModel) -> ModelShape | None:
    """The shape of the configured student; None where it cannot be read or is of another build."""
    if isinstance(model, TinyModel):
        return ModelShape(
            hidden=model.hidden_size,
            intermediate=model.intermediate_size,
            layers=model.num_hidden_layers,
            heads=model.num_attention_heads,
            kv_heads=model.num_attention_heads,
            head_size=model.hidden_size // model.num_attention_heads,
            vocabulary=len(tiny_tokenizer()),
            tied=True,
            context=model.max_position_embeddings,
        )
    if model.path in KNOWN:
        return KNOWN[model.path]
    try:
        config = _config_of(model)
    except Exception:  # noqa: BLE001 - whatever is wrong with the files, the check of the tokenizer or the model says it
        return None
    return _read(config.get_text_config())


def _config_of(model: PretrainedModel) -> Any:
    options = {} if model.gguf_file is None else {"gguf_file": model.gguf_file}
    return AutoConfig.from_pretrained(
        model.location, revision=model.revision, trust_remote_code=model.trust_remote_code, **options
    )


def _read(config: Any) -> ModelShape | None:
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    sizes = [size for name in names if isinstance(size := getattr(config, name, None), int)]
    if len(sizes) < len(names):
        return None
    hidden, intermediate, layers, heads, vocabulary = sizes
    return ModelShape(
        hidden=hidden,
        intermediate=intermediate,
        layers=layers,
        heads=heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_size=getattr(config, "head_dim", None) or hidden // heads,
        vocabulary=vocabulary,
        tied=bool(getattr(config, "tie_word_embeddings", False)),
        context=getattr(config, "max_position_embeddings", None) or 0,
    )
