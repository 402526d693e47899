"""Everything the book draws, in one style: pictures, losses, networks. The only module with matplotlib."""

import html
import inspect
import io
import json
import textwrap
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from math import log
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from PIL import Image
from torch import Tensor, nn
from torchvision.utils import make_grid

from ganbook.checkpoints import write
from ganbook.data import to_uint8
from ganbook.sampling import cycle_labels, draw_latents, evaluating, generate
from ganbook.toys import Mixture
from ganbook.training import Step

# Okabe and Ito's palette, which colour-blind readers can tell apart. D is blue, G is vermilion on every page.
BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6b6b6b"

plt.rcParams.update(
    {
        "figure.dpi": 100,
        "figure.facecolor": "white",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": matplotlib.cycler(color=[BLUE, VERMILION, GREEN, GREY]),
        "font.size": 11,
        "legend.frameon": False,
    }
)


def small_png(figure: Figure) -> bytes:
    """A figure as a PNG of 32 colours, or 128 where it holds colour pictures: a fifth of the size, or two."""
    png = io.BytesIO()
    figure.savefig(png, format="png", bbox_inches="tight")
    pictures = [picture.get_array() for axes in figure.axes for picture in axes.images]
    colourful = any(x.ndim == 3 and (x.max(2) > x.min(2)).any() for x in pictures)
    small = Image.open(png).convert("RGB").quantize(128 if colourful else 32, dither=Image.Dither.NONE)
    png = io.BytesIO()
    small.save(png, format="png", optimize=True)
    return png.getvalue()


def show_rows(rows: dict[str, Tensor], columns: int):
    """The first pictures (n, C, H, W) of each entry as a row with its name, for a notebook to show.

    As JPEG: it takes less room on a page.
    """
    from IPython.display import Image as Shown

    jpeg = io.BytesIO()
    rows_figure(rows, columns).savefig(
        jpeg, format="jpeg", dpi=76, bbox_inches="tight", pil_kwargs={"quality": 58}
    )
    return Shown(jpeg.getvalue(), format="jpeg")


def rows_figure(rows: dict[str, Tensor], columns: int) -> Figure:
    """What `show_rows` shows."""
    figure, axes = plt.subplots(figsize=(6.5, 5.5 * len(rows) / columns + 0.15), layout="constrained")
    draw_grid(axes, torch.cat([x[:columns].cpu() for x in rows.values()]), columns, [*rows])
    plt.close(figure)
    return figure


def save_rows(path: Path, rows: dict[str, Tensor], columns: int) -> None:
    """Write what `show_rows` shows as a PNG, for a page."""
    write(path, small_png(rows_figure(rows, columns)))


def prepare_notebook() -> None:
    """In a Jupyter kernel, show figures on the page, small, even where the user's shell sets MPLBACKEND=agg."""
    try:
        shell = get_ipython()  # noqa: F821  defined by IPython, and only inside it
    except NameError:
        return
    if matplotlib.get_backend().lower() in ("agg", "inline", "module://matplotlib_inline.backend_inline"):
        shell.run_line_magic("matplotlib", "inline")  # now, since it would replace small_png when it first draws
    shell.display_formatter.formatters["image/png"].for_type(Figure, small_png)


prepare_notebook()


def show_source(code: object) -> None:
    """Show the source of a function or class on the page: what is read there is what runs."""
    from IPython.display import Markdown, display

    display(Markdown(f"```python\n{textwrap.dedent(inspect.getsource(code))}```"))


def grid(images: Tensor, columns: int = 8, gap: int = 2) -> Tensor:
    """Pictures (n, C, H, W) in [-1, 1] side by side, as one uint8 picture (height, width, 3)."""
    return make_grid(to_uint8(images).cpu(), nrow=columns, padding=gap, pad_value=128).permute(1, 2, 0)


def save_images(path: Path, images: Tensor, columns: int = 8, gap: int = 2) -> None:
    """Write pictures (n, C, H, W) in [-1, 1] as one PNG."""
    png = io.BytesIO()
    picture = Image.fromarray(grid(images, columns, gap).numpy())
    picture = picture.convert("L") if images.shape[1] == 1 else picture
    picture.save(png, format="png", optimize=True)
    write(path, png.getvalue())


def show_images(images: Tensor, columns: int = 8) -> None:
    """Show pictures (n, C, H, W) in [-1, 1] as a grid."""
    height, width = grid(images, columns).shape[:2]
    figure, axes = plt.subplots(figsize=(7, 7 * height / width), layout="constrained")
    draw_grid(axes, images, columns)
    plt.show()


