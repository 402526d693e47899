"""One table for every model of the book: each trained on its data set's budget, and measured by the same rules."""

import json
import math
import statistics
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from ganbook.checkpoints import CARD, has_state, locked, read_card, write
from ganbook.data import to_float
from ganbook.errors import InputError
from ganbook.evaluation import evaluate, evaluate_real
from ganbook.machine import pick_device
from ganbook.plots import save_images, save_rows
from ganbook.recipes import RECIPES, load_networks, recipe
from ganbook.records import RECORDS, mean_and_spread, minutes_on
from ganbook.runs import Plan, check_done, fill, train
from ganbook.sampling import cycle_labels, sample

SEEDS = 3  # that a row wants
SHOWN = 10  # fakes of a row's strip
EPOCHS = {"mnist": 5, "avatars": 10}  # the budget: every row of a data set sees as many pictures
SHAPES = {"mnist": (1, 28, 28), "avatars": (3, 64, 64)}  # of the real pictures in a row of their own
KEPT = (  # of a run's card
    "data",
    "steps",
    "batch_size",
    "minutes",
    "cpu_minutes",
    "device",
    "threads",
    "commit",
    "date",
)
PAIRS = [(name, f"{name}-published") for name in ("mlp", "dcgan28", "dcgan64", "acgan")]
PAIRS += [("dcgan28", "mlp-published"), ("dcgan28", "mlp"), ("dcgan28-pooling", "dcgan28")]
PAIRS += [("dcgan28-pooling", "dcgan28-published")]
COLUMNS = {  # of the table: what is measured -> how it is written
    "distance": ".2f",
    "kernel_distance": "z.3f",
    "precision": ".2f",
    "recall": ".2f",
    "coverage": ".2f",
    "copying": ".2f",
}
MORE_IS_BETTER = ("precision", "recall", "coverage")


