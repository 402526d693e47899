"""The table of all models: filled row by row, never twice, and shown as it is stored."""

import json
import multiprocessing
import shutil
from dataclasses import replace
from functools import partial
from itertools import pairwise
from statistics import fmean

import pytest
import torch
from click.testing import CliRunner

from ganbook import datasets, evaluation, recipes, table
from ganbook.__main__ import cli
from ganbook.errors import InputError
from ganbook.recipes import RECIPES
from ganbook.records import RECORDS
from ganbook.runs import Plan, train
from ganbook.sampling import cycle_labels, sample
from ganbook.table import as_markdown, fill_table, who_is_nearer

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(datasets, "AVATARS", 40)
    monkeypatch.setattr(evaluation, "FAKES", 40)
    monkeypatch.setattr(evaluation, "LESSONS", 1)
    monkeypatch.setattr(table, "EPOCHS", {"avatars": 1})
    for name in ("dcgan64", "acgan"):
        row = recipes.RECIPES[name]
        tiny = partial(row.networks, image_size=32, width_g=4, width_d=4)
        monkeypatch.setitem(recipes.RECIPES, name, replace(row, networks=tiny))


@pytest.fixture
def measured(monkeypatch):
    """The runs that are measured, in order; the third is where somebody stops the command."""
    done, real = [], table.evaluate

    def evaluate(G, card, seeds):
        done.append((card["recipe"], *seeds))
        if len(done) == 3:
            raise KeyboardInterrupt
        return real(G, card, seeds)

    monkeypatch.setattr(table, "evaluate", evaluate)
    return done


def test_it_is_filled_run_by_run_and_goes_on_where_it_was_cut(small, tmp_path, measured):
    out, runs, names = tmp_path / "out", tmp_path / "runs", ["dcgan64", "acgan"]
    with pytest.raises(KeyboardInterrupt):
        fill_table(names, 2, out, runs, "cpu")
    kept = json.loads((out / "card.json").read_text())["rows"]
    assert {name: list(seeds) for name, seeds in kept.items()} == {"dcgan64": ["0"], "acgan": ["0"]}
    fill_table(names, 2, out, runs, "cpu")
    assert measured == [("dcgan64", 0), ("acgan", 0), ("dcgan64", 1), ("dcgan64", 1), ("acgan", 1)]
    rows = json.loads((out / "card.json").read_text())["rows"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "EPOCHS", {"avatars": 2})
        with pytest.raises(InputError, match="of another budget, {'avatars': 1} epochs, not {'avatars': 2}"):
            fill_table(names, 2, out, runs, "cpu")
    assert all(rows[name]["0"] == kept[name]["0"] and set(rows[name]) == {"0", "1"} for name in names)


def test_two_commands_fill_one_table(small, tmp_path, monkeypatch):
    """While one of them trains, the other one keeps a run: neither is lost."""
    out, runs, real = tmp_path / "out", tmp_path / "runs", table.train_and_measure

    def train_and_measure(name, *rest):
        if name == "dcgan64":
            fill_table(["acgan"], 1, out, runs, "cpu")
        return real(name, *rest)

    monkeypatch.setattr(table, "train_and_measure", train_and_measure)
    fill_table(["dcgan64"], 1, out, runs, "cpu")
    assert set(json.loads((out / "card.json").read_text())["rows"]) == {"dcgan64", "acgan"}


def test_many_commands_write_one_table_and_lose_nothing(small, tmp_path):
    """Processes of their own, all at once: each reads, adds and writes before the next one reads."""
    fill_table(["dcgan64"], 1, tmp_path / "one", tmp_path / "runs", "cpu")
    found = json.loads((tmp_path / "one" / "card.json").read_text())["rows"]["dcgan64"]["0"]
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=keep_many, args=(tmp_path / "out", name, found)) for name in ("dcgan64", "acgan")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    rows = json.loads((tmp_path / "out" / "card.json").read_text())["rows"]
    assert [process.exitcode for process in processes] == [0, 0]
    assert {name: len(seeds) for name, seeds in rows.items()} == {"dcgan64": 20, "acgan": 20}


def keep_many(out, name, found):
    for seed in range(20):
        table.note_found(out, "avatars", "rows", name, {str(seed): found})


