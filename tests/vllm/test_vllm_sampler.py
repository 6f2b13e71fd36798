"""The vLLM sampler: it serves the policy as it is now, and says of what it sampled what the trainer would say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from infra.processes.vllm_environment import run_engine_in_this_process
from schemas.configs.training import LoraConfig
from schemas.errors import ConfigError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from tests.vllm.asking_vllm import CLOSE, largest_gap, requests_of
from tests.vllm.conftest import CONFIG, SHAPE, shake
from thinkless_core.sampling.sampler import SampledCompletion, SampleRequest
from thinkless_core.sampling.vllm_engine import VllmEngine
from thinkless_core.sampling.vllm_sampler import NUM_COMPARED, VllmSampler
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.model_files import save_folder
from thinkless_core.student.rendering import render_prompt
from thinkless_core.student.tiny_model import tiny_model, tiny_tokenizer


@pytest.fixture
def policy(lively: tuple[Qwen2ForCausalLM, Path]) -> Qwen2ForCausalLM:
    """A fresh model; what a test does to it is gone afterwards."""
    return lively[0]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmEngine]:
    """One engine for all tests of this file; it begins with weights that no test uses."""
    folder = tmp_path_factory.mktemp("engine") / "model"
    model = tiny_model(SHAPE, tokenizer=tiny_tokenizer(), seed=9)
    save_folder(model, tiny_tokenizer(), folder)
    run_engine_in_this_process()
    started = VllmEngine(CONFIG, folder)
    yield started
    started.close()


def test_the_engine_gives_what_it_sampled_the_probabilities_that_the_trainer_gives_it(
    engine: VllmEngine, policy: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    sampler = VllmSampler(policy, engine, tokenizer.eos_token_id)
    think = ControlTokens.of(tokenizer).think_id
    requests = requests_of(tokenizer, NUM_COMPARED + 8, forced=(None, think))
    sampled = sampler.sample(requests, max_new_tokens=24, temperature=0.9)
    assert largest_gap(policy, requests, sampled, temperature=0.9) < CLOSE
    for request, completion in zip(requests[:NUM_COMPARED], sampled, strict=False):
        assert len(completion.logprobs) == len(completion.token_ids) - (request.forced_id is not None)


def test_more_tokens_of_prompts_than_an_engine_reads_in_a_step(
    engine: VllmEngine, policy: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    requests = [SampleRequest(tuple(3 + (i + j) % 20 for j in range(200)), ("long", i)) for i in range(96)]
    sampled = VllmSampler(policy, engine, tokenizer.eos_token_id).sample(requests, max_new_tokens=4, temperature=1.0)
    read_in_a_step = engine._engine.llm_engine.vllm_config.scheduler_config.max_num_batched_tokens
    assert read_in_a_step < CONFIG.max_num_seqs * 200
    assert all(completion.token_ids for completion in sampled)


@pytest.mark.parametrize("by_file", [False, True])
def test_new_weights_are_served_at_once_the_tied_head_too(
    engine: VllmEngine, policy: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, by_file: bool
) -> None:
    assert policy.lm_head.weight is policy.model.embed_tokens.weight
    sampler = VllmSampler(policy, engine, tokenizer.eos_token_id)
    requests = requests_of(tokenizer, 12)
    before = sampler.sample(requests, max_new_tokens=16, temperature=1.0)
    for seed in (1, 2):
        shake(policy, seed=seed)
        assert largest_gap(policy, requests, before, temperature=1.0) > 0.1
        if by_file:
            engine.push_by_file(policy)
            engine._engine.reset_prefix_cache()
            written = engine.generate(
                [request.prompt_ids for request in requests],
                seeds=list(range(12)),
                max_tokens=[16] * 12,
                eos_id=tokenizer.eos_token_id,
                temperature=1.0,
                top_p=1.0,
                num_logprobs=12,
            )
            after = [SampledCompletion(w.token_ids, FinishReason.LENGTH, w.logprobs) for w in written]
        else:
            after = sampler.sample(requests, max_new_tokens=16, temperature=1.0)
        assert largest_gap(policy, requests, after, temperature=1.0) < CLOSE


def test_adapters_are_folded_into_what_is_served(
    engine: VllmEngine, policy: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    pytest.importorskip("peft", reason="needs peft, which is in the extra `lora`")
    from thinkless_core.training.lora import add_adapters

    control = ControlTokens.of(tokenizer)
    ids = (control.short_id, control.think_id, control.think_end_id)
    add_adapters(policy, LoraConfig(rank=4), control_ids=ids, seed=0, key="rl.lora")
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    requests = requests_of(tokenizer, 8)
    sampled = VllmSampler(policy, engine, tokenizer.eos_token_id).sample(requests, max_new_tokens=16, temperature=1.0)
    assert largest_gap(policy, requests, sampled, temperature=1.0) < CLOSE


def test_a_completion_ends_with_its_end_token_or_at_the_limit(
    engine: VllmEngine, policy: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    eos_id = tokenizer.eos_token_id
    with torch.no_grad():
        policy.lm_head.weight.mul_(0.03)  # so that every token is about as likely as any other
    sampled = VllmSampler(policy, engine, eos_id).sample(
        requests_of(tokenizer, 200), max_new_tokens=24, temperature=1.0
    )
    ended = [c for c in sampled if c.finish_reason is FinishReason.STOP]
    assert 0 < len(ended) < len(sampled)
    for completion in sampled:
        inner = completion.token_ids[:-1]
        assert eos_id not in inner
        if completion.finish_reason is FinishReason.STOP:
            assert completion.token_ids[-1] == eos_id
        else:
            assert len(completion.token_ids) == 24


def test_a_forced_token_is_token_0_and_may_be_all_there_is(
    engine: VllmEngine, policy: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    sampler, eos_id = VllmSampler(policy, engine, tokenizer.eos_token_id), tokenizer.eos_token_id
    control = ControlTokens.of(tokenizer)
    forced = [control.id_of(mode) for mode in Mode]
    requests = requests_of(tokenizer, 6, forced=(*forced, None))
    sampled = sampler.sample(requests, max_new_tokens=10, temperature=1.0)
    assert [c.token_ids[0] for c in sampled[:2] + sampled[3:5]] == forced * 2
    assert all(len(c.token_ids) <= 10 for c in sampled)
    alone = sampler.sample(requests, max_new_tokens=1, temperature=1.0)
    assert [c.token_ids for c in alone[:2]] == [(token,) for token in forced]
    assert {c.finish_reason for c in alone[:2]} == {FinishReason.LENGTH}
    assert len(alone[2].token_ids) == 1
    (ended,) = sampler.sample(requests_of(tokenizer, 1, forced=(eos_id,)), max_new_tokens=5, temperature=1.0)
    assert ended == SampledCompletion((eos_id,), FinishReason.STOP)


def test_a_request_has_a_seed_of_its_own_in_every_company(
    engine: VllmEngine, policy: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    sampler, prompt = VllmSampler(policy, engine, tokenizer.eos_token_id), render_prompt(tokenizer, "11+22=?")
    requests = [SampleRequest(prompt, ("seed", i)) for i in range(8)]
    together = [c.token_ids for c in sampler.sample(requests, max_new_tokens=12, temperature=1.0)]
    assert len(set(together)) == 8
    again = [c.token_ids for c in sampler.sample(requests[::-1], max_new_tokens=12, temperature=1.0)]
    alone = [sampler.sample([r], max_new_tokens=12, temperature=1.0)[0].token_ids for r in requests[:3]]
    assert again[::-1] == together
    assert alone == together[:3]


@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_first_tokens_have_the_frequencies_of_the_models_distribution(
    engine: VllmEngine, policy: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, top_p: float
) -> None:
    prompt, num = render_prompt(tokenizer, "11+22=?"), 3000
    with torch.no_grad():
        probs_V = (policy(torch.tensor([prompt])).logits[0, -1] / 0.7).softmax(-1)
    kept = probs_V.sort(descending=True)
    inside = (kept.values.cumsum(0) - kept.values) < top_p
    expected = {int(i): float(p / kept.values[inside].sum()) for p, i in zip(*kept, strict=True) if p > 0.02}
    requests = [SampleRequest(prompt, ("frequency", i)) for i in range(num)]
    sampled = VllmSampler(policy, engine, tokenizer.eos_token_id).sample(
        requests, max_new_tokens=1, temperature=0.7, top_p=top_p
    )
    counts = Counter(c.token_ids[0] for c in sampled)
    assert set(counts) <= {int(i) for i in kept.indices[inside]}
    for token, probability in expected.items():
        if token in {int(i) for i in kept.indices[inside]}:
            deviation = (num * probability * (1 - probability)) ** 0.5
            assert abs(counts[token] - num * probability) < 5 * deviation + 1


def test_a_request_that_the_engine_would_cut_is_refused(
    engine: VllmEngine, policy: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(ConfigError, match=r"400 new ones pass the 256 tokens.*sampler\.max_model_len"):
        VllmSampler(policy, engine, tokenizer.eos_token_id).sample(
            requests_of(tokenizer, 2), max_new_tokens=400, temperature=1.0
        )


def test_what_vllm_does_not_sample_is_refused_in_words(
    engine: VllmEngine, policy: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(ConfigError, match=r"vLLM cannot sample .*temperature must be in \[0, 2\], got 3"):
        VllmSampler(policy, engine, tokenizer.eos_token_id).sample(
            requests_of(tokenizer, 1), max_new_tokens=4, temperature=3.0
        )
