"""How time and memory of a training step grow with batch, image size, width and number of pictures.

    python benchmarks/growth.py [--out FOLDER]

Each point is a process of its own, so that its memory is its own. Writes growth.json, growth.png, and
growth.md, which says how.
"""

import json
import statistics
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import click
import torch
from speed import own_peak

from ganbook.checkpoints import write
from ganbook.data import ImageSet
from ganbook.dcgan import ConvDiscriminator, ConvGenerator
from ganbook.machine import surroundings
from ganbook.objectives import NonSaturating
from ganbook.plots import growth_figure, small_png
from ganbook.records import RECORDS
from ganbook.training import fit

BASE = {"batch": 32, "image_size": 32, "width": 32, "pictures": 1_000}
SWEEPS = {  # one quantity grows, the others stay
    "batch": (8, 16, 32, 64, 128, 256),
    "image_size": (16, 32, 64, 128),
    "width": (8, 16, 32, 64, 128),
    "pictures": (1_000, 10_000, 100_000, 1_000_000),
}
WARM, TIMED = 3, 21  # steps


def point(batch: int, image_size: int, width: int, pictures: int) -> dict:
    """Median milliseconds of a step of a DCGAN on random grey pictures, and the peak of memory in MB."""
    torch.manual_seed(0)
    bytes_ = torch.randint(256, (pictures, 1, image_size, image_size), dtype=torch.uint8)
    data = ImageSet("random", bytes_, torch.zeros(pictures, dtype=torch.int64))
    networks = ConvGenerator(image_size, 1, width), ConvDiscriminator(image_size, 1, width)
    steps = fit(*networks, NonSaturating(), data, steps=WARM + TIMED, batch_size=batch)
    for _ in islice(steps, WARM):
        pass
    times = []
    for _ in range(TIMED):
        began = time.perf_counter()
        next(steps)
        times.append(1e3 * (time.perf_counter() - began))
    return {"ms": statistics.median(times), "peak_mb": own_peak()}


def apart(**how) -> dict:
    """`point` in a process of its own."""
    program = [sys.executable, __file__, "--point", json.dumps(how)]
    return json.loads(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


def as_markdown(card: dict) -> str:
    """How the figures of a card were made, as a page shows it."""
    base = ", ".join(f"{key.replace('_', ' ')} {value:,}" for key, value in card["base"].items())
    return (
        f"What does not grow stays: {base}. Median of {card['timed']} steps. Made by `{card['command']}` "
        f"at commit {card['commit']} on {card['date']}, on {card['device']}, {card['threads']} thread(s), "
        f"{card['precision']}, torch {card['versions']['torch']}.\n"
    )


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=RECORDS / "speed")
@click.option("--point", "one", hidden=True, help="Print the figures of one point.")
def main(out: Path, one: str | None) -> None:
    if one:
        print(json.dumps(point(**json.loads(one))))
        return
    card = {
        "command": "python benchmarks/growth.py",
        "base": BASE,
        "timed": TIMED,
        **surroundings(torch.device("cpu")),
    }
    card["sweeps"] = {
        key: [{key: value, **apart(**(BASE | {key: value}))} for value in values] for key, values in SWEEPS.items()
    }
    out.mkdir(parents=True, exist_ok=True)
    write(out / "growth.json", json.dumps(card, indent=1).encode())
    write(out / "growth.png", small_png(growth_figure(card)))
    write(out / "growth.md", as_markdown(card).encode())


if __name__ == "__main__":
    main()
