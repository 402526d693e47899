"""Networks that know labels, built around networks that do not.

Labels y are int64, (B,) where a picture has one label and (B, L) where it has L; `num_classes` says for each of
the L how many values it takes. A label below 0 or too large is refused by torch (IndexError or RuntimeError).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ganbook.dcgan import initialize
from ganbook.errors import InputError


class ConditionalGenerator(nn.Module):
    """G(z, y) around any G(z): an embedding of each label is joined to z, and G takes
    both for its noise. (Mirza and Osindero, 2014, join what a layer makes of each.)

    Embeddings begin as N(0, 0.3²), weaker than z: at N(0, 1) G learns to read the label
    so early that it never learns to read z.
    """

    def __init__(
        self,
        G: nn.Module,
        num_classes: Sequence[int],
        embedding_dim: int = 16,
    ):
        super().__init__()
        self.num_classes = tuple(num_classes)
        self.latent_dim = G.latent_dim - embedding_dim * len(num_classes)
        if self.latent_dim < 1:
            raise InputError(
                f"G reads {G.latent_dim} numbers, the embeddings of {len(num_classes)} "
                f"label(s) take all: build it for {embedding_dim * len(num_classes)} "
                "more"
            )
        self.G = G
        tables = (nn.Embedding(count, embedding_dim) for count in num_classes)
        self.embeddings = nn.ModuleList(tables)
        for embedding in self.embeddings:
            nn.init.normal_(embedding.weight, 0, 0.3)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        # (B, latent_dim), (B,) or (B, L) -> (B, C, H, W)
        labels = columns(y, len(self.embeddings))
        rows = [table(y_l) for table, y_l in zip(self.embeddings, labels, strict=True)]
        return self.G(torch.cat([z, *rows], 1))


class PlanesDiscriminator(nn.Module):
    """D(x, y) around a D(x) with sum(num_classes) more channels: a plane for each value
    of each label, all 1 or all 0.
    """

    def __init__(self, D: nn.Module, num_classes: Sequence[int]):
        super().__init__()
        self.num_classes = tuple(num_classes)
        self.D = D

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        # (B, C, H, W), (B,) or (B, L) -> (B,)
        codes = one_hot_code(y, self.num_classes).to(x.dtype)  # (B, sum(num_classes))
        planes = codes[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return self.D(torch.cat([x, planes], 1))


class TwoHeads(nn.Module):
    """All of a D(x) but its last layer, under two heads: one logit for real, and one
    score for each value of each label.
    """

    def __init__(self, D: nn.Module, num_classes: Sequence[int]):
        super().__init__()
        self.num_classes = tuple(num_classes)
        self.body, features = without_head(D)
        self.real = nn.Linear(features, 1)
        self.classes = nn.Linear(features, sum(num_classes))
        self.real.apply(initialize)
        self.classes.apply(initialize)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # (B, C, H, W) -> (B,), (B, sum(num_classes)), float32 also under autocast
        features = self.body(x)
        return self.real(features).squeeze(1).float(), self.classes(features).float()


class ProjectionDiscriminator(TwoHeads):
    """D(x, y) = how real x is + how well it fits y, the label's own score
    (Miyato and Koyama, 2018; their embedding of y is a row of our weights).
    """

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        # (B, C, H, W), (B,) or (B, L) -> (B,)
        real, scores = self.heads(x)
        return real + (scores * one_hot_code(y, self.num_classes)).sum(1)


class AuxiliaryDiscriminator(TwoHeads):
    """D(x) that does not see y but names it: a logit, and for each label the logits of
    its values, for a softmax (Odena, Olah and Shlens, 2017).
    """

    def forward(
        self,
        x: Tensor,
        y: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        # (B, C, H, W) -> (B,), and for each label (B, num_classes)
        real, scores = self.heads(x)
        return real, scores.split(self.num_classes, 1)


def columns(y: Tensor | None, count: int) -> tuple[Tensor, ...]:
    """The labels one by one, `count` times (B,)."""
    if y is None or y.reshape(len(y), -1).shape[1] != count:
        shape = None if y is None else tuple(y.shape)
        raise InputError(f"labels of shape {shape} for networks of {count} label(s): give (B, {count})")
    return y.reshape(len(y), -1).unbind(1)


def one_hot_code(y: Tensor | None, num_classes: Sequence[int]) -> Tensor:
    """A 1 for the value of each label, 0 for its other values: (B,) or (B, L) -> (B, sum(num_classes))."""
    labels = columns(y, len(num_classes))
    return torch.cat([one_hot(y_l, count) for y_l, count in zip(labels, num_classes, strict=True)], 1)


def without_head(D: nn.Module) -> tuple[nn.Module, int]:
    """The layers of D up to the last one with weights, which gives its one logit; and how many features it had."""
    layers = list(D.net)
    while not hasattr(layers[-1], "weight"):
        layers.pop()
    head = layers.pop()
    return nn.Sequential(*layers, nn.Flatten()), head.weight[0].numel()
