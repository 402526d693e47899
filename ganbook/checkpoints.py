"""Networks on disk: weights as safetensors, which cannot carry code, and a card of plain JSON beside them.

A run that is not finished is one file of the same kind: all that it needs to go on as if it had never stopped.
"""

import hashlib
import json
import math
import os
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from ganbook.errors import InputError

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows
    import msvcrt

CARD, LOCK, PART = "card.json", ".lock", ".part"
LONGEST_CARD, LONGEST_HEADER = 2**24, 2**20  # bytes; the book's own are far smaller
LONGEST_STATE = 2**36  # bytes: twice what a run of as many parameters as are possible writes
FLOATS, KINDS = (
    {"F16", "BF16", "F32"},
    {torch.int64: {"I64"}, torch.bool: {"BOOL"}},
)  # what a tensor may be read from


def write(path: Path, content: bytes, keep: Path | None = None) -> None:
    """Write the whole file or nothing: a reader never meets half of one. `keep`: where the old one goes."""
    part = path.with_name(path.name + PART)
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        part.unlink(missing_ok=True)  # on a full disk half a file is only in the way
        raise
    if keep and path.exists():
        path.replace(keep)
    part.replace(path)


@contextmanager
def locked(folder: Path, wait: bool = False) -> Iterator[None]:
    """Inside, no other process writes this folder. The lock is on an open file, so it dies with its process.

    Raises InputError where another holds it (unless it is to wait for that), or where nothing can be written.
    """
    with open_lock(folder) as file:
        try:
            take_lock(file.fileno(), wait)
        except (BlockingIOError, PermissionError):  # as POSIX says it, and Windows
            raise InputError(
                f"{folder} is being written by another process: wait for it, or choose another folder"
            ) from None
        except OSError as error:  # some network drives
            print(f"{folder} cannot be locked ({error.strerror}): see to it that nothing else writes there")
        held[folder] = os.fstat(file.fileno())
        try:
            check_held(folder)
            yield
        finally:
            held.pop(folder, None)


held: dict[Path, os.stat_result] = {}  # the locks of this process, by their folders


def open_lock(folder: Path) -> BinaryIO:
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):  # a pipe would be waited for
            raise InputError(f"{path} is not a plain file: delete it, or choose another folder")
        return path.open("ab")
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}): choose another folder") from error


def take_lock(file: int, wait: bool) -> None:
    try:
        flock(file, LOCK_EX if wait else LOCK_EX | LOCK_NB)
    except NameError:  # Windows
        msvcrt.locking(file, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)


def check_held(folder: Path) -> None:
    """Raise InputError if this process locked the folder, and its lock is in it no more.

    Who removes a folder removes the lock: another run may have made both anew.
    """
    try:
        there = folder not in held or os.path.samestat((folder / LOCK).lstat(), held[folder])
    except OSError:
        there = False
    if not there:
        raise InputError(f"{folder} was removed or taken over while it was being written: choose another folder")


def save_networks(
    folder: Path, networks: dict[str, nn.Module], card: dict, dtype: torch.dtype = torch.float32
) -> None:
    """Write NAME.safetensors for each network, then card.json: a folder with a card is complete."""
    check_held(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)  # of other weights, where a finished run went on
    for name, net in networks.items():
        state = {
            key: (value.to(dtype) if value.is_floating_point() else value).contiguous().cpu()
            for key, value in net.state_dict().items()
        }
        write(folder / f"{name}.safetensors", save(state))
    write(folder / CARD, json.dumps(card, indent=1).encode())


def read_card(folder: Path) -> dict:
    """The card of a folder of networks, or an InputError that says what is missing."""
    path = folder / CARD
    if not os.path.lexists(path):
        raise InputError(
            f"{folder} holds no trained networks ({CARD} is missing): `ganbook train` makes such a folder"
        )
    try:
        check_file(path, LONGEST_CARD)
        card = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({one_line(error)}): train again, or restore the file") from None
    if not isinstance(card, dict):
        raise InputError(f"{path} cannot be read (it is no object): train again, or restore the file")
    return card


def one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def check_file(path: Path, longest: float = math.inf) -> None:
    """Raise ValueError for what is not a plain file in its own folder, or is longer than it can be."""
    if not path.is_file():  # a pipe or a device could be read for ever
        raise ValueError("it is not a file")
    ours = Path(__file__).parent in path.parents  # some installers link the package's files from their cache
    if path.is_symlink() and path.resolve().parent != path.parent.resolve() and not ours:
        raise ValueError("it is a link that leads out of its folder")
    if path.stat().st_size > longest:
        raise ValueError(f"it has {path.stat().st_size:,} bytes")


