"""A convolution as a picture: the grid of its input, the grid of its output, and the window that joins them.

A convolution reads a window of the wide grid into one pixel of the narrow one; a transposed convolution goes the
other way through the same windows. So both are one drawing, in D's blue or in G's vermilion.
"""

import textwrap
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from ganbook.convolution import conv_output_size, hits, transposed_output_size, window
from ganbook.errors import InputError
from ganbook.plots import BLUE, GREEN, GREY, VERMILION, Figure, film, plt

GAP = 2  # pixels between the two grids
FILM_WIDTH = 3.4  # inches of 100 pixels


class Layer(NamedTuple):
    """A convolution of an n by n picture, or a transposed one."""

    n: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    output_padding: int = 0
    transposed: bool = False

    @property
    def output_size(self) -> int:
        settings = (self.n, self.kernel, self.stride, self.padding)
        if self.transposed:
            return transposed_output_size(*settings, self.output_padding, self.dilation)
        return conv_output_size(*settings, self.dilation)

    @property
    def wide(self) -> int:  # the grid that windows lie on
        return self.output_size if self.transposed else self.n

    @property
    def narrow(self) -> int:  # the grid with a pixel for each window
        return self.n if self.transposed else self.output_size

    @property
    def places(self) -> range:  # the wide grid with its padding, or with what is cut off
        end = self.wide if self.transposed else self.wide + self.padding
        return range(-self.padding, max(end, self.windows[-1][-1] + 1))

    @property
    def windows(self) -> list[range]:
        return [window(i, self.kernel, self.stride, self.padding, self.dilation) for i in range(self.narrow)]

    def hits(self, row: int, column: int) -> Tensor:
        """How many windows hold each pixel of the wide grid, up to the one at (row, column), line by line."""
        here = torch.tensor(hits(self.wide, self.windows[row : row + 1]))
        above = torch.tensor(hits(self.wide, self.windows[:row]))
        everywhere = torch.tensor(hits(self.wide, self.windows))
        left = torch.tensor(hits(self.wide, self.windows[: column + 1]))
        return torch.outer(above, everywhere) + torch.outer(here, left)


def formula(layer: Layer) -> str:
    """The size of the output with its numbers put in, minus signs and all."""
    n, k, s, p, d, extra, transposed = layer
    if transposed:
        line = f"({n} - 1)·{s} - 2·{p} + {d}·({k} - 1) + {extra} + 1"
    else:
        line = f"⌊({n} + 2·{p} - {d}·({k} - 1) - 1) / {s}⌋ + 1"
    return f"{line} = {layer.output_size}".replace("-", "−")


def draw_layer(axes, layer: Layer, row: int, column: int, done: Tensor) -> None:
    """The layer at work on the window at (row, column). `done`: how many windows each pixel has met so far."""
    places, windows = layer.places, layer.windows
    width, height = len(places) + GAP + layer.narrow, max(len(places), layer.narrow)
    axes.set(xlim=(-0.1, width + 0.1), ylim=(height + 0.1, -0.1), aspect="equal")
    axes.axis("off")
    cell = min(axes.bbox.width / width, axes.bbox.height / height)  # size of a pixel on paper
    left = layer.narrow + GAP if layer.transposed else 0
    wide_at = (left + layer.padding, (height - len(places)) / 2 + layer.padding)  # where pixel (0, 0) is drawn
    narrow_at = (0 if layer.transposed else len(places) + GAP, (height - layer.narrow) / 2)
    draw_border(axes, wide_at, places)
    draw_wide(axes, layer, done, wide_at, cell)
    draw_narrow(axes, layer, row * layer.narrow + column, narrow_at, cell)
    draw_window(axes, layer, (windows[row], windows[column]), wide_at)
    for x, align, name, size in ((0, "left", "input", layer.n), (1, "right", "output", layer.output_size)):
        axes.text(x, 1.02, f"{name} {size} × {size}", transform=axes.transAxes, fontsize=10, ha=align)


def draw_border(axes, corner: tuple[float, float], places: range) -> None:
    """Dashed: pixels that are not there, zeros for a convolution, cut off by a transposed one."""
    x, y = corner
    ends = [places[0], places[-1] + 1]
    look = {"color": GREY, "linewidth": 0.7, "linestyle": (0, (3, 2))}
    edges = torch.arange(ends[0], ends[1] + 1).numpy()
    axes.vlines(x + edges, y + ends[0], y + ends[1], **look)
    axes.hlines(y + edges, x + ends[0], x + ends[1], **look)


