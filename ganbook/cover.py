"""The picture on the book's cover: what its generators draw when they are asked, in one strip."""

import io
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, pad
from torchvision.utils import make_grid

from ganbook.checkpoints import write
from ganbook.data import to_uint8
from ganbook.recipes import load_pretrained
from ganbook.records import read_record
from ganbook.sampling import draw_latents, generate

COVER = Path("book/_static/cover.jpg")
# In the order of the rainbow, after the hair without a colour: two columns of faces each.
HAIR = ["black", "gray", "white", "brown", "red", "orange", "blonde", "green", "aqua", "blue", "purple", "pink"]
EYES = ["red", "green", "blue", "purple"]  # a row of faces each
DIGITS = "314159265358979323846264"  # of π, one under each column
SIZE = 64  # pixels of a face, and of a digit


def ordered_faces(seed: int = 0) -> Tensor:
    """A row for each of EYES, two columns for each of HAIR, drawn by the ACGAN: (4 · 24, 3, 64, 64) in [-1, 1].

    One z goes down each column, so that in a column only the eyes were asked to change.
    """
    G, _ = load_pretrained("acgan")
    classes = read_record("acgan")["classes"]
    hair = torch.tensor([classes["hair"].index(name) for name in HAIR for _ in range(2)])
    eyes = torch.tensor([classes["eyes"].index(name) for name in EYES])
    z = draw_latents(G, len(hair), seed)
    y = torch.stack([hair.repeat(len(eyes)), eyes.repeat_interleave(len(hair))], 1)
    return generate(G, z.repeat(len(eyes), 1), y)


def ordered_digits(seed: int = 0) -> Tensor:
    """DIGITS in a row, drawn by the CGAN, each pixel two wide: (24, 3, 64, 64) in [-1, 1]."""
    G, _ = load_pretrained("cgan")
    y = torch.tensor([[int(digit)] for digit in DIGITS])
    large = interpolate(generate(G, draw_latents(G, len(y), seed), y), scale_factor=2)
    around = (SIZE - large.shape[-1]) // 2
    return pad(large, [around] * 4, value=-1).expand(-1, 3, -1, -1)


def draw_cover() -> Image.Image:
    """All faces, and the digits below them: 1536 by 320 pixels."""
    pictures = torch.cat([ordered_faces(), ordered_digits()])
    mosaic = make_grid(to_uint8(pictures), nrow=len(DIGITS), padding=0)
    return Image.fromarray(mosaic.permute(1, 2, 0).numpy())


def save_cover(path: Path = COVER) -> None:
    """Write the picture as a JPEG, which every reader of web pages and of e-books shows."""
    jpeg = io.BytesIO()
    draw_cover().save(jpeg, format="jpeg", quality=78, optimize=True, progressive=True)
    write(path, jpeg.getvalue())