def test_a_run_of_another_budget_is_not_measured(small, tmp_path, measured):
    plan = Plan("dcgan64", steps=2, batch_size=8, seed=9)
    train(tmp_path / "runs" / "dcgan64-seed0", plan, progress=False)
    shutil.copytree(tmp_path / "runs" / "dcgan64-seed0", tmp_path / "runs" / "table-dcgan64-seed0")
    with pytest.raises(InputError, match="table-dcgan64-seed0 has seed 9, not 0: delete it"):
        fill_table(["dcgan64"], 1, tmp_path / "out", tmp_path / "runs", "cpu")
    shutil.rmtree(tmp_path / "runs" / "table-dcgan64-seed0")
    fill_table(["dcgan64"], 1, tmp_path / "out", tmp_path / "runs", "cpu")  # a record's run is none of its own
    assert measured == [("dcgan64", 0)]


def test_it_is_shown_as_it_is_stored(small, tmp_path):
    fill_table(["dcgan64", "acgan"], 2, tmp_path / "out", tmp_path / "runs", "cpu")
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    text = (tmp_path / "out" / "avatars.md").read_text()
    assert text == as_markdown(card, "avatars")
    lines = text.splitlines()
    assert lines[0].startswith(
        "| model | seeds | weights | CPU min | Fréchet | kernel | precision | recall | coverage | copying |"
    )
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert lines[2].startswith("| `dcgan64` | 2 |") and lines[2].endswith("|  |  |") and "±" in lines[3]
    real = card["real"]["avatars"]
    assert lines[4].startswith(f"| real pictures |  |  |  | {real['distance']:.2f} |") and real["copying"] == 0
    assert real["accuracy"]["hair"] > 0.9 and lines[4].count("|") == lines[3].count("|")
    distances = [run["distance"] for run in card["rows"]["dcgan64"].values()]
    assert f"| {sum(distances) / 2:.2f} ± " in lines[2]
    assert (
        f"Made on {card['rows']['acgan']['0']['device']}, {torch.get_num_threads()} thread(s), fp32, at commit"
        in text
    )
    assert "FID and KID in avatars-classifier features" in text
    assert "1 epochs of avatars each, which are 1 steps; of each run 40 fakes against 40 held-out" in text
    assert lines[-1].startswith("- Not yet measured with 3 seeds: `dcgan64`, `dcgan96`, `acgan`, `dcgan64-p")


def test_each_row_has_a_strip_of_fakes_and_all_of_them_a_sheet(small, tmp_path):
    out, runs = tmp_path / "out", tmp_path / "runs"
    fill_table(["acgan"], 1, out, runs, "cpu")
    strip = table.strip_of("acgan", out)
    G, _ = recipes.load_networks(runs / "table-acgan-seed0")
    shown = sample(G, 10, cycle_labels(G, 10), seed=0)
    assert strip.shape == (10, 3, 32, 32) and (strip - shown).abs().max() < 0.01
    alone = (out / "avatars.png").read_bytes()
    fill_table(["dcgan64", "acgan"], 2, out, runs, "cpu")
    assert (out / "avatars.png").read_bytes() != alone  # dcgan64 has come
    assert torch.equal(table.strip_of("acgan", out), strip)  # of the first seed still
    (out / "dcgan64.png").unlink()
    shutil.rmtree(runs)
    fill_table(["dcgan64"], 2, out, runs, "cpu")
    assert not (out / "dcgan64.png").exists()


def test_a_sheet_shows_pictures_of_two_sizes(small, tmp_path, monkeypatch):
    row = recipes.RECIPES["dcgan64"]
    larger = replace(row, networks=partial(row.networks.func, image_size=64, width_g=4, width_d=4))
    monkeypatch.setitem(recipes.RECIPES, "dcgan64", larger)
    fill_table(["dcgan64", "acgan"], 1, tmp_path / "out", tmp_path / "runs", "cpu")
    strips = {name: table.strip_of(name, tmp_path / "out") for name in ("dcgan64", "acgan")}
    assert [x.shape[-1] for x in strips.values()] == [64, 32] and (tmp_path / "out" / "avatars.png").exists()
    shown = table.alike(strips)
    assert shown["dcgan64"].shape == (10, 3, 32, 32) and torch.equal(shown["acgan"], strips["acgan"])
    assert (shown["dcgan64"].mean((2, 3)) - strips["dcgan64"].mean((2, 3))).abs().max() < 0.02


