"""Wrong attempts at the exercises of chapter 12."""

import math

import torch
from torch.nn.functional import softplus

from attempts import WRONG, wrong

WRONG += [
    ("12.1", lambda W, rounds: torch.linalg.svdvals(W)[0].item(), "exact value"),
    ("12.1", lambda W, rounds: W.norm().item(), "Frobenius"),
    ("12.2", lambda turn, share: 10_000, "more than it takes"),
    ("12.2", lambda turn, share: 1, "take more"),
    ("12.2", lambda turn, share: turn / share / 6.3, "whole"),
    ("12.2", lambda turn, share: 1 - 1 / 159, "whole"),
    ("12.3", lambda real, fake: softplus(fake - real).mean(), "one fake only"),
    ("12.3", lambda real, fake: softplus(real[:, None] - fake).mean(), "G's loss"),
    ("12.3", lambda real, fake: softplus(fake[:, None] - real), "take their mean"),
    ("12.3", lambda real, fake: softplus(fake[:, None] - real).sum(), "the sum"),
    ("12.3", lambda real, fake: softplus(fake[:, None] - real).sum(1).mean(), "B²"),
    ("12.3", lambda real, fake: softplus((fake[:, None] - real).mean()), "come first"),
    ("12.3", lambda real, fake: (fake[:, None] - real).mean(), "no end"),
    ("12.3", lambda real, fake: softplus(-real).mean() + softplus(fake).mean(), "judged alone"),
    ("12.3", lambda real, fake: (fake[:, None] - real).relu().mean(), "softplus"),
    ("12.4", lambda gamma: gamma, "up to ½"),
    ("12.4", lambda gamma: -gamma, "without its sign"),
    ("12.4", lambda gamma: gamma + max(gamma**2 - 0.25, 0) ** 0.5, "faster"),
    ("12.4", lambda gamma: math.sqrt(gamma**2 + 0.25), "imaginary"),
    ("12.4", lambda gamma: 2 * gamma, "falls as"),
    ("12.4", lambda gamma: gamma - (gamma**2 - 0.25) ** 0.5, "complex"),
]


@wrong("12.1", "its square")
def squared(W, rounds):
    return right_way(W, rounds) ** 2


@wrong("12.1", "a round behind")
def behind(W, rounds):
    u = torch.ones(len(W), dtype=W.dtype)
    for _ in range(rounds):
        before, v = u / u.norm(), W.T @ u / (W.T @ u).norm()
        u = W @ v / (W @ v).norm()
    return (before @ W @ v).item()


@wrong("12.1", "W itself was changed")
def in_place(W, rounds):
    W /= W.norm()
    return right_way(W, rounds)


@wrong("12.1", "after 1 round")
def other_start(W, rounds):
    u = torch.eye(len(W), dtype=W.dtype)[0]
    return right_way(W, rounds, u)


def right_way(W, rounds, u=None):
    u = torch.ones(len(W), dtype=W.dtype) if u is None else u
    for _ in range(rounds):
        v = W.T @ u / (W.T @ u).norm()
        u = W @ v / (W @ v).norm()
    return (u @ W @ v).item()
