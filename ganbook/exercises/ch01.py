"""Checkers of chapter 01, The game."""

from math import log, pi, sqrt

import torch
from torch import Tensor, trapezoid
from torch.nn.functional import logsigmoid

from ganbook.divergences import best_logits, value, wasserstein
from ganbook.exercises import exercise, expect, none_of, number
from ganbook.toys import bumps

GRID = torch.linspace(-12, 12, 2_401, dtype=torch.float64)
NEAR = GRID[GRID.abs() < 4]


def density(x, *means, sd):
    return bumps(*means, sd=sd).log_density(x[:, None]).exp()


@exercise("01.1")
def unfair_logits(answer):
    """the best logits, whatever share of the points is real"""
    p, q = density(NEAR, -1.0, sd=1.0), density(NEAR, 1.0, sd=1.5)
    for w in (0.8, 0.1):
        best = best_logits(w * p, (1 - w) * q)
        logits = answer(p, q, w)
        expect(
            isinstance(logits, Tensor) and logits.shape == p.shape,
            "return a logit for each point: (N,), like p and q",
        )
        mistakes = {
            "that is D itself: return its logit, log D - log(1 - D)": best.sigmoid(),
            "w has changed nothing: real points come in w/(1 - w) times as often, and that counts": best_logits(
                p, q
            ),
            "the shares are swapped: w is the share of the real points": best_logits((1 - w) * p, w * q),
            "the sign is turned round: a logit is high where the point is likely to be real": -best,
        }
        none_of(logits.double(), mistakes)
        short = (value(best, w * p, (1 - w) * q, NEAR) - value(logits, w * p, (1 - w) * q, NEAR)).item()
        expect(
            logits.double().allclose(best, rtol=1e-3, atol=1e-3),
            f"w = {w}: the best D scores {short:.3f} more: at each x the score has slope 0 at its top",
        )


@exercise("01.2")
def jsd_from_draws(answer):
    """half of V + log 4, V being two means over draws, and finite however sure D is"""
    real, fake = torch.randn(300), 1 + torch.randn(200)
    found = number(answer(real, fake, lambda points: 0.5 - points))
    of_real, of_fake = logsigmoid(0.5 - real).mean(), logsigmoid(fake - 0.5).mean()
    V = of_real + of_fake
    mistakes = {
        "that is 2 JSD: V = -log 4 + 2 JSD, so halve it": V + log(4),
        "that is V: JSD is what is left of it above -log 4, halved": V,
        "V/2 is negative: add log 4 before you halve": V / 2,
        "log 4 has the wrong sign: it is V + log 4 that is 2 JSD": (V - log(4)) / 2,
        "a fake scores log(1 - D), the log-sigmoid of minus its logit; yours scores log D": (
            (of_real + logsigmoid(0.5 - fake).mean() + log(4)) / 2
        ),
        "you add over the draws: an expectation is a mean": (300 * of_real + 200 * of_fake + log(4)) / 2,
    }
    none_of(found, mistakes)
    right = ((V + log(4)) / 2).item()
    expect(abs(found - right) < 1e-4, f"from these draws the estimate is {right:.4f}; yours is {found:.4f}")
    sure = torch.tensor([-200.0, 200.0])
    found = number(answer(sure, sure, lambda points: points))
    expect(found.isfinite(), "at a logit of ±200 it is not finite: no sigmoid before the log")
    right = (logsigmoid(sure).mean() + logsigmoid(-sure).mean() + log(4)).item() / 2
    expect(
        abs(found - right) < 1e-2,
        f"at logits of ±200 it is {right:.1f}, yours {found:.1f}: a clamp changes the value; use logsigmoid",
    )


