"""Stacked digits: three handwritten digits in one picture, as its red, green and blue, and so a thousand modes.

The test of Metz et al. (2017) and Srivastava et al. (2017): of how many of the 1,000 combinations does G draw any?
"""

import json
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ganbook.checkpoints import CARD, write
from ganbook.classifiers import load_classifier, name_labels
from ganbook.data import TEN, ImageSet, mnist, to_float
from ganbook.dcgan import StemGenerator, StridedDiscriminator, initialize
from ganbook.evaluation import draw_fakes
from ganbook.machine import surroundings
from ganbook.modern import ResidualDiscriminator, ResidualGenerator
from ganbook.objectives import NonSaturating, Relativistic
from ganbook.penalties import R1, R2, Penalized
from ganbook.training import fit

MODES, FAKES = 1_000, 26_000
PICTURES, STEPS, EVERY, BATCH_SIZE, AVERAGE = 50_000, 1_500, 750, 64, 0.99


def stack_digits(digits: ImageSet, n: int, seed: int) -> ImageSet:
    """n pictures of three digits each, drawn at random: one is the red channel, one the green, one the blue."""
    rows = torch.randint(len(digits), (n, 3), generator=torch.Generator().manual_seed(seed))
    classes = {color: TEN["digit"] for color in ("red", "green", "blue")}
    return ImageSet("stacked", digits.images[rows, 0], digits.labels[rows], classes)


def combinations(images: Tensor) -> Tensor:
    """How often each of the 1,000 combinations occurs in pictures (n, 3, 28, 28), as the classifier sees them.

    The pictures are bytes. Returns counts (1000,).
    """
    C = load_classifier("digits")
    red, green, blue = (name_labels(C, to_float(images[:, i : i + 1])) for i in range(3))
    return (100 * red + 10 * green + blue).bincount(minlength=MODES)


def coverage(counts: Tensor) -> dict:
    """How many modes occur, and the divergence KL(found ‖ uniform) in nats: 0 if all occur alike."""
    found = counts[counts > 0].double() / counts.sum()
    return {"modes": len(found), "kl": (found * (found * len(counts)).log()).sum().item()}


class Way(NamedTuple):
    networks: Callable[[], tuple[nn.Module, nn.Module]]  # G, D
    objective: object
    lr: float
    betas: tuple[float, float]


def convolutional() -> tuple[nn.Module, nn.Module]:
    """The DCGAN for 28x28, in colour."""
    G, D = StemGenerator(), StridedDiscriminator(channels=3)
    G.net[-2] = nn.ConvTranspose2d(64, 3, 4, 2, 1).apply(initialize)
    return G, D


def residual() -> tuple[nn.Module, nn.Module]:
    return ResidualGenerator(3), ResidualDiscriminator(3)


WAYS = {
    "DCGAN": Way(convolutional, NonSaturating(), 2e-4, (0.5, 0.999)),
    "residual, non-saturating + R1 + R2": Way(
        residual, Penalized(NonSaturating(), R1(1.0), R2(1.0)), 5e-4, (0.0, 0.99)
    ),
    "residual, relativistic + R1 + R2": Way(
        residual, Penalized(Relativistic(), R1(1.0), R2(1.0)), 5e-4, (0.0, 0.99)
    ),
}


def train_way(way: Way, data: ImageSet, seed: int) -> list[dict]:
    """Train a row of WAYS. Returns what a running average of its G covers, after each EVERY steps."""
    torch.manual_seed(seed)
    G, D = way.networks()
    average, looks = AveragedModel(G, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE), use_buffers=True), []
    steps = fit(G, D, way.objective, data, steps=STEPS, batch_size=BATCH_SIZE, lr=way.lr, betas=way.betas)
    minutes = 0.0  # of training alone
    for n in tqdm(range(EVERY, STEPS + 1, EVERY), disable=None):
        started = time.process_time()
        # The cache is off: it would keep the weights of the first of these steps.
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            for _step in islice(steps, EVERY):
                average.update_parameters(G)
        minutes += (time.process_time() - started) / 60
        fakes = draw_fakes(average.module, {}, FAKES, seed)
        looks.append({"step": n, **coverage(combinations(fakes.images)), "cpu_minutes": minutes})
    return looks


def record_stacked(out: Path, seeds: int) -> dict:
    """The record behind the ladder's thousand modes: writes card.json to `out`, returns it."""
    out.mkdir(parents=True, exist_ok=True)
    card = {
        "command": f"ganbook study stacked --seeds {seeds}",
        "seeds": seeds,
        "pictures": PICTURES,
        "steps": STEPS,
        "batch_size": BATCH_SIZE,
        "average": AVERAGE,
        "fakes": FAKES,
        **surroundings(torch.device("cpu"), "bf16"),
    }
    real = stack_digits(mnist(train=False), FAKES, seed=1)
    card["real"] = coverage(combinations(real.images))
    data = stack_digits(mnist(), PICTURES, seed=0)
    card["results"] = {name: [train_way(way, data, seed) for seed in range(seeds)] for name, way in WAYS.items()}
    write(out / CARD, json.dumps(card, indent=1).encode())
    return card
