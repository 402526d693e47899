"""CycleGAN: who moves in whose turn, what each loss is of, the pool; runs that are cut; the two commands."""

import json
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import l1_loss
from torch.optim import SGD

from ganbook import cyclegan, training, translation
from ganbook.__main__ import main
from ganbook.avatars import EYES, HAIR, draw_avatars
from ganbook.checkpoints import read_note
from ganbook.cyclegan import (
    CycleLosses,
    Four,
    PatchDiscriminator,
    Pool,
    Reflect,
    Retoucher,
    Translator,
    cycle_step,
    fit_cycle,
    optimizers,
    set_step_size,
    translate,
)
from ganbook.data import Ordered, to_float, to_uint8
from ganbook.errors import InputError
from ganbook.objectives import LeastSquares
from ganbook.translation import CyclePlan, faces, load_spies, load_translator, new_four, train, translate_folder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def x():
    return torch.rand(2, 4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def players(seed=0):
    torch.manual_seed(seed)
    G, F = (Retoucher(4, 1, 1, 3) for _ in range(2))
    return Four(G, F, *(PatchDiscriminator(4, (2, 2)) for _ in range(2)))


def sgd(four, lr=0.1):
    return [SGD([*one.parameters(), *other.parameters()], lr=lr) for one, other in (four[:2], four[2:])]


def weights(four):
    return [p.detach().clone() for net in four for p in net.parameters()]


class Scale(nn.Module):
    """x times a number: its own inverse for -1, and nothing at all for 1."""

    def __init__(self, by):
        super().__init__()
        self.by = nn.Parameter(torch.tensor(float(by)))

    def forward(self, x, y=None):
        return self.by * x


# Networks.


@pytest.mark.parametrize("n", [0, 1, 3, 7])
def test_reflect_is_reflection_padding_in_value_and_gradient(n):
    x = torch.randn(2, 3, 8, 9, requires_grad=True)
    ours, theirs = Reflect(n)(x), nn.ReflectionPad2d(n)(x)
    assert torch.equal(ours, theirs)
    weigh = torch.randn_like(ours)
    slopes = [torch.autograd.grad((padded * weigh).sum(), x)[0] for padded in (ours, theirs)]
    torch.testing.assert_close(*slopes)


def test_no_operation_without_a_deterministic_backward_is_in_the_networks():
    """PyTorch's own padding by reflection has none on CUDA."""
    G, F, D_A, _ = players()
    waiting, names = [D_A(G(torch.rand(1, 3, 16, 16))).sum().grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node.name() not in names:
            names.add(node.name())
        waiting += [parent for parent, _ in (node.next_functions if node else ())]
    assert "Convolution" in str(names) and not [name for name in names if "Reflection" in name or "Pad" in name]


@pytest.mark.parametrize("kind", [Translator, Retoucher])
@pytest.mark.parametrize("size", [32, 64, 128])
def test_translators_keep_the_shape(kind, size):
    own = translation.SETTINGS[size]
    net = kind(4, own.blocks, own.halvings, own.kernel)
    assert net(torch.zeros(2, 3, size, size)).shape == (2, 3, size, size)
    assert sum(isinstance(layer, nn.ReLU) for layer in net.net) == 1 + 2 * own.halvings


def test_a_translator_ends_in_tanh_and_a_retoucher_begins_near_its_input(x):
    torch.manual_seed(0)
    T, R = Translator(4, 1, 1, 3), Retoucher(4, 1, 1, 3)
    assert torch.equal(T(x[0]), T.net(x[0]).tanh()) and torch.equal(R(x[0]), x[0] + R.net(x[0]))
    assert l1_loss(R(x[0]), x[0]) < 0.1


def test_the_discriminator_is_the_papers():
    """Its size as in the code released with the paper, and 30 x 30 patches of a picture of 256 pixels."""
    D = PatchDiscriminator()
    assert sum(p.numel() for p in D.parameters()) == 2_764_737 + 0
    assert D(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)


@pytest.mark.parametrize("strides, size", [((2, 2), 22), ((2, 2, 1), 34), ((2, 2, 2, 1), 70)])
def test_a_logit_sees_a_patch(strides, size):
    torch.manual_seed(0)
    D = PatchDiscriminator(4, strides)
    for i, layer in enumerate(D.net):  # instance norm looks at the whole picture
        D.net[i] = nn.Identity() if isinstance(layer, nn.InstanceNorm2d) else layer
    x = torch.zeros(1, 3, 160, 160, requires_grad=True)
    logits = D(x)
    (slope,) = torch.autograd.grad(logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2], x)
    seen = slope.abs().sum((0, 1))
    for side in (0, 1):
        assert seen.sum(side).nonzero().numel() == size


# The pool.


def stamps(n, start=0):
    return torch.arange(float(start), start + n).view(n, 1, 1, 1)


def test_the_pool_fills_first_and_shows_what_it_takes_in():
    pool = Pool(6)
    assert torch.equal(pool.exchange(stamps(4)), stamps(4))
    assert torch.equal(pool.exchange(stamps(2, 4)), stamps(2, 4)) and len(pool.fakes) == 6


def test_a_full_pool_shows_either_the_new_fake_or_an_old_one_that_leaves():
    torch.manual_seed(0)
    pool = Pool(50)
    pool.exchange(stamps(50))
    shown_new, left = 0, []
    for i in range(50, 2_050):
        before = {int(fake) for fake in pool.fakes}
        shown = int(pool.exchange(stamps(1, i)))
        after = {int(fake) for fake in pool.fakes}
        assert after | {shown} == before | {i} and len(after) == 50
        shown_new += shown == i
        left += [] if shown == i else [shown]
    assert 900 < shown_new < 1_100
    assert len(set(left)) == len(left)  # none twice


def test_the_pool_keeps_no_graph():
    pool = Pool(2)
    x = torch.ones(3, 3, 4, 4, requires_grad=True)
    assert not pool.exchange(2 * x).requires_grad and not any(fake.requires_grad for fake in pool.fakes)


# The step.


def test_maps_that_undo_each_other_have_no_cycle_loss_and_maps_that_do_nothing_no_identity_loss(x):
    _, _, D_A, D_B = players()
    for by, identity in ((-1, 2 * (x[0].abs().mean() + x[1].abs().mean())), (1, torch.zeros(()))):
        four = Four(Scale(by), Scale(by), D_A, D_B)
        step = cycle_step(four, CycleLosses(), *sgd(four, 0.0), (Pool(), Pool()), *x)
        assert step.cycle == 0
        torch.testing.assert_close(step.identity, identity.detach())


def test_each_loss_is_of_the_right_pictures(x):
    """Two maps that do not undo each other, so that no two terms are alike."""
    a, b = x
    _, _, D_A, D_B = players()
    four = Four(Scale(2), Scale(3), D_A, D_B)
    step = cycle_step(four, CycleLosses(), *sgd(four, 0.0), (Pool(), Pool()), a, b)
    torch.testing.assert_close(step.cycle, 5 * a.abs().mean() + 5 * b.abs().mean())
    torch.testing.assert_close(step.identity, b.abs().mean() + 2 * a.abs().mean())
    g_loss = ((D_B(2 * a) - 1) ** 2).mean() / 2 + ((D_A(3 * b) - 1) ** 2).mean() / 2
    torch.testing.assert_close(step.g_loss, g_loss.detach())
    d_loss = ((D_A(a) - 1) ** 2 + D_A(3 * b) ** 2).mean() / 2 + ((D_B(b) - 1) ** 2 + D_B(2 * a) ** 2).mean() / 2
    torch.testing.assert_close(step.d_loss, d_loss.detach())
    assert not any(value.requires_grad for value in step[:4])


def test_a_step_is_the_one_written_by_hand(x):
    a, b = x
    ours, hand = players(), players()
    losses = CycleLosses(LeastSquares(), cycle=3.0, identity=0.7)
    cycle_step(ours, losses, *sgd(ours), (Pool(), Pool()), a, b)
    G, F, D_A, D_B = hand
    b_fake, a_fake = G(a), F(b)
    fooling = ((D_B(b_fake) - 1) ** 2).mean() / 2 + ((D_A(a_fake) - 1) ** 2).mean() / 2
    cycle = (F(b_fake) - a).abs().mean() + (G(a_fake) - b).abs().mean()
    same = (G(b) - b).abs().mean() + (F(a) - a).abs().mean()
    theirs = [*G.parameters(), *F.parameters()]
    of_G = torch.autograd.grad(fooling + 3.0 * cycle + 0.7 * same, theirs)
    b_fake, a_fake = b_fake.detach(), a_fake.detach()
    d_loss = ((D_A(a) - 1) ** 2).mean() / 2 + (D_A(a_fake) ** 2).mean() / 2
    d_loss = d_loss + ((D_B(b) - 1) ** 2).mean() / 2 + (D_B(b_fake) ** 2).mean() / 2
    of_D = torch.autograd.grad(d_loss, [*D_A.parameters(), *D_B.parameters()])
    expected = [w - 0.1 * s for w, s in zip(weights(hand), [*of_G, *of_D], strict=True)]
    torch.testing.assert_close(weights(ours), expected)


def test_neither_turn_leaves_gradients_in_the_others_networks(x):
    """Those of G and F come from their own turn alone, those of both D from theirs."""
    for resting in (0, 1):
        four = players()
        opts = sgd(four)
        opts[resting] = None
        cycle_step(four, CycleLosses(), *opts, (Pool(), Pool()), *x)
        still = four[:2] if resting == 0 else four[2:]
        assert all(p.grad is None and p.requires_grad for net in still for p in net.parameters())


def test_both_d_see_old_fakes_of_their_own_kind(x):
    a, b = x
    seen = {}

    class Spy(Scale):
        def __init__(self, name):
            super().__init__(1)
            self.name = name

        def forward(self, x, y=None):
            seen.setdefault(self.name, []).append(x.detach())
            return super().forward(x)

    pools = Pool(1), Pool(1)
    pools[0].exchange(stamps(1, 7).expand(1, 3, 16, 16))
    pools[1].exchange(stamps(1, 9).expand(1, 3, 16, 16))
    torch.manual_seed(0)
    four = Four(Scale(2), Scale(3), Spy("A"), Spy("B"))
    cycle_step(four, CycleLosses(), *sgd(four, 0.0), pools, a, b)
    for name, real, fake, old in (("A", a, 3 * b, 7), ("B", b, 2 * a, 9)):
        first, second, third = seen[name]  # G's turn; D's turn: real, then fake
        torch.testing.assert_close(first, fake)
        assert torch.equal(second, real)
        assert (third == old).flatten(1).all(1).any()


def test_the_same_seed_gives_the_same_weights_bit_for_bit():
    data = faces("green", 6, 16, seed=0), faces("purple", 9, 16, seed=1)  # of different length
    made = []
    for seed in (3, 3, 4):
        four = players(seed)
        steps = list(fit_cycle(four, CycleLosses(), data, steps=5, batch_size=4))
        assert [step.n for step in steps] == [1, 2, 3, 4, 5]
        made.append(weights(four))
    assert all(map(torch.equal, made[0], made[1])) and not all(map(torch.equal, made[0], made[2]))


@pytest.mark.parametrize("steps, shares", [(4, [1, 1, 1, 0.5]), (5, [1, 1, 1, 0.8, 0.4])])
def test_the_step_size_falls_in_the_second_half(monkeypatch, steps, shares):
    """Of all four networks. The first step after the middle has the whole one, the last is the one before 0."""
    taken = []

    def noted(four, losses, opt_G, opt_D, *rest):
        taken.append([group["lr"] for optimizer in (opt_G, opt_D) for group in optimizer.param_groups])
        return cycle_step(four, losses, opt_G, opt_D, *rest)

    monkeypatch.setattr(cyclegan, "cycle_step", noted)
    data = faces("green", 6, 16, seed=0), faces("purple", 6, 16, seed=1)
    list(fit_cycle(players(0), CycleLosses(), data, steps=steps, lr=1e-3))
    assert taken == [[pytest.approx(1e-3 * share)] * 2 for share in shares]


def test_the_optimizers_hold_all_of_two_and_nothing_else():
    four = players()
    for optimizer, nets in zip(optimizers(four, 1e-3, 0.4), (four[:2], four[2:]), strict=True):
        (group,) = optimizer.param_groups
        assert list(map(id, group["params"])) == [id(p) for net in nets for p in net.parameters()]
        assert (group["lr"], group["betas"]) == (1e-3, (0.4, 0.999))


def test_translate_clips_and_leaves_the_network_as_it_was(x):
    G = Scale(3).train()
    made = translate(G, x[0])
    assert torch.equal(made, (3 * x[0]).clamp(-1, 1)) and G.training and not made.requires_grad


def test_hair_is_learned_and_eyes_stay():
    """The chapter's claim, small: 120 steps. The truth is known, since an avatar can be drawn twice."""
    torch.manual_seed(0)
    four = new_four(32)
    data = faces("green", 300, 32, seed=0), faces("purple", 300, 32, seed=1)
    for _step in fit_cycle(four, CycleLosses(cycle=2, identity=1), data, steps=120, batch_size=4, lr=1e-3):
        pass
    from ganbook.classifiers import label_accuracy, load_classifier

    some = faces("green", 100, 32, seed=2)
    wanted = torch.stack([torch.full((100,), HAIR.index("purple")), some.labels[:, 1]], 1)
    hair, eyes = label_accuracy(load_classifier("avatars"), translate(four.G, to_float(some.images)), wanted)
    assert hair > 0.9 and eyes > 0.85


def test_faces_have_the_hair_that_was_asked_for_and_any_eyes():
    some = faces("red, green", 400, 16, seed=5)
    assert {HAIR[i] for i in some.labels[:, 0]} == {"red", "green"} and some.name == "red, green hair"
    assert len(some.labels[:, 1].unique()) == len(EYES)
    assert torch.equal(some.images, draw_avatars(some.labels, 16, 5))
    assert not torch.equal(some.labels, faces("red, green", 400, 16, seed=6).labels)


# Runs.

SMALL = CyclePlan("cyclegan", networks={"width_g": 4, "width_d": 4}, steps=8, batch_size=3, save_every=3)


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(translation, "AVATARS", 7)  # three batches an epoch: 3, 3, 1


class Cut(Exception):
    pass


def cut_at(n, monkeypatch):
    real, calls = translation.cycle_step, []

    def step(*args):
        calls.append(1)
        if len(calls) == n:
            raise Cut
        return real(*args)

    monkeypatch.setattr(translation, "cycle_step", step)


def alike(one, other):
    names = [f"{name}.safetensors" for name in Four._fields]
    names += ["losses.csv", "progress.png", "samples.png"]
    return [name for name in names if (one / name).read_bytes() != (other / name).read_bytes()] == []


@pytest.mark.parametrize("cut, lr_d", [(2, None), (5, None), (8, None), (5, 2e-3)])
def test_a_cut_run_ends_with_the_same_files(cut, lr_d, few, tmp_path, monkeypatch, capsys):
    """Also where D's steps are larger than G's."""
    plan = replace(SMALL, sample_every=4, lr_d=lr_d)
    monkeypatch.setattr(translation, "Pool", lambda: Pool(5))  # full after two steps: then it draws
    card = train(tmp_path / "whole", plan, progress=False)
    with monkeypatch.context() as patch, pytest.raises(Cut):
        cut_at(cut, patch)
        train(tmp_path / "cut", plan, progress=False)
    torch.manual_seed(99)
    capsys.readouterr()
    again = train(tmp_path / "cut", plan, resume=tmp_path / "cut", progress=False)
    saved = (cut - 1) // 3 * 3
    assert (f"going on at step {saved} of 8" if saved else "starting at step 0") in capsys.readouterr().out
    assert alike(tmp_path / "whole", tmp_path / "cut") and again["last_steps"] == card["last_steps"]
    assert [p.name for p in sorted((tmp_path / "cut" / "samples").iterdir())] == [
        "step-000004.png",
        "step-000008.png",
    ]
    assert len((tmp_path / "cut" / "losses.csv").read_text().splitlines()) == 9
    capsys.readouterr()
    train(tmp_path / "cut", plan, resume=tmp_path / "cut", progress=False)
    assert "is finished: 8 of 8" in capsys.readouterr().out
    train(tmp_path / "cut", replace(plan, steps=10), resume=tmp_path / "cut", progress=False)
    assert json.loads((tmp_path / "cut" / "card.json").read_text())["steps"] == 10


def test_a_run_goes_on_as_it_began(few, tmp_path):
    train(tmp_path / "run", SMALL, progress=False)
    for change in ({"seed": 1}, {"lr_g": 1e-5}, {"networks": {"width_g": 8, "width_d": 4}}):
        with pytest.raises(InputError, match="resume it as it began"):
            train(tmp_path / "run", replace(SMALL, steps=9, **change), resume=tmp_path / "run", progress=False)
    with pytest.raises(InputError, match="holds trained networks already"):
        train(tmp_path / "run", SMALL, progress=False)


def test_the_step_sizes_of_a_run_fall_each_from_its_own(few, tmp_path, monkeypatch):
    """Also of a run that was cut. One that is then made longer takes up the step sizes of the longer plan."""
    taken, real = [], translation.cycle_step

    def noted(four, losses, opt_G, opt_D, *rest):
        taken.append([group["lr"] for optimizer in (opt_G, opt_D) for group in optimizer.param_groups])
        return real(four, losses, opt_G, opt_D, *rest)

    monkeypatch.setattr(translation, "cycle_step", noted)
    plan, out = replace(SMALL, lr_g=3e-3, lr_d=5e-4, save_every=1), tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Cut):
        cut_at(7, patch)
        train(out, plan, progress=False)
    train(out, plan, resume=out, progress=False)
    train(out, replace(plan, steps=10), resume=out, progress=False)
    shares = [1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0.4, 0.2]
    assert taken == [[pytest.approx(3e-3 * share), pytest.approx(5e-4 * share)] for share in shares]


