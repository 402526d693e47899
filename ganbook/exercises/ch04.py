"""Checkers of chapter 04, Convolution arithmetic."""

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

from ganbook.convolution import conv_output_size, overlap, receptive_field, transposed_output_size
from ganbook.exercises import exercise, expect, none_of

PRINTED = (4, 2, 1)  # kernel, stride and padding of the tutorial's layers


def one_of(found, mistakes):
    """End with the diagnosis whose value was found."""
    for diagnosis, wrong in mistakes.items():
        expect(found != wrong, diagnosis)


@exercise("04.1")
def two_ways_up(answer):
    """two stacks from 1 to 64: with one other layer, and with 4, 2, 1 alone"""
    expect(isinstance(answer, tuple | list) and len(answer) == 2, "hand in two lists of layers: (mended, longer)")
    for name, layers in zip(("mended", "longer"), answer, strict=True):
        expect(
            all(isinstance(layer, tuple | list) and len(layer) == 3 for layer in layers),
            f"{name}: a layer is (kernel, stride, padding)",
        )
        sizes = [1]
        for kernel, stride, padding in layers:
            sizes.append(transposed_output_size(sizes[-1], kernel, stride, padding))
        way, changed = " → ".join(map(str, sizes)), sum(tuple(layer) != PRINTED for layer in layers)
        expect(sizes[-1] >= 64, f"{name}: {way} stops short of 64: there is a doubling too few")
        expect(sizes[-1] == 64, f"{name}: {way} goes beyond 64")
        if name == "longer":
            expect(not changed, "longer: it has other layers than 4, 2, 1")
            break
        expect(len(layers) == 5, f"mended: {len(layers)} layers; the four printed ones and one more are 5")
        expect(changed < 3, f"mended: {changed} layers are not 4, 2, 1; it can be had with one")


@exercise("04.2")
def scores_and_fields(answer):
    """how many scores there are along a side, how far each sees, and how far apart"""
    expect(isinstance(answer, tuple | list) and len(answer) == 3, "hand in three numbers: (side, sees, apart)")
    side, sees, apart = answer
    halving, last = [nn.Conv2d(1, 1, 4, 2, 1) for _ in range(3)], nn.Conv2d(1, 1, 4, 1, 0)
    right = nn.Sequential(*halving, last)(torch.zeros(1, 1, 64, 64)).shape[-1]
    field = receptive_field([(4, 2)] * 3 + [(4, 1)])
    one_of(
        side,
        {
            "side: one score would need a fourth halving; count the positions of the last kernel": 1,
            "side: 8 is what the last layer reads; its kernel has fewer positions": 8,
            "side: a kernel of 4 has 8 - 4 + 1 positions on 8 pixels, the first and the last included": 4,
            "side: that is their number; along one side it is the root": right**2,
        },
    )
    expect(side == right, f"side: it is not {side}: go through the four layers with conv_output_size")
    one_of(
        sees,
        {
            "sees: that is a feature before the last layer; a score reads 4 of them along a side": 22,
            "sees: four features lie 8 apart, but each sees more than 8 pixels: fields overlap": 32,
            "sees: the whole picture would need more layers": 64,
        },
    )
    expect(sees == field.size, f"sees: it is not {sees}: each layer adds (kernel - 1) times the strides before it")
    expect(apart != 16, "apart: the last layer has stride 1 and doubles nothing")
    expect(apart == field.jump, f"apart: it is not {apart}: multiply the strides")


