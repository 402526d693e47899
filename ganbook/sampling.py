"""Drawing pictures from a trained generator, without disturbing it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ganbook.errors import InputError

AT_ONCE = 500  # pictures in one forward pass: memory stays bounded however many are asked for


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Inside: eval mode (dropout off, batch-norm buffers read, not written), no gradients. After: as before."""
    training = [module for module in net.modules() if module.training]
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def draw_latents(G: nn.Module, n: int, seed: int | None = None) -> Tensor:
    """n vectors z ~ N(0, I) for G: (n, latent_dim), on G's device. One seed gives one z on every device."""
    if n < 1:
        raise InputError(f"{n} samples cannot be drawn: ask for 1 or more")
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return torch.randn(n, G.latent_dim, generator=generator).to(next(G.parameters()).device)


def generate(G: nn.Module, z: Tensor, y: Tensor | None = None) -> Tensor:
    """G(z, y) in eval mode, without gradients: (n, latent_dim) -> (n, C, H, W) in [-1, 1]. Changes no buffer."""
    with evaluating(G):
        parts = [
            G(z[i : i + AT_ONCE], None if y is None else y[i : i + AT_ONCE]) for i in range(0, len(z), AT_ONCE)
        ]
    return torch.cat(parts)


def sample(G: nn.Module, n: int, y: Tensor | None = None, seed: int | None = None) -> Tensor:
    """n pictures from G: (n, C, H, W) in [-1, 1].

    With a seed they are the same each time, and torch's own random state is left alone.
    """
    return generate(G, draw_latents(G, n, seed), y)


def sample_best(
    G: nn.Module, D: nn.Module, n: int, of: int, mean: float = 0.0, std: float = 1.0, seed: int | None = None
) -> Tensor:
    """Of `of` pictures from z ~ N(mean, std²), the n that D rates most real, best first: (n, C, H, W) in [-1, 1].

    Never holds more than n + AT_ONCE pictures. What is gained in looks is lost in variety, so no metric should
    see such a selection. n = of selects nothing, and keeps the order of the z.
    """
    if of < n:
        raise InputError(f"the best {n} of {of} cannot be chosen: draw at least as many as are kept")
    z = mean + std * draw_latents(G, of, seed)
    if n == of:
        return generate(G, z)
    kept, scores = torch.empty(0, device=z.device), torch.empty(0, device=z.device)
    for part in z.split(AT_ONCE):
        x = generate(G, part)
        with evaluating(D):
            scores = torch.cat([scores, D(x)])
        scores, best = scores.topk(min(n, len(scores)))
        kept = torch.cat([kept, x])[best]
    return kept
