"""Few pictures, many steps: D learns them by heart, and G stands still. With and without augmentation."""

import json
import time
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ganbook.augmentation import Augmented, cut_out, translate
from ganbook.checkpoints import CARD, write
from ganbook.classifiers import features_of, load_classifier
from ganbook.data import ImageSet, mnist, to_float
from ganbook.dcgan import StemGenerator, StridedDiscriminator
from ganbook.evaluation import draw_fakes
from ganbook.machine import surroundings
from ganbook.metrics import frechet_distance
from ganbook.objectives import NonSaturating
from ganbook.sampling import evaluating
from ganbook.training import fit

# Each row: the objective that the same DCGAN is trained with, on the same pictures. (With instance norm in D it
# judges each picture alone: what it says of new ones can then be compared with what it says of its own.)
WAYS = {
    "as it is": NonSaturating(),
    "augmented": Augmented(NonSaturating(), translate, cut_out),
}
PICTURES, STEPS, EVERY, FAKES, BATCH_SIZE = 300, 6_000, 500, 5_000, 64


def record_small_data(out: Path, seeds: int) -> dict:
    """The record behind the ladder's section on small data: writes card.json to `out`, returns it."""
    out.mkdir(parents=True, exist_ok=True)
    card = {
        "command": f"ganbook study small-data --seeds {seeds}",
        "seeds": seeds,
        "pictures": PICTURES,
        "steps": STEPS,
        "batch_size": BATCH_SIZE,
        "fakes": FAKES,
        **surroundings(torch.device("cpu"), "bf16"),
    }
    started, train, held_out = time.process_time(), first(mnist(), PICTURES), mnist(train=False)
    card["results"] = {name: [train_way(name, train, held_out, seed) for seed in range(seeds)] for name in WAYS}
    card["cpu_minutes"] = (time.process_time() - started) / 60
    write(out / CARD, json.dumps(card, indent=1).encode())
    return card


def first(images: ImageSet, n: int) -> ImageSet:
    return ImageSet(images.name, images.images[:n], images.labels[:n], images.classes)


def train_way(name: str, train: ImageSet, held_out: ImageSet, seed: int) -> list[dict]:
    """Train a row of WAYS on a few pictures. Returns how it stood after each EVERY steps."""
    torch.manual_seed(seed)
    C, G, D = load_classifier("digits"), StemGenerator(), StridedDiscriminator(nn.InstanceNorm2d)
    known, new = to_float(train.images), to_float(held_out.images)
    features, looks = features_of(C.features, new), []
    steps = fit(G, D, WAYS[name], train, steps=STEPS, batch_size=BATCH_SIZE)
    for n in tqdm(range(EVERY, STEPS + 1, EVERY), f"{name}, seed {seed}", disable=None):
        # The cache is off: it would keep the weights of the first of these steps.
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            losses = [step.d_loss for step in islice(steps, EVERY)]
        fakes = to_float(draw_fakes(G, {}, FAKES, seed).images)
        looks.append(
            {
                "step": n,
                "d_loss": torch.stack(losses).mean().item(),
                "d_train": mean_answer(D, known),
                "d_held_out": mean_answer(D, new),
                "d_fake": mean_answer(D, fakes),
                "distance": frechet_distance(features, features_of(C.features, fakes)),
            }
        )
    return looks


def mean_answer(D: nn.Module, x: Tensor) -> float:
    """The mean of D(x) over pictures (B, C, H, W), in eval mode: in [0, 1]."""
    with evaluating(D), torch.no_grad():
        return torch.cat([D(part).sigmoid() for part in x.split(1_000)]).mean().item()