def test_a_run_is_fit_cycle_with_what_a_long_run_needs(few, tmp_path):
    """The same four after the same batches, bit for bit: one schedule, one step."""
    plan = translation.fill(replace(SMALL, lr_g=1e-3, lr_d=1e-3))
    train(tmp_path / "run", plan, progress=False)
    _, data = translation.open_data(plan, 0)
    ready = [Ordered(images, i) for i, images in enumerate(data)]
    torch.manual_seed(plan.seed)
    four = Four(*(net.to(memory_format=torch.channels_last) for net in translation.build(plan.networks)))
    for _step in fit_cycle(four, translation.LOSSES, ready, steps=8, batch_size=3, lr=1e-3):
        pass
    G, _ = load_translator(tmp_path / "run")
    assert all(map(torch.equal, G.state_dict().values(), four.G.state_dict().values()))


def test_step_sizes_are_whole_for_one_half_and_fall_straight_to_0():
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=7.0)
    sizes = []
    for n in range(1, 202):
        set_step_size(optimizer, 2e-4, n, 200)
        sizes += [group["lr"] for group in optimizer.param_groups]
    assert sizes[:101] == [2e-4] * 101 and sizes[150] == pytest.approx(1e-4) and sizes[200] == 0
    falls = [before - after for before, after in pairwise(sizes[100:])]
    assert falls == pytest.approx([2e-6] * 100)


