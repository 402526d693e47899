"""The table of models: one row is a pair of networks, an objective, a data set and a budget."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from importlib.metadata import metadata
from pathlib import Path

import torch
from torch import nn

from ganbook import published
from ganbook.checkpoints import CARD, check_weights, load_network, one_line, read_card
from ganbook.conditional import (
    AuxiliaryDiscriminator,
    ConditionalGenerator,
    PlanesDiscriminator,
    ProjectionDiscriminator,
)
from ganbook.data import data_folder, sha256
from ganbook.dcgan import (
    ConvDiscriminator,
    ConvGenerator,
    PoolingDiscriminator,
    StemGenerator,
    StridedDiscriminator,
)
from ganbook.errors import InputError
from ganbook.mlp import MLPDiscriminator, MLPGenerator
from ganbook.modern import ResidualDiscriminator, ResidualGenerator, with_spectral_norm
from ganbook.objectives import AuxiliaryClassifier, NonSaturating, Relativistic, Smoothing
from ganbook.penalties import R1, R2, Penalized
from ganbook.published import Probabilities
from ganbook.records import RECORDS

Pair = tuple[nn.Module, nn.Module]  # G, D
# After the convolutions of D. "spectral" puts nothing there: it divides their weights instead.
NORMS = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d, "spectral": nn.Identity}


def mlp(latent_dim: int = 100) -> Pair:
    return MLPGenerator(latent_dim), MLPDiscriminator()


def dcgan28(latent_dim: int = 100, norm_d: str = "batch") -> Pair:
    return StemGenerator(latent_dim), normed(StridedDiscriminator(NORMS[norm_d]), norm_d)


def dcgan28_pooling(latent_dim: int = 100) -> Pair:
    return StemGenerator(latent_dim), PoolingDiscriminator()


def normed(D: nn.Module, norm_d: str) -> nn.Module:
    return with_spectral_norm(D) if norm_d == "spectral" else D


def dcgan(
    image_size: int, latent_dim: int = 100, width_g: int = 64, width_d: int = 64, norm_d: str = "batch"
) -> Pair:
    G = ConvGenerator(image_size, width=width_g, latent_dim=latent_dim)
    return G, normed(ConvDiscriminator(image_size, width=width_d, norm=NORMS[norm_d]), norm_d)


EMBEDDING = 16  # numbers that each label adds to z


def cgan(latent_dim: int = 100, norm_d: str = "batch", num_classes: Sequence[int] = (10,)) -> Pair:
    G = StemGenerator(latent_dim + EMBEDDING * len(num_classes))
    D = ProjectionDiscriminator(StridedDiscriminator(NORMS[norm_d]), num_classes)
    return ConditionalGenerator(G, num_classes, EMBEDDING), normed(D, norm_d)


def cgan_planes(latent_dim: int = 100, norm_d: str = "batch", num_classes: Sequence[int] = (10,)) -> Pair:
    G, _ = cgan(latent_dim, norm_d, num_classes)
    D = StridedDiscriminator(NORMS[norm_d], channels=1 + sum(num_classes))
    return G, normed(PlanesDiscriminator(D, num_classes), norm_d)


def acgan(
    image_size: int = 64,
    latent_dim: int = 100,
    width_g: int = 32,
    width_d: int = 32,
    norm_d: str = "batch",
    num_classes: Sequence[int] = (12, 10),
) -> Pair:
    G = ConvGenerator(image_size, width=width_g, latent_dim=latent_dim + EMBEDDING * len(num_classes))
    D = ConvDiscriminator(image_size, width=width_d, norm=NORMS[norm_d], dropout=0.3)
    return ConditionalGenerator(G, num_classes, EMBEDDING), normed(AuxiliaryDiscriminator(D, num_classes), norm_d)


def r3gan(latent_dim: int = 100, width_g: int = 32, width_d: int = 32, num_classes: Sequence[int] = (10,)) -> Pair:
    G = ResidualGenerator(width=width_g, latent_dim=latent_dim + EMBEDDING * len(num_classes))
    D = ProjectionDiscriminator(ResidualDiscriminator(width=width_d), num_classes)
    return ConditionalGenerator(G, num_classes, EMBEDDING), D


@dataclass(frozen=True)
class Recipe:
    networks: Callable[..., Pair]  # untrained; its keywords are what a user may set
    objective: object
    data: str  # the data set of a full run
    epochs: int  # its budget
    batch_size: int = 64
    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    average: float = 0.0  # decay of the running average of G's weights that is kept for G; 0: G as it stands

    @property
    def labelled(self) -> bool:
        """Whether its networks know labels: they are then built for the data's."""
        return "num_classes" in inspect.signature(self.networks).parameters


