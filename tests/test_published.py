"""The tutorials' own models: each mistake is there, and is nothing but that mistake."""

import pytest
import torch

from ganbook.avatars import avatars
from ganbook.data import to_float
from ganbook.dcgan import ConvGenerator, StemGenerator
from ganbook.mlp import MLPDiscriminator, MLPGenerator
from ganbook.objectives import NonSaturating
from ganbook.published import DrawsUnitRange, Probabilities, SameNoise, SeesUnitRange, dcgan, dcgan28, mlp
from ganbook.recipes import RECIPES
from ganbook.sampling import sample
from ganbook.training import fit


def test_d_sees_real_pictures_from_0_to_1():
    torch.manual_seed(0)
    D = MLPDiscriminator().eval()
    images = torch.randint(0, 256, (4, 1, 28, 28), dtype=torch.uint8)
    torch.testing.assert_close(SeesUnitRange(D)(to_float(images)), D(images / 255))


def test_d_sees_fakes_as_g_draws_them():
    torch.manual_seed(0)
    net, D, z = MLPGenerator(), MLPDiscriminator().eval(), torch.randn(4, 100)
    G = DrawsUnitRange(net)
    torch.testing.assert_close(SeesUnitRange(D)(G(z)), D(net(z)))


def test_what_is_kept_is_cut_off_at_black():
    torch.manual_seed(0)
    net, z = MLPGenerator(), torch.randn(50, 100)
    G = DrawsUnitRange(net)
    assert G(z).min() < -1
    G.eval()
    torch.testing.assert_close((G(z) + 1) / 2, net(z).clamp(0, 1))


def test_g_trains_on_the_same_noise_and_d_does_not():
    seen = []

    class Watch(ConvGenerator):
        def forward(self, z, y=None):
            seen.append((torch.is_grad_enabled(), z.clone()))
            return super().forward(z)

    torch.manual_seed(0)
    G, (_, D) = SameNoise(Watch(16, width=4), 128), dcgan(16, width_g=4, width_d=4)
    list(fit(G, D, NonSaturating(), avatars(12, 16), steps=2, batch_size=6))
    d1, g1, d2, g2 = (z for _, z in seen)
    assert [turn for turn, _ in seen] == [False, True, False, True]
    assert torch.equal(g1, g2) and torch.equal(g1, G.z[:6]) and not torch.equal(d1, d2)
    assert not torch.equal(sample(G, 2, seed=0), sample(G, 2, seed=1))


def test_one_batch_of_noise_deceives_a_d_that_never_meets_it(one_thread):
    """As the page of models says: G's loss falls though D tells the fakes of its own turns from real ones."""
    data = avatars(512, 16, seed=0)
    for fixed in (True, False):
        torch.manual_seed(0)
        G, D = dcgan(16, width_g=16, width_d=16)
        *_, last = fit(G if fixed else G.G, D, NonSaturating(), data, steps=150, batch_size=64)
        assert last.g_loss < 0.3 if fixed else last.g_loss > 0.7
        assert last.d_fake < 0.45


@pytest.mark.parametrize("logit", [-3.0, 0.5, 8.0])
def test_probabilities_are_the_same_loss_until_they_round(logit):
    x = torch.zeros(2, 1)
    for objective in (Probabilities(), NonSaturating()):
        bias = torch.full((1,), logit, requires_grad=True)
        value = objective.d_loss(lambda x, y=None, b=bias: x[:, 0] + b, x, x)
        value.backward()
        if isinstance(objective, Probabilities):
            expected, slope = value.item(), bias.grad.item()
    assert value.item() == pytest.approx(expected, rel=1e-3) and bias.grad.item() == pytest.approx(slope, rel=1e-2)


@pytest.mark.parametrize("objective, slope", [(Probabilities(), 0), (NonSaturating(), 1)])
def test_a_rounded_probability_teaches_nothing(objective, slope):
    """In float32 sigmoid(17) is 1 and its slope 0, where the loss in logits has the slope 1."""
    x, x_fake = torch.zeros(2), torch.ones(2)
    logit = torch.tensor([17.0, 17.0], requires_grad=True)
    objective.d_loss(lambda x, y=None: x * logit + (1 - x) * 50, x, x_fake).backward()
    assert logit.grad.sum().item() == pytest.approx(slope, abs=1e-3)


def test_the_rows_differ_from_ours_as_stated():
    torch.manual_seed(0)
    for name in ("mlp", "dcgan28", "dcgan64", "acgan"):
        ours, theirs = RECIPES[name], RECIPES[f"{name}-published"]
        assert (ours.data, ours.epochs) == (theirs.data, theirs.epochs)
    assert RECIPES["mlp-published"].betas == (0.9, 0.999) and RECIPES["acgan-published"].objective.on_fakes
    G, D = dcgan28()
    assert isinstance(G.G.net[-1], torch.nn.Sigmoid) and G.G.net[0].weight.std() > 0.05
    assert StemGenerator().net[0].weight.std() < 0.03
    assert type(mlp()[0].G) is MLPGenerator
