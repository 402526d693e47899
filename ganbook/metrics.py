"""How good samples are."""

from collections.abc import Callable

import torch
from torch import Tensor

from ganbook.errors import InputError
from ganbook.toys import Mixture


def mode_coverage(x: Tensor, mixture: Mixture) -> tuple[int, float]:
    """How many modes the points x (n, d) cover, and the share of them of high quality.

    High quality: within three standard deviations of the nearest mode. Covered: a mode
    that at least a fifth of its fair share, n/K points of high quality, is nearest to.
    (Srivastava et al., 2017, count a mode that a single such point reaches.)
    """
    distance, mode = (x[:, None] - mixture.means).norm(dim=2).min(1)  # each (n,)
    good = distance <= 3 * mixture.sd
    hits = mode[good].bincount(minlength=len(mixture.means))
    covered = hits >= 0.2 * len(x) / len(mixture.means)
    return int(covered.sum()), good.float().mean().item()


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """The square of it, as FID quotes it, between the normal distributions fitted to two sets of features.

    Features are (n, d) and (m, d); the result is at least 0, and 0 if both agree:
    ‖μx − μy‖² + tr(Σx + Σy − 2(Σx Σy)^½)  (Dowson and Landau, 1982), in the squared unit of the features. Only
    with the features of Inception is it FID (Heusel et al., 2017). It falls with n and m, all else unchanged.
    """
    x, y = x.double(), y.double()
    cov_x, cov_y = x.T.cov(), y.T.cov()
    # The eigenvalues of a product of two covariances are real and >= 0, but for rounding.
    roots = torch.linalg.eigvals(cov_x @ cov_y).real.clamp_min(0).sqrt()
    distance = (x.mean(0) - y.mean(0)).square().sum() + cov_x.trace() + cov_y.trace() - 2 * roots.sum()
    return distance.item()


def principal_components(x: Tensor, k: int) -> Callable[[Tensor], Tensor]:
    """The map from pictures (n, C, H, W) to the k coordinates (n, k) in which the pictures x vary most."""
    flat = x.flatten(1).double()
    mean = flat.mean(0)
    directions = torch.linalg.eigh((flat - mean).T.cov()).eigenvectors[:, -k:]  # eigenvalues come in rising order
    return lambda pictures: (pictures.flatten(1).double() - mean) @ directions


def spread_within(x: Tensor, y: Tensor) -> float:
    """How far pictures (n, C, H, W) of one label spread: the root of the mean variance of a pixel.

    Of labels (n, L) the first counts. The same picture again and again gives 0; a label that occurs once says
    nothing and is passed over. Raises InputError if no label occurs twice.
    """
    first = y.reshape(len(y), -1)[:, 0]
    groups = [x[first == label] for label in first.unique()]
    variances = [group.var(0).mean() for group in groups if len(group) > 1]
    if not variances:
        raise InputError(f"{len(x)} pictures of as many labels have no spread within one: give more pictures")
    return torch.stack(variances).mean().sqrt().item()
