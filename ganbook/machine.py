"""The machine that a model runs on: its device, the number format that is fast there, what numbers depend on."""

import platform
import subprocess
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import torch
from torch.nn.functional import conv2d

import ganbook
from ganbook.errors import InputError

PRECISIONS = ("auto", "fp32", "bf16")
KINDS = ("cpu", "cuda", "mps")  # of devices; torch has others, such as meta, which holds no numbers


def pick_device(name: str = "auto") -> torch.device:
    """The device of a name such as cpu, cuda or cuda:1; `auto` takes a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in KINDS:
            raise RuntimeError("it computes nothing")
        torch.empty(1, device=device)
        if device.index is not None and device.type == "cuda":
            torch.cuda.set_device(device)  # so that its random state is the one that is saved
    except (RuntimeError, AssertionError):  # torch says AssertionError where it was built without CUDA
        raise InputError(
            f"device {name!r} is not to be had here: try --device cpu, or leave --device out"
        ) from None
    return device


def pick_precision(name: str, device: torch.device) -> str:
    """fp32 or bf16 as named; `auto` takes bf16 where the device computes in it faster."""
    if name not in PRECISIONS:
        raise InputError(f"precision {name!r} is unknown: choose one of {', '.join(PRECISIONS)}")
    if name != "auto":
        return name
    return "bf16" if time_convolution(device, True) < 0.8 * time_convolution(device, False) else "fp32"


@cache
def time_convolution(device: torch.device, bf16: bool) -> float:
    """Seconds for a convolution there and back, the best of several. Smaller ones tell more of the threads.

    What a CPU says of itself does not tell: bfloat16 that its hardware cannot multiply works, at a fraction of the
    speed of float32.
    """
    shapes = (64, 64, 16, 16), (128, 64, 4, 4)
    x, w = (torch.ones(shape, device=device).to(memory_format=torch.channels_last) for shape in shapes)
    w.requires_grad_()
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = conv2d(x, w, stride=2, padding=1).float().sum()
        (gradient,) = torch.autograd.grad(loss, w)
        gradient.sum().item()  # waits for the device
        best = min(best, time.perf_counter() - began)
    return best


def processor() -> str:
    """The CPU's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def surroundings(device: torch.device, precision: str = "fp32") -> dict:
    """What else a number depends on."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "precision": precision,
        "versions": {
            "ganbook": ganbook.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def commit() -> str | None:
    """The commit of the checkout that this package runs from; None outside one.

    With a + if files have changed, records apart: a command that fills one would mark its own next run.
    """
    return commit_of(Path(__file__).parent)


def commit_of(package: Path) -> str | None:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=package, capture_output=True, text=True).stdout.strip()

    try:
        name = git("describe", "--always", "--abbrev=12", "--exclude=*")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(exclude)records")
    except OSError:
        return None
    return name + ("+" if changed else "") or None
