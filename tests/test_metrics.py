"""Coverage and quality of samples from a mixture."""

from math import exp

import pytest
import torch

from ganbook.metrics import mode_coverage
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
