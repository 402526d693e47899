"""How good samples are."""

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean, linear_regression, stdev

import torch
from torch import Tensor

from ganbook.errors import InputError
from ganbook.toys import Mixture

BLOCK = 256  # rows compared at once: with 60,000 others they take 123 MB in float64
EXACT = "donot_use_mm_for_euclid_dist"  # cdist by differences, not matrix products: a copy is at exactly 0


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


def check_features(*sets: Tensor, rows: int = 2) -> None:
    """Raise InputError unless all sets are finite, (n, d) with one d, and n is at least `rows`."""
    if not isinstance(rows, int) or rows < 2:  # k + 1, of a k-th neighbour
        raise InputError(f"there is no neighbour number {rows - 1}: take a whole k of 1 or more")
    shapes = " and ".join(str(tuple(x.shape)) for x in sets)
    if any(x.ndim != 2 or x.shape[1] != sets[0].shape[1] for x in sets):
        raise InputError(f"features of shape {shapes} cannot be compared: give (n, d), the same d for all")
    if any(len(x) < rows for x in sets):
        raise InputError(f"features of shape {shapes} are too few: give {rows} rows or more")
    bad = sum(int((~x.isfinite()).any(1).sum()) for x in sets)
    if bad:
        raise InputError(f"{bad} rows of features are not finite: look at the pictures that they come from")


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """The squared Fréchet distance, as FID quotes it, of the normal distributions fitted to two sets of features.

    Features are (n, d) and (m, d); the result is at least 0, and 0 if both agree:
    ‖μx − μy‖² + tr(Σx + Σy − 2(Σx Σy)^½)  (Dowson and Landau, 1982), in the squared unit of the features. In
    Inception's it is called FID (Heusel et al., 2017); in others they are named with it. On average it falls with
    n and m, all else unchanged.
    """
    check_features(x, y)
    x, y = x.double(), y.double()
    cov_x, cov_y = torch.atleast_2d(x.T.cov(), y.T.cov())
    # The eigenvalues of a product of two covariances are real and >= 0, but for rounding.
    roots = torch.linalg.eigvals(cov_x @ cov_y).real.clamp_min(0).sqrt()
    distance = (x.mean(0) - y.mean(0)).square().sum() + cov_x.trace() + cov_y.trace() - 2 * roots.sum()
    return max(distance.item(), 0.0)


def frechet_at_infinity(real: Tensor, fake: Tensor, sizes: Sequence[int]) -> float:
    """The Fréchet distance of infinitely many fakes (Chong and Forsyth, 2020).

    Features are (m, d) and (n, d). For each size the fakes are cut into disjoint parts
    of so many rows, whose distances to all the real ones are averaged. A straight line
    in 1/size is fitted to these averages by least squares; the result is its value at
    1/size = 0, and may lie a little below 0. The real ones stay as many as they are.

    No estimator is unbiased for all distributions (Bińkowski et al., 2018). This one
    removes the bias in 1/n, not that in 1/n² and so on: take sizes well above d.
    """
    check_features(real, fake)
    n = len(fake)
    if len(set(sizes)) < 2 or not 2 <= min(sizes) <= max(sizes) <= n:
        raise InputError(f"sizes {list(sizes)} make no line: give two or more to {n}")
    averages = []
    for size in sizes:
        each = [frechet_distance(real, part) for part in disjoint(fake, size)]
        averages.append(fmean(each))
    return linear_regression([1 / size for size in sizes], averages).intercept


