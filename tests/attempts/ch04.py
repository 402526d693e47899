"""Wrong attempts at the exercises of chapter 04."""

from itertools import product

import torch
from torch.nn.functional import conv2d, conv_transpose2d, interpolate, pad

from attempts import WRONG
from ganbook.convolution import overlap, transposed_output_size

DOUBLE, SIX = (4, 2, 1), [(4, 2, 1)] * 6
WRONG += [
    ("04.1", [(4, 1, 0)] + [DOUBLE] * 4, "two lists of layers"),
    ("04.1", ([(4, 1, 0)] + [DOUBLE] * 3, SIX), "1 → 4 → 8 → 16 → 32 stops short"),
    ("04.1", ([(4, 1, 0)] + [DOUBLE] * 5, SIX), "goes beyond 64"),
    ("04.1", (SIX, SIX), "6 layers"),
    ("04.1", ([(4, 1, 0)] + [DOUBLE] * 4, [(4, 1, 0)] + [DOUBLE] * 4), "other layers than 4, 2, 1"),
    ("04.1", ([(4, 1, 0)] + [(2, 2, 0)] * 4, SIX), "5 layers are not"),
    ("04.1", ([4, 8, 16, 32, 64], SIX), "a layer is (kernel, stride, padding)"),
    ("04.2", (1, 46, 8), "a fourth halving"),
    ("04.2", (25, 46, 8), "that is their number"),
    ("04.2", (4, 46, 8), "8 - 4 + 1"),
    ("04.2", (5, 22, 8), "before the last layer"),
    ("04.2", (5, 32, 8), "fields overlap"),
    ("04.2", (5, 46, 16), "the last layer has stride 1"),
    ("04.2", (2, 1, 5, 5), "three numbers"),
    ("04.3", lambda side, halvings, channels: side // side * side // side * channels, "that is one pixel"),
    ("04.3", lambda side, halvings, channels: side // 2**halvings * channels, "one row"),
    ("04.3", lambda side, halvings, channels: side * side // 2**halvings * channels, "only one of the sides"),
    ("04.3", lambda side, halvings, channels: (side // (2 * halvings)) ** 2 * channels, "halvings multiply"),
    ("04.3", lambda side, halvings, channels: (side // 16) ** 2 * channels, "does not count"),
    ("04.3", lambda side, halvings, channels: (side / 2**halvings) ** 2 * channels, "divide with //"),
]

TRIPLES = [
    s for s in product(range(1, 10), range(4), range(3)) if transposed_output_size(32, s[0], 3, *s[1:]) == 96
]
WRONG += [
    ("04.4", TRIPLES, "uneven, inside"),
    ("04.4", [(3, 0, 0), (9, 3, 0)], "try output padding"),
    ("04.4", [(3, 0, 0), (6, 1, 0), (9, 3, 0)], "makes 97 of 32"),
    ("04.4", [(3, 0, 0), (3, 1, 2), (9, 3, 0)], "1 missing"),
    ("04.4", [(3, 0, 3, 0), (9, 3, 3, 0)], "a list of (kernel"),
    ("04.4", [(k, extra, p) for k, p, extra in TRIPLES], "of 32"),
    ("04.4", [s for s in TRIPLES if len(set(overlap(32, s[0], 3, *s[1:]))) == 1], "output padding"),
]


def spread(x, stride, between=None, behind=0):
    step = stride if between is None else between + 1
    apart = x.new_zeros(*x.shape[:2], *[(x.shape[-1] - 1) * step + 1 + behind] * 2)
    apart[..., ::step, ::step] = x
    return apart


def turned(weight):
    return weight.flip(2, 3).transpose(0, 1)


def needed(weight, padding):
    return weight.shape[-1] - 1 - padding


WRONG += [
    (
        "04.6",
        lambda x, w, s, p: conv2d(spread(x, s), turned(w), padding=p),
        "pad with k - 1 - p zeros, not with p",
    ),
    ("04.6", lambda x, w, s, p: conv2d(spread(x, s), turned(w), padding=w.shape[-1] - 1), "cuts off"),
    (
        "04.6",
        lambda x, w, s, p: conv2d(spread(x, s, between=s), turned(w), padding=needed(w, p)),
        "s - 1 zeros, not s",
    ),
    (
        "04.6",
        lambda x, w, s, p: conv2d(spread(x, s, behind=s - 1), turned(w), padding=needed(w, p)),
        "no zeros follow",
    ),
    ("04.6", lambda x, w, s, p: conv2d(spread(x, s), w.transpose(0, 1), padding=needed(w, p)), "is not turned"),
    ("04.6", lambda x, w, s, p: conv2d(spread(x, s), w.flip(2, 3), padding=needed(w, p)), "are not exchanged"),
    ("04.6", lambda x, w, s, p: conv2d(spread(x, s), w, padding=needed(w, p)), "neither"),
    ("04.6", lambda x, w, s, p: conv2d(x, turned(w), padding=needed(w, p)), "between the pixels are missing"),
    (
        "04.6",
        lambda x, w, s, p: conv2d(spread(x, 2), turned(w), padding=needed(w, p)),
        "n = 6, kernel 3, stride 1",
    ),
    ("04.7", lambda w: conv_transpose2d(torch.ones(1, 1, 2, 2), w), "turned round by 180°"),
    ("04.7", lambda w: conv2d(torch.full((1, 1, 2, 2), 0.25), w, padding=2), "a fourth"),
    ("04.7", lambda w: pad(w, (0, 1, 0, 1)), "rim of zeros"),
    ("04.7", lambda w: interpolate(w, size=4), "differ by"),
    ("04.7", lambda w: w.repeat_interleave(2, 2).repeat_interleave(2, 3), "(1, 1, 4, 4)"),
]
