"""Judges of pictures that know nothing of any GAN: which digit, which hair and which eyes does a picture show?

They are trained on real pictures only, some of them blurred, noisy or moved, as fakes are. Their weights come
with the package, so that every chapter asks the same judge.
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, conv2d, grid_sample, interpolate, pad
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from ganbook.avatars import EYES, HAIR, avatars
from ganbook.checkpoints import CARD, load_network, save_networks, write
from ganbook.data import TEN, ImageSet, Ordered, digits, mnist, sha256, to_float
from ganbook.errors import InputError
from ganbook.objectives import class_loss
from ganbook.records import RECORDS
from ganbook.sampling import AT_ONCE, evaluating


class Classifier(nn.Module):
    """Five convolutions, an average over all places, and one linear layer per label.

    Pictures whose sides are a multiple of `size` are shrunk to it by averaging blocks.
    278,890 parameters for ten digits, 281,014 for hair and eyes in colour.
    """

    def __init__(
        self,
        channels: int,
        num_classes: Sequence[int],
        size: int,
        width: int = 32,
    ):
        super().__init__()
        self.channels, self.size = channels, size
        layers = []
        # 32 -> 16 -> 8 pixels; the channels double where the sides halve
        widths = (channels, width, 2 * width, 2 * width, 4 * width, 4 * width)
        for (into, out), stride in zip(pairwise(widths), (1, 2, 1, 2, 1), strict=True):
            layers += [nn.Conv2d(into, out, 3, stride, 1, bias=False)]
            layers += [nn.BatchNorm2d(out), nn.ReLU()]
        self.net = nn.Sequential(*layers)
        self.heads = nn.ModuleList(nn.Linear(4 * width, k) for k in num_classes)

    def features(self, x: Tensor) -> Tensor:
        # (B, channels, size, size) or a multiple of it -> (B, 4 * width), float32
        return self.net(self.shrink(x)).float().mean((2, 3))

    def forward(self, x: Tensor) -> list[Tensor]:
        # one (B, K) of logits for each label
        features = self.features(x)
        return [head(features).float() for head in self.heads]

    def shrink(self, x: Tensor) -> Tensor:
        fits = x.ndim == 4 and x.shape[1] == self.channels and x.shape[2] == x.shape[3]
        if not fits or x.shape[2] % self.size or x.numel() == 0:
            raise InputError(
                f"pictures of shape {tuple(x.shape)} cannot be classified: give "
                f"(B, {self.channels}, {self.size}, {self.size}), or sides a multiple "
                f"of {self.size}"
            )
        if x.shape[2] == self.size:
            return x
        return interpolate(x, size=self.size, mode="area")


CLASSES: dict[str, dict[str, tuple[str, ...]]] = {"digits": TEN, "avatars": {"hair": HAIR, "eyes": EYES}}
JUDGES = {"mnist": "digits", "digits": "digits", "avatars": "avatars"}  # whose pictures who judges
CHANNELS, SIZES = {"digits": 1, "avatars": 3}, {"digits": 28, "avatars": 32}
STEPS = {"digits": 3_300, "avatars": 2_000}  # of training
BATCH_SIZE, LR = 128, 3e-3
DIGITS_REPEATED = 6  # scikit-learn's few digits among MNIST's 60,000: a seventh of all, not a fortieth
AVATARS, AVATARS_HELD_OUT = 40_000, 4_000
AVATARS_SEED, HELD_OUT_SEED = 10_000, 20_000  # no chapter draws avatars from these
TURN, ZOOM, SHIFT, NOISE, FADE = (
    math.radians(10),
    0.1,
    0.08,
    0.1,
    0.7,
)  # the most that `roughen` changes; SHIFT of a side


def new_classifier(name: str) -> Classifier:
    """An untrained Classifier for "digits" or "avatars"."""
    if name not in CLASSES:
        raise InputError(f"no classifier is called '{name}': there are {', '.join(CLASSES)}")
    return Classifier(CHANNELS[name], [len(names) for names in CLASSES[name].values()], SIZES[name])


def load_classifier(name: str) -> Classifier:
    """The trained Classifier that comes with the package, in eval mode: "digits" or "avatars"."""
    C = new_classifier(name)
    return load_network(RECORDS / f"classifier-{name}" / "C.safetensors", C).eval().requires_grad_(False)


SEEN_AT_ONCE = 100  # pictures: so many fit into the cache, which halves the time


def features_of(see: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """What a network sees in pictures (n, C, H, W), a few at a time: features (n, d). `see` is a C.features."""
    with torch.no_grad():
        return torch.cat([see(part) for part in images.split(SEEN_AT_ONCE)])


def name_labels(C: Classifier, x: Tensor) -> Tensor:
    """The labels that C sees in pictures (B, C, H, W): int64 (B,), or (B, L) if a picture has L > 1 labels."""
    with evaluating(C):
        parts = [torch.stack([logits.argmax(1) for logits in C(part)], 1) for part in x.split(AT_ONCE)]
    named = torch.cat(parts)
    return named[:, 0] if named.shape[1] == 1 else named


def label_accuracy(C: Classifier, x: Tensor, y: Tensor) -> Tensor:
    """The share of the pictures x in which C sees the labels y that were asked for: (L,), one for each label."""
    named = name_labels(C, x).reshape(len(x), -1)
    if y.reshape(len(y), -1).shape != named.shape:
        raise InputError(
            f"labels of shape {tuple(y.shape)} do not belong to {len(x)} pictures: give {tuple(named.shape)}"
        )
    return (named == y.reshape(named.shape).to(named.device)).float().mean(0)


def confusion(predicted: Tensor, asked: Tensor, num_classes: int) -> Tensor:
    """How often each label was taken for each: counts (K, K); row: asked for, column: predicted."""
    if predicted.shape != asked.shape or asked.ndim != 1:
        raise InputError(
            f"labels of shapes {tuple(predicted.shape)} and {tuple(asked.shape)} cannot be compared: give two (B,)"
        )
    for label in {*predicted.tolist(), *asked.tolist()} - set(range(num_classes)):
        raise InputError(f"label {label} is not possible: take 0 to {num_classes - 1}")
    pairs = asked * num_classes + predicted
    return pairs.bincount(minlength=num_classes**2).reshape(num_classes, num_classes)


def digits_split() -> tuple[ImageSet, ImageSet]:
    """`digits` in two parts that never change: to train a classifier on, and a tenth held out."""
    data = digits()
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    held_out, train = rows.tensor_split([len(rows) // 10])
    return tuple(ImageSet(data.name, data.images[r], data.labels[r], data.classes) for r in (train, held_out))


def training_set(name: str) -> ImageSet:
    """What the package's classifiers were trained on: MNIST and nine tenths of `digits`, or avatars."""
    if name == "avatars":
        return avatars(AVATARS, SIZES[name], AVATARS_SEED)
    many, (few, _) = mnist(), digits_split()
    images = torch.cat([many.images, few.images.repeat(DIGITS_REPEATED, 1, 1, 1)])
    labels = torch.cat([many.labels, few.labels.repeat(DIGITS_REPEATED)])
    return ImageSet(name, images, labels, TEN)


