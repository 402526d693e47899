"""The `ganbook` command: what it writes, and that every mistake is one line and exit code 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ganbook.__main__ import main
from ganbook.checkpoints import locked
from ganbook.errors import InputError
from ganbook.recipes import load_networks
from ganbook.recording import recorded
from ganbook.records import RECORDS


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
    how = ("--steps", 30, "--batch", 50, "--seed", 3, "--precision", "fp32")
    done = ganbook("train", "mlp", "--data", "digits", *how, "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done


def test_train_writes_networks_numbers_and_pictures(trained):
    out, done = trained
    assert sorted(p.name for p in out.iterdir()) == [
        ".lock",
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


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    """Seven files: five pictures of odd kinds, and two that are none."""
    import numpy as np

    folder, noise = tmp_path_factory.mktemp("nasty"), np.random.default_rng(0)
    rgba = noise.integers(0, 256, (60, 90, 4), dtype=np.uint8)
    Image.fromarray(rgba, "RGBA").save(folder / "rgba.png")
    Image.fromarray(rgba[..., :3]).quantize(16).save(folder / "palette.png", transparency=0)
    Image.fromarray(rgba, "CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(noise.integers(0, 65536, (50, 50)).astype(np.uint16)).save(folder / "sixteen.png")
    Image.new("P", (1, 1)).save(folder / "one.gif")
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("no picture")
    return folder


def test_a_nasty_folder_becomes_a_generator(nasty, tmp_path):
    small = ("--size", 16, "--width-g", 4, "--width-d", 4, "--latent-dim", 7)
    env = {"GANBOOK_DATA": str(tmp_path / "cache")}
    command = ("train", "dcgan64", "--data", nasty, "--steps", 20, "--out", tmp_path / "run", *small)
    done = ganbook(*command, **env)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert told[0] == "2 file(s) cannot be used:"
    assert [line.split(":")[0].strip() for line in told[1:3]] == ["empty.png", "text.jpg"]
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["networks"] == {"image_size": 16, "width_g": 4, "width_d": 4, "latent_dim": 7}
    assert (card["pictures"], card["skipped"]) == (5, 2)
    best = ("sample", tmp_path / "run", "--n", 4, "--best-of", 40, "--mean", 0.5, "--std", 0.7)
    assert ganbook(*best, "--out", tmp_path / "best.png").returncode == 0
    with Image.open(tmp_path / "best.png") as picture:
        assert picture.size == (4 * 18 + 2, 18 + 2)
    again = ganbook(*command, "--resume", tmp_path / "run", **env)
    assert again.returncode == 0 and "20 of 20 steps are done, nothing changes" in again.stdout


@pytest.fixture
def tagged(tmp_path):
    """Faces with a tags file as Windows writes it: a header, repeated rows, rows without a picture or a label."""
    from ganbook.avatars import avatars
    from ganbook.data import to_float
    from ganbook.plots import save_images

    faces, rows = avatars(30, 16), ["id,tags"]
    (tmp_path / "faces" / "below").mkdir(parents=True)
    for i, (image, (hair, eyes)) in enumerate(zip(faces.images, faces.labels.tolist(), strict=True)):
        save_images(tmp_path / "faces" / "below" / f"{i}.png", to_float(image[None]))
        rows.append(f"{i},{faces.classes['hair'][hair]} hair {faces.classes['eyes'][eyes]} eyes long hair")
    rows += [rows[1], "99,blue hair red eyes", "", rows[5]]
    rows[9] = "8,blue hair red hair green eyes"
    (tmp_path / "faces" / "tags.csv").write_bytes("\r\n".join(rows).encode("utf-8-sig"))


def test_a_tagged_folder_becomes_a_generator_that_is_asked_by_name(here, tagged, tmp_path):
    small = ("--size", "16", "--width-g", "4", "--width-d", "4", "--steps", "3", "--batch", "8")
    code, told, err = here("train", "acgan", "--data", "faces", "--out", "run", "--average", "0.5", *small)
    assert code == 0, err
    assert told.startswith("29 pictures with hair and eye colours (train 23, valid 3, test 3)"), told
    assert "two hair colours 1" in told and "no picture 1" in told and "repeated row 2" in told, told
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["networks"]["num_classes"] == [12, 11] and card["average"] == 0.5
    assert here("sample", "run", "--n", "4", "--label", "blue hair, red eyes", "--out", "a.png")[0] == 0
    assert here("sample", "run", "--n", "4", "--even", "--best-of", "9", "--out", "b.png")[0] == 0
    code, _, err = here("sample", "run", "--label", "long hair", "--out", "c.png")
    assert code == 2 and err.count("\n") == 1 and "hair: aqua, black, blonde" in err
    code, told, _ = here("grid", "run", "--out", "grid.png", "--across")
    assert code == 0 and "in grid.png" in told
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.width > 11 * 16 and picture.height > 12 * 16


def test_a_digit_is_asked_for(here, tmp_path):
    for recipe in ("cgan", "cgan-planes"):
        assert here("train", recipe, "--data", "digits", "--steps", "2", "--out", recipe)[0] == 0
        code, told, _ = here("sample", recipe, "--n", "8", "--label", "7", "--out", "seven.png")
        assert (code, told) == (0, "8 pictures in seven.png\n")
        assert here("grid", recipe, "--out", "grid.png")[0] == 0
    code, _, err = here("sample", "cgan", "--label", "12", "--out", "x.png")
    assert code == 2 and "of digit: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in err
    code, _, err = here("sample", "cgan", "--label", "7", "--even", "--out", "x.png")
    assert code == 2 and "give one" in err
    assert not (tmp_path / "x.png").exists()
    code, _, err = here("train", "cgan", "--data", str(tmp_path / "cgan"), "--out", "y")
    assert code == 2 and "has no labels to learn" in err


def test_every_option_of_train_reaches_the_run(monkeypatch, here, tmp_path):
    from ganbook import runs

    seen = {}

    def run(out, plan, **how):
        seen.update(out=out, plan=plan, how=how)
        return {"steps": 1, "minutes": 0.0, "last_epoch": {"d_loss": 0.0, "g_loss": 0.0}}

    monkeypatch.setattr(runs, "train", run)
    weights = tmp_path / "w.safetensors"
    weights.touch()
    options = {
        "data": "avatars", "epochs": 3, "batch": 5, "size": 32, "latent-dim": 9, "width-g": 8, "width-d": 6,
        "lr-g": 0.1, "lr-d": 0.2, "beta1": 0.3, "g-every": 4, "d-every": 5, "decay-every": 6, "l2": 0.4,
        "average": 0.7, "penalty": "gp", "penalty-weight": 0.5, "init-g": weights, "init-d": weights,
        "sample-every": 7, "save-every": 8, "seed": 9, "precision": "bf16", "resume": "r", "device": "cpu",
        "workers": 2,
    }  # fmt: skip
    code, _, err = here(
        *("train", "dcgan96", "--out", "o", "--tensorboard", "--even", "--reuse-fakes"),
        *(f"--{k}={v}" for k, v in options.items()),
    )
    assert code == 0, err
    assert seen["plan"] == runs.Plan(
        recipe="dcgan96",
        data="avatars", epochs=3, batch_size=5, lr_g=0.1, lr_d=0.2, beta1=0.3, g_every=4, d_every=5,
        average=0.7, even=True, reuse_fakes=True, decay_every=6, l2=0.4, penalty="gp", penalty_weight=0.5,
        init_g=str(weights), init_d=str(weights),
        sample_every=7, save_every=8, seed=9, precision="bf16",
        networks={"image_size": 32, "latent_dim": 9, "width_g": 8, "width_d": 6},
    )  # fmt: skip
    assert seen["how"] == {"resume": Path("r"), "device": "cpu", "workers": 2, "tensorboard": True}
    here("train", "mlp", "--out", "o")
    assert seen["plan"] == runs.Plan("mlp", precision="auto")  # what is not asked for is the recipe's own


def test_split_deals_a_folder_out(nasty, here):
    code, out, _ = here("split", str(nasty), "dealt")
    assert code == 0 and out.splitlines()[0] == "2 file(s) cannot be used:"
    assert "5 in dealt/train, 0 in dealt/valid, 0 in dealt/test" in out
    assert len(list(Path("dealt/train").iterdir())) == 5 and len(list(nasty.iterdir())) == 7


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
    "steps and epochs": (["train", "mlp", "--steps", "1", "--epochs", "1", "--out", "x"], "give one"),
    "a weight for nothing": (["train", "mlp", "--penalty-weight", "1", "--out", "x"], "say which --penalty"),
    "no such size": (["train", "dcgan64", "--size", "100", "--out", "x"], "image size 100 cannot be built"),
    "a size for the mlp": (["train", "mlp", "--size", "64", "--out", "x"], "'mlp' has no image_size"),
    "grey digits in colour": (["train", "dcgan64", "--data", "digits", "--out", "x"], "take dcgan28"),
    "an empty folder": (["train", "dcgan64", "--data", "empty", "--out", "x"], "holds no usable picture"),
    "best of too few": (["sample", ".", "--n", "9", "--best-of", "3", "--out", "x.png"], "fewer than --n 9"),
    "nothing to split": (["split", "empty", "x"], "holds no usable picture"),
    "a device without numbers": (["train", "mlp", "--device", "meta", "--data", "digits", "--out", "x"], "'meta'"),
    "seeds without end": (["study", "ring", "--seeds", "1099511627775", "--out", "x"], "not in the range"),
    "a record without end": (["record", "mlp", "--seeds", "1099511627775", "--out", "x"], "not in the range"),
    "a table without end": (["table", "mlp", "--seeds", "1099511627775", "--out", "x"], "not in the range"),
    "a record of nothing": (["record", "nosuch", "--out", "x"], "no recipe is called 'nosuch'"),
    "data of nobody": (["train", "mlp", "--data", "~nosuchuser/x", "--out", "x"], "the name of no user"),
    "a folder of nobody": (["split", "empty", "~nosuchuser/x"], "the name of no user"),
    "an empty out": (["train", "mlp", "--data", "digits", "--out", ""], "An empty path names nothing"),
    "empty data": (["train", "mlp", "--data", "", "--out", "x"], "An empty path names nothing"),
    "no weights to begin with": (["train", "mlp", "--init-g", "no/G.safetensors", "--out", "x"], "is missing"),
    "no mnist": (["train", "mlp", "--data", "mnist", "--out", "x"], "'digits' needs nothing"),
}


@pytest.mark.parametrize("args, message", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_one_line_and_exit_code_2(args, message, here):
    Path("empty").mkdir()
    code, _, err = here(*args)
    assert code == 2
    assert err.startswith("ganbook: ") and err.count("\n") == 1 and message in err
    assert not Path("x").exists() and not Path("x.png").exists()


def test_a_record_or_a_study_never_replaces_a_run(here, trained, tmp_path):
    out, _ = trained
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    for name in ("record mlp", "study ring"):
        code, _, err = here(*name.split(), "--out", str(out))
        assert code == 2 and err.count("\n") == 1, err
        assert f"{out} holds something else than a record of `ganbook {name}`: choose another folder" in err
    code, _, err = here("table", "mlp", "--out", str(out))
    assert code == 2 and "holds a run, and no table" in err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    Path("cut").mkdir()
    (Path("cut") / "state.safetensors").touch()
    assert here("record", "mlp", "--out", "cut")[0] == 2
    with locked(Path("busy")):
        assert "busy is being written by another process" in here("record", "mlp", "--out", "busy")[2]
    Path("old").mkdir()
    (Path("old") / "card.json").write_text((RECORDS / "cgan" / "card.json").read_text())
    with recorded(Path("old"), "ganbook record cgan"):
        pass
    for other in ("ganbook record cg", "ganbook study ring"):
        with pytest.raises(InputError, match="old holds something else"), recorded(Path("old"), other):
            pass


def test_a_name_that_is_no_text_is_printed(tmp_path):
    """On a stdout that takes UTF-8 alone."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (9, 9)).save(pictures / "a.png")
    try:
        (Path(os.fsdecode(os.fsencode(pictures) + b"/b\xff.png"))).touch()
    except OSError:
        pytest.skip("this disk takes no such name")
    env = {"PYTHONIOENCODING": "utf-8:strict", "GANBOOK_DATA": str(tmp_path / "cache")}
    done = ganbook("split", pictures, tmp_path / "dealt", **env)
    assert done.returncode == 0 and "b\\udcff.png" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "command", [[], ["train"], ["sample"], ["split"], ["run"], ["record"], ["outputs"], ["site"]]
)
def test_help(command, here):
    code, out, _ = here(*command, "--help")
    assert code == 0 and out.startswith("Usage: ganbook")
