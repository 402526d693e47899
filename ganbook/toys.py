"""Data whose density is known exactly: mixtures of round Gaussians, on a line and in the plane."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor

from ganbook.errors import InputError


@dataclass(frozen=True)
class Mixture:
    """Equally likely round Gaussians, all of one width."""

    means: Tensor  # (K, d), one row a mode
    sd: float  # in every direction

    def __post_init__(self):
        if self.means.ndim != 2:
            raise InputError(f"means of shape {tuple(self.means.shape)}: give (modes, dimensions)")
        if not self.sd > 0:
            raise InputError(f"sd = {self.sd} is not possible: take a number above 0")

    def to(self, device: torch.device | str) -> "Mixture":
        return Mixture(self.means.to(device), self.sd)

    def sample(self, n: int) -> Tensor:
        """n independent points: (n, d). They come from torch's global CPU generator, whatever the device."""
        mode = torch.randint(len(self.means), (n,))
        noise = torch.randn(n, self.means.shape[1], dtype=self.means.dtype)
        return self.means[mode.to(self.means.device)] + self.sd * noise.to(self.means.device)

    def log_density(self, x: Tensor) -> Tensor:
        """log p(x), natural logarithm: (n, d) -> (n,)."""
        squares = (x[:, None] - self.means).square().sum(2)  # (n, K)
        modes, d = self.means.shape
        normal = -squares / (2 * self.sd**2) - d / 2 * log(2 * pi * self.sd**2)
        return normal.logsumexp(1) - log(modes)

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, None]]:
        """Fresh points without end, as (x, y) with x (B, d) and y None: there are no labels."""
        while True:
            yield self.sample(batch_size), None


def ring(modes: int = 8, radius: float = 2.0, sd: float = 0.1) -> Mixture:
    """Gaussians evenly spaced on a circle, the first at (radius, 0)."""
    angles = torch.arange(modes) * (2 * pi / modes)
    return Mixture(radius * torch.stack([angles.cos(), angles.sin()], 1), sd)


def grid(side: int = 5, spacing: float = 1.0, sd: float = 0.05) -> Mixture:
    """side × side Gaussians on a square lattice around the origin."""
    line = (torch.arange(side) - (side - 1) / 2) * spacing
    return Mixture(torch.cartesian_prod(line, line), sd)


def bumps(*means: float, sd: float = 0.5) -> Mixture:
    """Gaussians on a line at the given means, in double precision for quadrature."""
    return Mixture(torch.tensor(means, dtype=torch.float64)[:, None], sd)
