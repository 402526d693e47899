"""How good a trained generator is: its fakes, measured against pictures of the data that it never met.

The rules are the same for every model. G is in eval mode; its fakes are drawn from one seed, none is chosen, their
labels come as often as in the data; they are rounded to bytes, as they would be stored and as real pictures are.
They are compared with the held-out part of the data, not with what G was trained on. Distances carry the name of
the network in whose features they are taken: one of the package's own classifiers, or Inception.
"""

import statistics
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3

from ganbook.classifiers import JUDGES, label_accuracy, load_classifier, train_classifier
from ganbook.data import ImageSet, to_float, to_uint8
from ganbook.datasets import load
from ganbook.errors import InputError
from ganbook.metrics import copying, density_coverage, kernel_distance, precision_recall
from ganbook.runs import digest
from ganbook.sampling import AT_ONCE, ask, cycle_labels, draw_latents, generate

FAKES = 10_000
LESSONS = 500  # steps of a classifier that is taught by fakes alone


class Eye(NamedTuple):
    """A network that turns pictures into features, and the name that distances in them carry."""

    name: str
    see: Callable[[Tensor], Tensor]  # (B, C, H, W) uint8, on any device -> (B, d), on the network's


def evaluate(G: nn.Module, card: dict, data: str | None = None, inception: bool = False, seed: int = 0) -> dict:
    """What can be said of the G of a card in numbers, with all that they hang on.

    `data` is the folder that G was trained on; the package's own data sets are found by the card. Raises
    InputError where the pictures are not those of the card, or where nobody but Inception can judge them.
    """
    where = data or card["data"]
    shape = tuple(generate(G, draw_latents(G, 1), cycle_labels(G, 1)).shape[1:])
    seen, real = (load(where, shape, labelled="classes" in card, part=part)[0] for part in ("train", "test"))
    if digest(seen) != card["digest"]:
        raise InputError(f"{where} holds other pictures than G was trained on: name their folder with --data")
    device = next(G.parameters()).device
    eye = inception_eye(device) if inception else classifier_eye(card["data"], device)
    fakes = draw_fakes(G, card, FAKES, seed)
    found = {"features": eye.name, "seed": seed, "fakes": len(fakes), "held_out": len(real)}
    found |= compare(eye, real.images, fakes.images, seen.images)
    if fakes.classes and card["data"] in JUDGES:
        found |= obedience(JUDGES[card["data"]], fakes, real, seen, seed)
    return found


def draw_fakes(G: nn.Module, card: dict, n: int, seed: int) -> ImageSet:
    """n fakes as bytes, with the labels they were asked for: drawn in parts, so that memory stays bounded."""
    z, (y, _) = draw_latents(G, n, seed), ask(card, n, None, False, seed)
    rows = [slice(i, i + AT_ONCE) for i in range(0, n, AT_ONCE)]
    parts = (generate(G, z[part], None if y is None else y[part].to(z.device)) for part in rows)
    labels = torch.zeros(n, dtype=torch.int64) if y is None else y
    return ImageSet("fakes", torch.cat([as_bytes(part) for part in parts]), labels, card.get("classes", {}))


def as_bytes(x: Tensor) -> Tensor:
    """Pictures as they would be stored. Raises InputError if they are not in [-1, 1]: clipped, they are others."""
    low, high = x.min().item(), x.max().item()
    if not (low >= -1.001 and high <= 1.001):  # also where one is NaN
        raise InputError(f"G draws values from {low:.3g} to {high:.3g}: they must lie in [-1, 1], as the data do")
    return to_uint8(x).cpu()


def classifier_eye(data: str, device: torch.device) -> Eye:
    if data not in JUDGES:
        raise InputError(
            f"the book has no classifier for the pictures of {data!r}: take --features inception, which needs "
            "torch-fidelity and, once, a network"
        )
    C = load_classifier(JUDGES[data]).to(device)
    return Eye(f"{JUDGES[data]}-classifier features", lambda images: C.features(to_float(images.to(device))))


