"""The losses are the ones in the paper, and keep their gradients where a sigmoid would lose them."""

from math import log

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.testing import assert_close

from ganbook.objectives import Hinge, LeastSquares, Minimax, NonSaturating, Smoothing, Wasserstein


class Scores:
    """A stand-in for D that gives fixed logits: `real` on its first call, `fake` on the next."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, x, y=None):
        return self.answers.pop(0)


REAL, FAKE = torch.linspace(-6, 8, 64, dtype=torch.float64).chunk(2)


@pytest.mark.parametrize("objective", [Minimax(), NonSaturating()])
def test_d_loss_is_cross_entropy_with_labels_1_and_0(objective):
    expected = bce(REAL, torch.ones_like(REAL)) + bce(FAKE, torch.zeros_like(FAKE))
    assert_close(objective.d_loss(Scores(REAL, FAKE), None, None), expected)


def test_d_loss_is_minus_the_value_of_the_game():
    value = REAL.sigmoid().log().mean() + (1 - FAKE.sigmoid()).log().mean()
    assert_close(Minimax().d_loss(Scores(REAL, FAKE), None, None), -value)


def test_g_losses():
    assert_close(Minimax().g_loss(Scores(FAKE), None), (1 - FAKE.sigmoid()).log().mean())
    assert_close(NonSaturating().g_loss(Scores(FAKE), None), bce(FAKE, torch.ones_like(FAKE)))


@pytest.mark.parametrize("objective, g_loss", [(Minimax(), -log(2)), (NonSaturating(), log(2))])
def test_a_clueless_d_pays_log_4_and_leaves_log_2(objective, g_loss):
    zero = torch.zeros(7)  # logit 0: D = 1/2
    assert objective.d_loss(Scores(zero, zero), None, None).item() == pytest.approx(log(4), rel=1e-6)
    assert objective.g_loss(Scores(zero), None).item() == pytest.approx(g_loss, rel=1e-6)


def gradient(loss, logit):
    logit = torch.tensor([logit], requires_grad=True)
    loss(logit).backward()
    return logit.grad.item()


@pytest.mark.parametrize("confident", [20.0, 120.0])
def test_gradients_survive_a_confident_d(confident):
    """D surely wrong: full slope. In 32 bits, sigmoid followed by BCE gives 0 there."""
    d_loss, far = NonSaturating().d_loss, torch.zeros(1)
    assert gradient(lambda logit: d_loss(Scores(logit, far), None, None), -confident) == pytest.approx(-1)
    assert gradient(lambda logit: d_loss(Scores(far, logit), None, None), confident) == pytest.approx(1)
    assert gradient(lambda logit: NonSaturating().g_loss(Scores(logit), None), -confident) == pytest.approx(-1)


@pytest.mark.parametrize("logit", [-20.0, -10.0, -1.0, 0.0, 1.0, 10.0, 20.0])
def test_slopes_of_the_two_generator_losses(logit):
    """Minimax: -sigmoid(logit), flat where G loses. Non-saturating: -(1 - sigmoid(logit)), flat where G wins."""
    sigmoid = 1 / (1 + torch.tensor(-logit, dtype=torch.float64).exp().item())
    assert gradient(lambda x: Minimax().g_loss(Scores(x), None), logit) == pytest.approx(-sigmoid, rel=1e-5)
    expected = pytest.approx(sigmoid - 1, rel=1e-5, abs=1e-7)
    assert gradient(lambda x: NonSaturating().g_loss(Scores(x), None), logit) == expected


def test_the_family_by_hand():
    """Two real logits, 2 and 0, and two fake ones, -3 and 0.5, put into the papers' formulas."""
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-3.0, 0.5])

    def losses(objective):
        d_loss = objective.d_loss(Scores(real, fake), None, None)
        return d_loss.item(), objective.g_loss(Scores(fake), None).item()

    assert losses(LeastSquares()) == pytest.approx(
        (0.5 * (1 + 1) / 2 + 0.5 * (9 + 0.25) / 2, 0.5 * (16 + 0.25) / 2)
    )
    assert losses(Hinge()) == pytest.approx(((0 + 1) / 2 + (0 + 1.5) / 2, 1.25))
    assert losses(Wasserstein()) == pytest.approx((-1 - 1.25, 1.25))


def test_one_sided_smoothing_is_cross_entropy_with_targets_09_and_0():
    expected = bce(REAL, torch.full_like(REAL, 0.9)) + bce(FAKE, torch.zeros_like(FAKE))
    assert_close(Smoothing(0.9).d_loss(Scores(REAL, FAKE), None, None), expected)
    assert_close(Smoothing(0.9).g_loss(Scores(FAKE), None), bce(FAKE, torch.ones_like(FAKE)))


