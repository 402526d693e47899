"""Wrong attempts at the exercises of chapter 02."""

import torch
from torch.nn.functional import softplus

from attempts import WRONG
from ganbook.divergences import best_logits
from ganbook.objectives import Hinge, LeastSquares, NonSaturating, Wasserstein


def steps(h):
    return torch.tensor([[1.0, 0.0], [-h / 2, 1.0]]), torch.tensor([[1.0, h / 2], [0.0, 1.0]])


def power(M, k):
    return torch.linalg.matrix_power(M, k)


def G_first(h, k):
    D, G = steps(h)
    return power(D, k) @ G


def k_rounds(h, k):
    D, G = steps(h)
    return power(G @ D, k)


def k_of_G(h, k):
    D, G = steps(h)
    return power(G, k) @ D


def full_steps(h, k):
    D, G = steps(2 * h)
    return G @ power(D, k)


WRONG += [
    ("02.2", G_first, "G moves first"),
    ("02.2", k_rounds, "G moves k times as well"),
    ("02.2", k_of_G, "it is G that moves k times"),
    ("02.2", lambda h, k: [[1, h / 2], [-k * h / 2, 1]], "both move at once"),
    ("02.2", full_steps, "±h/2"),
    ("02.2", lambda h, k: k_of_G(h, 1), "k has changed nothing"),
    ("02.2", lambda h, k: torch.linalg.eigvals(k_of_G(h, 1)).abs(), "2 × 2"),
    ("02.2", lambda h, k: [[1 + k * h**2 / 4, h / 2], [-k * h / 2, 1]], "elsewhere"),
]


def root(gamma):
    return (gamma**2 / 4 - 1 / 4) ** 0.5


WRONG += [
    ("02.3", lambda gamma: -gamma / 2, "above γ = 1"),
    ("02.3", lambda gamma: -gamma / 2 + root(gamma), "return the real part"),
    ("02.3", lambda gamma: -gamma / 2 - complex(root(gamma)).real, "the smaller of the two"),
    (
        "02.3",
        lambda gamma: -gamma / 2 + torch.tensor(gamma**2 / 4 - 1 / 4).sqrt(),
        "the root of a negative number",
    ),
    ("02.3", lambda gamma: abs(-gamma / 2 + root(gamma)), "the modulus"),
    ("02.3", lambda gamma: gamma / 2 - complex(root(gamma)).real, "the sign"),
    ("02.3", lambda gamma: -gamma / 2 + max(gamma**2 - 1, 0) ** 0.5, "under the root"),
    ("02.3", lambda gamma: -0.5, "yours is"),
]


class SwappedD(NonSaturating):
    def d_loss(self, D, x, x_fake, y=None):
        return super().d_loss(D, x_fake, x, y)


class MinusD(NonSaturating):
    def d_loss(self, D, x, x_fake, y=None):
        return -super().d_loss(D, x, x_fake, y)


class HalfD(NonSaturating):
    def d_loss(self, D, x, x_fake, y=None):
        return softplus(-D(x)).mean() + softplus(-D(x_fake)).mean()


class SwappedBoth(SwappedD):
    def g_loss(self, D, x_fake, y=None):
        return softplus(D(x_fake, y)).mean()


class SwappedG(NonSaturating):
    g_loss = SwappedBoth.g_loss


WRONG += [
    ("02.4", (SwappedD, SwappedBoth), "hand in objects"),
    ("02.4", SwappedD(), "two objectives"),
    ("02.4", (NonSaturating(), SwappedBoth()), "in the first D's loss is the usual one"),
    ("02.4", (SwappedD(), SwappedG()), "in the second D's loss is the usual one"),
    ("02.4", (MinusD(), SwappedBoth()), "minus the usual one"),
    ("02.4", (HalfD(), SwappedBoth()), "only the fakes' target"),
    ("02.4", (SwappedBoth(), SwappedD()), "in the first G's loss stays"),
    ("02.4", (SwappedD(), SwappedD()), "in the second G's loss is the usual one"),
]


def hinge(says, p, q, x):
    return torch.trapezoid(p * (1 - says).relu() + q * (1 + says).relu(), x)


WRONG += [
    ("02.5", lambda p, q, x: 2 - 2 * torch.trapezoid((p - q).abs(), x), "half of ∫"),
    ("02.5", lambda p, q, x: torch.trapezoid(torch.minimum(p, q), x), "twice that"),
    ("02.5", lambda p, q, x: torch.trapezoid((p - q).abs(), x) / 2, "TV itself"),
    ("02.5", lambda p, q, x: hinge(p - q, p, q, x), "the sign of p - q, not"),
    ("02.5", lambda p, q, x: hinge(best_logits(p, q), p, q, x), "says 1 or -1"),
    ("02.5", lambda p, q, x: hinge((q - p).sign(), p, q, x), "the best D pays"),
    ("02.5", lambda p, q, x: p * (1 - (p - q).sign()) + q * (1 + (p - q).sign()), "one number"),
]


class Upward(LeastSquares):
    def g_loss(self, D, x_fake, y=None):
        return D(x_fake, y).mean()


class EachFake(LeastSquares):
    def g_loss(self, D, x_fake, y=None):
        return -D(x_fake, y)


class Detached(LeastSquares):
    def g_loss(self, D, x_fake, y=None):
        return -D(x_fake.detach(), y).mean()


class Added(LeastSquares):
    def g_loss(self, D, x_fake, y=None):
        return -D(x_fake, y).sum()


WRONG += [
    ("02.6", Upward(), "rises with D's logit"),
    ("02.6", LeastSquares(), "still a square"),
    ("02.6", Wasserstein(), "lost its squares"),
    ("02.6", Hinge(), "that of Hinge"),
    ("02.6", NonSaturating(), "that of Minimax"),
    ("02.6", EachFake(), "keeps the batch"),
    ("02.6", Detached(), "no gradient"),
    ("02.6", Added(), "the step grows"),
]
