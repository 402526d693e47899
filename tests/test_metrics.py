"""Coverage and quality of samples from a mixture."""

from math import exp

import pytest
import torch

from ganbook.errors import InputError
from ganbook.metrics import frechet_distance, mode_coverage, principal_components, spread_within
from ganbook.toys import ring


def test_the_data_cover_every_mode_with_the_quality_of_three_deviations():
    torch.manual_seed(0)
    modes, quality = mode_coverage(ring().sample(50_000), ring())
    assert modes == 8
    assert quality == pytest.approx(1 - exp(-4.5), abs=0.003)  # a round Gaussian in the plane within 3 sd


def test_one_mode_alone_is_one_mode():
    points = ring().means[:1].expand(1000, 2)
    assert mode_coverage(points, ring()) == (1, 1.0)


def test_points_between_the_modes_count_for_nothing():
    assert mode_coverage(torch.zeros(1000, 2), ring()) == (0, 0.0)
    near = ring().means.repeat(125, 1) + torch.tensor([0.31, 0.0])  # just outside three deviations
    assert mode_coverage(near, ring()) == (0, 0.0)


def test_a_mode_needs_a_fifth_of_its_share():
    means = ring().means
    few = torch.cat([means[0].expand(976, 2), means[1].expand(24, 2)])  # fair share 125, a fifth of it 25
    enough = torch.cat([means[0].expand(975, 2), means[1].expand(25, 2)])
    assert mode_coverage(few, ring())[0] == 1
    assert mode_coverage(enough, ring())[0] == 2


def test_frechet_distance_of_normal_distributions():
    """Against the closed form where the covariances commute, and against scipy's matrix root where they do not."""
    from scipy.linalg import sqrtm

    torch.manual_seed(0)
    x = torch.randn(4000, 3, dtype=torch.float64)
    x = (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(x.T.cov())).T  # mean 0, covariance I, exactly
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    shift, scale = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([1.0, 2.0, 3.0])
    assert frechet_distance(x, x * scale + shift) == pytest.approx(5.25 + (0 + 1 + 4), rel=1e-6)
    A, B = torch.randn(3, 3, dtype=torch.float64), torch.randn(3, 3, dtype=torch.float64)
    y, w = x @ A, x @ B
    cov_y, cov_w = y.T.cov(), w.T.cov()
    expected = (cov_y.trace() + cov_w.trace()).item() - 2 * sqrtm((cov_y @ cov_w).numpy()).real.trace()
    assert frechet_distance(y, w) == pytest.approx(expected, rel=1e-6) == frechet_distance(w, y)


def test_principal_components_keep_what_varies_most():
    torch.manual_seed(0)
    pictures = torch.randn(500, 1, 4, 5) * torch.linspace(0.1, 3, 20).view(1, 1, 4, 5)
    features = principal_components(pictures, 4)
    z = features(pictures)
    assert z.shape == (500, 4) and z.mean(0).abs().max() < 1e-9  # around the mean of what they were fitted to
    total = torch.linalg.eigvalsh(pictures.flatten(1).double().T.cov())
    assert z.var(0).sum().item() == pytest.approx(total[-4:].sum().item())
    assert features(pictures[:7]).shape == (7, 4)


def test_spread_is_within_labels_only():
    """Pictures of two pixels; the labels' own means differ by far more than the pictures of one label do."""
    y = torch.tensor([0, 1]).repeat(5_000)
    torch.manual_seed(0)
    x = 100.0 * y[:, None, None, None] + torch.randn(10_000, 1, 1, 2) * torch.tensor([1.0, 3.0])
    assert spread_within(x, y) == pytest.approx((0.5 * 1 + 0.5 * 9) ** 0.5, rel=0.02)
    assert spread_within(x, torch.stack([y, torch.arange(10_000) % 7], 1)) == spread_within(x, y)
    assert spread_within(100.0 * y[:, None, None, None], y) == 0
    once = torch.cat([y, torch.tensor([2])])  # says nothing about its spread
    assert spread_within(torch.cat([x, x[:1]]), once) == spread_within(x, y)
    with pytest.raises(InputError, match="3 pictures of as many labels"):
        spread_within(x[:3], torch.arange(3))
