"""Convolution arithmetic against PyTorch: the same sizes, and the same settings refused."""

import random
from itertools import product

import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian
from torch.nn.functional import conv1d, conv2d, conv_transpose1d, conv_transpose2d

from ganbook.convolution import (
    conv_output_size,
    overlap,
    receptive_field,
    settings_of,
    size_after,
    transposed_output_size,
    window,
)
from ganbook.errors import InputError

NAMES = ("n", "kernel", "stride", "padding", "dilation", "output_padding")


def random_settings(count, seed=0, least=0):
    """Settings of all kinds; with least 0 (or -1 for padding) about half of them are impossible."""
    draw = random.Random(seed)
    for _ in range(count):
        wild = draw.random() < 0.3
        low = 0 if wild and least == 0 else 1
        yield {
            "n": draw.randint(low, 12),
            "kernel": draw.randint(low, 6),
            "stride": draw.randint(low, 4),
            "padding": draw.randint(-1 if wild else 0, 4),
            "dilation": draw.randint(low, 4),
            "output_padding": draw.randint(-1 if wild else 0, 3),
        }


def torch_size(function, n, kernel, **settings):
    """The size that torch gives, or None where it refuses.

    In float64: in float32 oneDNN takes over, and lets some transposed convolutions give a picture of 0 by 0.
    """
    x, weight = (torch.zeros(1, 1, size, size, dtype=torch.float64) for size in (n, kernel))
    try:
        y = function(x, weight, **settings)
    except RuntimeError:
        return None
    height, width = y.shape[2:]
    assert height == width
    return height


def our_size(function, settings):
    try:
        return function(**settings)
    except InputError:
        return None


def plain(settings):
    return {name: value for name, value in settings.items() if name != "output_padding"}


def test_sizes_of_convolutions_are_torchs_and_the_same_settings_are_refused():
    refused = 0
    for settings in map(plain, random_settings(20_000)):
        size = torch_size(conv2d, **settings)
        assert our_size(conv_output_size, settings) == size, settings
        refused += size is None
    assert 5_000 < refused < 15_000  # both kinds were tried


def test_sizes_of_transposed_convolutions_are_torchs_and_the_same_settings_are_refused():
    refused = 0
    for settings in random_settings(20_000, seed=1):
        size = torch_size(conv_transpose2d, **settings)
        assert our_size(transposed_output_size, settings) == size, settings
        refused += size is None
    assert 5_000 < refused < 15_000


@pytest.mark.parametrize(
    "function, settings, message",
    [
        (conv_output_size, (4, 3, 1, 0, 2), "kernel of 3 with dilation 2 spans 5 pixels and does not fit into 4"),
        (conv_output_size, (5, 3, 0), "stride 0 must be a whole number, 1 or more"),
        (conv_output_size, (5, 3, 1, -1), "padding -1 must be a whole number, 0 or more"),
        (conv_output_size, (5, 2.5), "kernel 2.5 must be a whole number"),
        (transposed_output_size, (5, 3, 2, 1, 2), "output_padding 2 must be smaller than the stride 2 or the dil"),
        (transposed_output_size, (5, 3, 2, 1, -1), "output_padding -1 must be a whole number, 0 or more"),
        (transposed_output_size, (1, 3, 1, 2), "would have -1 pixels: padding 2 cuts off everything"),
        (overlap, (1, 3, 1, 2), "would have -1 pixels"),
    ],
)
def test_what_is_impossible_says_why(function, settings, message):
    with pytest.raises(InputError, match=message) as caught:
        function(*settings)
    assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value)


def test_the_transposed_convolution_gives_the_sizes_that_the_convolution_came_from():
    """Exactly the sizes for output_padding 0 to stride - 1, and no others, are turned into m."""
    for settings in map(plain, random_settings(3_000, seed=2, least=1)):
        kernel, stride, padding, dilation = (settings[name] for name in NAMES[1:5])
        m, rest = settings["n"], {"stride": stride, "padding": abs(padding), "dilation": dilation}
        came_from = {n for n in range(1, 80) if our_size(conv_output_size, {"n": n, "kernel": kernel} | rest) == m}
        given = {
            our_size(transposed_output_size, {"n": m, "kernel": kernel, "output_padding": extra} | rest)
            for extra in range(stride)
        }
        assert came_from == given - {None}, settings


def matrix(n, weight, **settings):
    """The convolution of n pixels as a matrix, one column for each pixel that is 1 while the others are 0."""
    return conv1d(torch.eye(n, dtype=weight.dtype)[:, None], weight[None, None], **settings)[:, 0].T


def valid(count, seed):
    """Possible settings, with the input size that belongs to them: (n, weight, m, output_padding, the rest)."""
    torch.manual_seed(seed)
    for settings in map(plain, random_settings(10**6, seed=seed, least=1)):
        kernel, rest = settings["kernel"], {name: abs(settings[name]) for name in NAMES[2:5]}
        m = our_size(conv_output_size, {"n": settings["n"], "kernel": kernel} | rest)
        if m is None or our_size(transposed_output_size, {"n": m, "kernel": kernel} | rest) is None:
            continue
        extra = settings["n"] - transposed_output_size(m, kernel, **rest)
        yield settings["n"], torch.randn(kernel, dtype=torch.float64), m, extra, rest
        count -= 1
        if not count:
            return


