"""Ways through latent space, the angle between vectors, inversion, the first layer's directions, linear probes."""

from math import pi, radians, sin

import pytest
import torch
from torch import nn

from ganbook.dcgan import ConvGenerator, StemGenerator
from ganbook.errors import InputError
from ganbook.latent import LinearProbe, angle, first_layer_directions, invert, linear, spherical
from ganbook.mlp import MLPGenerator
from ganbook.sampling import generate


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_ways_begin_and_end_where_they_should():
    a, b = drawn(2, 5, 100)
    for way in (linear, spherical):
        assert way(a, b, 0).allclose(a, atol=1e-6) and way(a, b, 1).allclose(b, atol=1e-6)
        assert way(a, b, 0.3).allclose(way(b, a, 0.7), atol=1e-6)
        assert way(a, b, 0.3).dtype == a.dtype


def test_the_arc_in_a_plane_by_hand():
    a, b = torch.eye(2)[:1], torch.tensor([[0.5, sin(radians(60))]])  # 60 degrees apart
    half = spherical(a, b, 0.5)
    assert half.allclose(torch.tensor([[sin(radians(60)), 0.5]]))  # 30 degrees
    assert linear(a, b, 0.5).allclose(torch.tensor([[0.75, sin(radians(60)) / 2]]))


def test_the_arc_keeps_length_and_speed():
    a, b = nn.functional.normalize(drawn(2, 7, 30), dim=2)
    points = torch.stack([3 * spherical(a, b, i / 10) for i in range(11)])
    assert (points.norm(dim=2) - 3).abs().max() < 1e-5
    turns = torch.stack([angle(p, q) for p, q in zip(points[:-1], points[1:], strict=True)])
    assert (turns / turns.mean(0) - 1).abs().max() < 1e-4


def test_small_angles_are_exact():
    a = torch.eye(3)[:1].double()
    for small in (1e-3, 1e-7, 1e-12):
        b = a + small * torch.eye(3)[1:2].double()
        assert angle(a, b).item() == pytest.approx(small, rel=1e-5)
    assert angle(a, -a).item() == pytest.approx(pi)


def test_parallel_vectors_go_straight():
    a = drawn(50, 100)
    for b in (a, 2 * a, a + 1e-6 * a.roll(1, 0)):
        for t in (0.0, 0.25, 1.0):
            assert spherical(a, b, t).allclose(linear(a, b, t), atol=1e-5)


def test_no_jump_where_the_formula_gives_way_to_the_straight_line():
    a, across = torch.eye(2)[:1].double(), torch.eye(2)[1:].double()
    below, above = (spherical(a, a + tilt * across, 0.3) for tilt in (0.99e-4, 1.01e-4))
    assert (below - above).abs().max() < 1e-6


@pytest.mark.parametrize("b", [-drawn(1, 9), -3 * drawn(1, 9), torch.zeros(1, 9)])
def test_no_arc_joins_opposites_or_zero(b):
    with pytest.raises(InputError, match="no single arc"):
        spherical(drawn(1, 9), b, 0.5)


class Affine(nn.Module):
    """A G whose inverse is known: pictures of 2 x 2 pixels, x = 0.2 z."""

    def __init__(self):
        super().__init__()
        self.latent_dim, self.weight = 4, nn.Parameter(torch.tensor(0.2))

    def forward(self, z, y=None):
        return (self.weight * z).view(-1, 1, 2, 2)


def test_inversion_finds_the_z_of_an_invertible_G():
    G, z = Affine(), drawn(3, 4)
    x = generate(G, z)
    found, errors = invert(G, x, drawn(3, 4, seed=1), steps=400, lr=0.05)
    assert found.allclose(z, atol=1e-2) and not found.requires_grad
    assert errors.shape == (401, 3) and (errors[-1] < 1e-4 * errors[0]).all()
    assert errors[0].allclose((0.2 * (drawn(3, 4, seed=1) - z)).square().mean(1))


def test_every_picture_is_a_search_of_its_own():
    torch.manual_seed(0)
    G, x, start = ConvGenerator(16, width=8), drawn(3, 3, 16, 16).tanh(), drawn(3, 100, seed=1)
    together, errors = invert(G, x, start, steps=5)
    alone, error = invert(G, x[1:2], start[1:2], steps=5)
    assert together[1:2].allclose(alone, atol=1e-4) and errors[:, 1:2].allclose(error, atol=1e-5)


