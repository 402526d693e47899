"""Every row of the family trains; the table says what the results say."""

import json
import re

import pytest
from click.testing import CliRunner

from ganbook import studies
from ganbook.__main__ import cli
from ganbook.mlp import PointGenerator
from ganbook.studies import FAMILY, compare, family_table, train_on_ring

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_good_setting_covers_the_ring_and_a_bad_one_does_not():
    modes, quality = train_on_ring("non-saturating", 0.5, seed=0, steps=1_000)
    assert modes >= 7 and quality > 0.5
    modes, quality = train_on_ring("non-saturating", 0.9, seed=0, steps=1_000)
    assert modes <= 4


def test_the_same_seed_gives_the_same_numbers():
    one, two, other = (train_on_ring("hinge", 0.5, seed, steps=30) for seed in (1, 1, 2))
    assert one == two != other


def test_every_row_is_trained_with_every_seed():
    results = compare((0.0, 0.5), [3, 4], steps=2)
    assert list(results) == list(FAMILY)
    assert all(
        len(cell["modes"]) == len(cell["quality"]) == 2 for row in results.values() for cell in row.values()
    )


def test_the_table_shows_means_and_deviations():
    results = {"some objective": {"0.5": {"modes": [8, 6], "quality": [0.5, 0.7]}}}
    line = family_table(results).splitlines()[-1]
    assert line == "| some objective | 7.0 ± 1.4 modes, 0.60 ± 0.14 |"
    results["some objective"]["0.5"] = {"modes": [8], "quality": [0.5]}
    assert family_table(results).endswith("| 8.0 modes, 0.50 |")


def test_the_command_writes_a_record(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "STEPS", 1)
    monkeypatch.setattr(studies, "MOMENTA", (0.5,))
    done = CliRunner().invoke(cli, ["study", "ring", "--seeds", "2", "--out", str(tmp_path / "ring")])
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "ring" / "card.json").read_text())
    assert card["command"] == "ganbook study ring --seeds 2" and card["seeds"] == 2
    assert set(card["results"]) == set(FAMILY) and card["commit"]


def test_names_of_the_rows_say_what_they_are():
    G = PointGenerator()
    for name, make in FAMILY.items():
        objective = make(G)
        numbers = [objective, *getattr(objective, "penalties", [])]
        weights = [v for part in numbers for k, v in vars(part).items() if k in ("gamma", "weight", "alpha")]
        assert re.findall(r"\d+\.?\d*$", name) == [f"{weight:g}" for weight in weights], name
