"""Pictures moved and cut at random, for a D that has too few of them (Zhao et al., 2020: DiffAugment).

What is done to real pictures alone, G learns to draw. So both kinds are changed, in both turns, by something that
a gradient passes through.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from ganbook.errors import InputError


class Augmented:
    """An objective whose D meets every picture, real or fake, only changed."""

    def __init__(self, objective, *changes):
        self.objective, self.changes = objective, changes

    def d_loss(self, D, x, x_fake, y=None):
        return self.objective.d_loss(D, self.change(x), self.change(x_fake), y)

    def g_loss(self, D, x_fake, y=None):
        return self.objective.g_loss(D, self.change(x_fake), y)

    def change(self, x):
        for change in self.changes:
            x = change(x)
        return x


def translate(x: Tensor, share: float = 1 / 8) -> Tensor:
    """Each picture of x (B, C, H, W) moved by up to this share of its height and width.

    What comes in from outside is 0, a middle grey, as in the paper.
    """
    check_share(share)
    B, _, H, W = x.shape
    down, right = int(share * H), int(share * W)
    rows = torch.randint(2 * down + 1, (B, 1), device=x.device)
    columns = torch.randint(2 * right + 1, (B, 1), device=x.device)
    rows = rows + torch.arange(H, device=x.device)  # (B, H)
    columns = columns + torch.arange(W, device=x.device)  # (B, W)
    pictures = torch.arange(B, device=x.device)[:, None, None]
    larger = pad(x, (right, right, down, down)).movedim(1, 3)  # (B, …, …, C)
    return larger[pictures, rows[:, :, None], columns[:, None]].movedim(3, 1)


def cut_out(x: Tensor, share: float = 1 / 2) -> Tensor:
    """x (B, C, H, W) with a rectangle of 0 in each picture, this share of its sides.

    Its middle lies anywhere in the picture, so parts of it may be outside.
    """
    check_share(share)
    middles = torch.rand(2, len(x), 1, 1, 1, device=x.device)
    inside = True
    for axis, middle in zip((2, 3), middles, strict=True):
        side = x.shape[axis]
        shape = [-1 if axis == other else 1 for other in range(4)]
        places = torch.arange(side, device=x.device).add(0.5).reshape(shape)
        inside = inside & ((places - side * middle).abs() < share * side / 2)
    return x.masked_fill(inside, 0)


def check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise InputError(f"share {share!r} is not possible: take 0 to 1")
