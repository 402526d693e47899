"""What goes wrong: each mistake shows in its figure, and without the mistake the figure is well."""

import json
from math import log
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from ganbook import diseases
from ganbook.__main__ import cli
from ganbook.diseases import (
    DISEASES,
    Disease,
    FixedTargets,
    HomeMadeLog,
    NamesFromFakes,
    Setup,
    counts,
    diseases_table,
    examine,
    late,
    step_piling_up,
    step_with_leftovers,
)
from ganbook.mlp import PointDiscriminator, PointGenerator
from ganbook.objectives import AuxiliaryClassifier, NonSaturating
from ganbook.records import read_record
from ganbook.toys import ring
from ganbook.training import train_step

pytestmark = pytest.mark.usefixtures("one_thread")
CHAPTERS = Path(__file__).parents[1] / "book"


def judged(name, seed):
    found = examine(name, seed)
    return DISEASES[name].shows(found["sick"]), DISEASES[name].shows(found["healthy"])


# Whoever trains takes seconds: one seed of these here, ten of all in the long test.
TRAINED = {
    "modes_covered",
    "late_opinion",
    "looks_better",
    "late_d_loss",
    "swing",
    "obedience",
    "outside_of_range",
}
QUICK = [name for name, disease in DISEASES.items() if disease.measure.__name__ not in TRAINED]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", QUICK)
def test_a_disease_shows_and_is_gone_without_the_mistake(name, seed):
    assert judged(name, seed) == (True, False)


@pytest.mark.parametrize("name", [name for name in DISEASES if name not in QUICK])
def test_a_disease_of_training_shows_and_is_gone_without_the_mistake(name):
    assert judged(name, seed=3) == (True, False)


@pytest.mark.soak
@pytest.mark.parametrize("name", DISEASES)
def test_at_least_nine_of_ten_seeds_both_ways(name):
    shows, still = zip(*(judged(name, seed) for seed in range(10, 20)), strict=True)
    assert sum(shows) >= 9 and sum(still) <= 1


def test_a_row_exchanges_one_thing_and_names_a_chapter():
    for name, disease in DISEASES.items():
        assert disease.healthy != disease.sick and disease.sign in "<>", name
        assert (CHAPTERS / f"{disease.chapter}.ipynb").exists(), name
        if isinstance(disease.sick, Setup):
            changed = [a != b for a, b in zip(disease.healthy, disease.sick, strict=True)]
            assert disease.healthy == Setup() and sum(changed) == 1, name
    assert len(DISEASES) >= 12


def test_the_bound_belongs_to_the_healthy():
    above = Disease(0, 1, None, "", ">", 0.5, "", "")
    below = above._replace(sign="<")
    assert [above.shows(v) for v in (0.4, 0.5, 0.6)] == [False, False, True]
    assert [below.shows(v) for v in (0.4, 0.5, 0.6)] == [True, False, False]
    results = {name: {"healthy": [d.bound], "sick": [d.bound]} for name, d in DISEASES.items()}
    assert set(counts(results).values()) == {(0, 1)}


# What the amended code does, exactly.


def pair():
    torch.manual_seed(0)
    return PointGenerator(), PointDiscriminator(), torch.randn(16, 2)


def grads(net):
    return torch.cat([p.grad.flatten() for p in net.parameters()])


def optimizers(G, D, lr=0.0):
    return (torch.optim.SGD(net.parameters(), lr=lr) for net in (G, D))


def test_a_step_without_zero_grad_piles_up_g_s_gradients_of_both_turns():
    G, D, x = pair()
    opt_G, opt_D = optimizers(G, D)
    torch.manual_seed(1)
    for _ in range(2):
        step_piling_up(G, D, NonSaturating(), opt_G, opt_D, x)
    piled = grads(G).clone()
    torch.manual_seed(1)
    G.zero_grad()
    for _ in range(2):  # lr is 0, so nothing has moved
        NonSaturating().d_loss(D, x, G(torch.randn(16, 2))).backward()
        NonSaturating().g_loss(D, G(torch.randn(16, 2))).backward()
    assert piled.allclose(grads(G), atol=1e-6)