def test_a_run_without_folders_is_short_and_one_on_folders_long():
    drawn, own = (translation.fill(CyclePlan("cyclegan", data=data, data_b=data)) for data in (None, "A"))
    assert (drawn.steps, own.steps) == (translation.STEPS_DRAWN, translation.STEPS_FOLDERS) == (4_000, 20_000)


def test_a_run_that_breaks_down_says_so(few, tmp_path):
    with pytest.raises(InputError, match="is nan at step 2; no state was written yet; .* a smaller --lr-g"):
        train(tmp_path / "run", replace(SMALL, lr_g=1e30), progress=False)


def spoil(name, value):
    """Whatever goes into this network, one and the same comes out; nan: no number."""

    def step(four, *args):
        with torch.no_grad():
            layer = getattr(four, name).net[-1]
            layer.weight.zero_()
            layer.bias.fill_(value)
        return cycle_step(four, *args)

    return step


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("D_A", 0.3, "D_A says the same of every picture at step 6: it is dead"),
        ("D_B", -2.0, "D_B says the same of every picture at step 6: it is dead"),
        ("G", 9.0, "G makes the same of every picture at step 6: it has collapsed"),
        ("F", 9.0, "F makes the same of every picture at step 6: it has collapsed"),
        ("F", float("nan"), "d_loss is nan at step 4"),
    ],
)
def test_what_never_comes_back_is_named_and_the_last_good_state_kept(
    name, value, said, few, tmp_path, monkeypatch
):
    monkeypatch.setattr(translation.runs, "READ_EVERY", 6)
    train(tmp_path / "run", replace(SMALL, lr_g=1e-12, lr_d=1e-12, steps=3), progress=False)
    (tmp_path / "run" / "card.json").unlink()
    monkeypatch.setattr(translation, "cycle_step", spoil(name, value))
    with pytest.raises(InputError) as caught:
        plan = replace(SMALL, lr_g=1e-12, lr_d=1e-12)
        train(tmp_path / "run", plan, resume=tmp_path / "run", progress=False)
    assert str(caught.value).startswith(f"{said}; the state of step 3 is kept in ")
    assert read_note(tmp_path / "run")["n"] == 3


