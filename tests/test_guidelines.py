"""Each row of the table differs from the DCGAN in what its name says, and in nothing else."""

import pytest
import torch
from torch import nn

from ganbook import guidelines
from ganbook.dcgan import PoolingDiscriminator
from ganbook.guidelines import DCGAN, VARIANTS, OneBatch, guidelines_table, train_variant
from ganbook.records import read_record


def kinds(net):
    return [type(layer).__name__ for layer in net.modules() if not list(layer.children())]


def row(name):
    settings = {**DCGAN, **VARIANTS[name]}
    return settings, kinds(settings["G"]()), kinds(settings["D"]())


def test_what_each_row_changes():
    _, G, D = row("as the paper has it")
    assert row("no batch norm in G")[1] == [
        k.replace("BatchNorm1d", "Identity").replace("BatchNorm2d", "Identity") for k in G
    ]
    assert row("no batch norm in G")[2] == D and "BatchNorm1d" in G and "BatchNorm2d" in G
    assert row("no batch norm in D")[2] == [k.replace("BatchNorm2d", "Identity") for k in D] and "BatchNorm2d" in D
    assert row("ReLU in D")[2] == [k.replace("LeakyReLU", "ReLU") for k in D]
    assert row("LeakyReLU in G")[1] == [k.replace("ReLU", "LeakyReLU") for k in G]
    hidden = ["Flatten", "Linear", "LeakyReLU", "Linear", "Flatten"]
    assert D[-2:] == ["Conv2d", "Flatten"] and row("D with a hidden fully connected layer")[2] == D[:-2] + hidden
    assert isinstance(row("D with max pooling, a hidden layer, no batch norm")[0]["D"](), PoolingDiscriminator)
    assert (row("β₁ = 0.9")[0]["beta1"], DCGAN["beta1"]) == (0.9, 0.5)
    own = row("PyTorch's own initial weights")
    assert own[1:] == (G, D)
    for make, usual in ((own[0]["G"], DCGAN["G"]), (own[0]["D"], DCGAN["D"])):
        first, ours = (
            next(m for m in net().modules() if isinstance(m, nn.Linear | nn.Conv2d)) for net in (make, usual)
        )
        assert first.weight.std() > 0.05 > 0.03 > ours.weight.std()


def test_one_batch_asks_d_about_both_at_once_in_both_turns():
    torch.manual_seed(0)
    x, x_fake, sizes = torch.randn(4, 2), torch.randn(4, 2), []
    net = nn.Linear(2, 1)

    def D(x, y=None):
        sizes.append(len(x))
        return net(x).squeeze(1)

    one, usual = OneBatch(), DCGAN["objective"]
    assert one.d_loss(D, x, x_fake).item() == pytest.approx(usual.d_loss(D, x, x_fake).item())
    assert one.g_loss(D, x_fake).item() == pytest.approx(usual.g_loss(D, x_fake).item())
    assert sizes == [8, 4, 4, 8, 4]


def test_weights_that_keep_the_signal():
    torch.manual_seed(0)
    for name, kept in (("no batch norm in G, weights that keep the signal", True), ("no batch norm in G", False)):
        h, stds = torch.randn(64, 100), []
        for layer in row(name)[0]["G"]().net:
            h = layer(h)
            stds += [h.std().item()] if hasattr(layer, "weight") else []
        assert len(stds) == 4 and all(0.5 < std < 2 for std in stds) is kept, stds


@pytest.mark.parametrize("name", VARIANTS)
def test_every_row_trains(name, monkeypatch):
    monkeypatch.setattr(guidelines, "FAKES", 40)
    monkeypatch.setattr(guidelines, "BATCH_SIZE", 8)
    assert train_variant(name, seed=0, steps=2)["distance"] > 10


def test_the_record_is_of_these_rows():
    card = read_record("guidelines")
    assert list(card["results"]) == list(VARIANTS) and card["seeds"] >= 3
    assert (card["steps"], card["batch_size"]) == (guidelines.STEPS, guidelines.BATCH_SIZE)
    assert not card["commit"].endswith("+")
    shown = guidelines_table().data
    assert all(f"| {name} |" in shown for name in VARIANTS)
