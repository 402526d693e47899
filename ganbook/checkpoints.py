"""Networks on disk: weights as safetensors, which cannot carry code, and a card of plain JSON beside them.

A run that is not finished is one file of the same kind: all that it needs to go on as if it had never stopped.
"""

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.optim import Optimizer

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


STATE = "state.safetensors"


def save_state(
    folder: Path,
    networks: dict[str, nn.Module],
    optimizers: dict[str, Optimizer],
    kept: dict[str, Tensor],
    note: dict,
) -> None:
    """Write all that a run needs to go on: weights, what the optimizers remember, torch's random states.

    `kept` are tensors of the caller's, `note` is plain JSON. One file, whole or not at all.
    """
    tensors, groups = {f"kept.{key}": value for key, value in kept.items()} | random_states(), {}
    for name, net in networks.items():
        tensors |= {f"{name}.{key}": value for key, value in net.state_dict().items()}
    for name, optimizer in optimizers.items():
        state = optimizer.state_dict()
        groups[name] = state["param_groups"]
        for i, memory in state["state"].items():
            tensors |= {f"{name}.{i}.{key}": value for key, value in memory.items()}
    tensors = {key: value.detach().contiguous().cpu() for key, value in tensors.items()}
    write(folder / STATE, save(tensors, {"note": json.dumps(note), "groups": json.dumps(groups)}))


def read_note(folder: Path) -> dict | None:
    """The note of a run's state; None where the folder has no state that is whole."""
    try:
        with safe_open(folder / STATE, "pt") as file:
            return json.loads(file.metadata()["note"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def load_state(
    folder: Path, networks: dict[str, nn.Module], optimizers: dict[str, Optimizer]
) -> dict[str, Tensor]:
    """Undo `save_state`: fill networks, optimizers and torch's random states. Returns the tensors kept."""
    with safe_open(folder / STATE, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a dictionary
        groups = json.loads(file.metadata()["groups"])
    for name, net in networks.items():
        net.load_state_dict(below(name, tensors))
    for name, optimizer in optimizers.items():
        memory: dict[int, dict[str, Tensor]] = {}
        for key, value in below(name, tensors).items():
            i, what = key.split(".")
            memory.setdefault(int(i), {})[what] = value
        optimizer.load_state_dict({"state": memory, "param_groups": groups[name]})
        lay_out(optimizer)
    torch.set_rng_state(tensors["random.cpu"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    return below("kept", tensors)


def lay_out(optimizer: Optimizer) -> None:
    """Give what is remembered of a weight the weight's own memory format: a fused step counts on it."""
    for parameter, memory in optimizer.state.items():
        for key, value in memory.items():
            if value.shape == parameter.shape:
                memory[key] = torch.empty_like(parameter).copy_(value)


def random_states() -> dict[str, Tensor]:
    """Where torch's random generators stand, of the CPU and of the current GPU."""
    states = {"random.cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["random.cuda"] = torch.cuda.get_rng_state()
    return states


def below(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