@exercise("04.3")
def linear_inputs(answer):
    """both sides, halved as often as asked, times the channels"""
    for side, halvings, channels in ((64, 4, 512), (32, 2, 12), (256, 3, 10)):
        n = side
        for _ in range(halvings):
            n = conv_output_size(n, 4, 2, 1)
        found = answer(side, halvings, channels)
        expect(found is not None, "nothing came back: return the number")
        given = f"side {side}, {halvings} halvings, {channels} channels"
        one_of(
            found,
            {
                f"{given}: that is one row of pixels: a picture has two sides": n * channels,
                f"{given}: that is one pixel: divide the side by 2**halvings, not by itself": channels,
                f"{given}: only one of the sides is halved": side * n * channels,
                f"{given}: halvings multiply: 2 · 2 · … is 2**halvings, not 2 · halvings": (
                    (side // (2 * halvings)) ** 2 * channels if halvings != 2 else None
                ),
                f"{given}: the number of halvings does not count in yours": (side // 16) ** 2 * channels
                if halvings != 4
                else None,
            },
        )
        expect(found == n * n * channels, f"{given}: {found}, but so many features are there: {n * n * channels}")
        expect(isinstance(found, int), f"{given}: a Linear takes a whole number: divide with //")


@exercise("04.4")
def even_triples(answer):
    """all of them: 32 becomes 96, and inside every pixel gets as many stamps"""
    settings = list(product(range(1, 10), range(4), range(3)))
    triples = [(k, p, extra) for k, p, extra in settings if transposed_output_size(32, k, 3, p, extra) == 96]
    even = {(k, p, extra) for k, p, extra in triples if len(set(overlap(32, k, 3, p, extra)[9:-9])) == 1}
    expect(
        all(isinstance(one, tuple | list) and len(one) == 3 for one in answer),
        "hand in a list of (kernel, padding, output padding)",
    )
    found = {tuple(one) for one in answer}
    for k, p, extra in sorted(found):
        expect(
            (k, p, extra) in settings,
            f"{(k, p, extra)}: out of range; the order is kernel, padding, output padding",
        )
        size, counts = transposed_output_size(32, k, 3, p, extra), overlap(32, k, 3, p, extra)[9:15]
        expect(size == 96, f"{(k, p, extra)} makes {size} of 32")
        expect(
            (k, p, extra) in even, f"{(k, p, extra)}: uneven, inside the counts are {' '.join(map(str, counts))} …"
        )
    expect(
        any(extra for *_, extra in found),
        "try output padding, too; and the border may be uneven, the count is that inside",
    )
    expect(found == even, f"{len(even - found)} missing: which kernels does the stride divide?")


@exercise("04.6")
def by_convolution(answer):
    """what conv_transpose2d gives, for any kernel, stride and padding"""
    x, weight = torch.randn(2, 3, 5, 5), torch.randn(3, 3, 4, 4)
    spread = torch.zeros(2, 3, 9, 9)
    spread[..., ::2, ::2] = x
    found = answer(x, weight, 2, 1)
    right = conv_transpose2d(x, weight, stride=2, padding=1)
    expect(isinstance(found, Tensor), "return the output, a tensor")
    side = found.shape[-1]
    one_of(
        side,
        {
            "too small: pad with k - 1 - p zeros, not with p": 8,
            "too large: pad with k - 1 - p zeros, since p is what a transposed convolution cuts off": 12,
            "one row too many: no zeros follow the last pixel": 11,
            "too large: between two pixels there are s - 1 zeros, not s": 14,
            "too small: the zeros between the pixels are missing": 6,
        },
    )
    expect(found.shape == right.shape, f"the shape is {tuple(found.shape)}; it should be {tuple(right.shape)}")
    flipped = weight.flip(2, 3)
    mistakes = {
        "the kernel is not turned round by 180°": conv2d(spread, weight.transpose(0, 1), padding=2),
        "the channels of the kernel are not exchanged: conv2d reads (out, in, k, k)": conv2d(
            spread, flipped, padding=2
        ),
        "the kernel is neither turned round nor are its channels exchanged": conv2d(spread, weight, padding=2),
        "the kernel is mirrored in one direction: 180° is both": conv2d(
            spread, weight.flip(3).transpose(0, 1), padding=2
        ),
    }
    none_of(found, mistakes)
    for n, k, s, p in ((5, 4, 2, 1), (6, 3, 1, 1), (4, 5, 3, 2), (7, 3, 2, 0), (5, 3, 2, 2)):
        x, weight = torch.randn(2, 3, n, n), torch.randn(3, 2, k, k)
        found, right = answer(x, weight, s, p), conv_transpose2d(x, weight, stride=s, padding=p)
        same = found.shape == right.shape and found.allclose(right, atol=1e-4)
        expect(same, f"n = {n}, kernel {k}, stride {s}, padding {p}: it is not what conv_transpose2d gives")


@exercise("04.7")
def joined_kernel(answer):
    """the one 4 × 4 kernel that does both steps"""
    w = torch.randn(1, 1, 3, 3)
    joined = answer(w)
    expect(
        isinstance(joined, Tensor) and joined.shape == (1, 1, 4, 4),
        f"return a kernel of shape (1, 1, 4, 4); yours: {tuple(getattr(joined, 'shape', ()))}",
    )
    right = conv2d(torch.ones(1, 1, 2, 2), w, padding=2)
    mistakes = {
        "it is the right one turned round by 180°: conv2d does not turn its kernel, stamping does": right.flip(
            2, 3
        ),
        "it is a fourth of the right one: pixels are repeated, not averaged": right / 4,
        "w alone, with a rim of zeros, reads each pixel once; a repeated pixel is met by several of its weights": (
            pad(w, (0, 1, 0, 1))
        ),
        "the same on the other side: a repeated pixel is met by several of w's weights": pad(w, (1, 0, 1, 0)),
    }
    none_of(joined, mistakes)
    x = torch.randn(1, 1, 6, 6)
    twice = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    apart = (conv_transpose2d(x, joined, stride=2, padding=1) - conv2d(twice, w, padding=1)).abs().max()
    expect(apart < 1e-4, f"on a random picture the two ways differ by {apart:.2f}")
