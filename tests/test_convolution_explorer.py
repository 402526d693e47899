"""Convolutions drawn: what the films and the explorer show is what the layer does."""

import html
import importlib.util
import io
import json
import re
import sys
from base64 import b64decode

import pytest
import torch
from PIL import Image
from torch.nn.functional import conv2d, conv_transpose2d

from ganbook import widgets
from ganbook.convolution import overlap
from ganbook.drawings import Layer, describe, draw_explorer, draw_frame, draw_layer, formula, show_layer
from ganbook.errors import InputError
from ganbook.plots import GREEN, VERMILION, Figure, plt, small_png
from ganbook.widgets import RANGES, convolution_sliders, explore_convolution

VIEW = "application/vnd.jupyter.widget-view+json"
LAYERS = [
    Layer(5, 3),
    Layer(4, 3, padding=1),
    Layer(8, 2, 3, 1),
    Layer(7, 3, 1, 1, 2),
    Layer(3, 3, 2, transposed=True),
    Layer(3, 3, 2, 1, 1, 1, transposed=True),
    Layer(2, 2, 3, 0, 1, 2, transposed=True),
    Layer(4, 5, 3, 1, 2, transposed=True),
]


@pytest.mark.parametrize("layer", LAYERS)
def test_the_formula_with_numbers_gives_the_size_that_torch_gives(layer):
    line, _, size = formula(layer).partition(" = ")
    line = line.replace("−", "-").replace("·", "*").replace("⌊", "(").replace("/", "//").replace("⌋", ")")
    x, kernel = torch.zeros(1, 1, layer.n, layer.n), torch.zeros(1, 1, layer.kernel, layer.kernel)
    settings = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
    if layer.transposed:
        y = conv_transpose2d(x, kernel, output_padding=layer.output_padding, **settings)
    else:
        y = conv2d(x, kernel, **settings)
    assert eval(line) == int(size) == layer.output_size == y.shape[2]
    assert f"the output is {size} by {size}" in describe(layer)


@pytest.mark.parametrize("layer", LAYERS)
def test_windows_are_counted_line_by_line(layer):
    """What the film shows at (row, column) is the gradient of, or the sum of, all outputs up to there."""
    row, column = layer.narrow - 1, layer.narrow // 2
    done = torch.zeros(1, 1, layer.narrow, layer.narrow)
    done.flatten()[: row * layer.narrow + column + 1] = 1
    settings = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
    kernel = torch.ones(1, 1, layer.kernel, layer.kernel)
    if layer.transposed:
        expected = conv_transpose2d(done, kernel, output_padding=layer.output_padding, **settings)
    else:
        x = torch.zeros(1, 1, layer.n, layer.n, requires_grad=True)
        (expected,) = torch.autograd.grad(conv2d(x, kernel, **settings), x, done)
    assert torch.equal(layer.hits(row, column).float(), expected[0, 0])


def drawn(layer, row=0, column=0):
    axes = Figure(figsize=(4, 4)).add_axes((0, 0, 1, 1))
    draw_layer(axes, layer, row, column, layer.hits(layer.narrow - 1, layer.narrow - 1))
    return axes


@pytest.mark.parametrize("layer", LAYERS)
def test_both_grids_are_drawn_with_all_their_pixels_and_the_kernel_with_all_its_weights(layer):
    axes = drawn(layer)
    border, *_ = axes.collections
    shapes = [mesh.get_array().shape for mesh in axes.collections[2:]]
    assert shapes == [(size, size, 3) for size in (layer.wide, layer.narrow)]
    assert len(border.get_segments()) == len(layer.places) + 1
    *weights, outline = axes.patches
    assert len(weights) == layer.kernel**2
    assert outline.get_width() == layer.dilation * (layer.kernel - 1) + 1
    labels = [text.get_text() for text in axes.texts[-2:]]
    assert labels == [f"input {layer.n} × {layer.n}", f"output {layer.output_size} × {layer.output_size}"]


def test_the_kernel_starts_on_the_padding_and_moves_by_the_stride():
    layer = Layer(5, 3, 2, 1)
    corners = [drawn(layer, row, column).patches[-1].get_xy() for row, column in ((0, 0), (0, 1), (1, 0))]
    assert corners == [(0, 0), (2, 0), (0, 2)]


def test_pixels_that_no_window_reads_are_grey():
    mesh = drawn(Layer(6, 3, 2)).collections[2]  # the last row and column are left over
    grey = mesh.get_array()[:, :, 0] < 0.95
    assert grey[-1].all() and grey[:, -1].all() and not grey[:5, :5].any()


def test_numbers_are_the_overlap():
    layer = Layer(3, 3, 2, 1, output_padding=1, transposed=True)
    numbers = torch.tensor([int(text.get_text()) for text in drawn(layer).texts[:-2]])
    counts = torch.tensor(overlap(3, 3, 2, 1, 1))
    assert torch.equal(numbers.reshape(6, 6), torch.outer(counts, counts))


@pytest.fixture
def shown(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda what, raw=False: shown.append(what))
    return shown


