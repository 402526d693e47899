"""The diffusion model that the ladder compares with: its way from noise to a picture, its budget, its record."""

import json
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner

from ganbook import diffusion, evaluation
from ganbook.__main__ import cli
from ganbook.data import ImageSet, digits
from ganbook.diffusion import DDIM, LEVELS, denoiser, train_denoiser
from ganbook.errors import InputError
from ganbook.machine import processor

pytestmark = pytest.mark.usefixtures("one_thread")


class Knows(torch.nn.Module):
    """The best denoiser of data that hold one picture: what is not the picture is noise."""

    def __init__(self, x):
        super().__init__()
        self.x, self.asked = x, 0

    def forward(self, x_t, t, class_labels=None):
        self.asked += 1
        kept = self.schedule.alphas_cumprod[t]
        return SimpleNamespace(sample=(x_t - kept.sqrt() * self.x) / (1 - kept).sqrt())


def test_with_a_perfect_denoiser_every_z_becomes_the_picture():
    x = torch.rand(1, 1, 28, 28) * 2 - 1
    net = Knows(x)
    G = DDIM(net)
    net.schedule = G.schedule
    found = G(torch.randn(5, 784))
    torch.testing.assert_close(found, x.expand(5, -1, -1, -1), atol=1e-3, rtol=0)
    assert net.asked == diffusion.ASKED


def test_what_it_makes_is_a_function_of_z_and_y():
    torch.manual_seed(0)
    G, z = DDIM(denoiser().eval()), torch.randn(2, 784)
    with torch.no_grad():
        first, again, other = (G(z, torch.tensor(y)) for y in ([1, 2], [[1], [2]], [1, 7]))
    assert torch.equal(first, again) and first.shape == (2, 1, 28, 28) and first.abs().max() <= 1
    assert torch.equal(first[0], other[0]) and not torch.equal(first[1], other[1])


def test_its_size_is_as_stated():
    assert f"{sum(p.numel() for p in denoiser().parameters()):,} parameters" in denoiser.__doc__


def few(train=True):
    data = digits()
    return ImageSet("mnist", data.images[:256], data.labels[:256], data.classes)


def test_training_ends_with_its_budget_and_lowers_the_loss(monkeypatch):
    monkeypatch.setattr(diffusion, "AVERAGE", 0.9)
    net, spent = train_denoiser(few(), seed=0, minutes=8 / 60)
    assert 8 / 60 <= spent["cpu_minutes"] < 12 / 60 and spent["steps"] > 2
    torch.manual_seed(1)
    x, noise = few().take(torch.arange(64))[0], torch.randn(64, 1, 28, 28)
    level = torch.full((64,), LEVELS // 2)
    x_t = diffusion_schedule().add_noise(x, noise, level)
    with torch.no_grad():
        trained, fresh = (D(x_t, level, class_labels=few().labels[:64]).sample for D in (net, denoiser().eval()))
    assert (trained - noise).square().mean() < 0.7 * (fresh - noise).square().mean()


def diffusion_schedule():
    from diffusers import DDPMScheduler

    return DDPMScheduler(LEVELS)


def test_without_diffusers_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(InputError, match=r"ganbook\[diffusion\]"):
        denoiser()


def test_the_record(tmp_path, monkeypatch):
    monkeypatch.setattr(diffusion, "mnist", few)
    monkeypatch.setattr(diffusion, "ASKED", 2)
    held_out = ImageSet("mnist", digits().images[256:512], digits().labels[256:512], digits().classes)
    parts = {"train": few(), "test": held_out}
    monkeypatch.setattr(evaluation, "load", lambda name, shape, labelled, part: (parts[part], {}))
    monkeypatch.setattr(evaluation, "FAKES", 200)
    monkeypatch.setattr(evaluation, "LESSONS", 2)
    elsewhere = {"cpu_minutes": 9.0, "device": "another processor"}  # its minutes are not those of this one
    here = [{"cpu_minutes": minutes, "device": processor()} for minutes in (0.01, 0.03)]
    rows = {"r3gan": dict(enumerate([elsewhere, *here]))}
    monkeypatch.setattr(diffusion, "read_record", lambda name: {"rows": rows})
    done = CliRunner().invoke(cli, ["study", "diffusion", "--seeds", "2", "--out", str(tmp_path / "d")])
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "d" / "card.json").read_text())
    assert card["command"] == "ganbook study diffusion --seeds 2" and card["budget"] == pytest.approx(0.02)
    assert [run["seed"] for run in card["results"]] == [0, 1]
    assert all(run["cpu_minutes"] >= 0.02 and run["parameters"] > 10**6 for run in card["results"])
    assert all(run["fakes"] == 200 and 0 <= run["accuracy"]["digit"] < 0.6 for run in card["results"])
