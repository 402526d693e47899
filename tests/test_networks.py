"""Every recipe keeps the contracts of G and D; the MLP pair is the published one to the layer."""

import pytest
import torch
from torch import nn

from ganbook.mlp import LineGenerator, MLPDiscriminator, MLPGenerator, PointDiscriminator, PointGenerator
from ganbook.recipes import RECIPES


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_contracts(recipe):
    G, D = recipe.networks()
    z = torch.randn(5, G.latent_dim) * 10
    x = G(z)
    assert x.shape[0] == 5 and x.ndim == 4 and -1 <= x.min() and x.max() <= 1
    logits = D(x * 1000)
    assert logits.shape == (5,) and logits.abs().max() > 1  # unbounded: no sigmoid in D
    d_loss = recipe.objective.d_loss(D, x, x)
    assert d_loss.shape == () and recipe.objective.g_loss(D, x).shape == ()


def sizes(net):
    return [(layer.in_features, layer.out_features) for layer in net.modules() if isinstance(layer, nn.Linear)]


def test_mlp_generator_to_the_layer():
    G = MLPGenerator()
    assert sizes(G) == [(100, 256), (256, 512), (512, 1024), (1024, 784)]
    assert sum(p.numel() for p in G.parameters()) == 1_486_352
    assert isinstance(G.net[-2], nn.Tanh)
    assert all(layer.negative_slope == 0.2 for layer in G.modules() if isinstance(layer, nn.LeakyReLU))


def test_mlp_discriminator_to_the_layer():
    D = MLPDiscriminator()
    assert sizes(D) == [(784, 1024), (1024, 512), (512, 256), (256, 1)]
    assert sum(p.numel() for p in D.parameters()) == 1_460_225
    assert [layer.p for layer in D.modules() if isinstance(layer, nn.Dropout)] == [0.3] * 3
    assert all(layer.negative_slope == 0.2 for layer in D.modules() if isinstance(layer, nn.LeakyReLU))


def test_dropout_switches_off():
    D, x = MLPDiscriminator(), torch.randn(4, 1, 28, 28)
    assert not torch.equal(D(x), D(x))
    D.eval()
    assert torch.equal(D(x), D(x))


@pytest.mark.parametrize("latent_dim", [1, 2, 16])
def test_the_pair_for_points(latent_dim):
    G, D = PointGenerator(latent_dim), PointDiscriminator()
    x = G(torch.randn(5, latent_dim))
    assert x.shape == (5, 2) and D(x).shape == (5,)
    assert PointDiscriminator(dim=1)(torch.randn(5, 1)).shape == (5,)


def test_sizes_of_the_pair_for_points_are_those_of_their_docstrings():
    for net in (PointGenerator(), PointDiscriminator()):
        assert f"{sum(p.numel() for p in net.parameters()):,} parameters" in type(net).__doc__


def test_the_line_generator_has_the_density_of_its_samples():
    G = LineGenerator(1.5, 0.5)
    torch.manual_seed(0)
    x = G(torch.randn(100_000, 1)).detach().squeeze(1)
    assert x.mean().item() == pytest.approx(1.5, abs=0.01) and x.std().item() == pytest.approx(0.5, abs=0.01)
    expected = torch.distributions.Normal(1.5, 0.5).log_prob(x[:50]).exp()
    torch.testing.assert_close(G.density(x[:50]).detach(), expected)
