"""Synthetic faces in the manner of anime avatars, drawn by this module: every hair and eye colour is known.

No picture of anybody went into them. A face is a row of random numbers and two labels. Two shapes draw it
all, an egg and a stroke, each as the signed distance to its edge (negative inside): so one face can be drawn
at any size, with smooth edges, for a whole block of faces at once.

Lengths are in face units: an upright face of scale 1 spans [-1, 1] in x and y, with y pointing down.
"""

from math import pi

import numpy as np
import torch
from torch import Tensor

from ganbook.data import ImageSet
from ganbook.errors import InputError

# fmt: off
HAIR_COLOURS = {
    "aqua": (0.36, 0.86, 0.84), "black": (0.17, 0.16, 0.21), "blonde": (0.98, 0.87, 0.48),
    "blue": (0.22, 0.40, 0.88), "brown": (0.48, 0.29, 0.18), "gray": (0.57, 0.58, 0.62),
    "green": (0.32, 0.70, 0.36), "orange": (0.97, 0.56, 0.20), "pink": (0.99, 0.62, 0.77),
    "purple": (0.57, 0.34, 0.77), "red": (0.82, 0.18, 0.20), "white": (0.95, 0.95, 0.98),
}
EYE_COLOURS = {
    "aqua": (0.20, 0.84, 0.84), "black": (0.13, 0.13, 0.16), "blue": (0.16, 0.36, 0.92),
    "brown": (0.47, 0.27, 0.14), "green": (0.18, 0.64, 0.25), "orange": (0.98, 0.54, 0.10),
    "pink": (0.99, 0.45, 0.72), "purple": (0.56, 0.24, 0.84), "red": (0.86, 0.10, 0.12),
    "yellow": (0.96, 0.86, 0.22),
}
HAIR, EYES = tuple(HAIR_COLOURS), tuple(EYE_COLOURS)  # a label is the place in this order

SKIN = [  # from light to dark: a face lies anywhere between two neighbours
    (1.00, 0.91, 0.85), (0.99, 0.85, 0.75), (0.95, 0.77, 0.63),
    (0.85, 0.63, 0.47), (0.68, 0.46, 0.32), (0.50, 0.33, 0.23),
]
CLOTHES = [
    (0.93, 0.93, 0.95), (0.24, 0.29, 0.42), (0.62, 0.25, 0.30), (0.36, 0.50, 0.45),
    (0.85, 0.70, 0.45), (0.45, 0.40, 0.58), (0.80, 0.55, 0.58), (0.30, 0.30, 0.32),
]