def open_tensors(path: Path, longest: float = math.inf):
    """A safetensors file, of which only the header is read. Raises ValueError, OSError or SafetensorError.

    The header says how long it is: that is looked at before anything takes memory for it.
    """
    check_file(path, longest)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"its header claims {length:,} bytes")
    return safe_open(path, "pt")


def read_tensors(file) -> dict[str, Tensor]:
    """All tensors of an open file. Who presses Ctrl-C meanwhile is heard at the end.

    Inside, torch tells of it as of a tensor that has no shape: a whole state would pass for a damaged one.
    """
    with signals_later():
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a dictionary


@contextmanager
def signals_later() -> Iterator[None]:
    """What would end this process in the block ends it after the block. (Only the main thread has handlers.)"""
    came: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    ends = [end for end in (signal.SIGINT, signal.SIGTERM) if main and signal.getsignal(end) is not None]
    handlers = {end: signal.signal(end, lambda number, _: came.append(number)) for end in ends}
    try:
        yield
    finally:
        for end, handler in handlers.items():
            signal.signal(end, handler)
        for end in came[:1]:
            signal.raise_signal(end)


def load_network(path: Path, net: nn.Module) -> nn.Module:
    """Fill net with the weights at path, as float32.

    Raises InputError, and leaves net alone, if they are not for this network.
    """
    own = net.state_dict()
    check_weights(path, net)
    with safe_open(path, "pt") as file:
        state = {key: value.to(own[key].dtype) for key, value in read_tensors(file).items()}
    bad = not_finite(state)
    if bad:
        raise InputError(f"{path} holds a NaN or an infinity in {bad}: train again, or restore the file")
    net.load_state_dict(state)
    return net


def check_weights(path: Path, net: nn.Module) -> None:
    """Raise InputError if the file is not one of weights for net, judged by its header alone."""
    if not os.path.lexists(path):
        raise InputError(f"{path} is missing: train again, or restore the file")
    own = net.state_dict()
    try:
        with open_tensors(path) as file:
            parts = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118  not a dictionary
            shapes = {key: torch.Size(part.get_shape()) for key, part in parts.items()}
            kinds = {key: part.get_dtype() for key, part in parts.items()}
    except (OSError, SafetensorError, ValueError, TypeError, OverflowError) as error:
        why = one_line(error)
        raise InputError(f"{path} is not a safetensors file ({why}): train again, or restore the file") from None
    alike = shapes == {key: value.shape for key, value in own.items()}
    if not alike or any(kinds[key] not in KINDS.get(value.dtype, FLOATS) for key, value in own.items()):
        raise InputError(f"{path} holds weights for another network than {type(net).__name__}")


def not_finite(tensors: dict[str, Tensor]) -> str | None:
    """The name of a tensor that holds a NaN or an infinity, if there is one."""
    floats = {key: value for key, value in tensors.items() if value.is_floating_point()}
    return next((key for key, value in floats.items() if not value.isfinite().all()), None)


STATE, EARLIER = "state.safetensors", "state-before.safetensors"  # the last one, and the one before


def save_state(
    folder: Path,
    networks: dict[str, nn.Module],
    optimizers: dict[str, Optimizer],
    kept: dict[str, Tensor],
    note: dict,
) -> None:
    """Write all that a run needs to go on: weights, what the optimizers remember, torch's random states.

    `kept` are tensors of the caller's, `note` is plain JSON. One file, whole or not at all; the last whole one
    before it stays. Raises InputError, and writes nothing, where a number is NaN or infinite, or where the
    folder is another's by now.
    """
    check_held(folder)
    tensors, groups = {f"kept.{key}": value for key, value in kept.items()} | random_states(), {}
    for name, net in networks.items():
        tensors |= {f"{name}.{key}": value for key, value in net.state_dict().items()}
    for name, optimizer in optimizers.items():
        state = optimizer.state_dict()
        groups[name] = state["param_groups"]
        for i, memory in state["state"].items():
            tensors |= {f"{name}.{i}.{key}": value for key, value in memory.items()}
    tensors = {key: value.detach().contiguous().cpu() for key, value in tensors.items()}
    bad = not_finite(tensors)
    if bad:
        raise InputError(f"{bad} holds a NaN or an infinity: this state is not written")
    said = {"note": json.dumps(note), "groups": json.dumps(groups)}
    content = save(tensors, said | {"sha256": digest(tensors, said)})
    whole = note_of(folder / STATE) is not None  # a damaged one must not replace the one before it
    write(folder / STATE, content, keep=folder / EARLIER if whole else None)