def test_of_pictures_that_are_alike_g_may_make_the_same(few):
    plan = translation.fill(SMALL)
    _, data = translation.open_data(plan, 0)
    run = translation.begin(plan, torch.device("cpu"))
    run.n = translation.runs.READ_EVERY
    one = [replace(images, images=images.images[:1], labels=images.labels[:1]) for images in data]
    assert translation.stuck(run, data) is translation.stuck(run, one) is None


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "cache"))
    for name, colour in (("A", "green"), ("B", "purple")):
        (tmp_path / name).mkdir()
        for i, picture in enumerate(faces(colour, 12, 40, seed=0).images):
            Image.fromarray(picture.permute(1, 2, 0).numpy()).save(tmp_path / name / f"{i}.png")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.fixture
def here(folders, monkeypatch, capsys):
    monkeypatch.chdir(folders)

    def call(line):
        monkeypatch.setattr(sys, "argv", ["ganbook", *line.split()])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code or 0, *capsys.readouterr()

    return call


TWO = "train cyclegan --data A --data-b B --size 32 --width-g 4 --width-d 4"


def test_two_folders_are_trained_on_resumed_and_translated(here, folders, monkeypatch, capsys):
    code, out, _ = here(f"{TWO} --steps 4 --out whole")
    assert code == 0 and out.startswith("4 steps in") and "`ganbook translate`" in out
    with monkeypatch.context() as patch, pytest.raises(Cut):
        cut_at(3, patch)
        here(f"{TWO} --steps 4 --save-every 1 --out half")
    capsys.readouterr()
    code, out, _ = here(f"{TWO} --steps 4 --out half --resume half")
    assert code == 0 and "going on at step 2 of 4" in out and alike(folders / "whole", folders / "half")
    card = json.loads((folders / "whole" / "card.json").read_text())
    assert (card["recipe"], card["data"], card["data_b"], card["pictures"]) == ("cyclegan", "A", "B", [10, 10])

    (folders / "A" / "broken.png").write_text("no picture")
    (folders / "A" / "deep").mkdir()
    Image.new("RGB", (50, 30), "green").save(folders / "A" / "deep" / "one.jpg")
    code, out, _ = here("translate whole --data A --out there")
    assert code == 0 and "13 pictures in there" in out and "broken.png: is not a picture" in out
    assert here("translate whole --data there --out again --back")[0] == 0
    G, size = load_translator(folders / "whole")
    F, _ = load_translator(folders / "whole", back=True)
    assert size == 32 and not torch.equal(next(G.parameters()), next(F.parameters()))
    for net, src, dst, name in ((G, "A", "there", "3.png"), (F, "there", "again", "deep/one.jpg.png")):
        x = translation.picture(name, folders / src, 32, 3)
        x = to_float(torch.frombuffer(bytearray(x), dtype=torch.uint8).view(1, 3, 32, 32))
        expected = to_uint8(translate(net, x)[0]).permute(1, 2, 0)
        with Image.open(folders / dst / name) as made:
            assert made.tobytes() == expected.numpy().tobytes()


