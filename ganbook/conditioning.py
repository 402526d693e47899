"""Ways of telling a GAN the label, each over several seeds: the table of the chapters on labels."""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ganbook.avatars import avatars
from ganbook.checkpoints import CARD, write
from ganbook.classifiers import features_of, label_accuracy, load_classifier
from ganbook.conditional import (
    AuxiliaryDiscriminator,
    ConditionalGenerator,
    PlanesDiscriminator,
    ProjectionDiscriminator,
)
from ganbook.data import ImageSet, digits, to_float
from ganbook.dcgan import ConvDiscriminator, ConvGenerator, StemGenerator, StridedDiscriminator
from ganbook.machine import surroundings
from ganbook.metrics import frechet_distance, spread_within
from ganbook.objectives import AuxiliaryClassifier, NonSaturating, Smoothing
from ganbook.records import mean_and_spread, read_record
from ganbook.sampling import draw_labels, sample
from ganbook.training import fit

EMBEDDING, BATCH_SIZE, LR, AVERAGE, FAKES = 16, 32, 1e-3, 0.98, 2_000  # as in the chapters' quick mode
DATA: dict[str, Callable[[], ImageSet]] = {"digits": digits, "avatars": lambda: avatars(4_000, 32)}
STEPS = {"digits": 300, "avatars": 600}


def bare_pair(data: str, extra: int = 0) -> tuple[nn.Module, nn.Module]:
    """G that reads as many numbers more as the labels' embeddings have, and D that reads `extra` more channels."""
    if data == "digits":
        return StemGenerator(100 + EMBEDDING), StridedDiscriminator(channels=1 + extra)
    G = ConvGenerator(32, width=32, latent_dim=100 + 2 * EMBEDDING)
    return G, ConvDiscriminator(32, 3 + extra, width=32, dropout=0.3)


class Blind(nn.Module):
    """A D that is shown the label and does not look."""

    def __init__(self, D: nn.Module, num_classes: Iterable[int]):
        super().__init__()
        self.D = D

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.D(x)


NS = NonSaturating()
# Each row: what D is, and the objective.
WAYS: dict[str, tuple[Callable[..., nn.Module], object]] = {
    "D does not see the label": (Blind, NS),
    "CGAN, planes": (PlanesDiscriminator, NS),
    "CGAN, projection": (ProjectionDiscriminator, NS),
    "ACGAN, classes of real pictures": (AuxiliaryDiscriminator, AuxiliaryClassifier(NS)),
    "ACGAN, of real and fake (as published)": (AuxiliaryDiscriminator, AuxiliaryClassifier(NS, on_fakes=True)),
    "ACGAN, classes of real pictures, targets 0.9 and 0.1 ± 0.1": (
        AuxiliaryDiscriminator,
        AuxiliaryClassifier(Smoothing(0.9, 0.1, 0.1)),
    ),
}


def train_way(name: str, data: str, seed: int, steps: int) -> dict:
    """Train a row of WAYS. Returns how well its pictures show their labels, vary, and lie among the data."""
    torch.manual_seed(seed)
    images, (make, objective) = DATA[data](), WAYS[name]
    num_classes = [len(values) for values in images.classes.values()]
    G, D = bare_pair(data, extra=sum(num_classes) if make is PlanesDiscriminator else 0)
    G, D = ConditionalGenerator(G, num_classes, EMBEDDING), make(D, num_classes)
    average = AveragedModel(G, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE), use_buffers=True)
    started = time.process_time()
    for _step in fit(G, D, objective, images, steps=steps, batch_size=BATCH_SIZE, lr=LR):
        average.update_parameters(G)
    seconds = time.process_time() - started
    return {**judge(average.module, images, data, seed), "seconds": round(seconds, 1)}


def judge(G: nn.Module, images: ImageSet, classifier: str, seed: int) -> dict:
    """Accuracy of each label, in shares; variety within labels against the data's; distance to the data."""
    C = load_classifier(classifier)
    y = draw_labels(images.labels, FAKES, seed=seed)
    x, real = sample(G, FAKES, y, seed=seed), to_float(images.images)
    accuracy = dict(zip(images.classes, label_accuracy(C, x, y).tolist(), strict=True))
    variety = spread_within(x, y) / spread_within(real, images.labels)
    distance = frechet_distance(features_of(C.features, real), features_of(C.features, x))
    return {"accuracy": accuracy, "variety": round(variety, 3), "distance": round(distance, 3)}


def record_conditioning(out: Path, seeds: int) -> dict:
    """The record behind the table of the chapters on labels: writes card.json to `out`, returns it."""
    out.mkdir(parents=True, exist_ok=True)
    card = {
        "command": f"ganbook study conditioning --seeds {seeds}",
        "seeds": seeds,
        "steps": STEPS,
        "batch_size": BATCH_SIZE,
        "lr": LR,
        "average": AVERAGE,
        "fakes": FAKES,
        **surroundings(torch.device("cpu")),
    }
    started, rows = time.process_time(), [(data, name) for data in DATA for name in WAYS]
    results: dict = {data: {} for data in DATA}
    for data, name in tqdm(rows, unit="row", disable=None):
        results[data][name] = [train_way(name, data, seed, STEPS[data]) for seed in range(seeds)]
    card |= {"results": results, "cpu_minutes": (time.process_time() - started) / 60}
    write(out / CARD, json.dumps(card, indent=1).encode())
    return card


def conditioning_table(data: str):
    """The stored record for one data set as a table, with where and how it was made."""
    from IPython.display import Markdown

    card = read_record("conditioning")
    runs = card["results"][data]
    kinds = list(next(iter(runs.values()))[0]["accuracy"])
    lines = [
        f"| {data} | {' | '.join(f'accuracy, {kind}' for kind in kinds)} | variety | distance |",
        "|---" * (len(kinds) + 3) + "|",
    ]
    for name, seeds in runs.items():
        columns = [[run["accuracy"][kind] for run in seeds] for kind in kinds]
        columns += [[run[key] for run in seeds] for key in ("variety", "distance")]
        forms = [".2f"] * len(kinds) + [".2f", ".1f"]
        cells = (mean_and_spread(values, form) for values, form in zip(columns, forms, strict=True))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return Markdown(
        "\n".join(lines)
        + f"\n\nMean ± standard deviation over {card['seeds']} seeds, {card['fakes']:,} fakes each, "
        f"after {card['steps'][data]} steps of {card['batch_size']}. Accuracy: share of the fakes in which the "
        "independent classifier sees the label asked for. Variety: spread of the pixels within a label, the "
        "data's is 1. Distance: squared Fréchet distance in that classifier's features; less is better. Made by "
        f"`{card['command']}` at commit {card['commit']} on {card['date']}, on {card['device']}, "
        f"{card['threads']} thread(s), torch {card['versions']['torch']}."
    )