def class_figure(images: Tensor, classes: dict[str, Sequence[str]]) -> Figure:
    """What `class_grid` draws, with the names of rows and columns."""
    rows, *columns = classes.values()
    tops = columns[0] if columns else ()
    height, width = grid(images, len(images) // len(rows)).shape[:2]
    figure, axes = plt.subplots(figsize=(8, 8 * height / width), layout="constrained")
    draw_grid(axes, images, len(images) // len(rows), rows, tops)
    kinds = list(classes)
    axes.set_ylabel(kinds[0])
    axes.set_xlabel(kinds[1] if columns else "one z for each column")
    axes.xaxis.set_label_position("top")
    plt.close(figure)  # it is shown, or saved, by who asked for it
    return figure


def save_class_grid(path: Path, images: Tensor, classes: dict[str, Sequence[str]]) -> None:
    """Write what `class_grid` draws as one PNG, with the names of rows and columns, each pixel three wide."""
    png, rows = io.BytesIO(), next(iter(classes.values()))
    wide = grid(images, len(images) // len(rows)).shape[1]
    class_figure(images, classes).savefig(png, format="png", dpi=3 * wide / 8)  # it is 8 inches wide
    write(path, png.getvalue())


def show_confusion(counts: Tensor, names: Sequence[str]) -> None:
    """Counts (K, K) as shares of their row, asked for, by column, seen: the diagonal is what went right."""
    shares = (counts / counts.sum(1, keepdim=True).clamp(min=1)).numpy()
    figure, axes = plt.subplots(figsize=(5.2, 4.8), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if share < 0.005:
            continue
        axes.text(
            column,
            row,
            f"{share:.2f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if share > 0.5 else "black",
        )
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="seen by the classifier", ylabel="asked for")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    plt.show()


def draw_grid(axes, images: Tensor, columns: int, rows: Sequence[str] = (), tops: Sequence[str] = ()) -> None:
    """Pictures (n, C, H, W) in [-1, 1] as a grid on axes, with names at its rows and above its columns."""
    picture = grid(images, columns)
    cell = (len(picture) - 2) / -(-len(images) // columns)
    axes.clear()
    axes.imshow(picture.numpy(), interpolation="nearest")
    wide = (picture.shape[1] - 2) / columns
    axes.set_xticks([2 + wide * (i + 0.5) for i in range(len(tops))], tops)
    axes.xaxis.tick_top()
    axes.set_yticks([2 + cell * (i + 0.5) for i in range(len(rows))], rows)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def draw_points(axes, x: Tensor, data: Mixture, color: str = VERMILION) -> None:
    """Points (n, 2) as dots, and each mode of the data as a circle of three standard deviations."""
    axes.clear()
    for mean in data.means.cpu():
        axes.add_patch(plt.Circle(mean.tolist(), 3 * data.sd, fill=False, color=GREY, linewidth=1))
    axes.scatter(*x.cpu().T, s=3, color=color, linewidths=0, alpha=0.5)
    reach = 1.5 * data.means.abs().max().item()
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def show_points(panels: dict[str, Tensor], data: Mixture, columns: int = 4) -> None:
    """Sets of points (n, 2) side by side, each under its name, over the modes of the data."""
    rows, width = -(-len(panels) // columns), min(columns, len(panels))
    figure, grid_of_axes = plt.subplots(
        rows, width, figsize=(9, 9 / columns * rows + 0.3 * rows), layout="constrained", squeeze=False
    )
    for axes in grid_of_axes.flat[len(panels) :]:
        axes.axis("off")
    for axes, (name, x) in zip(grid_of_axes.flat, panels.items(), strict=False):
        draw_points(axes, x, data)
        axes.set_title(name, fontsize=10)
    plt.show()


FILM_WIDTH = 260  # pixels, of a film of points
FILM = """<figure style="margin:0;max-width:{width}px" data-captions="{captions}">
<div role="img" aria-label="{alt}"
style="aspect-ratio:{width}/{height};background:url(data:image/png;base64,{png}) 0 0/100% auto"></div>
<div style="display:flex;gap:.6em;align-items:center">
<button type="button" aria-label="play or pause" style="width:3em" onclick="
const button = this, range = this.nextElementSibling;
const stop = () => {{ clearInterval(button.timer); button.timer = 0; button.textContent = '▶'; }};
if (button.timer) return stop();
if (range.value === range.max) range.value = 0;
button.textContent = '❚❚';
button.timer = setInterval(() => {{
  if (range.value === range.max) return stop();
  range.stepUp(); range.oninput();
}}, 200);">▶</button>
<input type="range" min="0" max="{last}" value="0" aria-label="moment" style="flex:1;min-width:0" oninput="
const film = this.closest('figure');
film.querySelector('div').style.backgroundPositionY = 100 * this.value / this.max + '%';
film.querySelector('output').textContent = JSON.parse(film.dataset.captions)[this.value];">
<output style="width:7em">{first}</output></div></figure>"""


def show_film(points: dict[str, Tensor], data: Mixture, alt: str) -> None:
    """Sets of points (n, 2), each under its caption, as a film that starts at rest on its first frame."""
    from IPython.display import HTML, display

    frames = []
    for x in points.values():
        figure = Figure(figsize=(FILM_WIDTH / 100, FILM_WIDTH / 100), dpi=100)
        draw_points(figure.add_axes((0, 0, 1, 1)), x, data)
        frames.append(figure)
    display(HTML(film(frames, list(points), alt)))


def film(figures: Sequence[Figure], captions: Sequence[str], alt: str) -> str:
    """Figures of one size as a film that starts at rest on the first.

    Plain HTML around one picture of all frames: it plays, pauses and scrolls on a page without a kernel, too.
    """
    frames = []
    for figure in figures:
        png = io.BytesIO()
        figure.savefig(png, format="png")
        frames.append(Image.open(png).convert("RGB"))
    width, height = frames[0].size
    strip = Image.new("RGB", (width, height * len(frames)))
    for i, frame in enumerate(frames):
        strip.paste(frame, (0, height * i))
    png = io.BytesIO()
    strip = strip.quantize(16, kmeans=4, dither=Image.Dither.NONE)  # without kmeans small areas lose their color
    strip.save(png, format="png", optimize=True)
    return FILM.format(
        width=width,
        height=height,
        captions=html.escape(json.dumps(captions, ensure_ascii=False)),
        alt=html.escape(alt),
        png=b64encode(png.getvalue()).decode(),
        last=len(captions) - 1,
        first=html.escape(captions[0]),
    )


def watch(steps: Iterable[Step], G: nn.Module, total: int, shots: int = 6, n: int = 12) -> Iterator[Step]:
    """Pass the steps of `fit` through, and show G's pictures of the same n latents at `shots` moments.

    The figure grows while training runs; the film strip stays on the page. `total` is how many steps come.
    """
    from IPython.display import display

    z = draw_latents(G, n, seed=0)
    moments = {1, *(round(total * i / (shots - 1)) for i in range(1, shots))}
    strip, names, started, drawn = [], [], time.monotonic(), 0.0
    figure, axes = plt.subplots(figsize=(7, 7 * shots / n + 0.4), layout="constrained")
    plt.close(figure)  # it is shown by the handle alone
    handle = display(figure, display_id=True)
    for step in steps:
        if step.n in moments:
            strip.append(generate(G, z, cycle_labels(G, n)))
            names.append(f"{step.n:,}")
        if step.n in moments or time.monotonic() - drawn > 2:
            drawn = time.monotonic()
            draw_grid(axes, torch.cat(strip), n, names)
            axes.set_title(f"step {step.n:,} of {total:,}, {drawn - started:.0f} s", loc="left")
            handle.update(figure)
        yield step


def show_losses(history: Sequence[Step], window: int = 20, d_star: float = 0.5) -> None:
    """Both losses with their values at equilibrium, log 4 and log 2, and what D says of real and fake pictures.

    Thin lines are single steps; thick ones are means over the last `window` steps. d_star is what D says at
    equilibrium: with targets alpha and beta for real and fake, (alpha + beta)/2, and the lines stand there.
    """
    d_best, g_best = -2 * (d_star * log(d_star) + (1 - d_star) * log(1 - d_star)), -log(d_star)
    names = ("log 4", "log 2", "½") if d_star == 0.5 else (f"{d_best:.2f}", f"{g_best:.2f}", f"{d_star:g}")
    d_loss, g_loss, d_real, d_fake = torch.stack([torch.stack(step[:4]) for step in history]).cpu().unbind(1)
    n = [step.n for step in history]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    draw_curve(left, n, d_loss, window, BLUE, "D's loss")
    draw_curve(left, n, g_loss, window, VERMILION, "G's loss")
    left.axhline(d_best, color=BLUE, linestyle="--", linewidth=1, label=names[0])
    left.axhline(g_best, color=VERMILION, linestyle=":", linewidth=1.5, label=names[1])
    left.set(xlabel="step", title="Losses", ylim=(0, None))
    draw_curve(right, n, d_real, window, GREEN, "D(x), real")
    draw_curve(right, n, d_fake, window, GREY, "D(G(z)), fake")
    right.axhline(d_star, color="black", linestyle="--", linewidth=1, label=names[2])
    right.set(xlabel="step", title="What D says", ylim=(0, 1))
    for axes in (left, right):
        axes.legend(fontsize=9, ncols=2)
    plt.show()


def draw_curve(axes, n: Sequence[int], values: Tensor, window: int, color: str, label: str) -> None:
    axes.plot(n, values, color=color, alpha=0.2, linewidth=0.8)
    if len(values) >= window:
        axes.plot(n[window - 1 :], values.unfold(0, window, 1).mean(1), color=color, linewidth=2, label=label)


def trace_layers(net: nn.Module, x: Tensor) -> list[tuple[nn.Module, tuple[int, ...]]]:
    """Each layer of net, in the order in which x passes it, with the shape that it gives (without the batch)."""
    seen = []
    leaves = [module for module in net.modules() if not list(module.children())]
    hooks = [
        leaf.register_forward_hook(lambda m, _, out: seen.append((m, tuple(out.shape[1:])))) for leaf in leaves
    ]
    try:
        with evaluating(net):
            net(x)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def layer_table(net: nn.Module, x: Tensor) -> str:
    """The layers of net, their output shapes for an input like x, and their numbers of parameters."""
    rows = [("input", shape_name(x.shape[1:]), "")]
    for layer, shape in trace_layers(net, x):
        count = sum(p.numel() for p in layer.parameters())
        rows.append((type(layer).__name__, shape_name(shape), f"{count:,}" if count else ""))
    total = sum(p.numel() for p in net.parameters())
    rows = [("layer", "output", "parameters"), *rows, ("total", "", f"{total:,}")]
    return "\n".join(f"{layer:<16}{shape:<14}{count:>12}".rstrip() for layer, shape, count in rows)


def shape_name(shape: Sequence[int]) -> str:
    return " × ".join(str(size) for size in shape) or "1"


def show_networks(G: nn.Module, D: nn.Module) -> None:
    """Both networks as they are built: a bar for each size that the data takes, its height by the square root."""
    z = draw_latents(G, 1, seed=0)
    x = generate(G, z)
    figure, axes = plt.subplots(2, 1, figsize=(8, 5.2), layout="constrained")
    for panel, net, start, color, title in (
        (axes[0], G, z, VERMILION, "G: from noise to a picture"),
        (axes[1], D, x, BLUE, "D: from a picture to one logit"),
    ):
        draw_network(panel, [((), tuple(start.shape[1:])), *group_layers(trace_layers(net, start))], color)
        panel.set_title(title, loc="left")
    plt.show()


def group_layers(layers: list[tuple[nn.Module, tuple[int, ...]]]) -> list[tuple[list[str], tuple[int, ...]]]:
    """Layers in a row that keep the size belong to one bar: their names, and the last one's shape."""
    groups: list[tuple[list[str], tuple[int, ...]]] = []
    for layer, shape in layers:
        name = type(layer).__name__
        if groups and torch.Size(shape).numel() == torch.Size(groups[-1][1]).numel():
            groups[-1] = ([*groups[-1][0], name], shape)
        else:
            groups.append(([name], shape))
    return groups


def draw_network(axes, groups: list, color: str) -> None:
    tallest = max(torch.Size(shape).numel() for _, shape in groups) ** 0.5
    for i, (names, shape) in enumerate(groups):
        height = torch.Size(shape).numel() ** 0.5 / tallest
        axes.bar(i, height, 0.22, bottom=-height / 2, color=color, alpha=0.85)
        axes.text(i, height / 2 + 0.05, shape_name(shape), ha="center", va="bottom", fontweight="bold")
        axes.text(i - 0.5, 0, "\n".join(names), ha="center", va="center", fontsize=9, color="#333333")
    axes.set(xlim=(-0.6, len(groups) - 0.4), ylim=(-0.62, 0.75))
    axes.axis("off")


def growth_figure(card: dict) -> Figure:
    """Time and memory of a step against what grows, on logarithmic scales: a record of benchmarks/growth.py."""
    figure, rows = plt.subplots(2, len(card["sweeps"]), figsize=(10, 4.6), layout="constrained", sharey="row")
    for measure, row, color, ticks in (
        ("ms", rows[0], BLUE, (10, 100, 1000)),
        ("peak_mb", rows[1], GREEN, (500, 1000, 2000)),
    ):
        for axes, (key, points) in zip(row, card["sweeps"].items(), strict=True):
            x, y = [point[key] for point in points], [point[measure] for point in points]
            axes.loglog(x, y, "o-", color=color)
            if measure == "ms" and y[-1] > 2 * y[0]:
                axes.loglog(x, [y[-1] * value / x[-1] for value in x], ":", color=GREY)  # in proportion
            axes.minorticks_off()
            axes.set_xticks(x, [EngFormatter(sep="")(value) for value in x])
            axes.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
            axes.set_xlabel(key.replace("_", " ") if measure == "peak_mb" else "")
    rows[0, 0].set_ylabel("ms a step")
    rows[1, 0].set_ylabel("peak MB")
    rows[1, 0].set_ylim(400, 2_500)
    plt.close(figure)
    return figure
