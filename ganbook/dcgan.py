"""Networks of convolutions: the DCGAN of Radford, Metz and Chintala (2015), for 28x28 and for square pictures.

Batch norm throughout, except after the last layer of G and the first of D (ibid., section 3).
"""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn

from ganbook.errors import InputError


class StemGenerator(nn.Module):
    """G(z) for 28x28 grey pictures: two fully connected layers, then two doublings.

    6,679,105 parameters.
    """

    def __init__(self, latent_dim: int = 100):
        super().__init__()
        self.latent_dim = latent_dim
        self.net = nn.Sequential(
            nn.Linear(latent_dim, 1024),
            nn.BatchNorm1d(1024),
            nn.ReLU(),
            nn.Linear(1024, 128 * 7 * 7),
            nn.BatchNorm1d(128 * 7 * 7),
            nn.ReLU(),
            nn.Unflatten(1, (128, 7, 7)),
            nn.ConvTranspose2d(128, 64, 4, 2, 1),  # 7 -> 14
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 1, 4, 2, 1),  # 14 -> 28
            nn.Tanh(),
        )
        self.apply(initialize)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net(z)  # (B, latent_dim) -> (B, 1, 28, 28)


class PoolingDiscriminator(nn.Module):
    """D(x) for 28x28 grey pictures with max pooling, without batch norm.

    1,102,721 parameters.
    """

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 32, 5),  # 28 -> 24
            nn.LeakyReLU(0.2),
            nn.MaxPool2d(2),  # 24 -> 12
            nn.Conv2d(32, 64, 5),  # 12 -> 8
            nn.LeakyReLU(0.2),
            nn.MaxPool2d(2),  # 8 -> 4
            nn.Flatten(),
            nn.Linear(64 * 4 * 4, 1024),
            nn.LeakyReLU(0.2),
            nn.Linear(1024, 1),
        )
        self.apply(initialize)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        # (B, 1, 28, 28) -> (B,), float32 also under autocast
        return self.net(x).squeeze(1).float()


class StridedDiscriminator(nn.Module):
    """The paper's D(x), for 28x28 grey pictures: strides for pooling, batch norm, no
    hidden fully connected layer. 138,689 parameters.
    """

    def __init__(
        self,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
        channels: int = 1,
    ):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, 64, 4, 2, 1),  # 28 -> 14
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 4, 2, 1, bias=False),  # 14 -> 7
            norm(128),
            nn.LeakyReLU(0.2),
            nn.Conv2d(128, 1, 7),  # 7 -> 1, a logit
            nn.Flatten(0),
        )
        self.apply(initialize)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        # (B, channels, 28, 28) -> (B,), float32 also under autocast
        return self.net(x).float()


SIZES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)  # 4 doubled some times, and a last step by 2 or by 3


class ConvGenerator(nn.Module):
    """G(z) for square pictures: z, as a 1x1 picture with latent_dim channels, grows to
    4x4, 8x8, … image_size.

    Each layer halves the channels and doubles the sides; the last makes the picture,
    and triples the sides where image_size asks for it (96 = 32 · 3). No biases: batch
    norm would take them out again.
    """

    def __init__(
        self,
        image_size: int = 64,
        channels: int = 3,
        width: int = 64,
        latent_dim: int = 100,
    ):
        super().__init__()
        self.latent_dim = latent_dim
        doublings, last = divide(image_size)
        # For 64 and for 96 pixels: 512, 256, 128, 64.
        widths = [width * 2**i for i in range(doublings, -1, -1)]
        layers = [
            nn.Unflatten(1, (latent_dim, 1, 1)),
            nn.ConvTranspose2d(latent_dim, widths[0], 4, 1, 0, bias=False),
        ]
        for wide, narrow in pairwise(widths):
            layers += [nn.BatchNorm2d(wide), nn.ReLU()]
            layers += [nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False)]
        layers += [
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, *last, bias=False),
            nn.Tanh(),
        ]
        self.net = nn.Sequential(*layers)
        self.apply(initialize)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net(z)  # (B, latent_dim) -> (B, channels, image_size, image_size)


class ConvDiscriminator(nn.Module):
    """D(x) for square pictures: ConvGenerator in a mirror, down to 4x4 and one logit.

    `norm` makes the layer after each convolution but the first and the last. Batch norm
    is the paper's; instance norm treats every picture alone, which a penalty on D's
    slope needs. `dropout` is the share of channels that vanish after each leaky ReLU.
    """

    def __init__(
        self,
        image_size: int = 64,
        channels: int = 3,
        width: int = 64,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
        dropout: float = 0.0,
    ):
        super().__init__()
        doublings, first = divide(image_size)
        widths = [width * 2**i for i in range(doublings + 1)]
        drop = [nn.Dropout2d(dropout)] if dropout else []
        layers = [nn.Conv2d(channels, width, *first, bias=False), nn.LeakyReLU(0.2), *drop]
        for narrow, wide in pairwise(widths):
            layers += [nn.Conv2d(narrow, wide, 4, 2, 1, bias=False)]
            layers += [norm(wide), nn.LeakyReLU(0.2), *drop]
        # 4x4 -> 1x1, a logit
        layers += [nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False), nn.Flatten(0)]
        self.net = nn.Sequential(*layers)
        self.apply(initialize)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        # (B, channels, image_size, image_size) -> (B,), float32 also under autocast
        return self.net(x).float()


def divide(image_size: int) -> tuple[int, tuple[int, int, int]]:
    """How many doublings lead from 4x4 towards image_size, and the last layer's kernel, stride and padding."""
    if image_size not in SIZES:
        raise InputError(
            f"image size {image_size} cannot be built: 4 doubled some times, the last time perhaps tripled, gives "
            f"{', '.join(map(str, SIZES))}"
        )
    if image_size % 3:
        return (image_size // 8).bit_length() - 1, (4, 2, 1)
    return (image_size // 12).bit_length() - 1, (5, 3, 1)


def initialize(layer: nn.Module) -> None:
    """Weights from N(0, 0.02²) (ibid., section 4); batch norm's scale from N(1, 0.02²),
    as in the code released with the paper.
    """
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(layer.weight, 0, 0.02)
    elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1, 0.02)
