"""Wrong attempts at the exercises of chapter 10."""

import torch

from attempts import WRONG, wrong


@wrong("10.1", "rows at once")
def all_at_once(D, objective, x, x_fake, parts):
    objective.d_loss(D, x, x_fake).backward()


@wrong("10.1", "three times as large")
def never_divided(D, objective, x, x_fake, parts):
    for real, fake in zip(x.chunk(parts), x_fake.chunk(parts), strict=True):
        objective.d_loss(D, real, fake).backward()


@wrong("10.1", "only the last share")
def zeroed(D, objective, x, x_fake, parts):
    for real, fake in zip(x.chunk(parts), x_fake.chunk(parts), strict=True):
        D.zero_grad()
        (objective.d_loss(D, real, fake) / parts).backward()


@wrong("10.1", "wait for one backward")
def one_backward(D, objective, x, x_fake, parts):
    shares = zip(x.chunk(parts), x_fake.chunk(parts), strict=True)
    (sum(objective.d_loss(D, *share) for share in shares) / parts).backward()


@wrong("10.1", "D has moved")
def stepped(D, objective, x, x_fake, parts):
    optimizer = torch.optim.SGD(D.parameters(), lr=0.1)
    for real, fake in zip(x.chunk(parts), x_fake.chunk(parts), strict=True):
        (objective.d_loss(D, real, fake) / parts).backward()
        optimizer.step()


@wrong("10.1", "no gradients")
def never_backward(D, objective, x, x_fake, parts):
    shares = zip(x.chunk(parts), x_fake.chunk(parts), strict=True)
    return [objective.d_loss(D, *share) / parts for share in shares]


WRONG += [
    ("10.2", lambda means, variances: (means.mean(0), variances.mean(0)), "their means differ"),
    ("10.2", lambda means, variances: (means.mean(0), means.var(0, correction=0)), "within them there is more"),
    ("10.2", lambda means, variances: (means.mean(0), variances.mean(0) + means.var(0)), "not N - 1"),
    (
        "10.2",
        lambda means, variances: (means.mean(0), variances.sum(0) + means.var(0, correction=0)),
        "not the sum",
    ),
    ("10.2", lambda means, variances: (means.sum(0), variances.mean(0)), "mean of their means"),
    ("10.2", lambda means, variances: (means.mean(), variances.mean()), "two tensors (d,)"),
    ("10.3", lambda mine, yours: (mine == yours).all(1).sum().item(), "in another order"),
    ("10.3", lambda mine, yours: (mine[:, None] == yours).any(2).any(1).sum().item(), "*all* its numbers"),
    ("10.3", lambda mine, yours: (mine[:, None] == yours).all(2).sum().item(), "twice counts once"),
    ("10.3", lambda mine, yours: (mine[:, None] == yours).all(2).any(0).sum().item(), "twice counts once"),
    ("10.3", lambda mine, yours: len({*map(tuple, mine.tolist())} & {*map(tuple, yours.tolist())}), "both copies"),
    ("10.3", lambda mine, yours: mine.equal(yours), "whether there are any"),
    ("10.4", lambda n, c, w: (c / n + 2 * (n - 1) / n * w) / c, "inverse"),
    ("10.4", lambda n, c, w: c / (c / n + 2 * w), "no wire"),
    ("10.4", lambda n, c, w: c / (c / n + (n - 1) / n * w), "goes out and comes back"),
    ("10.4", lambda n, c, w: c / (c / n + 2 * (n - 1) * w), "not 2w"),
    ("10.4", lambda n, c, w: n, "the wire takes time"),
    ("10.4", lambda n, c, w: c / (c / n + (n - 1) * w), "over the seconds of a step"),
]
