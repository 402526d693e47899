"""The pictures a GAN learns from, held as one uint8 tensor on the device that trains on them.

Everything reaches a model as float images (B, C, H, W) in [-1, 1], the range of the generator's tanh.
"""

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from itertools import count, islice
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from ganbook.errors import InputError


def to_float(images: Tensor) -> Tensor:
    """uint8 pictures, 0 to 255, as floats in [-1, 1]: the range of tanh."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Floats in [-1, 1] as uint8 pictures, 0 to 255: undoes `to_float`. Values outside are clipped."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


RESIDENT = 2**30  # bytes of pictures that are held in memory, on the training device; larger sets stay on the disk


@dataclass(frozen=True)
class ImageSet:
    """A data set as one tensor, so that a batch costs one indexing and no worker process."""

    name: str
    images: Tensor  # (N, C, H, W) uint8; may be a file mapped into memory
    labels: Tensor  # (N,) int64, or (N, L) where a picture has L labels
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of each label: its name, what it may be

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> "ImageSet":
        """The labels, and the pictures if they are few enough, on a device; batches come from it in any case."""
        images = self.images.to(device) if self.images.nbytes <= RESIDENT else self.images
        return replace(self, images=images, labels=self.labels.to(device))

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The pictures of these row numbers (B,), as (x, y) with x (B, C, H, W) in [-1, 1]."""
        images = self.images[rows.to(self.images.device)].to(self.labels.device)
        return to_float(images), self.labels[rows.to(self.labels.device)]

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch in a new random order: every picture once, as `take` gives them.

        The last batch holds what is left over and may be smaller. The order comes from torch's global CPU
        generator.
        """
        if batch_size < 1:
            raise InputError(f"batch size {batch_size} is not possible: take 1 or more")
        for rows in torch.randperm(len(self)).split(batch_size):
            yield self.take(rows)


@dataclass(frozen=True)
class Ordered:
    """A data set in an order that a seed fixes and that can be entered anywhere, for a run that goes on."""

    images: ImageSet
    seed: int
    start: int = 0  # batches to pass over, without loading them
    even: bool = False  # each combination of labels as often as any other that occurs, however rare
    share: tuple[int, int] = (0, 1)  # which part of each batch, of how many: for processes that train together

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Epoch after epoch, without end; each in a new order, every picture once (but if `even`: as drawn)."""
        generator = torch.Generator().manual_seed(self.seed)
        orders = (self.order(generator) for _ in count())
        batches = (rows for order in orders for rows in order.split(batch_size))
        for rows in islice(batches, self.start, None):
            yield self.images.take(self.part(rows))

    def part(self, rows: Tensor) -> Tensor:
        """This share of a batch. All are of one size.

        What lacks is filled up with pictures of the batch.
        """
        part, parts = self.share
        each = -(-len(rows) // parts)
        return rows[torch.arange(part, each * parts, parts) % len(rows)]

    def order(self, generator: torch.Generator) -> Tensor:
        if not self.even:
            return torch.randperm(len(self.images), generator=generator)
        return draw_rows(self.images.labels, len(self.images), True, generator)


def draw_rows(labels: Tensor, n: int, even: bool, generator: torch.Generator) -> Tensor:
    """n row numbers of labels (N,) or (N, L): all rows alike, or, if even, all combinations that occur alike."""
    if not even:
        return torch.randint(len(labels), (n,), generator=generator)
    _, combination, counts = labels.cpu().unique(dim=0, return_inverse=True, return_counts=True)
    return torch.multinomial(1 / counts[combination].double(), n, replacement=True, generator=generator)


TEN = {"digit": tuple("0123456789")}


def digits() -> ImageSet:
    """1,797 real handwritten digits, 8x8 (Alpaydin and Kaynak, 1998), laid out like MNIST: 20x20 in 28x28.

    They ship inside scikit-learn, so this set needs no network.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = torch.tensor(bunch.images, dtype=torch.float32)[:, None] / 16  # (1797, 1, 8, 8) in [0, 1]
    large = interpolate(small, size=20, mode="bicubic", align_corners=False)  # (1797, 1, 20, 20)
    images = to_uint8(pad(large, (4, 4, 4, 4)) * 2 - 1)
    return ImageSet("digits", images, torch.tensor(bunch.target), TEN)


def mnist(train: bool = True) -> ImageSet:
    """MNIST (LeCun, Cortes and Burges, 1998): 60,000 handwritten digits to train on, 10,000 held out; 28x28.

    Looked for in $GANBOOK_DATA/MNIST/raw, downloaded there once by torchvision when missing.
    Raises InputError when it can be neither found nor fetched, or when a file is not the published one.
    """
    from torchvision.datasets import MNIST

    folder = data_folder() / "MNIST" / "raw"
    if not all((folder / name).is_file() for name in MNIST_SHA256):
        if (folder.parent / "processed").exists():  # torchvision would unpickle what is in there instead
            raise InputError(f"{folder.parent / 'processed'} is of a torchvision before 0.9: delete that folder")
        try:
            MNIST(data_folder(), download=True)
        except (OSError, RuntimeError, HTTPException) as error:
            raise InputError(
                f"MNIST is not in {folder} and could not be downloaded: put its four unpacked files there, or "
                "set GANBOOK_DATA to the folder that holds MNIST/raw; the data set 'digits' needs nothing"
            ) from error
    for name, expected in MNIST_SHA256.items():
        if sha256(folder / name) != expected:
            raise InputError(
                f"{folder / name} is not the published MNIST file (its SHA-256 differs): "
                "delete it, and it is downloaded anew"
            )
    part = "train" if train else "t10k"
    images = read_idx(folder / f"{part}-images-idx3-ubyte", 3)
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte", 1)
    return ImageSet("mnist", images[:, None], labels.long(), TEN)


def read_idx(path: Path, dimensions: int) -> Tensor:
    """The bytes in a file of MNIST's format: 0, 0, 8, the number of dimensions; each of them in 4 bytes; the data.

    Raises InputError for any other file.
    """
    raw = path.read_bytes()
    start = 4 + 4 * dimensions
    shape = [int.from_bytes(raw[i : i + 4]) for i in range(4, start, 4)]
    if raw[:4] != bytes([0, 0, 8, dimensions]) or len(raw) != start + math.prod(shape) or 0 in shape:
        raise InputError(f"{path} is no file of bytes in {dimensions} dimensions (or is cut): fetch it anew")
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8, offset=start).reshape(shape)


MNIST_SHA256 = {  # of the unpacked files, which torchvision does not check
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def data_folder() -> Path:
    """Where downloaded data sets live: $GANBOOK_DATA, else the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return expanded(os.environ.get("GANBOOK_DATA") or Path(cache) / "ganbook")


def expanded(path: str | Path) -> Path:
    """The path with a home folder for its ~. Raises InputError where that is nobody's."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path} is in no home folder that is known: write the whole path") from error


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
