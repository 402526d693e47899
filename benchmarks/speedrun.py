"""A race to a fixed quality: which way of training a GAN on MNIST needs the least time?

    python benchmarks/speedrun.py [--seeds 5] [--out FOLDER]

The rules, the same for all. MNIST, batches of 64, one thread. After each 100 steps G draws 2,000 digits, and their
Fréchet distance to the 10,000 held-out digits is taken, in the features of the book's classifier. The race is over
at a distance of 10 or less. The clock counts the processor's seconds in training steps, and nothing else; so what
else the machine does at the time hardly counts. What was run before is kept. Writes card.json, and speedrun.md.
"""

import json
import statistics
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import click
import torch
from speed import endless

from ganbook.checkpoints import CARD, read_card, write
from ganbook.classifiers import features_of
from ganbook.data import ImageSet
from ganbook.datasets import load
from ganbook.evaluation import classifier_eye, draw_fakes
from ganbook.machine import pick_precision, surroundings
from ganbook.metrics import frechet_distance
from ganbook.recipes import build
from ganbook.records import RECORDS
from ganbook.runs import Plan, begin, fill, labels_of, updates

RULES = {"data": "mnist", "batch_size": 64, "every": 100, "fakes": 2_000, "distance": 10.0, "limit": 10_000}
SHAPE, CPU = (1, 28, 28), torch.device("cpu")


def plan_of(recipe: str, seed: int) -> Plan:
    asked = {"data": RULES["data"], "batch_size": RULES["batch_size"], "steps": 10**9, "seed": seed}
    return fill(Plan(recipe, precision=pick_precision("auto", CPU), **asked))


def tutorial(seed: int, images: ImageSet):
    """A DCGAN trained as tutorials do: each picture through PIL, D with a sigmoid, every loss read, float32."""
    plan = plan_of("dcgan28", seed)
    torch.manual_seed(seed)
    G, D = build("dcgan28", plan.networks)
    return G, endless(G, D, plan, images, set(), CPU)


def trained(recipe: str) -> Callable:
    """What `ganbook train` does."""

    def start(seed: int, images: ImageSet):
        plan = plan_of(recipe, seed)
        run = begin(plan, CPU)
        return run.average.module if run.average else run.G, updates(run, plan, images)

    return start


RUNNERS = {
    "`dcgan28`, the tutorials' way": tutorial,
    "`dcgan28`": trained("dcgan28"),
    "`cgan`": trained("cgan"),
    "`r3gan`": trained("r3gan"),
}


def race(start: Callable, seed: int, images: ImageSet, judge: Callable) -> dict:
    """One runner, one seed: the steps and seconds it took, and the distance at which it was stopped."""
    G, steps = start(seed, images)
    n, seconds, distance = 0, 0.0, float("inf")
    while distance > RULES["distance"] and n < RULES["limit"]:
        began = time.process_time()
        for _ in islice(steps, RULES["every"]):
            n += 1
        seconds += time.process_time() - began
        distance = judge(G)
    return {"steps": n, "seconds": seconds, "distance": distance}


def judge_of(images: ImageSet) -> Callable:
    """judge(G): its distance from the held-out pictures."""
    eye, (real, _) = classifier_eye(RULES["data"], CPU), load(RULES["data"], SHAPE, part="test")
    seen, labels = features_of(eye.see, real.images), labels_of(images)

    def judge(G) -> float:
        fakes = draw_fakes(G, labels, RULES["fakes"], seed=0)
        return frechet_distance(seen, features_of(eye.see, fakes.images))

    return judge


def as_markdown(card: dict) -> str:
    """The card as a page shows it, and who needed how many times as long as the fastest."""
    means = {
        name: statistics.fmean(run["seconds"] for run in runs.values()) for name, runs in card["results"].items()
    }
    lines = ["| | seeds | steps | seconds | of the fastest |", "|---|--:|--:|--:|--:|"]
    for name, runs in card["results"].items():
        steps, seconds = ([run[key] for run in runs.values()] for key in ("steps", "seconds"))
        ratio = means[name] / min(means.values())
        cells = (str(len(runs)), spread(steps), spread(seconds), f"{ratio:.1f} times")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + (
        "\n\nMean, in brackets the range over the seeds. "
        f"Made by `{card['command']}` at commit {card['commit']} on {card['date']}, on {card['device']}, "
        f"{card['threads']} thread, {card['precision']}, torch {card['versions']['torch']}.\n"
    )


def spread(values: list[float]) -> str:
    return f"{statistics.fmean(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=RECORDS / "speedrun")
def main(seeds: int, out: Path) -> None:
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    card = read_card(out) if (out / CARD).exists() else {"results": {}}
    if card.get("rules", RULES) != RULES:
        raise click.ClickException(f"{out} holds a race by other rules: choose another folder, or remove it")
    card |= {"command": "python benchmarks/speedrun.py", "rules": RULES}
    card |= surroundings(CPU, pick_precision("auto", CPU))
    images, _ = load(RULES["data"], SHAPE)
    judge = judge_of(images)
    for seed in map(str, range(seeds)):
        for name, start in RUNNERS.items():
            runs = card["results"].setdefault(name, {})
            if seed not in runs:
                runs[seed] = found = race(start, int(seed), images, judge)
                print(name, seed, found, flush=True)
                write(out / CARD, json.dumps(card, indent=1).encode())
                write(out / "speedrun.md", as_markdown(card).encode())


if __name__ == "__main__":
    main()
