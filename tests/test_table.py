"""The table of all models: filled row by row, never twice, and shown as it is stored."""

import json
from dataclasses import replace
from functools import partial

import pytest
from click.testing import CliRunner

from ganbook import datasets, evaluation, recipes, table
from ganbook.__main__ import cli
from ganbook.errors import InputError
from ganbook.table import fill_table, model_table

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


def test_it_is_shown_as_it_is_stored(small, tmp_path, monkeypatch):
    fill_table(["dcgan64", "acgan"], 2, tmp_path / "out", tmp_path / "runs", "cpu")
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    monkeypatch.setattr(table, "read_record", lambda name: card)
    lines = model_table("avatars").data.splitlines()
    assert lines[0].startswith("| model | seeds | parameters | CPU-minutes | FID, avatars-classifier features |")
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert lines[2].startswith("| `dcgan64` | 2 |") and lines[2].endswith("|  |  |") and "±" in lines[3]
    distances = [run["distance"] for run in card["rows"]["dcgan64"].values()]
    assert f"| {sum(distances) / 2:.2f} ± " in lines[2]
    with pytest.raises(InputError, match="no model of 'mnist' is in the table yet"):
        model_table("mnist")


def test_the_command(small, tmp_path):
    options = ["--seeds", "1", "--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs"), "--device", "cpu"]
    done = CliRunner().invoke(cli, ["table", "dcgan64", *options])
    assert done.exit_code == 0, done.output
    row = json.loads((tmp_path / "out" / "card.json").read_text())["rows"]["dcgan64"]["0"]
    assert row["parameters_G"] > 0 and row["fakes"] == 40 and row["steps"] == 1 and row["commit"]
    assert isinstance(CliRunner().invoke(cli, ["table", "nosuch", *options]).exception, InputError)
