"""Wrong attempts at the exercises of chapter 11."""

from math import factorial

import torch
from torch import nn
from torch.nn.functional import softplus

from attempts import WRONG
from ganbook.diseases import Disease, step_of
from ganbook.objectives import NonSaturating
from ganbook.training import descend, draw_z, overhear, train_step


def turn(G, D, objective, opt_G, opt_D, x, detach, zeroed):
    """`zeroed`: where G's gradients are zeroed: "first", "last" (after D's turn) or never."""
    if zeroed == "first":
        opt_G.zero_grad()
    x_fake = G(draw_z(G, x))
    with overhear(D) as logits:
        d_loss = objective.d_loss(D, x, x_fake.detach() if detach else x_fake)
    descend(opt_D, d_loss)
    if zeroed == "last":
        opt_G.zero_grad()
    g_loss = objective.g_loss(D, G(draw_z(G, x)))
    g_loss.backward()
    opt_G.step()
    return step_of(d_loss, g_loss, logits)


def never_zeroed(*args):
    return turn(*args, zeroed="never")


def always_zeroed(*args):
    return turn(*args, zeroed="last")


def zeroed_too_soon(*args):
    return turn(*args, zeroed="never" if args[-1] else "first")


def turned_round(*args):
    return turn(*args[:-1], not args[-1], zeroed="never" if args[-1] else "last")


def never_detached(*args):
    return turn(*args[:-1], False, zeroed="never" if args[-1] else "last")


def as_ever(G, D, objective, opt_G, opt_D, x, detach):
    return train_step(G, D, objective, opt_G, opt_D, x)


def nothing_returned(*args):
    turn(*args, zeroed="last")


def D_never_zeroed(G, D, objective, opt_G, opt_D, x, detach):
    x_fake = G(draw_z(G, x))
    with overhear(D) as logits:
        d_loss = objective.d_loss(D, x, x_fake.detach() if detach else x_fake)
    d_loss.backward()
    opt_D.step()
    g_loss = objective.g_loss(D, G(draw_z(G, x)))
    descend(opt_G, g_loss)
    return step_of(d_loss, g_loss, logits)


WRONG += [
    ("11.1", never_zeroed, "before G's backward"),
    ("11.1", zeroed_too_soon, "*after* D's turn"),
    ("11.1", always_zeroed, "pile up"),
    ("11.1", turned_round, "with their graph"),
    ("11.1", as_ever, "with their graph"),
    ("11.1", never_detached, "detach the fakes"),
    ("11.1", nothing_returned, "return a Step"),
    ("11.1", D_never_zeroed, "D's own turn"),
    ("11.2", lambda c: 0.5, "tilt the balance"),
    ("11.2", lambda c: c / (1 + c), "D's own turn is in the sum"),
    ("11.2", lambda c: 1 / (2 + c), "turned round"),
    ("11.2", lambda c: 0.6, "but the loss is least"),
    ("11.3", lambda momentum: nn.BatchNorm1d(1, momentum=momentum), "share of the *new*"),
    ("11.3", lambda momentum: nn.BatchNorm1d(1, 1 - momentum), "the second argument is eps"),
    ("11.3", lambda momentum: nn.BatchNorm1d(1), "default"),
    ("11.3", lambda momentum: nn.BatchNorm1d(1, momentum=None), "momentum=None"),
    ("11.3", lambda momentum: nn.BatchNorm1d(1, momentum=0.2), "in Keras at"),
    ("11.3", lambda momentum: 1 - momentum, "return the layer"),
    ("11.4", lambda K: (1, 1 / torch.e), "one of K"),
    ("11.4", lambda K: (1 / K, 1 - 1 / torch.e), "at least one is right"),
    ("11.4", lambda K: (1 / K, (1 - 1 / K) ** K), "not independent"),
    ("11.4", lambda K: (1 / K, 1 / factorial(K)), "one code of K!"),
    ("11.4", lambda K: (0.5, 1 / torch.e), "over all codes"),
    ("11.4", lambda K: 1 / K, "two numbers"),
]


class Sick(NonSaturating):
    def g_loss(self, D, x_fake, y=None):
        return softplus(D(x_fake, y)).mean()


class Halved(NonSaturating):
    def g_loss(self, D, x_fake, y=None):
        return super().g_loss(D, x_fake, y) / 2


def slope(objective, seed):
    logits = torch.randn(8, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    objective.g_loss(lambda x, y: x, logits).backward()
    return logits.grad.sum().item()


def row(healthy=None, sick=None, measure=slope, sign=">", bound=0.0):
    return Disease(healthy or NonSaturating(), sick or Sick(), measure, "", sign, bound, "", "")


WRONG += [
    ("11.6", row(Sick(), NonSaturating()), "exchange them"),
    ("11.6", row(sick=Halved()), "`sick` still raises"),
    ("11.6", row(healthy=Sick()), "`healthy` lowers"),
    ("11.6", row(measure=lambda objective, seed: slope(Sick(), seed)), "must use it"),
    ("11.6", row(sign="<"), "does not show it"),
    ("11.6", row(bound=-2.0), "calls it sick"),
    ("11.6", (NonSaturating(), Sick()), "hand in a Disease"),
]
