"""A data set by its name, or by the folder that holds the pictures, in the format that a network makes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from ganbook.avatars import avatars
from ganbook.classifiers import HELD_OUT_SEED
from ganbook.data import ImageSet, digits, mnist
from ganbook.errors import InputError
from ganbook.folders import Folder, celeba, open_folder
from ganbook.tags import open_tagged

AVATARS = 10_000  # in a full run, and as many held out


def load(
    name: str, shape: tuple[int, int, int], workers: int = 0, labelled: bool = False, part: str = "train"
) -> tuple[ImageSet, dict[str, str]]:
    """The data set of this name, or a folder, as pictures of shape (C, H, W): the part to train on, or "test".

    Also what was passed over: {file: why}. Labelled: a folder needs a tags.csv, and what it gives is printed.
    Raises InputError where there is no such thing, or not in this shape, or without labels that are needed.
    """
    if name in NAMED:
        return NAMED[name](shape, part), {}
    options = {"channels": shape[0], "part": part, "workers": workers}
    if labelled:
        return tagged(name, shape[1], options)
    if name == "celeba":
        return as_images("celeba", celeba(shape[1], **options))
    if not Path(name).is_dir():
        raise InputError(
            f"no data set or folder is called {name!r}: name a folder, or one of {', '.join(NAMED)}, celeba"
        )
    return as_images(Path(name).resolve().name, open_folder(Path(name), shape[1], **options))


def tagged(name: str, size: int, options: dict) -> tuple[ImageSet, dict[str, str]]:
    if not (Path(name) / "tags.csv").is_file():
        raise InputError(
            f"{name} has no labels to learn: name one of {', '.join(NAMED)}, or a folder that holds a tags.csv"
        )
    found = open_tagged(name, size, **options)
    print(found.report())
    return found.images, found.skipped


def grey(name: str, make: Callable[[str], ImageSet], shape: tuple[int, int, int], part: str) -> ImageSet:
    if shape != (1, 28, 28):
        raise InputError(
            f"{name!r} is 1 x 28 x 28, this recipe makes {' x '.join(map(str, shape))}: take dcgan28 or cgan"
        )
    return make(part)


def all_digits(part: str) -> ImageSet:
    if part != "train":
        raise InputError("all of 'digits' is trained on and none held out: it is small; take 'mnist'")
    return digits()


def drawn(shape: tuple[int, int, int], part: str) -> ImageSet:
    if shape[0] != 3:
        raise InputError("'avatars' are in colour, this recipe makes grey pictures: take dcgan64 or acgan")
    return avatars(AVATARS, shape[1], seed=0 if part == "train" else HELD_OUT_SEED)


# Each: the shape of a picture, and the part -> the data set.
NAMED: dict[str, Callable[[tuple[int, int, int], str], ImageSet]] = {
    "digits": partial(grey, "digits", all_digits),
    "mnist": partial(grey, "mnist", lambda part: mnist(train=part == "train")),
    "avatars": drawn,
}


def as_images(name: str, folder: Folder) -> tuple[ImageSet, dict[str, str]]:
    return ImageSet(name, folder.images, torch.zeros(len(folder.images), dtype=torch.int64)), folder.skipped