def test_inversion_leaves_G_and_the_start_as_they_were():
    G = ConvGenerator(16, width=8).train()
    before = {name: value.clone() for name, value in G.state_dict().items()}
    start = drawn(2, 100)
    invert(G, torch.zeros(2, 3, 16, 16), start, steps=2)
    assert G.training and start.equal(drawn(2, 100))
    assert all(value.equal(before[name]) for name, value in G.state_dict().items())
    assert all(parameter.grad is None for parameter in G.parameters())


def test_holding_brings_the_length_back():
    G, x = Affine(), torch.full((1, 1, 2, 2), 2.0)  # z = 10, far longer than 2
    free, _ = invert(G, x, drawn(1, 4), steps=600, lr=0.1)
    held, _ = invert(G, x, drawn(1, 4), steps=600, lr=0.1, hold=100.0)
    assert free.norm().item() == pytest.approx(20, rel=0.02)
    assert held.norm().item() == pytest.approx(2, rel=0.05)


def test_starts_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"starts of shape \(1, 100\).*give \(2, 100\)"):
        invert(ConvGenerator(16, width=8), torch.zeros(2, 3, 16, 16), drawn(1, 100))


@pytest.mark.parametrize("build", [lambda: ConvGenerator(16, width=8), StemGenerator, MLPGenerator])
def test_directions_of_the_first_layer(build):
    torch.manual_seed(0)
    G = build()
    directions, factors = first_layer_directions(G)
    assert directions.shape == (100, 100) and factors.shape == (100,)
    assert (directions @ directions.T).allclose(torch.eye(100), atol=1e-4)
    assert (factors.diff() <= 0).all()
    layer = next(m for m in G.modules() if isinstance(m, nn.Linear | nn.ConvTranspose2d))
    at_0 = torch.zeros(1, 100)
    z = directions if isinstance(layer, nn.Linear) else directions[..., None, None]
    zero = at_0 if isinstance(layer, nn.Linear) else at_0[..., None, None]
    with torch.no_grad():
        went = (layer(z) - layer(zero)).flatten(1).norm(dim=1)
    assert went.allclose(factors, rtol=1e-3)


def test_a_probe_reads_what_is_linear_and_only_that():
    x = drawn(4_000, 20)
    halves, products = (x[:, 0] > 0).long(), (x[:, 0] * x[:, 1] > 0).long()
    train, test = slice(0, 2_000), slice(2_000, 4_000)
    probe = LinearProbe(x[train], halves[train], 2)
    assert probe.accuracy(x[test], halves[test]) > 0.95
    assert abs(probe.directions()[1, 0].item()) > 0.98
    bent = LinearProbe(x[train], products[train], 2)
    assert abs(bent.accuracy(x[test], products[test]) - 0.5) < 0.06


def test_a_scale_or_a_shift_of_a_coordinate_changes_no_answer():
    x, y = drawn(300, 6), torch.arange(300) % 4
    scale, shift = torch.tensor([1e-2, 1, 5, 100, 2, 3.0]), torch.arange(6.0)
    plain, other = LinearProbe(x, y, 4), LinearProbe(x * scale + shift, y, 4)
    assert plain(x).equal(other(x * scale + shift))


def test_ridge_regression_by_hand_also_with_fewer_vectors_than_numbers():
    for n, d in ((60, 5), (20, 40)):
        x, y = drawn(n, d), torch.arange(n) % 3
        z = ((x - x.mean(0)) / x.std(0, correction=0)).double()
        code = nn.functional.one_hot(y, 3).double()
        inner = z.T @ z + 0.1 * n * torch.eye(d)
        weights = torch.linalg.solve(inner, z.T @ (code - code.mean(0)))
        probe = LinearProbe(x, y, 3)
        assert torch.from_numpy(probe.fit.coef_.T).allclose(weights, atol=1e-5)
        assert probe(x).equal((z @ weights + code.mean(0)).argmax(1))


def test_a_value_that_never_occurs_keeps_its_place():
    x, y = drawn(200, 5), torch.arange(200) % 2 * 2  # 0 and 2 of 3
    probe = LinearProbe(x, y, 3)
    assert probe.directions().shape == (3, 5) and set(probe(x).tolist()) <= {0, 2}


def test_a_constant_coordinate_is_no_trouble():
    x, y = torch.cat([drawn(50, 3), torch.ones(50, 1)], 1), torch.arange(50) % 2
    assert LinearProbe(x, y, 2).directions().isfinite().all()


def test_vectors_and_labels_that_do_not_belong_together_are_refused():
    with pytest.raises(InputError, match=r"vectors \(5, 3\) and labels \(4,\)"):
        LinearProbe(drawn(5, 3), torch.zeros(4, dtype=torch.int64), 2)
