"""Networks on disk: weights as safetensors, which cannot carry code, and a card of plain JSON beside them."""

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from ganbook.errors import InputError

CARD = "card.json"


def write(path: Path, content: bytes) -> None:
    """Write the whole file or nothing: a reader never meets half of one."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def save_networks(
    folder: Path, networks: dict[str, nn.Module], card: dict, dtype: torch.dtype = torch.float32
) -> None:
    """Write NAME.safetensors for each network, then card.json: a folder with a card is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, net in networks.items():
        state = {
            key: (value.to(dtype) if value.is_floating_point() else value).contiguous().cpu()
            for key, value in net.state_dict().items()
        }
        write(folder / f"{name}.safetensors", save(state))
    write(folder / CARD, json.dumps(card, indent=1).encode())


def read_card(folder: Path) -> dict:
    """The card of a folder of networks, or an InputError that says what is missing."""
    try:
        return json.loads((folder / CARD).read_text())
    except FileNotFoundError:
        raise InputError(
            f"{folder} holds no trained networks ({CARD} is missing): `ganbook train` makes such a folder"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / CARD} cannot be read ({error}): train again, or restore the file") from None


def load_network(path: Path, net: nn.Module) -> nn.Module:
    """Fill net with the weights at path, as float32.

    Raises InputError, and leaves net alone, if they are not for this network.
    """
    try:
        state = load_file(path)
    except FileNotFoundError:
        raise InputError(f"{path} is missing: train again, or restore the file") from None
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is not a safetensors file ({error}): train again, or restore the file") from None
    own = net.state_dict()
    if {key: value.shape for key, value in state.items()} != {key: value.shape for key, value in own.items()}:
        raise InputError(f"{path} holds weights for another network than {type(net).__name__}")
    net.load_state_dict({key: value.to(own[key].dtype) for key, value in state.items()})
    return net
