"""Drawing pictures disturbs nothing."""

import pytest
import torch
from torch import nn

from ganbook.errors import InputError
from ganbook.mlp import MLPGenerator
from ganbook.sampling import AT_ONCE, draw_latents, evaluating, generate, sample


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
