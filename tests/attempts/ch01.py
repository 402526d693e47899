"""Wrong attempts at the exercises of chapter 01."""

from math import log, pi, sqrt

import torch
from torch import trapezoid
from torch.nn.functional import logsigmoid

from attempts import WRONG, wrong
from ganbook.divergences import best_logits

WRONG += [
    ("01.1", lambda p, q, w: w * p / (w * p + (1 - w) * q), "that is D itself"),
    ("01.1", lambda p, q, w: best_logits(p, q), "w has changed nothing"),
    ("01.1", lambda p, q, w: best_logits(p, q) - log(w / (1 - w)), "the shares are swapped"),
    ("01.1", lambda p, q, w: best_logits((1 - w) * q, w * p), "the sign is turned round"),
    ("01.1", lambda p, q, w: w * p.log() - (1 - w) * q.log(), "scores"),
    ("01.1", lambda p, q, w: (w * p / ((1 - w) * q)).log().mean(), "a logit for each point"),
]


def V_of(real, fake, logit):
    return logsigmoid(logit(real)).mean() + logsigmoid(-logit(fake)).mean()


WRONG += [
    ("01.2", V_of, "that is V"),
    ("01.2", lambda *draws: V_of(*draws) + log(4), "that is 2 JSD"),
    ("01.2", lambda *draws: V_of(*draws) / 2, "add log 4"),
    ("01.2", lambda *draws: (V_of(*draws) - log(4)) / 2, "wrong sign"),
    ("01.2", lambda *draws: V_of(*draws) / 2 + log(4), "yours is"),
]


@wrong("01.2", "yours scores log D")
def both_called_real(real, fake, logit):
    return (logsigmoid(logit(real)).mean() + logsigmoid(logit(fake)).mean() + log(4)) / 2


@wrong("01.2", "an expectation is a mean")
def added(real, fake, logit):
    return (logsigmoid(logit(real)).sum() + logsigmoid(-logit(fake)).sum() + log(4)) / 2


@wrong("01.2", "one number")
def one_by_one(real, fake, logit):
    return (logsigmoid(logit(real[:200])) + logsigmoid(-logit(fake[:200])) + log(4)) / 2


@wrong("01.2", "not finite")
def from_probabilities(real, fake, logit):
    V = logit(real).sigmoid().log().mean() + (1 - logit(fake).sigmoid()).log().mean()
    return (V.item() + log(4)) / 2


WRONG += [
    ("01.3", lambda a, b: (b - a) * sqrt(2 / pi), "not negative"),
    ("01.3", lambda a, b: abs(a - b), "E|x|"),
    ("01.3", lambda a, b: abs(a**2 - b**2) * sqrt(2 / pi), "do not square"),
    ("01.3", lambda a, b: abs(b / a - 1) * sqrt(2 / pi), "a√(2/π)"),
    ("01.3", lambda a, b: abs(a - b) * sqrt(pi / 2), "not √(π/2)"),
    ("01.3", lambda a, b: abs(a - b) / sqrt(2 * pi), "by quadrature"),
]


def moments(p, x):
    mean = trapezoid(p * x, x)
    return mean, trapezoid(p * (x - mean) ** 2, x)


WRONG += [
    ("01.4", moments, "the variance"),
    ("01.4", lambda p, x: (x[p.argmax()], moments(p, x)[1].sqrt()), "where p is highest"),
    ("01.4", lambda p, x: (x.mean(), x.std()), "the middle of the grid"),
    ("01.4", lambda p, x: (moments(p, x)[0], x.std()), "the spread of the grid"),
    ("01.4", lambda p, x: (moments(p, x)[0], trapezoid(p * x**2, x).sqrt()), "measured from 0"),
    ("01.4", lambda p, x: (moments(p, x)[0], 1.0), "KL(p‖q) is less at"),
    ("01.4", lambda p, x: moments(p, x)[0], "a pair of numbers"),
]

WRONG += [
    ("01.6", lambda p, q, alpha: p / (p + q), "α has changed nothing"),
    ("01.6", lambda p, q, alpha: alpha * p / (alpha * p + q), "missing from the denominator"),
    ("01.6", lambda p, q, alpha: best_logits(alpha * p, (1 - alpha) * p + q), "that is the logit"),
    ("01.6", lambda p, q, alpha: (alpha * p + (1 - alpha) * q) / (p + q), "smoothed as well"),
    ("01.6", lambda p, q, alpha: torch.full_like(p, alpha / 2), "another D scores more"),
]


@wrong("01.2", "a clamp changes the value")
def clamped(real, fake, logit):
    D_real, D_fake = (logit(points).sigmoid().clamp(1e-7, 1 - 1e-7) for points in (real, fake))
    return (D_real.log().mean() + (1 - D_fake).log().mean() + log(4)) / 2
