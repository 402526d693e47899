"""The DCGAN paper's guidelines, each taken back alone, over several seeds: a chapter's table, and its record."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import softplus
from tqdm import tqdm

from ganbook.checkpoints import CARD, write
from ganbook.data import digits, to_float
from ganbook.dcgan import PoolingDiscriminator, StemGenerator, StridedDiscriminator, initialize
from ganbook.machine import surroundings
from ganbook.metrics import frechet_distance, principal_components
from ganbook.mlp import MLPDiscriminator, MLPGenerator
from ganbook.objectives import NonSaturating
from ganbook.records import mean_and_spread, read_record
from ganbook.sampling import sample
from ganbook.training import fit

STEPS, BATCH_SIZE, FAKES, COMPONENTS = 200, 64, 1_797, 30


class OneBatch(NonSaturating):
    """D always sees real and fake pictures in one batch, so batch norm mixes their statistics: what not to do."""

    def d_loss(self, D, x, x_fake, y=None):
        self.x = x  # the company for G's turn, too: D is to judge fakes as it has learned to
        real, fake = D(torch.cat([x, x_fake])).chunk(2)
        return softplus(-real).mean() + softplus(fake).mean()

    def g_loss(self, D, x_fake, y=None):
        return softplus(-D(torch.cat([self.x, x_fake]))[len(self.x) :]).mean()


def swap(net: nn.Module, kind: type[nn.Module] | tuple, make: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Put make(layer) in the place of every layer of a kind."""
    for i, layer in enumerate(net.net):
        if isinstance(layer, kind):
            net.net[i] = make(layer)
    return net


def with_hidden_layer(D: StridedDiscriminator) -> nn.Module:
    """A fully connected hidden layer of 1,024 before the logit."""
    hidden = nn.Sequential(nn.Flatten(), nn.Linear(128 * 7 * 7, 1024), nn.LeakyReLU(0.2), nn.Linear(1024, 1))
    D.net[-2] = hidden.apply(initialize)
    return D


def with_default_weights(net: nn.Module) -> nn.Module:
    """The weights that PyTorch begins with, in place of N(0, 0.02²)."""
    for layer in net.net:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    return net


def without_norm(G: StemGenerator) -> nn.Module:
    """G with nothing in the places of its batch norms."""
    return swap(G, BATCH_NORM, lambda layer: nn.Identity())


def with_kept_signal(G: StemGenerator) -> nn.Module:
    """Weights so wide that the signal keeps its size from layer to layer, as batch norm would see to.

    An output sums over n inputs; behind a ReLU half of their mean square is left (He et al., 2015).
    """
    layers = [layer for layer in G.net if hasattr(layer, "weight")]
    for layer, n, half in zip(layers, (100, 1024, 4 * 128, 4 * 64), (1, 2, 2, 2), strict=True):
        nn.init.normal_(layer.weight, 0, (half / n) ** 0.5)
    return G


BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d)
DCGAN: dict = {"G": StemGenerator, "D": StridedDiscriminator, "objective": NonSaturating(), "beta1": 0.5}
# Each row: what differs from DCGAN.
VARIANTS: dict[str, dict] = {
    "as the paper has it": {},
    "D with max pooling, a hidden layer, no batch norm": {"D": PoolingDiscriminator},
    "D with a hidden fully connected layer": {"D": lambda: with_hidden_layer(StridedDiscriminator())},
    "no batch norm in G": {"G": lambda: without_norm(StemGenerator())},
    "no batch norm in G, weights that keep the signal": {
        "G": lambda: with_kept_signal(without_norm(StemGenerator()))
    },
    "no batch norm in D": {"D": lambda: StridedDiscriminator(nn.Identity)},
    "real and fake in one batch": {"objective": OneBatch()},
    "ReLU in D": {"D": lambda: swap(StridedDiscriminator(), nn.LeakyReLU, lambda layer: nn.ReLU())},
    "LeakyReLU in G": {"G": lambda: swap(StemGenerator(), nn.ReLU, lambda layer: nn.LeakyReLU(0.2))},
    "PyTorch's own initial weights": {
        "G": lambda: with_default_weights(StemGenerator()),
        "D": lambda: with_default_weights(StridedDiscriminator()),
    },
    "β₁ = 0.9": {"beta1": 0.9},
    "no convolutions: the MLP pair": {"G": MLPGenerator, "D": MLPDiscriminator},
}


def train_variant(name: str, seed: int, steps: int) -> dict[str, float]:
    """Train a row of VARIANTS on `digits`. Returns the distance of its fakes to the data and the CPU-seconds."""
    torch.manual_seed(seed)
    row, data = {**DCGAN, **VARIANTS[name]}, digits()
    G, D, betas = row["G"](), row["D"](), (row["beta1"], 0.999)
    started = time.process_time()
    for _step in fit(G, D, row["objective"], data, steps=steps, batch_size=BATCH_SIZE, betas=betas):
        pass
    seconds = time.process_time() - started
    x = to_float(data.images)
    features = principal_components(x, COMPONENTS)
    distance = frechet_distance(features(x), features(sample(G, FAKES, seed=seed)))
    return {"distance": round(distance, 3), "seconds": round(seconds, 1)}


def record_guidelines(out: Path, seeds: int) -> dict:
    """The record behind the table of the chapter on the DCGAN: writes card.json to `out`, returns it."""
    out.mkdir(parents=True, exist_ok=True)
    card = {
        "command": f"ganbook study guidelines --seeds {seeds}",
        "seeds": seeds,
        "steps": STEPS,
        "batch_size": BATCH_SIZE,
        "fakes": FAKES,
        "components": COMPONENTS,
        **surroundings(torch.device("cpu")),
    }
    started = time.process_time()
    card["results"] = {
        name: [train_variant(name, seed, STEPS) for seed in range(seeds)]
        for name in tqdm(VARIANTS, unit="row", disable=None)
    }
    card["cpu_minutes"] = (time.process_time() - started) / 60
    write(out / CARD, json.dumps(card, indent=1).encode())
    return card


def guidelines_table():
    """The stored record of the study as a table, with where and how it was made."""
    from IPython.display import Markdown

    card = read_record("guidelines")
    lines = ["| what is changed | distance to the data | CPU-seconds |", "|---|---|---|"]
    for name, runs in card["results"].items():
        distances, seconds = ([run[key] for run in runs] for key in ("distance", "seconds"))
        lines.append(f"| {name} | {mean_and_spread(distances, '.1f')} | {statistics.mean(seconds):.0f} |")
    return Markdown(
        "\n".join(lines) + f"\n\nFréchet distance in the first {card['components']} principal components of the "
        f"data, {card['fakes']:,} fakes; {card['seeds']} seeds, {card['steps']} steps of {card['batch_size']} on "
        f"`digits`. Made by `{card['command']}` at commit {card['commit']} on {card['date']}, "
        f"on {card['device']}, {card['threads']} thread(s), torch {card['versions']['torch']}."
    )
