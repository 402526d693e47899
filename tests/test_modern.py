"""Spectral norm bounds what a layer stretches; residual networks keep the size of a signal without a norm."""

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from ganbook.dcgan import StridedDiscriminator
from ganbook.mlp import PointDiscriminator, PointGenerator
from ganbook.modern import ResidualBlock, ResidualDiscriminator, ResidualGenerator, with_spectral_norm
from ganbook.objectives import Relativistic
from ganbook.penalties import R1, slope

pytestmark = pytest.mark.usefixtures("one_thread")


def largest_singular_values(D):
    layers = [layer for layer in D.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    return torch.stack([torch.linalg.matrix_norm(layer.weight.flatten(1), 2) for layer in layers])


def test_each_layer_stretches_by_one():
    torch.manual_seed(0)
    D = with_spectral_norm(StridedDiscriminator(nn.Identity))
    for _ in range(50):  # one step of power iteration each
        D(torch.rand(2, 1, 28, 28))
    torch.testing.assert_close(largest_singular_values(D.eval()), torch.ones(3), atol=0.02, rtol=0)


def test_a_network_of_fully_connected_layers_has_a_slope_of_one_at_most():
    torch.manual_seed(0)
    D = PointDiscriminator()
    for p in D.parameters():
        p.data *= 5
    x = torch.randn(256, 2)
    assert slope(D, x).norm(dim=1).max() > 10
    D = with_spectral_norm(D)
    for _ in range(50):
        D(x)
    assert slope(D.eval(), x).norm(dim=1).max() <= 1 + 1e-3


def test_spectral_norm_lets_a_penalty_reach_the_weights():
    torch.manual_seed(0)
    D = with_spectral_norm(PointDiscriminator())
    R1(1.0)(D, torch.randn(8, 2), None).backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for name, p in D.named_parameters() if "weight" in name
    )


@pytest.mark.parametrize("channels, latent_dim", [(1, 100), (3, 7)])
def test_shapes(channels, latent_dim):
    G, D = ResidualGenerator(channels, latent_dim=latent_dim), ResidualDiscriminator(channels)
    x = G(torch.randn(2, latent_dim))
    assert x.shape == (2, channels, 28, 28) and x.abs().max() <= 1
    assert D(x).shape == (2,)


def test_no_normalisation_anywhere():
    for net in (ResidualGenerator(), ResidualDiscriminator()):
        assert not [m for m in net.modules() if "Norm" in type(m).__name__]


def test_a_block_begins_as_the_identity_and_learns_all_the_same():
    torch.manual_seed(0)
    block, x = ResidualBlock(8), torch.randn(2, 8, 5, 5)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.net[2].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("seed", range(5))
def test_signals_keep_their_size(seed):
    """Neither the picture before tanh nor the logit is tiny or huge."""
    torch.manual_seed(seed)
    G, D = ResidualGenerator(), ResidualDiscriminator()
    before_tanh = G.net[:-1](torch.randn(64, 100))
    assert 0.2 < before_tanh.std() < 2
    assert 0.1 < D(torch.randn(64, 1, 28, 28)).std() < 3


def test_the_relativistic_game_is_about_differences():
    torch.manual_seed(0)
    G, D, objective = PointGenerator(), PointDiscriminator(), Relativistic()
    x, x_fake = torch.randn(8, 2), G(torch.randn(8, 2))
    d_loss = objective.d_loss(D, x, x_fake)
    torch.testing.assert_close(d_loss, softplus(-(D(x) - D(x_fake))).mean())
    torch.testing.assert_close(objective.g_loss(D, x_fake), softplus(-(D(x_fake) - D(x))).mean())
    D.net[-1].bias.data += 100  # what both get more changes nothing
    torch.testing.assert_close(objective.d_loss(D, x, x_fake), d_loss, atol=1e-4, rtol=0)
