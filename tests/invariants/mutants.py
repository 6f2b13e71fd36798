"""Damaged copies of core modules, each with the check that must reject it.

A mutant is the real module's text with one place changed. A place that is no longer there means that the module was
rewritten: then the mutant has to be written anew, so its test fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from tests.invariants import loss_checks, rollout_checks, training_checks


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
    Mutant("sign flipped", "degrpo", loss_checks.clip_hand_cases_hold, "-torch.minimum(", "torch.minimum("),
    Mutant(
        "sign flipped, by the oracle", "degrpo", loss_checks.loss_equals_the_oracle, "-torch.minimum(", "torch.minimum("
    ),
    Mutant(
        "alpha dropped",
        "degrpo",
        loss_checks.weight_hand_cases_hold,
        "mask_BT[:, 0] * control_weight / rollouts",
        "mask_BT[:, 0] / rollouts",
    ),
    Mutant(
        "alpha dropped, by the oracle",
        "degrpo",
        loss_checks.loss_equals_the_oracle,
        "mask_BT[:, 0] * control_weight / rollouts",
        "mask_BT[:, 0] / rollouts",
    ),
    Mutant(
        "alpha on the response as well",
        "degrpo",
        loss_checks.weight_hand_cases_hold,
        "mask_BT / (rollouts * responses_B1), per",
        "mask_BT * control_weight / (rollouts * responses_B1), per",
    ),
    Mutant(
        "control mask shifted by one",
        "degrpo",
        loss_checks.loss_equals_the_oracle,
        "policy_BT[:, 0] = mask_BT[:, 0]",
        "policy_BT[:, 1 % policy_BT.shape[1]] = mask_BT[:, 1 % policy_BT.shape[1]]",
    ),
    Mutant(
        "1/T dropped",
        "degrpo",
        loss_checks.weight_hand_cases_hold,
        "mask_BT / (rollouts * responses_B1)",
        "mask_BT / rollouts",
    ),
    Mutant(
        "control token counted in T",
        "degrpo",
        loss_checks.loss_equals_the_oracle,
        "(lengths_B1 - 1).clamp(min=1)",
        "lengths_B1.clamp(min=1)",
    ),
    Mutant("clip removed", "degrpo", loss_checks.clip_hand_cases_hold, ".clamp(1 - clip_low, 1 + clip_high)", ""),
    Mutant(
        "clip bounds swapped",
        "degrpo",
        loss_checks.clip_hand_cases_hold,
        ".clamp(1 - clip_low, 1 + clip_high)",
        ".clamp(1 - clip_high, 1 + clip_low)",
    ),
    Mutant("maximum for minimum", "degrpo", loss_checks.clip_hand_cases_hold, "-torch.minimum(", "-torch.maximum("),
    Mutant(
        "new and old swapped",
        "degrpo",
        loss_checks.loss_equals_the_oracle,
        "(logprobs_BT - old_logprobs_BT)",
        "(old_logprobs_BT - logprobs_BT)",
    ),
    Mutant(
        "old and ref swapped in the loss",
        "degrpo",
        loss_checks.loss_equals_the_oracle,
        "(logprobs_BT - old_logprobs_BT)",
        "(logprobs_BT - (old_logprobs_BT if ref_logprobs_BT is None else ref_logprobs_BT))",
    ),
    Mutant("KL subtracted", "degrpo", loss_checks.loss_equals_the_oracle, "+ kl_coef * kl", "- kl_coef * kl"),
    Mutant("KL coefficient dropped", "degrpo", loss_checks.loss_equals_the_oracle, "+ kl_coef * kl", "+ kl"),
    Mutant(
        "mean over the micro-batch's tokens",
        "degrpo",
        loss_checks.loss_equals_the_oracle,
        "mask_BT / max(counts.num_response_tokens, 1)",
        "mask_BT / mask_BT.sum()",
    ),
    Mutant(
        "padding not masked",
        "degrpo",
        loss_checks.padding_never_reaches_the_loss,
        "(logprobs_BT - old_logprobs_BT).masked_fill(~completion_mask_BT, 0.0)",
        "logprobs_BT - old_logprobs_BT",
    ),
    Mutant(
        "ratio detached",
        "degrpo",
        loss_checks.ratio_one_gives_reinforce,
        "ratio_BT = log_ratio_BT.exp()",
        "ratio_BT = log_ratio_BT.exp().detach() + 0 * logprobs_BT",
    ),
    Mutant(
        "k3 turned around",
        "kl",
        loss_checks.k3_equals_the_oracle,
        "ref_logprobs_BT - logprobs_BT",
        "logprobs_BT - ref_logprobs_BT",
    ),
    Mutant(
        "k1 for k3", "kl", loss_checks.k3_equals_the_oracle, "log_ratio_BT.exp() - log_ratio_BT - 1", "-log_ratio_BT"
    ),
    # rewards and advantages
    Mutant(
        "advantage without baseline",
        "advantages",
        rollout_checks.advantages_equal_the_oracle,
        "rewards_PG - rewards_PG.mean(dim=1, keepdim=True)",
        "rewards_PG",
    ),
    Mutant(
        "baseline over the whole batch",
        "advantages",
        rollout_checks.advantages_equal_the_oracle,
        "rewards_PG.mean(dim=1, keepdim=True)",
        "rewards_PG.mean()",
    ),
    Mutant(
        "sample deviation for population deviation",
        "advantages",
        rollout_checks.advantages_equal_the_oracle,
        "correction=0",
        "correction=1",
    ),
    Mutant(
        "rounding of the mean left in a group without variance",
        "advantages",
        rollout_checks.advantages_equal_the_oracle,
        "(rewards_PG == rewards_PG[:, :1]).all(dim=1, keepdim=True), 0.0",
        "torch.zeros_like(rewards_PG, dtype=torch.bool), 0.0",
    ),
    Mutant(
        "think bonus for short bonus",
        "rewards",
        rollout_checks.rewards_are_the_papers,
        "mode is Mode.SHORT and not fake_short",
        "mode is Mode.THINK and not fake_short",
    ),
    Mutant(
        "fake short paid like short",
        "rewards",
        rollout_checks.rewards_are_the_papers,
        "mode is Mode.SHORT and not fake_short",
        "mode is Mode.SHORT",
    ),
    Mutant(
        "malformed may be right",
        "rewards",
        rollout_checks.rewards_are_the_papers,
        "mode is None or not correct",
        "not correct",
    ),
    Mutant(
        "length limit off by one",
        "rewards",
        rollout_checks.rewards_are_the_papers,
        "len(completion_ids) > short_max_tokens",
        "len(completion_ids) >= short_max_tokens",
    ),
    Mutant(
        "truncated counts as right",
        "scoring",
        rollout_checks.scoring_is_strict,
        "rollout.mode is not None and rollout.finish_reason is FinishReason.STOP",
        "rollout.mode is not None",
    ),
    Mutant(
        "malformed counts as right",
        "scoring",
        rollout_checks.scoring_is_strict,
        "rollout.mode is not None and rollout.finish_reason is FinishReason.STOP",
        "rollout.finish_reason is FinishReason.STOP",
    ),
    Mutant(
        "truncated counts as right in evaluation",
        "evaluation",
        rollout_checks.evaluation_is_strict,
        "None if truncated or chosen is None else",
        "None if chosen is None else",
    ),
    Mutant(
        "malformed counts as right in evaluation",
        "evaluation",
        rollout_checks.evaluation_is_strict,
        "None if truncated or chosen is None else",
        "None if truncated else",
    ),
    # the update
    Mutant(
        "mean per micro-batch",
        "policy_update",
        training_checks.micro_batches_do_not_change_the_gradient,
        "counts=counts,",
        "counts=PolicyBatch(tuple(batch.scored[i] for i in indices), batch.advantages_B[indices]).counts,",
    ),
    Mutant(
        "old and ref swapped",
        "policy_update",
        training_checks.update_loss_equals_the_oracle,
        "old_logprobs_BT=old_BT,\n            ref_logprobs_BT=ref_BT,",
        "old_logprobs_BT=ref_BT,\n            ref_logprobs_BT=old_BT,",
    ),
    Mutant(
        "advantages in another order",
        "policy_update",
        training_checks.micro_batches_do_not_change_the_gradient,
        "batch.advantages_B[indices]",
        "batch.advantages_B[: len(indices)]",
    ),
    Mutant(
        "old log-probabilities in another order",
        "policy_update",
        training_checks.update_loss_equals_the_oracle,
        "[old_logprobs[i] for i in indices]",
        "[old_logprobs[-1 - i][: len(batch.sample(i).completion_ids)] for i in indices]",
    ),
    Mutant(
        "reference at another temperature",
        "policy_update",
        training_checks.update_loss_equals_the_oracle,
        "completion_logprobs(reference, padded, temperature=config.temperature)",
        "completion_logprobs(reference, padded)",
    ),
    # log-probabilities
    Mutant(
        "logits of the token itself",
        "logprobs",
        training_checks.logprobs_equal_a_plain_forward,
        "padded.prompt_lengths_B[:, None] - 1 - first",
        "padded.prompt_lengths_B[:, None] - first",
    ),
    Mutant(
        "temperature dropped",
        "logprobs",
        training_checks.logprobs_equal_a_plain_forward,
        "float32) / temperature",
        "float32)",
    ),
    Mutant(
        "temperature turned around",
        "logprobs",
        training_checks.logprobs_equal_a_plain_forward,
        "float32) / temperature",
        "float32) * temperature",
    ),
    # warm-up
    Mutant(
        "mean over the micro-batch",
        "sft_trainer",
        training_checks.sft_gradient_is_that_of_the_loss,
        "loss_B.sum() / num_tokens",
        "loss_B.sum() / int(padded.completion_mask_BT.sum())",
    ),
    Mutant(
        "mean over samples",
        "sft_trainer",
        training_checks.sft_gradient_is_that_of_the_loss,
        "loss_B.sum() / num_tokens",
        "(loss_B / padded.completion_mask_BT.sum(dim=1)).sum() / len(batch.samples)",
    ),
    Mutant(
        "padding learned",
        "sft_trainer",
        training_checks.sft_loss_equals_the_oracle,
        "logprobs_BT.masked_fill(~padded.completion_mask_BT, 0.0)",
        "logprobs_BT",
    ),
    Mutant(
        "control token not learned",
        "sft_trainer",
        training_checks.sft_loss_equals_the_oracle,
        "0.0).sum(dim=1)",
        "0.0)[:, 1:].sum(dim=1)",
    ),
    Mutant(
        "end of a truncated side taught",
        "sft_trainer",
        training_checks.sft_loss_equals_the_oracle,
        "finished=not pair.think_truncated",
        "finished=True",
    ),
    Mutant(
        "sides swapped",
        "sft_trainer",
        training_checks.sft_loss_equals_the_oracle,
        "(Mode.THINK, Mode.SHORT)",
        "(Mode.SHORT, Mode.THINK)",
    ),
    # the learning rate
    Mutant(
        "the last step is one short of the end",
        "optimization",
        training_checks.rates_equal_the_oracle,
        "(num_steps - step) / decay_steps",
        "(num_steps - step + 1) / decay_steps",
    ),
    Mutant(
        "decay to nothing",
        "optimization",
        training_checks.rates_equal_the_oracle,
        "config.final_fraction + (1 - config.final_fraction) * min(1.0, remaining)",
        "min(1.0, remaining)",
    ),
    Mutant(
        "warm-up one step late",
        "optimization",
        training_checks.rates_equal_the_oracle,
        "min(1.0, step / config.warmup_steps)",
        "min(1.0, (step - 1) / config.warmup_steps)",
    ),
    # the sampler
    Mutant(
        "positions count the padding",
        "transformers_sampler",
        rollout_checks.sampled_tokens_follow_the_model,
        "(mask_BL.cumsum(dim=1) - 1).clamp(min=0)",
        "torch.arange(longest).expand_as(mask_BL)",
    ),
    Mutant(
        "positions one too far",
        "transformers_sampler",
        rollout_checks.sampled_tokens_follow_the_model,
        "position_ids=mask_BL.sum(dim=1, keepdim=True) - 1",
        "position_ids=mask_BL.sum(dim=1, keepdim=True)",
    ),
    Mutant(
        "padding attended to",
        "transformers_sampler",
        rollout_checks.sampled_tokens_follow_the_model,
        "[[0] * (longest - len(p)) + [1] * len(p) for p in distinct]",
        "[[1] * longest for p in distinct]",
    ),
    Mutant(
        "cache not compacted with its rows",
        "transformers_sampler",
        rollout_checks.company_does_not_change_what_is_sampled,
        "cache.batch_select_indices(keep)",
        "cache.batch_select_indices(torch.arange(len(keep)))",
    ),
    Mutant(
        "mask not compacted with its rows",
        "transformers_sampler",
        rollout_checks.company_does_not_change_what_is_sampled,
        "mask_BL = alive[keep], next_B[keep], mask_BL[keep]",
        "mask_BL = alive[keep], next_B[keep], mask_BL[: len(keep)]",
    ),
    Mutant(
        "draws belong to places in the batch",
        "transformers_sampler",
        rollout_checks.company_does_not_change_what_is_sampled,
        "draws_BT[alive, t]",
        "draws_BT[: len(alive), t]",
    ),
    Mutant(
        "completions in the order of their length",
        "transformers_sampler",
        rollout_checks.company_does_not_change_what_is_sampled,
        "[completions[i] for i in range(len(requests))]",
        "[completions[i] for i in order]",
    ),
    Mutant(
        "forcing shifts the stream",
        "transformers_sampler",
        rollout_checks.forced_completions_equal_free_ones,
        "draws_BT[alive, t], temperature",
        "draws_BT[alive, t - int(bool((forced_B >= 0).any()))], temperature",
    ),
)
