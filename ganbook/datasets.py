"""A data set by its name, or by the folder that holds the pictures, in the format that a network makes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from ganbook.avatars import avatars
from ganbook.data import ImageSet, digits, mnist
from ganbook.errors import InputError
from ganbook.folders import Folder, celeba, open_folder
from ganbook.tags import open_tagged

AVATARS = 10_000  # in a full run


def load(
    name: str, shape: tuple[int, int, int], workers: int = 0, labelled: bool = False
) -> tuple[ImageSet, dict[str, str]]:
    """The data set of this name, or the training part of a folder, as pictures of shape (C, H, W).

    Also what was passed over: {file: why}. Labelled: a folder needs a tags.csv, and what it gives is printed.
    Raises InputError where there is no such thing, or not in this shape, or without labels that are needed.
    """
    if name in NAMED:
        return NAMED[name](shape), {}
    channels, size, _ = shape
    if labelled:
        return tagged(name, size, channels, workers)
    if name == "celeba":
        return as_images("celeba", celeba(size, channels=channels, workers=workers))
    if not Path(name).is_dir():
        raise InputError(
            f"no data set or folder is called {name!r}: name a folder, or one of {', '.join(NAMED)}, celeba"
        )
    return as_images(Path(name).resolve().name, open_folder(Path(name), size, channels=channels, workers=workers))


def tagged(name: str, size: int, channels: int, workers: int) -> tuple[ImageSet, dict[str, str]]:
    if not (Path(name) / "tags.csv").is_file():
        raise InputError(
            f"{name} has no labels to learn: name one of {', '.join(NAMED)}, or a folder that holds a tags.csv"
        )
    found = open_tagged(name, size, channels=channels, workers=workers)
    print(found.report())
    return found.images, found.skipped


def grey(name: str, make: Callable[[], ImageSet], shape: tuple[int, int, int]) -> ImageSet:
    if shape != (1, 28, 28):
        raise InputError(
            f"{name!r} is 1 x 28 x 28, this recipe makes {' x '.join(map(str, shape))}: take dcgan28 or cgan"
        )
    return make()


def drawn(shape: tuple[int, int, int]) -> ImageSet:
    if shape[0] != 3:
        raise InputError("'avatars' are in colour, this recipe makes grey pictures: take dcgan64 or acgan")
    return avatars(AVATARS, shape[1])


# Each: the shape of a picture -> the data set.
NAMED: dict[str, Callable[[tuple[int, int, int]], ImageSet]] = {
    "digits": partial(grey, "digits", digits),
    "mnist": partial(grey, "mnist", mnist),
    "avatars": drawn,
}


def as_images(name: str, folder: Folder) -> tuple[ImageSet, dict[str, str]]:
    return ImageSet(name, folder.images, torch.zeros(len(folder.images), dtype=torch.int64)), folder.skipped