@pytest.mark.parametrize(
    "line, said",
    [
        ("train cyclegan --data A --out x", "give both --data and --data-b, or neither"),
        ("train cyclegan --data-b B --out x", "give both --data and --data-b, or neither"),
        ("train mlp --data-b B --out x", "--data-b B is for cyclegan"),
        ("train cyclegan --data A --data-b empty --out x", "empty"),
        ("train cyclegan --data A --data-b nowhere --out x", "nowhere is not there"),
        ("train cyclegan --data A --data-b B --out A/x", "A/x lies inside A, which stays as it is"),
        ("train cyclegan --data A --data-b A/../B --out B", "B lies inside A/../B"),
        ("train cyclegan --size 33 --out x", "take --size 32, 64, 128, 256"),
        ("train cyclegan --latent-dim 3 --out x", "leave out --latent-dim"),
        ("train cyclegan --width-g 1025 --out x", "width_g 1025: take a whole number from 1 to 1,024"),
        ("train cyclegan --width-d 100000 --out x", "width_d 100000: take a whole number from 1 to 1,024"),
        ("train cyclegan --size 256 --width-g 1024 --out x", "parameters: take smaller ones"),
        ("train cyclegan --epochs 3 --out x", "takes no epochs"),
        ("train cyclegan --decay-every 5 --out x", "takes no decay_every"),
        ("train cyclegan --average 0.9 --out x", "takes no average"),
        ("train cyclegan --penalty r1 --out x", "takes no penalty"),
        ("train cyclegan --precision bf16 --out x", "takes no precision"),
        ("train cyclegan --tensorboard --out x", "no TensorBoard"),
        ("translate empty --data A --out y", "holds no trained networks"),
        ("translate A --data empty --out y", "holds no trained networks"),
    ],
)
def test_a_mistake_is_one_line(here, folders, line, said):
    code, out, err = here(line)
    assert code == 2 and out == "" and err.count("\n") == 1 and err.startswith("ganbook: ") and said in err
    assert not (folders / "x").exists() and not (folders / "y").exists()


