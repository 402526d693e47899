"""A race to a fixed quality: which way of training a GAN on MNIST needs the least time?

    python benchmarks/speedrun.py [--seeds 5] [--out FOLDER]

The rules, the same for all. MNIST, batches of 64, one thread, any number format. After each 100 steps G draws
2,000 digits, and their Fréchet distance to the 10,000 held-out digits is taken, in the features of the book's
classifier. The race is over at a distance of 10 or less, or is lost after 10,000 steps. Labels may be used, and
the running average of a G may be the one that draws. The clock counts the processor's seconds in steps of
training: neither what comes before the first one nor the looks. What was run before, on such a machine, is kept.
Writes card.json, and speedrun.md.
"""

import json
import statistics
import time
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path

import click
import torch
from speed import endless

from ganbook.checkpoints import CARD, locked, read_card, write
from ganbook.classifiers import features_of
from ganbook.data import ImageSet
from ganbook.datasets import load
from ganbook.errors import InputError
from ganbook.evaluation import classifier_eye, draw_fakes
from ganbook.machine import pick_precision, surroundings
from ganbook.metrics import frechet_distance
from ganbook.recipes import build
from ganbook.records import RECORDS
from ganbook.runs import Plan, begin, fill, labels_of, updates

RULES = {"data": "mnist", "batch_size": 64, "every": 100, "fakes": 2_000, "distance": 10.0, "limit": 10_000}
SHAPE, CPU = (1, 28, 28), torch.device("cpu")


def plan_of(recipe: str, seed: int, **how) -> Plan:
    asked = {"data": RULES["data"], "batch_size": RULES["batch_size"], "steps": 10**9, "seed": seed}
    return fill(Plan(recipe, precision=pick_precision("auto", CPU), **asked, **how))


def tutorial(seed: int, images: ImageSet):
    """A DCGAN trained as tutorials do: each picture through PIL, D with a sigmoid, every loss read, float32."""
    plan = plan_of("dcgan28", seed)
    torch.manual_seed(seed)
    G, D = build("dcgan28", plan.networks)
    return G, endless(G, D, plan, images, set(), CPU)


def trained(recipe: str, **how) -> Callable:
    """What `ganbook train` does."""

    def start(seed: int, images: ImageSet):
        plan = plan_of(recipe, seed, **how)
        run = begin(plan, CPU)
        return run.kept_G, updates(run, plan, images)

    return start


RUNNERS = {
    "`dcgan28`, the tutorials' way": tutorial,
    "`dcgan28`": trained("dcgan28"),
    "`dcgan28 --reuse-fakes`": trained("dcgan28", reuse_fakes=True),
    "`cgan`": trained("cgan"),
    "`r3gan`": trained("r3gan"),
    "`cgan` without its average": trained("cgan", average=0.0),
    "`r3gan` without its average": trained("r3gan", average=0.0),
}


def race(start: Callable, seed: int, images: ImageSet, judge: Callable) -> dict:
    """One runner, one seed: the steps and seconds that it took, where it ended, and whether that will do."""
    G, steps = start(seed, images)
    n, seconds, distance = 0, 0.0, float("inf")
    while distance > RULES["distance"] and n < RULES["limit"]:
        began, before = time.process_time(), n
        for _ in islice(steps, RULES["every"]):
            n += 1
        seconds += time.process_time() - began
        if n == before:  # it has given up
            break
        try:
            distance = judge(G)
        except InputError:  # G draws no numbers any more
            break
    return {"steps": n, "seconds": seconds, "distance": distance, "reached": distance <= RULES["distance"]}


def judge_of(images: ImageSet) -> Callable:
    """judge(G): its distance from the held-out pictures."""
    eye, (real, _) = classifier_eye(RULES["data"], CPU), load(RULES["data"], SHAPE, part="test")
    seen, labels = features_of(eye.see, real.images), labels_of(images)

    def judge(G) -> float:
        fakes = draw_fakes(G, labels, RULES["fakes"], seed=0)
        return frechet_distance(seen, features_of(eye.see, fakes.images))

    return judge


def as_markdown(card: dict) -> str:
    """The card as a page shows it. Who did not get there with every seed has no mean: it would flatter him."""
    arrived = {
        name: [run["seconds"] for run in runs.values()]
        for name, runs in card["results"].items()
        if all(run["reached"] for run in runs.values())
    }
    best = min(map(statistics.fmean, arrived.values()), default=None)
    lines = ["| | seeds | steps | seconds | of the fastest |", "|---|--:|--:|--:|--:|"]
    for name, runs in card["results"].items():
        cells = [str(len(runs)), "–", "–", f"not there with {sum(not run['reached'] for run in runs.values())}"]
        if name in arrived:
            ratio = statistics.fmean(arrived[name]) / best
            steps = [run["steps"] for run in runs.values()]
            cells[1:] = spread(steps), spread(arrived[name]), f"{ratio:.1f} times"
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    all_runs = [run for runs in card["results"].values() for run in runs.values()]
    made = sorted({f"{run['commit']} on {run['date']}" for run in all_runs})
    return "\n".join(lines) + (
        "\n\nMean, in brackets the range over the seeds. "
        f"Made by `{card['command']}` at commit {' and '.join(made)}, on {card['device']}, "
        f"{card['threads']} thread, {card['precision']} (the tutorials' way: fp32), "
        f"torch {card['versions']['torch']}.\n"
    )


def spread(values: list[float]) -> str:
    return f"{statistics.fmean(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def begun(out: Path) -> dict:
    """The card in a folder, to go on with, or a new one. Other rules and other machines are not mixed in."""
    here = {"command": "python benchmarks/speedrun.py", "rules": RULES}
    here |= surroundings(CPU, pick_precision("auto", CPU))
    del here["commit"], here["date"]  # of each run its own
    if not (out / CARD).exists():
        return here | {"results": {}}
    card = read_card(out)
    for key in ("rules", "device", "threads", "precision", "versions"):
        if card.get(key) != here[key]:
            raise click.ClickException(
                f"{out} holds a race with {key} {card.get(key)}, this is one with {here[key]}: name another --out"
            )
    return card


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=RECORDS / "speedrun")
def main(seeds: int, out: Path) -> None:
    torch.set_num_threads(1)
    with locked(out):
        card = begun(out)
        images, _ = load(RULES["data"], SHAPE)
        judge = judge_of(images)
        for seed, name in product(map(str, range(seeds)), RUNNERS):
            runs = card["results"].setdefault(name, {})
            if seed not in runs:
                here = surroundings(CPU)
                runs[seed] = race(RUNNERS[name], int(seed), images, judge)
                runs[seed] |= {key: here[key] for key in ("commit", "date")}
                print(name, seed, runs[seed], flush=True)
                write(out / CARD, json.dumps(card, indent=1).encode())
        write(out / "speedrun.md", as_markdown(card).encode())


if __name__ == "__main__":
    main()
