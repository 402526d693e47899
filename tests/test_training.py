"""Algorithm 1: who moves in whose turn, and that a seed fixes everything."""

import pytest
import torch
from torch.nn.functional import softplus
from torch.optim import SGD, Adam

from ganbook.data import ImageSet, digits
from ganbook.mlp import MLPDiscriminator, MLPGenerator
from ganbook.objectives import NonSaturating
from ganbook.training import SameFakes, descend, draw_z, fit, frozen, overhear, train_step


def pair(seed=0):
    torch.manual_seed(seed)
    return MLPGenerator(), MLPDiscriminator()


def copy(net):
    return [p.detach().clone() for p in net.parameters()]


def same(before, net):
    return all(map(torch.equal, before, net.parameters()))


class Spy(NonSaturating):
    """The objective, looking round at each turn."""

    def __init__(self, look):
        self.look = look

    def g_loss(self, D, x_fake, y=None):
        self.look("G's turn")
        return super().g_loss(D, x_fake, y)


@pytest.fixture
def x():
    return torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_ds_turn_moves_d_alone_and_leaves_g_without_gradients(x):
    G, D = pair()
    G_before, D_before = copy(G), copy(D)
    seen = []

    def look(turn):
        seen.append(turn)
        assert same(G_before, G) and not same(D_before, D)
        assert all(p.grad is None for p in G.parameters())  # fails where the fakes keep G's graph

    train_step(G, D, Spy(look), SGD(G.parameters(), lr=0.1), SGD(D.parameters(), lr=0.1), x)
    assert seen == ["G's turn"]


def test_gs_turn_moves_g_alone(x):
    G, D = pair()
    G_before = copy(G)
    D_between = []
    spy = Spy(lambda turn: D_between.extend(copy(D)))
    train_step(G, D, spy, SGD(G.parameters(), lr=0.1), SGD(D.parameters(), lr=0.1), x)
    assert same(D_between, D) and not same(G_before, G)


def test_each_turn_starts_from_zero_gradients(x):
    """With learning rate 0 two steps from the same noise leave the same gradients, not their sum."""
    G, D = pair()
    D.eval()
    opts = SGD(G.parameters(), lr=0.0), SGD(D.parameters(), lr=0.0)
    gradients = []
    for _ in range(2):
        torch.manual_seed(1)
        train_step(G, D, NonSaturating(), *opts, x)
        gradients.append([p.grad.clone() for p in G.parameters()])
    assert all(map(torch.equal, *gradients))


def test_d_starts_its_turn_without_what_gs_turn_left_in_it(x):
    """D's update is down the gradient of its own loss, whatever gradients G's turn has left in D."""
    G, D = pair()
    D.eval()
    opt_G, opt_D = SGD(G.parameters(), lr=0.0), SGD(D.parameters(), lr=0.1)
    train_step(G, D, NonSaturating(), opt_G, opt_D, x)  # leaves gradients in D
    torch.manual_seed(1)
    x_fake = G(draw_z(G, x)).detach()
    loss = softplus(-D(x)).mean() + softplus(D(x_fake)).mean()
    expected = [
        p - 0.1 * g for p, g in zip(D.parameters(), torch.autograd.grad(loss, D.parameters()), strict=True)
    ]
    torch.manual_seed(1)
    train_step(G, D, NonSaturating(), opt_G, opt_D, x)
    torch.testing.assert_close(list(D.parameters()), expected)


def test_gs_turn_gives_d_no_gradients_and_leaves_it_as_it_was(x):
    """They would be thrown away; what D's own turn left is still there. A weight frozen for good stays so."""
    left = []
    for lr_g in (None, 0.1):  # G rests, G moves
        torch.manual_seed(0)
        G, D = pair()
        next(D.parameters()).requires_grad_(False)
        opt_G = SGD(G.parameters(), lr=lr_g) if lr_g else None
        train_step(G, D, NonSaturating(), opt_G, SGD(D.parameters(), lr=0.1), x)
        assert [p.requires_grad for p in D.parameters()] == [False] + [True] * (len(list(D.parameters())) - 1)
        left.append([p.grad for p in D.parameters() if p.requires_grad])
    assert all(torch.equal(a, b) for a, b in zip(*left, strict=True))
    with pytest.raises(ZeroDivisionError), frozen(D):
        1 / 0  # noqa: B018
    assert [p.requires_grad for p in D.parameters()].count(True) == len(left[0])


def test_the_two_turns_use_different_noise(x):
    G, D = pair()
    drawn = []
    G.register_forward_pre_hook(lambda _, inputs: drawn.append(inputs[0]))
    train_step(G, D, NonSaturating(), SGD(G.parameters(), lr=0.1), SGD(D.parameters(), lr=0.1), x)
    assert len(drawn) == 2 and not torch.equal(*drawn)


