"""Training that goes wrong says so within 100 steps and keeps the last good state; a healthy run never trips."""

import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from ganbook import datasets, runs
from ganbook.checkpoints import load_state, not_finite, read_note
from ganbook.errors import InputError
from ganbook.health import READ_EVERY, SAME, stuck
from ganbook.runs import Plan, begin, fill, open_data, train

SMALL = Plan(
    "dcgan64",
    data="avatars",
    networks={"image_size": 16, "width_g": 4, "width_d": 4},
    steps=250,
    batch_size=2,
    save_every=30,
    precision="fp32",
)


@pytest.fixture(autouse=True)
def few_avatars(monkeypatch, one_thread):
    monkeypatch.setattr(datasets, "AVATARS", 16)


def plant(monkeypatch, at, spoil):
    """Spoil what a run works with after its step number `at`."""
    real, done = runs.train_step, []

    def train_step(G, D, *args):
        step = real(G, D, *args)
        done.append(1)
        with torch.no_grad():
            return (spoil(G, D, step) or step) if len(done) == at else step

    monkeypatch.setattr(runs, "train_step", train_step)


def last_layer(net):
    return [layer for layer in net.modules() if getattr(layer, "weight", None) is not None][-1]


def constant(net, value):
    """Whatever goes in, this comes out."""
    layer = last_layer(net)
    layer.weight.zero_()
    if layer.bias is not None:
        layer.bias.fill_(value)


def kill_D(G, D, step):
    constant(D, 0.0)


def kill_G(G, D, step):
    constant(G, 3.0)


def poison_G(G, D, step):
    last_layer(G).weight[0] = float("nan")


def poison_average(G, D, step):
    next(G.buffers()).fill_(float("inf"))


WRONG = {  # what is planted after which step, how the networks move, what is said
    "D's loss": (
        45,
        lambda G, D, s: s._replace(d_loss=s.d_loss * float("nan")),
        1e-4,
        "d_loss is nan at step 45;",
    ),
    "G's loss": (45, lambda G, D, s: s._replace(g_loss=s.g_loss / 0), 1e-4, "g_loss is inf at step 45;"),
    "G's weights": (45, poison_G, 1e-4, "is nan at step 4[67];"),
    "G's weights as they are saved": (60, poison_G, 1e-4, "G holds a NaN or an infinity in .* at step 60;"),
    "G's buffers as they are saved": (60, poison_average, 1e-4, "G holds a NaN or an infinity in .* at step 60;"),
    "a dead D": (
        40,
        kill_D,
        1e-12,
        "D says the same of every picture, since step (4[1-9]|[56].) or longer: it is dead",
    ),
    "a collapsed G": (110, kill_G, 1e-12, "G makes the same picture of every z at step 120: it has collapsed"),
}


@pytest.mark.parametrize("at, spoil, lr, said", WRONG.values(), ids=WRONG)
def test_what_goes_wrong_is_named_and_the_last_good_state_kept(at, spoil, lr, said, tmp_path, monkeypatch):
    plant(monkeypatch, at, spoil)
    plan = replace(SMALL, lr_g=lr, lr_d=lr)
    with pytest.raises(InputError, match=said) as caught:
        train(tmp_path, plan, progress=False)
    message = str(caught.value)
    assert "\n" not in message and "--lr-g" in message
    kept = int(re.search(r"the state of step (\d+) is kept", message)[1])
    assert kept == read_note(tmp_path)["n"] and at - READ_EVERY - 30 < kept <= at + READ_EVERY
    if "NaN" in message or "is nan" in message or "is inf" in message:
        assert kept < at + 1 and kept >= at - 30
    plan, *_ = open_data(fill(plan), 0)
    run = begin(plan, torch.device("cpu"))
    kept, _ = load_state(tmp_path, *run.parts())
    assert not not_finite(run.G.state_dict() | run.D.state_dict() | kept)


class Labelled(nn.Module):
    """A G whose pictures show their label and, for as many of the ten labels as is said, their z."""

    latent_dim, num_classes = 3, (10,)

    def __init__(self, reading):
        super().__init__()
        self.reading = nn.Parameter(torch.tensor(reading))

    def forward(self, z, y):
        pictures = y / 10 + 0.1 * z[:, :1] * (y < self.reading)
        return pictures.view(-1, 1, 1, 1)


