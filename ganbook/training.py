"""The training step (Algorithm 1 of Goodfellow et al., 2014, with k = 1) and the loop around it.

Nothing here knows which GAN it trains: that is in the networks and in the objective.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganbook.data import ImageSet, Ordered
from ganbook.objectives import logits_of
from ganbook.toys import Mixture


class Step(NamedTuple):
    """What one update of both networks left behind. Tensors stay on the device: float() waits for it."""

    d_loss: Tensor  # ()
    g_loss: Tensor  # ()
    d_real: Tensor  # ()  mean of D(x) = sigmoid(logit) during D's turn, in [0, 1]
    d_fake: Tensor  # ()  mean of D(G(z)) during D's turn, in [0, 1]
    n: int = 0  # updates done so far


def train_step(G, D, objective, opt_G, opt_D, x, y=None) -> Step:
    """One pass of Algorithm 1 over real data x (B, ...) and as many fakes."""
    # Discriminator: tell the real x from G(z).
    with torch.no_grad():  # G stays as it is, so its graph is not needed
        x_fake = G(draw_z(G, x), y)
    with overhear(D) as logits:
        d_loss = objective.d_loss(D, x, x_fake, y)
    descend(opt_D, d_loss)

    # Generator: fool the discriminator just updated, with new z.
    x_fake = G(draw_z(G, x), y)
    with frozen(D):  # the gradient goes through D, not into it
        g_loss = objective.g_loss(D, x_fake, y)
    descend(opt_G, g_loss)

    # What D said in its turn: of the real x first, then of the fakes.
    d_real, d_fake = torch.cat(logits)[: 2 * len(x)].sigmoid().chunk(2)
    return Step(d_loss.detach(), g_loss.detach(), d_real.mean(), d_fake.mean())


def draw_z(G: nn.Module, x: Tensor) -> Tensor:
    """As many z ~ N(0, I) as there are rows in x, on its device: (B, latent_dim)."""
    return torch.randn(len(x), G.latent_dim, device=x.device)


@contextmanager
def frozen(net: nn.Module) -> Iterator[None]:
    """What is computed inside the block gives the net's own weights no gradients: that saves time."""
    weights = [p for p in net.parameters() if p.requires_grad]
    for p in weights:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in weights:
            p.requires_grad_(True)


class SameFakes:
    """G for one `train_step` that shows the fakes of D's turn in G's turn again: one pass through G less.

    That is not Algorithm 1, which draws a second z.
    """

    def __init__(self, G: nn.Module):
        self.G, self.latent_dim, self.x_fake = G, G.latent_dim, None

    def __call__(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        if self.x_fake is not None:  # G's turn
            return self.x_fake
        with torch.enable_grad():
            self.x_fake = self.G(z, y)
        return self.x_fake.detach()


def descend(optimizer: Optimizer | None, loss: Tensor) -> None:
    """One step down the gradient of the loss, for the optimizer's own parameters."""
    if optimizer is None:  # this player rests
        return
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@contextmanager
def overhear(D: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the logits that D gives inside the block: looking at them costs no second pass through D."""
    logits: list[Tensor] = []

    def note(module, inputs, output):
        logits.append(logits_of(output).detach())

    hook = D.register_forward_hook(note)
    try:
        yield logits
    finally:
        hook.remove()


def fit(
    G: nn.Module,
    D: nn.Module,
    objective,  # what each player minimises: ganbook.objectives
    data: ImageSet | Ordered | Mixture,  # on the device of G and D
    *,
    steps: int,  # updates of each network
    batch_size: int = 64,
    lr: float = 2e-4,  # Adam's step size, for both networks
    betas: tuple[float, float] = (0.5, 0.999),  # Adam's memory: gradients, squares
) -> Iterator[Step]:
    """Train G against D, yielding a Step after every update: the caller plots or stops.

    A generator function: nothing happens until it is iterated.
    """
    opt_G = Adam(G.parameters(), lr=lr, betas=betas, fused=True)
    opt_D = Adam(D.parameters(), lr=lr, betas=betas, fused=True)
    n = 0
    while n < steps:
        for x, y in data.batches(batch_size):
            G.train()  # the caller may have switched to eval mode to look
            D.train()
            n += 1
            step = train_step(G, D, objective, opt_G, opt_D, x, y)
            yield step._replace(n=n)
            if n == steps:
                return