def test_same_fakes_serve_both_turns_and_g_learns_from_them(x):
    """The step by hand: fakes without their graph for D, with it for G, against the D that has moved."""
    (G, D), (own_G, own_D) = pair(), pair()
    torch.manual_seed(1)
    train_step(SameFakes(G), D, NonSaturating(), SGD(G.parameters(), 0.1), SGD(D.parameters(), 0.1), x)
    torch.manual_seed(1)
    x_fake = own_G(draw_z(own_G, x))
    descend(SGD(own_D.parameters(), 0.1), NonSaturating().d_loss(own_D, x, x_fake.detach()))
    draw_z(own_G, x)  # nobody looks at it; the random numbers after it are those of Algorithm 1
    descend(SGD(own_G.parameters(), 0.1), NonSaturating().g_loss(own_D, x_fake))
    assert same(copy(own_G), G) and same(copy(own_D), D)
    assert not same(copy(pair()[0]), G)
    plain_G, plain_D = pair()
    torch.manual_seed(1)
    optimizers = SGD(plain_G.parameters(), 0.1), SGD(plain_D.parameters(), 0.1)
    train_step(plain_G, plain_D, NonSaturating(), *optimizers, x)
    assert same(copy(plain_D), D) and not same(copy(plain_G), G)  # only G's turn is another one


def test_g_learns_to_fool_d(x):
    """Steps of G alone, against a D that stands still, raise D(G(z)); with the sign swapped they lower it."""
    G, D = pair()
    D.eval()
    opts = Adam(G.parameters(), lr=1e-3), SGD(D.parameters(), lr=0.0)
    steps = [train_step(G, D, NonSaturating(), *opts, x) for _ in range(20)]
    assert steps[-1].d_fake > steps[0].d_fake + 0.05


def test_d_learns_to_tell_real_from_fake(x):
    G, D = pair()
    opts = SGD(G.parameters(), lr=0.0), SGD(D.parameters(), lr=0.1)
    steps = [train_step(G, D, NonSaturating(), *opts, x) for _ in range(60)]
    assert steps[-1].d_real > 0.7 > 0.3 > steps[-1].d_fake


def test_a_step_says_what_d_said(x):
    G, D = pair()
    D.eval()
    torch.manual_seed(1)
    x_fake = G(draw_z(G, x)).detach()
    real, fake = D(x).detach(), D(x_fake).detach()
    torch.manual_seed(1)
    step = train_step(G, D, NonSaturating(), SGD(G.parameters(), lr=0.1), SGD(D.parameters(), lr=0.1), x)
    torch.testing.assert_close(step.d_real, real.sigmoid().mean())
    torch.testing.assert_close(step.d_fake, fake.sigmoid().mean())
    torch.testing.assert_close(step.d_loss, softplus(-real).mean() + softplus(fake).mean())
    assert not any(value.requires_grad for value in step[:4])


def test_overhear_leaves_no_hook(x):
    _, D = pair()
    with overhear(D) as logits:
        D(x)
    D(x)
    assert len(logits) == 1 and not D._forward_hooks


def test_descend_moves_only_what_the_optimizer_holds():
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    descend(SGD([a], lr=1.0), (a * b).sum())
    assert a.tolist() == [0, 0] and b.tolist() == [1, 1]


def test_the_same_seed_gives_the_same_weights_bit_for_bit():
    runs = []
    for seed in (3, 3, 4):
        G, D = pair(seed)
        for _step in fit(G, D, NonSaturating(), digits(), steps=5):
            pass
        runs.append(copy(G) + copy(D))
    assert all(map(torch.equal, runs[0], runs[1]))
    assert not all(map(torch.equal, runs[0], runs[2]))


@pytest.mark.parametrize("n, batch_size", [(10, 4), (3, 64), (8, 8)])
def test_fit_counts_steps_whatever_the_batch_size_leaves_over(n, batch_size):
    data = ImageSet(
        "some", torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8), torch.zeros(n, dtype=torch.int64)
    )
    steps = list(fit(*pair(), NonSaturating(), data, steps=7, batch_size=batch_size))
    assert [step.n for step in steps] == list(range(1, 8))


def test_fit_does_nothing_until_it_is_asked():
    G, D = pair()
    before = copy(G)
    fit(G, D, NonSaturating(), digits(), steps=3)
    assert same(before, G)


def test_fit_trains_in_training_mode_even_after_a_look_in_eval_mode():
    G, D = pair()
    for _step in fit(G, D, NonSaturating(), digits(), steps=2):
        assert G.training and D.training
        G.eval()
        D.eval()


def test_nothing_in_training_knows_a_particular_gan():
    from pathlib import Path

    import ganbook.training

    text = Path(ganbook.training.__file__).read_text().lower()
    words = ("mlp", "dcgan", "cgan", "acgan", "conditional", "auxiliary", "label", "hair", "digit", "average")
    assert not [word for word in words if word in text]
