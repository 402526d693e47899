"""What a reader moves: explorers with sliders. The only module with ipywidgets, which may be missing.

Each explorer is a picture that a pure function draws from numbers that another gives. With a kernel at hand the
sliders draw it anew; on a page without one, the picture of the start stands still.
"""

from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import cache
from math import cos, log, pi, sin
from typing import NamedTuple

import torch
from torch import Tensor, nn, trapezoid

from ganbook.avatars import HAIR, avatars, draw_avatars
from ganbook.classifiers import Classifier, blur, features_of, load_classifier
from ganbook.data import to_float, to_uint8
from ganbook.divergences import best_logits, jsd, value
from ganbook.drawings import Layer, describe, draw_explorer
from ganbook.metrics import measures_of
from ganbook.objectives import Minimax, NonSaturating
from ganbook.plots import BLUE, GREEN, GREY, VERMILION, Figure, draw_grid, small_png
from ganbook.sampling import draw_latents, generate
from ganbook.toys import bumps

try:
    import ipywidgets
except ImportError:  # the explorers then show their pictures, without sliders
    ipywidgets = None

DATA = bumps(-2.0, 2.0, sd=0.6)
X = torch.linspace(-25, 25, 2501, dtype=torch.float64)  # holds all of p and q, wherever the sliders stand
G_LOSSES = {"non-saturating": NonSaturating(), "minimax": Minimax()}
SEEN = X.abs() <= 7
Classes = dict[str, Sequence[str]]  # of each label: its name, what it may be
STYLE = {"non-saturating": (VERMILION, "-"), "minimax": ("black", "--")}


class Game(NamedTuple):
    """G's density q = N(mu, sd²) against the data's p and the best D, at the places X, each (N,)."""

    p: Tensor
    q: Tensor
    D: Tensor  # D*(x), a probability
    push: dict[str, Tensor]  # by each of G's losses: where a fake at x goes when its own loss falls, -d loss/dx
    V: float  # V(D*, G), nats
    jsd: float  # nats
    gradient: dict[str, tuple[float, float]]  # of each of G's losses by mu and by sd, D* held fixed


def game_state(mu: float, sd: float) -> Game:
    """Where the game of Goodfellow et al. (2014) stands when D is the best against G's density N(mu, sd²)."""
    G = bumps(mu, sd=sd)

    def best_D(x: Tensor, y: None = None) -> Tensor:
        return DATA.log_density(x) - G.log_density(x)  # best_logits, with slopes also where p or q rounds to 0

    fakes = X[:, None].clone().requires_grad_()
    p, q = DATA.log_density(X[:, None]).exp(), G.log_density(X[:, None]).exp()
    push, gradient = {}, {}
    for name, objective in G_LOSSES.items():
        total = objective.g_loss(best_D, fakes) * len(fakes)  # no mean: each fake feels its own loss alone
        slope = torch.autograd.grad(total, fakes)[0].squeeze(1)
        push[name] = -slope
        # A fake is x = mu + sd·eps, so dx/dmu = 1 and dx/dsd = eps: the gradients are means of slopes over q.
        eps = (X - mu) / sd
        gradient[name] = (trapezoid(q * slope, X).item(), trapezoid(q * slope * eps, X).item())
    logits = best_logits(p, q)
    return Game(p, q, logits.sigmoid(), push, value(logits, p, q, X).item(), jsd(p, q, X).item(), gradient)


def draw_game(mu: float, sd: float) -> Figure:
    """Above, both densities and the best D; below, how each of G's losses pushes a fake at x. Dots are fakes."""
    game = game_state(mu, sd)
    fakes = mu + sd * torch.linspace(-2, 2, 9, dtype=torch.float64)
    figure = Figure(figsize=(4.8, 5.6))  # narrow, so that its letters can be read on a phone
    figure.subplots_adjust(left=0.18, right=0.94, bottom=0.09, top=0.87, hspace=0.48)
    top, bottom = figure.subplots(2, 1, sharex=True)
    draw_densities(top, game)
    draw_push(bottom, game, fakes)
    bottom.set(xlim=(-7, 7), xlabel="x")
    for axes in (top, bottom):
        axes.yaxis.set_label_coords(-0.13, 0.5)  # fixed, or they would jump with the scale
    numbers = f"V(D*, G) = {game.V:.3f}    JSD = {game.jsd:.3f}    −log 4 = {-log(4):.3f}"
    figure.text(0.5, 0.965, numbers.replace("-", "−"), ha="center")
    return figure


