"""Checkers of chapter 09, Measuring."""

import torch

from ganbook.exercises import exercise, expect
from ganbook.metrics import density_coverage


@exercise("09.2")
def skewed(answer):
    """no Fréchet distance, and a kernel distance that the third moments make"""
    expect(isinstance(answer, tuple | list) and len(answer) == 2, "hand in two numbers, (Fréchet, kernel)")
    frechet, kernel = map(float, answer)
    places = torch.tensor([[-(3**0.5), 0.0, 3**0.5], [2.0, -0.5, 0.0]], dtype=torch.float64)
    shares = torch.tensor(
        [[1 / 6, 2 / 3, 1 / 6], [0.2, 0.8, 0.0]], dtype=torch.float64
    )  # x: a normal's to the 5th
    k = (places.flatten()[:, None] * places.flatten() + 1) ** 3
    weights = torch.cat([shares[0], -shares[1]])
    means = (shares * places).sum(1)
    spreads = ((shares * places.square()).sum(1) - means.square()).sqrt()
    right = [((v[0] - v[1]) ** 2).item() for v in (means, spreads)]
    expect(
        abs(frechet - sum(right)) < 5e-3,
        f"Fréchet: {frechet:.3g}? It sees means and variances alone: work out both of Y, and compare",
    )
    exact = (weights @ k @ weights).item()
    third = (shares * places**3).sum(1).diff().item()
    expect(abs(kernel) > 1e-3, "kernel: not 0, for a cube contains the third moments, and Y is skewed")
    expect(abs(kernel - third) > 1e-3, "kernel: each difference of moments is squared, that of the third, too")
    expect(abs(kernel - 3 * exact) > 1e-3, "kernel: in (ab + 1)³ only ab and a²b² have a factor of 3, a³b³ has 1")
    expect(abs(kernel - exact) < 0.02, f"kernel: {kernel:.4g}, but the means of the kernel make {exact:.4g}")


@exercise("09.3")
def bias_of_means(answer):
    """the scatter of both means, whatever the features are"""
    x, n = torch.randn(2_000, 6) * torch.tensor([0.5, 1, 1, 2, 3, 4]) + 7, 50
    total = x.var(0).sum().item()
    found = torch.as_tensor(answer(x, n))
    expect(found.numel() == 1, "a squared length is one number: add up what the features contribute")
    found = found.item()
    for wrong, diagnosis in (
        (total / n, "that is how far one mean scatters: both do, and independently"),
        (2 * total, "a mean of n scatters less than one picture: divide the variance by n"),
        (2 * total / n**0.5, "the *variance* of a mean falls as 1/n, its standard deviation as 1/√n"),
        (2 * total / 6 / n, "add up the variances of all features: ‖·‖² is a sum, not a mean"),
        (2 * total / len(x), "n is how many are in a set, not how many rows x has"),
        (2 * x.std(0).sum().item() / n, "variances, not standard deviations, add up to the trace of Σ"),
        (2 * x.square().sum(1).mean().item() / n, "squares are taken about the mean, or a shift would add to it"),
    ):
        expect(abs(found / wrong - 1) > 1e-2, diagnosis)
    rows = torch.randint(len(x), (2, 1_000, n))
    simulated = (x[rows[0]].mean(1) - x[rows[1]].mean(1)).square().sum(1).mean().item()
    expect(
        abs(found * n / (2 * total) - 1) < 1e-2,
        f"{found:.3g}, but a thousand pairs of sets of {n} have {simulated:.3g} on average",
    )


@exercise("09.5")
def expected_coverage(answer):
    """the share of balls with a fake inside, of one distribution, for any numbers of both"""
    k, n, m = 3, 20_000, 10_000
    found, both = float(answer(k, n, m)), n + m
    for wrong, diagnosis in (
        ((n / both) ** k, "that is the share of balls *without* a fake: coverage is the rest"),
        (1 - 0.5**k, "real with probability ½ holds for as many fakes as real pictures: use n and m"),
        (1 - (m / both) ** k, "the roles are exchanged: a ball is empty if the first k are all *real*"),
        ((m / both) ** k, "one fake is enough for a ball, not k of them"),
        (m / both, "this is for k = 1: a ball out to the k-th neighbour has more room"),
        (1 - (n / both) ** (k - 1), "the k-th real neighbour counts, too: k must be real, not k - 1"),
    ):
        expect(abs(found - wrong) > 1e-3, diagnosis)
    for k, n, m in ((1, 1_000, 1_000), (3, 1_000, 500), (2, 500, 1_000)):
        seen = density_coverage(torch.randn(n, 6), torch.randn(m, 6), k)[1]
        expect(
            abs(answer(k, n, m) - seen) < 0.06,
            f"k = {k}, {n} real and {m} fakes: {float(answer(k, n, m)):.2f}, but the package measures {seen:.2f}",
        )
