"""Moving about in latent space: paths from one z to another, directions, and the z of a given picture."""

import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from ganbook.errors import InputError

PARALLEL = 1e-4  # radians: below, the arc and its chord agree to rounding
OPPOSITE = 1e-4  # radians short of π: above, no arc is the shortest one


def linear(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The share t of the straight way from a to b: (B, d), (B, d) -> (B, d)."""
    return (1 - t) * a + t * b


def spherical(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The share t of the arc from a to b, at constant speed: (B, d), (B, d) -> (B, d).

    sin((1 - t)ω)/sin ω · a + sin(tω)/sin ω · b with the angle ω between them (Shoemake,
    1985; for latent vectors White, 2016). If both have one length, so has all between.
    Nearly parallel rows, where sin ω vanishes, go straight. Raises InputError for rows
    that point in opposite directions, or for a row of zeros: no arc joins them.
    """
    omega = angle(a, b)
    if not (omega < torch.pi - OPPOSITE).all():  # also where it is NaN
        raise InputError(
            "no single arc joins vectors in opposite directions, nor a vector of "
            "zeros and any other: take another z"
        )
    near = omega < PARALLEL
    safe = torch.where(near, 1.0, omega)  # any angle whose sine is not 0
    of_a = torch.where(near, 1 - t, ((1 - t) * safe).sin() / safe.sin())
    of_b = torch.where(near, t, (t * safe).sin() / safe.sin())
    return of_a.to(a.dtype) * a + of_b.to(b.dtype) * b


def angle(a: Tensor, b: Tensor) -> Tensor:
    """Between rows of a and b (B, d), in radians: (B, 1), float64.

    By Kahan's formula: the arc cosine of a·b loses half of the digits of a small angle.
    """
    a, b = (v.double() / v.double().norm(dim=1, keepdim=True) for v in (a, b))
    apart, along = ((a - b).norm(dim=1, keepdim=True), (a + b).norm(dim=1, keepdim=True))
    return 2 * torch.atan2(apart, along)


def invert(
    G: nn.Module,
    x: Tensor,
    z: Tensor,
    *,
    steps: int = 200,
    lr: float = 0.1,  # Adam's step size
    hold: float = 0.0,  # weight of (|z|/√d - 1)²: z stays as long as a drawn one
) -> tuple[Tensor, Tensor]:
    """Look for the z whose pictures are x, down the gradient, from a given start.

    Pictures x (B, C, H, W) and starts z (B, d). Returns the z found (B, d), and the
    mean squared error of a pixel at the start and after each step (steps + 1, B). Each
    picture is a search of its own: G is in eval mode, and afterwards as it was before.
    (Zhu et al., 2016, start from an encoder's guess; Creswell and Bharath, 2018, from
    a random z.)
    """
    if z.shape != (len(x), G.latent_dim):
        raise InputError(
            f"starts of shape {tuple(z.shape)} do not belong to {len(x)} pictures "
            f"and a G that reads {G.latent_dim} numbers: give ({len(x)}, "
            f"{G.latent_dim})"
        )
    training = [module for module in G.modules() if module.training]
    G.eval()
    z = z.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([z], lr=lr)
    errors = []
    try:
        for step in range(steps + 1):
            error = (G(z) - x).square().mean((1, 2, 3))  # (B,)
            errors.append(error.detach())
            if step == steps:
                break
            length = z.norm(dim=1) / G.latent_dim**0.5
            loss = error + hold * (length - 1).square()
            (z.grad,) = torch.autograd.grad(loss.sum(), z)  # none for G's weights
            optimizer.step()
    finally:
        for module in training:
            module.training = True
    return z.detach(), torch.stack(errors)


def first_layer_directions(G: nn.Module) -> tuple[Tensor, Tensor]:
    """The directions of z that G's first layer stretches most, and by how much.

    Returns unit directions (d, d), a row each, and their factors (d,), largest first:
    the right singular vectors and the singular values of the layer's matrix, which is
    all that SeFa looks at (Shen and Zhou, 2021).
    """
    layer = next(m for m in G.modules() if isinstance(m, nn.Linear | nn.ConvTranspose2d))
    weight = layer.weight.detach()  # Linear: (out, d); ConvTranspose2d: (d, out, 4, 4)
    matrix = weight if isinstance(layer, nn.Linear) else weight.flatten(1).T
    _, factors, directions = torch.linalg.svd(matrix, full_matrices=False)
    return directions, factors


class LinearProbe:
    """What a linear map reads of a label in vectors: ridge regression on its one-hot code.

    Fitted to vectors (n, d) and labels (n,). Each coordinate is first brought to mean 0
    and variance 1, and `ridge`, per vector, keeps the weights small where n < d.
    """

    def __init__(self, x: Tensor, y: Tensor, num_classes: int, ridge: float = 0.1):
        if x.ndim != 2 or y.shape != x.shape[:1]:
            raise InputError(
                f"vectors {tuple(x.shape)} and labels {tuple(y.shape)} do not belong "
                "together: give (n, d) and (n,)"
            )
        self.scaler = StandardScaler().fit(x.double().cpu())
        code = nn.functional.one_hot(y.cpu(), num_classes)  # (n, K)
        self.fit = Ridge(ridge * len(x)).fit(self.scaler.transform(x.double().cpu()), code)

    def __call__(self, x: Tensor) -> Tensor:
        """The label with the highest score: (B, d) -> (B,) int64, on the CPU."""
        scores = self.fit.predict(self.scaler.transform(x.double().cpu()))
        return torch.from_numpy(scores.argmax(1))

    def accuracy(self, x: Tensor, y: Tensor) -> float:
        return (self(x) == y.cpu()).double().mean().item()

    def directions(self) -> Tensor:
        """Unit vectors (K, d): where the score of each value rises fastest."""
        slopes = torch.from_numpy(self.fit.coef_ / self.scaler.scale_)
        return (slopes / slopes.norm(dim=1, keepdim=True)).float()
