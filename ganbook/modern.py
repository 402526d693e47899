"""What came after the DCGAN: spectral norm, and residual networks without any normalisation.

The second is the architecture of R3GAN (Huang, Gokaslan, Kuleshov and Tompkin, 2024) at the size of a digit.
Theirs has bottlenecks of grouped convolutions and learned 4x4 ends; ours has what the argument needs.
"""

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


def with_spectral_norm(D: nn.Module) -> nn.Module:
    """D, each weight divided by its largest singular value (Miyato et al., 2018).

    A dense layer can then stretch nothing, and with dense layers and ReLUs alone the
    logit has a slope of 1 at most. The singular value is found by one step of power
    iteration in each forward pass in training mode. A convolution's weight is taken as
    a matrix with a row for each output channel, as in the paper: its true norm can be
    larger.
    """
    for layer in list(D.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            spectral_norm(layer)
    return D


class ResidualBlock(nn.Module):
    """x + f(x) with two 3x3 convolutions in f. The second begins at zero, so the block
    begins as the identity, and a signal keeps its size without normalisation.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.apply(keep_signal)
        nn.init.zeros_(self.net[2].weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x)  # (B, channels, H, W), as it came


class ResidualGenerator(nn.Module):
    """G(z) for 28x28 pictures without normalisation: residual blocks at 7x7 and 14x14,
    doublings by interpolation.
    """

    def __init__(self, channels: int = 1, width: int = 32, latent_dim: int = 100):
        super().__init__()
        self.latent_dim = latent_dim
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 2 * width * 7 * 7),
            nn.Unflatten(1, (2 * width, 7, 7)),
            ResidualBlock(2 * width),
            nn.Upsample(scale_factor=2, mode="bilinear"),  # 7 -> 14
            nn.Conv2d(2 * width, width, 1),
            ResidualBlock(width),
            nn.Upsample(scale_factor=2, mode="bilinear"),  # 14 -> 28
            nn.Conv2d(width, channels, 3, padding=1),
            nn.Tanh(),
        )
        plain_layers(self.net).apply(keep_signal)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net(z)  # (B, latent_dim) -> (B, channels, 28, 28)


class ResidualDiscriminator(nn.Module):
    """D(x) for 28x28 pictures without normalisation: the generator in a mirror."""

    def __init__(self, channels: int = 1, width: int = 32):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, stride=2),  # 28 -> 14
            ResidualBlock(width),
            nn.AvgPool2d(2),  # 14 -> 7
            nn.Conv2d(width, 2 * width, 1),
            ResidualBlock(2 * width),
            nn.Flatten(),
            nn.Linear(2 * width * 7 * 7, 1),
        )
        plain_layers(self.net).apply(keep_signal)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        # (B, channels, 28, 28) -> (B,), float32 also under autocast
        return self.net(x).squeeze(1).float()


def plain_layers(net: nn.Sequential) -> nn.ModuleList:
    """The layers of a network outside its residual blocks, which begin in their own way."""
    return nn.ModuleList(layer for layer in net if not isinstance(layer, ResidualBlock))


def keep_signal(layer: nn.Module) -> None:
    """Weights from N(0, 1/n), n the inputs of an output: what comes out varies as much as what went in."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
        nn.init.zeros_(layer.bias)
