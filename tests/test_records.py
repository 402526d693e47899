"""The stored full runs: complete, small, and the same numbers wherever they are shown."""

import json
import re
import statistics
from pathlib import Path

import nbformat
import pytest
import torch

from ganbook import recipes
from ganbook.classifiers import JUDGES, label_accuracy, load_classifier
from ganbook.data import sha256
from ganbook.errors import InputError
from ganbook.objectives import logits_of
from ganbook.recipes import RECIPES, load_networks, load_pretrained
from ganbook.recording import ALIKE, check_alike, summary
from ganbook.records import RECORDS, read_record, record_table
from ganbook.runs import NUMBERS
from ganbook.sampling import ask, cycle_labels, sample

ROOT = Path(__file__).parents[1]


RECORDED = {
    "mlp": 3,
    "dcgan28": 3,
    "dcgan64": 1,
    "cgan": 1,
    "acgan": 1,
    "r3gan": 1,
}  # stored full runs: over so many seeds


@pytest.fixture(params=RECORDED)
def name(request):
    return request.param


def test_a_record_is_of_the_recipes_full_budget(name):
    card, recipe = read_record(name), RECIPES[name]
    assert card["data"] == recipe.data and card["batch_size"] == recipe.batch_size
    assert card["steps"] == recipe.epochs * -(-card["pictures"] // card["batch_size"])
    assert len(card["seeds"]) >= RECORDED[name]
    assert not card["commit"].endswith("+")  # made from committed code
    assert {"command", "device", "versions", "date", "precision"} <= set(card)


def test_mean_and_spread_are_those_of_the_seeds(name):
    card = read_record(name)
    for key in (*NUMBERS, "minutes", "cpu_minutes"):
        values = [seed[key] for seed in card["seeds"].values()]
        assert card["mean"][key] == pytest.approx(statistics.mean(values))
        assert card["sd"][key] == (pytest.approx(statistics.stdev(values)) if len(values) > 1 else None)


# The numbers of r3gan stand in the table of all models.
@pytest.mark.parametrize("name", sorted(RECORDED.keys() - {"r3gan"}))
def test_the_page_shows_the_record(name):
    """The stored output of the page that shows this record is what the record says now."""
    shown = [
        output["data"]["text/markdown"]
        for path in (ROOT / "book").glob("*.ipynb")
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code" and re.search(rf'record_table\("{name}"\)', cell.source)
        for output in cell.outputs
    ]
    assert shown == [record_table(name).data]
    seeds = RECORDED[name]
    assert ("one seed, so no spread" if seeds == 1 else f"± standard deviation, {seeds} seeds") in shown[0]


def test_pretrained_networks_are_small_and_draw(name):
    assert sum((RECORDS / name / f"{net}.safetensors").stat().st_size for net in "GD") <= 16_000_000
    G, D = load_pretrained(name)
    assert not G.training and not D.training
    y = cycle_labels(G, 100)
    pictures = sample(G, 100, y, seed=0)
    assert torch.isfinite(pictures).all() and pictures.std(0).mean() > 0.2  # not one picture a hundred times
    assert logits_of(D(pictures, y)).shape == (100,)


def test_the_pictures_of_the_record_are_drawn_by_its_generator(name):
    """samples.png shows G's answer to seed 0, up to the half precision of the stored weights."""
    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor

    from ganbook.plots import grid

    with Image.open(RECORDS / name / "samples.png") as file:
        stored = pil_to_tensor(file.convert("RGB")).float()
    G, _ = load_pretrained(name)
    drawn = grid(sample(G, 64, cycle_labels(G, 64), seed=0)).permute(2, 0, 1).float()
    assert stored.shape == drawn.shape and (stored - drawn).abs().mean() < 1


@pytest.mark.parametrize("name", [name for name in RECORDED if RECIPES[name].labelled])
def test_what_is_asked_of_a_record_is_what_it_draws(name):
    """Again, with other z, what the record says of the independent classifier's verdict."""
    card, (G, _) = read_record(name), load_pretrained(name)
    y, _ = ask(card, 1_000, label=None, even=True, seed=1)
    shares = label_accuracy(load_classifier(JUDGES[card["data"]]), sample(G, 1_000, y, seed=1), y)
    for kind, share in zip(card["classes"], shares.tolist(), strict=True):
        bar = 0.99 if name == "acgan" else 0.98
        assert card["mean"][f"accuracy, {kind}"] >= bar and share >= bar - 0.01


def test_unknown_name():
    with pytest.raises(InputError, match="'stylegan'"):
        load_pretrained("stylegan")


def test_summary():
    mean, sd = summary([{"a": 1.0}, {"a": 3.0}])
    assert mean == {"a": 2.0} and sd == {"a": pytest.approx(2**0.5)}
    assert summary([{"a": 1.0}]) == ({"a": 1.0}, {"a": None})


def test_runs_that_differ_make_no_record():
    card = dict.fromkeys(ALIKE, 1)
    check_alike([card, {**card, "seed": 2}], Path("runs"))
    for key in ("steps", "lr_g", "lr_d", "beta1", "networks", "precision"):
        with pytest.raises(InputError, match=f"differ in {key}"):
            check_alike([card, {**card, key: 2}], Path("runs"))


def test_a_record_is_made_from_runs_and_keeps_those_that_are_done(tmp_path, monkeypatch):
    from dataclasses import replace

    from ganbook.checkpoints import load_network, read_card
    from ganbook.recording import record

    small = replace(RECIPES["mlp"], data="digits", epochs=1, batch_size=600)
    monkeypatch.setitem(recipes.RECIPES, "mlp", small)
    card = record("mlp", tmp_path / "record", seeds=2, runs=tmp_path / "runs")
    assert card == read_card(tmp_path / "record")
    assert card["steps"] == 3 and list(card["seeds"]) == ["0", "1"]
    losses = [card["seeds"][seed]["d_loss"] for seed in "01"]
    assert card["mean"]["d_loss"] == pytest.approx(sum(losses) / 2)
    G, _ = small.networks()
    half = load_network(tmp_path / "record" / "G.safetensors", G).net[0].weight.clone()
    whole = load_network(tmp_path / "runs" / "mlp-seed0" / "G.safetensors", G).net[0].weight
    torch.testing.assert_close(half, whole, rtol=1e-3, atol=1e-6)

    before = (tmp_path / "runs" / "mlp-seed0" / "card.json").stat().st_mtime_ns
    assert len(record("mlp", tmp_path / "record", seeds=3, runs=tmp_path / "runs")["seeds"]) == 3
    assert (tmp_path / "runs" / "mlp-seed0" / "card.json").stat().st_mtime_ns == before


def test_a_run_of_another_plan_is_not_taken_for_a_records(tmp_path, monkeypatch):
    """Nor for the table's, which calls its runs by another name; and before anything is trained."""
    from dataclasses import replace

    from ganbook import recording, runs

    tiny = {"image_size": 32, "width_g": 4, "width_d": 4}
    plan = runs.fill(runs.Plan("acgan", networks=tiny, epochs=2, batch_size=20))
    card = {"recipe": "acgan", "data": "avatars", "seed": 1, "steps": 4, "pictures": 40, "batch_size": 20}
    card |= {"beta1": 0.5, "average": 0.99, "precision": "fp32"}
    card |= {"lr_g": 5e-4, "lr_d": 5e-4, "networks": {**tiny, "num_classes": [12, 10]}}
    folder = tmp_path / "acgan-seed1"
    folder.mkdir()

    def make(**changes):
        (folder / "card.json").write_text(json.dumps(card | changes))
        return recording.train_seeds(plan, 2, tmp_path, lambda folder, plan: done.append(plan.seed))

    done = []
    assert make() == [tmp_path / "acgan-seed0", folder] and done == [0]
    wrong = {
        "recipe": "cgan",
        "data": "digits",
        "seed": 0,
        "steps": 3,
        "batch_size": 10,
        "lr_g": 1.0,
        "lr_d": None,
        "average": 0.5,
        "precision": "bf16",
    }
    wrong |= {"networks": {**tiny, "width_d": 8, "num_classes": [12, 10]}, "pictures": "many"}
    for key, value in wrong.items():
        named = "steps" if key == "pictures" else key
        with pytest.raises(InputError, match=f"the run in {folder} has {named} .*, not .*: delete it"):
            make(**{key: value})
    assert done == [0]
    make()
    runs.check_done(folder, replace(plan, seed=1, epochs=None, steps=4))
    (folder / "card.json").write_text(json.dumps(card | {"precision": "bf16"}))
    runs.check_done(folder, replace(plan, seed=1, precision="auto"))  # whichever it came to be


def test_a_generator_is_asked_for_every_combination_alike(tmp_path, monkeypatch):
    """A G that has learned the rare ones badly must not hide behind the frequent ones."""
    from ganbook import datasets, recording
    from ganbook.runs import Plan, train

    monkeypatch.setattr(datasets, "AVATARS", 40)
    monkeypatch.setattr(recording, "JUDGED", 3_000)
    tiny = {"image_size": 32, "width_g": 4, "width_d": 4}
    card = train(tmp_path, Plan("acgan", networks=tiny, steps=1, batch_size=20), device="cpu", progress=False)
    card["combinations"] = [[0, 0, 990], [3, 8, 10]]
    asked = []
    monkeypatch.setattr(recording, "sample", lambda G, n, y, seed: asked.append(y) or sample(G, n, y, seed=seed))
    found = recording.accuracies(tmp_path, card)
    assert set(found) == {"accuracy, hair", "accuracy, eyes"}
    assert (asked[0] == torch.tensor([3, 8])).all(1).float().mean().item() == pytest.approx(0.5, abs=0.05)


@pytest.fixture
def far_away(tmp_path, monkeypatch):
    """An installed package without the weights of `mlp`, and a repository on this machine that has them."""
    import threading
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    remote, installed = tmp_path / "site" / "raw" / "main" / "ganbook" / "records", tmp_path / "installed"
    for folder, files in ((remote / "mlp", "GD"), (installed / "mlp", "")):
        folder.mkdir(parents=True)
        for net in files:
            (folder / f"{net}.safetensors").write_bytes((RECORDS / "mlp" / f"{net}.safetensors").read_bytes())
    card = read_record("mlp") | {"sha256": {net: sha256(remote / "mlp" / f"{net}.safetensors") for net in "GD"}}
    (installed / "mlp" / "card.json").write_text(json.dumps(card))
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            asked.append(self.path.rsplit("/", 1)[1])

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=tmp_path / "site"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(recipes, "RECORDS", installed)
    monkeypatch.setattr(recipes, "repository", lambda: f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "data"))
    yield remote / "mlp", tmp_path / "data" / "weights" / "mlp", asked
    server.shutdown()
    server.server_close()


def test_weights_are_fetched_once(far_away):
    _, here, asked = far_away
    first, second = load_pretrained("mlp"), load_pretrained("mlp")
    assert asked == ["G.safetensors", "D.safetensors"] and len(list(here.iterdir())) == 2
    stored = load_networks(RECORDS / "mlp")
    for nets in (first, second):
        assert all(
            torch.equal(p, q)
            for a, b in zip(nets, stored, strict=True)
            for p, q in zip(a.parameters(), b.parameters(), strict=True)
        )


def test_other_weights_are_refused_and_nothing_is_left(far_away):
    remote, here, _ = far_away
    (remote / "D.safetensors").write_bytes(b"something else")
    with pytest.raises(InputError, match="D.safetensors could not be fetched .*invalid hash"):
        load_pretrained("mlp")
    assert [path.name for path in here.iterdir()] == ["G.safetensors"]
    (remote / "G.safetensors").unlink()
    (here / "G.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="G.safetensors could not be fetched .*404"):
        load_pretrained("mlp")


def test_the_installed_package_knows_the_repository():
    import tomllib

    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert recipes.repository() == urls["Repository"]