def draw_densities(axes, game: Game) -> None:
    for density, color, name in ((game.p, GREEN, "data p"), (game.q, VERMILION, "G's q")):
        axes.fill_between(X[SEEN], density[SEEN], color=color, alpha=0.25)
        axes.plot(X[SEEN], density[SEEN], color=color, linewidth=2, label=name)
    axes.plot([], [], color=BLUE, linewidth=2, label="best D (right)")
    axes.set(ylim=(0, 0.8), yticks=[0, 0.4, 0.8], ylabel="density")
    axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 0.99), columnspacing=1.2, handlelength=1.4)
    right = axes.twinx()
    right.plot(X[SEEN], game.D[SEEN], color=BLUE, linewidth=2)
    right.axhline(0.5, color=BLUE, linestyle=":", linewidth=1)
    right.set(ylim=(0, 1), yticks=[0, 0.5, 1], yticklabels=["0", "½", "1"])
    right.tick_params(axis="y", colors=BLUE)


def draw_push(axes, game: Game, fakes: Tensor) -> None:
    """The curves are bold where there are fakes to feel them; the scale follows the fakes."""
    felt = SEEN & (X >= fakes.min()) & (X <= fakes.max())
    at = torch.searchsorted(X, fakes[fakes.abs() <= 7])
    for name, (color, line) in STYLE.items():
        push, by_mu, by_sd = game.push[name], *game.gradient[name]
        numbers = f"pushes μ by {-by_mu:+z.2f}, sd by {-by_sd:+z.2f}".replace("-", "−")
        axes.plot(X[SEEN], push[SEEN], color=color, linestyle=line, linewidth=1, alpha=0.35)
        axes.plot(X[felt], push[felt], color=color, linestyle=line, linewidth=2.5, label=f"{name}: {numbers}")
        axes.plot(X[at], push[at], "o", color=color, markersize=5)
    strongest = max(game.push[name][felt].abs().max() for name in STYLE)
    limit = next(size for size in (2, 5, 10, 20, 50) if size > strongest)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(ylim=(-limit, limit), yticks=[-limit, 0, limit], ylabel="push on a fake\nleft ←   → right")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.22, 0.97), handlelength=2)


def game_sliders(mu: float, sd: float) -> "ipywidgets.VBox":
    """Two sliders, for q's mean and width, above the picture that follows them."""
    look = {"layout": {"width": "auto"}, "style": {"description_width": "4.5em"}}
    mean = ipywidgets.FloatSlider(value=mu, min=-4, max=4, step=0.1, description="mean μ", **look)
    width = ipywidgets.FloatSlider(value=sd, min=0.2, max=3, step=0.1, description="width sd", **look)
    picture = ipywidgets.Image(value=small_png(draw_game(mu, sd)), format="png")

    def redraw(change):
        picture.value = small_png(draw_game(mean.value, width.value))

    mean.observe(redraw, "value")
    width.observe(redraw, "value")
    return ipywidgets.VBox([mean, width, picture], layout={"max_width": "480px"})


def explore_game() -> None:
    """Move and widen G's density, and see D*, V and the push on G. Without a kernel: a still picture at (1, 1)."""
    text = "The game at G's mean 1 and width 1; sliders move it where a kernel runs."
    show_explorer(small_png(draw_game(1, 1)), text, lambda: game_sliders(1, 1))


def show_explorer(still: bytes, text: str, controls: Callable[[], "ipywidgets.VBox"]) -> None:
    """One bundle of sliders, the picture where they are not at hand, and a constant text to compare."""
    from IPython.display import display

    bundle = {"image/png": b64encode(still).decode(), "text/plain": text}
    if ipywidgets:
        view = {"version_major": 2, "version_minor": 0, "model_id": controls().model_id}
        bundle["application/vnd.jupyter.widget-view+json"] = view
    display(bundle, raw=True)


RANGES = {
    "n": (1, 8),
    "kernel": (1, 5),
    "stride": (1, 3),
    "padding": (0, 3),
    "dilation": (1, 3),
    "output_padding": (0, 2),
}
KINDS = {"convolution": False, "transposed": True}


