"""Checkers of chapter 08, ACGAN."""

from math import log

import torch

from ganbook.conditional import AuxiliaryDiscriminator, ConditionalGenerator, ProjectionDiscriminator
from ganbook.dcgan import ConvDiscriminator
from ganbook.exercises import exercise, expect
from ganbook.mlp import PointGenerator
from ganbook.objectives import Smoothing, class_loss
from ganbook.sampling import generate


@exercise("08.1")
def doubled(answer):
    """the equilibrium's losses, and under each of them the floors of both doubled softmaxes"""
    expect(isinstance(answer, tuple | list) and len(answer) == 2, "hand in two numbers, (D's loss, G's loss)")
    level = torch.tensor([0.45]).logit()  # D* for targets 0.9 and 0
    base = Smoothing(0.9, 0)
    plain = base.d_loss(lambda x, y: x, level, level), base.g_loss(lambda x, y: x, level)
    hair, eyes = (class_loss([torch.eye(K)[:1]], torch.tensor([[0]])).item() for K in (12, 10))
    d_loss, g_loss = (round(float(a) - b.item(), 2) for a, b in zip(answer, plain, strict=True))
    both = round(hair + eyes, 2)
    for added, diagnosis in (
        (0, "these are the losses without the softmax: each class head puts its floor under them"),
        (hair, "that is the floor of hair alone: with two labels there are two heads, and two floors"),
        (log(12) + log(10), "guessing costs log K, but these heads name every label rightly: take their floors"),
        (log(torch.e + 21) - 1, "22 scores are split into 12 and 10, and each part has a softmax of its own"),
    ):
        expect(d_loss != round(added, 2), diagnosis)
    expect(
        d_loss != round(both + 2 * log(2) - plain[0].item(), 2),
        "for D's loss you took log 4: with targets 0.9 and 0 D says 0.45 at the equilibrium, not ½",
    )
    expect(d_loss != both or g_loss != 0, "G's loss, too, contains the class loss, and so the floors")
    expect(
        d_loss == both == g_loss,
        f"less the losses of the equilibrium, yours are {d_loss} and {g_loss}: both must be the floors, {both}",
    )


@exercise("08.2")
def pictures_needed(answer):
    """the sum of the waits for the first, the second, … and the last combination"""
    for n in (120, 1, 7, 2):
        expect(
            n > 1 or answer(1) != 0, "of one combination the first picture shows all, and it counts: one picture"
        )
        exact = sum(n / fresh for fresh in range(1, n + 1))
        found = float(answer(n))
        expect(n == 1 or found != n, f"{n} pictures are {n} combinations only if none comes twice")
        expect(
            n == 1 or abs(found / (n * log(n)) - 1) > 1e-3,
            f"n log n is only the leading term: {found:.0f} for n = {n}, and {exact:.0f} is right",
        )
        expect(
            n == 1 or found != n * n, "the wait is not the same each time: it is n/(n - k) when k have been seen"
        )
        expect(
            n == 1 or abs(found - sum(fresh / n for fresh in range(1, n + 1))) > 1e-3,
            "you added the probabilities of something new: one of p takes 1/p pictures on average",
        )
        expect(
            abs(found / exact - 1) < 3e-3, f"n = {n}: {found:.4g} pictures, but it takes {exact:.4g} on average"
        )


@exercise("08.5")
def difference(answer):
    """what a projection D says above an auxiliary D of the same weights, for whichever label"""
    body, sizes = ConvDiscriminator(16, width=4), (5, 3)
    auxiliary, projection = AuxiliaryDiscriminator(body, sizes), ProjectionDiscriminator(body, sizes)
    with torch.no_grad():
        auxiliary.classes.weight.normal_()
    projection.load_state_dict(auxiliary.state_dict())
    x, y = torch.randn(6, 3, 16, 16), torch.stack([torch.randint(K, (6,)) for K in sizes], 1)
    with torch.no_grad():
        real, scores = auxiliary.eval()(x)
        names = torch.stack([-class_loss([s[i : i + 1] for s in scores], y[i : i + 1]) for i in range(6)])
        right = projection.eval()(x, y) - (real + names)
        found = answer(scores)
    expect(
        torch.is_tensor(found) and found.shape == (6,), "give one number for each picture, (B,), labels summed up"
    )
    expect(
        not found.allclose(-right, atol=1e-4), "that is the auxiliary D's less the projection D's: turn it round"
    )
    for wrong, diagnosis in (
        (torch.cat(scores, 1).logsumexp(1), "each label has a softmax of its own: not one sum over all scores"),
        (
            scores[0].logsumexp(1),
            "there is a score for each label: add the differences of all, not only the first",
        ),
        (sum(s.exp().sum(1) for s in scores), "log P(y|x) is a score less the *logarithm* of the sum"),
        (sum(s.sum(1) for s in scores), "the softmax adds exponentials of the scores, not the scores"),
        (
            sum(s.amax(1) for s in scores),
            "the largest score alone is near it, not equal: the others count a little",
        ),
    ):
        expect(not found.allclose(wrong, atol=1e-4), diagnosis)
    expect(found.allclose(right, atol=1e-3), "the two networks differ by another number than yours")


@exercise("08.6")
def between(answer):
    """pictures from one label to the other, with one z, equally far apart in the embeddings"""
    G, n = ConditionalGenerator(PointGenerator(12), (7, 3), embedding_dim=4), 5
    torch.nn.init.normal_(G.embeddings[0].weight)
    z, start, end = torch.randn(1, 4), torch.tensor([[1, 2]]), torch.tensor([[5, 2]])
    modes: list[bool] = []
    G.G.register_forward_pre_hook(lambda net, given: modes.append(net.training))
    with torch.no_grad():
        found = answer(G.train(), z, start, end, n)
    in_training = any(modes)
    expect(
        torch.is_tensor(found) and found.shape == (n, 2),
        f"give {n} pictures in one tensor, the picture's shape behind the {n}",
    )
    shares = torch.linspace(0, 1, n)[:, None]
    codes = torch.cat([z.expand(n, -1), torch.zeros(n, 8)], 1)
    for i, table in enumerate(G.embeddings):
        codes[:, 4 + 4 * i : 8 + 4 * i] = table(start[:, i]).lerp(table(end[:, i]), shares).detach()
    ends = generate(G, z, start), generate(G, z, end)
    numbers = torch.lerp(start.double(), end.double(), shares.double()).long()
    expect(
        not found.allclose(ends[0].lerp(ends[1], shares), atol=1e-5), "you mix pictures: mix rows of embeddings"
    )
    expect(
        not found.allclose(generate(G, z.expand(n, -1), numbers), atol=1e-5),
        "you walk through the numbers: the colours between 1 and 5 have nothing to do with these two",
    )
    expect(found[:1].allclose(ends[0], atol=1e-5), "the first picture is not G's of this z and the first label")
    expect(found[-1:].allclose(ends[1], atol=1e-5), "the last picture is not G's of this z and the second label")
    expect(
        found.allclose(generate(G.G, codes), atol=1e-5), "between the ends the embeddings are not equally apart"
    )
    expect(not in_training, "G draws in training mode, where pictures depend on each other: use `generate`")
