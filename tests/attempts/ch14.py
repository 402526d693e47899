"""Wrong attempts at the exercises of chapter 14."""

from functools import partial

import torch

from attempts import WRONG, wrong


def by_hand(four, x, y, cycle=5.0, identity=2.5, lr=0.1, fooling=0.5, players=2):
    G, F, D_A, D_B = four
    loss = fooling * (((D_B(G(x)) - 1) ** 2).mean() + ((D_A(F(y)) - 1) ** 2).mean())
    loss = loss + cycle * ((F(G(x)) - x).abs().mean() + (G(F(y)) - y).abs().mean())
    loss = loss + identity * ((G(y) - y).abs().mean() + (F(x) - x).abs().mean())
    weights = [p for net in four[:players] for p in net.parameters()]
    slopes = torch.autograd.grad(loss, weights)
    with torch.no_grad():
        for w, s in zip(weights, slopes, strict=True):
            w -= lr * s


@wrong("14.1", "another step")
def what_is_wrong_already(four, x, y):
    G, F, *_ = four
    by_hand(four, x, y)
    loss = 2.5 * ((G(x) - x).abs().mean() + (F(y) - y).abs().mean())
    weights = [*G.parameters(), *F.parameters()]
    with torch.no_grad():
        for w, s in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            w -= 0.1 * s


WRONG += [
    ("14.1", partial(by_hand, identity=0), "identity loss is missing"),
    ("14.1", partial(by_hand, cycle=0), "cycle loss is missing"),
    ("14.1", partial(by_hand, cycle=10, identity=5), "10 and 5 go with"),
    ("14.1", partial(by_hand, cycle=10, identity=5, fooling=1), "twice as far"),
    ("14.1", partial(by_hand, lr=-0.1), "uphill"),
    ("14.1", partial(by_hand, fooling=1), "lack their ½"),
    ("14.1", partial(by_hand, lr=0.01), "0.1 times as long"),
    ("14.1", partial(by_hand, players=4), "D_A or D_B has moved"),
    ("14.1", partial(by_hand, players=1), "only one of G and F"),
    ("14.1", lambda four, x, y: None, "where they were"),
    ("14.3", lambda batch, size: size / batch, "every second newcomer"),
    ("14.3", lambda batch, size: 2 * size, "a whole batch"),
    ("14.3", lambda batch, size: size, "several newcomers"),
    ("14.3", lambda batch, size: batch / (2 * size), "inverse"),
    ("14.3", lambda batch, size: 25, "but measured"),
    ("14.4", lambda cycle, identity: 0.5 / (cycle + identity / 2), "two D"),
    ("14.4", lambda cycle, identity: 2 / (cycle + identity / 2), "not 1"),
    ("14.4", lambda cycle, identity: 1 / cycle, "costs identity, too"),
    ("14.4", lambda cycle, identity: 1 / (cycle + identity), "before the weights"),
    ("14.4", lambda cycle, identity: 1 / (cycle + 2 * identity), "not twice"),
    ("14.4", lambda cycle, identity: 0.16, "and not fooling"),
    ("14.5", ((2, 2, 2), (2, 2, 1)), "patches of 46"),
    ("14.5", ((2, 2, 1), (2, 2, 2, 1)), "leave out"),
    ("14.5", ((2, 2), (2, 2, 2)), "patches of 22"),
    ("14.5", ((2, 2, 2, 1), (2, 2, 2)), "patches of 70"),
    ("14.5", (2, 2, 1), "two tuples"),
]
