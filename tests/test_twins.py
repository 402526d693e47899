"""A translation held to the truth: every fault is seen where it is; the record says what its networks do."""

import json
import re
import statistics
import tomllib
from pathlib import Path

import nbformat
import pytest
import torch
from click.testing import CliRunner
from torchvision.transforms.functional import pil_to_tensor, rotate

from ganbook import translation, twins
from ganbook.__main__ import cli
from ganbook.avatars import EYES, HAIR, draw_avatars
from ganbook.checkpoints import read_card
from ganbook.cyclegan import translate
from ganbook.data import sha256, to_float
from ganbook.errors import InputError
from ganbook.records import RECORDS
from ganbook.translation import STEPS_DRAWN, faces, load_translator
from ganbook.twins import (
    COLUMNS,
    HELD_OUT_SEED,
    as_markdown,
    both_of,
    draw_twins,
    error_in,
    judge_both,
    judge_translation,
    movement,
)

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def some():
    return draw_twins(60, seed=2)


def verdict(x, some):
    return judge_translation(x, some.b, some.as_B, some.touched)


# Twins.


def test_twins_differ_in_their_hair_alone(some):
    assert torch.equal(some.a, to_float(faces("green", 60, 32, 2).images))
    assert (some.as_A[:, 0] == HAIR.index("green")).all() and (some.as_B[:, 0] == HAIR.index("purple")).all()
    assert torch.equal(some.as_A[:, 1], some.as_B[:, 1]) and len(some.as_A[:, 1].unique()) > 5
    same = (some.a == some.b).all(1, keepdim=True)
    assert torch.equal(some.touched, ~same) and some.touched.shape == (60, 1, 32, 32)
    assert 0.3 < some.touched.float().mean() < 0.6


def test_held_out_faces_are_not_those_of_the_training():
    """Each drawn with the same hair and eyes: what is alike then is the same person."""
    alike = torch.tensor([[0, 0]])
    held_out = draw_avatars(alike.expand(1_000, 2), 32, HELD_OUT_SEED).flatten(1)
    trained_on = [draw_avatars(alike.expand(2_000, 2), 32, seed).flatten(1) for seed in (0, 1)]
    assert len(torch.cat([held_out, *trained_on]).unique(dim=0)) == 5_000


# The verdict, with faults put in.


def test_the_true_twin_has_no_fault(some):
    assert verdict(some.b, some) == (1, 1, 0, 0, 0, 0)


def test_who_does_nothing_has_changed_nothing(some):
    """All that must stay has stayed, and the hair is as wrong as it can be."""
    found = verdict(some.a, some)
    assert (found.hair, found.eyes, found.rest) == (0, 1, 0)
    assert found.in_hair == pytest.approx(error_in(some.a, some.b, some.touched)) and found.in_hair > 0.3


def test_wrong_eyes_are_seen(some):
    half = torch.arange(60) % 2 * 3
    other = torch.stack([some.as_B[:, 0], (some.as_B[:, 1] + half) % len(EYES)], 1)
    found = verdict(to_float(draw_avatars(other, 32, 2)), some)
    assert found.hair > 0.95 and 0.45 < found.eyes < 0.55 and 0 < found.rest < 0.05 and found.in_hair < 0.02


def test_another_background_is_an_error_outside_the_hair_and_wrong_hair_one_inside(some):
    spoiled = torch.where(some.touched, some.b, some.b - 0.2)
    found = verdict(spoiled, some)
    assert found.rest == pytest.approx(0.2) and found.in_hair == 0
    found = verdict(torch.where(some.touched, some.b + 0.1, some.b), some)
    assert found.in_hair == pytest.approx(0.1) and found.rest == 0


def test_another_person_is_seen(some):
    """The right hair and eyes, on others' heads."""
    found = verdict(some.b.roll(1, 0), some._replace(as_B=some.as_B.roll(1, 0)))
    assert found.hair > 0.95 and found.eyes > 0.95 and found.rest > 0.2 and found.pixels > 0.3


