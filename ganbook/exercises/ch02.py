"""Checkers of chapter 02, The two updates."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ganbook.divergences import best_logits
from ganbook.exercises import exercise, expect, none_of, number
from ganbook.objectives import Hinge, LeastSquares, Minimax, NonSaturating
from ganbook.toys import bumps

GRID = torch.linspace(-12, 12, 2_401, dtype=torch.float64)


def passed_on(logits, y=None):
    """Stands in for D: returns the logits that it is given, (B, 1) -> (B,)."""
    return logits.squeeze(1)


def losses(objective, real, fake):
    """What D and G pay, each one number."""
    expect(not isinstance(objective, type), "hand in objects, not classes: with () behind the name")
    both = (
        torch.as_tensor(objective.d_loss(passed_on, real, fake)),
        torch.as_tensor(objective.g_loss(passed_on, fake)),
    )
    expect(
        both[0].shape == both[1].shape == (),
        "a loss is one number, the mean over the batch; yours keeps the batch",
    )
    return both


@exercise("02.2")
def matrix_of_a_round(answer):
    """the matrix of k steps of D and one of G: its determinant is 1 for any k"""
    for h, k in ((0.2, 5), (1.0, 2), (0.5, 1)):
        M = answer(h, k)
        expect(M is not None, "nothing came back: return the matrix")
        M = torch.as_tensor(M, dtype=torch.float64)
        expect(M.shape == (2, 2), f"return a 2 × 2 matrix; yours has the shape {tuple(M.shape)}")
        a, one = h / 2, torch.eye(2, dtype=torch.float64)
        D, G = one.clone(), one.clone()
        D[1, 0], G[0, 1] = -a, a
        Dk = torch.linalg.matrix_power(D, k)
        mistakes = {
            "G moves first: the matrix on the left acts last, and it is to be G's": Dk @ G,
            "both move at once: G has to answer the new ψ, so multiply the matrices": G + Dk - one,
            "each velocity carries σ(0) = ½: the off-diagonal entries of one step are ±h/2": one.addmm(
                2 * (G - one), 2 * (Dk - one)
            )
            + 2 * (G - one + Dk - one),
            "the rows and columns are exchanged: the matrix acts on the column (θ, ψ)": (G @ Dk).T,
        }
        if k > 1:
            mistakes |= {
                "G moves k times as well: only D's matrix is raised to the power k": torch.linalg.matrix_power(
                    G @ D, k
                ),
                "it is G that moves k times: D is to": torch.linalg.matrix_power(G, k) @ D,
                "k has changed nothing": G @ D,
            }
        none_of(M, mistakes)
        right = M.allclose(G @ Dk, rtol=1e-6, atol=1e-6)
        expect(right, f"h = {h}, k = {k}: a round takes (1, 0) and (0, 1) elsewhere than your columns say")


@exercise("02.3")
def largest_real_part(answer):
    """the largest real part below γ = 1, at it and above it"""
    for gamma in (0.3, 1.0, 2.0, 3.0):
        J = torch.tensor([[0, 0.5], [-0.5, -gamma]], dtype=torch.float64)
        eigenvalues = torch.linalg.eigvals(J)
        found = answer(gamma)
        complex_one = isinstance(found, Tensor) and found.is_complex() or isinstance(found, complex)
        expect(not complex_one, "return the real part: below γ = 1 the root is imaginary")
        found = number(found)
        expect(
            not found.isnan(), f"γ = {gamma}: the root of a negative number: it adds no real part, so leave it out"
        )
        found = found.double()
        if gamma != 1:
            mistakes = {
                "that is the modulus of an eigenvalue; the real part decides": eigenvalues.abs().max(),
                "the sign: the real parts are negative": -eigenvalues.real.max(),
                "under the root: γ²/4 - 1/4, not γ² - 1": -gamma / 2 + max(gamma**2 - 1, 0) ** 0.5,
            }
            none_of(found, mistakes if gamma > 1 else dict(list(mistakes.items())[:2]))
        if gamma > 1:
            mistakes = {
                "that is the smaller of the two; the larger one is the slower and decides": eigenvalues.real.min(),
                "above γ = 1 the root is real: it adds to -γ/2": -gamma / 2,
            }
            none_of(found, mistakes)
        most = eigenvalues.real.max().item()
        expect(abs(found - most) < 1e-5, f"γ = {gamma}: it is {most:.3f}; yours is {found:.3f}")


@exercise("02.4")
def swapped(answer):
    """D's loss exchanged in both, G's in the second alone"""
    expect(
        isinstance(answer, tuple | list) and len(answer) == 2,
        "hand in two objectives: (SwappedD(), SwappedBoth())",
    )
    real, fake = 1 + torch.randn(16, 1), torch.randn(8, 1) - 0.5
    usual, plus = losses(NonSaturating(), real, fake), softplus(fake).mean()
    exchanged = softplus(real).mean() + softplus(-fake).mean()
    (d_one, g_one), (d_both, g_both) = (losses(objective, real, fake) for objective in answer)
    for name, d in (("first", d_one), ("second", d_both)):
        mistakes = {
            f"in the {name} D's loss is the usual one: exchange real and fake": usual[0],
            f"in the {name} D's loss is minus the usual one, which is not the same: exchange the targets": -usual[
                0
            ],
            f"in the {name} only the fakes' target is exchanged": softplus(-real).mean() + softplus(-fake).mean(),
            f"in the {name} only the real pictures' target is exchanged": softplus(real).mean() + plus,
        }
        none_of(d, mistakes)
        expect(
            d.isclose(exchanged, rtol=1e-4),
            f"in the {name} D's loss is not -log(1 - D(x)) - log D(G(z)), averaged",
        )
    right, wrong = (usual[1], -plus), (plus, -softplus(-fake).mean())  # non-saturating, or by the game
    expect(
        any(g_one.isclose(g, rtol=1e-4) for g in right),
        "in the first G's loss stays as it should be: -log D(G(z))",
    )
    expect(
        not any(g_both.isclose(g, rtol=1e-4) for g in right),
        "in the second G's loss is the usual one: exchange it, too",
    )
    expect(
        any(g_both.isclose(g, rtol=1e-4) for g in wrong),
        "in the second G's loss is not -log(1 - D(G(z))), averaged",
    )


@exercise("02.5")
def hinge_at_best(answer):
    """2 - 2 TV, whether the densities overlap or not"""
    for one, other in (((-2.0, 2.0, 0.6), (1.0, 1.0)), ((-1.0, 0.5), (1.0, 0.5)), ((-5.0, 0.4), (5.0, 0.4))):
        p, q = (bumps(*means, sd=sd).log_density(GRID[:, None]).exp() for *means, sd in (one, other))
        found = number(answer(p, q, GRID)).double()

        def pays(says, p=p, q=q):
            return torch.trapezoid(p * (1 - says).relu() + q * (1 + says).relu(), GRID)

        right, TV = pays((p - q).sign()), torch.trapezoid((p - q).abs(), GRID) / 2
        mistakes = {
            "TV is half of ∫|p - q| dx: without the half the loss goes below 0": 2 - 4 * TV,
            "that is ∫ min(p, q) dx: the best D pays twice that": 1 - TV,
            "that is TV itself; the loss falls as TV rises": TV,
            "the best D says the sign of p - q, not p - q": pays(p - q),
            "the best D of the hinge says 1 or -1; log(p/q) is the best logit of the first game": (
                pays(best_logits(p, q).clamp(-50, 50))
            ),
        }
        if TV < 0.99:
            none_of(found, mistakes)
        expect(abs(found - right) < 1e-3, f"TV = {TV:.3f}: the best D pays {right:.3f}; yours {found:.3f}")


@exercise("02.6")
def mixed(answer):
    """the least-squares D, and a G whose pull on a fake is 1 at every logit"""
    real, fake = 1 + torch.randn(16, 1), (torch.randn(8, 1) - 0.5).requires_grad_()
    squares = LeastSquares().d_loss(passed_on, real, fake)
    d, g = losses(answer, real, fake)
    others = {
        f"D's loss is that of {type(other).__name__}: it stays the one of least squares": (
            other.d_loss(passed_on, real, fake)
        )
        for other in (Minimax(), Hinge())
    }
    others["D's loss has lost its squares: only G's goes without"] = fake.mean() - real.mean()
    none_of(d, others)
    expect(any(d.isclose(n * squares, rtol=1e-4) for n in (1, 2)), "D's loss is not that of least squares")
    mistakes = {
        "G's loss rises with D's logit: then G goes for what D calls fake": fake.mean(),
        "G's loss is still a square": LeastSquares().g_loss(passed_on, fake),
        "G's loss is the non-saturating one: D's output itself, no softplus": softplus(-fake).mean(),
        "you add over the batch: take the mean, or the step grows with it": -fake.sum(),
    }
    none_of(g, mistakes)
    expect(g.requires_grad, "G's loss has no gradient: compute it from D's answer, without detach")
    (pull,) = torch.autograd.grad(g, fake)
    expect(pull.allclose(torch.full_like(pull, -1 / 8)), "the slope of G's loss is not -1 at every fake, averaged")
