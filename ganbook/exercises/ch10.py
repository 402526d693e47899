"""Checkers of chapter 10, More machines."""

from copy import deepcopy

import torch

from ganbook.exercises import exercise, expect
from ganbook.mlp import PointDiscriminator
from ganbook.objectives import NonSaturating


@exercise("10.1")
def accumulate(answer):
    """the gradients of the whole batch, and the graph of one share at a time"""
    D, objective, x, x_fake, parts = PointDiscriminator(), NonSaturating(), *torch.randn(2, 12, 2), 3
    alone, before, seen, held = deepcopy(D), deepcopy(D.state_dict()), [], [0]
    objective.d_loss(alone, x, x_fake).backward()
    D.register_forward_hook(lambda net, inputs, output: seen.append(len(output)) or held.append(held[-1] + 1))
    D.net[0].weight.register_hook(lambda _: held.append(0))
    answer(D, objective, x, x_fake, parts)
    expect(D.net[0].weight.grad is not None, "D has no gradients: every share needs its own backward()")
    expect(max(seen) <= 4, f"D got {max(seen)} rows at once: in 3 shares of 12 there are 4")
    expect(max(held) <= 2, "the graphs of several shares wait for one backward(): go backward after each share")
    expect(all(torch.equal(v, before[k]) for k, v in D.state_dict().items()), "D has moved: gradients alone")
    mine, whole = (torch.cat([p.grad.flatten() for p in net.parameters()]) for net in (D, alone))
    last = deepcopy(alone)
    last.zero_grad()
    objective.d_loss(last, x[-4:], x_fake[-4:]).backward()
    last = torch.cat([p.grad.flatten() for p in last.parameters()])
    expect(
        not any(mine.allclose(f * last, atol=1e-6) for f in (1, 1 / 3)),
        "only the last share is left: no zero_grad between the shares",
    )
    expect(not mine.allclose(3 * whole, atol=1e-6), "three times as large: divide each share's loss by `parts`")
    expect(mine.allclose(whole, atol=1e-6), "they are not the gradients of the whole batch")


@exercise("10.2")
def pooled(answer):
    """mean and variance of the whole, within the shares and between them"""
    shares = torch.randn(5, 40, 3, dtype=torch.float64) * torch.rand(5, 1, 1) + torch.randn(5, 1, 3)
    means, variances = shares.mean(1), shares.var(1, correction=0)
    mean, variance = answer(means, variances)
    whole = shares.flatten(0, 1)
    expect(
        torch.is_tensor(mean) and torch.is_tensor(variance) and mean.shape == variance.shape == (3,),
        "give a mean and a variance for each of the d numbers: two tensors (d,)",
    )
    expect(mean.allclose(whole.mean(0)), "the mean of shares of one size is the mean of their means")
    within, between = variances.mean(0), means.var(0, correction=0)
    for wrong, diagnosis in (
        (within, "that is the variance within the shares: their means differ, too"),
        (between, "that is the variance between the shares: within them there is more"),
        (within + means.var(0), "all N means are here, not a sample of them: divide by N, not N - 1"),
        (variances.sum(0) + between, "of the variances within take the mean, not the sum"),
        (within / 5, "that would be the variance of a mean: here each share stays as scattered as it is"),
        (within - between, "the scatter of the means adds to that within, it takes nothing away"),
    ):
        expect(not variance.allclose(wrong), diagnosis)
    expect(variance.allclose(whole.var(0, correction=0)), "this is not the variance of all rows together")


@exercise("10.3")
def copies(answer):
    """how many of my rows the other has as well, wherever they are"""
    mine, order = torch.randn(6, 2), torch.tensor([3, 5, 0, 1, 2, 4])
    counted = answer(mine, mine.clone())
    expect(not isinstance(counted, bool), "give how many, a number, and not whether there are any")
    expect(counted == 6, f"all 6 rows are copies, and you count {float(counted):g}")
    expect(
        answer(mine, mine[order]) == 6,
        "in another order you miss them: compare each of my rows with all of yours",
    )
    halves = torch.stack([mine[:, 0], torch.randn(6)], 1)
    expect(answer(mine, halves) == 0, "a row is a copy if *all* its numbers agree, not one of them")
    expect(answer(mine, mine.abs() + 3) == 0, "you count copies where there are none")
    twice = torch.cat([mine[:2], mine[:2], torch.randn(2, 2)])
    expect(answer(mine, twice) == 2, "a row of mine that you have twice counts once")
    expect(answer(twice, mine) == 4, "two equal rows of mine are both copies, if you have them")


@exercise("10.4")
def speed_up(answer):
    """one process is as fast as one, many are never faster than the wire"""
    c, w = 0.1, 0.02
    expect(
        abs(answer(1, c, w) - 1) < 1e-6, f"one machine has no wire: not {answer(1, c, w):.3g}, but 1 times as fast"
    )
    two, seconds = answer(2, c, w), c / 2 + w
    for wrong, diagnosis in (
        (seconds / c, "that is how long the step takes, as a share: how many times as fast is the inverse"),
        (seconds, "that is the seconds of a step: how many times as fast are they?"),
        (2, "the wire takes time, too"),
        (c / (c + w), "each machine computes a share only: c/N"),
        (c / (c / 2 + w / 2), "each number goes out and comes back: 2(N - 1)/N of w, not (N - 1)/N"),
        (c / (c / 2 + 2 * w), "a share of what is summed is here already: 2(N - 1)/N of w, not 2w"),
    ):
        expect(abs(two - wrong) > 1e-6, diagnosis)
    for n, c, w in ((2, 0.1, 0.02), (4, 0.3, 0.1), (64, 1.0, 0.01)):
        right = c / (c / n + 2 * (n - 1) / n * w)
        expect(
            abs(answer(n, c, w) - right) < 1e-6,
            f"N = {n}, c = {c}, w = {w}: {answer(n, c, w):.4g}, but c over the seconds of a step is {right:.4g}",
        )