def convolution_sliders(layer: Layer) -> "ipywidgets.VBox":
    """A slider for each setting, and convolution or transposed, above the picture that follows them."""
    look = {"layout": {"width": "auto"}, "style": {"description_width": "7.5em"}}
    kind = ipywidgets.ToggleButtons(options=KINDS, value=layer.transposed)
    sliders = {
        name: ipywidgets.IntSlider(
            value=getattr(layer, name), min=low, max=high, description=name.replace("_", " "), **look
        )
        for name, (low, high) in RANGES.items()
    }
    picture = ipywidgets.Image(format="png")

    def redraw(change=None):
        sliders["output_padding"].disabled = not kind.value  # a convolution has none
        settings = {name: slider.value for name, slider in sliders.items()}
        picture.value = small_png(draw_explorer(Layer(**settings, transposed=kind.value)))

    for control in (kind, *sliders.values()):
        control.observe(redraw, "value")
    redraw()
    return ipywidgets.VBox([kind, *sliders.values(), picture], layout={"max_width": "480px"})


def explore_convolution() -> None:
    """Choose the settings of a layer, and see windows, sizes and overlap. Without a kernel: a still picture."""
    layer = Layer(3, 3, stride=2, transposed=True)
    text = f"{describe(layer)}; sliders change it where a kernel runs."
    show_explorer(small_png(draw_explorer(layer)), text, lambda: convolution_sliders(layer))


def latent(G: nn.Module, number: int, walk: float) -> Tensor:
    """The z of this number, or one on the way to the next: (1, latent_dim).

    cos·z + sin·z' of a quarter turn: like its ends a draw from N(0, I), where the straight way is shorter.
    """
    here, there = (draw_latents(G, 1, seed=seed) for seed in (number, number + 1))
    return cos(walk * pi / 2) * here + sin(walk * pi / 2) * there