@pytest.mark.parametrize("reading, collapsed", [(0.0, True), (1.0, False), (10.0, False)])
def test_a_G_that_reads_its_labels_alone_has_collapsed(reading, collapsed):
    """One that has a single picture of some label to learn has not."""
    said = stuck(Labelled(reading), torch.rand(READ_EVERY, 4), READ_EVERY)
    assert ("the same picture of every z" in said) if collapsed else said is None


def test_a_run_without_a_state_says_so(tmp_path, monkeypatch):
    plant(monkeypatch, 3, poison_G)
    with pytest.raises(InputError, match="is nan at step 4; no state was written yet; begin a new run"):
        train(tmp_path, replace(SMALL, save_every=1000), progress=False)


def test_a_step_size_that_is_too_large_is_found_by_itself(tmp_path):
    with pytest.raises(
        InputError, match="(is (nan|inf|-inf)|holds a NaN or an infinity|the same).*no state|is kept"
    ):
        train(tmp_path, replace(SMALL, lr_g=1e30, lr_d=1e30), progress=False)


def test_what_adam_remembers_is_never_saved_with_a_nan(tmp_path, monkeypatch):
    def poison(run, out):
        if run.n == 60:
            next(iter(run.opt_G.state.values()))["exp_avg"][0] = float("nan")

    monkeypatch.setattr(runs, "notice", poison)
    with pytest.raises(InputError, match=r"opt_G.0.exp_avg holds a NaN or an infinity: this state is not written"):
        train(tmp_path, SMALL, progress=False)
    assert read_note(tmp_path)["n"] == 30


def test_a_healthy_run_is_left_alone_however_slow(tmp_path):
    train(tmp_path, replace(SMALL, lr_g=1e-6, lr_d=1e-6, steps=110), progress=False)


def test_the_books_runs_are_far_from_the_threshold():
    """By their records: over an epoch, D's means on real and fake pictures differ by far more than SAME."""
    from ganbook.records import RECORDS, read_record

    seen = 0
    for path in RECORDS.glob("*/card.json"):
        for epoch in read_record(path.parent.name).get("by_epoch", []):
            assert abs(epoch[2] - epoch[3]) > 1000 * SAME, path
            seen += 1
    assert seen > 50


RECIPES = {
    **dict.fromkeys(("mlp", "dcgan28", "cgan", "cgan-planes", "mlp-published", "dcgan28-published"), "digits"),
    **dict.fromkeys(("dcgan64", "acgan", "dcgan64-published", "acgan-published"), "avatars"),
}


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", RECIPES)
def test_no_healthy_recipe_trips_in_its_early_steps(name, seed, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "AVATARS", 500)
    networks = {"image_size": 32, "width_g": 8, "width_d": 8} if name in ("dcgan64", "acgan") else {}
    plan = Plan(name, data=RECIPES[name], networks=networks, steps=300, batch_size=8, seed=seed)
    train(tmp_path, replace(plan, precision=("fp32", "bf16")[seed % 2]), progress=False)


NUMBERS = {
    "batch_size": [0, -1, 1.5, "6", 2**70, float("nan")],
    "steps": [0, 10**30],
    "epochs": [0],
    "save_every": [0],
    "decay_every": [0, -3],
    "g_every": [0],
    "d_every": [0],
    "lr_g": [-1.0, float("nan"), float("inf"), "fast"],
    "l2": [-0.1, float("inf")],
    "penalty_weight": [float("nan")],
    "beta1": [1.0, -0.1, float("nan")],
    "average": [1.0, 1.5],
    "seed": [-1, 0.5, 2**64],
    "penalty": ["r3"],
}


@pytest.mark.parametrize("name, value", [(name, value) for name, values in NUMBERS.items() for value in values])
def test_a_plan_with_impossible_numbers_is_refused(name, value):
    with pytest.raises(InputError, match=f"^{name} .* is not possible: take"):
        Plan("mlp", **{name: value})


def test_networks_that_fit_into_no_memory_are_refused_before_they_are_built(tmp_path):
    for networks in ({"width_g": 10**6}, {"width_d": 10**9}, {"latent_dim": 10**12}, {"latent_dim": 2**62}):
        with pytest.raises(InputError, match="take smaller ones|cannot be built"):
            train(tmp_path / "run", replace(SMALL, networks=networks), progress=False)
    assert not (tmp_path / "run").exists()
