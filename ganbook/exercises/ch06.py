"""Checkers of chapter 06, Faces."""

import torch
from torch import nn

from ganbook.convolution import size_after
from ganbook.dcgan import ConvDiscriminator, ConvGenerator
from ganbook.exercises import exercise, expect, number
from ganbook.folders import count_parts


@exercise("06.1")
def most_that_move(answer):
    """the most pictures that one more can move, whatever the size of the folder"""
    for n in (306, 309, 20, 59, 1000):
        parts = [[part for part, k in count_parts([""] * m, False).items() for _ in range(k)] for m in (n, n + 1)]
        old, new = parts
        right = max(sum(a != b for a, b in zip(old, new[:i] + new[i + 1 :], strict=True)) for i in range(n + 1))
        found = number(answer(n))
        expect(found != 0, "0: the order of the others stays, but the cuts between the parts lie at tenths of all")
        expect(found != 1, "1: a new picture in test pushes one across each of the two cuts")
        expect(found <= 3, f"n = {n}: the others keep their order, so only those next to the two cuts can cross")
        expect(
            found == right or right == 2, f"n = {n}: {n + 1} has more tenths than {n}: valid and test both grow"
        )
        expect(
            found == right, f"n = {n}: {n + 1} has no more tenths than {n}: only train grows, so at most two cross"
        )


def costs(size):
    """Parameters of G, and products of a weight with a pixel that enters."""
    layers = [layer for layer in ConvGenerator(size).net if hasattr(layer, "weight")]
    side, products = 1, 0
    for layer in layers:
        products += side**2 * layer.weight.numel() if isinstance(layer, nn.ConvTranspose2d) else 0
        side = size_after(layer, side)
    return sum(p.numel() for layer in layers for p in layer.parameters()), products


@exercise("06.2")
def more_for_96(answer):
    """what 96 pixels cost more than 64, in parameters and in products"""
    expect(isinstance(answer, tuple | list) and len(answer) == 2, "hand in two numbers: (parameters, products)")
    small, large = costs(64), costs(96)
    right, taps = [b - a for a, b in zip(small, large, strict=True)], 25 - 16
    mistakes = {
        "parameters: that is the whole last kernel; the one of 4 × 4 is there already": 64 * 3 * 25,
        "parameters: the last layer makes three channels": 64 * taps,
        "parameters: that is both networks; say it of one": 2 * right[0],
        "parameters: the last layer has kernel 5 in place of 4: 9 more weights for each pair of channels": taps,
    }
    for diagnosis, wrong in mistakes.items():
        expect(answer[0] != wrong, diagnosis)
    expect(answer[0] == right[0], f"parameters: not {answer[0]:,}: which layer differs, and by how many weights?")
    expect(answer[1] > 1000, "products: hand in how many more, a whole number, not how many times as many")
    mistakes = {
        "products: each pixel that enters the last layer counts, and 32 × 32 enter, not 96 × 96": taps
        * 192
        * 96**2,
        "products: 32 × 32 pixels enter the last layer; 64 × 64 leave it, in the smaller G": taps * 192 * 64**2,
        "products: 32 pixels enter along each of two sides": taps * 192 * 32,
        "products: they are the same for every pixel that enters, and there is more than one": right[0],
        "products: 2.25 times would hold if every pixel that leaves met every weight": int(1.25 * small[1]),
        "products: that is how many there are with 96; the exercise asks how many more": large[1],
    }
    for diagnosis, wrong in mistakes.items():
        expect(answer[1] != wrong, diagnosis)
    expect(answer[1] == right[1], f"products: not {answer[1]:,}: pixels that enter times weights that each meets")


@exercise("06.3")
def depends_on_company(answer):
    """yes for batch norm, no for instance norm and for none"""
    x, others = torch.randn(2, 4, 3, 16, 16, dtype=torch.float64).tanh()
    for norm, right in ((nn.BatchNorm2d, True), (nn.InstanceNorm2d, False), (nn.Identity, False)):
        D = ConvDiscriminator(16, width=4, norm=norm).double()
        seen: list[torch.Tensor] = []
        modes: list[bool] = []
        D.register_forward_pre_hook(lambda net, given, seen=seen: seen.append(given[0].detach().clone()))
        D.register_forward_pre_hook(lambda net, given, modes=modes: modes.append(net.training))
        found = answer(D, x, others)
        expect(len(seen) > 1, "D was asked once: ask it twice, with other company")
        expect(all(modes), "D was in eval mode, where batch norm has stored means: ask it in training mode")
        sums = torch.stack([batch.sum() for batch in seen])
        expect(sums.std() > 1e-6, "the batches hold the same pictures, in whatever order: change the company")
        expect(isinstance(found, bool) or getattr(found, "shape", None) == (), "return True or False")
        name = "without a norm" if norm is nn.Identity else f"with {norm.__name__}"
        expect(
            bool(found) or not right, f"{name} you say no: compare the answers to the same pictures, one by one"
        )
        expect(right or not found, f"{name} you say yes: compare only the answers to x, up to rounding")


@exercise("06.5")
def to_nearest(answer):
    """the mean distance to the nearest, from each of the first to all of the second"""
    a, b = torch.randn(6, 3, 4, 4), torch.randn(9, 3, 4, 4)
    distances = (a.flatten(1)[:, None] - b.flatten(1)).norm(dim=2)
    found, right = number(answer(a, b)), distances.min(1).values.mean()
    mistakes = {
        "that is from each of the others to its nearest picture: take the minimum along the other axis": (
            distances.min(0).values.mean()
        ),
        "that is the mean over all pairs: first the nearest of each, then the mean": distances.mean(),
        "that is the smallest of all: first the nearest of each, then the mean": distances.min(),
        "those are squares of distances: take the root of each": distances.min(1).values.square().mean(),
        "a distance of pictures is one number for all channels and places: flatten first": (
            torch.cdist(a, b[:6]).min(-1).values.mean()
        ),
        "that is per pixel: the distance is the root of the sum of squares, not of their mean": right / 48**0.5,
        "the differences are added up without squares: the distance is the root of the sum of squares": (
            torch.cdist(a.flatten(1), b.flatten(1), p=1).min(1).values.mean()
        ),
    }
    for diagnosis, wrong in mistakes.items():
        expect(not found.isclose(wrong.to(found.dtype), rtol=1e-4), diagnosis)
    expect(found.isclose(right.to(found.dtype), rtol=1e-3), f"it is {right:.3f} here; yours is {found:.3f}")
