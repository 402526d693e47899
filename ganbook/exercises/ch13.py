"""Checkers of chapter 13, Latent space."""

from math import atan2, degrees, pi

import torch
from torch.autograd.functional import jacobian
from torch.nn.functional import normalize

from ganbook.dcgan import ConvGenerator
from ganbook.exercises import exercise, expect
from ganbook.latent import angle, linear, spherical
from ganbook.sampling import evaluating


@exercise("13.1")
def uniform_way(answer):
    """both lengths of a uniform z, and the share that stretching takes out of the cube"""
    for d in (100, 25):
        a, b = 2 * torch.rand(2, 2_000, d) - 1
        middle = linear(a, b, 0.5)
        right = [v.norm(dim=1).mean().item() for v in (a, middle)]
        right += [((2**0.5 * middle).abs() > 1).float().mean().item()]
        expect(
            isinstance(answer(d), tuple | list) and len(answer(d)) == 3,
            "return three: length, length half way, share",
        )
        found = list(map(float, answer(d)))
        for place, wrong, diagnosis in (
            (0, d**0.5, "√d is the length of a normal z: the variance of a uniform number in [-1, 1] is 1/3"),
            (0, (d / 12) ** 0.5, "1/12 is the variance of a uniform number in [0, 1]: these lie in [-1, 1]"),
            (0, d / 3, "that is the mean of the squared length: take the root"),
            (1, right[0], "half way the numbers partly cancel: the variance of a mean of two is half as large"),
            (
                1,
                right[0] / 2,
                "half as long it would be if b were -a or 0: the variance is halved, not the length",
            ),
            (2, 0.0, "after stretching by √2 the middle of two numbers near 1 lies beyond 1"),
            (2, right[2] / 2, "the triangle has two tips: beyond 1, and below -1"),
            (2, 1 - 0.5**0.5, "the density of the middle is a triangle, not a box: its tips hold little"),
        ):
            expect(abs(found[place] - wrong) > max(0.01 * wrong, 1e-3), f"d = {d}: {diagnosis}")
        off = [abs(one - other) for one, other in zip(found, right, strict=True)]
        expect(
            off[0] < 0.03 * right[0] and off[1] < 0.03 * right[1] and off[2] < 0.01,
            f"d = {d}: {found[0]:.3g}, {found[1]:.3g} and {found[2]:.3g}, but drawn ones have "
            f"{right[0]:.3g}, {right[1]:.3g} and {right[2]:.3g}",
        )


@exercise("13.2")
def degrees_at(answer):
    """the arc at a constant speed, the straight way slow at both ends"""
    a, b = torch.eye(2, dtype=torch.float64).split(1)
    for t in (0.25, 0.1, 0.5, 0.9):
        expect(isinstance(answer(t), tuple | list) and len(answer(t)) == 2, "return two angles: straight way, arc")
        straight, arc = map(float, answer(t))
        right = [angle(a, way(a, b, t)).rad2deg().item() for way in (linear, spherical)]
        expect(abs(arc - t * pi / 2) > 1e-6, "these are radians: give degrees")
        expect(t == 0.5 or abs(straight - right[1]) > 1e-6 or abs(arc - right[0]) > 1e-6, "the two are exchanged")
        for wrong, diagnosis in (
            (right[1], "straight ahead the angle does not grow evenly: its tangent is t/(1 - t)"),
            (degrees(atan2(t, 1)), "t along b, yes; but along a there is 1 - t left, not 1"),
            (90 - right[0], "that is the angle to b, or t and 1 - t exchanged: at t = 0 you stand at a"),
        ):
            expect(t == 0.5 or abs(straight - wrong) > 1e-6, f"t = {t}: {diagnosis}")
        expect(abs(straight - right[0]) < 1e-3, f"t = {t}: straight {straight:.4g}°, but it is {right[0]:.4g}°")
        expect(abs(arc - right[1]) < 1e-3, f"t = {t}: the arc {arc:.4g}°, but it is {right[1]:.4g}°")


@exercise("13.4")
def take_out(answer):
    """what is left is at right angles to all directions, and no more is gone"""
    rows = torch.randn(4, 12)
    rows[3] = -rows[:3].sum(0)  # as scores do that sum to one
    rows, arrow = normalize(rows), torch.randn(12)
    basis = torch.linalg.svd(rows, full_matrices=False)[2][:3]
    inside = basis.T @ (basis @ arrow)
    right = arrow - inside
    found = answer(arrow, rows)
    expect(torch.is_tensor(found) and found.shape == (12,), "return an arrow (d,), like the one that is given")
    expect(not found.allclose(inside, atol=1e-4), "that is what lies in their space: subtract it from the arrow")
    first = arrow - (rows[0] @ arrow) * rows[0]
    expect(not found.allclose(first, atol=1e-4), "only the first direction is out: take out all of them")
    expect(
        (rows @ found).abs().max() < 1e-3,
        "it still runs along some, for they are not at right angles: find a basis of their space first",
    )
    expect(
        torch.cosine_similarity(found, right, 0) > 0.9999,
        "more is gone than lies in their space: 4 directions that depend on each other span only 3",
    )
    expect(found.allclose(right, atol=1e-3), "its direction is right: leave the length as it comes out")


@exercise("13.5")
def jacobian_at(answer):
    """each pixel's slope by each number of z, for G in eval mode"""
    G = ConvGenerator(16, width=4, latent_dim=6).train()
    for p in G.parameters():
        p.data.mul_(3)
    with torch.no_grad():
        G(2 * torch.randn(64, 6))
    z, buffers = torch.randn(1, 6), [v.clone() for v in G.buffers()]
    with evaluating(G), torch.enable_grad():
        right = jacobian(lambda z: G(z).flatten(), z)[:, 0]
    found = answer(G, z)
    pixels = len(right)
    expect(torch.is_tensor(found), "return one tensor (C·H·W, d)")
    expect(found.shape != right.T.shape, "turned on its side: a row for each pixel, a column for each number of z")
    expect(
        found.shape == right.shape, f"{tuple(found.shape)}, but ({pixels}, 6): the picture flat, one column each"
    )
    expect(
        all(map(torch.equal, buffers, G.buffers())),
        "G ran in training mode: batch norm mixes the probes, and its buffers change; use `generate`",
    )
    found = found.detach()
    times = ((found * right).sum() / right.square().sum()).item()
    off = ((found - times * right).norm() / right.norm()).item()
    expect(
        abs(times) < 1e-3 or abs(times - 1) < 0.2 or off > 0.2 * abs(times),
        f"it is {times:.3g} times the Jacobian: divide by the way between the two z, 2h there and back",
    )
    expect(
        (found - right).norm() < 0.2 * right.norm(),
        "it is no slope at z: take small steps, one number of z at a time",
    )
