"""Pictures of one kind into another, without pairs: CycleGAN (Zhu et al., 2017).

G leads from kind A to kind B, F back. D_A and D_B say what is real of each kind.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Adam, Optimizer

from ganbook.data import ImageSet
from ganbook.dcgan import initialize
from ganbook.objectives import LeastSquares
from ganbook.sampling import AT_ONCE, evaluating
from ganbook.training import descend, frozen


class Reflect(nn.Module):
    """Continue a picture by n pixels beyond its edges, mirrored there.

    The values of nn.ReflectionPad2d. Its gradient, though, is summed up by some devices
    in an order that changes, so that two equal runs differ; that of slices is not.
    """

    def __init__(self, n: int):
        super().__init__()
        self.n = n

    def forward(self, x: Tensor) -> Tensor:
        # (B, C, H, W) -> (B, C, H + 2n, W + 2n)
        for side in (-1, -2):
            inner = x.shape[side] - 1
            before = x.narrow(side, 1, self.n).flip(side)
            after = x.narrow(side, inner - self.n, self.n).flip(side)
            x = torch.cat([before, x, after], side)
        return x


class ResidualBlock(nn.Module):
    """What two convolutions add to their input (He et al., 2016)."""

    def __init__(self, width: int):
        super().__init__()
        self.net = nn.Sequential(
            Reflect(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            Reflect(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x)


class Translator(nn.Module):
    """A picture in, a picture out: G or F. The sides are halved `halvings` times, stay
    so for `blocks` residual blocks, and are doubled again.

    The defaults are the paper's for 128 pixels (9 blocks for 256), but for the kernels
    of 4 where sides double: the stride divides them.
    """

    def __init__(
        self,
        width: int = 64,
        blocks: int = 6,
        halvings: int = 2,
        kernel: int = 7,
    ):
        super().__init__()
        layers = [Reflect(kernel // 2), nn.Conv2d(3, width, kernel)]
        layers += [nn.InstanceNorm2d(width), nn.ReLU()]
        for _ in range(halvings):
            layers += [nn.Conv2d(width, 2 * width, 3, 2, 1)]
            width *= 2
            layers += [nn.InstanceNorm2d(width), nn.ReLU()]
        layers += [ResidualBlock(width) for _ in range(blocks)]
        for _ in range(halvings):
            layers += [nn.ConvTranspose2d(width, width // 2, 4, 2, 1)]
            width //= 2
            layers += [nn.InstanceNorm2d(width), nn.ReLU()]
        layers += [Reflect(kernel // 2), nn.Conv2d(width, 3, kernel)]
        self.net = nn.Sequential(*layers)
        self.apply(initialize)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).tanh()  # (B, 3, H, W) -> (B, 3, H, W) in [-1, 1]


class Retoucher(Translator):
    """A Translator that learns what to add to the picture. It starts by adding little,
    so that what must stay need not be learned. Not in the paper.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x)  # (B, 3, H, W) -> (B, 3, H, W), sometimes beyond [-1, 1]


class PatchDiscriminator(nn.Module):
    """D(x) with a logit for each of many overlapping patches: is this bit real?

    The defaults are the paper's, with patches of 70 pixels. Strides of 2, 2 make it 22.
    """

    def __init__(self, width: int = 64, strides: Sequence[int] = (2, 2, 2, 1)):
        super().__init__()
        layers = [nn.Conv2d(3, width, 4, strides[0], 1), nn.LeakyReLU(0.2)]
        for stride in strides[1:]:
            layers += [nn.Conv2d(width, 2 * width, 4, stride, 1)]
            width *= 2
            layers += [nn.InstanceNorm2d(width), nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(width, 1, 4, 1, 1)]
        self.net = nn.Sequential(*layers)
        self.apply(initialize)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net(x).float()  # (B, 3, H, W) -> (B, 1, h, w)


class Pool:
    """Fakes of the last steps for D to see again (Shrivastava et al., 2017).

    Filled first. Then each new fake, in every second case, takes the place of one that
    is there, and D sees that one instead.
    """

    def __init__(self, size: int = 50):
        self.size = size
        self.fakes: list[Tensor] = []  # each (C, H, W)

    def exchange(self, x_fake: Tensor) -> Tensor:
        # (B, C, H, W) -> (B, C, H, W), without a graph
        shown = []
        for fake in x_fake.detach():
            if len(self.fakes) < self.size:
                self.fakes.append(fake)
            elif torch.rand(()) < 0.5:
                i = torch.randint(self.size, ())
                self.fakes[i], fake = fake, self.fakes[i]
            shown.append(fake)
        return torch.stack(shown)


