"""Networks without convolutions: the first GAN's pair for 28x28 grey pictures, and pairs for points.

In each pair two multilayer perceptrons face each other, as in Goodfellow et al. (2014).
"""

from math import log, pi

import torch
from torch import Tensor, nn


class MLPGenerator(nn.Module):
    """G(z): noise in, picture out. 1,486,352 parameters."""

    def __init__(self, latent_dim: int = 100):
        super().__init__()
        self.latent_dim = latent_dim
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.LeakyReLU(0.2),
            nn.Linear(256, 512),
            nn.LeakyReLU(0.2),
            nn.Linear(512, 1024),
            nn.LeakyReLU(0.2),
            nn.Linear(1024, 28 * 28),
            nn.Tanh(),  # a pixel in [-1, 1], like the data
            nn.Unflatten(1, (1, 28, 28)),
        )

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net(z)  # (B, latent_dim) -> (B, 1, 28, 28)


class Dropout(nn.Dropout):
    """PyTorch's own, but on a CPU its random numbers come from torch.rand, which draws
    them faster than nn.Dropout does there.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.device.type != "cpu":
            return super().forward(x)
        kept = torch.rand(x.shape) >= self.p
        return x * (kept.to(x.dtype) / (1 - self.p))


class MLPDiscriminator(nn.Module):
    """D(x): picture in, logit out; sigmoid(logit) = P(real). 1,460,225 parameters."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(),
            nn.Linear(28 * 28, 1024),
            nn.LeakyReLU(0.2),
            Dropout(0.3),
            nn.Linear(1024, 512),
            nn.LeakyReLU(0.2),
            Dropout(0.3),
            nn.Linear(512, 256),
            nn.LeakyReLU(0.2),
            Dropout(0.3),
            nn.Linear(256, 1),  # unbounded: the sigmoid belongs to the objective
        )

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net(x).squeeze(1).float()  # (B, 1, 28, 28) -> (B,)


class PointGenerator(nn.Module):
    """G(z) for points in the plane. 17,154 parameters."""

    def __init__(self, latent_dim: int = 2):
        super().__init__()
        self.latent_dim = latent_dim
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 128),
            nn.ReLU(),
            nn.Linear(128, 128),
            nn.ReLU(),
            nn.Linear(128, 2),  # no tanh: a point may lie anywhere
        )

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net(z)  # (B, latent_dim) -> (B, 2)


class PointDiscriminator(nn.Module):
    """D(x) for points: a logit each. 17,025 parameters in the plane."""

    def __init__(self, dim: int = 2):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(dim, 128),
            nn.LeakyReLU(0.2),
            nn.Linear(128, 128),
            nn.LeakyReLU(0.2),
            nn.Linear(128, 1),
        )

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net(x).squeeze(1)  # (B, dim) -> (B,)


class LineGenerator(nn.Module):
    """G(z) = μ + σz on the line: the one generator here whose density we can write down."""

    latent_dim = 1

    def __init__(self, mu: float, sd: float):
        super().__init__()
        self.mu = nn.Parameter(torch.tensor(mu))
        self.log_sd = nn.Parameter(torch.tensor(log(sd)))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.mu + self.log_sd.exp() * z  # (B, 1) -> (B, 1)

    def density(self, x: Tensor) -> Tensor:
        """q(x), that of N(μ, σ²): (N,) -> (N,)."""
        squares = ((x - self.mu) / self.log_sd.exp()).square()
        return (-squares / 2 - self.log_sd - log(2 * pi) / 2).exp()
