"""The study of few pictures: what it trains on, what it measures, and what it keeps."""

import json

import pytest
import torch
from click.testing import CliRunner

from ganbook import small_data
from ganbook.__main__ import cli
from ganbook.augmentation import Augmented, cut_out, translate
from ganbook.data import ImageSet, digits
from ganbook.dcgan import StridedDiscriminator
from ganbook.objectives import NonSaturating
from ganbook.small_data import WAYS, first, mean_answer, train_way

pytestmark = pytest.mark.usefixtures("one_thread")


def part(train=True):
    data = digits()
    rows = slice(0, 600) if train else slice(600, 1200)
    return ImageSet("mnist", data.images[rows], data.labels[rows], data.classes)


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(small_data, "mnist", part)
    for name, value in {"PICTURES": 100, "STEPS": 6, "EVERY": 3, "FAKES": 200, "BATCH_SIZE": 32}.items():
        monkeypatch.setattr(small_data, name, value)


def test_the_two_ways_differ_by_the_augmentation_alone():
    plain, augmented = WAYS.values()
    assert type(plain) is NonSaturating and type(augmented) is Augmented
    assert type(augmented.objective) is NonSaturating and augmented.changes == (translate, cut_out)


def test_it_learns_from_the_first_pictures_and_is_measured_by_others(short, monkeypatch):
    seen = []
    monkeypatch.setattr(small_data, "mean_answer", lambda D, x: seen.append(x) or 0.5)
    looks = train_way("as it is", train := first(part(), 100), held_out := part(train=False), seed=0)
    assert [look["step"] for look in looks] == [3, 6] and len(train) == 100
    for known, new, fakes in (seen[:3], seen[3:]):
        assert torch.equal(known, train.take(torch.arange(100))[0]) and len(fakes) == 200
        assert torch.equal(new, held_out.take(torch.arange(600))[0])
    assert all(look["distance"] > 0 and 0 < look["d_loss"] < 5 for look in looks)


def test_how_often_it_is_looked_at_changes_nothing(short, monkeypatch):
    """A block of autocast around several steps must not hold on to the weights of the first."""
    found = []
    for every in (1, 6):
        monkeypatch.setattr(small_data, "EVERY", every)
        found.append(train_way("as it is", first(part(), 100), part(train=False), seed=0)[-1])
    assert found[0]["d_loss"] != found[1].pop("d_loss")  # of one step, and of six
    assert {key: found[0][key] for key in found[1]} == found[1]


def test_a_seed_repeats_a_run_and_the_ways_part(short):
    train, held_out = first(part(), 100), part(train=False)
    runs = [train_way(name, train, held_out, 1) for name in ("as it is", "as it is", "augmented")]
    assert runs[0] == runs[1] != runs[2]


def test_the_mean_answer_is_of_all_pictures_in_eval_mode():
    torch.manual_seed(0)
    D, x = StridedDiscriminator().train(), torch.rand(1_500, 1, 28, 28)
    before = D.net[3].running_mean.clone()
    found = mean_answer(D, x)
    assert torch.equal(D.net[3].running_mean, before) and D.training
    assert found == pytest.approx(D.eval()(x).sigmoid().mean().item(), abs=1e-5)


def test_the_record(short, tmp_path):
    done = CliRunner().invoke(cli, ["study", "small-data", "--seeds", "2", "--out", str(tmp_path / "s")])
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "s" / "card.json").read_text())
    assert card["command"] == "ganbook study small-data --seeds 2" and card["pictures"] == 100 and card["commit"]
    assert list(card["results"]) == list(WAYS)
    for runs in card["results"].values():
        assert len(runs) == 2 and runs[0] != runs[1] and len(runs[0]) == 2