class Four(NamedTuple):
    """The players."""

    G: nn.Module  # from A to B
    F: nn.Module  # from B to A
    D_A: nn.Module
    D_B: nn.Module


class CycleLosses(NamedTuple):
    """What G and F minimise: base's loss of G, and two distances (L1) with weights.

    The ½ in this book's LeastSquares makes 5 and 2.5 of the paper's 10 and 0.5 · 10.
    """

    base: LeastSquares = LeastSquares()
    cycle: float = 5.0
    identity: float = 2.5


class CycleStep(NamedTuple):
    """What one update of all four left behind. Tensors stay on the device."""

    d_loss: Tensor  # ()  of D_A and D_B
    g_loss: Tensor  # ()  of G and F: what it costs not to fool D_A and D_B
    cycle: Tensor  # ()  how far A and B, there and back, end from their start
    identity: Tensor  # ()  how far G and F move what is of the right kind already
    n: int = 0  # updates done so far


def cycle_step(four, losses, opt_G, opt_D, pools, a, b) -> CycleStep:
    """One update of G and F, then of D_A and D_B, with real a, b (B, 3, H, W)."""
    G, F, D_A, D_B = four

    # G and F: fool both D, find the way back, leave alone what is right already.
    b_fake, a_fake = G(a), F(b)
    with frozen(D_A), frozen(D_B):
        g_loss = losses.base.g_loss(D_B, b_fake) + losses.base.g_loss(D_A, a_fake)
    cycle = l1_loss(F(b_fake), a) + l1_loss(G(a_fake), b)
    identity = l1_loss(G(b), b) + l1_loss(F(a), a)
    descend(opt_G, g_loss + losses.cycle * cycle + losses.identity * identity)

    # D_A and D_B: tell the real from these fakes and older ones.
    pool_A, pool_B = pools
    d_loss_A = losses.base.d_loss(D_A, a, pool_A.exchange(a_fake))
    d_loss_B = losses.base.d_loss(D_B, b, pool_B.exchange(b_fake))
    descend(opt_D, d_loss_A + d_loss_B)

    kept = (d_loss_A + d_loss_B, g_loss, cycle, identity)
    return CycleStep(*(loss.detach() for loss in kept))


def optimizers(four: Four, lr: float, beta1: float = 0.5) -> tuple[Adam, Adam]:
    """Adam for G and F together, and for D_A and D_B."""
    G, F, D_A, D_B = four
    adam = partial(Adam, lr=lr, betas=(beta1, 0.999), fused=True)
    return (
        adam([*G.parameters(), *F.parameters()]),
        adam([*D_A.parameters(), *D_B.parameters()]),
    )


def set_step_size(optimizer: Optimizer, lr: float, n: int, steps: int) -> None:
    """Set the size of the n-th of all steps: lr in the first half, then falling to 0.

    lr · min(1, 2 - 2(n - 1)/steps), a straight line: Zhu et al. (2017, section 4) train
    100 epochs with lr, and let it fall to 0 over 100 more.
    """
    for group in optimizer.param_groups:
        group["lr"] = lr * min(1, 2 - 2 * (n - 1) / steps)


def fit_cycle(
    four: Four,
    losses: CycleLosses,
    data: tuple[ImageSet, ImageSet],  # A, B, on the device of the four
    *,
    steps: int,
    batch_size: int = 1,
    lr: float = 2e-4,
    pool_size: int = 50,
) -> Iterator[CycleStep]:
    """Train all four, yielding a CycleStep after every update: `fit` for two data sets.

    Both come in a random order of their own: which b meets which a is chance. The step size
    is that of `set_step_size`.
    """
    opt_G, opt_D = optimizers(four, lr)
    pools = Pool(pool_size), Pool(pool_size)
    batches = zip(*(endless(one, batch_size) for one in data), strict=True)
    for n, (a, b) in enumerate(islice(batches, steps), 1):
        for optimizer in (opt_G, opt_D):
            set_step_size(optimizer, lr, n, steps)
        step = cycle_step(four, losses, opt_G, opt_D, pools, a, b)
        yield step._replace(n=n)


def endless(data: ImageSet, batch_size: int) -> Iterator[Tensor]:
    """Epoch after epoch, batches x (B, 3, H, W) without their labels."""
    while True:
        for x, _ in data.batches(batch_size):
            yield x


def translate(G: nn.Module, x: Tensor) -> Tensor:
    """G(x) in eval mode, without gradients, clipped as a stored picture is.

    (n, 3, H, W) -> (n, 3, H, W) in [-1, 1].
    """
    with evaluating(G):
        return torch.cat([G(part).clamp(-1, 1) for part in x.split(AT_ONCE)])