def draw_cells(axes, corner: tuple[float, float], shares: Tensor, color: str, cell: float) -> None:
    """A square grid of pixels, each white with its share of the color."""
    x, y = corner
    edges = torch.arange(len(shares) + 1).numpy()
    rgb = torch.tensor([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    pixels = 1 - shares[..., None] * (1 - rgb)
    axes.pcolormesh(x + edges, y + edges, pixels.numpy(), edgecolors=GREY, linewidth=min(0.7, cell / 40))


def draw_wide(axes, layer: Layer, done: Tensor, corner: tuple[float, float], cell: float) -> None:
    """Grey: pixels that no window of a convolution reads. A transposed convolution shows what has been added."""
    in_the_end = layer.hits(layer.narrow - 1, layer.narrow - 1)
    if not layer.transposed:
        draw_cells(axes, corner, 0.35 * (in_the_end == 0), GREY, cell)
        return
    draw_cells(axes, corner, 0.6 * done / in_the_end.max().clamp(min=1), VERMILION, cell)
    x, y = corner
    if cell >= 14:
        pixels = product(range(layer.wide), repeat=2)
        for (i, j), count in zip(pixels, done.flatten().tolist(), strict=True):
            look = {"ha": "center", "va": "center", "fontsize": min(10, cell / 2)}
            axes.text(x + j + 0.5, y + i + 0.55, str(count), **look)
    inner = layer.wide - layer.output_padding
    if layer.output_padding:
        axes.plot([x + inner, x + inner, x], [y, y + inner, y + inner], color=GREEN, linewidth=3)


def draw_narrow(axes, layer: Layer, now: int, corner: tuple[float, float], cell: float) -> None:
    """One pixel for each window: done, the one at work, and still to come."""
    shares = torch.where(torch.arange(layer.narrow**2) < now, 0.25, 0.0)
    shares[now] = 1.0
    draw_cells(axes, corner, shares.reshape(layer.narrow, layer.narrow), color_of(layer), cell)


def draw_window(axes, layer: Layer, places: tuple[range, range], corner: tuple[float, float]) -> None:
    """The kernel where it lies now, each of its weights a tinted square."""
    (rows, columns), (x, y) = places, corner
    for i in rows:
        for j in columns:
            axes.add_patch(plt.Rectangle((x + j, y + i), 1, 1, color=color_of(layer), alpha=0.3, linewidth=0))
    span = rows[-1] + 1 - rows[0]
    outline = {"fill": False, "edgecolor": color_of(layer), "linewidth": 2.5, "zorder": 5}
    axes.add_patch(plt.Rectangle((x + columns[0], y + rows[0]), span, span, **outline))


def color_of(layer: Layer) -> str:
    return VERMILION if layer.transposed else BLUE


def show_layer(n: int, kernel: int, **settings) -> None:
    """A film of the kernel on its way, one frame for each position. `settings` are those of `Layer`."""
    from IPython.display import HTML, display

    layer = Layer(n, kernel, **settings)
    places = [(row, column) for row in range(layer.narrow) for column in range(layer.narrow)]
    captions = [f"{i} of {len(places)}" for i in range(1, len(places) + 1)]
    display(HTML(film([draw_frame(layer, *place) for place in places], captions, describe(layer))))


def draw_frame(layer: Layer, row: int, column: int) -> Figure:
    high = len(layer.places)
    cell = min(0.3, FILM_WIDTH / (high + GAP + layer.narrow + 0.5))  # inches
    height = cell * (max(high, layer.narrow) + 0.5)
    figure = Figure(figsize=(FILM_WIDTH, round(height + 0.3, 2)), dpi=100)
    axes = figure.add_axes((0.01, 0, 0.98, height / (height + 0.3)))
    draw_layer(axes, layer, row, column, layer.hits(row, column))
    return figure


def describe(layer: Layer) -> str:
    """The layer in words: for those who do not see its picture."""
    kind = "transposed convolution" if layer.transposed else "convolution"
    settings = [f"{name.replace('_', ' ')} {getattr(layer, name)}" for name in ("stride", "padding", "dilation")]
    settings += [f"output padding {layer.output_padding}"] * layer.transposed
    return (
        f"A {layer.kernel} by {layer.kernel} kernel of a {kind} moves over {layer.n} by {layer.n} pixels, "
        f"{', '.join(settings)}; the output is {layer.output_size} by {layer.output_size}"
    )


def draw_explorer(layer: Layer) -> Figure:
    """The layer at its middle pixel, its formula with numbers, how often pixels are met; or why it cannot be."""
    figure = Figure(figsize=(4.8, 4.9))  # narrow, so that its letters can be read on a phone
    frame = plt.Rectangle((0, 0), 1, 1, transform=figure.transFigure, fill=False, edgecolor="white")
    figure.add_artist(frame)  # or the picture's size would follow what is on it
    try:
        size = formula(layer)
    except InputError as error:
        message = textwrap.fill(f"Impossible: {error}", 50)
        figure.text(0.5, 0.5, message, ha="center", va="center", color=VERMILION)
        return figure
    last, middle = layer.narrow - 1, layer.narrow // 2
    axes = figure.add_axes((0.02, 0.22, 0.96, 0.72))
    draw_layer(axes, layer, middle, middle, layer.hits(last, last))
    counts = textwrap.fill(" ".join(map(str, hits(layer.wide, layer.windows))), 50)
    verb = "added into each output pixel" if layer.transposed else "windows on each input pixel"
    figure.text(0.5, 0.14, size, ha="center", fontsize=12)
    figure.text(0.5, 0.07, f"{verb}, along an axis:\n{counts}", ha="center", va="center", fontsize=10)
    return figure
