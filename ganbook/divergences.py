"""How far apart two densities on a line are, by quadrature. Logarithms are natural.

Every function takes density values p and q at the points x of a fine grid, all of shape (N,), and integrates by
the trapezoid rule. Gradients pass through. 0 log 0 is 0, and a density that underflows to 0 counts as 0.
"""

import torch
from torch import Tensor, trapezoid
from torch.nn.functional import softplus


def kl(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """KL(p‖q) = ∫ p log(p/q) dx; infinite if q is 0 where p is not."""
    there = p > 0  # elsewhere the integrand is 0, and so is its slope
    log_ratio = p.where(there, 1).log() - q.where(there, 1).log()
    return trapezoid(p * log_ratio, x)


def jsd(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """½ KL(p‖m) + ½ KL(q‖m) with m = (p + q)/2: from 0 to log 2 (Lin, 1991)."""
    m = (p + q).clamp_min(torch.finfo(p.dtype).tiny) / 2  # never 0
    return (kl(p, m, x) + kl(q, m, x)) / 2


def wasserstein(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """Wasserstein-1 distance on the line: ∫ |P − Q| dx with P = ∫ p, Q = ∫ q."""
    difference = torch.cumulative_trapezoid(p - q, x)
    return trapezoid(difference.abs(), x[1:])


def best_logits(p: Tensor, q: Tensor) -> Tensor:
    """The best D against q, p/(p + q), as logits (Goodfellow et al., 2014, prop. 1).

    0, that is ½, where neither has any density: there every answer is as good.
    """
    return torch.where((p == 0) & (q == 0), 0, p.log() - q.log())


def value(logits: Tensor, p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """V(D, G) = ∫ p log D + q log(1 − D) dx for D's logits at x (ibid., eq. 1)."""
    real = torch.where(p > 0, -p * softplus(-logits), 0)
    fake = torch.where(q > 0, -q * softplus(logits), 0)
    return trapezoid(real + fake, x)
