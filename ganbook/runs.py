"""A run from the name of a recipe to a folder with its networks, numbers and pictures; and the book's records."""

import platform
import statistics
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

import ganbook
from ganbook import data as datasets
from ganbook.checkpoints import CARD, read_card, save_networks, write
from ganbook.errors import InputError
from ganbook.plots import save_images
from ganbook.recipes import Recipe, load_networks, recipe
from ganbook.records import processor
from ganbook.sampling import draw_latents, generate, sample
from ganbook.training import Step, fit

NUMBERS = Step._fields[:4]  # d_loss, g_loss, d_real, d_fake
# Parts of a run after which its pictures of the same z are kept: after 1, 5, 10, 25 and 50 of 50 epochs.
MOMENTS = (0.02, 0.1, 0.2, 0.5, 1.0)


def pick_device(name: str = "auto") -> torch.device:
    """The device of a name such as cpu, cuda or cuda:1; `auto` takes a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):  # torch says AssertionError where it was built without CUDA
        raise InputError(
            f"device {name!r} is not to be had here: try --device cpu, or leave --device out"
        ) from None
    return device


def train(
    out: Path,  # a folder that holds no trained networks yet
    name: str,  # of the recipe
    *,
    data: str | None = None,  # the recipe's own where None, as for the next two
    steps: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> dict:
    """Train a recipe; write both networks, card.json, losses.csv and two pictures to `out`. Returns the card."""
    if (out / CARD).exists():
        raise InputError(f"{out} holds trained networks already: choose another folder, or delete this one")
    row, where = recipe(name), pick_device(device)
    images = datasets.load(data or row.data).to(where)
    batch_size = batch_size or row.batch_size
    per_epoch = -(-len(images) // batch_size)
    steps = steps or row.epochs * per_epoch
    out.mkdir(parents=True, exist_ok=True)

    card = {
        "recipe": name,
        "data": images.name,
        "pictures": len(images),
        "steps": steps,
        "batch_size": batch_size,
        "lr": row.lr,
        "betas": list(row.betas),
        "seed": seed,
        "progress_steps": moments(steps),
        **surroundings(where),  # noted before the run: the code that runs is the code of now
    }
    torch.manual_seed(seed)
    G, D = (net.to(where) for net in row.networks())
    started, cpu_started = time.perf_counter(), time.process_time()
    numbers, progress = follow(G, D, row, images, steps, batch_size)
    card["minutes"] = (time.perf_counter() - started) / 60
    card["cpu_minutes"] = (time.process_time() - cpu_started) / 60
    card |= epoch_means(numbers, per_epoch)

    write(out / "losses.csv", as_csv(numbers).encode())
    save_images(out / "samples.png", sample(G, 64, seed=seed), columns=8)
    save_images(out / "progress.png", progress, columns=10)
    save_networks(out, {"G": G, "D": D}, card)
    return card


def epoch_means(numbers: Tensor, per_epoch: int) -> dict:
    """Of the numbers of all steps (steps, 4): their means over each epoch and over the last full one."""
    by_epoch = [epoch.mean(0).tolist() for epoch in numbers.split(per_epoch)]
    return {
        "last_epoch": dict(zip(NUMBERS, numbers[-per_epoch:].mean(0).tolist(), strict=True)),
        "by_epoch": [[round(value, 4) for value in epoch] for epoch in by_epoch],
    }


def as_csv(numbers: Tensor) -> str:
    lines = (f"{n},{','.join(f'{value:.6g}' for value in line)}" for n, line in enumerate(numbers.tolist(), 1))
    return "\n".join([f"n,{','.join(NUMBERS)}", *lines, ""])


def moments(steps: int) -> list[int]:
    return sorted({max(1, round(steps * part)) for part in MOMENTS})


def follow(
    G: nn.Module, D: nn.Module, row: Recipe, images: datasets.ImageSet, steps: int, batch_size: int
) -> tuple[Tensor, Tensor]:
    """Run `fit` under a progress bar. Returns its numbers (steps, 4) and pictures of ten z at the moments."""
    z, shown = draw_latents(G, 10, seed=0), moments(steps)
    numbers, recent, progress = [], [], []
    updates = fit(G, D, row.objective, images, steps=steps, batch_size=batch_size, lr=row.lr, betas=row.betas)
    for step in tqdm(updates, total=steps, unit="step", mininterval=1):
        recent.append(torch.stack(step[:4]))
        if step.n in shown:
            progress.append(generate(G, z).cpu())
        if len(recent) == 100 or step.n == steps:  # a read waits for the device: seldom
            numbers.append(torch.stack(recent).cpu())
            recent = []
    return torch.cat(numbers), torch.cat(progress)


def surroundings(device: torch.device) -> dict:
    """What else a number depends on."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "precision": "fp32",
        "versions": {
            "ganbook": ganbook.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def commit() -> str | None:
    """The commit of the checkout that this package runs from, with a + if files have changed; None outside one."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
        )
    except OSError:
        return None
    return described.stdout.strip() or None


def record(name: str, out: Path, seeds: int, runs: Path, device: str = "auto") -> dict:
    """Train a recipe's full budget for each seed (those in `runs` are kept), and write the record to `out`.

    The record: numbers of every seed with their mean and standard deviation, and the first seed's pictures
    and networks, these in half precision.
    """
    cards = []
    for seed in range(seeds):
        folder = runs / f"{name}-seed{seed}"
        cards.append(
            read_card(folder) if (folder / CARD).exists() else train(folder, name, seed=seed, device=device)
        )
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
        "command": f"ganbook record {name} --seeds {seeds}",
        "seeds": {
            str(c["seed"]): {**c["last_epoch"], "minutes": c["minutes"], "cpu_minutes": c["cpu_minutes"]}
            for c in cards
        },
    }
    card["mean"], card["sd"] = summary(list(card["seeds"].values()))
    save_networks(out, {"G": G, "D": D}, card, dtype=torch.float16)
    return card


def check_alike(cards: list[dict], runs: Path) -> None:
    """A record is of one recipe, one data set, one budget and one state of the code."""
    for key in ("recipe", "data", "steps", "batch_size", "lr", "betas", "commit"):
        values = {str(card[key]) for card in cards}
        if len(values) > 1:
            raise InputError(
                f"the runs in {runs} differ in {key} ({', '.join(sorted(values))}): delete the stale ones"
            )


def summary(rows: list[dict]) -> tuple[dict, dict]:
    """Mean and sample standard deviation of each number over the seeds; a single seed has no deviation."""
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    means = {key: statistics.mean(values) for key, values in columns.items()}
    return means, {key: statistics.stdev(values) if len(values) > 1 else None for key, values in columns.items()}