def test_minutes_of_two_devices_are_not_mixed(small, tmp_path):
    fill_table(["dcgan64", "acgan"], 2, tmp_path / "out", tmp_path / "runs", "cpu")
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    first, second = card["rows"]["dcgan64"].values()
    first |= {"device": "a", "cpu_minutes": 1.0}
    second |= {"device": "b", "cpu_minutes": 3.0}
    for run in card["rows"]["acgan"].values():
        run |= {"device": "b", "cpu_minutes": 5.0}
    text = as_markdown(card, "avatars")
    assert [line.split(" | ")[3] for line in text.splitlines()[2:4]] == ["1.0 / 3.0", "– / 5.0"]
    assert "CPU minutes: on a / b." in text


def test_a_verdict_says_how_sure_it_is():
    def rows(ours, theirs, **more):
        same = {"precision": 0.5, "recall": 0.5, "coverage": 0.5}
        return {"a": [same | {"distance": d} for d in ours], "b": [same | more | {"distance": d} for d in theirs]}

    assert (
        who_is_nearer(rows([1, 2], [3, 4]), "a", "b")
        == "`a` is nearer than `b` with each seed (2 and 2, as by chance in 1 of 3 cases): 1.5 against 3.5."
    )
    assert "`a` is further off than `b` with each seed" in who_is_nearer(rows([3, 4], [1, 2]), "a", "b")
    assert who_is_nearer(rows([1], [2, 3], recall=0.9), "a", "b") == (
        "`a` against `b`: 1.0 against 2.5, and one seed tells no more."
    )
    assert "with each seed (3 and 4, as by chance in 1 of 17.5 cases): 2.0 against 6.5" in who_is_nearer(
        rows([1, 2, 3], [5, 6, 7, 8]), "a", "b"
    )
    assert "overlap: 2.0 against 2.5, and these seeds do not tell them apart" in who_is_nearer(
        rows([1, 3], [2, 3]), "a", "b"
    )
    better = who_is_nearer(rows([1, 2], [3, 4], recall=0.6, coverage=0.7, precision=0.4), "a", "b")
    assert better.endswith("With each seed `a` has more precision. With each seed `b` has more recall, coverage.")
    mixed = rows([1, 2], [3, 4], recall=0.6)
    mixed["a"][1]["recall"] = 0.7
    assert who_is_nearer(mixed, "a", "b").endswith("1.5 against 3.5.")
    by_a_hair = rows([1, 2], [3, 4], recall=0.502)  # the table shows 0.50 and 0.50
    assert who_is_nearer(by_a_hair, "a", "b").endswith("1.5 against 3.5.")


def test_a_table_tells_how_many_steps_its_budget_was():
    rows = {name: [{"steps": steps}] for name, steps in (("a", 1_570), ("b", 400), ("c", 1_570), ("d", 790))}
    assert table.steps_of(rows) == "which are 1,570 steps, 400 for `b`, 790 for `d`"
    assert table.steps_of({"a": rows["a"]}) == "which are 1,570 steps"


def test_the_books_table_is_its_record():
    card = json.loads((RECORDS / "table" / "card.json").read_text())
    runs = [run for seeds in card["rows"].values() for run in seeds.values()]
    assert all(not run["commit"].endswith("+") for run in runs)
    for data in {run["data"] for run in runs}:
        assert (RECORDS / "table" / f"{data}.md").read_text() == as_markdown(card, data)