ADAM = (0.9, 0.999)  # betas, where nobody chose any
FLATTENED = Penalized(NonSaturating(), R1(0.1))
RECIPES = {
    "mlp": Recipe(mlp, NonSaturating(), data="mnist", epochs=50),
    "dcgan28": Recipe(dcgan28, NonSaturating(), data="mnist", epochs=3),
    "dcgan64": Recipe(partial(dcgan, image_size=64), NonSaturating(), data="avatars", epochs=21),
    "dcgan96": Recipe(partial(dcgan, image_size=96), NonSaturating(), data="avatars", epochs=200, batch_size=256),
    "cgan": Recipe(cgan, NonSaturating(), data="mnist", epochs=5, average=0.999),
    "cgan-planes": Recipe(cgan_planes, NonSaturating(), data="mnist", epochs=5, average=0.999),
    "acgan": Recipe(
        acgan,
        AuxiliaryClassifier(Smoothing(alpha=0.9, beta=0.1, waver=0.1)),  # sharp targets: D leaves G far behind
        data="avatars",
        epochs=64,
        lr=5e-4,
        average=0.99,
    ),
    # Rungs of the ladder, from dcgan28 in five epochs on: each changes one thing in the one before.
    "dcgan28-spectral": Recipe(partial(dcgan28, norm_d="spectral"), NonSaturating(), data="mnist", epochs=5),
    "dcgan28-r1": Recipe(partial(dcgan28, norm_d="spectral"), FLATTENED, data="mnist", epochs=5),
    "dcgan28-average": Recipe(
        partial(dcgan28, norm_d="spectral"), FLATTENED, data="mnist", epochs=5, average=0.999
    ),
    "cgan-r1": Recipe(partial(cgan, norm_d="spectral"), FLATTENED, data="mnist", epochs=5, average=0.999),
    # The last one has other networks, another game, other penalties and step sizes.
    "r3gan": Recipe(
        r3gan,
        Penalized(Relativistic(), R1(1.0), R2(1.0)),
        data="mnist",
        epochs=5,
        lr=5e-4,
        betas=(0.0, 0.99),
        average=0.999,
    ),
    # Between dcgan28 and the one as published: only D is that one's.
    "dcgan28-pooling": Recipe(dcgan28_pooling, NonSaturating(), data="mnist", epochs=5),
    # The sources' own, with their mistakes, on our budgets. (For the ACGAN they give no networks: ours, and the
    # objective as published.)
    "mlp-published": Recipe(published.mlp, Probabilities(), data="mnist", epochs=50, betas=ADAM),
    "dcgan28-published": Recipe(published.dcgan28, Probabilities(), data="mnist", epochs=3, betas=ADAM),
    "dcgan64-published": Recipe(published.dcgan, NonSaturating(), data="avatars", epochs=21, batch_size=128),
    "acgan-published": Recipe(
        acgan,
        AuxiliaryClassifier(Smoothing(alpha=0.9, beta=0.1, waver=0.1), on_fakes=True),
        data="avatars",
        epochs=64,
    ),
}


def recipe(name: str) -> Recipe:
    """A row of the table by its name."""
    if name not in RECIPES:
        raise InputError(f"no recipe is called {name!r}: choose one of {', '.join(RECIPES)}")
    return RECIPES[name]


