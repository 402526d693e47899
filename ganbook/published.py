"""The tutorials' own models, with what they get wrong: rows beside ours in the table of models.

Only what stops a program from running is mended. The book's data are in [-1, 1]; two of the tutorials leave real
pictures in [0, 1], whatever their G ends in. The wrappers below say so without a second way of loading data.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy

from ganbook.dcgan import ConvDiscriminator, ConvGenerator, PoolingDiscriminator, StemGenerator
from ganbook.mlp import MLPDiscriminator, MLPGenerator

Pair = tuple[nn.Module, nn.Module]  # G, D


class Probabilities:
    """Cross-entropy of D's probabilities, not of its logits. Rounded to 0 or 1, they teach nothing."""

    def d_loss(self, D, x, x_fake, y=None):
        real, fake = D(x, y).sigmoid(), D(x_fake, y).sigmoid()
        return binary_cross_entropy(real, torch.ones_like(real)) + binary_cross_entropy(
            fake, torch.zeros_like(fake)
        )

    def g_loss(self, D, x_fake, y=None):
        fake = D(x_fake, y).sigmoid()
        return binary_cross_entropy(fake, torch.ones_like(fake))


class SeesUnitRange(nn.Module):
    """A D that is fed pictures from 0 to 1."""

    def __init__(self, D: nn.Module):
        super().__init__()
        self.D = D

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.D((x + 1) / 2)


class DrawsUnitRange(nn.Module):
    """A G whose numbers are taken for pictures from 0 to 1, whatever its last layer gives.

    In training D sees them as they are; drawn from in eval mode, they are cut off at black and white, as they are
    when they are stored.
    """

    def __init__(self, G: nn.Module):
        super().__init__()
        self.latent_dim, self.G = G.latent_dim, G

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        x = 2 * self.G(z) - 1
        return x if self.training else x.clamp(-1, 1)


class SameNoise(nn.Module):
    """A G whose own turns use one batch of z for ever, the one whose pictures are looked at.

    In D's turns, where G has no gradients, it meets new z.
    """

    def __init__(self, G: nn.Module, batch_size: int):
        super().__init__()
        self.latent_dim, self.G = G.latent_dim, G
        self.register_buffer("z", torch.randn(batch_size, G.latent_dim))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        its_turn = self.training and torch.is_grad_enabled()
        return self.G(self.z[: len(z)] if its_turn else z)


def mlp(latent_dim: int = 100) -> Pair:
    """Source E: real digits in [0, 1], a G that ends in tanh."""
    return DrawsUnitRange(MLPGenerator(latent_dim)), SeesUnitRange(MLPDiscriminator())


def dcgan28(latent_dim: int = 100) -> Pair:
    """Source E, never trained there: sigmoid in G, max pooling and no batch norm in D, PyTorch's own weights."""
    G, D = StemGenerator(latent_dim), PoolingDiscriminator()
    G.net[-1] = nn.Sigmoid()
    for layer in [*G.modules(), *D.modules()]:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    return DrawsUnitRange(G), SeesUnitRange(D)


def dcgan(image_size: int = 64, latent_dim: int = 100, width_g: int = 64, width_d: int = 64) -> Pair:
    """Source B: real pictures in [0, 1], a G that ends in tanh and trains on the batch of z that it shows."""
    G = ConvGenerator(image_size, width=width_g, latent_dim=latent_dim)
    D = ConvDiscriminator(image_size, width=width_d)
    return SameNoise(DrawsUnitRange(G), batch_size=128), SeesUnitRange(D)