def draw_asked(G: nn.Module, classes: Classes, y: Sequence[int], number: int, walk: float) -> Figure:
    """G's picture of one z and labels y, large; below, the same z with each value of the first label."""
    (kind, values), *_ = classes.items()
    labels = torch.tensor([[value, *y[1:]] for value in range(len(values))])
    pictures = generate(G, latent(G, number, walk).expand(len(values), -1), labels.to(next(G.parameters()).device))
    figure = Figure(figsize=(4.8, 4.4))
    large, strip = figure.subplots(2, 1, height_ratios=(3, 1))
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.01, top=0.92, hspace=0.12)
    draw_grid(large, pictures[y[0] : y[0] + 1], 1)
    names = [f"{v[i]} {k}" if len(classes) > 1 else v[i] for (k, v), i in zip(classes.items(), y, strict=True)]
    large.set_title(", ".join(names))
    columns = -(-len(values) // 2)
    draw_grid(strip, pictures, columns)
    strip.set_title(f"the same z, each {kind}", fontsize=9)
    return figure


def label_controls(G: nn.Module, classes: Classes) -> "ipywidgets.VBox":
    """A menu for each label, sliders for the number of z and for the walk to the next, above the picture."""
    look = {"layout": {"width": "auto"}, "style": {"description_width": "5.5em"}}
    menus = [
        ipywidgets.Dropdown(options=[(name, i) for i, name in enumerate(values)], description=kind, **look)
        for kind, values in classes.items()
    ]
    number = ipywidgets.IntSlider(value=0, min=0, max=99, description="z number", **look)
    walk = ipywidgets.FloatSlider(value=0, min=0, max=1, step=0.05, description="to the next", **look)
    picture = ipywidgets.Image(format="png")

    def redraw(change=None):
        y = [menu.value for menu in menus]
        picture.value = small_png(draw_asked(G, classes, y, number.value, walk.value))

    for control in (*menus, number, walk):
        control.observe(redraw, "value")
    redraw()
    return ipywidgets.VBox([*menus, number, walk, picture], layout={"max_width": "480px"})


def explore_labels(G: nn.Module, classes: Classes) -> None:
    """Choose labels, and move z: what does G draw? Without a kernel: a still picture of the first labels."""
    still = small_png(draw_asked(G, classes, [0] * len(classes), 0, 0.0))
    text = f"What G draws for each {' and '.join(classes)}; menus and sliders change it where a kernel runs."
    show_explorer(still, text, lambda: label_controls(G, classes))


FACES = 500
REAL = 2_000  # fewer hardly fill the 120 kinds of faces, and their balls reach from kind to kind
SEEDS = (1_003, 1_001, 1_002)  # of what G draws, of what is held out, of what it was trained on
BARS = {  # of `measure_spoiled`: where its bar is full
    "FID, avatars-classifier features": 30.0,
    "KID, avatars-classifier features": 0.3,
    "precision": 1.0,
    "recall": 1.0,
    "density": 1.2,
    "coverage": 1.0,
    "copying": 2.0,
    "hair as ordered": 1.0,
    "eyes as ordered": 1.0,
}


@cache
def spoil_faces(blurs: int, noise: float, dropped: int) -> tuple[Tensor, Tensor]:
    """Faces (n, 3, 32, 32) in [-1, 1] as a G might draw them, and their labels (n, 2).

    Always the same faces, but for what is wrong: blurred so many times, with noise of this standard deviation
    (then clipped), and without the last `dropped` hair colours; who had one of these gets one that is left.
    """
    faces = avatars(FACES, 32, SEEDS[0])
    labels = faces.labels.clone()
    labels[:, 0] %= len(HAIR) - dropped
    x = to_float(draw_avatars(labels, 32, SEEDS[0]))
    for _ in range(blurs):
        x = blur(x)
    x = x + noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return to_float(to_uint8(x)), labels  # as they would be stored


@cache
def reference() -> tuple[Classifier, Tensor, Tensor]:
    """The judge of avatars, and its features (n, 128) of held-out faces and of those that G was trained on."""
    C = load_classifier("avatars")
    return C, *(features_of(C.features, to_float(avatars(REAL, 32, seed).images)) for seed in SEEDS[1:])


@cache
def measure_spoiled(blurs: int, noise: float, dropped: int) -> dict[str, float]:
    """What each measure of BARS says of `spoil_faces`."""
    x, y = spoil_faces(blurs, noise, dropped)
    C, real, seen = reference()
    fake = features_of(C.features, x)
    logits = [head(fake) for head in C.heads]
    right = [(said.argmax(1) == asked).float().mean().item() for said, asked in zip(logits, y.T, strict=True)]
    return dict(zip(BARS, [*measures_of(real, fake, seen).values(), *right], strict=True))


def draw_spoiled(blurs: int, noise: float, dropped: int) -> Figure:
    """Twelve of the faces; below, a bar and a number for each measure. A line marks where nothing is wrong."""
    usual, now = measure_spoiled(0, 0.0, 0), measure_spoiled(blurs, noise, dropped)
    figure = Figure(figsize=(4.8, 5.2))
    figure.subplots_adjust(left=0.04, right=0.86, bottom=0.02, top=0.98, hspace=0)
    strip, bars = figure.subplots(2, 1, height_ratios=(3, 5))
    draw_grid(strip, spoil_faces(blurs, noise, dropped)[0][:12], 6)
    for row, (name, full) in enumerate(BARS.items()):
        length, mark = (min(max(value[name] / full, 0), 1) for value in (now, usual))
        bars.barh(row, length, 0.32, color=VERMILION)
        bars.plot([mark, mark], [row - 0.3, row + 0.3], color="black", linewidth=1.5)
        bars.text(0, row - 0.29, name, fontsize=9)
        bars.text(1.02, row, f"{now[name]:.3g}".replace("-", "−"), va="center")
    bars.set(xlim=(0, 1), ylim=(len(BARS) - 0.5, -0.7))
    bars.axis("off")
    return figure


def measure_sliders() -> "ipywidgets.VBox":
    """Sliders for blur, noise and hair colours dropped, above the picture that follows them."""
    look = {"layout": {"width": "auto"}, "style": {"description_width": "9em"}, "continuous_update": False}
    blurs = ipywidgets.IntSlider(value=0, min=0, max=6, description="times blurred", **look)
    noise = ipywidgets.FloatSlider(value=0, min=0, max=0.6, step=0.05, description="noise", **look)
    dropped = ipywidgets.IntSlider(value=0, min=0, max=11, description="hair colours dropped", **look)
    picture = ipywidgets.Image(format="png")

    def redraw(change=None):
        picture.value = small_png(draw_spoiled(blurs.value, noise.value, dropped.value))

    for control in (blurs, noise, dropped):
        control.observe(redraw, "value")
    redraw()
    return ipywidgets.VBox([blurs, noise, dropped, picture], layout={"max_width": "480px"})


def explore_measures() -> None:
    """Spoil 500 faces, and watch every measure. Without a kernel: a still picture of one that is spoiled."""
    text = f"What each measure says of {FACES} faces; sliders spoil them where a kernel runs."
    show_explorer(small_png(draw_spoiled(1, 0.1, 4)), text, measure_sliders)
