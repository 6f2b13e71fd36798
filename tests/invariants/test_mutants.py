"""The checks can fail: each of them rejects a damaged copy of the module it checks, and accepts an undamaged one.

A mutant is the real module's text with one place changed. A place that is no longer there means that the module was
rewritten: then the mutant has to be written anew, so it fails.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.invariants import method_checks as checks


@dataclass(frozen=True)
class Mutant:
    """One change of one module, and the check that must notice it."""

    name: str
    module: str
    check: Callable[[ModuleType], None]
    old: str
    new: str


MUTANTS = (
    # the loss
    Mutant("sign flipped", "degrpo", checks.clip_hand_cases_hold, "-torch.minimum(", "torch.minimum("),
    Mutant("sign flipped, by the oracle", "degrpo", checks.loss_equals_the_oracle, "-torch.minimum(", "torch.minimum("),
    Mutant(
        "alpha dropped",
        "degrpo",
        checks.weight_hand_cases_hold,
        "mask_BT[:, 0] * control_weight / rollouts",
        "mask_BT[:, 0] / rollouts",
    ),
    Mutant(
        "alpha dropped, by the oracle",
        "degrpo",
        checks.loss_equals_the_oracle,
        "mask_BT[:, 0] * control_weight / rollouts",
        "mask_BT[:, 0] / rollouts",
    ),
    Mutant(
        "alpha on the response as well",
        "degrpo",
        checks.weight_hand_cases_hold,
        "mask_BT / (rollouts * responses_B1), per",
        "mask_BT * control_weight / (rollouts * responses_B1), per",
    ),
    Mutant(
        "control mask shifted by one",
        "degrpo",
        checks.loss_equals_the_oracle,
        "policy_BT[:, 0] = mask_BT[:, 0]",
        "policy_BT[:, 1 % policy_BT.shape[1]] = mask_BT[:, 1 % policy_BT.shape[1]]",
    ),
    Mutant(
        "1/T dropped",
        "degrpo",
        checks.weight_hand_cases_hold,
        "mask_BT / (rollouts * responses_B1)",
        "mask_BT / rollouts",
    ),
    Mutant(
        "control token counted in T",
        "degrpo",
        checks.loss_equals_the_oracle,
        "(lengths_B1 - 1).clamp(min=1)",
        "lengths_B1.clamp(min=1)",
    ),
    Mutant("clip removed", "degrpo", checks.clip_hand_cases_hold, ".clamp(1 - clip_low, 1 + clip_high)", ""),
    Mutant(
        "clip bounds swapped",
        "degrpo",
        checks.clip_hand_cases_hold,
        ".clamp(1 - clip_low, 1 + clip_high)",
        ".clamp(1 - clip_high, 1 + clip_low)",
    ),
    Mutant("maximum for minimum", "degrpo", checks.clip_hand_cases_hold, "-torch.minimum(", "-torch.maximum("),
    Mutant(
        "new and old swapped",
        "degrpo",
        checks.loss_equals_the_oracle,
        "(logprobs_BT - old_logprobs_BT)",
        "(old_logprobs_BT - logprobs_BT)",
    ),
    Mutant(
        "old and ref swapped in the loss",
        "degrpo",
        checks.loss_equals_the_oracle,
        "(logprobs_BT - old_logprobs_BT)",
        "(logprobs_BT - (old_logprobs_BT if ref_logprobs_BT is None else ref_logprobs_BT))",
    ),
    Mutant("KL subtracted", "degrpo", checks.loss_equals_the_oracle, "+ kl_coef * kl", "- kl_coef * kl"),
    Mutant("KL coefficient dropped", "degrpo", checks.loss_equals_the_oracle, "+ kl_coef * kl", "+ kl"),
    Mutant(
        "mean over the micro-batch's tokens",
        "degrpo",
        checks.loss_equals_the_oracle,
        "mask_BT / max(counts.num_response_tokens, 1)",
        "mask_BT / mask_BT.sum()",
    ),
    Mutant(
        "padding not masked",
        "degrpo",
        checks.padding_never_reaches_the_loss,
        "(logprobs_BT - old_logprobs_BT).masked_fill(~completion_mask_BT, 0.0)",
        "logprobs_BT - old_logprobs_BT",
    ),
    Mutant(
        "ratio detached",
        "degrpo",
        checks.ratio_one_gives_reinforce,
        "ratio_BT = log_ratio_BT.exp()",
        "ratio_BT = log_ratio_BT.exp().detach() + 0 * logprobs_BT",
    ),
    Mutant(
        "k3 turned around",
        "kl",
        checks.k3_equals_the_oracle,
        "ref_logprobs_BT - logprobs_BT",
        "logprobs_BT - ref_logprobs_BT",
    ),
    Mutant("k1 for k3", "kl", checks.k3_equals_the_oracle, "log_ratio_BT.exp() - log_ratio_BT - 1", "-log_ratio_BT"),
    # rewards and advantages
    Mutant(
        "advantage without baseline",
        "advantages",
        checks.advantages_equal_the_oracle,
        "rewards_PG - rewards_PG.mean(dim=1, keepdim=True)",
        "rewards_PG",
    ),
    Mutant(
        "baseline over the whole batch",
        "advantages",
        checks.advantages_equal_the_oracle,
        "rewards_PG.mean(dim=1, keepdim=True)",
        "rewards_PG.mean()",
    ),
    Mutant(
        "sample deviation for population deviation",
        "advantages",
        checks.advantages_equal_the_oracle,
        "correction=0",
        "correction=1",
    ),
    Mutant(
        "think bonus for short bonus",
        "rewards",
        checks.rewards_are_the_papers,
        "mode is Mode.SHORT and not fake_short",
        "mode is Mode.THINK and not fake_short",
    ),
    Mutant(
        "fake short paid like short",
        "rewards",
        checks.rewards_are_the_papers,
        "mode is Mode.SHORT and not fake_short",
        "mode is Mode.SHORT",
    ),
    Mutant(
        "malformed may be right", "rewards", checks.rewards_are_the_papers, "mode is None or not correct", "not correct"
    ),
    Mutant(
        "length limit off by one",
        "rewards",
        checks.rewards_are_the_papers,
        "len(completion_ids) > short_max_tokens",
        "len(completion_ids) >= short_max_tokens",
    ),
    Mutant(
        "truncated counts as right",
        "scoring",
        checks.scoring_is_strict,
        "correct = finished and is_correct(",
        "correct = is_correct(",
    ),
    Mutant(
        "truncated counts as right in evaluation",
        "evaluation",
        checks.evaluation_is_strict,
        "None if truncated or chosen is None else",
        "None if chosen is None else",
    ),
    # the update
    Mutant(
        "mean per micro-batch",
        "policy_update",
        checks.micro_batches_do_not_change_the_gradient,
        "counts=counts,",
        "counts=PolicyBatch(tuple(batch.scored[i] for i in indices), batch.advantages_B[indices]).counts,",
    ),
    Mutant(
        "old and ref swapped",
        "policy_update",
        checks.update_loss_equals_the_oracle,
        "old_logprobs_BT=old_BT,\n            ref_logprobs_BT=ref_BT,",
        "old_logprobs_BT=ref_BT,\n            ref_logprobs_BT=old_BT,",
    ),
    Mutant(
        "advantages in another order",
        "policy_update",
        checks.micro_batches_do_not_change_the_gradient,
        "batch.advantages_B[indices]",
        "batch.advantages_B[: len(indices)]",
    ),
    Mutant(
        "old log-probabilities in another order",
        "policy_update",
        checks.update_loss_equals_the_oracle,
        "[old_logprobs[i] for i in indices]",
        "[old_logprobs[-1 - i][: len(batch.sample(i).completion_ids)] for i in indices]",
    ),
    Mutant(
        "reference at another temperature",
        "policy_update",
        checks.update_loss_equals_the_oracle,
        "completion_logprobs(reference, padded, temperature=config.temperature)",
        "completion_logprobs(reference, padded)",
    ),
    # log-probabilities
    Mutant(
        "logits of the token itself",
        "logprobs",
        checks.logprobs_equal_a_plain_forward,
        "padded.prompt_lengths_B[:, None] - 1 - first",
        "padded.prompt_lengths_B[:, None] - first",
    ),
    Mutant(
        "temperature dropped", "logprobs", checks.logprobs_equal_a_plain_forward, "float32) / temperature", "float32)"
    ),
    Mutant(
        "temperature turned around",
        "logprobs",
        checks.logprobs_equal_a_plain_forward,
        "float32) / temperature",
        "float32) * temperature",
    ),
    # warm-up
    Mutant(
        "mean over the micro-batch",
        "sft_trainer",
        checks.sft_gradient_is_that_of_the_loss,
        "loss_B.sum() / num_tokens",
        "loss_B.sum() / int(padded.completion_mask_BT.sum())",
    ),
    Mutant(
        "mean over samples",
        "sft_trainer",
        checks.sft_gradient_is_that_of_the_loss,
        "loss_B.sum() / num_tokens",
        "(loss_B / padded.completion_mask_BT.sum(dim=1)).sum() / len(batch.samples)",
    ),
    Mutant(
        "padding learned",
        "sft_trainer",
        checks.sft_loss_equals_the_oracle,
        "logprobs_BT.masked_fill(~padded.completion_mask_BT, 0.0)",
        "logprobs_BT",
    ),
    Mutant(
        "control token not learned",
        "sft_trainer",
        checks.sft_loss_equals_the_oracle,
        "0.0).sum(dim=1)",
        "0.0)[:, 1:].sum(dim=1)",
    ),
    Mutant(
        "end of a truncated side taught",
        "sft_trainer",
        checks.sft_loss_equals_the_oracle,
        "finished=not pair.think_truncated",
        "finished=True",
    ),
    Mutant(
        "sides swapped",
        "sft_trainer",
        checks.sft_loss_equals_the_oracle,
        "(Mode.THINK, Mode.SHORT)",
        "(Mode.SHORT, Mode.THINK)",
    ),
    # the sampler
    Mutant(
        "positions count the padding",
        "transformers_sampler",
        checks.sampled_tokens_follow_the_model,
        "(mask_BL.cumsum(dim=1) - 1).clamp(min=0)",
        "torch.arange(longest).expand_as(mask_BL)",
    ),
    Mutant(
        "positions one too far",
        "transformers_sampler",
        checks.sampled_tokens_follow_the_model,
        "position_ids=mask_BL.sum(dim=1, keepdim=True) - 1",
        "position_ids=mask_BL.sum(dim=1, keepdim=True)",
    ),
    Mutant(
        "padding attended to",
        "transformers_sampler",
        checks.sampled_tokens_follow_the_model,
        "[[0] * (longest - len(p)) + [1] * len(p) for p in distinct]",
        "[[1] * longest for p in distinct]",
    ),
    Mutant(
        "cache not compacted with its rows",
        "transformers_sampler",
        checks.company_does_not_change_what_is_sampled,
        "cache.batch_select_indices(keep)",
        "cache.batch_select_indices(torch.arange(len(keep)))",
    ),
    Mutant(
        "mask not compacted with its rows",
        "transformers_sampler",
        checks.company_does_not_change_what_is_sampled,
        "mask_BL = alive[keep], next_B[keep], mask_BL[keep]",
        "mask_BL = alive[keep], next_B[keep], mask_BL[: len(keep)]",
    ),
    Mutant(
        "draws belong to places in the batch",
        "transformers_sampler",
        checks.company_does_not_change_what_is_sampled,
        "draws_BT[alive, t]",
        "draws_BT[: len(alive), t]",
    ),
    Mutant(
        "completions in the order of their length",
        "transformers_sampler",
        checks.company_does_not_change_what_is_sampled,
        "[completions[i] for i in range(len(requests))]",
        "[completions[i] for i in order]",
    ),
    Mutant(
        "forcing shifts the stream",
        "transformers_sampler",
        checks.forced_completions_equal_free_ones,
        "draws_BT[alive, t], temperature",
        "draws_BT[alive, t - int(bool((forced_B >= 0).any()))], temperature",
    ),
)


@contextmanager
def _copy(module: str, *, old: str = "", new: str = "") -> Iterator[ModuleType]:
    """A fresh copy of a core module under another name, with `old` replaced by `new`."""
    path = Path(importlib.import_module(f"thinkless_core.{module}").__file__ or "")
    text = path.read_text(encoding="utf-8")
    assert not old or text.count(old) == 1, f"{path.name} holds {old!r} {text.count(old)} times; renew this mutant"
    copy = types.ModuleType(f"mutant_of_{module}")
    sys.modules[copy.__name__] = copy  # dataclasses look their module up
    try:
        exec(compile(text.replace(old, new) if old else text, path.name, "exec"), copy.__dict__)
        yield copy
    finally:
        del sys.modules[copy.__name__]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.module == "degrpo"], ids=lambda m: m.name)
def test_a_mutant_of_the_loss_is_rejected(mutant: Mutant) -> None:
    _reject(mutant)


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.module != "degrpo"], ids=lambda m: m.name)
def test_a_mutant_is_rejected(mutant: Mutant) -> None:
    _reject(mutant)


def _reject(mutant: Mutant) -> None:
    with _copy(mutant.module, old=mutant.old, new=mutant.new) as damaged, pytest.raises(AssertionError):
        mutant.check(damaged)


@pytest.mark.parametrize(
    ("module", "check"),
    sorted({(m.module, m.check) for m in MUTANTS}, key=str),
    ids=lambda x: getattr(x, "__name__", x),
)
def test_an_undamaged_copy_is_accepted(module: str, check: Callable[[ModuleType], None]) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64 if module == "degrpo" else before)
    try:
        with _copy(module) as copy:
            check(copy)
    finally:
        torch.set_default_dtype(before)