@pytest.mark.parametrize(
    "move, expected",
    [
        (lambda x: x.roll(1, 3), (1, 0, 0)),
        (lambda x: x.roll(-1, 3), (-1, 0, 0)),
        (lambda x: x.roll(1, 2), (0, 1, 0)),
        (lambda x: rotate(x, -3), (0, 0, 3)),
        (lambda x: rotate(x, 3), (0, 0, -3)),
        (lambda x: x, (0, 0, 0)),
    ],
)
def test_a_moved_face_is_seen_where_it_went(some, move, expected):
    found = movement(move(some.b), some.b)
    assert found.shape == (60, 3)
    torch.testing.assert_close(found.mean(0), torch.tensor(expected).float(), atol=0.25, rtol=0)
    judged = verdict(move(some.b), some)
    assert (judged.pixels > 0.75) == (expected[:2] != (0, 0)) and (judged.degrees > 2.5) == (expected[2] != 0)


def test_movement_of_larger_pictures():
    some = draw_twins(10, seed=2, size=64)
    turned = movement(rotate(some.b, -2), some.b).mean(0)
    torch.testing.assert_close(turned, torch.tensor([0.0, 0.0, 2.0]), atol=0.3, rtol=0)


def test_each_way_is_judged_by_its_own_twin(some):
    class Knows(torch.nn.Module):
        def __init__(self, answer):
            super().__init__()
            self.answer = answer

        def forward(self, x):
            return self.answer

    assert judge_both(Knows(some.b), Knows(some.a), some) == {way: (1, 1, 0, 0, 0, 0) for way in "GF"}
    found = judge_both(Knows(some.a), Knows(some.a), some)
    assert found["G"].hair == 0 and found["F"].hair == 1
    found = judge_both(Knows(some.b), Knows(some.b), some)
    assert found["G"].hair == 1 and found["F"].hair == 0


# Making a record.


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(translation, "AVATARS", 8)
    monkeypatch.setattr(translation, "STEPS_DRAWN", 3)
    monkeypatch.setattr(twins, "HELD_OUT", 20)


def test_the_command_makes_a_record_and_keeps_runs_that_are_done(small, tmp_path):
    out, runs = tmp_path / "record", tmp_path / "runs"
    line = ["record", "cyclegan", "--out", str(out), "--runs", str(runs), "--device", "cpu"]
    done = CliRunner().invoke(cli, [*line, "--seeds", "2"])
    assert done.exit_code == 0 and "record of cyclegan over 2 seeds" in done.output
    card = read_card(out)
    assert card["steps"] == 3 and card["held_out"] == 20 and list(card["seeds"]) == ["0", "1"]
    assert card["command"] == "ganbook record cyclegan --seeds 2 --precision fp32"
    assert not {"seed", "last_steps", "minutes", "cpu_minutes"} & set(card)
    assert {path.name for path in out.iterdir()} == {
        *(".lock", "card.json", "cyclegan.md", "samples.png", "progress.png", "G.safetensors", "F.safetensors"),
    }
    assert (out / "progress.png").read_bytes() == (runs / "cyclegan-seed0" / "progress.png").read_bytes()
    for seed, numbers in card["seeds"].items():
        found = judge_both(*both_of(runs / f"cyclegan-seed{seed}"), draw_twins(20, HELD_OUT_SEED))
        assert {f"{what}, {way}" for way in "GF" for what in COLUMNS} <= set(numbers)
        for way in "GF":
            assert [numbers[f"{what}, {way}"] for what in COLUMNS] == list(found[way])
    assert card["seeds"]["0"]["rest, G"] != card["seeds"]["1"]["rest, G"] != card["seeds"]["1"]["rest, F"]
    for way, net in zip("GF", both_of(out), strict=True):
        whole, _ = load_translator(runs / "cyclegan-seed0", back=way == "F")
        for half, one in zip(net.parameters(), whole.parameters(), strict=True):
            torch.testing.assert_close(half, one, rtol=1e-3, atol=1e-6)
    before = (runs / "cyclegan-seed0" / "card.json").stat().st_mtime_ns
    assert CliRunner().invoke(cli, [*line, "--seeds", "1"]).exit_code == 0
    assert (runs / "cyclegan-seed0" / "card.json").stat().st_mtime_ns == before
    assert "one seed, so no spread" in (out / "cyclegan.md").read_text()


