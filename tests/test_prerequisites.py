"""The numbers on the page of prerequisites are computed here, and the page must say them as they come out."""

from math import exp, log, pi, sqrt
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

PAGE = (Path(__file__).parents[1] / "book" / "prerequisites.md").read_text()


def sigma(u):
    return 1 / (1 + exp(-u))


def softplus(u):
    return log(1 + exp(u))


def bce_loss_at_20():
    """Loss and slope of sigmoid and BCELoss for a fake with the logit 20, in float32."""
    logit = torch.tensor([20.0], requires_grad=True)
    loss = nn.BCELoss()(logit.sigmoid(), torch.zeros(1))
    (slope,) = torch.autograd.grad(loss, logit)
    return loss.item(), slope.item()


theta, psi, z = 0.5, 2.0, 1.5
slope = -sigma(-psi * theta * z) * psi * z
after = theta - 0.1 * slope

SENTENCES = [
    f"the logit 2 means {sigma(2):.3f}, and the logit −2 means {sigma(-2):.3f}.",
    f"A picture with the logit 2 costs {softplus(-2):.3f} if it is real and {softplus(2):.3f} if it is fake.",
    f"| exact, to nine decimals | {softplus(20):.9f} | {sigma(20):.9f} |",
    f"\\approx {1 / (0.1 * sqrt(2 * pi)):.2f}$, and yet an $x$ drawn from it lies within 0.1 of the centre with "
    f"probability {2 * torch.special.ndtr(torch.tensor(1.0)).item() - 1:.3f}.",
    f"has the standard deviation $\\sqrt{{2/64}} \\approx {sqrt(2 / 64):.3f}$",
    f"\\tfrac12\\log 2 + \\tfrac12\\log\\tfrac23 \\approx {0.5 * log(2) + 0.5 * log(2 / 3):.3f}$",
    f"but $\\mathrm{{KL}}(q \\,\\Vert\\, p) \\approx {0.25 * log(0.5) + 0.75 * log(1.5):.3f}$",
    f"$\\log 2 \\approx {log(2):.3f}$, $\\log 4 \\approx {log(4):.3f}$",
    f"Then $x = {theta * z:g}$ and $\\ell = {psi * theta * z:g}$, the three factors are "
    f"$-\\sigma(-1.5) \\approx {-sigma(-1.5):.3f}$",
    f"their product is −{-slope:.3f}.",
    f"takes $\\theta$ to {after:.3f}, and the loss for this $z$ from {softplus(-psi * theta * z):.3f} to "
    f"{softplus(-psi * after * z):.3f}.",
    f"That is $D(x) = \\sigma(-2) \\approx {sigma(-2):.3f}$",
    f"$\\operatorname{{softplus}}(-2) \\approx {softplus(-2):.3f}$",
    f"\\operatorname{{softplus}}(2) \\approx {softplus(2):.3f}$",
    f"\\log\\tfrac{{1}}{{0.9}} \\approx {log(1 / 0.9):.3f}$",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_page_says_what_comes_out(sentence):
    assert sentence in PAGE


def test_the_row_of_bce_loss():
    loss, slope_there = bce_loss_at_20()
    assert "PyTorch's sigmoid of 17 is exactly 1" in PAGE and torch.tensor(17.0).sigmoid() == 1
    assert f"| sigmoid, then `BCELoss` | {loss:g} | {slope_there:g} |" in PAGE
    logit = torch.tensor([20.0], requires_grad=True)
    loss = bce(logit, torch.zeros(1))
    (right,) = torch.autograd.grad(loss, logit)
    assert f"| `BCEWithLogitsLoss`, or `softplus(logit)` | {loss.item():g} | {right.item():g} |" in PAGE


@pytest.mark.parametrize("steepness", [1_000.0, 0.001])
def test_adams_first_step_is_lr_long(steepness):
    assert "0.0002 for `lr=2e-4`, whether the slope there is 1,000 or 0.001" in PAGE
    w = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=2e-4)
    (steepness * w).sum().backward()
    optimizer.step()
    assert 1 - w.item() == pytest.approx(2e-4, rel=1e-4)