def test_a_film_has_a_frame_for_each_window_and_starts_at_rest(shown):
    show_layer(5, 3, stride=2, padding=1)
    text = shown[0].data
    strip = Image.open(io.BytesIO(b64decode(re.search(r"base64,([^)]*)\)", text).group(1))))
    width, height = (round(100 * inches) for inches in draw_frame(Layer(5, 3, 2, 1), 0, 0).get_size_inches())
    assert strip.size == (width, 9 * height) and f"aspect-ratio:{width}/{height}" in text
    frames = [strip.crop((0, height * i, width, height * (i + 1))).convert("RGB").tobytes() for i in range(9)]
    assert len(set(frames)) == 9
    captions = json.loads(html.unescape(re.search(r'data-captions="([^"]*)"', text).group(1)))
    assert captions == [f"{i} of 9" for i in range(1, 10)] and ">1 of 9</output>" in text
    assert f'aria-label="{describe(Layer(5, 3, 2, 1))}"' in text and "autoplay" not in text and "http" not in text
    assert len(text) < 40_000 and not plt.get_fignums()


def test_a_film_keeps_the_colors_of_small_areas(shown):
    show_layer(3, 3, stride=2, padding=1, output_padding=1, transposed=True)
    text = shown[0].data
    strip = Image.open(io.BytesIO(b64decode(re.search(r"base64,([^)]*)\)", text).group(1)))).convert("RGB")
    colors = torch.tensor([color for _, color in strip.getcolors()])
    for wanted in (VERMILION, GREEN):
        rgb = torch.tensor([int(wanted[i : i + 2], 16) for i in (1, 3, 5)])
        assert (colors - rgb).abs().amax(1).min() < 24, wanted


def test_a_film_of_the_impossible_says_why(shown):
    with pytest.raises(InputError, match="does not fit"):
        show_layer(2, 3)
    assert not shown


def texts(figure):
    return " ".join(" ".join(text.get_text().split()) for text in figure.texts)


def test_the_explorer_tells_size_and_overlap():
    assert texts(draw_explorer(Layer(3, 3, 2, transposed=True))) == (
        "(3 − 1)·2 − 2·0 + 1·(3 − 1) + 0 + 1 = 7 added into each output pixel, along an axis: 1 1 2 1 2 1 1"
    )
    assert texts(draw_explorer(Layer(6, 3, 2))) == (
        "⌊(6 + 2·0 − 1·(3 − 1) − 1) / 2⌋ + 1 = 2 windows on each input pixel, along an axis: 1 1 2 1 1 0"
    )


@pytest.mark.parametrize("layer", [Layer(2, 5), Layer(1, 1, padding=3, transposed=True)])
def test_the_explorer_says_why_a_setting_is_impossible(layer):
    figure = draw_explorer(layer)
    with pytest.raises(InputError) as caught:
        _ = layer.output_size
    assert texts(figure) == f"Impossible: {caught.value}" and not figure.axes


def test_the_pictures_of_the_explorer_have_one_size():
    """From one pixel to the largest that the sliders allow, and the impossible."""
    ends = zip(*RANGES.values(), strict=True)
    layers = [Layer(*end, transposed=transposed) for end in ends for transposed in (False, True)]
    figures = map(draw_explorer, [*layers, *LAYERS, Layer(2, 5)])
    assert len({Image.open(io.BytesIO(small_png(figure))).size for figure in figures}) == 1


def test_a_slider_changes_the_picture():
    kind, *sliders, picture = convolution_sliders(Layer(3, 3, 2, transposed=True)).children
    assert [slider.description for slider in sliders] == [name.replace("_", " ") for name in RANGES]
    assert picture.value == small_png(draw_explorer(Layer(3, 3, 2, transposed=True)))
    n, kernel, stride, padding, dilation, output_padding = sliders
    output_padding.value = 1
    assert picture.value == small_png(draw_explorer(Layer(3, 3, 2, 0, 1, 1, transposed=True)))
    stride.value = 1
    assert picture.value == small_png(draw_explorer(Layer(3, 3, 1, 0, 1, 1, transposed=True)))  # impossible
    assert not output_padding.disabled
    kind.value = False
    assert picture.value == small_png(draw_explorer(Layer(3, 3))) and output_padding.disabled
    for slider, value in ((n, 7), (kernel, 2), (padding, 3), (dilation, 2)):
        slider.value = value
    assert picture.value == small_png(draw_explorer(Layer(7, 2, 1, 3, 2))) and not plt.get_fignums()


def test_one_bundle_holds_the_sliders_and_a_still_picture(shown):
    from ipywidgets import VBox

    explore_convolution()
    (bundle,) = shown
    assert set(bundle) == {VIEW, "image/png", "text/plain"}
    assert b64decode(bundle["image/png"]) == small_png(draw_explorer(Layer(3, 3, 2, transposed=True)))
    assert bundle["text/plain"].endswith("the output is 7 by 7; sliders change it where a kernel runs.")
    box = VBox.get_manager_state()["state"][bundle[VIEW]["model_id"]]
    assert box["model_name"] == "VBoxModel"


def test_without_ipywidgets_the_picture_stands_still(shown, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # an import of it now fails
    spec = importlib.util.spec_from_file_location("bare_widgets", widgets.__file__)
    bare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bare)
    bare.explore_convolution()
    assert [set(bundle) for bundle in shown] == [{"image/png", "text/plain"}]
