"""Modes, distances between sets of features, their balls, copies and spread."""

from itertools import combinations, product
from math import exp
from statistics import fmean, stdev

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from ganbook import metrics
from ganbook.errors import InputError
from ganbook.metrics import (
    copying,
    density_coverage,
    disjoint,
    frechet_at_infinity,
    frechet_distance,
    kernel_distance,
    measures_of,
    mode_coverage,
    over_parts,
    precision_recall,
    principal_components,
    spread_within,
)
from ganbook.toys import ring


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def whitened(n: int, d: int) -> torch.Tensor:
    """Rows whose mean is 0 and whose covariance is I, exactly."""
    x = normal(n, d, 0)
    return (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.atleast_2d(x.T.cov()))).T


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

    x = whitened(4000, 3)
    torch.manual_seed(0)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    shift, scale = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([1.0, 2.0, 3.0])
    assert frechet_distance(x, x * scale + shift) == pytest.approx(5.25 + (0 + 1 + 4), rel=1e-6)
    A, B = torch.randn(3, 3, dtype=torch.float64), torch.randn(3, 3, dtype=torch.float64)
    y, w = x @ A, x @ B
    cov_y, cov_w = y.T.cov(), w.T.cov()
    expected = (cov_y.trace() + cov_w.trace()).item() - 2 * sqrtm((cov_y @ cov_w).numpy()).real.trace()
    assert frechet_distance(y, w) == pytest.approx(expected, rel=1e-6) == frechet_distance(w, y)


def test_frechet_distance_of_many_samples_and_of_one_feature():
    """The tolerance of the first is three standard deviations (measured over 20 seeds: 0.015)."""
    shift, scale = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([1.0, 2.0, 3.0])
    many = normal(1_000_000, 3, 1) * scale + shift
    assert frechet_distance(normal(1_000_000, 3, 2), many) == pytest.approx(5.25 + 5, abs=0.045)
    x = whitened(100, 1)
    assert frechet_distance(x, 3 * x + 1) == pytest.approx(1 + 4)


def test_a_set_is_at_distance_zero_from_itself():
    x = 50 * normal(300, 40, 0) + 1000
    few = x[:20]  # fewer rows than features: a covariance without an inverse
    assert 0 <= frechet_distance(x, x) < 1e-6 * x.var(0).sum().item()
    assert 0 <= frechet_distance(few, few) < 1e-6 * few.var(0).sum().item()


