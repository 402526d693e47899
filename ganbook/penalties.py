"""What is added to an objective to keep a player in check.

A penalty on D looks at its slope: how fast the logit changes with the input. It is called as
penalty(D, x, x_fake, y) and returns a scalar whose gradient reaches D's weights, through a second derivative.
"""

import torch
from torch import Tensor, nn

from ganbook.errors import InputError
from ganbook.objectives import logits_of


class Penalized:
    """An objective with penalties on D: Penalized(NonSaturating(), R1(1.0))."""

    def __init__(self, objective, *penalties):
        self.objective, self.penalties = objective, penalties

    def d_loss(self, D, x, x_fake, y=None):
        loss = self.objective.d_loss(D, x, x_fake, y)
        return loss + sum(penalty(D, x, x_fake, y) for penalty in self.penalties)

    def g_loss(self, D, x_fake, y=None):
        return self.objective.g_loss(D, x_fake, y)


class R1:
    """γ/2 E‖∇D(x)‖² on real data (Mescheder et al., 2018, eq. 9)."""

    def __init__(self, gamma: float):
        self.gamma = gamma

    def __call__(self, D, x, x_fake, y=None):
        return self.gamma / 2 * slope(D, x, y).square().sum(1).mean()


class R2:
    """γ/2 E‖∇D(x_fake)‖² on fakes (ibid., eq. 10)."""

    def __init__(self, gamma: float):
        self.gamma = gamma

    def __call__(self, D, x, x_fake, y=None):
        return self.gamma / 2 * slope(D, x_fake, y).square().sum(1).mean()


class GradientPenalty:
    """λ E(‖∇D(x̂)‖ − 1)², x̂ between real and fake (Gulrajani et al., 2017, eq. 3)."""

    def __init__(self, weight: float = 10.0):
        self.weight = weight

    def __call__(self, D, x, x_fake, y=None):
        u = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device)  # one a pair
        between = u * x + (1 - u) * x_fake
        return self.weight * (slope(D, between, y).norm(dim=1) - 1).square().mean()


class WeightPenaltyOnG:
    """An objective with λ‖θ‖² added to G's loss, θ all weights of G."""

    def __init__(self, objective, G: nn.Module, weight: float):
        self.objective, self.G, self.weight = objective, G, weight

    def d_loss(self, D, x, x_fake, y=None):
        return self.objective.d_loss(D, x, x_fake, y)

    def g_loss(self, D, x_fake, y=None):
        squares = sum(p.square().sum() for p in self.G.parameters())
        return self.objective.g_loss(D, x_fake, y) + self.weight * squares


def slope(D: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
    """∇ of D's logit by its input, in float32: (B, ...) -> (B, numbers of an input).

    Raises InputError for a D with batch norm: there an answer depends on the whole
    batch, and an input has no slope of its own (Gulrajani et al., 2017, section 4).
    """
    refuse_batch_norm(D)
    x = x.detach().float().requires_grad_()
    with torch.autocast(x.device.type, enabled=False):
        logits = logits_of(D(x, y))
        (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.flatten(1)


def refuse_batch_norm(D: nn.Module) -> None:
    for name, module in D.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise InputError(
                f"a gradient penalty cannot be had with {type(module).__name__} in D (layer {name!r}): there the "
                "answer to one input depends on the others; build D without it, or with group or layer norm"
            )
