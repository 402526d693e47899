"""Checkers of chapter 03, The first GAN."""

from itertools import combinations

import torch
from torch import nn
from torch.nn.functional import logsigmoid

from ganbook.exercises import exercise, expect
from ganbook.mlp import PointDiscriminator, PointGenerator
from ganbook.objectives import NonSaturating
from ganbook.toys import ring


@exercise("03.1")
def two_losses(answer):
    """both losses of G, right in value and in slope, finite wherever D is sure"""
    saturating, non_saturating = answer
    logits = torch.tensor([-3.0, -0.5, 0.0, 2.0], requires_grad=True)
    steep, flat = non_saturating(logits), saturating(logits)
    expect(steep.shape == flat.shape == (), "a loss is one number, the mean over the batch; yours keeps the batch")
    expect(
        not steep.isclose(logsigmoid(-logits).mean()), "the two are swapped: hand in (saturating, non_saturating)"
    )
    rising = (torch.autograd.grad(loss, logits)[0] for loss in (steep, flat))
    expect(
        all((slope < 0).all() for slope in rising), "one of them makes G lower D's logit: the sign is turned round"
    )
    expect(
        not steep.isclose(-logsigmoid(logits).sum()),
        "you add over the batch: take the mean, or the step grows with it",
    )
    expect(steep.isclose(-logsigmoid(logits).mean()), "the non-saturating loss is not the mean of -log D(G(z))")
    expect(flat.isclose(logsigmoid(-logits).mean()), "the saturating loss is not the mean of log(1 - D(G(z)))")
    sure = torch.tensor([-200.0, 200.0], requires_grad=True)
    for loss, at in ((saturating, 1), (non_saturating, 0)):  # where each pulls with all its weight
        value = loss(sure)
        (slope,) = torch.autograd.grad(value, sure)
        expect(
            slope.isfinite().all() and value.isfinite(),
            "at a logit of ±200 it is not finite: no sigmoid before the log",
        )
        expect(
            slope[at].isclose(torch.tensor(-0.5), rtol=1e-3),
            f"at a logit of {sure[at].item():g} the pull is gone: a clamp, or a small number in the log, keeps "
            "the loss finite and stops the gradient; use softplus",
        )


@exercise("03.2")
def two_steps(answer):
    """two updates of D, each on new data and new fakes, then one of G on fakes of its own"""
    G, D, moves, taken, drawn = PointGenerator(), PointDiscriminator(), [], [], []
    opt_G, opt_D = (torch.optim.SGD(net.parameters(), lr=1e-3) for net in (G, D))
    for name, net, optimizer in (("G", G, opt_G), ("D", D, opt_D)):
        optimizer.register_step_post_hook(lambda *_, name=name: moves.append(name))
        for p in net.parameters():  # what an earlier turn may have left behind
            p.grad = torch.full_like(p, 1e6)
    G.register_forward_pre_hook(lambda _, inputs: drawn.append(inputs[0].detach().clone()))
    batches = (taken.append(x) or (x, None) for x, _ in ring().batches(32))
    before = [[p.detach().clone() for p in net.parameters()] for net in (G, D)]
    answer(G, D, NonSaturating(), opt_G, opt_D, batches)

    expect(
        moves.count("D") == 2 and moves.count("G") == 1,
        f"the order of updates was {' '.join(moves)}: D twice, G once",
    )
    expect(moves == ["D", "D", "G"], f"the order of updates was {' '.join(moves)}: both of D's come before G's")
    expect(len(taken) == 2, f"{len(taken)} batches of data were taken: each of D's two updates takes a new one")
    expect(len(drawn) >= 3, "fakes were used twice: each of the three updates makes its own")
    expect(
        not any(torch.equal(a, b) for a, b in combinations(drawn, 2)),
        "the same z twice: draw it anew in each update",
    )
    far = [
        max((p - q).abs().max().item() for p, q in zip(net.parameters(), old, strict=True))
        for net, old in zip((G, D), before, strict=True)
    ]
    expect(max(far) < 100, "a step contains gradients of an earlier turn: zero_grad comes before backward")
    expect(far[0] > 0, "G did not move: its fakes were made without a graph, or detached, in its own turn")


@exercise("03.4")
def count_parameters(answer):
    """weights and biases of fully connected layers, of whatever sizes"""
    for sizes in ([100, 256, 512, 1024, 784], [2, 3], [7, 5, 1], [1, 1, 1, 1]):
        layers = [nn.Linear(n, m) for n, m in zip(sizes, sizes[1:], strict=False)]
        weights, biases = (sum(getattr(layer, kind).numel() for layer in layers) for kind in ("weight", "bias"))
        count = answer(sizes)
        expect(count != weights, f"{sizes}: {count:,} are the weights alone; each layer has biases, too")
        inputs = sum(sizes[:-1])
        expect(
            biases == inputs or count != weights + inputs,
            f"{sizes}: a layer has one bias for each output, not for each input",
        )
        expect(
            biases == sum(sizes) or count != weights + sum(sizes),
            f"{sizes}: the first layer is not between two sizes, so it has no biases for z",
        )
        expect(
            count == weights + biases, f"{sizes}: {count:,}, but a network of these sizes has {weights + biases:,}"
        )
