"""Checkers of chapter 07, The CGAN."""

from math import log

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, one_hot

from ganbook.conditional import ConditionalGenerator, PlanesDiscriminator, ProjectionDiscriminator
from ganbook.dcgan import StridedDiscriminator
from ganbook.exercises import exercise, expect, none_of, number
from ganbook.mlp import PointGenerator


@exercise("07.1")
def best_answer(answer):
    """the best D for any shares of the labels, at each label and place"""
    for places in (3, 5):  # 3 labels
        p, q = torch.randn(2, 3, places).double().softmax(2)
        of_p, of_q = torch.randn(2, 3).double().softmax(1)
        real, fake = of_p[:, None] * p, of_q[:, None] * q
        found = answer(p, q, of_p, of_q)
        expect(
            isinstance(found, Tensor) and found.shape == p.shape, "return D at each label and place, like p and q"
        )
        mistakes = {
            "the shares are left out: a real pair has the density p(y) p(x | y)": p / (p + q),
            "the shares are exchanged: real labels come with p(y), those of fakes with r(y)": (
                of_q[:, None] * p / (of_q[:, None] * p + of_p[:, None] * q)
            ),
            "that is how D answers where q = p; in general both densities count": (
                (of_p / (of_p + of_q))[:, None].expand_as(p)
            ),
            "that is the logit: return D, a probability": (real / fake).log(),
            "you add over the labels, but D reads the label": (real.sum(0) / (real + fake).sum(0)).expand_as(p),
        }
        if places == 3:
            mistakes["a share belongs to a label, so to a row: multiply by share[:, None]"] = (
                of_p * p / (of_p * p + of_q * q)
            )
        none_of(found.double(), mistakes)
        expect(
            found.double().allclose(real / (real + fake), rtol=1e-4), "it is not real / (real + fake) at each pair"
        )


@exercise("07.2")
def extra_weights(answer):
    """what K labels add to D by either way, and to G"""

    def count(net):
        return sum(p.numel() for p in net.parameters())

    for K in (3, 7):
        plain = count(StridedDiscriminator())
        planes = count(PlanesDiscriminator(StridedDiscriminator(channels=1 + K), (K,))) - plain
        projection = count(ProjectionDiscriminator(StridedDiscriminator(), (K,))) - plain
        table = ConditionalGenerator(PointGenerator(20), (K,)).embeddings[0].weight.numel()
        found = answer(K)
        expect(
            isinstance(found, tuple | list) and len(found) == 3 and None not in found,
            "return three numbers: (planes, projection, embedding)",
        )
        mistakes = {
            "planes: a plane is read by 64 kernels, not by one": (16 * K, None, None),
            "planes: each of the 64 kernels has 4 × 4 weights for a plane": (64 * K, None, None),
            "planes: the picture's own channel is there without labels, too": (1024 * (K + 1), None, None),
            "planes: that is how many numbers are read, not how many weights": (28 * 28 * K, None, None),
            "projection: each label's score has a bias, too": (None, 6272 * K, None),
            "projection: D keeps 128 features at each of 7 × 7 places": (None, 128 * K, None),
            "projection: the one logit was there before": (None, 6273 * (K + 1), None),
            "embedding: the weights that read it do not grow with K; count the table": (
                None,
                None,
                16 * (K + 1024),
            ),
            "embedding: each label has 16 numbers": (None, None, K),
        }
        for diagnosis, wrong in mistakes.items():
            expect(not any(a == b for a, b in zip(found, wrong, strict=True)), diagnosis)
        for name, a, b in zip(
            ("planes", "projection", "embedding"), found, (planes, projection, table), strict=True
        ):
            expect(a == b, f"{name}: for K = {K} the package's have {b:,} more; yours {a:,}")


@exercise("07.3")
def for_one_hot(answer):
    """a layer that makes of z and the one-hot code what the other makes of z and the embedding"""
    for K in (4, 6):
        first, table = nn.Linear(3 + 4, 5).requires_grad_(False), torch.randn(K, 4)
        layer = answer(first, table)
        shape = tuple(getattr(getattr(layer, "weight", None), "shape", ()))
        expect(shape == (5, 3 + K), f"return a Linear from {3 + K} to 5 numbers: z and a number for each label")
        z, y = torch.randn(8, 3), torch.arange(8) % K
        code = torch.cat([z, one_hot(y, K).float()], 1)
        found, right = layer(code).detach(), first(torch.cat([z, table[y]], 1))
        W_z, W_y = first.weight.split([3, 4], 1)
        weights = {"z comes first in the input, so its columns come first": torch.cat([W_y @ table.T, W_z], 1)}
        if K == 4:
            weights["the table is not turned: column y is W_y times row y of the table"] = torch.cat(
                [W_z, W_y @ table], 1
            )
            weights["the columns are those of the embedding; what a label shifts by is W_y e_y"] = first.weight
        none_of(found, {diagnosis: linear(code, W, first.bias) for diagnosis, W in weights.items()})
        off = found - right
        expect(
            off.abs().max() < 1e-4 or not off.allclose(off[:1].expand_as(off), atol=1e-4),
            "the weights are right, the bias is not the one of the first layer",
        )
        expect(off.abs().max() < 1e-4, "its outputs are others: the columns of z stay, that of label y is W_y e_y")