def digest(tensors: dict[str, Tensor], said: dict[str, str]) -> str:
    """A checksum of all that a state holds: bits that flip on a disk leave numbers that look like any others."""
    total = hashlib.sha256(json.dumps([said["note"], said["groups"]]).encode())
    for key, value in sorted(tensors.items()):
        total.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def read_state(path: Path) -> tuple[dict[str, Tensor], dict, dict]:
    """Tensors, parameter groups and note of a state. Raises one of UNREADABLE where it is not as written."""
    with open_tensors(path, LONGEST_STATE) as file:
        said = file.metadata()
        tensors = read_tensors(file)
    if said["sha256"] != digest(tensors, said):
        raise ValueError("its checksum is another")
    groups, note = json.loads(said["groups"]), json.loads(said["note"])
    if not isinstance(note, dict):
        raise ValueError("its note is no object")
    return tensors, groups, note


# The last two also where there is no memory for it.
UNREADABLE = (OSError, SafetensorError, LookupError, TypeError, ValueError, MemoryError, RuntimeError)


def has_state(folder: Path) -> bool:
    """Whether a run was begun there; its state need not be whole."""
    return any(os.path.lexists(folder / name) for name in (STATE, EARLIER))


def last_state(folder: Path) -> Path | None:
    """The newest state in the folder that is whole."""
    return next((path for path in (folder / STATE, folder / EARLIER) if note_of(path) is not None), None)


def read_note(folder: Path) -> dict | None:
    """The note of a run's last whole state; None where the folder has none."""
    path = last_state(folder)
    return path and note_of(path)


def note_of(path: Path) -> dict | None:
    try:
        return read_state(path)[2]
    except UNREADABLE:
        return None


def damaged(folder: Path) -> list[str]:
    """What is left of states that were not written whole, or were spoiled later: to be passed over, and named."""
    states = [path for path in (folder / STATE, folder / EARLIER) if os.path.lexists(path)]
    parts = [path.name for path in [folder / (STATE + PART)] if os.path.lexists(path)]
    return parts + [path.name for path in states if note_of(path) is None]


def load_state(
    folder: Path, networks: dict[str, nn.Module], optimizers: dict[str, Optimizer]
) -> tuple[dict[str, Tensor], dict]:
    """Undo `save_state`: fill networks, optimizers, torch's random states. Returns the tensors kept and the note.

    Raises InputError where the state is not one of these networks.
    """
    path = last_state(folder)
    try:
        tensors, groups, note = read_state(path)
        if not_finite(tensors):
            raise ValueError(f"{not_finite(tensors)} holds a NaN or an infinity")
        for name, net in networks.items():
            net.load_state_dict(below(name, tensors))
        for name, optimizer in optimizers.items():
            recall(optimizer, below(name, tensors), groups[name])
        restore_random(tensors)
    except (*UNREADABLE, AttributeError) as error:
        why = one_line(error)[:200]
        raise InputError(f"{path} is no state of this run ({why}): delete it, and begin again") from error
    return below("kept", tensors), note


def recall(optimizer: Optimizer, tensors: dict[str, Tensor], groups: list[dict]) -> None:
    """Give an Adam its memory and its learning rates; all else is as it was made. Raises ValueError."""
    memory: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        i, what = key.split(".")
        memory.setdefault(int(i), {})[what] = value
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for i, values in memory.items():
        right = {"step": torch.Size(), "exp_avg": parameters[i].shape, "exp_avg_sq": parameters[i].shape}
        if {key: value.shape for key, value in values.items()} != right:
            raise ValueError(f"what Adam remembers of parameter {i} has another shape, or lacks a part")
    own = optimizer.state_dict()["param_groups"]
    for group, saved in zip(own, groups, strict=True):
        if not 0 <= saved["lr"] <= group["lr"]:  # it can only have been halved, at last to nothing
            raise ValueError(f"a step size of {saved['lr']}")
        group["lr"] = saved["lr"]
    optimizer.load_state_dict({"state": memory, "param_groups": own})
    lay_out(optimizer)


def restore_random(tensors: dict[str, Tensor]) -> None:
    torch.set_rng_state(tensors["random.cpu"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])


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
