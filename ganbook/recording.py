"""The book's records: full runs of a recipe over several seeds, gathered into what the pages show."""

import json
import statistics
from pathlib import Path

import torch

from ganbook.checkpoints import CARD, read_card, save_networks, write
from ganbook.classifiers import JUDGES, label_accuracy, load_classifier
from ganbook.data import sha256
from ganbook.errors import InputError
from ganbook.recipes import load_networks
from ganbook.runs import Plan, train
from ganbook.sampling import ask, sample


def record(name: str, out: Path, seeds: int, runs: Path, device: str = "auto", precision: str = "fp32") -> dict:
    """Train a recipe's full budget for each seed (those in `runs` are kept), and write the record to `out`.

    The record: numbers of every seed with their mean and standard deviation, and the first seed's pictures
    and networks, these in half precision.
    """
    cards = []
    for seed in range(seeds):
        folder = runs / f"{name}-seed{seed}"
        if not (folder / CARD).exists():
            train(folder, Plan(name, seed=seed, precision=precision), resume=folder, device=device)
        cards.append(read_card(folder))
    check_alike(cards, runs)
    first = runs / f"{name}-seed0"
    G, D = load_networks(first)
    out.mkdir(parents=True, exist_ok=True)
    for picture in ("samples.png", "progress.png"):
        write(out / picture, (first / picture).read_bytes())
    card = {
        **{
            key: value
            for key, value in cards[0].items()
            if key not in ("seed", "last_epoch", "minutes", "cpu_minutes")
        },
        "command": f"ganbook record {name} --seeds {seeds} --precision {cards[0]['precision']}",
        "seeds": {
            str(c["seed"]): {
                **c["last_epoch"],
                "minutes": c["minutes"],
                "cpu_minutes": c["cpu_minutes"],
                **accuracies(runs / f"{name}-seed{c['seed']}", c),
            }
            for c in cards
        },
    }
    card["mean"], card["sd"] = summary(list(card["seeds"].values()))
    save_networks(out, {"G": G, "D": D}, card, dtype=torch.float16)
    card["sha256"] = {name: sha256(out / f"{name}.safetensors") for name in ("G", "D")}
    write(out / CARD, json.dumps(card, indent=1).encode())
    return card


JUDGED = 5_000  # fakes


def accuracies(folder: Path, card: dict) -> dict[str, float]:
    """For each label that its G reads, the share of fakes in which the independent classifier sees it."""
    if "classes" not in card:
        return {}
    G, _ = load_networks(folder)
    y, _ = ask(card, JUDGED, label=None, even=True, seed=0)
    C = load_classifier(JUDGES[card["data"]])
    shares = label_accuracy(C, sample(G, JUDGED, y, seed=0), y).tolist()
    return {f"accuracy, {kind}": share for kind, share in zip(card["classes"], shares, strict=True)}


ALIKE = (
    "recipe",
    "data",
    "digest",
    "steps",
    "batch_size",
    "lr_g",
    "lr_d",
    "beta1",
    "networks",
    "average",
    "even",
    "precision",
    "commit",
)


def check_alike(cards: list[dict], runs: Path) -> None:
    """A record is of one recipe, one data set, one budget and one state of the code."""
    for key in ALIKE:
        values = {str(card.get(key)) for card in cards}
        if len(values) > 1:
            raise InputError(
                f"the runs in {runs} differ in {key} ({', '.join(sorted(values))}): delete the stale ones"
            )


def summary(rows: list[dict]) -> tuple[dict, dict]:
    """Mean and sample standard deviation of each number over the seeds; a single seed has no deviation."""
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    means = {key: statistics.mean(values) for key, values in columns.items()}
    return means, {key: statistics.stdev(values) if len(values) > 1 else None for key, values in columns.items()}
