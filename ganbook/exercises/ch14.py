"""Checkers of chapter 14, CycleGAN."""

from copy import deepcopy

import torch
from torch.nn.utils import parameters_to_vector

from ganbook.convolution import receptive_field
from ganbook.cyclegan import CycleLosses, Pool, cycle_step
from ganbook.exercises import exercise, expect
from ganbook.objectives import LeastSquares
from ganbook.translation import new_four


def moved(four, start):
    """How far the weights of G and F have gone, and those of both D, each as one vector."""
    return [
        parameters_to_vector([p for net in four[i : i + 2] for p in net.parameters()]).detach()
        - parameters_to_vector([p for net in start[i : i + 2] for p in net.parameters()]).detach()
        for i in (0, 2)
    ]


def gone(start, losses, x, y):
    """How far one step with these losses takes G and F, both D at rest."""
    four = deepcopy(start)
    sgd = torch.optim.SGD([*four.G.parameters(), *four.F.parameters()], lr=0.1)
    cycle_step(four, losses, sgd, None, (Pool(), Pool()), x, y)
    return moved(four, start)[0]


@exercise("14.1")
def step_by_hand(answer):
    """the step of `cycle_step` for G and F, with both D at rest"""
    start, (x, y) = new_four(32, 4, 4), torch.rand(2, 2, 3, 16, 16) * 2 - 1
    four = deepcopy(start)
    answer(four, x, y)
    mine, of_D = moved(four, start)
    expect(mine.abs().max() > 0, "G and F are where they were: change the weights of `four` themselves")
    expect(of_D.abs().max() == 0, "D_A or D_B has moved: this is G's and F's turn")
    n = sum(p.numel() for p in four.G.parameters())
    expect(mine[:n].abs().max() > 0 < mine[n:].abs().max(), "only one of G and F has moved: one loss leads both")
    whole = CycleLosses()
    right = gone(start, whole, x, y)
    for factor, diagnosis in (
        (-1, "the step goes uphill: weights *minus* 0.1 times their slopes"),
        (2, "twice as far: the least-squares loss has a ½, and 5 and 2.5 are the weights that go with it"),
    ):
        expect((mine - factor * right).norm() > 1e-3 * right.norm(), diagnosis)
    half = gone(start, whole._replace(cycle=whole.cycle / 2, identity=whole.identity / 2), x, y)
    expect(
        (mine - 2 * half).norm() > 1e-3 * right.norm(),
        "the squares lack their ½: 5 and 2.5 go with half of each mean square",
    )
    for losses, diagnosis in (
        (whole._replace(identity=0.0), "the identity loss is missing: G(y) - y and F(x) - x"),
        (whole._replace(cycle=0.0), "the cycle loss is missing: F(G(x)) - x and G(F(y)) - y"),
        (whole._replace(cycle=10.0, identity=5.0), "10 and 5 go with squares without the ½: here 5 and 2.5"),
        (whole._replace(identity=5.0), "the identity loss weighs half as much as the cycle loss: 2.5"),
        (
            whole._replace(cycle=1.0, identity=1.0),
            "the weights are missing: 5 for the cycle, 2.5 for the identity",
        ),
    ):
        expect((mine - gone(start, losses, x, y)).norm() > 1e-3 * right.norm(), diagnosis)
    along = torch.cosine_similarity(mine, right, 0).item()
    expect(
        (mine - right).norm() < 1e-3 * right.norm(),
        f"another step, {(mine.norm() / right.norm()).item():.3g} times as long, with a cosine of {along:.3f} to "
        "cycle_step's: compare your terms with it, one by one",
    )


@exercise("14.3")
def mean_age(answer):
    """how long a place in the pool keeps its picture, in steps"""
    for batch, size in ((5, 30), (8, 80), (3, 30)):
        found = float(answer(batch, size))
        for wrong, diagnosis in (
            (size / batch, "only every second newcomer takes a place: places change half as often"),
            (2 * size, "that is in newcomers, but a step brings a whole batch of them"),
            (size, "in each step several newcomers come, and every second one takes a place"),
            (
                size / 2,
                "that is in newcomers, were the places refilled in turn: count steps, and leave it to chance",
            ),
            (batch / (2 * size), "that is how likely a place changes in a step: the waiting is its inverse"),
        ):
            expect(abs(found / wrong - 1) > 1e-2, diagnosis)
        pool, stamps = Pool(size), torch.arange(600.0 * batch).view(-1, batch, 1, 1, 1)
        age = torch.cat([(new - pool.exchange(new)).flatten() // batch for new in stamps][100:])
        measured = age[age > 0].mean().item()
        expect(
            abs(found / measured - 1) < 0.2,
            f"batches of {batch}, a pool of {size}: {found:.3g} steps, but measured it is {measured:.3g}",
        )


@exercise("14.4")
def limit(answer):
    """the cycle loss at which a change costs as much as it gains"""
    for cycle, identity in ((5.0, 2.5), (2.0, 1.0), (3.0, 4.0)):
        refused = 2 * LeastSquares().g_loss(lambda x, y=None: torch.zeros(len(x)), torch.zeros(4, 1)).item()
        found = float(answer(cycle, identity))
        right = refused / (cycle + identity / 2)
        for wrong, diagnosis in (
            (right / 2, "there are two D to fool, and not fooling costs ½ for each"),
            (2 * right, "the least-squares loss has a ½: not fooling costs ½ for each D, not 1"),
            (refused / cycle, "the change costs identity, too: half as much of it as of cycle"),
            (
                refused / (cycle + identity),
                "the identity loss is half the cycle loss before the weights: cycle · c + identity · c/2",
            ),
            (refused / (cycle + 2 * identity), "identity is half of cycle, not twice as much"),
            (1 / right, "upside down: the heavier the weights, the less a change may cost"),
        ):
            expect(abs(found / wrong - 1) > 1e-3, diagnosis)
        expect(
            abs(found / right - 1) < 1e-3,
            f"weights of {cycle:g} and {identity:g}: at a cycle loss of {found:.3g} a change costs "
            f"{found * (cycle + identity / 2):.3g}, and not fooling {refused:g}",
        )


@exercise("14.5")
def strides(answer):
    """patches of 34 pixels and of 46"""
    expect(
        len(answer) == 2 and all(isinstance(one, tuple | list) for one in answer),
        "hand in two tuples of strides: for 34, for 46",
    )
    for one, size in zip(answer, (34, 46), strict=True):
        sees = receptive_field([(4, s) for s in (*one, 1)]).size
        expect(
            one[-1] != 1 or receptive_field([(4, s) for s in one]).size != size,
            f"{one} names the last layer, too: leave out its stride of 1",
        )
        expect(
            sees == size,
            f"{one} gives patches of {sees} pixels, not {size}: a stride counts for all layers after it",
        )