def test_what_cannot_be_translated_is_refused(here, folders):
    assert here(f"{TWO} --steps 1 --out run")[0] == 0
    for line, said in (
        ("translate run --data empty --out y", "no picture that can be used"),
        ("translate run --data A --out B", "B is not empty"),
        ("translate run --data A --out A/y", "A/y lies inside"),
        ("translate run --data nowhere --out y", "nowhere is not there"),
    ):
        code, _, err = here(line)
        assert code == 2 and said in err and err.count("\n") == 1
    card = json.loads((folders / "run" / "card.json").read_text())
    for networks in (None, {}, {"image_size": 32}, {**card["networks"], "width_g": 10**9}, {"image_size": "32"}):
        (folders / "run" / "card.json").write_text(json.dumps({**card, "networks": networks}))
        with pytest.raises(InputError, match="holds no CycleGAN"):
            translate_folder(folders / "run", folders / "A", folders / "z")
    (folders / "run" / "card.json").write_text(json.dumps({**card, "recipe": "mlp"}))
    with pytest.raises(InputError, match="holds no CycleGAN"):
        load_translator(folders / "run")


def test_no_translation_takes_the_place_of_another_and_a_name_too_long_ends_nothing(here, folders):
    assert here(f"{TWO} --steps 1 --out run")[0] == 0
    (folders / "names" / "d.jpg.png").mkdir(parents=True)
    names = ["b.jpg", "b.jpg.png", "b.jpg.png.png", "c.PNG", "d.jpg", "d.jpg.png/e.bmp", "z.jpg"]
    for i, name in enumerate([*names, f"{'x' * 249}.jpg"]):
        Image.new("RGB", (40, 40), (25 * i, 0, 0)).save(folders / "names" / name)
    code, out, _ = here("translate run --data names --out there")
    assert code == 0 and "7 pictures in there" in out and "x.jpg: has a name too long" in out
    made = {path.relative_to(folders / "there").as_posix() for path in (folders / "there").rglob("*.*")}
    own = {"b.jpg.png", "b.jpg.png.png", "b.jpg.png.png.png", "c.PNG", "d.jpg.png.png", "z.jpg.png"}
    assert made == own | {"d.jpg.png", "d.jpg.png/e.bmp.png"}
    G, _ = load_translator(folders / "run")
    x = to_float(torch.tensor([25, 0, 0], dtype=torch.uint8)).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    with Image.open(folders / "there" / "b.jpg.png") as image:  # of the picture of that very name
        assert image.tobytes() == to_uint8(translate(G, x)[0]).permute(1, 2, 0).numpy().tobytes()


def test_the_old_step_knows_nothing_of_this():
    assert "cycle" not in Path(training.__file__).read_text().lower()


def test_the_spies_of_the_package_hide_a_colour_that_a_blur_erases():
    from ganbook.classifiers import blur, load_classifier, name_labels

    G, F = load_spies()
    some = faces("red, green", 200, 32, seed=77)
    judge, sent = load_classifier("avatars"), translate(G, to_float(some.images))
    twins = torch.stack([torch.full((200,), HAIR.index("purple")), some.labels[:, 1]], 1)
    assert (name_labels(judge, sent)[:, 0] == HAIR.index("purple")).float().mean() > 0.9
    for x, low, high in (
        (sent, 0.9, 1.0),
        (blur(sent), 0.0, 0.65),
        (to_float(draw_avatars(twins, 32, 77)), 0.0, 0.65),
    ):
        found = (name_labels(judge, translate(F, x))[:, 0] == some.labels[:, 0]).float().mean()
        assert low <= found <= high
