"""Penalties are exact on a linear D, reach its weights, and refuse batch norm."""

import pytest
import torch
from torch import nn

from ganbook.errors import InputError
from ganbook.mlp import PointDiscriminator, PointGenerator
from ganbook.objectives import NonSaturating
from ganbook.penalties import R1, R2, GradientPenalty, Penalized, WeightPenaltyOnG, slope
from ganbook.toys import ring
from ganbook.training import fit


class Linear(nn.Module):
    """D(x) = w·x over all the numbers of x: its slope is w everywhere."""

    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, x, y=None):
        return x.flatten(1) @ self.w


@pytest.fixture
def x():
    return torch.randn(16, 2), torch.randn(16, 2)


@pytest.mark.parametrize(
    "penalty, expected", [(R1(3.0), 1.5 * 25), (R2(3.0), 1.5 * 25), (GradientPenalty(10.0), 10 * (5 - 1) ** 2)]
)
def test_exact_on_a_linear_d(penalty, expected, x):
    assert penalty(Linear([3.0, 4.0]), *x).item() == pytest.approx(expected, rel=1e-6)


def test_the_norm_runs_over_all_numbers_of_an_input():
    """Pictures (B, C, H, W): a norm over the channels alone would give another number."""
    D = Linear([1.0] * 12)
    pictures = torch.randn(5, 3, 2, 2), torch.randn(5, 3, 2, 2)
    assert R1(2.0)(D, *pictures).item() == pytest.approx(12, rel=1e-6)
    assert GradientPenalty(1.0)(D, *pictures).item() == pytest.approx((12**0.5 - 1) ** 2, rel=1e-5)


@pytest.mark.parametrize("penalty, gradient", [(R1(3.0), 3.0), (R2(3.0), 3.0), (GradientPenalty(10.0), 16.0)])
def test_the_gradient_reaches_ds_weights(penalty, gradient, x):
    """R1: γw. Gradient penalty: 2λ(‖w‖ − 1) w/‖w‖ = 16 w for w = (3, 4)."""
    D = Linear([3.0, 4.0])
    penalty(D, *x).backward()
    torch.testing.assert_close(D.w.grad, gradient * D.w.detach())


class Square(nn.Module):
    """D(x) = ‖x‖²: its slope is 2x, so each penalty shows where it was taken."""

    def forward(self, x, y=None):
        return x.square().flatten(1).sum(1)


def test_r1_looks_at_real_data_and_r2_at_fakes():
    x, x_fake = torch.full((8, 2), 1.0), torch.full((8, 2), 3.0)
    assert R1(1.0)(Square(), x, x_fake).item() == pytest.approx(0.5 * 4 * 2)
    assert R2(1.0)(Square(), x, x_fake).item() == pytest.approx(0.5 * 4 * 18)


def test_the_gradient_penalty_looks_between_a_real_and_its_fake():
    """Each pair has its own point on the line between them, the same for all its numbers."""
    x, x_fake = torch.zeros(4096, 2), torch.ones(4096, 2)
    seen = []

    class Note(Square):
        def forward(self, x, y=None):
            seen.append(x.detach())
            return super().forward(x)

    GradientPenalty(1.0)(Note(), x, x_fake)
    (between,) = seen
    assert torch.equal(between[:, 0], between[:, 1]) and between.min() >= 0 and between.max() <= 1
    assert between[:, 0].mean().item() == pytest.approx(0.5, abs=0.03)
    assert between[:, 0].std().item() == pytest.approx(12**-0.5, abs=0.02)


def test_a_slope_of_zero_has_a_finite_gradient(x):
    D = Linear([0.0, 0.0])
    GradientPenalty(1.0)(D, *x).backward()
    assert torch.isfinite(D.w.grad).all()


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(2), nn.SyncBatchNorm(2)])
def test_batch_norm_in_d_is_refused(norm, x):
    D = nn.Sequential(nn.Linear(2, 2), norm, nn.Linear(2, 1))
    with pytest.raises(InputError, match="BatchNorm.*layer '1'"):
        slope(D, x[0])


def test_float32_under_autocast(x):
    D = PointDiscriminator()
    plain = R1(1.0)(D, *x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = R1(1.0)(D, *x)
    assert inside.dtype == torch.float32 and torch.equal(plain, inside)


def test_penalties_add_to_ds_loss_and_leave_gs(x):
    D = Linear([3.0, 4.0])
    plain, both = NonSaturating(), Penalized(NonSaturating(), R1(2.0), R2(4.0))
    torch.testing.assert_close(both.d_loss(D, *x), plain.d_loss(D, *x) + 25 + 50)
    assert torch.equal(both.g_loss(D, x[1]), plain.g_loss(D, x[1]))


def test_l2_on_g_is_the_sum_of_squares_not_the_norm(x):
    G, D = PointGenerator(), Linear([0.0, 0.0])
    penalised = WeightPenaltyOnG(NonSaturating(), G, 0.5)
    squares = torch.cat([p.detach().flatten() for p in G.parameters()]).square().sum()
    added = penalised.g_loss(D, x[1]) - NonSaturating().g_loss(D, x[1])
    torch.testing.assert_close(added, 0.5 * squares)
    assert torch.equal(penalised.d_loss(D, *x), NonSaturating().d_loss(D, *x))
    weights = next(G.parameters())
    (gradient,) = torch.autograd.grad(penalised.g_loss(D, x[1]), weights)
    torch.testing.assert_close(gradient, weights.detach())  # 2λw with λ = ½


def test_a_penalised_gan_trains_through_fit_and_is_overheard():
    G, D = PointGenerator(), PointDiscriminator()
    (step,) = fit(G, D, Penalized(NonSaturating(), R1(1.0)), ring(), steps=1, batch_size=32)
    assert 0.3 < step.d_real < 0.7 and 0.3 < step.d_fake < 0.7
