"""What is drawn is what is there."""

import html
import io
import json
import re
from base64 import b64decode

import torch
from matplotlib.figure import Figure
from PIL import Image

from ganbook.mlp import MLPDiscriminator, MLPGenerator
from ganbook.plots import (
    FILM_WIDTH,
    class_figure,
    draw_points,
    grid,
    group_layers,
    growth_figure,
    layer_table,
    plt,
    save_images,
    show_confusion,
    show_film,
    show_losses,
    show_points,
    show_rows,
    small_png,
    trace_layers,
    watch,
)
from ganbook.toys import ring
from ganbook.training import Step


def test_grid_puts_pictures_in_rows():
    images = torch.stack([torch.full((1, 4, 4), value) for value in (-1.0, 0.0, 1.0)])
    picture = grid(images, columns=2)
    assert picture.shape == (2 * 6 + 2, 2 * 6 + 2, 3) and picture.dtype == torch.uint8
    assert [picture[3, 3, 0].item(), picture[3, 9, 0].item(), picture[9, 3, 0].item()] == [0, 128, 255]


def test_save_images_writes_what_grid_shows(tmp_path):
    images = torch.rand(5, 1, 28, 28) * 2 - 1
    save_images(tmp_path / "some.png", images, columns=3)
    with Image.open(tmp_path / "some.png") as picture:
        assert picture.mode == "L"
        assert picture.convert("RGB").tobytes() == grid(images, columns=3).numpy().tobytes()


def test_rows_of_pictures_hold_the_first_of_each(monkeypatch):
    drawn = []
    monkeypatch.setattr("ganbook.plots.draw_grid", lambda axes, *what: drawn.append(what))
    dark, light = torch.full((5, 1, 4, 4), -1.0), torch.ones(5, 1, 4, 4)
    light[3:] = 0  # beyond the three columns
    shown = show_rows({"dark": dark, "light": light}, 3)
    ((x, columns, names),) = drawn
    assert x.flatten(1).mean(1).tolist() == [-1, -1, -1, 1, 1, 1] and (columns, names) == (3, ["dark", "light"])
    assert Image.open(io.BytesIO(shown.data)).format == "JPEG"


def test_layers_are_traced_in_the_order_of_the_data():
    G = MLPGenerator()
    seen = trace_layers(G, torch.randn(2, 100))
    assert [shape for _, shape in seen][-3:] == [(784,), (784,), (1, 28, 28)]
    assert [layer for layer, _ in seen] == list(G.net)
    assert not any(layer._forward_hooks for layer in G.modules()) and G.training


def test_layer_table_counts_every_parameter():
    D = MLPDiscriminator()
    lines = layer_table(D, torch.randn(1, 1, 28, 28)).splitlines()
    assert lines[-1].split() == ["total", "1,460,225"]
    counts = [int(line.split()[-1].replace(",", "")) for line in lines if line.startswith("Linear")]
    assert sum(counts) == 1_460_225


def test_one_bar_for_each_size_of_the_data():
    groups = group_layers(trace_layers(MLPGenerator(), torch.randn(1, 100)))
    assert [shape for _, shape in groups] == [(256,), (512,), (1024,), (1, 28, 28)]
    assert groups[-1][0] == ["Linear", "Tanh", "Unflatten"]


def test_watch_passes_every_step_on_and_draws_at_its_moments(monkeypatch):
    shown = []

    class Handle:
        def update(self, figure: Figure):
            shown.append(figure.axes[0].get_title(loc="left"))

    monkeypatch.setattr("IPython.display.display", lambda figure, display_id: Handle())
    G, nothing = MLPGenerator(), torch.zeros(())
    steps = [Step(nothing, nothing, nothing, nothing, n=n) for n in range(1, 11)]
    state = torch.get_rng_state()
    assert list(watch(steps, G, total=10, shots=3, n=2)) == steps
    assert [title.split(",")[0] for title in shown] == ["step 1 of 10", "step 5 of 10", "step 10 of 10"]
    assert torch.equal(state, torch.get_rng_state())  # looking does not change what is trained
    assert not plt.get_fignums()


