"""How good samples are."""

from torch import Tensor

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
