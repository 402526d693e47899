"""Wrong attempts at the exercises of chapter 07."""

from math import log

import torch
from torch import nn

from attempts import WRONG, wrong
from ganbook.sampling import generate


def of_shares(p, q, of_p, of_q):
    return p * of_p / (p * of_p + q * of_q)


WRONG += [
    ("07.1", lambda p, q, of_p, of_q: p / (p + q), "left out"),
    ("07.1", lambda p, q, of_p, of_q: of_shares(p, q, of_q[:, None], of_p[:, None]), "exchanged"),
    ("07.1", of_shares, "to a row"),
    ("07.1", lambda p, q, of_p, of_q: (of_p / (of_p + of_q))[:, None].expand_as(p), "where q = p"),
    ("07.1", lambda p, q, of_p, of_q: (of_p[:, None] * p / (of_q[:, None] * q)).log(), "the logit"),
    ("07.1", lambda p, q, of_p, of_q: of_p @ p / (of_p @ p + of_q @ q), "each label and place"),
    ("07.2", lambda K: (64 * K, 6273 * K, 16 * K), "4 × 4 weights"),
    ("07.2", lambda K: (16 * K, 6273 * K, 16 * K), "64 kernels"),
    ("07.2", lambda K: (1024 * (1 + K), 6273 * K, 16 * K), "own channel"),
    ("07.2", lambda K: (1024 * K, 6272 * K, 16 * K), "a bias, too"),
    ("07.2", lambda K: (1024 * K, 128 * K, 16 * K), "7 × 7 places"),
    ("07.2", lambda K: (1024 * K, 6273 * K, 16 * K + 16 * 1024), "count the table"),
    ("07.2", lambda K: 1024 * K, "three"),
    ("07.2", lambda K: (1024 * 3, 6273 * 3, 16 * 3), "for K = 7"),
]


def layer_of(weight, bias):
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data = weight
    if bias is not None:
        layer.bias.data = bias
    return layer


@wrong("07.3", "the bias is not")
def another_bias(first, table):
    W_z, W_y = first.weight.split([3, 4], 1)
    return layer_of(torch.cat([W_z, W_y @ table.T], 1), None)


@wrong("07.3", "z comes first")
def label_first(first, table):
    W_z, W_y = first.weight.split([3, 4], 1)
    return layer_of(torch.cat([W_y @ table.T, W_z], 1), first.bias)


@wrong("07.3", "the table is not turned")
def not_turned(first, table):
    W_z, W_y = first.weight.split([3, 4], 1)
    return layer_of(torch.cat([W_z, W_y @ table], 1), first.bias)


WRONG += [
    ("07.3", lambda first, table: layer_of(first.weight, first.bias), "what a label shifts by"),
    ("07.3", lambda first, table: layer_of(first.weight[:, :4], first.bias), "return a Linear from"),
    ("07.4", (1.0, 2 / 3, log(2 / 3) - log(3) / 2), "one place for all"),
    ("07.4", (0.5, 0.5, -log(4)), "as many fakes as data"),
    ("07.4", (0.5, 1.0, 0.0), "cannot be certain"),
    ("07.4", (0.5, 2 / 3, -log(4)), "q = p for each label"),
    ("07.4", (0.5, 2 / 3, log(2 / 3)), "the fakes at the label's place"),
    ("07.4", (0.5, 2 / 3, log(2 / 3) - log(3)), "only half of the fakes"),
    ("07.4", (0.25, 0.8, -1.0), "q: 0.250"),
]


def joined(G, z, e):
    return G.G(torch.cat([z, e.expand(len(z), -1)], 1))


@wrong("07.5", "you mix two pictures")
def mixed(G, z, a, b, t):
    one, other = (generate(G, z, torch.full((len(z),), label)) for label in (a, b))
    return (1 - t) * one + t * other


@wrong("07.5", "the wrong way")
def backwards(G, z, a, b, t):
    table = G.embeddings[0].weight
    return joined(G, z, t * table[a] + (1 - t) * table[b])


@wrong("07.5", "without the other")
def rounded(G, z, a, b, t):
    return generate(G, z, torch.full((len(z),), round((1 - t) * a + t * b) if t > 0.5 else a))


@wrong("07.5", "z comes first")
def label_before_z(G, z, a, b, t):
    e = torch.lerp(*G.embeddings[0].weight[[a, b]], t)
    return G.G(torch.cat([e.expand(len(z), -1), z], 1))


WRONG += [
    ("07.6", lambda a, n: a * (1 - a) / n, "the variance: take"),
    ("07.6", lambda a, n: (a * (1 - a)) ** 0.5, "a single toss"),
    ("07.6", lambda a, n: (a * (1 - a) * n) ** 0.5, "number of hits"),
    ("07.6", lambda a, n: (a / n) ** 0.5, "not a"),
    ("07.6", lambda a, n: (a * (1 - a)) ** 0.5 / n, "under the root"),
    ("07.6", lambda a, n: a * (1 - a) / n**0.5, "take the root"),
    ("07.6", lambda a, n: 0.5 / n**0.5, "yours is"),
]


@wrong("07.5", "training mode")
def in_training(G, z, a, b, t):
    table = G.embeddings[0].weight
    return G.G(torch.cat([z, ((1 - t) * table[a] + t * table[b]).expand(len(z), -1)], 1))
