"""KL(policy || reference), estimated per token from the chosen token alone."""

from __future__ import annotations

from torch import Tensor


def k3_estimate(logprobs_BT: Tensor, *, ref_logprobs_BT: Tensor) -> Tensor:
    """k3 = exp(d) - d - 1 with d = ref_logprob - logprob: unbiased, never negative, low variance.

    Shapes (B, T). Source: J. Schulman, "Approximating KL Divergence"; DeepSeekMath (arXiv 2402.03300) eq. 4.
    Differs from the reference code: no clamp of the log-ratio, which would silently cut the gradient.
    """
    log_ratio_BT = ref_logprobs_BT - logprobs_BT
    return log_ratio_BT.exp() - log_ratio_BT - 1