# Strokes: root x, y, tip x, y, half-width at the root, at the tip, and how far the middle bends out; then 1
# where both sides of the head have it, 0 where only one has: by chance this one or the other.
BEHIND = {  # hairstyles: what shows behind the face
    "bob": [(0.40, -0.10, 0.46, 0.50, 0.28, 0.18, -0.10, 1)],
    "long": [(0.38, -0.10, 0.52, 1.20, 0.28, 0.30, -0.06, 1)],
    "wavy": [(0.44, -0.10, 0.62, 0.46, 0.26, 0.20, 0.05, 1), (0.60, 0.40, 0.58, 1.10, 0.23, 0.16, -0.14, 1)],
    "short": [(0.42, -0.10, 0.46, 0.40, 0.20, 0.04, -0.04, 1)],
    "buns": [
        (0.50, -0.68, 0.52, -0.70, 0.23, 0.23, 0.00, 1), (0.42, -0.10, 0.44, 0.36, 0.18, 0.02, -0.04, 1),
    ],
    "tail": [
        (0.42, -0.60, 0.80, 0.80, 0.24, 0.02, -0.40, 0), (0.42, -0.10, 0.44, 0.32, 0.18, 0.02, -0.04, 1),
    ],
    "tails": [
        (0.60, -0.38, 0.84, 0.85, 0.18, 0.02, -0.26, 1), (0.42, -0.10, 0.44, 0.36, 0.18, 0.02, -0.04, 1),
    ],
    "spiky": [
        (0.20, -0.50, 0.34, -1.02, 0.24, 0.00, -0.08, 1), (0.30, -0.35, 0.80, -0.74, 0.26, 0.00, -0.08, 1),
        (0.35, -0.15, 0.94, -0.20, 0.26, 0.00, -0.08, 1), (0.35, 0.05, 0.82, 0.36, 0.24, 0.00, -0.08, 1),
    ],
}
HIDES_EARS = 3  # so many of the first hairstyles do
FRINGES = {  # over the forehead: the tips stay above the eyes or beside them
    "blunt": [
        (0.13, -0.62, 0.13, -0.20, 0.15, 0.14, 0.00, 1), (0.37, -0.58, 0.37, -0.18, 0.15, 0.12, 0.00, 1),
        (0.52, -0.45, 0.55, 0.40, 0.13, 0.03, -0.03, 1),
    ],
    "pointed": [
        (0.04, -0.70, 0.00, 0.04, 0.18, 0.00, 0.04, 0), (0.26, -0.64, 0.26, -0.06, 0.20, 0.00, -0.05, 1),
        (0.48, -0.50, 0.54, 0.26, 0.17, 0.00, -0.05, 1),
    ],
    "swept": [
        (-0.24, -0.70, 0.50, 0.00, 0.20, 0.00, -0.18, 0), (-0.26, -0.68, 0.20, -0.02, 0.20, 0.00, -0.12, 0),
        (-0.30, -0.64, -0.50, 0.10, 0.18, 0.00, 0.12, 0), (0.48, -0.50, 0.56, 0.34, 0.15, 0.00, -0.05, 1),
    ],
    "parted": [
        (0.06, -0.76, 0.44, 0.00, 0.19, 0.00, -0.10, 1), (0.36, -0.60, 0.54, 0.44, 0.18, 0.00, -0.10, 1),
    ],
    "ragged": [
        (0.10, -0.68, 0.10, -0.04, 0.15, 0.00, -0.02, 1), (0.28, -0.62, 0.32, -0.02, 0.15, 0.00, -0.04, 1),
        (0.48, -0.50, 0.55, 0.16, 0.15, 0.00, -0.06, 1),
    ],
    "side": [
        (-0.14, -0.74, 0.42, -0.06, 0.19, 0.00, -0.12, 0), (0.20, -0.66, 0.58, 0.46, 0.20, 0.00, -0.16, 0),
        (-0.20, -0.72, -0.54, 0.40, 0.22, 0.00, 0.10, 0),
    ],
}
MOUTHS = [  # half-width, how far it bends down, height of the opening
    (0.09, 0.045, 0.0), (0.06, 0.02, 0.0), (0.05, 0.0, 0.0), (0.10, 0.015, 0.11), (0.055, 0.01, 0.06),
]

RANGES = {  # the numbers of a face, each uniform between two bounds; whole parts choose from the tables
    "shift_x": (-0.07, 0.07), "shift_y": (-0.03, 0.09), "scale": (0.98, 1.14), "tilt": (-0.16, 0.16),
    "turn": (-0.07, 0.07), "side": (-1, 1), "gaze_x": (-0.025, 0.025), "gaze_y": (-0.015, 0.015),
    "behind": (0, len(BEHIND)), "fringe": (0, len(FRINGES)), "mouth": (0, len(MOUTHS)),
    "mouth_y": (0.41, 0.45),
    "face_width": (0.52, 0.57), "chin": (0.58, 0.65), "taper": (0.28, 0.44), "skin": (0, len(SKIN) - 1),
    "eye_x": (0.25, 0.28), "eye_y": (0.12, 0.16), "eye_width": (0.145, 0.175), "eye_height": (0.155, 0.205),
    "slant": (-0.10, 0.07), "brow_y": (0.04, 0.09), "brow_slant": (-0.045, 0.01), "brow_bend": (0.01, 0.05),
    "blush": (0, 0.55), "shine": (0.35, 0.65), "shirt": (0, len(CLOTHES)), "collar": (0, len(CLOTHES)),
    "band": (0, len(CLOTHES)), "band_chance": (0, 1), "glasses_chance": (0, 1),
    "back_hue": (0, 1), "back_light": (0.45, 0.85), "back_contrast": (-0.2, 0.2), "back_angle": (0, 2 * pi),
    "back_blur": (-1, 2),
}
# fmt: on
BANDS, GLASSES = 0.2, 0.12  # the share of faces that wear one
BLOCK = 64  # faces are always drawn so many together, from one generator: see draw_avatars
LINE = 0.018  # how far an outline reaches out of its shape
HAIR_SHADE = torch.tensor([0.78, 0.74, 0.84])[:, None, None]
SKIN_SHADE = torch.tensor([0.86, 0.76, 0.76])[:, None, None]
RED = torch.tensor([0.85, 0.35, 0.38])[:, None, None]

