"""The table of models: one row is a pair of networks, an objective, a data set and a budget."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ganbook.checkpoints import load_network, read_card
from ganbook.errors import InputError
from ganbook.mlp import MLPDiscriminator, MLPGenerator
from ganbook.objectives import NonSaturating
from ganbook.records import RECORDS


@dataclass(frozen=True)
class Recipe:
    networks: Callable[[], tuple[nn.Module, nn.Module]]  # () -> (G, D), untrained
    objective: object
    data: str  # the data set of a full run
    epochs: int  # its budget
    batch_size: int = 64
    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)


RECIPES = {
    "mlp": Recipe(lambda: (MLPGenerator(), MLPDiscriminator()), NonSaturating(), data="mnist", epochs=50),
}


def recipe(name: str) -> Recipe:
    """A row of the table by its name."""
    if name not in RECIPES:
        raise InputError(f"no recipe is called {name!r}: choose one of {', '.join(RECIPES)}")
    return RECIPES[name]


def load_networks(folder: Path) -> tuple[nn.Module, nn.Module]:
    """Both networks of a trained folder (`ganbook train --out`), in eval mode."""
    card = read_card(folder)
    G, D = recipe(card.get("recipe", "")).networks()
    return load_network(folder / "G.safetensors", G).eval(), load_network(folder / "D.safetensors", D).eval()


def load_pretrained(name: str) -> tuple[nn.Module, nn.Module]:
    """G and D as the book's full run left them, in eval mode: load_pretrained("mlp"). Needs no network."""
    recipe(name)
    return load_networks(RECORDS / name)
