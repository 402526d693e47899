"""The book's records: full runs of a recipe over several seeds, gathered into what the pages show."""

import json
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from ganbook.checkpoints import CARD, has_state, locked, read_card, save_networks, write
from ganbook.classifiers import JUDGES, label_accuracy, load_classifier
from ganbook.data import sha256
from ganbook.errors import InputError
from ganbook.recipes import load_networks
from ganbook.runs import Plan, check_done, fill, train
from ganbook.sampling import ask, sample


def record(name: str, out: Path, seeds: int, runs: Path, device: str = "auto", precision: str = "fp32") -> dict:
    """Train a recipe's full budget for each seed (those in `runs` are kept), and write the record to `out`."""

    def train_one(folder: Path, plan: Plan) -> None:
        train(folder, plan, resume=folder, device=device)

    folders = train_seeds(fill(Plan(name, precision=precision)), seeds, runs, train_one)
    G, D = load_networks(folders[0])
    return write_record(out, folders, {"G": G, "D": D}, run_numbers)


@contextmanager
def recorded(out: Path, command: str) -> Iterator[None]:
    """Inside, this command makes its record in `out`, and no other process writes there.

    Raises InputError where that folder holds anything else: a run, finished or not, or another record.
    """
    with locked(out):
        made_by = str(read_card(out).get("command")) if (out / CARD).exists() else command
        if has_state(out) or not f"{made_by} ".startswith(f"{command} "):
            raise InputError(
                f"{out} holds something else than a record of `{command}`: choose another folder, or delete it"
            )
        yield


def train_seeds(plan: Plan, seeds: int, runs: Path, train_one: Callable[[Path, Plan], object]) -> list[Path]:
    """A folder in `runs` for each seed, 0, 1, …; where no run is finished, train_one(folder, plan) makes it.

    Raises InputError, before anything is trained, where a finished one did not follow the plan.
    """
    plans = {runs / f"{plan.recipe}-seed{seed}": replace(plan, seed=seed) for seed in range(seeds)}
    finished = [folder for folder in plans if (folder / CARD).exists()]
    for folder in finished:
        check_done(folder, plans[folder])
    for folder, own in plans.items():
        if folder not in finished:
            train_one(folder, own)
    return list(plans)


def write_record(
    out: Path,
    folders: list[Path],  # finished runs that differ in their seed alone
    networks: dict[str, nn.Module],  # of the first of them: those to keep, in half precision
    numbers: Callable[[Path, dict], dict[str, float]],  # (folder, its card) -> what is kept of each run
    **more,  # entries of the record's card
) -> dict:
    """Gather runs into a record.

    The numbers of every seed with their mean and standard deviation, and the first one's pictures and networks.
    """
    cards = [read_card(folder) for folder in folders]
    check_alike(cards, folders[0].parent)
    out.mkdir(parents=True, exist_ok=True)
    for picture in ("samples.png", "progress.png"):
        write(out / picture, (folders[0] / picture).read_bytes())
    first = cards[0]
    card = {
        **{key: value for key, value in first.items() if key not in OF_ONE_RUN},
        "command": f"ganbook record {first['recipe']} --seeds {len(cards)} --precision {first['precision']}",
        **more,
        "seeds": {
            str(c["seed"]): {**numbers(folder, c), "minutes": c["minutes"], "cpu_minutes": c["cpu_minutes"]}
            for folder, c in zip(folders, cards, strict=True)
        },
    }
    card["mean"], card["sd"] = summary(list(card["seeds"].values()))
    save_networks(out, networks, card, dtype=torch.float16)
    card["sha256"] = {name: sha256(out / f"{name}.safetensors") for name in networks}
    write(out / CARD, json.dumps(card, indent=1).encode())
    return card


OF_ONE_RUN = ("seed", "last_epoch", "last_steps", "minutes", "cpu_minutes")


def run_numbers(folder: Path, card: dict) -> dict[str, float]:
    """Of a recipe's run: its losses and D's verdicts in the last epoch, and what the classifier says of its G."""
    return {**card["last_epoch"], **accuracies(folder, card)}


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
    "labels",
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