def over_parts(
    metric: Callable[[Tensor, Tensor], float],
    real: Tensor,
    fake: Tensor,
    parts: int,
) -> tuple[float, float]:
    """Mean and standard deviation of metric(real, part) over disjoint parts of fakes.

    Features are (m, d) and (n, d); a part has n // parts rows, and the mean is that of
    the metric at this smaller size. The deviation divided by √parts is the mean's
    standard error, as far as the choice of fakes goes.

    Why not a bootstrap? A set redrawn from n fakes errs about them as they err about G,
    so the bias of n comes twice: the mean over the draws lies above the value that they
    should surround.
    """
    check_features(fake, rows=4)
    n = len(fake)
    if not 2 <= parts <= n // 2:
        raise InputError(f"{n} fakes do not make {parts} parts: take 2 to {n // 2}")
    values = [metric(real, part) for part in disjoint(fake, n // parts)[:parts]]
    return fmean(values), stdev(values)


def disjoint(x: Tensor, size: int) -> list[Tensor]:
    """As many sets of `size` rows as x (n, d) yields, no row twice.

    Drawn at random, so that an order of the rows, by label perhaps, does not matter;
    but always the same. Leaves torch's own random state alone.
    """
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return [x[part.to(x.device)] for part in rows.split(size) if len(part) == size]


def kernel_distance(x: Tensor, y: Tensor) -> float:
    """The squared maximum mean discrepancy of two sets of features (n, d) and (m, d).

    With the kernel k(a, b) = (a·b/d + 1)³ and the features of Inception it is KID
    (Bińkowski et al., 2018): the mean of k within x, plus that within y, less twice
    that between x and y, where no row is paired with itself. This makes it unbiased:
    two sets from one distribution give 0 on average, at every n and m, and often less.
    """
    check_features(x, y)
    x, y = x.double(), y.double()
    between = kernel_sum(x, y) / (len(x) * len(y))
    return (kernel_within(x) + kernel_within(y) - 2 * between).item()


def kernel_within(x: Tensor) -> Tensor:
    """The mean of (a·b/d + 1)³ over all pairs of different rows of x (n, d)."""
    with_itself = ((x.square().mean(1) + 1) ** 3).sum()  # a·a/d: the mean of squares
    return (kernel_sum(x, x) - with_itself) / (len(x) * (len(x) - 1))


def kernel_sum(x: Tensor, y: Tensor) -> Tensor:
    """(a·b/d + 1)³ summed over all rows a of x (n, d) and b of y (m, d)."""
    d = x.shape[1]
    return sum(((block @ y.T / d + 1) ** 3).sum() for block in x.split(BLOCK))


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """How many fakes look real, and how much of the real the fakes reach: two shares.

    Features are (n, d) and (m, d). Around each real row lies a ball that reaches to its
    k-th nearest real neighbour, surface included. Precision is the share of fakes in at
    least one ball; recall is the same with the roles exchanged (Kynkäänniemi et al.,
    2019). Good fakes of a few modes have a precision near 1 and a low recall. Fakes
    scattered far beyond the data have a precision near 0, but such large balls that
    their recall comes near 1: read it only where precision is high.
    """
    check_features(real, fake, rows=k + 1)
    return share_inside(fake, real, k), share_inside(real, fake, k)


def density_coverage(real: Tensor, fake: Tensor, k: int = 5) -> tuple[float, float]:
    """Precision and recall, less easily fooled by outliers (Naeem et al., 2020).

    Features are (n, d) and (m, d); a ball around each real row reaches its k-th real
    neighbour. Density is the number of balls that a fake lies in, divided by k, on
    average: 0 if none, 1 for other real pictures, above 1 if fakes crowd where real
    ones are dense. Coverage is the share of balls with a fake inside: 0 to 1; with as
    many other real pictures, about 1 - 2⁻ᵏ.
    """
    check_features(real, fake, rows=k + 1)
    radii = kth_distance(real, real, k + 1)
    hits = sum((block <= radii).sum(0) for block in distance_blocks(fake, real))  # (n,)
    return hits.sum().item() / (k * len(fake)), (hits > 0).double().mean().item()


def copying(fake: Tensor, train: Tensor, held_out: Tensor) -> float:
    """How far fakes are from the training pictures, measured by how far new ones are.

    Features are (m, d), (n, d) and (l, d). The median distance of a fake to its nearest
    training picture, divided by that of a held-out picture: 0 if most fakes are copies,
    1 if they are as new as real ones are. Below 1 some are copies, or all of them more
    typical than real ones: look at the nearest pairs. Above 1 they are off the data,
    and the median passes over copies of a few: read it beside `precision_recall`.
    Meehan et al. (2020) compare the same distances by a rank test in each region; this
    is simpler.
    """
    check_features(fake, train, held_out)
    usual = kth_distance(held_out, train, 1).median()
    if usual == 0:
        raise InputError("half of held_out is in train too: hold out other pictures")
    return (kth_distance(fake, train, 1).median() / usual).item()


def measures_of(real: Tensor, fake: Tensor, train: Tensor) -> dict[str, float]:
    """All of the above that need no labels, by their names.

    Features are (n, d), (m, d) and (l, d): of held-out real pictures, of fakes, and of
    those that G was trained on.
    """
    precision, recall = precision_recall(real, fake)
    density, coverage = density_coverage(real, fake)
    return {
        "distance": frechet_distance(real, fake),
        "kernel_distance": kernel_distance(real, fake),
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
        "copying": copying(fake, train, real),
    }


def share_inside(x: Tensor, y: Tensor, k: int) -> float:
    """The share of rows of x (n, d) in a ball from a row of y to its k-th neighbour."""
    radii = kth_distance(y, y, k + 1)
    inside = [(block <= radii).any(1) for block in distance_blocks(x, y)]
    return torch.cat(inside).double().mean().item()


def kth_distance(x: Tensor, y: Tensor, k: int) -> Tensor:
    """The distance of each row of x (n, d) to its k-th nearest row of y (m, d): (n,).

    A row that x and y share counts, at 0. Fast matrix products find the neighbours; the
    distances to these k are then taken anew, free of their rounding errors.
    """
    y, found = y.double(), []
    for block in x.double().split(BLOCK):
        nearest = torch.cdist(block, y).topk(k, largest=False).indices  # (b, k)
        to_nearest = torch.cdist(block[:, None], y[nearest], compute_mode=EXACT)
        found.append(to_nearest.amax((1, 2)))  # (b, 1, k) -> (b,)
    return torch.cat(found)


def distance_blocks(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """The distances of rows of x (n, d) to all of y (m, d): (b, m), block by block."""
    y = y.double()
    for block in x.double().split(BLOCK):
        yield torch.cdist(block, y, compute_mode=EXACT)


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