Face = dict[str, Tensor]  # RANGES, drawn: every number (BLOCK, 1, 1)


def avatars(n: int = 4000, size: int = 64, seed: int = 0) -> ImageSet:
    """n synthetic faces (n, 3, size, size); labels (n, 2), hair and eyes: uniform, independent."""
    if n < 1:
        raise InputError(f"{n} avatars are not possible: take 1 or more")
    check_seed(seed)
    # A generator for each column, so that the first labels are the same whatever n is.
    hair, eyes = (
        torch.from_numpy(np.random.default_rng([seed, column, 1]).integers(len(names), size=n))
        for column, names in enumerate((HAIR, EYES))
    )
    labels = torch.stack([hair, eyes], 1)
    return ImageSet("avatars", draw_avatars(labels, size, seed), labels, {"hair": HAIR, "eyes": EYES})


def draw_avatars(labels: Tensor, size: int = 64, seed: int = 0) -> Tensor:
    """Faces with these labels, int64 (N, 2), hair and eyes: (N, 3, size, size) uint8.

    Picture i shows face i of this seed, whatever the size and the other labels; N does not matter.
    """
    check_seed(seed)
    check_labels(labels)
    if not 16 <= size <= 256:
        raise InputError(f"avatars of {size} pixels are not possible: take a size from 16 to 256")
    blocks = []
    for block, wanted in enumerate(labels.cpu().split(BLOCK)):
        full = torch.zeros(BLOCK, 2, dtype=torch.int64)  # the last block is drawn in full as well, then cut
        full[: len(wanted)] = wanted
        blocks.append(draw_block(full, size, np.random.default_rng([seed, block]))[: len(wanted)])
    return torch.cat(blocks)


def check_seed(seed: int) -> None:
    if seed < 0:
        raise InputError(f"seed {seed} is not possible: take 0 or more")


def check_labels(labels: Tensor) -> None:
    if labels.shape[1:] != (2,) or labels.dtype != torch.int64 or len(labels) == 0:
        raise InputError(
            f"labels of shape {tuple(labels.shape)} and type {labels.dtype}: give int64 (N, 2), hair and eyes"
        )
    for kind, column, names in zip(("hair", "eye"), labels.T, (HAIR, EYES), strict=True):
        for label in column[(column < 0) | (column >= len(names))].tolist():
            raise InputError(f"{kind} label {label} is not possible: take 0 to {len(names) - 1}")