def test_small_png_is_small():
    figure = Figure()
    figure.subplots().imshow(torch.rand(50, 50).numpy())
    assert small_png(figure)[:4] == b"\x89PNG" and len(small_png(figure)) < 20_000


def test_points_are_drawn_over_the_modes():
    _, axes = plt.subplots()
    points = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    draw_points(axes, points, ring(sd=0.1))
    assert axes.collections[0].get_offsets().tolist() == points.tolist()
    assert len(axes.patches) == 8 and {round(circle.radius, 6) for circle in axes.patches} == {0.3}
    plt.close()


def test_sets_of_points_side_by_side(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    show_points({f"set {i}": torch.zeros(3, 2) for i in range(5)}, ring())
    panels = plt.gcf().axes
    assert [axes.get_title() for axes in panels if axes.axison] == [f"set {i}" for i in range(5)]
    plt.close()


def test_a_film_rests_on_its_first_frame_and_holds_them_all(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    frames = {"step 1": torch.zeros(5, 2), 'step "2"': torch.ones(5, 2), "step 3": -torch.ones(5, 2)}
    show_film(frames, ring(), alt="points <move>")
    text = shown[0].data
    strip = Image.open(io.BytesIO(b64decode(re.search(r"base64,([^)]*)\)", text).group(1))))
    assert strip.size == (FILM_WIDTH, 3 * FILM_WIDTH)
    tops = [
        strip.crop((0, FILM_WIDTH * i, FILM_WIDTH, FILM_WIDTH * (i + 1))).convert("RGB").tobytes()
        for i in range(3)
    ]
    assert len(set(tops)) == 3
    assert json.loads(html.unescape(re.search(r'data-captions="([^"]*)"', text).group(1))) == list(frames)
    assert 'value="0"' in text and "<output style" in text and ">step 1</output>" in text
    assert 'aria-label="points &lt;move&gt;"' in text and "autoplay" not in text and "http" not in text
    assert not plt.get_fignums()


def test_the_lines_of_equilibrium_move_with_the_targets(monkeypatch):
    """With targets 0.9 and 0: D* = 0.45, D's loss 2H(0.45) = 1.376, G's -log 0.45 = 0.799."""
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    history = [Step(*torch.rand(4), n) for n in range(1, 31)]
    for d_star, expected in ((0.5, (1.3863, 0.6931, 0.5)), (0.45, (1.3763, 0.7985, 0.45))):
        show_losses(history, d_star=d_star)
        lines = [line for axes in shown[-1].axes for line in axes.lines if len(set(line.get_ydata())) == 1]
        assert [round(line.get_ydata()[0], 4) for line in lines] == list(expected)
        plt.close(shown[-1])
    assert [line.get_label() for line in lines] == ["1.38", "0.80", "0.45"]


def test_a_confusion_matrix_shows_shares_of_what_was_asked(monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    show_confusion(torch.tensor([[3, 1], [0, 0]]), ["cat", "dog"])
    (axes,) = shown[0].axes
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0, 0]]
    assert [(t.get_text(), t.get_position()) for t in axes.texts] == [("0.75", (0, 0)), ("0.25", (1, 0))]
    plt.close(shown[0])


def test_a_grid_of_classes_names_its_rows_and_columns():
    images = torch.zeros(6, 3, 8, 8)
    two = class_figure(images, {"hair": ("red", "blue"), "eyes": ("red", "green", "gray")}).axes[0]
    assert [t.get_text() for t in two.get_yticklabels()] == ["red", "blue"] and two.get_ylabel() == "hair"
    assert [t.get_text() for t in two.get_xticklabels()] == ["red", "green", "gray"] and two.get_xlabel() == "eyes"
    one = class_figure(images, {"digit": ("0", "1")}).axes[0]
    assert one.images[0].get_array().shape[:2] == (22, 32) and not one.get_xticklabels()
    assert not plt.get_fignums()


def test_ticks_of_large_counts_are_short():
    points = [{"pictures": n, "ms": 50, "peak_mb": 800} for n in (64, 1_000, 10_000, 100_000, 1_000_000)]
    figure = growth_figure({"sweeps": {"pictures": points, "batch": [{"batch": 8, "ms": 9, "peak_mb": 700}]}})
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["64", "1k", "10k", "100k", "1M"]