def test_what_the_page_says_of_the_mistakes():
    def of(name, key):
        return [
            run[key] for run in json.loads((RECORDS / "table" / "card.json").read_text())["rows"][name].values()
        ]

    pooling = of("dcgan28-pooling", "distance")
    for other in ("dcgan28", "dcgan28-published"):
        assert max(pooling) < min(of(other, "distance"))
        assert fmean(pooling) < fmean(of(other, "distance")) / 2
    ours, theirs = of("dcgan28", "distance"), of("dcgan28-published", "distance")
    assert max(ours) > min(theirs) and max(theirs) > min(ours)
    assert 7 < of("dcgan28-published", "parameters_D")[0] / of("dcgan28", "parameters_D")[0] < 9
    assert of("dcgan28-pooling", "parameters_D")[0] == of("dcgan28-published", "parameters_D")[0]
    ours, theirs = of("mlp", "distance"), of("mlp-published", "distance")
    assert max(ours) > min(theirs) and max(theirs) > min(ours)
    assert max(of("mlp-published", "precision")) < min(of("mlp", "precision"))
    assert max(of("mlp", "coverage") + of("mlp-published", "coverage")) < 0.1
    early = json.loads((RECORDS / "guidelines" / "card.json").read_text())
    assert early["steps"] == 200
    paper = early["results"]["as the paper has it"]
    pooled = early["results"]["D with max pooling, a hidden layer, no batch norm"]
    assert max(run["distance"] for run in paper) < min(run["distance"] for run in pooled)


def test_what_chapter_12_says_of_the_table():
    """What its own claims do not hold."""
    card = json.loads((RECORDS / "table" / "card.json").read_text())
    rows = {name: list(runs.values()) for name, runs in card["rows"].items()}
    middle = ("dcgan28-spectral", "dcgan28-r1", "dcgan28-average")
    for name in middle:
        assert table.least(rows[name], "distance") > table.most(rows["dcgan28"], "distance")
        for key in table.MORE_IS_BETTER:
            assert table.most(rows[name], key) < table.least(rows["dcgan28"], key), (name, key)
    for one, other in pairwise(middle):  # their seeds overlap
        assert table.most(rows[one], "distance") > table.least(rows[other], "distance")
        assert table.most(rows[other], "distance") > table.least(rows[one], "distance")
    assert table.most(rows["cgan-r1"], "recall") < table.least(rows["dcgan28-average"], "recall")
    weights = {"dcgan28-r1": [0.1], "dcgan28-average": [0.1], "cgan-r1": [0.1], "r3gan": [1, 1]}
    for name, gammas in weights.items():
        assert [penalty.gamma for penalty in RECIPES[name].objective.penalties] == gammas
    assert {row.average for row in RECIPES.values() if row.data == "mnist"} == {0, 0.999}
    seeds = json.loads((RECORDS / "guidelines" / "card.json").read_text())["results"]
    dense = max(run["distance"] for run in seeds["no convolutions: the MLP pair"])
    assert dense < min(run["distance"] for run in seeds["no batch norm in G"])
    small = json.loads((RECORDS / "small-data" / "card.json").read_text())["results"]
    plain, augmented = ([run[-1]["distance"] for run in runs] for runs in small.values())
    assert sum(a < b for a, b in zip(augmented, plain, strict=True)) == 2  # of three


def test_every_row_has_three_seeds_in_one_format():
    """So that distances and minutes can be laid side by side."""
    rows = json.loads((RECORDS / "table" / "card.json").read_text())["rows"]
    assert all(list(runs) == list("012") for runs in rows.values())
    assert {run["computed_in"] for runs in rows.values() for run in runs.values()} == {"bf16"}


def test_r3gan_passes_real_pictures_where_the_page_says_so():
    card = json.loads((RECORDS / "table" / "card.json").read_text())
    real, runs = card["real"]["mnist"], card["rows"]["r3gan"].values()
    assert all(run["precision"] > real["precision"] for run in runs)
    assert fmean(run["accuracy"]["digit"] for run in runs) > real["accuracy"]["digit"]
    assert all(run["distance"] > 2 * real["distance"] for runs in card["rows"].values() for run in runs.values())


def test_the_command(small, tmp_path):
    options = ["--seeds", "1", "--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs"), "--device", "cpu"]
    done = CliRunner().invoke(cli, ["table", "dcgan64", *options])
    assert done.exit_code == 0, done.output
    row = json.loads((tmp_path / "out" / "card.json").read_text())["rows"]["dcgan64"]["0"]
    assert row["parameters_G"] > 0 and row["fakes"] == 40 and row["steps"] == 1 and row["commit"]
    assert isinstance(CliRunner().invoke(cli, ["table", "nosuch", *options]).exception, InputError)
