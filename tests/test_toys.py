"""The toys have the density that they say they have."""

from math import pi

import pytest
import torch

from ganbook.errors import InputError
from ganbook.toys import Mixture, bumps, grid, ring


def test_the_density_of_bumps_integrates_to_one():
    x = torch.linspace(-10, 10, 20_001, dtype=torch.float64)
    p = bumps(-2.0, 1.0, 3.0, sd=0.4).log_density(x[:, None]).exp()
    assert torch.trapezoid(p, x).item() == pytest.approx(1, abs=1e-12)


def test_log_density_is_that_of_torch_distributions():
    mixture = ring(modes=5, radius=1.5, sd=0.3)
    components = torch.distributions.MultivariateNormal(mixture.means, 0.3**2 * torch.eye(2))
    weights = torch.distributions.Categorical(torch.ones(5))
    expected = torch.distributions.MixtureSameFamily(weights, components)
    x = torch.randn(100, 2)
    torch.testing.assert_close(mixture.log_density(x), expected.log_prob(x), rtol=1e-4, atol=1e-4)


def test_samples_have_the_mean_and_variance_of_the_mixture():
    torch.manual_seed(0)
    x = ring(sd=0.5).sample(200_000)
    assert x.mean(0).abs().max() < 0.02
    assert x.var(0).tolist() == pytest.approx([2 + 0.25, 2 + 0.25], abs=0.03)  # radius²/2 + sd²


def test_every_mode_is_drawn_equally_often():
    torch.manual_seed(0)
    mixture = ring()
    mode = torch.cdist(mixture.sample(80_000), mixture.means).argmin(1)
    assert (mode.bincount() / 10_000).tolist() == pytest.approx([1] * 8, abs=0.05)


def test_modes_lie_where_they_should():
    means = ring(modes=8, radius=2.0).means
    torch.testing.assert_close(means[0], torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(means.norm(dim=1), torch.full((8,), 2.0))
    gaps = (means - means.roll(1, 0)).norm(dim=1)
    torch.testing.assert_close(gaps, torch.full((8,), 4 * torch.tensor(pi / 8).sin().item()))
    lattice = grid(side=5, spacing=2.0).means
    assert lattice.shape == (25, 2) and lattice.mean(0).tolist() == [0, 0] and lattice.max() == 4


def test_batches_never_end_and_are_fresh():
    stream = ring().batches(4)
    (one, y), (other, _) = next(stream), next(stream)
    assert one.shape == (4, 2) and y is None and not torch.equal(one, other)


@pytest.mark.parametrize(
    "means, sd, message", [(torch.zeros(3), 1.0, "shape"), (torch.zeros(3, 1), 0.0, "sd = 0")]
)
def test_a_mixture_that_cannot_be_is_refused(means, sd, message):
    with pytest.raises(InputError, match=message):
        Mixture(means, sd)


def test_a_mixture_draws_on_its_own_device():
    assert ring().to("meta").sample(3).device.type == "meta"
