"""Stacked digits: how they are made, how their modes are counted, and what the study keeps."""

import json
from math import log
from time import process_time

import pytest
import torch
from click.testing import CliRunner

from ganbook import stacked
from ganbook.__main__ import cli
from ganbook.data import ImageSet, digits
from ganbook.objectives import NonSaturating, Relativistic
from ganbook.penalties import R1, R2
from ganbook.stacked import WAYS, combinations, coverage, stack_digits

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_stack_is_three_digits_drawn_on_their_own():
    data = digits()
    found = stack_digits(data, 3_000, seed=4)
    assert found.images.shape == (3_000, 3, 28, 28) and found.images.dtype == torch.uint8
    assert list(found.classes) == ["red", "green", "blue"] and all(len(v) == 10 for v in found.classes.values())
    for i in range(3):
        for picture, label in zip(found.images[:20, i], found.labels[:20, i], strict=True):
            rows = (data.images[:, 0] == picture).all((1, 2))
            assert data.labels[rows].tolist() == [label]
        assert found.labels[:, i].bincount(minlength=10).min() > 200
    pairs = 10 * found.labels[:, 0] + found.labels[:, 1]
    assert len(pairs.unique()) == 100 and pairs.bincount().max() < 60
    assert torch.equal(stack_digits(data, 50, seed=4).images, stack_digits(data, 50, seed=4).images)
    assert not torch.equal(stack_digits(data, 50, seed=4).labels, stack_digits(data, 50, seed=5).labels)


def test_combinations_are_counted_by_all_three_channels():
    found = stack_digits(digits(), 2_500, seed=0)
    counts = combinations(found.images)
    true = (found.labels @ torch.tensor([100, 10, 1])).bincount(minlength=1_000)
    assert counts.sum() == 2_500
    assert (counts - true).abs().sum() < 0.05 * 2 * 2_500  # the classifier errs now and then


def test_coverage():
    assert coverage(torch.full((1_000,), 26)) == {"modes": 1_000, "kl": pytest.approx(0, abs=1e-9)}
    half = torch.zeros(1_000, dtype=torch.int64)
    half[:500] = 3
    assert coverage(half) == {"modes": 500, "kl": pytest.approx(log(2))}
    one = torch.zeros(1_000, dtype=torch.int64)
    one[7] = 5
    assert coverage(one) == {"modes": 1, "kl": pytest.approx(log(1_000))}


def test_each_row_is_what_its_name_says():
    for name, way in WAYS.items():
        G, D = (net.eval() for net in way.networks())
        x = G(torch.randn(2, 100))
        assert x.shape == (2, 3, 28, 28) and D(x).shape == (2,)
        if name == "DCGAN":
            assert type(way.objective) is NonSaturating and way.betas == (0.5, 0.999)
            assert G.net[-2].weight.std() < 0.03  # as the others begin
        else:
            assert [type(penalty) for penalty in way.objective.penalties] == [R1, R2]
            assert isinstance(way.objective.objective, Relativistic) == ("relativistic" in name)
            assert all(penalty.gamma == 1 for penalty in way.objective.penalties)


def part(train=True):
    data = digits()
    rows = slice(0, 600) if train else slice(600, 1200)
    return ImageSet("mnist", data.images[rows], data.labels[rows], data.classes)


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(stacked, "mnist", part)
    for name, value in {"PICTURES": 96, "STEPS": 4, "EVERY": 2, "FAKES": 60, "BATCH_SIZE": 32}.items():
        monkeypatch.setattr(stacked, name, value)


def test_how_often_it_is_looked_at_changes_nothing(short, monkeypatch):
    """A block of autocast around several steps must not hold on to the weights of the first."""
    drawn = []
    monkeypatch.setattr(stacked, "combinations", lambda images: drawn.append(images) or torch.ones(1_000))
    data = stacked.stack_digits(part(), 96, seed=0)
    for every in (1, 4):
        monkeypatch.setattr(stacked, "EVERY", every)
        stacked.train_way(WAYS["DCGAN"], data, seed=0)
    assert len(drawn) == 5 and torch.equal(drawn[3], drawn[4]) and not torch.equal(drawn[2], drawn[3])


def test_the_minutes_are_those_of_training(short, monkeypatch):
    def slow(images):
        end = process_time() + 3
        while process_time() < end:
            pass
        return torch.ones(1_000)

    monkeypatch.setattr(stacked, "combinations", slow)
    looks = stacked.train_way(WAYS["DCGAN"], stacked.stack_digits(part(), 96, seed=0), seed=0)
    assert 0 < looks[0]["cpu_minutes"] < looks[1]["cpu_minutes"] < 3 / 60


def test_the_record(short, tmp_path):
    done = CliRunner().invoke(cli, ["study", "stacked", "--seeds", "1", "--out", str(tmp_path / "s")])
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "s" / "card.json").read_text())
    assert card["command"] == "ganbook study stacked --seeds 1" and card["commit"]
    assert 50 <= card["real"]["modes"] <= 60 and list(card["results"]) == list(WAYS)
    for runs in card["results"].values():
        assert [look["step"] for look in runs[0]] == [2, 4]
        assert all(0 < look["modes"] <= 60 and look["kl"] > 1 for look in runs[0])