def test_it_computes_in_fp32(small, tmp_path):
    line = ["record", "cyclegan", "--out", str(tmp_path / "out"), "--runs", str(tmp_path), "--precision", "bf16"]
    stopped = CliRunner().invoke(cli, line).exception
    assert isinstance(stopped, InputError) and "cyclegan takes no precision" in str(stopped)


# The book's record.

BOOK = RECORDS / "cyclegan"


@pytest.fixture(scope="module")
def card():
    return read_card(BOOK)


def test_it_is_of_the_commands_own_run(card):
    assert (card["steps"], card["pictures"]) == (STEPS_DRAWN, [2_000, 2_000]) and len(card["seeds"]) == 3
    assert not card["commit"].endswith("+")
    assert (card["networks"]["image_size"], card["data"], card["data_b"]) == (32, "green hair", "purple hair")
    assert {"command", "device", "versions", "date", "precision"} <= set(card)
    for key in card["mean"]:
        values = [seed[key] for seed in card["seeds"].values()]
        assert card["mean"][key] == pytest.approx(statistics.mean(values))
        assert card["sd"][key] == pytest.approx(statistics.stdev(values))


def test_its_networks_do_what_it_says(card):
    """Seed 0, in half precision, on faces of another seed."""
    found = judge_both(*both_of(BOOK), draw_twins(300, seed=32))
    for way in "GF":
        for what, value in found[way]._asdict().items():
            assert value == pytest.approx(card["seeds"]["0"][f"{what}, {way}"], rel=0.1, abs=0.03), (way, what)


def test_its_networks_are_small_whole_and_part_of_the_package(card):
    for name in "GF":
        path = BOOK / f"{name}.safetensors"
        assert path.stat().st_size < 200_000 and card["sha256"][name] == sha256(path)
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    for target in targets.values():
        assert "!ganbook/records/cyclegan/*.safetensors" in target["exclude"][1:]  # after what it takes back


def test_its_pictures_are_drawn_by_its_networks():
    """Of seed 0, up to the half precision of the stored weights: faces of A, G, F of G; of B, F, G of F."""
    from PIL import Image

    from ganbook.plots import grid

    G, F = both_of(BOOK)
    a, b = (to_float(faces(hair, 8, 32, seed).images) for hair, seed in (("green", 0), ("purple", 1)))
    rows = [a, translate(G, a), translate(F, translate(G, a)), b, translate(F, b), translate(G, translate(F, b))]
    drawn = grid(torch.cat(rows)).permute(2, 0, 1).float()
    with Image.open(BOOK / "samples.png") as file:
        stored = pil_to_tensor(file.convert("RGB")).float()
    assert stored.shape == drawn.shape and (stored - drawn).abs().mean() < 1


def test_the_pages_show_the_record(card):
    """The page of all models includes the file; the chapter shows it; the file is what the card says."""
    text = (BOOK / "cyclegan.md").read_text()
    assert text == as_markdown(card)
    assert "```{include} ../ganbook/records/cyclegan/cyclegan.md" in (ROOT / "book" / "models.md").read_text()
    cells = nbformat.read(ROOT / "book" / "14-cyclegan.ipynb", as_version=4).cells
    (shown,) = [cell for cell in cells if re.search(r"cyclegan\.md", cell.source)]
    assert [output["data"]["text/markdown"] for output in shown.outputs] == [text]


def test_a_table_is_filled_from_the_card(card):
    """Each number in its place: the G row, the F row, and the one that does nothing."""
    card = json.loads(json.dumps(card))
    for i, what in enumerate(COLUMNS):
        card["mean"] |= {f"{what}, G": 1 + i, f"{what}, F": 11 + i}
        card["sd"] |= {f"{what}, G": 0.25, f"{what}, F": 0.5}
        card["nothing"][what] = 21 + i
    lines = as_markdown(card).splitlines()
    for line, first, spread in ((lines[2], 1, " ± 0.25"), (lines[3], 11, " ± 0.5"), (lines[4], 21, "")):
        cells = [cell.strip() for cell in line.strip("|").split("|")][1:]
        assert [float(cell.split(" ± ")[0]) for cell in cells] == [first + i for i in range(6)]
        assert all((spread in cell) if spread else ("±" not in cell) for cell in cells)
    assert len({line.count("|") for line in lines[:5]}) == 1
