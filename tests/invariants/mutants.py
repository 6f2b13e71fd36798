"""Damaged copies of core modules, each with the check that must reject it.

A mutant is the real module's text with one place changed. A place that is no longer there means that the module was
rewritten: then the mutant has to be written anew, so its test fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from tests.invariants import loss_checks, objective_checks, rollout_checks, training_checks


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
    Mutant("sign flipped", "rl.policy_loss", loss_checks.clip_hand_cases_hold, "-torch.minimum(", "torch.minimum("),
    Mutant(
        "sign flipped, by the oracle",
        "rl.policy_loss",
        loss_checks.loss_equals_the_oracle,
        "-torch.minimum(",
        "torch.minimum(",
    ),
    Mutant(
        "clip removed", "rl.policy_loss", loss_checks.clip_hand_cases_hold, ".clamp(1 - clip_low, 1 + clip_high)", ""
    ),
    Mutant(
        "clip bounds swapped",
        "rl.policy_loss",
        loss_checks.clip_hand_cases_hold,
        ".clamp(1 - clip_low, 1 + clip_high)",
        ".clamp(1 - clip_high, 1 + clip_low)",
    ),
    Mutant(
        "maximum for minimum", "rl.policy_loss", loss_checks.clip_hand_cases_hold, "-torch.minimum(", "-torch.maximum("
    ),
    Mutant(
        "new and old swapped",
        "rl.policy_loss",
        loss_checks.loss_equals_the_oracle,
        "(logprobs_BT - old_logprobs_BT)",
        "(old_logprobs_BT - logprobs_BT)",
    ),
    Mutant(
        "old and ref swapped in the loss",
        "rl.policy_loss",
        loss_checks.loss_equals_the_oracle,
        "(logprobs_BT - old_logprobs_BT)",
        "(logprobs_BT - (old_logprobs_BT if ref_logprobs_BT is None else ref_logprobs_BT))",
    ),
    Mutant("KL subtracted", "rl.policy_loss", loss_checks.loss_equals_the_oracle, "+ kl_coef * kl", "- kl_coef * kl"),
    Mutant("KL coefficient dropped", "rl.policy_loss", loss_checks.loss_equals_the_oracle, "+ kl_coef * kl", "+ kl"),
    Mutant(
        "KL weighted like the policy",
        "rl.policy_loss",
        loss_checks.loss_equals_the_oracle,
        "k3_BT * weights.kl_BT",
        "k3_BT * weights.policy_BT",
    ),
    Mutant(
        "padding not masked",
        "rl.policy_loss",
        loss_checks.padding_never_reaches_the_loss,
        "(logprobs_BT - old_logprobs_BT).masked_fill(~completion_mask_BT, 0.0)",
        "logprobs_BT - old_logprobs_BT",
    ),
    Mutant(
        "ratio detached",
        "rl.policy_loss",
        loss_checks.ratio_one_gives_reinforce,
        "ratio_BT = log_ratio_BT.exp()",
        "ratio_BT = log_ratio_BT.exp().detach() + 0 * logprobs_BT",
    ),
    Mutant(
        "control token with the response's advantage",
        "rl.policy_loss",
        loss_checks.control_and_response_advantages_stay_apart,
        "advantages_BT[:, 0] = control_advantages_B",
        "advantages_BT[:, 0] = response_advantages_B",
    ),
    Mutant(
        "importance on the whole rollout",
        "rl.policy_loss",
        loss_checks.importance_hand_cases_hold,
        "control_B.sum(), loss_BT[:, 1:].sum()",
        "control_B.sum(), (loss_BT[:, 1:] * (control_B / loss_BT[:, 0])[:, None]).sum()",
    ),
    Mutant(
        "importance dropped in the loss",
        "rl.policy_loss",
        loss_checks.loss_equals_the_oracle,
        "loss_BT[:, 0] * control_importance_B",
        "loss_BT[:, 0]",
    ),
    Mutant(
        "importance inside the clip",
        "rl.policy_loss",
        loss_checks.importance_hand_cases_hold,
        "ratio_BT = log_ratio_BT.exp()",
        "ratio_BT = log_ratio_BT.exp()\n"
        "    if control_importance_B is not None:\n"
        "        ratio_BT = torch.cat((ratio_BT[:, :1] * control_importance_B[:, None], ratio_BT[:, 1:]), dim=1)\n"
        "        control_importance_B = None",
    ),
    # the objectives
    Mutant(
        "alpha dropped",
        "rl.objectives.degrpo_paper",
        objective_checks.weights_equal_the_oracle,
        "ones_BT[:, 0] * step.value(self.alpha) / over",
        "ones_BT[:, 0] / over",
    ),
    Mutant(
        "alpha on the response as well",
        "rl.objectives.degrpo_paper",
        objective_checks.weights_equal_the_oracle,
        "ones_BT / (over.num_rollouts * responses_B1)",
        "ones_BT * step.value(self.alpha) / (over.num_rollouts * responses_B1)",
    ),
    Mutant(
        "control mask shifted by one",
        "rl.objectives.degrpo_paper",
        objective_checks.weights_equal_the_oracle,
        "policy_BT[:, 0] = ones_BT[:, 0]",
        "policy_BT[:, 1 % policy_BT.shape[1]] = ones_BT[:, 1 % policy_BT.shape[1]]",
    ),
    Mutant(
        "1/T dropped",
        "rl.objectives.degrpo_paper",
        objective_checks.weights_equal_the_oracle,
        "(over.num_rollouts * responses_B1)",
        "over.num_rollouts",
    ),
    Mutant(
        "control token counted in T",
        "rl.objectives.degrpo_paper",
        objective_checks.weights_equal_the_oracle,
        "(mask_BT.sum(dim=1, keepdim=True) - 1).clamp(min=1)",
        "mask_BT.sum(dim=1, keepdim=True).clamp(min=1)",
    ),
    Mutant(
        "mean over the micro-batch's tokens",
        "rl.objectives.degrpo_token",
        objective_checks.weights_equal_the_oracle,
        "ones_BT / max(over.num_response_tokens, 1)",
        "ones_BT / ones_BT.sum()",
    ),
    Mutant(
        "control token left out of the mean",
        "rl.objectives.objective",
        objective_checks.weights_equal_the_oracle,
        "lengths_B1 = mask_BT.sum(dim=1, keepdim=True)",
        "lengths_B1 = (mask_BT.sum(dim=1, keepdim=True) - 1).clamp(min=1)",
    ),
    Mutant(
        "length of the longest for the constant",
        "rl.objectives.dr_grpo",
        objective_checks.weights_equal_the_oracle,
        "one_constant(mask_BT, over=over)",
        "one_constant(mask_BT, over=over._replace(max_new_tokens=mask_BT.shape[1]))",
    ),
    Mutant(
        "divided by the deviation after all",
        "rl.objectives.dr_grpo",
        objective_checks.advantages_equal_the_oracle,
        'baseline="mean"',
        "baseline=step.baseline",
    ),
    Mutant(
        "group mean for the reference",
        "rl.objectives.adaptthink",
        objective_checks.advantages_equal_the_oracle,
        "groups.rewards_PG - groups.reference_accuracy_P[:, None]",
        "groups.rewards_PG - groups.rewards_PG.mean(dim=1, keepdim=True)",
    ),
    Mutant(
        "forced control tokens taken as sampled",
        "rl.objectives.adaptthink",
        objective_checks.adaptthink_hand_cases_hold,
        "probability=0.5",
        "probability=None",
    ),
    Mutant(
        "bonus for thinking",
        "rl.rewards",
        rollout_checks.rewards_equal_the_oracle,
        "short = rollout.mode is Mode.SHORT",
        "short = rollout.mode is Mode.THINK",
    ),
    Mutant(
        "bonus for a fake short",
        "rl.rewards",
        rollout_checks.rewards_equal_the_oracle,
        "Mode.SHORT and not rollout.fake_short\n        return float",
        "Mode.SHORT\n        return float",
    ),
    Mutant(
        "margin on the other side",
        "rl.objectives.hgpo",
        objective_checks.hgpo_hand_cases_hold,
        "short_mean_P1 + self.margin",
        "short_mean_P1 - self.margin",
    ),
    Mutant(
        "a tie goes to thinking",
        "rl.objectives.hgpo",
        objective_checks.hgpo_hand_cases_hold,
        "think_mean_P1 > short_mean_P1",
        "think_mean_P1 >= short_mean_P1",
    ),
    Mutant(
        "the worse mode preferred",
        "rl.objectives.hgpo",
        objective_checks.advantages_equal_the_oracle,
        "(short_PG != thinking_pays_P1)",
        "(short_PG == thinking_pays_P1)",
    ),
    Mutant(
        "inter-mode advantage on every token",
        "rl.objectives.hgpo",
        objective_checks.advantages_equal_the_oracle,
        "response_PG=intra_PG",
        "response_PG=intra_PG + step.value(self.inter_weight) * inter_PG",
    ),
    Mutant(
        "answers within a mode not divided by their deviation",
        "rl.objectives.hgpo",
        objective_checks.hgpo_hand_cases_hold,
        'best_PG, baseline="mean_std"',
        'best_PG, baseline="mean"',
    ),
    Mutant(
        "a wrong answer in a rare mode punished",
        "rl.objectives.ada_grpo",
        objective_checks.ada_grpo_hand_cases_hold,
        "(factors_PG * rewards_PG).where(rewards_PG > 0, rewards_PG)",
        "factors_PG * rewards_PG",
    ),
    Mutant(
        "a factor that never decays",
        "rl.objectives.ada_grpo",
        objective_checks.ada_grpo_hand_cases_hold,
        "math.cos(math.pi * step / num_steps)",
        "1.0",
    ),
    Mutant(
        "malformed without a share",
        "rl.objectives.ada_grpo",
        objective_checks.advantages_equal_the_oracle,
        "(groups.short_PG, groups.think_PG, malformed_PG)",
        "(groups.short_PG, groups.think_PG | malformed_PG)",
    ),
    Mutant(
        "the control token learned without modes",
        "rl.objectives.length_truncation",
        objective_checks.weights_equal_the_oracle,
        "weights_BT[:, 0] = 0.0",
        "weights_BT[:, 0] *= 1.0",
    ),
    Mutant(
        "forced modes that nobody knows of",
        "rl.scoring",
        rollout_checks.assigned_modes_are_sampled_and_remembered,
        "forced=choice.mode is not None",
        "forced=False",
    ),
    Mutant(
        "the probability of a forced mode forgotten",
        "rl.scoring",
        rollout_checks.assigned_modes_are_sampled_and_remembered,
        "assigned_probability=choice.probability",
        "assigned_probability=None",
    ),
    Mutant(
        "the wrong end of the group forced",
        "rl.mode_assignment",
        rollout_checks.the_guard_forces_the_end_of_a_free_group,
        "(*assigned[: len(assigned) - count], *(AssignedMode(mode),) * count)",
        "(*(AssignedMode(mode),) * count, *assigned[count:])",
    ),
    Mutant(
        "a guard that forces what is assigned",
        "rl.mode_assignment",
        rollout_checks.the_guard_forces_the_end_of_a_free_group,
        "forced is None or any(choice.mode is not None for choice in assigned)",
        "forced is None",
    ),
    Mutant(
        "the guard's tokens corrected to nothing",
        "rl.mode_assignment",
        rollout_checks.the_guard_forces_the_end_of_a_free_group,
        "*(AssignedMode(mode),) * count)",
        "*(AssignedMode(mode, 0.5),) * count)",
    ),
    Mutant(
        "k3 turned around",
        "rl.policy_loss",
        loss_checks.k3_equals_the_oracle,
        "ref_logprobs_BT - logprobs_BT",
        "logprobs_BT - ref_logprobs_BT",
    ),
    Mutant(
        "k1 for k3",
        "rl.policy_loss",
        loss_checks.k3_equals_the_oracle,
        "log_ratio_BT.exp() - log_ratio_BT - 1",
        "-log_ratio_BT",
    ),
    # rewards and advantages
    Mutant(
        "advantage without baseline",
        "rl.objectives.objective",
        rollout_checks.advantages_equal_the_oracle,
        "rewards_PG - rewards_PG.mean(dim=1, keepdim=True)",
        "rewards_PG",
    ),
    Mutant(
        "baseline over the whole batch",
        "rl.objectives.objective",
        rollout_checks.advantages_equal_the_oracle,
        "rewards_PG.mean(dim=1, keepdim=True)",
        "rewards_PG.mean()",
    ),
    Mutant(
        "sample deviation for population deviation",
        "rl.objectives.objective",
        rollout_checks.advantages_equal_the_oracle,
        "correction=0",
        "correction=1",
    ),
    Mutant(
        "rounding of the mean left in a group without variance",
        "rl.objectives.objective",
        rollout_checks.advantages_equal_the_oracle,
        "(rewards_PG == rewards_PG[:, :1]).all(dim=1, keepdim=True), 0.0",
        "(rewards_PG != rewards_PG).all(dim=1, keepdim=True), 0.0",
    ),
    Mutant(
        "think bonus for short bonus",
        "rl.rewards",
        rollout_checks.rewards_are_the_papers,
        "if rollout.mode is Mode.SHORT and not rollout.fake_short",
        "if rollout.mode is Mode.THINK and not rollout.fake_short",
    ),
    Mutant(
        "fake short paid like short",
        "rl.rewards",
        rollout_checks.rewards_are_the_papers,
        "if rollout.mode is Mode.SHORT and not rollout.fake_short",
        "if rollout.mode is Mode.SHORT",
    ),
    Mutant(
        "malformed may be right",
        "rl.rewards",
        rollout_checks.rewards_are_the_papers,
        "rollout.mode is None or not rollout.correct",
        "not rollout.correct",
    ),
    Mutant(
        "length limit off by one",
        "grading.fake_short",
        rollout_checks.fake_short_is_found,
        "len(completion_ids) > short_max_tokens",
        "len(completion_ids) >= short_max_tokens",
    ),
    Mutant(
        "truncated counts as right",
        "rl.scoring",
        rollout_checks.scoring_is_strict,
        "if rollout.finish_reason is not FinishReason.STOP",
        "if not rollout.completion_ids",
    ),
    Mutant(
        "malformed counts as right",
        "rl.scoring",
        rollout_checks.scoring_is_strict,
        "if rollout.mode is None",
        "if not rollout.completion_ids",
    ),
    Mutant(
        "truncated counts as right in evaluation",
        "evaluation.evaluate_problems",
        rollout_checks.evaluation_is_strict,
        "None if truncated or chosen is None else text",
        "None if chosen is None else text",
    ),
    Mutant(
        "malformed counts as right in evaluation",
        "evaluation.evaluate_problems",
        rollout_checks.evaluation_is_strict,
        "None if truncated or chosen is None else text",
        "None if truncated else text",
    ),
    Mutant(
        "the free row is always the think one",
        "evaluation.evaluate_problems",
        rollout_checks.evaluation_is_strict,
        "free_id if mode.forced is None",
        "control.think_id if mode.forced is None",
    ),
    # the update
    Mutant(
        "mean per micro-batch",
        "rl.policy_update",
        training_checks.micro_batches_do_not_change_the_gradient,
        "over=batch.denominators,",
        "over=batch.denominators._replace(num_rollouts=len(indices), num_response_tokens=int(mask_BT[:, 1:].sum())),",
    ),
    Mutant(
        "old and ref swapped",
        "rl.policy_update",
        training_checks.update_loss_equals_the_oracle,
        "old_logprobs_BT=old_BT,\n            ref_logprobs_BT=ref_BT,",
        "old_logprobs_BT=ref_BT,\n            ref_logprobs_BT=old_BT,",
    ),
    Mutant(
        "advantages in another order",
        "rl.policy_update",
        training_checks.micro_batches_do_not_change_the_gradient,
        "batch.advantages_B[indices]",
        "batch.advantages_B[: len(indices)]",
    ),
    Mutant(
        "control and response advantages swapped",
        "rl.policy_update",
        training_checks.update_loss_equals_the_oracle,
        "control_advantages_B=batch.control_advantages_B",
        "control_advantages_B=batch.advantages_B",
    ),
    Mutant(
        "importance weight dropped",
        "rl.policy_update",
        training_checks.update_loss_equals_the_oracle,
        "old_logprobs_B.exp() / drawn_B",
        "torch.ones_like(drawn_B)",
    ),
    Mutant(
        "importance turned around",
        "rl.policy_update",
        training_checks.update_loss_equals_the_oracle,
        "old_logprobs_B.exp() / drawn_B",
        "drawn_B / old_logprobs_B.exp()",
    ),
    Mutant(
        "importance of the policy as it is now",
        "rl.policy_update",
        training_checks.update_loss_equals_the_oracle,
        "old_logprobs_B=old_BT[:, 0]",
        "old_logprobs_B=logprobs_BT[:, 0].detach()",
    ),
    Mutant(
        "importance in another order",
        "rl.policy_update",
        training_checks.micro_batches_do_not_change_the_gradient,
        "batch.scored[i].rollout.assigned_probability for i in indices",
        "batch.scored[i].rollout.assigned_probability for i in range(len(indices))",
    ),
    Mutant(
        "old log-probabilities in another order",
        "rl.policy_update",
        training_checks.update_loss_equals_the_oracle,
        "[old_logprobs[i] for i in indices]",
        "[old_logprobs[-1 - i][: len(batch.sample(i).completion_ids)] for i in indices]",
    ),
    Mutant(
        "reference at another temperature",
        "rl.policy_update",
        training_checks.update_loss_equals_the_oracle,
        "completion_logprobs(reference, collated, temperature=settings.temperature)",
        "completion_logprobs(reference, collated)",
    ),
    Mutant(
        "clipped tokens counted under the other mode",
        "rl.policy_update",
        training_checks.clipped_tokens_are_counted_by_mode,
        "modes = [batch.scored[i].mode for i in indices]",
        "modes = [{Mode.SHORT: Mode.THINK, Mode.THINK: Mode.SHORT}.get(batch.scored[i].mode) for i in indices]",
    ),
    # log-probabilities
    Mutant(
        "logits of the token itself",
        "training.logprobs",
        training_checks.logprobs_equal_a_plain_forward,
        "batch.prompt_lengths_B[:, None] - 1 - first",
        "batch.prompt_lengths_B[:, None] - first",
    ),
    Mutant(
        "temperature dropped",
        "training.logprobs",
        training_checks.logprobs_equal_a_plain_forward,
        "float32) / temperature",
        "float32)",
    ),
    Mutant(
        "temperature turned around",
        "training.logprobs",
        training_checks.logprobs_equal_a_plain_forward,
        "float32) / temperature",
        "float32) * temperature",
    ),
    # warm-up
    Mutant(
        "mean over the micro-batch",
        "training.sft_trainer",
        training_checks.sft_gradient_is_that_of_the_loss,
        "loss_B.sum() / num_tokens",
        "loss_B.sum() / int(collated.completion_mask_BT.sum())",
    ),
    Mutant(
        "mean over samples",
        "training.sft_trainer",
        training_checks.sft_gradient_is_that_of_the_loss,
        "loss_B.sum() / num_tokens",
        "(loss_B / collated.completion_mask_BT.sum(dim=1)).sum() / len(batch.samples)",
    ),
    Mutant(
        "control token not learned",
        "training.sft_trainer",
        training_checks.sft_loss_equals_the_oracle,
        ".logprobs_BT.sum(dim=1)",
        ".logprobs_BT[:, 1:].sum(dim=1)",
    ),
    Mutant(
        "end of a truncated side taught",
        "training.sided_samples",
        training_checks.pairs_are_two_samples_each,
        "not pair.think_truncated",
        "True",
    ),
    Mutant(
        "sides swapped",
        "training.sided_samples",
        training_checks.pairs_are_two_samples_each,
        "(Mode.THINK, Mode.SHORT)",
        "(Mode.SHORT, Mode.THINK)",
    ),
    # the learning rate
    Mutant(
        "the last step is one short of the end",
        "training.optimization",
        training_checks.rates_equal_the_oracle,
        "(num_steps - step) / decay_steps",
        "(num_steps - step + 1) / decay_steps",
    ),
    Mutant(
        "decay to nothing",
        "training.optimization",
        training_checks.rates_equal_the_oracle,
        "config.final_fraction + (1 - config.final_fraction) * min(1.0, remaining)",
        "min(1.0, remaining)",
    ),
    Mutant(
        "warm-up one step late",
        "training.optimization",
        training_checks.rates_equal_the_oracle,
        "min(1.0, step / config.warmup_steps)",
        "min(1.0, (step - 1) / config.warmup_steps)",
    ),
    # the sampler
    Mutant(
        "positions count the padding",
        "sampling.decoding",
        rollout_checks.decoding_follows_the_model,
        "(mask_BL.cumsum(dim=1) - 1).clamp(min=0)",
        "torch.arange(longest).expand_as(mask_BL)",
    ),
    Mutant(
        "positions one too far",
        "sampling.decoding",
        rollout_checks.decoding_follows_the_model,
        "position_ids=self._mask_BL.sum(dim=1, keepdim=True) - 1",
        "position_ids=self._mask_BL.sum(dim=1, keepdim=True)",
    ),
    Mutant(
        "padding attended to",
        "sampling.decoding",
        rollout_checks.decoding_follows_the_model,
        "[[0] * (longest - len(p)) + [1] * len(p) for p in prompts]",
        "[[1] * longest for p in prompts]",
    ),
    Mutant(
        "cache in another order than its rows",
        "sampling.decoding",
        rollout_checks.company_does_not_change_decoding,
        "self._cache.reorder_cache(rows)",
        "self._cache.reorder_cache(rows.flip(0))",
    ),
    Mutant(
        "mask in another order than its rows",
        "sampling.decoding",
        rollout_checks.company_does_not_change_decoding,
        "self._mask_BL = self._mask_BL[rows]",
        "self._mask_BL = self._mask_BL[rows.flip(0)]",
    ),
    Mutant(
        "draws belong to places in the batch",
        "sampling.transformers_sampler",
        rollout_checks.company_does_not_change_what_is_sampled,
        "draws_BT[alive, t]",
        "draws_BT[: len(alive), t]",
    ),
    Mutant(
        "completions in the order of their length",
        "sampling.transformers_sampler",
        rollout_checks.company_does_not_change_what_is_sampled,
        "[completions[i] for i in range(len(requests))]",
        "[completions[i] for i in order]",
    ),
    Mutant(
        "forcing shifts the stream",
        "sampling.transformers_sampler",
        rollout_checks.forced_completions_equal_free_ones,
        "draws_BT[alive, t], temperature",
        "draws_BT[alive, t - int(bool((forced_B >= 0).any()))], temperature",
    ),
)
