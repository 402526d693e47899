"""One table for every model of the book: each trained on its data set's budget, and measured by the same rules."""

import json
import statistics
from pathlib import Path

from ganbook.checkpoints import CARD, read_card, write
from ganbook.errors import InputError
from ganbook.evaluation import evaluate
from ganbook.recipes import RECIPES, load_networks, recipe
from ganbook.records import mean_and_spread, read_record
from ganbook.runs import Plan, pick_device, train

EPOCHS = {"mnist": 5, "avatars": 10}  # the budget: every row of a data set sees as many pictures
KEPT = (  # of a run's card
    "data",
    "steps",
    "batch_size",
    "precision",
    "minutes",
    "cpu_minutes",
    "device",
    "threads",
    "commit",
    "date",
)
COLUMNS = {  # of the table: what is measured -> how it is written
    "distance": ".2f",
    "kernel_distance": ".4f",
    "precision": ".2f",
    "recall": ".2f",
    "coverage": ".2f",
    "copying": ".2f",
}


def fill_table(names: list[str], seeds: int, out: Path, runs: Path, device: str = "auto", precision: str = "fp32"):
    """Train and measure what out/card.json lacks of these recipes, seeds 0, 1, …; each run is kept there at once.

    Cut at any place, it goes on there. Raises InputError for a recipe that there is not.
    """
    for name in names or RECIPES:
        recipe(name)
    out.mkdir(parents=True, exist_ok=True)
    card = read_card(out) if (out / CARD).exists() else {"epochs": EPOCHS, "rows": {}}
    if card["epochs"] != EPOCHS:
        raise InputError(
            f"the table in {out} is of another budget, {card['epochs']} epochs, not {EPOCHS}: delete it"
        )
    for seed in range(seeds):
        for name in names or RECIPES:
            if str(seed) not in card["rows"].get(name, {}):
                found = train_and_measure(name, seed, runs / f"{name}-seed{seed}", device, precision)
                card["rows"].setdefault(name, {})[str(seed)] = found
                write(out / CARD, json.dumps(card, indent=1).encode())


def train_and_measure(name: str, seed: int, folder: Path, device: str, precision: str) -> dict:
    """One seed of one recipe, trained in a folder, or found there, and measured: what the table keeps of it."""
    if not (folder / CARD).exists():
        plan = Plan(name, epochs=EPOCHS[recipe(name).data], seed=seed, precision=precision)
        train(folder, plan, resume=folder, device=device)
    card, (G, D) = read_card(folder), load_networks(folder)
    sizes = {f"parameters_{key}": sum(p.numel() for p in net.parameters()) for key, net in (("G", G), ("D", D))}
    return {key: card[key] for key in KEPT} | sizes | evaluate(G.to(pick_device(device)), card, [seed])[0]


def model_table(data: str):
    """The rows of one data set, as a table with mean ± standard deviation over the seeds."""
    from IPython.display import Markdown

    stored = {name: list(seeds.values()) for name, seeds in read_record("table")["rows"].items()}
    rows = {name: runs for name, runs in stored.items() if runs[0]["data"] == data}
    if not rows:
        raise InputError(f"no model of {data!r} is in the table yet: `ganbook table` trains and measures them")
    first = next(iter(rows.values()))[0]
    kinds = list(dict.fromkeys(kind for runs in rows.values() for kind in runs[0].get("accuracy", {})))
    head = ["model", "seeds", "parameters", "CPU-minutes", f"FID, {first['features']}", "KID", *list(COLUMNS)[2:]]
    head += [f"accuracy, {kind}" for kind in kinds]
    lines = [head, ["---"] * len(head), *(cells(name, runs, kinds) for name, runs in rows.items())]
    how = " and ".join(sorted({f"{run['device']} ({run['precision']})" for runs in rows.values() for run in runs}))
    return Markdown(
        "\n".join(f"| {' | '.join(line)} |" for line in lines)
        + f"\n\nOn {data}, {EPOCHS[data]} epochs each; mean ± standard deviation over the seeds; of each run "
        f"{first['fakes']:,} fakes against {first['held_out']:,} held-out pictures. Made on {how}."
    )


def cells(name: str, runs: list[dict], kinds: list[str]) -> list[str]:
    """One line of the table."""
    millions = (runs[0]["parameters_G"] + runs[0]["parameters_D"]) / 1e6
    minutes = statistics.mean(run["cpu_minutes"] for run in runs)
    measured = [mean_and_spread([run[key] for run in runs], form) for key, form in COLUMNS.items()]
    shares = [[run["accuracy"][kind] for run in runs if "accuracy" in run] for kind in kinds]
    asked = [mean_and_spread(values, ".3f") if values else "" for values in shares]
    return [f"`{name}`", str(len(runs)), f"{millions:.2f} M", f"{minutes:.1f}", *measured, *asked]