@pytest.mark.parametrize("objective, best", [(LeastSquares(), "p / (p + q)"), (Smoothing(0.9), "log odds")])
def test_the_best_answer_of_d_where_p_is_06_and_q_is_02(objective, best):
    """Least squares: p/(p + q). Smoothing: D* = αp/(p + q), here as a logit."""
    p, q = 0.6, 0.2
    logit = torch.zeros(1, requires_grad=True)
    for _ in range(2_000):
        real_part = objective.d_loss(Scores(logit, torch.zeros(1)), None, None)
        fake_part = objective.d_loss(Scores(torch.zeros(1), logit), None, None)
        loss = p * real_part + q * fake_part  # the other half of each is a constant
        (gradient,) = torch.autograd.grad(loss, logit)
        logit = (logit - 0.05 * gradient).detach().requires_grad_()
    odds = torch.tensor(0.9 * p / (p + q))
    expected = {"p / (p + q)": torch.tensor(p / (p + q)), "log odds": odds.logit()}[best]
    assert logit.item() == pytest.approx(expected.item(), abs=1e-4)


ALL = [Minimax(), NonSaturating(), Smoothing(), LeastSquares(), Hinge(), Wasserstein()]


@pytest.mark.parametrize("objective", ALL, ids=lambda objective: type(objective).__name__)
def test_d_learns_to_score_real_above_fake_and_g_moves_towards_the_data(objective):
    """Data at +1, fakes at -1, D(x) = wx: a sign turned anywhere moves w or the fakes the wrong way."""
    x, theta, w = torch.ones(8, 1), torch.tensor(-1.0, requires_grad=True), torch.tensor(0.1, requires_grad=True)

    def D(points, y=None):
        return (w * points).squeeze(1)

    (d_gradient,) = torch.autograd.grad(objective.d_loss(D, x, theta.detach() * x), w)
    assert d_gradient < 0  # so descent raises w: real data score higher
    (g_gradient,) = torch.autograd.grad(objective.g_loss(D, theta * x), theta)
    assert g_gradient < 0  # so descent moves the fakes up, towards +1


@pytest.mark.parametrize("alpha, beta", [(1.0, 0.0), (0.9, 0.0), (0.9, 0.1), (0.7, 0.2)])
def test_with_smoothed_targets_d_goes_to_their_mean_weighed_by_the_densities(alpha, beta):
    """D* = (αp + βq)/(p + q); where p = q, D's loss is 2H((α + β)/2)."""
    p, q = 0.6, 0.2
    expected = torch.tensor((alpha * p + beta * q) / (p + q)).logit()
    logit = torch.full((1,), expected.item() if 0 < expected.sigmoid() < 1 else 0.0, requires_grad=True)
    objective = Smoothing(alpha, beta)
    loss = p * objective.towards(alpha, logit) + q * objective.towards(beta, logit)
    (gradient,) = torch.autograd.grad(loss, logit)
    assert gradient.abs() < 1e-6
    t = (alpha + beta) / 2
    at_rest = torch.tensor([t]).logit()
    entropy = -(t * log(t) + (1 - t) * log(1 - t))
    assert objective.d_loss(Scores(at_rest, at_rest), None, None).item() == pytest.approx(2 * entropy, abs=1e-6)
    assert objective.g_loss(Scores(at_rest), None).item() == pytest.approx(-log(t), abs=1e-6)


def test_the_figures_of_the_plan():
    at_rest = torch.tensor([0.45]).logit()
    assert Smoothing(0.9).d_loss(Scores(at_rest, at_rest), None, None).item() == pytest.approx(1.376, abs=5e-4)
    assert Smoothing(0.9).g_loss(Scores(at_rest), None).item() == pytest.approx(0.799, abs=5e-4)


def test_wavering_targets_have_the_gradient_of_their_mean():
    torch.manual_seed(0)
    logits = torch.linspace(-3, 3, 7).repeat(100_000).requires_grad_()
    gradients = []
    for waver in (0.0, 0.1):
        loss = Smoothing(0.9, 0.1, waver).towards(0.9, logits)
        (gradient,) = torch.autograd.grad(loss, logits)
        gradients.append(gradient.reshape(-1, 7).sum(0))
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=0)
    a, b = (Smoothing(0.9, 0.1, 0.1).towards(0.9, logits) for _ in range(2))
    assert a != b  # they do waver


def test_steady_targets_draw_no_random_numbers():
    state = torch.get_rng_state()
    Smoothing(0.9).d_loss(Scores(REAL, FAKE), None, None)
    assert torch.equal(state, torch.get_rng_state())