def held_out_sets(name: str) -> dict[str, ImageSet]:
    """What they are tested on: pictures that no classifier was trained on."""
    if name == "avatars":
        sizes = (SIZES[name], 2 * SIZES[name])
        return {f"avatars, {size} pixels": avatars(AVATARS_HELD_OUT, size, HELD_OUT_SEED) for size in sizes}
    return {"MNIST, test": mnist(train=False), "digits, held out": digits_split()[1]}


def train_classifier(name: str, data: ImageSet, steps: int, seed: int = 0) -> Classifier:
    """A new classifier, trained on data in bfloat16, in eval mode. Leaves torch's own random state alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        C = new_classifier(name).to(memory_format=torch.channels_last)
        optimizer = AdamW(C.parameters(), lr=LR)
        schedule = OneCycleLR(optimizer, max_lr=LR, total_steps=steps)
        batches = islice(Ordered(data, seed).batches(BATCH_SIZE), steps)
        for x, y in tqdm(batches, total=steps, unit="step", disable=None):
            x = roughen(x)
            with torch.autocast("cpu", torch.bfloat16):
                logits = C(x)
            loss = class_loss(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return C.eval()


def roughen(x: Tensor) -> Tensor:
    """Turn, zoom, shift, blur, fade pictures (B, C, H, W), add noise: each picture a little, in its own way."""
    B = len(x)
    turn, zoom, right, down = (2 * torch.rand(4, B) - 1) * torch.tensor([[TURN], [ZOOM], [2 * SHIFT], [2 * SHIFT]])
    cos, sin = (1 + zoom) * turn.cos(), (1 + zoom) * turn.sin()
    where = torch.stack([cos, -sin, right, sin, cos, down], 1).reshape(B, 2, 3)
    grid = affine_grid(where, list(x.shape), align_corners=False)
    x = grid_sample(x, grid, padding_mode="border", align_corners=False)
    soft, noisy = (2 * torch.rand(2, B, 1, 1, 1) - 1).clamp(min=0)  # half stay sharp, half stay clean
    # A young G's pictures are pale: its contrast is learned last. Three in ten keep theirs.
    faded = FADE * (1.4 * torch.rand(B, 1, 1, 1) - 0.4).clamp(min=0)
    return (1 - faded) * x.lerp(blur(x), soft) + NOISE * noisy * torch.randn_like(x)


def blur(x: Tensor) -> Tensor:
    """Pictures (B, C, H, W) under a bell that is a pixel wide (standard deviation): five binomial weights."""
    weights = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    channels = x.shape[1]
    kernel = weights.outer(weights).expand(channels, 1, 5, 5)
    return conv2d(pad(x, (2, 2, 2, 2), mode="replicate"), kernel, groups=channels)


def accuracies(C: Classifier, data: ImageSet, spoil: Callable[[Tensor], Tensor] = lambda x: x) -> dict[str, float]:
    """`label_accuracy` on a whole data set, spoiled, by the names of its labels."""
    shares = label_accuracy(C, spoil(to_float(data.images)), data.labels)
    return {label: round(share, 5) for label, share in zip(data.classes, shares.tolist(), strict=True)}


def record_classifier(name: str, out: Path, around: dict, seed: int = 0) -> dict:
    """Train and test the classifier `name`; write its weights in half precision and card.json to `out`.

    `around` is what `machine.surroundings` says of the machine and the commit. Returns the card.
    """
    started, cpu_started = time.time(), time.process_time()
    data = training_set(name)
    C = train_classifier(name, data, STEPS[name], seed)
    card = {
        "command": f"ganbook classifier {name} --seed {seed}",
        "classes": {label: list(names) for label, names in CLASSES[name].items()},
        "seed": seed,
        "pictures": len(data),
        "steps": STEPS[name],
        "batch_size": BATCH_SIZE,
        "lr": LR,
        "parameters": sum(parameter.numel() for parameter in C.parameters()),
        "minutes": (time.time() - started) / 60,
        "cpu_minutes": (time.process_time() - cpu_started) / 60,
        **around,
    }
    save_networks(out, {"C": C}, card, dtype=torch.float16)
    # What is tested is what is stored: the weights in half precision.
    C = load_network(out / "C.safetensors", new_classifier(name)).eval()
    held_out = held_out_sets(name)
    card["held_out"] = {kind: len(data) for kind, data in held_out.items()}
    card["accuracy"] = {kind: accuracies(C, data) for kind, data in held_out.items()}
    card["accuracy_half_contrast"] = {
        kind: accuracies(C, data, lambda x: x / 2) for kind, data in held_out.items()
    }
    card["accuracy_blurred"] = {kind: accuracies(C, data, blur) for kind, data in held_out.items()}
    card["sha256"] = {"C": sha256(out / "C.safetensors")}
    write(out / CARD, json.dumps(card, indent=1).encode())
    return card