def test_a_window_holds_the_columns_of_a_row_of_the_matrix():
    for n, weight, m, _, rest in valid(300, seed=3):
        C = torch.zeros(m, n, dtype=torch.float64)
        for i in range(m):
            for tap, pixel in zip(weight, window(i, len(weight), **rest), strict=True):
                if 0 <= pixel < n:
                    C[i, pixel] += tap
        assert torch.allclose(C, matrix(n, weight, **rest))


def test_the_transposed_convolution_is_the_transposed_matrix():
    for n, weight, m, extra, rest in valid(300, seed=4):
        y = torch.randn(m, dtype=torch.float64)
        back = conv_transpose1d(y[None, None], weight[None, None], output_padding=extra, **rest)[0, 0]
        assert torch.allclose(back, matrix(n, weight, **rest).T @ y)


def test_the_transposed_convolution_is_the_gradient_of_the_convolution():
    """In two dimensions, with channels: the gradient of <conv(x), y> by x."""
    for n, weight, m, extra, rest in valid(100, seed=5):
        kernel = torch.randn(3, 2, len(weight), len(weight), dtype=torch.float64)  # 2 channels to 3
        x = torch.randn(1, 2, n, n, dtype=torch.float64, requires_grad=True)
        y = torch.randn(1, 3, m, m, dtype=torch.float64)
        (gradient,) = torch.autograd.grad((conv2d(x, kernel, **rest) * y).sum(), x)
        assert torch.allclose(gradient, conv_transpose2d(y, kernel, output_padding=extra, **rest))


def test_overlap_is_what_ones_times_ones_give():
    for settings in random_settings(3_000, seed=6, least=1):
        if our_size(transposed_output_size, settings) is None:
            continue
        n, kernel, rest = settings["n"], settings["kernel"], {name: settings[name] for name in NAMES[2:]}
        counts = overlap(**settings)
        assert counts == conv_transpose1d(torch.ones(1, 1, n), torch.ones(1, 1, kernel), **rest)[0, 0].tolist()
        square = conv_transpose2d(torch.ones(1, 1, n, n), torch.ones(1, 1, kernel, kernel), **rest)[0, 0]
        assert torch.equal(torch.outer(torch.tensor(counts), torch.tensor(counts)).float(), square)


def test_overlap_by_hand():
    assert overlap(3, 3, 2) == [1, 1, 2, 1, 2, 1, 1]
    assert overlap(4, 4, 2, 1) == [1, 2, 2, 2, 2, 2, 2, 1]
    assert overlap(4, 5, 3, 1) == [1, 1, 2, 2, 1, 2, 2, 1, 2, 2, 1, 1]
    assert overlap(2, 2, 2, output_padding=1) == [1, 1, 1, 1, 0]  # nothing reaches the pixel that was added


@pytest.mark.parametrize("kernel, stride", [*product(range(1, 10), range(1, 6))])
def test_the_interior_is_even_exactly_if_the_stride_divides_the_kernel(kernel, stride):
    counts = overlap(24, kernel, stride)[kernel:-kernel]  # farther in than any window at an end reaches
    assert (min(counts) == max(counts)) == (kernel % stride == 0)


STACKS = [
    [(3, 1)],
    [(1, 2)],
    [(2, 2), (2, 2)],
    [(4, 2), (4, 2), (4, 2)],
    [(5, 1), (2, 2), (5, 1), (2, 2)],
    [(3, 1, 2), (3, 2), (3, 1, 3)],
    [(5, 3), (4, 2)],
]


@pytest.mark.parametrize("layers", STACKS)
def test_the_receptive_field_is_where_the_gradient_is_not_zero(layers):
    net = nn.Sequential(*(nn.Conv1d(1, 1, k, s, 0, d[0] if d else 1) for k, s, *d in layers)).double()
    for parameter in net.parameters():
        nn.init.uniform_(parameter, 0.1, 1)
    slopes = jacobian(lambda x: net(x[None])[0], torch.randn(120, dtype=torch.float64))
    size, jump = receptive_field(layers)
    for i, row in enumerate(slopes[:5]):
        reached = row.nonzero().flatten()
        assert reached[0] == i * jump and reached[-1] - reached[0] + 1 == size


def test_receptive_field_by_hand():
    assert receptive_field([]) == (1, 1)
    assert receptive_field([(4, 2), (4, 2)]) == (10, 4)
    assert receptive_field([(4, 2)] * 4 + [(4, 1)]) == (94, 16)  # the discriminator for 64 pixels
    with pytest.raises(InputError, match="kernel 0"):
        receptive_field([(0, 1)])


LAYERS = [
    (nn.Conv2d(1, 1, 5, 3, 1, dilation=2), 20),
    (nn.ConvTranspose2d(1, 1, 5, 3, 1, output_padding=2), 7),
    (nn.MaxPool2d(3, 2, padding=1), 13),
    (nn.MaxPool2d(2), 9),
    (nn.ReLU(), 9),
]


@pytest.mark.parametrize("layer, n", LAYERS, ids=lambda value: type(value).__name__)
def test_the_size_after_a_layer(layer, n):
    assert size_after(layer, n) == layer(torch.zeros(1, 1, n, n)).shape[2]


def test_settings_are_read_off_a_layer():
    layer = nn.ConvTranspose2d(1, 1, 5, 3, 1, output_padding=2)
    expected = {"kernel": 5, "stride": 3, "padding": 1, "dilation": 1, "output_padding": 2}
    assert settings_of(layer) == expected
    assert settings_of(nn.MaxPool2d(2)) == {"kernel": 2, "stride": 2, "padding": 0, "dilation": 1}
