"""The study of the ways to tell the label: what each row is, what is measured, and the table that a page shows."""

import json

import pytest
import torch

from ganbook import conditioning
from ganbook.avatars import avatars
from ganbook.conditional import AuxiliaryDiscriminator, PlanesDiscriminator, ProjectionDiscriminator
from ganbook.conditioning import WAYS, Blind, conditioning_table, judge, record_conditioning
from ganbook.data import ImageSet, digits
from ganbook.dcgan import StridedDiscriminator

pytestmark = pytest.mark.usefixtures("one_thread")


def test_each_row_is_what_its_name_says():
    kinds = {"CGAN, planes": PlanesDiscriminator, "CGAN, projection": ProjectionDiscriminator}
    for name, (make, objective) in WAYS.items():
        if name.startswith("ACGAN"):
            assert make is AuxiliaryDiscriminator and objective.on_fakes == ("fake" in name)
            base = objective.base
            assert ("targets 0.9 and 0.1 ± 0.1" in name) == (vars(base) == dict(alpha=0.9, beta=0.1, waver=0.1))
        else:
            assert make is kinds.get(name, Blind)


def test_a_blind_d_hears_no_label():
    D, x = Blind(StridedDiscriminator(), (10,)).eval(), torch.rand(4, 1, 28, 28)
    assert torch.equal(D(x, torch.zeros(4)), D(x, torch.ones(4)))


class Copies(torch.nn.Module):
    """A G that gives back real digits of the label asked for; or always the same one of each label."""

    latent_dim, num_classes = 1, (10,)

    def __init__(self, data, one_each):
        super().__init__()
        self.data, self.one_each, self.weight = data, one_each, torch.nn.Parameter(torch.zeros(1))

    def forward(self, z, y):
        rows = [(self.data.labels == label).nonzero()[:, 0] for label in y]
        chosen = [row[0] if self.one_each else row[torch.randint(len(row), ())] for row in rows]
        return self.data.take(torch.stack(chosen))[0]


@pytest.fixture(scope="module")
def few():
    data = digits()
    return ImageSet("digits", data.images[:300], data.labels[:300], data.classes)


def test_the_judge_tells_obedience_from_variety(few, monkeypatch):
    monkeypatch.setattr(conditioning, "FAKES", 400)
    torch.manual_seed(0)
    copies, one_each = (judge(Copies(few, one), few, "digits", seed=0) for one in (False, True))
    assert copies["accuracy"]["digit"] > 0.97 and one_each["accuracy"]["digit"] == 1
    assert copies["variety"] == pytest.approx(1, abs=0.1) and one_each["variety"] == 0
    assert one_each["distance"] > 3 * copies["distance"]
    wrong = ImageSet("digits", few.images, (few.labels + 1) % 10, few.classes)
    assert judge(Copies(wrong, False), few, "digits", seed=0)["accuracy"]["digit"] < 0.03


def test_the_record_and_its_table(few, tmp_path, monkeypatch):
    faces = avatars(600, 32)
    monkeypatch.setattr(conditioning, "DATA", {"digits": lambda: few, "avatars": lambda: faces})
    monkeypatch.setattr(conditioning, "STEPS", {"digits": 1, "avatars": 1})
    monkeypatch.setattr(conditioning, "FAKES", 40)
    card = record_conditioning(tmp_path, seeds=2)
    assert card == json.loads((tmp_path / "card.json").read_text())
    assert card["command"] == "ganbook study conditioning --seeds 2" and card["commit"]
    for data, kinds in (("digits", ["digit"]), ("avatars", ["hair", "eyes"])):
        assert set(card["results"][data]) == set(WAYS)
        assert all(list(run["accuracy"]) == kinds for runs in card["results"][data].values() for run in runs)
    monkeypatch.setattr(conditioning, "read_record", lambda name: card)
    runs = card["results"]["avatars"]["CGAN, planes"]
    runs[0]["accuracy"]["eyes"], runs[1]["accuracy"]["eyes"] = 0.5, 0.7
    (line,) = [
        line for line in conditioning_table("avatars").data.splitlines() if line.startswith("| CGAN, planes")
    ]
    assert "| 0.60 ± 0.14 |" in line and line.count("|") == 6