def inception_eye(device: torch.device) -> Eye:
    """Inception's 2,048 features, resized as in the code published with FID (Heusel et al., 2017)."""
    try:
        net = NoTrainInceptionV3(name="inception-v3-compat", features_list=["2048"], antialias=False).to(device)
    except (OSError, ModuleNotFoundError) as error:
        raise InputError(
            f"Inception is not to be had ({error}): pip install 'ganbook[inception]', and let it fetch its "
            "weights once; without --features, the book's own classifier sees the pictures"
        ) from error
    return Eye("Inception features", lambda images: net(images.to(device).expand(-1, 3, -1, -1)))


def compare(eye: Eye, real: Tensor, fakes: Tensor, seen: Tensor) -> dict:
    """Every measure that needs no labels, of pictures (n, C, H, W) uint8: held out, drawn, trained on."""
    x, y, z = (features_of(eye, images) for images in (real, fakes, seen))
    frechet = FrechetInceptionDistance(AsTheyAre(x.shape[1])).to(x.device)
    for features, is_real in ((x, True), (y, False)):
        for part in features.split(AT_ONCE):
            frechet.update(part, real=is_real)
    precision, recall = precision_recall(x, y)
    density, coverage = density_coverage(x, y)
    return {
        "distance": frechet.compute().item(),
        "kernel_distance": kernel_distance(x, y),
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
        "copying": copying(y, z, x),
    }


class AsTheyAre(nn.Identity):
    """Tells torchmetrics that what it gets are features already."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features


@torch.no_grad()
def features_of(eye: Eye, images: Tensor) -> Tensor:
    """The features (n, d) of pictures (n, C, H, W) uint8, seen a few at a time."""
    return torch.cat([eye.see(part) for part in images.split(AT_ONCE)])


def obedience(name: str, fakes: ImageSet, real: ImageSet, seen: ImageSet, seed: int) -> dict:
    """Whether G draws what it is asked for, and whether its pictures teach what real ones teach, for each label.

    Accuracy: the share of the fakes in which the classifier `name` sees the label asked for. Score: the accuracy,
    on held-out real pictures, of a new classifier that was taught by fakes alone (Ravuri and Vinyals, 2019), with
    that of one taught for as long by as many real pictures.
    """
    as_many = ImageSet("real", seen.images[: len(fakes)], seen.labels[: len(fakes)])
    pupils = {"score": fakes, "score_of_real": as_many}
    taught = {key: train_classifier(name, images, LESSONS, seed) for key, images in pupils.items()}
    shares = {"accuracy": (load_classifier(name), fakes), **{key: (C, real) for key, C in taught.items()}}
    return {
        key: dict(
            zip(real.classes, label_accuracy(C, to_float(images.images), images.labels).tolist(), strict=True)
        )
        for key, (C, images) in shares.items()
    }


MEASURES = {  # of `compare`: what each is called
    "distance": "FID, {}",
    "kernel_distance": "KID, {}",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "copying": "distance to the nearest training picture, held-out ones have 1",
}
BY_LABEL = {  # of `obedience`
    "accuracy": "accuracy",
    "score": "classification accuracy score",
    "score_of_real": "the same of real pictures",
}


def lines_of(found: list[dict]) -> list[str]:
    """What `evaluate` found of several sets of fakes of one G, a line each: mean ± standard deviation."""
    first, eye = found[0], found[0]["features"]
    rows = {title.format(eye): [one[key] for one in found] for key, title in MEASURES.items()}
    for key, title in BY_LABEL.items():
        rows |= {f"{title}, {kind}": [one[key][kind] for one in found] for kind in first.get(key, {})}
    wide = max(map(len, rows))
    sets = f"{len(found)} set(s) of {first['fakes']:,} fakes against {first['held_out']:,} held-out pictures"
    return [sets, *(f"{title:{wide}}  {mean_and_spread(values)}" for title, values in rows.items())]


def mean_and_spread(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4g}{spread}"
