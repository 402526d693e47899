"""Checkers of chapter 11, What goes wrong."""

import time
from itertools import permutations

import torch
from torch import nn

from ganbook.diseases import Disease
from ganbook.exercises import exercise, expect
from ganbook.mlp import PointDiscriminator, PointGenerator
from ganbook.objectives import NonSaturating
from ganbook.toys import ring
from ganbook.training import Step


class Heard(NonSaturating):
    """Notes whether D's loss reaches a weight of G, and the slope of G's loss by it."""

    def __init__(self, weight):
        self.weight = weight

    def d_loss(self, D, x, x_fake, y=None):
        self.reaches_G = x_fake.requires_grad
        return super().d_loss(D, x, x_fake, y)

    def g_loss(self, D, x_fake, y=None):
        loss = super().g_loss(D, x_fake, y)
        (self.slope,) = torch.autograd.grad(loss, self.weight, retain_graph=True)
        return loss


@exercise("11.1")
def either(answer):
    """G's graph kept but its gradients zeroed, or detached but never zeroed"""
    for detach in (False, True):
        G, D, followed = PointGenerator(), PointDiscriminator(), []
        weight = G.net[0].weight
        objective = Heard(weight)
        opt_G, opt_D = (torch.optim.SGD(net.parameters(), lr=1e-3) for net in (G, D))
        for p in (*G.parameters(), *D.parameters()):  # what an earlier turn left behind
            p.grad = torch.full_like(p, 1e3)
        opt_G.register_step_pre_hook(lambda *_, to=followed, w=weight: to.append(w.grad.clone()))
        before = [p.detach().clone() for p in D.parameters()]
        step = answer(G, D, objective, opt_G, opt_D, ring().sample(16), detach)
        case = f"detach={detach}: "
        expect(isinstance(step, Step), "return a Step: step_of(d_loss, g_loss, logits)")
        expect(len(followed) == 1, f"{case}G took {len(followed)} steps, but it takes one in a turn")
        expect(
            detach or objective.reaches_G, f"{case}D's loss stops at the fakes: hand them over with their graph"
        )
        expect(not (detach and objective.reaches_G), f"{case}D's loss reaches back into G: detach the fakes")
        far = max((p - q).abs().max().item() for p, q in zip(D.parameters(), before, strict=True))
        expect(0 < far < 0.5, f"{case}D's own turn is as ever: zero_grad, backward, step, all with opt_D")
        old = followed[0] - objective.slope
        expect(
            detach or old.abs().max() < 1e-4 * objective.slope.abs().max(),
            f"{case}G's step has other gradients in it: zero them *after* D's turn, before G's backward",
        )
        expect(
            not detach or old.allclose(torch.tensor(1e3)), f"{case}here G's gradients pile up: zero them nowhere"
        )


@exercise("11.2")
def answer_of_D(answer):
    """what minimises the loss, for whatever number of leftovers"""
    D = torch.linspace(0.001, 0.999, 9_981, dtype=torch.float64)
    for c in (2, 5, 1, 0):
        found = float(answer(c))
        for wrong, diagnosis in (
            (1 / 2, "the leftovers do tilt the balance: each adds -log D(G(z)) to D's loss"),
            (c / (1 + c), "D's own turn is in the sum, too: the fakes pull with 1, the real ones with 1"),
            (1 / (2 + c), "turned round: G's steps teach D to call fakes *real*, so D rises"),
            (1 / (1 + c), "G's leftovers say *real*, so they count for D, beside the real points' own 1"),
        ):
            expect(c in (0, 1) or abs(found - wrong) > 1e-4, diagnosis)
        least = D[(-(1 + c) * D.log() - (1 - D).log()).argmin()].item()
        expect(abs(found - least) < 5e-4, f"c = {c}: {found:.4g}, but the loss is least at {least:.4g}")


