"""The losses are the ones in the paper, and keep their gradients where a sigmoid would lose them."""

from math import log

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.testing import assert_close

from ganbook.objectives import Minimax, NonSaturating


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
