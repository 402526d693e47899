"""Wrong attempts at the exercises of chapter 03."""

import torch
from torch.nn.functional import softplus

from attempts import WRONG, wrong
from ganbook.training import descend


def saturating(logits):
    return -softplus(logits).mean()


def non_saturating(logits):
    return softplus(-logits).mean()


WRONG += [
    ("03.1", (non_saturating, saturating), "swapped"),
    ("03.1", (saturating, lambda logits: softplus(logits).mean()), "sign"),
    ("03.1", (saturating, lambda logits: softplus(-logits)), "keeps the batch"),
    ("03.1", (saturating, lambda logits: softplus(-logits).sum()), "mean"),
    ("03.1", (lambda logits: (1 - logits.sigmoid()).log().mean(), non_saturating), "not finite"),
    ("03.1", (lambda logits: -logits.sigmoid().mean(), non_saturating), "the saturating loss is not"),
    ("03.1", (saturating, lambda logits: -(logits.sigmoid() + 1e-8).log().mean()), "the pull is gone"),
]


def z_of(x):
    return torch.randn(len(x), 2)


def turn_of_D(G, D, objective, opt_D, x, z):
    with torch.no_grad():
        x_fake = G(z)
    descend(opt_D, objective.d_loss(D, x, x_fake))


@wrong("03.2", "D G D")
def alternately(G, D, objective, opt_G, opt_D, batches):
    for turn in range(2):
        x, _ = next(batches)
        turn_of_D(G, D, objective, opt_D, x, z_of(x))
        if turn == 0:
            descend(opt_G, objective.g_loss(D, G(z_of(x))))


@wrong("03.2", "D twice, G once")
def once(G, D, objective, opt_G, opt_D, batches):
    x, _ = next(batches)
    turn_of_D(G, D, objective, opt_D, x, z_of(x))
    descend(opt_G, objective.g_loss(D, G(z_of(x))))


@wrong("03.2", "1 batches of data")
def the_same_data(G, D, objective, opt_G, opt_D, batches):
    x, _ = next(batches)
    for _ in range(2):
        turn_of_D(G, D, objective, opt_D, x, z_of(x))
    descend(opt_G, objective.g_loss(D, G(z_of(x))))


@wrong("03.2", "same z")
def the_same_z(G, D, objective, opt_G, opt_D, batches):
    z = torch.randn(32, 2)
    for _ in range(2):
        turn_of_D(G, D, objective, opt_D, next(batches)[0], z)
    descend(opt_G, objective.g_loss(D, G(z)))


@wrong("03.2", "zero_grad")
def never_zeroed(G, D, objective, opt_G, opt_D, batches):
    for _ in range(2):
        x, _ = next(batches)
        objective.d_loss(D, x, G(z_of(x)).detach()).backward()
        opt_D.step()
    objective.g_loss(D, G(z_of(x))).backward()
    opt_G.step()


@wrong("03.2", "G did not move")
def detached(G, D, objective, opt_G, opt_D, batches):
    for _ in range(2):
        x, _ = next(batches)
        turn_of_D(G, D, objective, opt_D, x, z_of(x))
    opt_G.zero_grad()
    objective.g_loss(D, G(z_of(x)).detach()).backward()
    opt_G.step()


WRONG += [
    ("03.4", lambda sizes: sum(n * m for n, m in zip(sizes, sizes[1:], strict=False)), "the weights alone"),
    ("03.4", lambda sizes: sum(n * (m + 1) for n, m in zip(sizes, sizes[1:], strict=False)), "not for each input"),
    (
        "03.4",
        lambda sizes: sum(n * m for n, m in zip(sizes, sizes[1:], strict=False)) + sum(sizes),
        "biases for z",
    ),
    ("03.4", lambda sizes: 1_486_352, "but a network of these sizes has"),
]