def draw_block(labels: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """The faces of one generator: (BLOCK, 3, size, size) uint8."""
    drawn = torch.from_numpy(rng.random((len(RANGES), BLOCK, 1, 1), dtype=np.float32))
    p = {name: low + (high - low) * u for (name, (low, high)), u in zip(RANGES.items(), drawn, strict=True)}
    jitter = torch.from_numpy(rng.random((2, BLOCK, 8, 4), dtype=np.float32) - 0.5) * 0.06
    tint = torch.from_numpy(rng.random((BLOCK, 3, 1, 1), dtype=np.float32) - 0.5) * 0.06
    hair = (colours(HAIR_COLOURS.values(), labels[:, 0]) + tint).clamp(0, 1)
    eyes = colours(EYE_COLOURS.values(), labels[:, 1])
    skin = colours(SKIN, p["skin"]).lerp(colours(SKIN, p["skin"] + 1), (p["skin"] % 1)[:, None])

    line = (torch.arange(size, dtype=torch.float32) + 0.5) * (2 / size) - 1  # the middles of the pixels
    x, y = line - p["shift_x"], line[:, None] - p["shift_y"]
    cos, sin = p["tilt"].cos() / p["scale"], p["tilt"].sin() / p["scale"]
    x, y = x * cos + y * sin, y * cos - x * sin  # (BLOCK, size, size), face units
    near = x - p["turn"]  # what is nearer to us moves further when the head turns
    side = torch.where(p["side"] < 0, -1.0, 1.0)
    fringe, strands = hair_in_front(p, x - 0.5 * p["turn"], y, side, jitter[0])

    canvas = Canvas(size, pixel=2 / size / p["scale"])
    draw_background(canvas, p, line)
    draw_hair_behind(canvas, p, x * side, y, hair, jitter[1])
    draw_body(canvas, p, x, y, skin)
    draw_head(canvas, p, near, y, skin, fringe)
    draw_mouth(canvas, p, near, y - p["mouth_y"], skin)
    draw_eyes(canvas, p, near, y - p["eye_y"], eyes, hair)
    draw_hair_in_front(canvas, p, x, y, hair, fringe, strands)
    draw_brows_and_glasses(canvas, p, near, y - p["eye_y"], hair)
    return (canvas.pixels * 255).round().to(torch.uint8)


def colours(table, index: Tensor) -> Tensor:
    """Rows of a table of colours, chosen by the whole part of index: (B, 3, 1, 1)."""
    return torch.tensor(list(table))[index.flatten().long()][:, :, None, None]


class Canvas:
    """BLOCK pictures in [0, 1], painted shape over shape."""

    def __init__(self, size: int, pixel: Tensor):
        self.pixels = torch.zeros(BLOCK, 3, size, size)
        self.pixel = pixel  # its width in face units

    def cover(self, distance: Tensor, blur: Tensor | float = 0.0) -> Tensor:
        """How much of every pixel a shape covers, 0 to 1: a step as wide as a pixel and the blur."""
        return (0.5 - distance / (self.pixel + blur)).clamp(0, 1)

    def paint(self, cover: Tensor, colour: Tensor) -> None:
        """A colour, (B, 3, 1, 1) or (3, 1, 1), over what is there."""
        self.pixels.lerp_(colour, cover[:, None])

    def outlined(self, distance: Tensor, colour: Tensor, line: Tensor) -> None:
        self.paint(self.cover(distance - LINE), line)
        self.paint(self.cover(distance), colour)


def egg(x: Tensor, y: Tensor, rx, ry, taper=0.0) -> Tensor:
    """Signed distance, nearly, to an ellipse round (0, 0), its lower end narrower by the share `taper`."""
    u, v = x / (rx * (1 - taper * (y / ry).clamp(0, 1))), y / ry
    level = (u.square() + v.square()).sqrt()
    slope = ((u / rx).square() + (v / ry).square()).sqrt() + 1e-6
    return level * (level - 1) / slope


def stroke(x: Tensor, y: Tensor, root, tip, widths, bend=0.0) -> Tensor:
    """Signed distance, nearly, to a bent stroke with round ends, of half-widths at root and tip."""
    dx, dy = tip[0] - root[0], tip[1] - root[1]
    length = (dx**2 + dy**2) ** 0.5
    x, y = x - root[0], y - root[1]
    along, across = x * (dx / length) + y * (dy / length), y * (dx / length) - x * (dy / length)
    t = (along / length).clamp(0, 1)
    across = across - (4 * bend) * (t - t * t)
    return ((along - t * length).square() + across.square()).sqrt() - (
        widths[0] + (widths[1] - widths[0]) * (t * t)
    )


def stroke_table(table: dict) -> Tensor:
    """(rows, most strokes, 7): a stroke on both sides becomes two, and short rows are filled with nothing."""
    rows = []
    for strokes in table.values():
        both = [numbers[:7] for numbers in strokes if numbers[7]]
        mirrored = [(-x0, y0, -x1, y1, w0, w1, -bend) for x0, y0, x1, y1, w0, w1, bend in both]
        rows.append([numbers[:7] for numbers in strokes] + mirrored)
    most, nothing = max(map(len, rows)), (0, 0, 0, 1, -9, -9, 0)
    return torch.tensor([row + [nothing] * (most - len(row)) for row in rows])


def two_nearest(x: Tensor, y: Tensor, table: dict, row: Tensor, jitter: Tensor) -> tuple[Tensor, Tensor]:
    """Signed distances to the nearest and to the second nearest of the strokes in each face's row."""
    chosen = stroke_table(table)[row.flatten().long()]  # (B, most, 7)
    chosen[:, :, :4] += jitter[:, : chosen.shape[1]]
    first = second = torch.full_like(x, 9.0)
    for x0, y0, x1, y1, w0, w1, bend in chosen.permute(1, 2, 0)[..., None, None]:
        distance = stroke(x, y, (x0, y0), (x1, y1), (w0, w1), bend)
        second = torch.minimum(second, torch.maximum(first, distance))
        first = torch.minimum(first, distance)
    return first, second


def draw_background(canvas: Canvas, p: Face, line: Tensor) -> None:
    """Two muted colours, that meet in an edge or in a gradient."""
    hue = p["back_hue"][:, None] + torch.tensor([0.0, 1 / 3, 2 / 3])[:, None, None]
    colour = p["back_light"][:, None] + 0.12 * (2 * pi * hue).cos()
    canvas.pixels[:] = colour
    edge = line * p["back_angle"].cos() + line[:, None] * p["back_angle"].sin()
    half = canvas.cover(edge, blur=p["back_blur"].clamp(min=0))
    canvas.paint(half, (colour + p["back_contrast"][:, None]).clamp(0, 1))


def draw_hair_behind(canvas: Canvas, p: Face, x: Tensor, y: Tensor, hair: Tensor, jitter: Tensor) -> None:
    locks, _ = two_nearest(x, y, BEHIND, p["behind"], jitter)
    canvas.outlined(torch.minimum(locks, skull(x, y)), hair * HAIR_SHADE, hair * 0.4)


def skull(x: Tensor, y: Tensor) -> Tensor:
    return egg(x, y + 0.12, 0.64, 0.70)


def draw_body(canvas: Canvas, p: Face, x: Tensor, y: Tensor, skin: Tensor) -> None:
    shirt, collar = colours(CLOTHES, p["shirt"]), colours(CLOTHES, p["collar"])
    canvas.outlined(egg(x, y - 1.34, 0.80, 0.60), shirt, shirt * 0.5)
    throat = stroke(x, y, (0, 0.76), (0, 1.02), (0.17, 0))
    neck = torch.minimum(throat, stroke(x, y, (0, 0.4), (0, 0.8), (0.15, 0.15)))
    canvas.outlined(neck, skin * SKIN_SHADE, skin * 0.5)
    flaps = stroke(x.abs(), y, (0.20, 0.76), (0.06, 0.98), (0.06, 0.05))
    canvas.outlined(flaps, collar, shirt * 0.5)


def draw_head(canvas: Canvas, p: Face, x: Tensor, y: Tensor, skin: Tensor, fringe: Tensor) -> None:
    shade, line = skin * SKIN_SHADE, skin * 0.5
    ears = egg(x.abs() - p["face_width"], y - 0.14, 0.08, 0.13)
    canvas.outlined(ears + 9 * (p["behind"] < HIDES_EARS), shade, line)
    head = egg(x + 0.6 * p["turn"], y, p["face_width"], p["chin"], p["taper"])
    canvas.outlined(head, skin, line)
    canvas.paint(canvas.cover(head) * canvas.cover(fringe - 0.06), shade)  # the shadow of the fringe
    cheeks = egg(x.abs() - 0.34, y - 0.33, 0.13, 0.075)
    canvas.paint(canvas.cover(cheeks, blur=0.12) * p["blush"], RED)
    nose = stroke(x, y, (-0.01, 0.285), (0.012, 0.3), (0.012, 0.012))
    canvas.paint(canvas.cover(nose), line)


def draw_mouth(canvas: Canvas, p: Face, x: Tensor, y: Tensor, skin: Tensor) -> None:
    width, bend, opening = torch.tensor(MOUTHS)[p["mouth"].flatten().long()].T[..., None, None]
    hole = torch.maximum(egg(x, y, width, opening + 1e-3), -y)
    canvas.outlined(hole + 9 * (opening == 0), RED, skin * 0.4)
    lips = stroke(x, y, (-width, 0), (width, 0), (0.013, 0.013), bend)
    canvas.paint(canvas.cover(lips), skin * 0.4)


def draw_eyes(canvas: Canvas, p: Face, x: Tensor, y: Tensor, colour: Tensor, hair: Tensor) -> None:
    """Both at once: the left mirrors the right in all but the gaze and the lights."""
    w, h, sign = p["eye_width"], p["eye_height"], x.sign()
    x = x.abs() - p["eye_x"]
    y = y - p["slant"] * x
    white, ink = torch.ones(3, 1, 1), hair * 0.25 + 0.04
    inside = canvas.cover(egg(x, y, w, h, 0.15))
    canvas.paint(inside, white * 0.98)

    a, b = x * sign - p["gaze_x"], y - p["gaze_y"]  # from the middle of the iris, not mirrored
    iris = egg(a, b, 0.80 * w, h)
    glow = egg(a, b - 0.6 * h, 0.6 * w, 0.36 * h)
    pupil = egg(a, b, 0.30 * w, 0.40 * h)
    big = egg(a + 0.34 * w, b + 0.38 * h, 0.27 * w, 0.23 * h)
    small = egg(a - 0.32 * w, b - 0.44 * h, 0.14 * w, 0.12 * h)
    canvas.paint(inside * canvas.cover(iris), colour * 0.4)
    canvas.paint(inside * canvas.cover(iris + 0.015), colour * 0.9)
    canvas.paint(inside * canvas.cover(glow, blur=0.05) * 0.4, colour * 0.4 + 0.6)
    canvas.paint(inside * canvas.cover(pupil), colour * 0.25)
    canvas.paint(inside * canvas.cover(y + 0.68 * h, blur=0.06) * 0.5, ink)  # the shadow of the lid
    canvas.paint(inside * canvas.cover(torch.minimum(big, small)), white)

    upper = stroke(x, y, (-w, -0.40 * h), (1.14 * w, -0.30 * h), (0.018, 0.036), -0.68 * h)
    lower = stroke(x, y, (-0.5 * w, 0.86 * h), (0.6 * w, 0.80 * h), (0.005, 0.010), 0.18 * h)
    canvas.paint(canvas.cover(torch.minimum(upper, lower)), ink)


def hair_in_front(p: Face, x: Tensor, y: Tensor, side: Tensor, jitter: Tensor) -> tuple[Tensor, Tensor]:
    """Signed distances to the hair before the face, and to the lines between its locks."""
    nearest, second = two_nearest(x * side, y, FRINGES, p["fringe"], jitter)
    face = egg(x, y - 0.22, 0.50, 0.66)
    cap = torch.maximum(skull(x, y), torch.maximum(-face, y - 0.1))
    bounds = egg(x, y - 0.10, 0.74, 0.92)  # no lock stands out from the head
    lines = torch.maximum(second - nearest - 0.008, -0.07 - nearest)
    return torch.maximum(torch.minimum(cap, nearest), bounds), lines


def draw_hair_in_front(
    canvas: Canvas, p: Face, x: Tensor, y: Tensor, hair: Tensor, fringe: Tensor, strands: Tensor
) -> None:
    canvas.outlined(fringe, hair, hair * 0.4)
    inside = canvas.cover(fringe)
    canvas.paint(inside * (0.9 * y + 0.15).clamp(0, 0.7), hair * HAIR_SHADE)  # darker further down
    faded = (2.5 * y + 1.7).clamp(0, 0.7) * (4 - 9 * x.abs()).clamp(0, 1)  # no lines at the crown and the ears
    canvas.paint(inside * canvas.cover(strands) * faded, hair * 0.6)
    gloss = stroke(x.abs(), y, (0.03, -0.56), (0.48, -0.36), (0.05, 0.0), -0.06)
    canvas.paint(inside * canvas.cover(gloss) * p["shine"], hair * 0.4 + 0.6)
    band = stroke(x, y, (-0.64, -0.24), (0.64, -0.24), (0.055, 0.055), -0.46) + 9 * (p["band_chance"] > BANDS)
    colour = colours(CLOTHES, p["band"])
    canvas.paint(inside * canvas.cover(band - LINE), colour * 0.5)
    canvas.paint(inside * canvas.cover(band), colour)


def draw_brows_and_glasses(canvas: Canvas, p: Face, x: Tensor, y: Tensor, hair: Tensor) -> None:
    """Over the fringe: the brows of such faces are seen through their hair."""
    u, v = x.abs() - p["eye_x"], y + p["eye_height"] + p["brow_y"]
    brows = stroke(u, v, (-0.12, p["brow_slant"]), (0.14, -p["brow_slant"]), (0.018, 0.010), -p["brow_bend"])
    canvas.paint(canvas.cover(brows) * 0.8, hair * 0.35)
    bridge = stroke(x, y, (-0.05, 0), (0.05, 0), (0, 0), -0.02)
    rims = torch.minimum(egg(u, y, 0.225, 0.225).abs(), bridge) - 0.012
    canvas.paint(canvas.cover(rims + 9 * (p["glasses_chance"] > GLASSES)), colours(CLOTHES, p["band"]) * 0.4)
