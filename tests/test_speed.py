"""The benchmark measures what it says: every way of it takes the same step."""

import importlib.util
import json
import time
from math import log
from pathlib import Path
from statistics import fmean, median

import pytest
import torch
from click.testing import CliRunner
from torch.optim import Adam

from ganbook.data import digits
from ganbook.errors import InputError
from ganbook.mlp import Dropout, MLPDiscriminator, MLPGenerator
from ganbook.objectives import NonSaturating
from ganbook.recipes import build
from ganbook.records import RECORDS
from ganbook.runs import begin
from ganbook.training import train_step

TOP = Path(__file__).parent.parent


def load(name: str):
    """A program of benchmarks/ as a module."""
    spec = importlib.util.spec_from_file_location(name, TOP / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


speed = load("speed")

pytestmark = pytest.mark.usefixtures("one_thread")
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc for peaks of memory")
EXACT = set(speed.LEVERS) - {"bf16", "cast_once"}


def steps_of(step, n: int = 3) -> list[float]:
    """Both losses of each of n steps from the same weights with the same noise."""
    torch.manual_seed(0)
    G, D = MLPGenerator(), MLPDiscriminator()
    optimizers = [Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True) for net in (G, D)]
    x = torch.rand(16, 1, 28, 28) * 2 - 1
    torch.manual_seed(1)
    losses = [step(G, D, NonSaturating(), *optimizers, x, None) for _ in range(n)]
    return [float(loss) for found in losses for loss in found[:2]]


def test_every_lever_takes_the_step_of_the_package():
    plain = steps_of(train_step)
    ways = [set(), *({lever} for lever in EXACT), EXACT]
    for way in ways:
        found = steps_of(lambda *given, way=way: speed.both_turns(*given, way))
        assert found == pytest.approx(plain, abs=1e-6), way
    for bf16 in ({"bf16"}, {"bf16", "cast_once"}):
        rough = steps_of(lambda *given, way=EXACT | bf16: speed.both_turns(*given, way))
        assert rough == pytest.approx(plain, abs=0.02) and rough != pytest.approx(plain, abs=1e-6)


def test_casting_once_changes_the_rounding_alone(monkeypatch):
    """D's two gradients are added up in bfloat16 then: the first losses are the same, later ones nearly."""
    monkeypatch.setattr(speed, "pick_precision", lambda *_: "bf16")
    running = speed.contenders("mlp", torch.device("cpu"))
    twice, once = (
        [float(loss) for _ in range(15) for loss in next(running[way])] for way in ("bf16", "cast_once")
    )
    assert once[0] == twice[0] and once != twice and once == pytest.approx(twice, abs=0.05)


def test_the_tutorials_way_has_pytorchs_dropout_and_the_lever_ours(monkeypatch):
    built = []
    monkeypatch.setattr(speed, "endless", lambda G, D, *_: built.append(D) or iter([None]))
    for way in (set(), {"dropout"}):
        list(speed.contender("mlp", way, torch.device("cpu")))
    plain, ours = ([m for m in D.modules() if isinstance(m, torch.nn.Dropout)] for D in built)
    assert [type(m) for m in plain] == [torch.nn.Dropout] * 3 and [type(m) for m in ours] == [Dropout] * 3
    assert [m.p for m in plain] == [m.p for m in ours] == [0.3] * 3


def test_every_contender_of_a_model_trains():
    """Same first batch sizes, losses like each other's: none of them skips what the others do."""
    running = speed.contenders("mlp", torch.device("cpu"))
    assert list(running) == ["tutorial", *(k for k in speed.LEVERS if k in running), speed.PACKAGE, speed.REUSE]
    for key, steps in running.items():
        losses = [next(steps) for _ in range(3)]
        d_loss, g_loss = (float(value) for value in losses[0][:2])
        assert 1.0 < d_loss < 2.0 and 0.3 < g_loss < 1.5, key