def fill_table(names: list[str], seeds: int, out: Path, runs: Path, device: str = "auto", precision: str = "fp32"):
    """Train and measure what out/card.json lacks of these recipes, seeds 0, 1, …; each run is kept there at once.

    Cut at any place, it goes on there. Several such commands may fill one table side by side, each with recipes of
    its own. Raises InputError for a recipe that there is not, or where out holds a run.
    """
    for name in names or RECIPES:
        recipe(name)
    if has_state(out):
        raise InputError(f"{out} holds a run, and no table: choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    for seed in range(seeds):
        for name in names or RECIPES:
            if str(seed) not in read_table(out)["rows"].get(name, {}):
                found = train_and_measure(name, seed, folder_of(runs, name, seed), device, precision)
                note_found(out, found["data"], "rows", name, {str(seed): found})
            measure_real(out, RECIPES[name].data, device)
            draw_strip(out, name, folder_of(runs, name, seed))


def folder_of(runs: Path, name: str, seed: int) -> Path:
    """A run of the table's budget; that of a recipe's own, for `ganbook record`, is called otherwise."""
    return runs / f"table-{name}-seed{seed}"


def read_table(out: Path) -> dict:
    card = read_card(out) if (out / CARD).exists() else {"epochs": EPOCHS, "rows": {}}
    if card.get("epochs") != EPOCHS or not isinstance(card.get("rows"), dict):
        raise InputError(
            f"the table in {out} is of another budget, {card.get('epochs')} epochs, not {EPOCHS}: delete it"
        )
    return {"real": {}} | card


def note_found(out: Path, data: str, part: str, name: str, found: dict) -> None:
    """Add to what the table has of a name as it stands now: another command may have added to it meanwhile."""
    with locked(out, wait=True):
        card = read_table(out)
        card[part].setdefault(name, {}).update(found)
        write(out / CARD, json.dumps(card, indent=1).encode())
        write(out / f"{data}.md", as_markdown(card, data).encode())


def draw_strip(out: Path, name: str, run: Path) -> None:
    """Of each row a strip of fakes by one trained G, out/NAME.png, and one sheet of all strips of its data set.

    What is there stays; a run that is not there any more draws nothing.
    """
    strip = out / f"{name}.png"
    if strip.exists() or not (run / CARD).exists():
        return
    G, _ = load_networks(run)
    fakes, data = sample(G, SHOWN, cycle_labels(G, SHOWN), seed=0), read_card(run)["data"]
    with locked(out, wait=True):
        save_images(strip, fakes, columns=SHOWN, gap=0)
        kept = [row for row in RECIPES if RECIPES[row].data == data and (out / f"{row}.png").exists()]
        save_rows(out / f"{data}.png", alike({row: strip_of(row, out) for row in kept}), SHOWN)


def alike(rows: dict[str, Tensor]) -> dict[str, Tensor]:
    """Pictures of several sizes, all as small as the smallest."""
    side = min(len(x[0, 0]) for x in rows.values())
    return {name: interpolate(x, side, mode="bilinear", antialias=True) for name, x in rows.items()}


def strip_of(name: str, out: Path = RECORDS / "table") -> Tensor:
    """The fakes that are kept of a row, of one seed, not chosen: (SHOWN, C, H, W) in [-1, 1]."""
    with Image.open(out / f"{name}.png") as picture:
        fakes = np.stack(np.split(np.array(picture), SHOWN, axis=1))  # (SHOWN, H, W), or (SHOWN, H, W, 3)
    return to_float(torch.from_numpy(fakes).reshape(*fakes.shape[:3], -1).movedim(3, 1))


def train_and_measure(name: str, seed: int, folder: Path, device: str, precision: str) -> dict:
    """One seed of one recipe, trained in a folder, or found there, and measured: what the table keeps of it.

    Raises InputError where the run that is found is another.
    """
    plan = fill(Plan(name, epochs=EPOCHS[recipe(name).data], seed=seed, precision=precision))
    if (folder / CARD).exists():
        check_done(folder, plan)
    else:
        train(folder, plan, resume=folder, device=device)
    card, (G, D) = read_card(folder), load_networks(folder)
    sizes = {f"parameters_{key}": sum(p.numel() for p in net.parameters()) for key, net in (("G", G), ("D", D))}
    kept = {key: card[key] for key in KEPT} | {"computed_in": card["precision"]}  # precision is a measure here
    return kept | sizes | evaluate(G.to(pick_device(device)), card, [seed])[0]


def measure_real(out: Path, data: str, device: str) -> None:
    """Keep what real pictures of a data set reach, if the table does not have it yet."""
    if data not in read_table(out)["real"]:
        note_found(out, data, "real", data, evaluate_real(data, SHAPES[data], pick_device(device)))


def as_markdown(card: dict, data: str) -> str:
    """One data set's rows as a page shows them: mean ± standard deviation over the seeds, and who beats whom.

    At the end what real pictures reach.
    """
    rows = {name: list(card["rows"][name].values()) for name in RECIPES if name in card["rows"]}
    rows = {name: runs for name, runs in rows.items() if runs[0]["data"] == data}
    first = next(iter(rows.values()))[0]
    kinds = list(dict.fromkeys(kind for runs in rows.values() for kind in runs[0].get("accuracy", {})))
    devices = sorted({run["device"] for runs in rows.values() for run in runs})
    head = ["model", "seeds", "weights", "CPU min", "Fréchet", "kernel", *list(COLUMNS)[2:], *kinds]
    lines = [head, ["---"] * len(head), *(cells(name, runs, devices, kinds) for name, runs in rows.items())]
    lines += [cells_of_real(card["real"][data], kinds)] if data in card["real"] else []
    keys = ("device", "threads", "computed_in", "commit", "date")
    made = sorted({tuple(run[key] for key in keys) for runs in rows.values() for run in runs})
    how = "; ".join("{}, {} thread(s), {}, at commit {} on {}".format(*one) for one in made)
    return "\n".join(
        [
            *(f"| {' | '.join(line)} |" for line in lines),
            "",
            f"{card['epochs'][data]} epochs of {data} each, {steps_of(rows)}; of each run {first['fakes']:,} "
            f"fakes against {first['held_out']:,} held-out pictures. Fréchet and kernel: FID and KID in "
            f"{first['features']}. "
            f"CPU minutes: on {' / '.join(devices)}. "
            f"Made on {how}.",
            "",
            *(f"- {who_is_nearer(rows, *pair)}" for pair in PAIRS if set(pair) <= set(rows)),
            *missing(rows, data),
            "",
        ]
    )


def steps_of(rows: dict) -> str:
    """How many steps that was: as many pictures are fewer of them in larger batches."""
    names = {}
    for name, runs in rows.items():
        names.setdefault(runs[0]["steps"], []).append(f"`{name}`")
    common = max(names, key=lambda steps: len(names[steps]))
    others = [f"{steps:,} for {' and '.join(those)}" for steps, those in names.items() if steps != common]
    return f"which are {', '.join([f'{common:,} steps', *others])}"


def who_is_nearer(rows: dict, ours: str, theirs: str) -> str:
    """Which of two models is nearer to the data, and how often two equal ones would come apart like that."""
    a, b = ([run["distance"] for run in rows[name]] for name in (ours, theirs))
    figures = f"{statistics.mean(a):.1f} against {statistics.mean(b):.1f}"
    if min(len(a), len(b)) == 1:
        return f"`{ours}` against `{theirs}`: {figures}, and one seed tells no more."
    if max(a) < min(b) or max(b) < min(a):
        odds = math.comb(len(a) + len(b), len(a)) / 2  # of all orders two keep the models apart
        how = f"with each seed ({len(a)} and {len(b)}, as by chance in 1 of {odds:.3g} cases)"
        nearer = f"`{ours}` is {'nearer' if max(a) < min(b) else 'further off'} than `{theirs}` {how}: {figures}."
    else:
        nearer = f"`{ours}` and `{theirs}` overlap: {figures}, and these seeds do not tell them apart."
    return " ".join([nearer, *has_more(rows, ours, theirs), *has_more(rows, theirs, ours)])


def has_more(rows: dict, one: str, other: str) -> list[str]:
    """A sentence on that of which more is better, and each seed of one model has more than each of the other.

    More by a figure that the table shows.
    """
    found = [key for key in MORE_IS_BETTER if least(rows[one], key) - most(rows[other], key) >= 0.01]
    return [f"With each seed `{one}` has more {', '.join(found)}."] if found else []


def least(runs: list[dict], key: str) -> float:
    return min(run[key] for run in runs)


def most(runs: list[dict], key: str) -> float:
    return max(run[key] for run in runs)


def missing(rows: dict, data: str) -> list[str]:
    """The recipes of a data set that have fewer than SEEDS seeds yet."""
    wanted = [name for name, row in RECIPES.items() if row.data == data and len(rows.get(name, [])) < SEEDS]
    return (
        [f"- Not yet measured with {SEEDS} seeds: {', '.join(f'`{name}`' for name in wanted)}."] if wanted else []
    )


def cells(name: str, runs: list[dict], devices: list[str], kinds: list[str]) -> list[str]:
    """One line of the table. Minutes of one device are never averaged with those of another."""
    millions = (runs[0]["parameters_G"] + runs[0]["parameters_D"]) / 1e6
    minutes = [minutes_on(device, runs) for device in devices]
    took = " / ".join(f"{value:.1f}" if value else "–" for value in minutes)
    measured = [mean_and_spread([run[key] for run in runs], form) for key, form in COLUMNS.items()]
    shares = [[run["accuracy"][kind] for run in runs if "accuracy" in run] for kind in kinds]
    asked = [mean_and_spread(values, ".3f") if values else "" for values in shares]
    return [f"`{name}`", str(len(runs)), f"{millions:.2f} M", took, *measured, *asked]


def cells_of_real(found: dict, kinds: list[str]) -> list[str]:
    asked = [f"{found['accuracy'][kind]:.3f}" for kind in kinds]
    return ["real pictures", "", "", "", *(format(found[key], form) for key, form in COLUMNS.items()), *asked]
