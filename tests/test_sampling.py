"""Drawing pictures disturbs nothing."""

import pytest
import torch
from torch import nn

from ganbook.errors import InputError
from ganbook.mlp import MLPGenerator
from ganbook.sampling import AT_ONCE, draw_latents, evaluating, generate, sample, sample_best


class NormGenerator(nn.Module):
    """A small G with the two layers that behave differently in training and in evaluation."""

    latent_dim = 3

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Tanh())

    def forward(self, z, y=None):
        return self.net(z)[:, None, None]


def test_the_same_seed_draws_the_same_pictures_and_leaves_torchs_own_state():
    G = MLPGenerator()
    state = torch.get_rng_state()
    assert torch.equal(sample(G, 3, seed=5), sample(G, 3, seed=5))
    assert not torch.equal(sample(G, 3, seed=5), sample(G, 3, seed=6))
    assert torch.equal(state, torch.get_rng_state())


def test_without_a_seed_pictures_differ():
    G = MLPGenerator()
    assert not torch.equal(sample(G, 3), sample(G, 3))


def test_sampling_changes_no_buffer_and_no_mode():
    G = NormGenerator()
    G.net[2].eval()  # a part that was in eval mode stays there
    before = {key: value.clone() for key, value in G.state_dict().items()}
    pictures = sample(G, 10, seed=0)
    assert not pictures.requires_grad
    assert all(torch.equal(value, before[key]) for key, value in G.state_dict().items())
    assert G.training and G.net[1].training and not G.net[2].training


def test_a_picture_does_not_depend_on_its_neighbours():
    """Eval mode: in training mode batch norm would mix the pictures of a batch, and so would the chunks."""
    G = NormGenerator()
    z = draw_latents(G, AT_ONCE + 3, seed=0)
    together = generate(G, z)
    assert together.shape == (AT_ONCE + 3, 1, 1, 4)
    torch.testing.assert_close(together[-2:], generate(G, z[-2:]))


def test_modes_return_after_an_error():
    G = NormGenerator()
    with pytest.raises(ZeroDivisionError), evaluating(G):
        assert not G.training
        raise ZeroDivisionError
    assert G.training and torch.is_grad_enabled()


def test_no_samples_is_an_error():
    with pytest.raises(InputError, match="0 samples"):
        sample(MLPGenerator(), 0)


class Brightness(nn.Module):
    """A D that takes bright pictures for real, and notes how many it is shown at once."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def forward(self, x, y=None):
        self.shown.append(len(x))
        return x.flatten(1).mean(1)


@pytest.mark.parametrize("n, of", [(1, 1300), (64, 512), (700, 1300), (5, 5)])
def test_the_best_are_those_that_d_rates_highest(n, of):
    G, D = NormGenerator(), Brightness()
    best, everything = sample_best(G, D, n, of, seed=3), sample(G, of, seed=3)
    expected = everything if n == of else everything[D(everything).argsort(descending=True)[:n]]
    assert torch.equal(best, expected)
    assert max(D.shown[:-1], default=0) <= AT_ONCE  # never all of them at once


def test_mean_and_deviation_of_z():
    G, D = MLPGenerator(latent_dim=2).eval(), Brightness()
    plain, moved = (sample_best(G, D, 4, 4, seed=0, **of_z) for of_z in ({}, {"mean": 1.0, "std": 0.5}))
    z = draw_latents(G, 4, seed=0)
    assert torch.equal(plain, G(z)) and torch.allclose(moved, G(1 + 0.5 * z), atol=1e-6)
    assert torch.equal(*sample_best(G, D, 2, 2, seed=0, std=0.0))  # all z are the mean


def test_more_best_than_drawn():
    with pytest.raises(InputError, match="best 9 of 3"):
        sample_best(NormGenerator(), Brightness(), 9, 3)
