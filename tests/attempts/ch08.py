"""Wrong attempts at the exercises of chapter 08."""

from math import e, log

import torch

from attempts import WRONG, wrong
from ganbook.sampling import generate

D_LOSS = -2 * (0.45 * log(0.45) + 0.55 * log(0.55))
G_LOSS = -log(0.45)
FLOORS = [log(e + K - 1) - 1 for K in (12, 10)]
BOTH = sum(FLOORS)

WRONG += [
    ("08.1", (D_LOSS, G_LOSS), "without the softmax"),
    ("08.1", (D_LOSS + FLOORS[0], G_LOSS + FLOORS[0]), "hair alone"),
    ("08.1", (D_LOSS + log(120), G_LOSS + log(120)), "guessing costs"),
    ("08.1", (2 * log(2) + BOTH, log(2) + BOTH), "you took log 4"),
    ("08.1", (D_LOSS + BOTH, G_LOSS), "G's loss, too"),
    ("08.1", (G_LOSS + BOTH, D_LOSS + BOTH), "both must be the floors"),
    ("08.1", D_LOSS + BOTH, "two numbers"),
    ("08.2", lambda n: n, "only if none comes twice"),
    ("08.2", lambda n: n * log(n) if n > 1 else 1, "leading term"),
    ("08.2", lambda n: n * n, "not the same each time"),
    ("08.2", lambda n: sum((n - k) / n for k in range(n)), "added the probabilities"),
    ("08.2", lambda n: sum(n / (n - k) for k in range(1, n)), "it counts"),
    ("08.5", lambda scores: torch.cat(scores, 1).logsumexp(1), "not one sum over all"),
    ("08.5", lambda scores: scores[0].logsumexp(1), "not only the first"),
    ("08.5", lambda scores: -sum(s.logsumexp(1) for s in scores), "turn it round"),
    ("08.5", lambda scores: sum(s.exp().sum(1) for s in scores), "logarithm"),
    ("08.5", lambda scores: [s.logsumexp(1) for s in scores], "one number for each"),
    ("08.5", lambda scores: sum(s.mean(1) for s in scores), "another number"),
]


@wrong("08.6", "mix pictures")
def pictures(G, z, start, end, n):
    first, last = generate(G, z, start), generate(G, z, end)
    return torch.cat([first.lerp(last, t) for t in torch.linspace(0, 1, n).tolist()])


@wrong("08.6", "through the numbers")
def numbers(G, z, start, end, n):
    shares = torch.linspace(0, 1, n, dtype=torch.float64).tolist()
    labels = [torch.lerp(start.double(), end.double(), t).long() for t in shares]
    return generate(G, z.expand(n, -1), torch.cat(labels))


def mixed(G, z, start, end, shares):
    rows = [table(start[:, i]).lerp(table(end[:, i]), shares[:, None]) for i, table in enumerate(G.embeddings)]
    return generate(G.G, torch.cat([z.expand(len(shares), -1), *rows], 1))


@wrong("08.6", "the last picture")
def never_arrives(G, z, start, end, n):
    return mixed(G, z, start, end, torch.arange(n) / n)


@wrong("08.6", "the first picture")
def begins_late(G, z, start, end, n):
    return mixed(G, z, start, end, torch.arange(1, n + 1) / n)


@wrong("08.6", "equally apart")
def slow_at_the_ends(G, z, start, end, n):
    shares = torch.linspace(0, 1, n)
    return mixed(G, z, start, end, shares.square() * (3 - 2 * shares))


@wrong("08.6", "the first picture")
def a_z_for_each(G, z, start, end, n):
    return mixed(G, torch.randn(n, 4), start, end, torch.linspace(0, 1, n))


@wrong("08.6", "training mode")
def in_training(G, z, start, end, n):
    shares = torch.linspace(0, 1, n)[:, None]
    rows = [e(a).lerp(e(b), shares) for e, a, b in zip(G.embeddings, start.T, end.T, strict=True)]
    return G.G(torch.cat([z.expand(n, -1), *rows], 1))