@exercise("01.3")
def distance_of_widths(answer):
    """the distance by formula is that by quadrature, for any two widths"""
    mean = sqrt(2 / pi)  # E|x| of N(0, 1)
    for a, b in ((0.5, 2.0), (2.0, 0.5), (1.5, 0.7)):
        W = wasserstein(density(GRID, 0.0, sd=a), density(GRID, 0.0, sd=b), GRID).item()
        found = number(answer(a, b)).double()
        expect(found >= 0, f"a = {a}, b = {b}: a distance is not negative, whichever is the wider")
        mistakes = {
            "|a - b| is how far a point at one standard deviation moves: the mean takes E|x|": abs(a - b),
            "a and b are standard deviations, not variances: do not square them": abs(a**2 - b**2) * mean,
            "√|a² - b²| is the width of noise that you would add; here each point moves, to x·b/a": (
                sqrt(abs(a**2 - b**2)) * mean
            ),
            "the mean way is |b/a - 1| times E|x|, and E|x| of N(0, a²) is a√(2/π)": abs(b / a - 1) * mean,
            "E|x| of N(0, 1) is √(2/π), not √(π/2): a point lies nearer than 1, on average": abs(a - b) / mean,
        }
        none_of(found, mistakes)
        expect(abs(found - W) < 2e-3, f"a = {a}, b = {b}: it is {W:.3f} by quadrature; yours is {found:.3f}")
    expect(abs(answer(1.0, 1.0)) < 1e-6, "a = b: the distance of a distribution to itself is 0")


@exercise("01.4")
def closest_gaussian(answer):
    """the mean and the standard deviation of p, whatever its form"""
    for p in (density(GRID, -2.0, 0.0, 5.0, sd=0.7), density(GRID, 1.0, 1.0, 4.0, sd=0.9)):
        mean = trapezoid(p * GRID, GRID)
        sd = trapezoid(p * (GRID - mean) ** 2, GRID).sqrt()
        found = answer(p, GRID)
        expect(isinstance(found, tuple | list) and len(found) == 2, "return a pair of numbers: (μ, σ)")
        mu, width = (number(one).double() for one in found)
        none_of(
            mu,
            {
                "μ is the middle of the grid: weigh each x with p": GRID.mean(),
                "μ is where p is highest; KL(p‖q) is an average over all of p": GRID[p.argmax()],
                "μ is the median; d/dμ = 0 gives the mean": GRID[(p.cumsum(0) < p.sum() / 2).sum()],
            },
        )
        none_of(
            width,
            {
                "the second number is the variance: σ is its root": sd**2,
                "σ is measured from 0: measure it from μ": (sd**2 + mean**2).sqrt(),
                "σ is the spread of the grid: weigh each (x - μ)² with p": GRID.std(),
            },
        )
        right = abs(mu - mean) < 0.02 and abs(width - sd) < 0.02
        expect(right, f"({mu:.2f}, {width:.2f}): KL(p‖q) is less at ({mean:.2f}, {sd:.2f})")


@exercise("01.6")
def smoothed_D(answer):
    """the best D for any target of the real data, a probability at each point"""
    p, q = density(NEAR, -1.0, sd=1.0), density(NEAR, 1.0, sd=1.5)
    for alpha in (0.9, 0.7):
        best = alpha * p / (p + q)
        found = answer(p, q, alpha)
        expect(isinstance(found, Tensor) and found.shape == p.shape, "return D at each point: (N,), like p and q")
        mistakes = {
            "α has changed nothing: that is the best D for the target 1": p / (p + q),
            "the share 1 - α of log(1 - D) is missing from the denominator: real points earn it, too": (
                alpha * p / (alpha * p + q)
            ),
            "that is the logit: return D, a probability": best.logit(),
            "the fakes' target is smoothed as well; here it stays 0": (alpha * p + (1 - alpha) * q) / (p + q),
        }
        none_of(found.double(), mistakes)
        expect(
            found.double().allclose(best, rtol=1e-3, atol=1e-3),
            f"α = {alpha}: another D scores more: collect what log D is multiplied by, and what log(1 - D)",
        )
