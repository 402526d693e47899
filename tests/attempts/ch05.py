"""Wrong attempts at the exercises of chapter 05."""

from torch import nn

from attempts import WRONG, wrong
from ganbook.training import train_step


def conv(layer, kernel=3, padding=1, **settings):
    return nn.Conv2d(layer.in_channels, layer.out_channels, kernel, 1, padding, **settings)


WRONG += [
    ("05.3", lambda layer: nn.Sequential(conv(layer), nn.Upsample(scale_factor=2)), "repeats pixels last"),
    (
        "05.3",
        lambda layer: nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), conv(layer)),
        "interpolates",
    ),
    ("05.3", lambda layer: nn.Sequential(nn.Upsample(scale_factor=2), conv(layer, padding=0)), "needs padding 1"),
    ("05.3", conv, "does not double"),
    ("05.3", lambda layer: nn.Sequential(nn.Upsample(scale_factor=2), conv(layer, 5, 2)), "its kernel is 5"),
    (
        "05.3",
        lambda layer: nn.Sequential(nn.Upsample(scale_factor=2), conv(layer, bias=False)),
        "the bias is missing",
    ),
    ("05.3", lambda layer: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 5, 3, 1, 1)), "from 3 to 5"),
    ("05.3", lambda layer: nn.Sequential(nn.Upsample(scale_factor=2), layer), "still a transposed"),
]


def inputs(layer, taps=4):
    return layer.in_features if isinstance(layer, nn.Linear) else taps * layer.in_channels


def outputs(layer):
    return layer.out_features if isinstance(layer, nn.Linear) else 16 * layer.out_channels


WRONG += [
    ("05.4", lambda layer, rectified: (1 + rectified) / inputs(layer), "that is the variance"),
    ("05.4", lambda layer, rectified: inputs(layer) ** -0.5, "has to be doubled"),
    ("05.4", lambda layer, rectified: (2 / inputs(layer)) ** 0.5, "are not rectified"),
    ("05.4", lambda layer, rectified: ((1 - rectified / 2) / inputs(layer)) ** 0.5, "on the wrong side"),
    ("05.4", lambda layer, rectified: ((1 + rectified) / inputs(layer, 16)) ** 0.5, "not all"),
    ("05.4", lambda layer, rectified: ((1 + rectified) / inputs(layer, 1)) ** 0.5, "taps of each input channel"),
    ("05.4", lambda layer, rectified: ((1 + rectified) / outputs(layer)) ** 0.5, "not the outputs"),
    ("05.4", lambda layer, rectified: 0.02, "changes the signal"),
    ("05.5", (8, 16, 4), "overlap by 2"),
    ("05.5", (10, 9, 4), "the pooling layers belong to it"),
    ("05.5", (10, 10, 4), "a step is two pixels"),
    ("05.5", (10, 16, 3), "3 see 22 pixels"),
    ("05.5", (10, 16, 5), "more than it takes"),
    ("05.5", (10, 16), "three numbers"),
]


@wrong("05.6", "D does not rest")
def never_rests(n, G, D, objective, opt_G, opt_D, x):
    for _ in range(n):
        train_step(G, D, objective, opt_G, opt_D, x)


@wrong("05.6", "G's optimizer goes")
def slower_G(n, G, D, objective, opt_G, opt_D, x):
    for i in range(n):
        train_step(G, D, objective, opt_G if i % 2 else None, opt_D, x)


@wrong("05.6", "G rests as well")
def half_the_steps(n, G, D, objective, opt_G, opt_D, x):
    for i in range(n):
        if i % 2:
            train_step(G, D, objective, opt_G, opt_D, x)


@wrong("05.6", "rests in a row")
def in_a_row(n, G, D, objective, opt_G, opt_D, x):
    for i in range(n):
        train_step(G, D, objective, opt_G, opt_D if i < n // 2 else None, x)


@wrong("05.6", "should move 3 times")
def rests_every_third(n, G, D, objective, opt_G, opt_D, x):
    for i in range(n):
        train_step(G, D, objective, opt_G, None if i % 3 == 0 else opt_D, x)


WRONG += [
    ("05.7", lambda n: [size for size in range(2, 101) if n % size == 0], "the last batch is full"),
    ("05.7", lambda n: [size for size in range(2, 101) if n % size <= 1], "are in it, too"),
    ("05.7", lambda n: [size for size in range(2, 100) if n % size == 1], "100 itself"),
    ("05.7", lambda n: [size for size in range(1, 101) if (n - 1) % size == 0], "from 2 to 100"),
    ("05.7", lambda n: [size for size in range(2, 101) if size % n == 1], "is missing"),
    ("05.7", lambda n: [2, 4], "5 is missing"),
    ("05.7", lambda n: [size for size in range(2, 101) if n % size < 3 and n % size], "is too many"),
]
