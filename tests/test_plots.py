"""What is drawn is what is there."""

import torch
from matplotlib.figure import Figure
from PIL import Image

from ganbook.mlp import MLPDiscriminator, MLPGenerator
from ganbook.plots import grid, group_layers, layer_table, plt, save_images, small_png, trace_layers, watch
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