@exercise("11.3")
def like_keras(answer):
    """Keras' momentum in PyTorch's words, for whatever value, and nothing else changed"""
    for momentum in (0.8, 0.99, 0.5):
        norm = answer(momentum)
        expect(isinstance(norm, nn.BatchNorm1d), "return the layer, an nn.BatchNorm1d(1, …)")
        expect(
            norm.eps == nn.BatchNorm1d(1).eps,
            f"eps has become {norm.eps:g}: the second argument is eps, so write momentum=",
        )
        expect(
            norm.momentum is not None,
            "momentum=None averages over all batches alike: neither forgets as Keras does",
        )
        batch = torch.randn(512, 1)
        batch = batch - batch.mean() + 1
        for _ in range(5):
            norm.train()(batch)
        mean, keras = norm.running_mean.item(), 1 - momentum**5
        expect(
            abs(mean - keras) < 1e-3 or abs(mean - (1 - (1 - momentum) ** 5)) > 1e-3,
            f"after five batches of mean 1 it is at {mean:.3f}: PyTorch's momentum is the share of the *new* one",
        )
        expect(
            norm.momentum != nn.BatchNorm1d(1).momentum,
            "this is PyTorch's default, 0.1, whatever Keras was asked for",
        )
        expect(
            abs(mean - keras) < 1e-3, f"after five batches of mean 1 it is at {mean:.3f}, in Keras at {keras:.3f}"
        )


@exercise("11.4")
def right_by_chance(answer):
    """the share that is right on average, and how often none is"""
    K = 7
    codes = torch.tensor(list(permutations(range(K))))  # all of them
    right = (codes == torch.arange(K)).double()
    exact = right.mean().item(), (right.sum(1) == 0).double().mean().item()
    expect(isinstance(answer(K), tuple | list) and len(answer(K)) == 2, "return two numbers, (share, none)")
    share, none = map(float, answer(K))
    expect(abs(share - 1) > 1e-6, "one label is right on average, and the *share* is one of K")
    expect(abs(share - exact[0]) < 1e-6, f"a share of {share:.3g}, but over all codes of 7 labels it is 1/7")
    expect(abs(none - 1 + exact[1]) > 5e-3, "that is how often at least one is right")
    expect(abs(none - (1 - 1 / K) ** K) > 1e-6, "a code uses each label once: the places are not independent")
    expect(abs(none - 1 / len(codes)) > 1e-6, "one code of K! is the truth; but very many have no label right")
    expect(
        abs(none - exact[1]) < 5e-3, f"none right: {none:.3g}, but of all codes of 7 labels it is {exact[1]:.3f}"
    )


def as_logits(x, y=None):
    """A D whose pictures are their logits."""
    return x


@exercise("11.6")
def row(answer):
    """a quick figure that lies beyond the bound with the wrong sign, and never without it"""
    expect(isinstance(answer, Disease), "hand in a Disease(healthy, sick, measure, figure, sign, bound, …)")
    logits = torch.linspace(-3, 3, 13)
    rising = [
        torch.autograd.functional.jacobian(lambda x, one=one: one.g_loss(as_logits, x), logits).mean()
        for one in (answer.healthy, answer.sick)
    ]
    expect(not rising[0] > 0 > rising[1], "`healthy` has the wrong sign, and `sick` the right one: exchange them")
    expect(rising[1] > 0, "`sick` still raises D's logit of the fakes: with the wrong sign G lowers it")
    expect(rising[0] < 0, "`healthy` lowers D's logit of the fakes, and a G that is well raises it")
    for seed in range(3):
        started = time.perf_counter()
        well, ill = (answer.measure(one, seed) for one in (answer.healthy, answer.sick))
        expect(time.perf_counter() - started < 4, "the measure takes too long: look at the loss, train nothing")
        expect(
            well != ill, f"seed {seed}: the figure is {well:.3g} for both: measure(objective, seed) must use it"
        )
        expect(answer.shows(ill), f"seed {seed}: {ill:.3g} with the wrong sign, and the row does not show it")
        expect(not answer.shows(well), f"seed {seed}: {well:.3g} without a mistake, and the row calls it sick")