def test_a_step_with_leftovers_gives_d_the_gradient_of_g_s_turn():
    G, D, x = pair()
    opt_G, opt_D = optimizers(G, D)
    torch.manual_seed(1)
    step_with_leftovers(G, D, NonSaturating(), opt_G, opt_D, x)
    left = grads(D).clone()
    torch.manual_seed(1)
    torch.randn(16, 2)  # D's turn
    D.zero_grad()
    NonSaturating().g_loss(D, G(torch.randn(16, 2))).backward()
    assert left.allclose(grads(D)) and left.norm() > 0


@pytest.mark.parametrize("step", [step_piling_up, step_with_leftovers])
def test_the_first_round_is_that_of_the_healthy_step_and_reports_the_same(step):
    """Nothing has piled up or is left over yet; only G's own gradient differs where D's turn has reached it."""
    steps = []
    for which in (train_step, step):
        G, D, x = pair()
        opt_G, opt_D = optimizers(G, D, 0.1)
        torch.manual_seed(1)
        steps.append(which(G, D, NonSaturating(), opt_G, opt_D, x))
    for one, two in zip(*steps, strict=True):
        assert torch.as_tensor(one).allclose(torch.as_tensor(two))


def test_leftover_gradients_let_d_say_two_thirds():
    """Where p = q, D minimises -log D - log(1 - D) - log D."""
    setup = Setup(step=step_with_leftovers)
    assert late(setup, 0, "d_real").mean().item() == pytest.approx(2 / 3, abs=0.03)
    assert late(setup, 0, "d_fake").mean().item() == pytest.approx(2 / 3, abs=0.03)
    assert late(setup, 0, "g_loss").mean().item() == pytest.approx(log(1.5), abs=0.05)


def test_a_home_made_log_is_the_loss_where_d_is_unsure():
    x, logits = None, torch.linspace(-8, 8, 9)
    ours, theirs = (o.g_loss(lambda v, y: v, logits).item() for o in (NonSaturating(), HomeMadeLog()))
    assert ours == pytest.approx(theirs, abs=1e-4) and x is None


def test_fixed_targets_are_the_healthy_loss_for_a_full_batch():
    G, D, x = pair()
    ours, theirs = (o.d_loss(D, x, x + 1).item() for o in (NonSaturating(), FixedTargets(16)))
    assert ours == pytest.approx(theirs)
    with pytest.raises(ValueError):
        FixedTargets(16).d_loss(D, x[:5], x[:5])


def test_names_from_fakes_leave_the_real_pictures_names_out():
    def D(x, y=None):
        return x[:, 0], (x,)

    torch.manual_seed(0)
    x, x_fake, y = torch.randn(6, 3), torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    real, fakes = AuxiliaryClassifier(NonSaturating()), NamesFromFakes(NonSaturating())
    both = AuxiliaryClassifier(NonSaturating(), on_fakes=True)
    source = NonSaturating().d_loss(lambda v, y=None: v[:, 0], x, x_fake)
    total = real.d_loss(D, x, x_fake, y) + fakes.d_loss(D, x, x_fake, y) - source
    assert total.isclose(both.d_loss(D, x, x_fake, y))
    assert fakes.g_loss(D, x_fake, y) == real.g_loss(D, x_fake, y)


def test_points_carry_the_number_of_their_mode():
    ((x, y),) = diseases.points_with_names(1)
    assert torch.cdist(x, ring().means).argmin(1).equal(y) and len(y.unique()) == 8


# The record.


def test_the_record_is_of_these_diseases_and_its_counts_hold():
    card = read_record("diseases")
    assert list(card["results"]) == list(DISEASES) and card["seeds"] >= 10
    for name, both in counts(card["results"]).items():
        assert min(both) >= 0.9 * card["seeds"], name
        assert all(len(figures) == card["seeds"] for figures in card["results"][name].values())
    shown = diseases_table().data
    assert all(f"| {name} |" in shown for name in DISEASES) and card["command"] in shown


def test_the_command_writes_a_record(tmp_path, monkeypatch):
    few = {name: DISEASES[name] for name in ("BatchNorm(c, 0.8)", "home-made log(σ + ε)")}
    monkeypatch.setattr(diseases, "DISEASES", few)
    done = CliRunner().invoke(cli, ["study", "diseases", "--seeds", "2", "--out", str(tmp_path / "d")])
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "d" / "card.json").read_text())
    assert card["command"] == "ganbook study diseases --seeds 2" and card["commit"]
    assert set(card["results"]) == set(few) and counts(card["results"]) == dict.fromkeys(few, (2, 2))
