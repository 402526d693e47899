"""Checkers of chapter 12, The ladder."""

import torch
from torch.nn.functional import softplus

from ganbook.exercises import exercise, expect, none_of, number


@exercise("12.1")
def largest(answer):
    """never above the largest singular value, and as near to it after each round as power iteration comes"""
    W = torch.randn(12, 7, dtype=torch.float64)
    exact, given = torch.linalg.svdvals(W), W.clone()
    for rounds in (1, 2, 5, 60):
        found = number(answer(W, rounds)).double()
        expect(torch.equal(W, given), "W itself was changed: work on vectors of your own")
        u, sums = torch.ones(12, dtype=W.dtype), []
        for _ in range(rounds):
            v = W.T @ u / (W.T @ u).norm()
            sums.append((u / u.norm() @ W @ v).item())
            u = W @ v / (W @ v).norm()
        right = u @ W @ v
        if rounds < 60:  # later they are all alike
            none_of(
                found,
                {
                    "that is its square: u·Wv holds the singular value once": right * right,
                    "that is the exact value: return how far so few rounds come": exact[0],
                    "that is the norm of all entries together (Frobenius)": W.norm(),
                    "u is a round behind: at the end of each round it has to follow v": sums[-1],
                },
                1e-7,
            )
        expect(
            found.isclose(right, rtol=1e-6),
            f"after {rounds} round(s) {found.item():.5g}, but it is {right.item():.5g} "
            f"(from ones; the largest singular value is {exact[0].item():.5g})",
        )


@exercise("12.2")
def memory_for(answer):
    """the least whole memory that leaves no more of the circle than the share"""

    def left(memory, turn):
        beta, back = 1 - 1 / memory, torch.polar(torch.ones(()), torch.tensor(-2 * torch.pi / turn))
        return ((1 - beta) / (1 - beta * back).abs()).item()

    for turn, share in ((100, 0.1), (20, 0.5), (50, 0.03)):
        found = number(answer(turn, share))
        expect(found == int(found) and found >= 1, f"{found:g} is no whole number of steps")
        said = f"turn of {turn}, share {share}: {found:g} "
        expect(
            left(found.item(), turn) <= share,
            said + f"leaves {left(found.item(), turn):.3f} of the circle: take more",
        )
        expect(
            found == 1 or left(found.item() - 1, turn) > share,
            said + "is more than it takes: look for the least (the share is of the radius, not of its square)",
        )


@exercise("12.3")
def all_pairs(answer):
    """every real logit meets every fake one, and D gains by the reals' lead"""
    real, fake = torch.randn(6) + 1, torch.randn(6)
    lead = real[:, None] - fake[None]
    found = answer(real, fake)
    expect(
        getattr(found, "shape", None) != (6, 6),
        "the losses of all 36 pairs: take their mean, one number in the end",
    )
    none_of(
        number(found).float(),
        {
            "each real logit met one fake only: give one of them a new axis": softplus(-lead.diagonal()).mean(),
            "that is G's loss: the fakes' lead is taken": softplus(lead).mean(),
            "the sum over all pairs: a loss is a mean, or it grows with the batch": softplus(-lead).sum(),
            "that divides by B; there are B² pairs": softplus(-lead).sum() / 6,
            "the mean of the leads, then the softplus: it has to come first": softplus(-lead.mean()),
            "without the softplus G and D just pull at a mean, which has no end": -lead.mean(),
            "that is the old game, in which each is judged alone": softplus(-real).mean() + softplus(fake).mean(),
        },
    )
    expect(number(found).isclose(softplus(-lead).mean(), atol=1e-5), "it is not the mean of softplus(fake − real)")


@exercise("12.4")
def speed(answer):
    """the smaller of the two decays, below and above ½"""
    for gamma in (0.2, 0.5, 0.75, 2.0):
        found = number(answer(gamma)).double()
        matrix = torch.tensor([[0, 0.5], [-0.5, -2 * gamma]], dtype=torch.float64)
        decays = -torch.linalg.eigvals(matrix).real
        right = decays.min()
        said = f"γ = {gamma}: "
        expect(found >= 0 or right < 0, said + "the real parts are negative: return the smaller without its sign")
        if gamma > 0.5:
            none_of(
                found,
                {
                    said + "that is the faster of the two: the slower one is what remains": decays.max(),
                    said + "γ alone holds only where the root is imaginary, up to ½": gamma,
                },
            )
        if gamma < 0.5:
            expect(
                not found.isclose(torch.tensor((gamma**2 + 0.25) ** 0.5).double()),
                said + "the root is imaginary here: it turns, and leaves the speed alone",
            )
        expect(
            found.isclose(right, atol=1e-6),
            f"{said}{found.item():.4g}, but the slower part falls as e^(−{right.item():.4g} t)",
        )