def build(name: str, settings: dict) -> Pair:
    """The untrained networks of a recipe, with some of its keywords set: build("dcgan64", {"width_g": 32})."""
    known = inspect.signature(recipe(name).networks).parameters
    for key in settings:
        if key not in known:
            raise InputError(
                f"recipe {name!r} has no {key}: what can be set in its networks is {', '.join(known)}"
            )
        if not is_setting(settings[key]):
            raise InputError(
                f"recipe {name!r} cannot be built with {key} {settings[key]!r:.50}: take 1 or more "
                f"(and of several at most {SEVERAL})"
            )
    try:
        return recipe(name).networks(**settings)
    except InputError:
        raise
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"recipe {name!r} cannot be built with {settings} ({one_line(error)[:200]})") from None


SEVERAL = 64  # kinds of labels: each costs networks a layer or more, and a card can claim a million


def is_setting(value) -> bool:
    """Whether it is a norm, a whole number of 1 or more, or several of these."""
    numbers = value if isinstance(value, list | tuple) else [value]
    return value in list(NORMS) or (0 < len(numbers) <= SEVERAL and all(type(n) is int and n > 0 for n in numbers))


def load_networks(folder: Path) -> Pair:
    """Both networks of a trained folder (`ganbook train --out`), in eval mode."""
    return fill(read_card(folder), folder)


def fill(card: dict, folder: Path) -> Pair:
    """The networks that a card describes, with the weights in a folder."""
    name, settings = card.get("recipe", ""), card.get("networks", {})
    if not isinstance(name, str) or not isinstance(settings, dict):
        raise InputError(f"{folder / CARD} names no recipe: train again, or restore the file")
    with torch.device("meta"):  # shapes alone: what a card claims takes memory only where the files agree
        G, D = build(name, settings)
        for key, net in (("G", G), ("D", D)):
            check_weights(folder / f"{key}.safetensors", net)
    check_classes(card, getattr(G, "num_classes", ()), folder)
    G, D = build(name, settings)
    return load_network(folder / "G.safetensors", G).eval(), load_network(folder / "D.safetensors", D).eval()


def check_classes(card: dict, num_classes: Sequence[int], folder: Path) -> None:
    """Raise InputError unless a card names each value of each label that its G reads."""
    classes = card.get("classes", {})
    lists = list(classes.values()) if isinstance(classes, dict) else [None]
    names = all(isinstance(values, list | tuple) and all(isinstance(v, str) for v in values) for values in lists)
    if not names or [len(values) for values in lists] != list(num_classes):
        raise InputError(f"{folder / CARD} does not name the labels of its G: train again, or restore the file")


def load_pretrained(name: str) -> Pair:
    """G and D as the book's full run left them, in eval mode: load_pretrained("mlp").

    Large weights are not part of the installed package: they are fetched once from the repository, and checked.
    """
    recipe(name)
    card, folder = read_card(RECORDS / name), RECORDS / name
    if not (folder / "G.safetensors").exists():
        folder = data_folder() / "weights" / name
        for net, expected in card["sha256"].items():
            fetch(f"{repository()}/raw/main/ganbook/records/{name}/{net}.safetensors", folder, expected)
    return fill(card, folder)


def repository() -> str:
    """The address of the repository, as pyproject.toml gave it to the installed package."""
    entries = (entry.split(", ", 1) for entry in metadata("ganbook").get_all("Project-URL"))
    return dict(entries)["Repository"]


def fetch(address: str, folder: Path, expected: str) -> None:
    """Download a file into folder, unless it is there; nothing is left of one whose SHA-256 is not as expected."""
    target = folder / address.rsplit("/", 1)[1]
    if target.exists() and sha256(target) == expected:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(address, str(target), hash_prefix=expected, progress=False)
    except (OSError, RuntimeError, HTTPException) as error:  # RuntimeError: another hash
        raise InputError(
            f"{address} could not be fetched ({error}): put the file into {folder}, or use a checkout of the book"
        ) from error