class Identity(nn.Module):
    """What torchmetrics calls an Inception, for features that are there already."""

    num_features = 12

    def forward(self, x):
        return x


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance`:UserWarning")
def test_frechet_and_kernel_distance_agree_with_torchmetrics():
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    x, y = normal(300, 12, 0), normal(300, 12, 1) @ normal(12, 12, 2) + 0.5
    fid = FrechetInceptionDistance(Identity()).set_dtype(torch.float64)
    kid = KernelInceptionDistance(Identity(), subsets=1, subset_size=300).set_dtype(torch.float64)
    for features, real in ((x, True), (y, False)):
        fid.update(features, real=real)
        kid.update(features, real=real)
    assert frechet_distance(x, y) == pytest.approx(fid.compute().item(), rel=1e-9)
    assert kernel_distance(x, y) == pytest.approx(kid.compute()[0].item(), rel=1e-9)


def test_kernel_distance_is_the_mean_over_pairs():
    """Sets of different sizes, which torchmetrics does not take."""
    x, y = normal(5, 3, 0), normal(7, 3, 1) + 1

    def k(pair):
        return (pair[0].dot(pair[1]).item() / 3 + 1) ** 3

    within_x, within_y = fmean(map(k, combinations(x, 2))), fmean(map(k, combinations(y, 2)))
    expected = within_x + within_y - 2 * fmean(map(k, product(x, y)))
    assert kernel_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert kernel_distance(y, x) == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_is_unbiased():
    values = [kernel_distance(normal(40, 8, 2 * i), normal(60, 8, 2 * i + 1)) for i in range(400)]
    assert abs(fmean(values)) < 2 * stdev(values) / 400**0.5
    assert 100 < sum(value < 0 for value in values) < 300
    # With each row's pair with itself the mean would be about 2 · (8 - 1)/50: far outside.
    assert 2 * stdev(values) / 400**0.5 < 0.02


def shares_by_loops(real, fake, k):
    """Precision, recall, density and coverage as the papers define them, one pair at a time."""

    def distance(a, b):
        return (a - b).square().sum().sqrt().item()

    def radii(points):
        return [sorted(distance(a, b) for b in points)[k] for a in points]

    r_real, r_fake = radii(real), radii(fake)
    in_real = [[distance(f, x) <= r for x, r in zip(real, r_real, strict=True)] for f in fake]
    in_fake = [[distance(x, f) <= r for f, r in zip(fake, r_fake, strict=True)] for x in real]
    density = sum(map(sum, in_real)) / (k * len(fake))
    coverage = fmean(map(any, zip(*in_real, strict=True)))
    return fmean(map(any, in_real)), fmean(map(any, in_fake)), density, coverage


@pytest.mark.parametrize("k", [1, 3, 5])
def test_shares_agree_with_loops_over_all_pairs(k):
    for seed in range(3):
        real, fake = normal(40, 3, seed), normal(30, 3, seed + 100) + 1
        precision, recall, density, coverage = shares_by_loops(real, fake, k)
        assert precision_recall(real, fake, k) == pytest.approx((precision, recall))
        assert density_coverage(real, fake, k) == pytest.approx((density, coverage))
        assert len({precision, recall, density, coverage, 0, 1}) > 4  # the case tells them apart


def test_copies_lie_in_their_own_balls_and_on_the_surface_of_their_neighbours():
    x = normal(500, 16, 0) + 100
    assert precision_recall(x, x) == (1, 1)
    assert density_coverage(x, x, 5) == (6 / 5, 1)
    real = torch.tensor([[0.0], [1.0], [3.0], [6.0]])  # to the next: 1, 1, 2, 3
    surface, outside = torch.tensor([[-1.0], [9.0]]), torch.tensor([[-1.1], [9.1]])
    assert precision_recall(real, surface, 1)[0] == 1 and precision_recall(real, outside, 1)[0] == 0
    assert density_coverage(real, surface, 1) == (1, 1 / 2)


def test_other_real_pictures_have_the_shares_that_theory_gives():
    """Naeem et al. (2020): for one distribution density 1 and, for n = m, coverage 1 - 2⁻ᵏ, on average."""
    density, coverage = density_coverage(normal(2000, 4, 0), normal(2000, 4, 1))
    assert density == pytest.approx(1, abs=0.05)  # three standard deviations, as below (20 seeds)
    assert coverage == pytest.approx(1 - 2**-5, abs=0.015)


def test_half_of_the_modes_halve_recall_and_coverage_but_not_precision():
    torch.manual_seed(0)
    real, fake = ring().sample(2000), ring().sample(4000)
    fake = fake[fake[:, 1] > 0.5]  # three modes of eight
    precision, recall = precision_recall(real, fake)
    density, coverage = density_coverage(real, fake)
    assert precision > 0.95 and recall == pytest.approx(3 / 8, abs=0.04)
    assert density == pytest.approx(1, abs=0.1) and coverage == pytest.approx(3 / 8, abs=0.04)


def test_noise_lowers_precision_and_density():
    torch.manual_seed(0)
    real, fake = ring().sample(2000), ring().sample(1000)
    noise = 8 * torch.rand(1000, 2) - 4
    noise = noise[(noise[:, None] - ring().means).norm(dim=2).amin(1) > 0.8]  # eight deviations off
    precision, recall = precision_recall(real, torch.cat([fake, noise]))
    density, _ = density_coverage(real, torch.cat([fake, noise]))
    share = len(fake) / (len(fake) + len(noise))
    assert precision == pytest.approx(share, abs=0.02) and recall > 0.95
    assert density == pytest.approx(share, abs=0.05)
    assert precision_recall(real, noise)[0] < 0.02


def test_scattered_fakes_deceive_recall_but_not_coverage():
    real, fake = normal(1000, 16, 0), 3 * normal(1000, 16, 1)
    precision, recall = precision_recall(real, fake)
    assert precision < 0.01 and recall > 0.99
    assert max(density_coverage(real, fake)) < 0.01


def test_one_outlier_deceives_precision_and_hardly_density():
    """Its ball reaches back to the data, over fakes that resemble nothing."""
    real = torch.cat([normal(500, 2, 0), torch.tensor([[30.0, 0.0]])])
    fake = torch.tensor([20.0, 0.0]) + normal(200, 2, 1)
    assert precision_recall(real, fake, 5)[0] == 1
    density, coverage = density_coverage(real, fake, 5)
    assert density == pytest.approx(1 / 5) and coverage == pytest.approx(1 / 501)


def test_copying_is_zero_for_copies_and_one_for_new_pictures():
    train, held_out, fresh = normal(1500, 8, 0), normal(800, 8, 1), normal(800, 8, 2)
    assert copying(train[:700], train, held_out) == 0
    assert copying(train[:700].float() + 1000, train.float() + 1000, held_out.float() + 1000) == 0
    assert copying(held_out, train, held_out) == 1
    assert copying(fresh, train, held_out) == pytest.approx(1, abs=0.06)  # two medians of 800
    near = [copying(train[:700] + sd * fresh[:700], train, held_out) for sd in (0.01, 0.1, 0.3)]
    assert 0 < near[0] < 0.05 < near[1] < near[2] < 0.9
    assert copying(3 * fresh, train, held_out) > 2
    most = torch.cat([train[:500], fresh[:400]])
    assert copying(most, train, held_out) == 0  # by the median
    with pytest.raises(InputError, match="half of held_out is in train too"):
        copying(fresh, train, torch.cat([train[:500], held_out[:400]]))


def test_copying_is_a_ratio_of_distances():
    train = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    held_out = torch.tensor([[0.0, 4.0], [103.0, 4.0], [100.0, 60.0]])  # 4, 5 and 60 from the nearest
    fake = torch.tensor([[2.0, 0.0], [100.0, 1.0], [50.0, 0.0]])  # 2, 1 and 50
    assert copying(fake, train, held_out) == pytest.approx(2 / 5)


def test_frechet_at_infinity_removes_the_bias():
    """Of one distribution, d = 16, with real moments that are exact: (d + d(d + 1)/4)/n = 84/n to first order."""
    real, fake = whitened(5000, 16), normal(8000, 16, 1)
    plain = frechet_distance(real, fake[:500])
    assert plain == pytest.approx(84 / 500, rel=0.25) and plain > 0.1
    assert frechet_distance(real, fake) == pytest.approx(84 / 8000, rel=0.25)
    # Three standard deviations; the mean over 40 seeds was -0.0006.
    assert abs(frechet_at_infinity(real, fake, (500, 1000, 2000, 4000))) < 0.006
    apart = frechet_at_infinity(real, fake + 0.5, (500, 1000, 2000, 4000))
    assert apart == pytest.approx(16 * 0.25, abs=0.1)  # standard deviation: 2 · ½ · √(16/8000) = 0.045


def test_frechet_at_infinity_meets_the_line_at_zero(monkeypatch):
    monkeypatch.setattr(metrics, "frechet_distance", lambda real, part: 3.0 + 70 / len(part))
    x = normal(1000, 2, 0)
    assert frechet_at_infinity(x, x, (100, 300, 1000)) == pytest.approx(3.0)
    seen = []
    monkeypatch.setattr(metrics, "frechet_distance", lambda real, part: seen.append(part[:, 0]) or 1.0)
    frechet_at_infinity(x, x, [300, 500])
    assert [len(part) for part in seen] == [300, 300, 300, 500, 500]
    assert len(torch.cat(seen[:3]).unique()) == 900 and len(torch.cat(seen[3:]).unique()) == 1000


@pytest.mark.parametrize("sizes", [[], [100], [100, 100], [1, 50], [50, 101]])
def test_sizes_that_make_no_line(sizes):
    x = normal(100, 2, 0)
    with pytest.raises(InputError, match=r"make no line: give two or more to 100"):
        frechet_at_infinity(x, x, sizes)


def test_disjoint_parts_are_mixed_and_always_the_same():
    x = torch.arange(1000.0)[:, None]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    parts = disjoint(x, 300)
    assert torch.equal(torch.get_rng_state(), before)
    assert [part.shape for part in parts] == [(300, 1)] * 3
    assert len(torch.cat(parts).unique()) == 900
    assert all(300 < part.mean() < 700 for part in parts)  # no part keeps to the first rows
    assert all(torch.equal(a, b) for a, b in zip(parts, disjoint(x, 300), strict=True))


def test_over_parts_is_the_mean_and_deviation_over_disjoint_parts():
    seen = []

    def metric(real, part):
        seen.append(part)
        return part.sum().item()

    fake = torch.arange(11.0)[:, None]
    mean, deviation = over_parts(metric, fake, fake, 4)
    assert [len(part) for part in seen] == [2, 2, 2, 2] and len(torch.cat(seen).unique()) == 8
    sums = [part.sum().item() for part in seen]
    assert (mean, deviation) == (pytest.approx(fmean(sums)), pytest.approx(stdev(sums)))
    for parts in (0, 1, 6):
        with pytest.raises(InputError, match=f"11 fakes do not make {parts} parts: take 2 to 5"):
            over_parts(metric, fake, fake, parts)
    with pytest.raises(InputError, match="too few: give 4 rows or more"):
        over_parts(metric, fake, fake[:3], 2)


def test_a_bootstrap_lies_above_the_value_that_it_should_surround():
    """And parts show the value at their own size: 84/250, as in the test of the bias."""
    real, fake = whitened(5000, 16), normal(1000, 16, 3)
    plain = frechet_distance(real, fake)
    random = torch.Generator().manual_seed(0)
    again = [frechet_distance(real, fake[torch.randint(1000, (1000,), generator=random)]) for _ in range(40)]
    assert min(again) > plain and fmean(again) > 1.6 * plain
    mean, deviation = over_parts(frechet_distance, real, fake, 4)
    assert mean == pytest.approx(84 / 250, rel=0.2) and deviation < 0.2 * mean


def all_of_them(x, y, z):
    return [
        frechet_distance(x, y),
        frechet_at_infinity(x, y, (60, 120)),
        kernel_distance(x, y),
        *precision_recall(x, y),
        *density_coverage(x, y),
        copying(x, y, z),
    ]


def test_blocks_change_nothing(monkeypatch):
    x, y, z = normal(150, 6, 0), normal(130, 6, 1) + 0.3, normal(70, 6, 2)
    expected = all_of_them(x, y, z)
    for block in (1, 7, 130):
        monkeypatch.setattr(metrics, "BLOCK", block)
        assert all_of_them(x, y, z) == pytest.approx(expected, rel=1e-9)


class Largest(TorchDispatchMode):
    """Remembers how many numbers the largest result of an operation has."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return out


def test_no_matrix_of_all_pairs_is_ever_made(monkeypatch):
    monkeypatch.setattr(metrics, "BLOCK", 10)
    x, y, z = (normal(600, 6, seed) for seed in range(3))
    with Largest() as largest:
        all_of_them(x, y, z)
    assert largest.numbers == 10 * 600


def test_precision_of_the_input_hardly_matters():
    x, y, z = (10 * normal(300, 8, seed) + 20 for seed in range(3))
    expected = all_of_them(x, y, z)
    assert all_of_them(x.float(), y.float(), z.float()) == pytest.approx(expected, rel=1e-4)
    assert all(type(value) is float for value in expected)


@pytest.mark.parametrize(
    "metric",
    [
        frechet_distance,
        lambda x, y: frechet_at_infinity(x, y, (2, 4)),
        kernel_distance,
        precision_recall,
        density_coverage,
        lambda x, y: copying(x, y, x),
        lambda x, y: copying(x, x, y),
        lambda x, y: over_parts(frechet_distance, x, y, 2),
    ],
)
def test_features_that_cannot_be_measured(metric):
    x = normal(20, 3, 0)
    hole = x.clone()
    hole[4, 1] = float("nan")
    hole[7, 0] = float("inf")
    cases = {
        r"\(20, 3\).* cannot be compared: give \(n, d\), the same d": x[:, :2],
        r"cannot be compared: give \(n, d\), the same d for all": x[:, :, None],
        r"are too few: give \d rows or more": x[:1],
        r"2 rows of features are not finite: look at the pictures": hole,
    }
    for message, bad in cases.items():
        with pytest.raises(InputError, match=message):
            metric(x, bad)
    metric(x, x + 1)


def test_balls_need_more_rows_than_neighbours():
    x = normal(6, 3, 0)
    density_coverage(x, x)
    with pytest.raises(InputError, match=r"\(6, 3\) and \(5, 3\) are too few: give 6 rows or more"):
        density_coverage(x, x[:5])
    with pytest.raises(InputError, match="give 4 rows or more"):
        precision_recall(x[:3], x)


def test_every_measure_has_its_own_pictures():
    """Held-out, fakes and training set each stand where the measure wants them."""
    real, fake, train = normal(300, 4, 1), 2 * normal(300, 4, 2), normal(200, 4, 3)
    assert measures_of(real, fake, train) == {
        "distance": frechet_distance(real, fake),
        "kernel_distance": kernel_distance(real, fake),
        **dict(zip(("precision", "recall"), precision_recall(real, fake), strict=True)),
        **dict(zip(("density", "coverage"), density_coverage(real, fake), strict=True)),
        "copying": copying(fake, train, real),
    }
    assert measures_of(real, train, train)["copying"] == 0


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
