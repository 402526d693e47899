"""The `ganbook` command: what it writes, and that every mistake is one line and exit code 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ganbook.__main__ import main
from ganbook.recipes import load_networks


def ganbook(*args, cwd=None, **env):
    command = [sys.executable, "-m", "ganbook", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **env})


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """The command in this process, in an empty folder, without a network: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "data"))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["ganbook", *args])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "a" / "mlp"
    done = ganbook("train", "mlp", "--data", "digits", "--steps", 30, "--batch", 50, "--seed", 3, "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done


def test_train_writes_networks_numbers_and_pictures(trained):
    out, done = trained
    assert sorted(p.name for p in out.iterdir()) == [
        "D.safetensors",
        "G.safetensors",
        "card.json",
        "losses.csv",
        "progress.png",
        "samples.png",
        "state.safetensors",
    ]
    card = json.loads((out / "card.json").read_text())
    assert (card["recipe"], card["data"], card["steps"], card["batch_size"], card["seed"]) == (
        "mlp",
        "digits",
        30,
        50,
        3,
    )
    lines = (out / "losses.csv").read_text().splitlines()
    assert lines[0] == "n,d_loss,g_loss,d_real,d_fake" and len(lines) == 31
    assert "30/30" in done.stderr  # progress
    assert "30 steps" in done.stdout


def test_sample_draws_a_png_that_the_seed_fixes(trained, tmp_path):
    out, _ = trained
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        assert ganbook("sample", out, "--n", 10, "--seed", seed, "--out", tmp_path / name).returncode == 0
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (8 * 30 + 2, 2 * 30 + 2)
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b != c


def test_a_trained_folder_is_not_overwritten(trained):
    out, _ = trained
    before = (out / "G.safetensors").read_bytes()
    refused = ganbook("train", "mlp", "--data", "digits", "--steps", 1, "--out", out)
    assert refused.returncode == 2 and "holds trained networks already" in refused.stderr
    assert (out / "G.safetensors").read_bytes() == before


def test_the_command_and_fit_agree(trained):
    import torch

    from ganbook.data import Ordered, digits
    from ganbook.objectives import NonSaturating
    from ganbook.recipes import RECIPES
    from ganbook.training import fit

    torch.manual_seed(3)
    G, D = RECIPES["mlp"].networks()
    for _step in fit(G, D, NonSaturating(), Ordered(digits(), seed=3), steps=30, batch_size=50):
        pass
    for ours, theirs in zip((G, D), load_networks(trained[0]), strict=True):
        assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


MISTAKES = {
    "no recipe": (["train", "nosuch", "--out", "x"], "no recipe is called 'nosuch': choose one of mlp"),
    "no data set": (["train", "mlp", "--data", "cifar", "--out", "x"], "no data set or folder is called 'cifar'"),
    "no out": (["train", "mlp"], "Missing option '--out'"),
    "no steps": (["train", "mlp", "--steps", "0", "--out", "x"], "0 is not in the range"),
    "steps in words": (["train", "mlp", "--steps", "many", "--out", "x"], "'many' is not a valid integer"),
    "no device": (["train", "mlp", "--device", "abacus", "--data", "digits", "--out", "x"], "device 'abacus'"),
    "no command": (["trian"], "No such command 'trian'"),
    "no such option": (["sample", "x", "--count", "3"], "--count"),
    "not trained": (["sample", ".", "--out", "x.png"], "holds no trained networks"),
    "not a png": (["sample", ".", "--out", "x.jpg"], "must end in .png"),
    "no checkout": (["run"], "has no _toc.yml"),
    "no mnist": (["train", "mlp", "--data", "mnist", "--out", "x"], "'digits' needs nothing"),
}


@pytest.mark.parametrize("args, message", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_one_line_and_exit_code_2(args, message, here):
    code, _, err = here(*args)
    assert code == 2
    assert err.startswith("ganbook: ") and err.count("\n") == 1 and message in err
    assert not Path("x").exists() and not Path("x.png").exists()


@pytest.mark.parametrize("command", [[], ["train"], ["sample"], ["run"], ["record"], ["outputs"], ["site"]])
def test_help(command, here):
    code, out, _ = here(*command, "--help")
    assert code == 0 and out.startswith("Usage: ganbook")