@exercise("07.4")
def without_label(answer):
    """the best q of a G that is not told, and what the best D makes of it"""
    expect(isinstance(answer, tuple | list) and len(answer) == 3, "hand in three numbers: (q, D, V)")
    found = torch.stack([number(one).double() for one in answer])
    own = torch.linspace(0, 1, 1001, dtype=torch.float64)  # q at label 0's place; at label 1's it is 1 - own

    def V_of(own):  # the best D: 1/(1 + q) at the label's own place, 0 at the other
        return torch.xlogy(own, own / (1 + own)) - (1 + own).log()

    game = (V_of(own) + V_of(1 - own)) / 2
    q, V = own[game.argmin()], game.min()
    none_of(found[0], {"q: one place for all costs more, since every second label asks for the other": 1.0})
    none_of(
        found[1],
        {
            "D: ½ would need as many fakes as data at the label's place; there is half of q": 0.5,
            "D: fakes are at the label's place, too, so D cannot be certain": 1.0,
            "D: that is the other way round, the probability of fake": 1 / 3,
        },
    )
    none_of(
        found[2],
        {
            "V: -log 4 would need q = p for each label": -log(4),
            "V: that is what the data give; the fakes at the label's place give something, too": log(2 / 3),
            "V: only half of the fakes are at the label's place; the others give log 1": log(2 / 3) - log(3),
            "V: a fake gives log(1 - D), and 1 - 2/3 is 1/3": 1.5 * log(2 / 3),
        },
    )
    for name, a, b in zip("qDV", found, (q, 1 / (1 + q), V), strict=True):
        expect(
            abs(a - b) < 6e-3,
            f"{name}: {a:.3f} is not it: write V for the best D as a function of q, and find its minimum",
        )


@exercise("07.5")
def on_the_way(answer):
    """what G draws for a point between two labels, with the same z"""
    G = ConditionalGenerator(PointGenerator(2 + 3), (4,), 3)
    nn.init.normal_(G.embeddings[0].weight)
    z, table = torch.randn(6, 2), G.embeddings[0].weight.detach()
    modes: list[bool] = []
    G.G.register_forward_pre_hook(lambda net, given: modes.append(net.training))
    for a, b, t in ((1, 3, 0.25), (2, 0, 0.6)):
        modes.clear()
        found = answer(G.train(), z, a, b, t)
        in_training = any(modes)
        expect(isinstance(found, Tensor) and found.shape == (6, 2), "return what G.G makes of each z")

        def draw(e, first=()):
            return G.G(torch.cat([*first, e.expand(6, -1)] if first else [e.expand(6, -1), z], 1)).detach()

        pictures = [draw(table[label], [z]) for label in (a, b)]
        e = (1 - t) * table[a] + t * table[b]
        mistakes = {
            "t runs the wrong way: t = 0 is the first label": draw(t * table[a] + (1 - t) * table[b], [z]),
            "you mix two pictures: mix the labels, and draw once": (1 - t) * pictures[0] + t * pictures[1],
            "z comes first, then the label": draw(e),
            "that is the one label, without the other": pictures[0],
            "that is the other label, without the one": pictures[1],
        }
        none_of(found.detach(), mistakes)
        right = found.detach().allclose(draw(e, [z]), atol=1e-4)
        expect(right, f"t = {t}: it is not what G.G makes of z and (1 - t) e_a + t e_b")
        expect(not in_training, "G draws in training mode, where pictures depend on each other: use `evaluating`")


@exercise("07.6")
def sd_of_accuracy(answer):
    """the standard deviation of a mean of n coin tosses"""
    for a, n in ((0.94, 100), (0.3, 50), (0.5, 4000)):
        found = number(answer(a, n)).double()
        right = (torch.distributions.Binomial(n, torch.tensor(a).double()).variance.sqrt() / n).item()
        mistakes = {
            "that is the variance: take its root": right**2,
            "that is of a single toss: the mean of n varies less": right * n**0.5,
            "that is of the number of hits; the accuracy is that number divided by n": right * n,
            "the variance of one toss is a (1 - a), not a": (a / n) ** 0.5,
            "n belongs under the root with a (1 - a), or √n below it": right / n**0.5,
            "take the root of a (1 - a), too": a * (1 - a) / n**0.5,
        }
        for diagnosis, wrong in mistakes.items():
            expect(abs(found / wrong - 1) > 1e-3, diagnosis)
        expect(abs(found / right - 1) < 1e-3, f"a = {a}, n = {n}: it is {right:.4f}; yours is {found:.4f}")
