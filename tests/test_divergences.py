"""Quadrature against closed forms."""

from math import log, pi, sqrt

import pytest
import torch

from ganbook.divergences import best_logits, jsd, kl, value, wasserstein
from ganbook.mlp import LineGenerator
from ganbook.toys import bumps

X = torch.linspace(-30, 30, 60_001, dtype=torch.float64)


def normal(mu, sd):
    return (-((X - mu) ** 2) / (2 * sd**2)).exp() / (sd * sqrt(2 * pi))


def uniform(left, right):
    return ((left <= X) & (right > X)).double() / (right - left)


@pytest.mark.parametrize("mu, sd", [(0.0, 1.0), (1.5, 0.7), (-3.0, 2.0)])
def test_kl_between_normals(mu, sd):
    p, q = normal(mu, sd), normal(0.5, 1.2)
    expected = log(1.2 / sd) + (sd**2 + (mu - 0.5) ** 2) / (2 * 1.2**2) - 0.5
    assert kl(p, q, X).item() == pytest.approx(expected, abs=1e-9)


def test_kl_is_infinite_where_q_misses_something():
    p, q = uniform(0, 2), uniform(0, 1)
    assert kl(p, q, X).item() == float("inf")
    assert kl(q, p, X).item() == pytest.approx(log(2), abs=1e-3)


def test_jsd_is_zero_symmetric_and_at_most_log_2():
    p, q = normal(0, 1), normal(1, 2)
    assert jsd(p, p, X).item() == 0
    assert jsd(p, q, X) == jsd(q, p, X)
    assert 0 < jsd(p, q, X) < log(2)
    assert jsd(uniform(0, 1), uniform(2, 3), X).item() == pytest.approx(log(2), abs=1e-3)


@pytest.mark.parametrize("shift", [0.3, 2.0, -7.0])
def test_wasserstein_of_a_shift_is_the_shift(shift):
    assert wasserstein(normal(0, 1), normal(shift, 1), X).item() == pytest.approx(abs(shift), abs=1e-6)


def test_wasserstein_agrees_with_scipy_on_samples():
    from scipy.stats import wasserstein_distance

    generator = torch.Generator().manual_seed(0)
    a = torch.randn(100_000, generator=generator).double()
    b = 0.5 + 2 * torch.randn(100_000, generator=generator).double()
    measured = wasserstein_distance(a.numpy(), b.numpy())
    assert wasserstein(normal(0, 1), normal(0.5, 2), X).item() == pytest.approx(measured, abs=0.02)


def test_value_at_the_best_discriminator_is_minus_log_4_plus_2_jsd():
    p, q = normal(0, 1), normal(1.5, 0.6)
    best = value(best_logits(p, q), p, q, X)
    assert best.item() == pytest.approx(-log(4) + 2 * jsd(p, q, X).item(), abs=1e-9)
    for other in (0.9 * best_logits(p, q), best_logits(p, q) + 0.1, torch.zeros_like(p)):
        assert value(other, p, q, X) < best


def test_the_best_discriminator_where_there_is_nothing_is_one_half():
    p, q = uniform(0, 1), uniform(2, 3)
    logits = best_logits(p, q)
    assert set(logits.sigmoid().tolist()) == {0.0, 0.5, 1.0}
    assert value(logits, p, q, X).item() == pytest.approx(0, abs=1e-12)


def test_gradients_pass_through():
    mu = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    p, q = normal(0, 1), normal(mu, 1)
    kl(p, q, X).backward()
    assert mu.grad.item() == pytest.approx(0.7, abs=1e-9)  # KL = mu²/2


def test_far_tails_neither_blow_up_nor_stop_the_gradient():
    """Where a density underflows to 0, or to the smallest number above it."""
    x = torch.linspace(-15, 15, 6001, dtype=torch.float64)
    p = bumps(-4.0, 4.0, sd=0.2).log_density(x[:, None]).exp()
    G = LineGenerator(4.0, 0.3).double()
    distance = jsd(p, G.density(x), x)
    assert (p == 0).any() and 0 < distance < log(2)
    gradients = torch.autograd.grad(distance, list(G.parameters()))
    assert all(gradient.isfinite() for gradient in gradients)
    for div in (kl(G.density(x), p + 1e-300, x), jsd(G.density(x), p, x)):
        assert div.isfinite()
        assert all(g.isfinite() for g in torch.autograd.grad(div, list(G.parameters())))


def test_jsd_of_random_mixtures_lies_between_0_and_log_2():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        centres = 4 * torch.randn(4, generator=generator, dtype=torch.float64)
        p, q = (bumps(*pair.tolist(), sd=0.5).log_density(X[:, None]).exp() for pair in centres.split(2))
        assert 0 < jsd(p, q, X) < log(2)
