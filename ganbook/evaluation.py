"""How good a trained generator is: its fakes, measured against pictures of the data that it never met.

The rules are the same for every model. G is in eval mode; its fakes are drawn from one seed, none is chosen, their
labels come as often as in the data; they are rounded to bytes, as they would be stored and as real pictures are.
They are compared with the held-out part of the data, not with what G was trained on. Distances carry the name of
the network in whose features they are taken: one of the package's own classifiers, or Inception.
"""

from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import NoTrainInceptionV3

from ganbook.classifiers import (
    JUDGES,
    Classifier,
    features_of,
    label_accuracy,
    load_classifier,
    train_classifier,
)
from ganbook.data import ImageSet, to_float, to_uint8
from ganbook.datasets import load
from ganbook.errors import InputError
from ganbook.metrics import measures_of
from ganbook.records import mean_and_spread
from ganbook.runs import digest
from ganbook.sampling import AT_ONCE, ask, cycle_labels, draw_latents, generate

FAKES = 10_000
LESSONS = 500  # steps of a classifier that is taught by fakes alone


class Eye(NamedTuple):
    """A network that turns pictures into features, and the name that distances in them carry."""

    name: str
    see: Callable[[Tensor], Tensor]  # (B, C, H, W) uint8, on any device -> (B, d), on the network's


def evaluate(
    G: nn.Module, card: dict, seeds: Iterable[int], data: str | None = None, inception: bool = False
) -> list[dict]:
    """What can be said of the G of a card in numbers, with all that they hang on: for a set of fakes of each seed.

    `data` is the folder that G was trained on; the package's own data sets are found by the card. Raises
    InputError where the pictures are not those of the card, or where nobody but Inception can judge them.
    """
    for key in ("data", "digest"):
        if not isinstance(card.get(key), str):
            raise InputError(f"the card of this G does not name its {key}: train again, or restore card.json")
    if PurePath(card["data"]).name != card["data"]:
        raise InputError(f"the card of this G names a place, {card['data']!r}: name the folder with --data")
    where, device = data or card["data"], next(G.parameters()).device
    eye = inception_eye(device) if inception else classifier_eye(card["data"], device)
    shape = tuple(generate(G, draw_latents(G, 1), cycle_labels(G, 1)).shape[1:])
    train, real = both_parts(where, shape, "classes" in card)
    if digest(train) != card["digest"]:
        raise InputError(f"{where} holds other pictures than G was trained on: name their folder with --data")
    measure = ruler(eye, train, real, JUDGES.get(card["data"]) if "classes" in card else None)
    return [{"seed": seed} | measure(draw_fakes(G, card, FAKES, seed)) for seed in seeds]


def evaluate_real(data: str, shape: tuple[int, int, int], device: torch.device) -> dict:
    """The same of real pictures: the first of the training part in the place of fakes.

    A G that draws more typical digits than people write can pass their precision, density and accuracy. Their
    copying is 0, since they are what G was trained on.
    """
    train, real = both_parts(data, shape, labelled=True)
    return ruler(classifier_eye(data, device), train, real, JUDGES[data])(first_of(train))


def both_parts(where: str, shape: tuple[int, int, int], labelled: bool) -> list[ImageSet]:
    """What a G learns from, and what it is measured against."""
    return [load(where, shape, labelled=labelled, part=part)[0] for part in ("train", "test")]


def first_of(train: ImageSet) -> ImageSet:
    return ImageSet("real", train.images[:FAKES], train.labels[:FAKES], train.classes)


def ruler(eye: Eye, train: ImageSet, real: ImageSet, judge: str | None) -> Callable[[ImageSet], dict]:
    """measure(pictures): their numbers beside held-out real ones, and by the judge, a classifier, by label."""
    seen, met = (features_of(eye.see, images.images) for images in (real, train))
    judged = Judge(judge, real, train) if judge else None

    def measure(pictures: ImageSet) -> dict:
        row = {"features": eye.name, "fakes": len(pictures), "held_out": len(real)}
        row |= measures_of(seen, features_of(eye.see, pictures.images), met)
        return row | (judged.obedience(pictures) if judged else {})

    return measure


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
    """The features of the book's own classifier, which never met a GAN. InputError: it has none for data."""
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


class Judge:
    """Whether G draws what it is asked for, and whether its pictures teach what real ones teach: by label."""

    def __init__(self, name: str, real: ImageSet, train: ImageSet):
        self.name, self.real, self.C = name, real, load_classifier(name)
        self.score_of_real = self.score(first_of(train))

    def obedience(self, fakes: ImageSet) -> dict:
        """Accuracy: the share of the fakes in which the classifier sees the label asked for. And the score.

        Both beside the score of as many real pictures.
        """
        accuracy = self.by_label(self.C, fakes)
        return {"accuracy": accuracy, "score": self.score(fakes), "score_of_real": self.score_of_real}

    def score(self, lessons: ImageSet) -> dict:
        """The accuracy on held-out pictures of a new classifier that these taught (Ravuri and Vinyals, 2019)."""
        return self.by_label(train_classifier(self.name, lessons, LESSONS), self.real)

    def by_label(self, C: Classifier, images: ImageSet) -> dict:
        shares = label_accuracy(C, to_float(images.images), images.labels).tolist()
        return dict(zip(self.real.classes, shares, strict=True))


MEASURES = {  # of `measures_of`: what each is called
    "distance": "FID, {}",
    "kernel_distance": "KID, {}",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "copying": "distance to the nearest training picture, held-out ones have 1",
}
BY_LABEL = {  # of `Judge.obedience`
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
    return [sets, *(f"{title:{wide}}  {mean_and_spread(values, '.4g')}" for title, values in rows.items())]