@needs_proc
def test_the_benchmark_writes_its_card_and_its_page(tmp_path):
    ran = CliRunner().invoke(speed.main, ["mlp", "--rounds", "2", "--seconds", "0", "--out", str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    card = json.loads((tmp_path / "card.json").read_text())
    model, page = card["models"]["mlp"], (tmp_path / "speed.md").read_text()
    assert {len(times) for times in model["ms"].values()} == {2} and min(map(min, model["ms"].values())) > 0
    # Forward and backward through dense layers, 3 of D's turns and 1 of G's pass through each: about 6 a weight.
    weights = sum(p.numel() for net in (MLPGenerator(), MLPDiscriminator()) for p in net.parameters())
    assert 10 < model["operations"] / (speed.BATCH * weights) < 22
    assert min(model["peak_mb"].values()) > 50 and card["limits"]["fp32_gflops"] > 1
    assert page == speed.as_markdown(card) and f"| {model['peak_mb']['tutorial']:,} |" in page
    assert card["command"] == "python benchmarks/speed.py mlp --rounds 2 --seconds 0"
    # Dropout in D, so random numbers; Adam moves 3 M numbers; and the products are the most of what is known.
    shares = model["shares"]
    assert sum(shares.values()) == pytest.approx(1) and min(shares.values()) > 0.005
    assert shares["products and convolutions"] == max(
        share for kind, share in shares.items() if kind != "all else"
    )


def test_a_lever_that_changes_nothing_of_a_model_has_no_figure():
    assert [name for name in speed.MODELS if speed.is_no_lever("logits", name)] == ["acgan"]
    assert [name for name in speed.MODELS if not speed.is_no_lever("dropout", name)] == ["mlp"]
    assert not speed.is_no_lever("bf16", "acgan")


@needs_proc
def test_peak_memory_is_that_of_the_process_alone():
    held = torch.ones(500_000_000)  # 2 GB, here
    assert speed.own_peak() > held.nbytes / 2**20
    assert (
        speed.peak_memory("mlp", "tutorial", torch.device("cpu")) < 1_500
    )  # that of another process, with PyTorch


def test_the_ratio_is_that_of_each_round():
    """A round in which the machine was slow for all tells as much as the others."""
    assert speed.ratio({"tutorial": [10, 20, 100], "fast": [5, 5, 20]}, "fast") == "4.0 (2.0–5.0)"
    assert speed.share({"ms": {speed.PACKAGE: [2.0]}, "operations": 1e9}, 1_000) == "50%"


SPEED = json.loads((RECORDS / "speed" / "card.json").read_text())["models"]


def test_the_aims_are_met_as_the_page_says():
    aims = {"mlp": 2.2, "dcgan28": 2.5, "dcgan64": 2.0, "dcgan96": 2.0}

    def times(name, key):
        return float(speed.ratio(SPEED[name]["ms"], key).split()[0])  # as it stands on the page

    assert [name for name, aim in aims.items() if times(name, speed.PACKAGE) < aim] == ["dcgan28"]
    assert times("dcgan28", speed.REUSE) >= 2.5
    G, D = build("dcgan28", {})
    whole = sum(p.numel() for net in (G, D) for p in net.parameters())
    assert round(100 * G.net[3].weight.numel() / whole) == 94
    small, *large = (SPEED[name]["shares"] for name in ("dcgan28", "dcgan64", "dcgan96"))
    for kind in ("casts and copies", "Adam"):
        assert small[kind] > 4 * max(model[kind] for model in large)


GROWTH = json.loads((RECORDS / "speed" / "growth.json").read_text())


def powers(quantity: str, measure: str) -> list[float]:
    """By which power of the quantity the measure grows, from point to point of the record."""
    points = GROWTH["sweeps"][quantity]
    return [
        log(b[measure] / a[measure]) / log(b[quantity] / a[quantity])
        for a, b in zip(points, points[1:], strict=False)
    ]


def test_time_grows_as_the_page_says():
    batch, side, width, pictures = (powers(key, "ms") for key in ("batch", "image_size", "width", "pictures"))
    assert max(batch[:2]) < 1 and all(0.9 < power < 1.25 for power in batch[2:])  # from 32 on in proportion
    assert all(1.9 < power < 2.5 for power in side)  # as the area, and a little more
    assert width == sorted(width) and 1.7 < width[-1] < 2.1  # comes to grow as the square
    assert all(abs(power) < 0.1 for power in pictures)


def test_memory_grows_no_faster_than_the_data():
    assert all(0 <= power < 1 for key in GROWTH["sweeps"] for power in powers(key, "peak_mb"))
    least = min(point["peak_mb"] for points in GROWTH["sweeps"].values() for point in points)
    assert 700 < least < 800  # Python and the libraries
    first, *_, last = GROWTH["sweeps"]["pictures"]  # a byte of memory for each value
    assert 0.9 < (last["peak_mb"] - first["peak_mb"]) * 2**20 / (999_000 * 32 * 32) < 1.1


def test_the_figures_of_growth_come_from_a_commit(monkeypatch):
    monkeypatch.syspath_prepend(TOP / "benchmarks")
    assert not GROWTH["commit"].endswith("+")
    assert (RECORDS / "speed" / "growth.md").read_text() == load("growth").as_markdown(GROWTH)


def test_a_point_of_the_record_can_be_measured(monkeypatch):
    monkeypatch.syspath_prepend(TOP / "benchmarks")
    growth = load("growth")
    assert set(growth.SWEEPS) == set(growth.BASE) == set(GROWTH["sweeps"])
    found = growth.point(batch=4, image_size=16, width=4, pictures=10)
    assert 0 < found["ms"] < 5_000 and found["peak_mb"] > 50


@pytest.fixture
def speedrun(monkeypatch):
    monkeypatch.syspath_prepend(TOP / "benchmarks")
    module = load("speedrun")
    small = {"data": "digits", "every": 2, "fakes": 60, "limit": 4, "distance": 0.0}
    monkeypatch.setattr(module, "RULES", module.RULES | small)
    monkeypatch.setattr(module, "load", lambda name, shape, part="train": (digits(), {}))
    return module


def test_a_race_ends_at_its_quality_at_its_limit_or_where_nothing_is_drawn(speedrun):
    def start(seed, images):
        return seed, iter(range(100))

    speedrun.RULES["limit"] = 100
    distances = iter([3.0, 1.0, 0.0, 7.0])
    found = speedrun.race(start, 0, None, lambda G: next(distances))
    assert (found["steps"], found["distance"], found["reached"]) == (6, 0.0, True)
    speedrun.RULES["limit"] = 4
    found = speedrun.race(start, 0, None, lambda G: 9.0)
    assert (found["steps"], found["reached"]) == (4, False)

    def nan(G):
        raise InputError("G draws values from nan to nan")

    assert not speedrun.race(start, 0, None, nan)["reached"]
    speedrun.RULES["limit"] = 1_000
    found = speedrun.race(start, 0, None, lambda G: 9.0)  # whose steps end before that
    assert (found["steps"], found["reached"]) == (100, False)


def test_the_clock_counts_steps_alone(speedrun):
    """What comes before the first step and the looks would be a second here."""

    def burn(seconds):
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass

    def start(seed, images):
        burn(0.3)
        return seed, (burn(0.01) for _ in range(100))

    assert 0.04 <= speedrun.race(start, 0, None, lambda G: burn(0.3) or 1.0)["seconds"] < 0.2


def test_all_is_set_up_before_the_first_step_of_the_tutorials_way(speedrun, monkeypatch):
    """Pictures are made of bytes when the runner is called to the line, not when its clock runs."""
    monkeypatch.setattr("speed.to_pil_image", lambda image: pytest.fail("made at the line"))
    with pytest.raises(pytest.fail.Exception, match="made at the line"):
        speedrun.tutorial(0, digits())


def test_contenders_have_no_pictures_before_they_run(monkeypatch):
    monkeypatch.setattr(speed, "load", lambda *how, **more: pytest.fail("ten times the data"))
    speed.task.cache_clear()  # of the tests before
    ways = speed.contenders("mlp", torch.device("cpu"))
    with pytest.raises(pytest.fail.Exception, match="ten times"):
        next(ways["tutorial"])


def test_the_speedrun_keeps_what_was_run(speedrun, tmp_path, monkeypatch):
    """Two runners, a few steps each; their distances are those of the networks that they train."""
    short = {name: speedrun.RUNNERS[name] for name in ("`dcgan28`, the tutorials' way", "`cgan`")}
    monkeypatch.setattr(speedrun, "RUNNERS", short)
    ask = ["--seeds", "1", "--out", str(tmp_path)]
    ran = CliRunner().invoke(speedrun.main, ask)
    assert ran.exit_code == 0, ran.output
    card = json.loads((tmp_path / "card.json").read_text())
    assert list(card["results"]) == list(short)
    rows = [runs["0"] for runs in card["results"].values()]
    assert all(row["steps"] == 4 and row["seconds"] > 0 and 0 < row["distance"] < 1_000 for row in rows)
    assert rows[0]["distance"] != rows[1]["distance"]
    page = (tmp_path / "speedrun.md").read_text()
    assert page == speedrun.as_markdown(card) and page.count("| 1 | – | – | not there with 1 |") == 2
    assert CliRunner().invoke(speedrun.main, ask).output == ""  # all of it is there
    assert json.loads((tmp_path / "card.json").read_text())["results"] == card["results"]
    speedrun.RULES["fakes"] = 61
    refused = CliRunner().invoke(speedrun.main, ask)
    assert refused.exit_code == 1 and "holds a race with rules" in refused.output


def test_who_does_not_get_there_with_every_seed_has_no_mean(speedrun):
    def runs(*seconds):
        made = {"commit": "1f3a", "date": "2026-11-30"}
        return {str(i): {"steps": 10, "seconds": s, "reached": s < 50} | made for i, s in enumerate(seconds)}

    card = speedrun.begun(Path("nowhere")) | {"results": {"a": runs(20, 40), "b": runs(1, 50), "c": runs(15, 15)}}
    a, b, c = speedrun.as_markdown(card).splitlines()[2:5]
    assert a == "| a | 2 | 10 (10–10) | 30 (20–40) | 2.0 times |"
    assert b == "| b | 2 | – | – | not there with 1 |"
    assert c == "| c | 2 | 10 (10–10) | 15 (15–15) | 1.0 times |"


def test_every_runner_moves_the_network_that_is_judged(speedrun, monkeypatch):
    """Its parameters, not batch norm's buffers alone; and where there is a running average, that one."""
    begun = []
    monkeypatch.setattr(speedrun, "begin", lambda *how: begun.append(begin(*how)) or begun[-1])
    for name, start in speedrun.RUNNERS.items():
        G, steps = start(0, digits())
        before = [p.detach().clone() for p in G.parameters()]
        for _ in range(2):
            next(steps)
        assert any(not torch.equal(old, new) for old, new in zip(before, G.parameters(), strict=True)), name
        assert name.endswith("way") or G is begun[-1].kept_G
        assert name.endswith("way") or (begun[-1].average is not None) == (name in ("`cgan`", "`r3gan`"))
    assert len(begun) == len(speedrun.RUNNERS) - 1


@pytest.mark.parametrize("name", ["speed", "speedrun"])
def test_the_page_is_the_record(name, monkeypatch):
    monkeypatch.syspath_prepend(TOP / "benchmarks")
    card = json.loads((RECORDS / name / "card.json").read_text())
    assert (RECORDS / name / f"{name}.md").read_text() == load(name).as_markdown(card)
    runs = [run for runs in card.get("results", {}).values() for run in runs.values()]
    assert not any(one["commit"].endswith("+") for one in runs or [card])


def test_what_the_page_says_of_the_levers():
    for name, model in SPEED.items():
        ms = {key: median(times) for key, times in model["ms"].items()}
        assert ms["tutorial"] / ms["no_graph"] < 1.125, name  # an eighth
        late = log(ms["frozen"] / ms["bf16"])  # fused, dropout, channels_last, bf16
        assert late > 0.66 * log(ms["tutorial"] / ms[speed.PACKAGE]), name
        assert name != "mlp" or ms["dropout"] < 0.95 * ms["fused"]
        assert 1.2 <= ms["tutorial"] / ms["channels_last"] < 1.55, name  # all but bfloat16


def test_the_books_race_has_five_seeds_of_each(monkeypatch):
    monkeypatch.syspath_prepend(TOP / "benchmarks")
    card = json.loads((RECORDS / "speedrun" / "card.json").read_text())
    module = load("speedrun")
    assert card["rules"] == module.RULES and list(card["results"]) == list(module.RUNNERS)
    for name, runs in card["results"].items():
        assert list(runs) == list("01234"), name


def test_what_the_page_says_of_the_race():
    results = json.loads((RECORDS / "speedrun" / "card.json").read_text())["results"]

    def ran(name, what):
        return [run[what] for run in results[name].values()]

    tutorials, ours, again = list(results)[:3]
    averaged, others = ["`cgan`", "`r3gan`"], ["`cgan` without its average", "`r3gan` without its average"]
    for name in (tutorials, *averaged):
        assert max(ran(ours, "seconds")) < min(ran(name, "seconds")), name
    steps = {name: fmean(ran(name, "steps")) for name in results}
    assert fmean(ran(again, "seconds")) < fmean(ran(ours, "seconds"))
    assert all(0.8 < steps[name] / steps[tutorials] < 1.2 for name in (ours, again))
    assert min(steps[name] for name in averaged) > steps[ours]
    assert max(steps[name] for name in others) < 0.6 * steps[ours]
    table = json.loads((RECORDS / "table" / "card.json").read_text())["rows"]
    assert max(run["distance"] for name in ("cgan", "r3gan") for run in table[name].values()) < 1
