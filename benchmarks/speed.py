"""How fast a training step is: the tutorials' way, each lever in its turn, and the package's own loop.

    python benchmarks/speed.py [RECIPES] [--rounds 5] [--seconds 1] [--out FOLDER]

All contenders of a model take turns within one run, since a machine's speed changes from minute to minute.
Reported is the median over the rounds, with the range. Writes card.json, and speed.md, the table of a page.
"""

import json
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from itertools import repeat
from pathlib import Path

import click
import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms.functional import normalize, to_pil_image, to_tensor

from ganbook.checkpoints import write
from ganbook.data import ImageSet
from ganbook.datasets import load
from ganbook.guidelines import swap
from ganbook.machine import pick_device, pick_precision, surroundings
from ganbook.mlp import Dropout
from ganbook.published import Probabilities
from ganbook.recipes import build, recipe
from ganbook.records import RECORDS
from ganbook.runs import Plan, begin, fill, picture_shape, updates
from ganbook.training import draw_z, frozen

MODELS = {"mlp": "digits", "dcgan28": "digits", "dcgan64": "avatars", "dcgan96": "avatars", "acgan": "avatars"}
BATCH, PICTURES = 64, 1_000
LEVERS = {  # each is kept when the next one comes
    "resident": "pictures as one tensor of bytes, no loader",
    "unread": "losses are not read in the loop",
    "logits": "cross-entropy of logits, no sigmoid",
    "no_graph": "fakes for D without a graph, not detached",
    "frozen": "D frozen in G's turn",
    "fused": "fused Adam",
    "dropout": "dropout's random numbers all at once",
    "channels_last": "channels last",
    "bf16": "bfloat16 where the hardware has it",
    "cast_once": "D's weights cast to it once for real and fake",
}
WORK = {  # of a step: how the names of its operations begin
    "products and convolutions": tuple(
        f"aten::{name}" for name in ("mm", "addmm", "_convolution", "mkldnn_convolution", "convolution_backward")
    ),
    "casts and copies": ("aten::copy_", "aten::_to_copy"),
    "random numbers": ("aten::bernoulli_", "aten::normal_", "aten::uniform_"),
    "Adam": ("aten::_fused_adam", "Optimizer"),
}
PACKAGE, REUSE = "ganbook", "`ganbook train --reuse-fakes`"


class Files(Dataset):
    """Pictures one by one through PIL, as tutorials load them."""

    def __init__(self, images: ImageSet):
        self.pictures, self.labels = [to_pil_image(image) for image in images.images], images.labels

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        x = to_tensor(self.pictures[row])
        return normalize(x, [0.5] * len(x), [0.5] * len(x)), self.labels[row]


@cache
def task(name: str) -> tuple[Plan, ImageSet]:
    """The plan of a recipe at one batch size for all, and some pictures of its size."""
    labelled = recipe(name).labelled
    plan = fill(Plan(name, data=MODELS[name], batch_size=BATCH, steps=10**9))
    images = load(plan.data, picture_shape(plan), labelled=labelled)[0]
    return plan, ImageSet(images.name, images.images[:PICTURES], images.labels[:PICTURES], images.classes)


def contender(name: str, way: set[str], device: torch.device):
    """An endless training on a few pictures; each next() is one step of both networks."""
    plan, images = task(name)  # at the first next(): of all contenders only those that run have pictures
    torch.manual_seed(0)
    G, D = build(name, plan.networks)
    if "dropout" not in way and has_dropout(D):
        swap(D, Dropout, lambda layer: nn.Dropout(layer.p))
    yield from endless(G, D, plan, images, way, device)


def has_dropout(net: nn.Module) -> bool:
    """Whether the package's own dropout is in it."""
    return any(isinstance(layer, Dropout) for layer in net.modules())


def endless(G, D, plan: Plan, images: ImageSet, way: set[str], device: torch.device):
    """A training written out with every lever as a switch: all is set up here, and its steps are returned."""
    layout = torch.channels_last if "channels_last" in way else torch.contiguous_format
    for net in (G, D):
        net.to(device, memory_format=layout).train()
    settings = {"lr": plan.lr_g, "betas": (plan.beta1, 0.999), "fused": True if "fused" in way else None}
    opt_G, opt_D = Adam(G.parameters(), **settings), Adam(D.parameters(), **settings)
    objective = recipe(plan.recipe).objective
    if "logits" not in way and not recipe(plan.recipe).labelled:
        objective = Probabilities()
    on_device = images.to(device)
    # No worker: two cores have none to spare.
    loader = None if "resident" in way else DataLoader(Files(images), plan.batch_size, shuffle=True)

    def steps():
        while True:
            for x, y in loader or on_device.batches(plan.batch_size):
                x, y = x.to(device, memory_format=layout), y.to(device)
                losses = both_turns(G, D, objective, opt_G, opt_D, x, y, way)
                yield losses if "unread" in way else [loss.item() for loss in losses]

    return steps()


def both_turns(G, D, objective, opt_G, opt_D, x, y, way):
    """`ganbook.training.train_step`, with and without what makes it fast."""
    # What a block has cast is forgotten at its end.
    once = "cast_once" in way
    bf16 = torch.autocast(x.device.type, torch.bfloat16, enabled="bf16" in way, cache_enabled=once)
    with bf16, torch.set_grad_enabled("no_graph" not in way):
        x_fake = G(draw_z(G, x), y)
    with bf16:
        d_loss = objective.d_loss(D, x, x_fake.detach(), y)
    opt_D.zero_grad()
    d_loss.backward()
    opt_D.step()
    with bf16:
        x_fake = G(draw_z(G, x), y)
        if "frozen" in way:
            with frozen(D):
                g_loss = objective.g_loss(D, x_fake, y)
        else:
            g_loss = objective.g_loss(D, x_fake, y)
    opt_G.zero_grad()
    g_loss.backward()
    opt_G.step()
    return d_loss.detach(), g_loss.detach()


def package(name: str, device: torch.device, **how):
    """The steps of `ganbook train`."""
    plan, images = task(name)
    plan = replace(plan, **how)
    yield from updates(begin(plan, device), plan, images.to(device))


def contenders(name: str, device: torch.device) -> dict:
    """What takes turns: the tutorials' way, one lever more at a time, the package, the package with reuse."""
    precision = pick_precision("auto", device)
    levers = [key for key in LEVERS if key not in ("bf16", "cast_once") or precision == "bf16"]
    ways = {"tutorial": set(), **{key: set(levers[: i + 1]) for i, key in enumerate(levers)}}
    all_ways = {key: contender(name, way, device) for key, way in ways.items()}
    ours = package(name, device, precision=precision)
    again = package(name, device, precision=precision, reuse_fakes=True)
    return {**all_ways, PACKAGE: ours, REUSE: again}


def time_steps(steps, seconds: float, device: torch.device) -> float:
    """Seconds a step, over as many steps as fit into some seconds, two at least."""
    began, n = time.perf_counter(), 0
    while n < 2 or time.perf_counter() - began < seconds:
        next(steps)
        n += 1
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / n


def measure(name: str, rounds: int, seconds: float, device: torch.device) -> dict:
    """Each contender's milliseconds a step, round by round; the step's operations; each way's peak memory."""
    running = contenders(name, device)
    for steps in running.values():
        time_steps(steps, 0, device)
    times = {key: [] for key in running}
    for _ in range(rounds):
        for key, steps in running.items():
            times[key].append(1e3 * time_steps(steps, seconds, device))
    with FlopCounterMode(display=False) as counter:
        next(contender(name, set(LEVERS) - {"bf16", "cast_once"}, device))
    memory = {way: peak_memory(name, way, device) for way in ("tutorial", PACKAGE)}
    found = {"ms": times, "operations": counter.get_total_flops(), "peak_mb": memory}
    return found | ({"shares": shares(running[PACKAGE])} if device.type == "cpu" else {})


def shares(steps) -> dict[str, float]:
    """What a step's time goes to, by operation, of all that PyTorch knows of: ten steps under its profiler."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(10):
            next(steps)
    spent = dict.fromkeys((*WORK, "all else"), 0.0)
    for event in profiler.key_averages():
        kind = next((kind for kind, names in WORK.items() if event.key.startswith(names)), "all else")
        spent[kind] += event.self_cpu_time_total
    return {kind: time / sum(spent.values()) for kind, time in spent.items()}


def peak_memory(name: str, way: str, device: torch.device) -> int:
    """Megabytes of a process of its own that trains a few steps."""
    told = subprocess.run(
        [sys.executable, __file__, "--device", str(device), "--peak", name, way],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(told.stdout.split()[-1])


def own_peak() -> int:
    """Megabytes that this process held at once. (getrusage tells what its parent held, if that was more.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) // 1024


def limits(device: torch.device) -> dict:
    """What the machine can do: its matrix rate in each format, and how fast it copies memory."""
    found = {}
    for key, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a = torch.ones(2_048, 2_048, dtype=dtype, device=device)
        found[f"{key}_gflops"] = 2 * 2_048**3 / best(lambda a=a: a @ a, device) / 1e9
    source = torch.ones(50_000_000, device=device)
    target = torch.empty_like(source)
    found["copy_gb_s"] = 2 * source.nbytes / best(lambda: target.copy_(source), device) / 1e9
    return found


def best(run, device: torch.device) -> float:
    """Seconds of the fastest of ten."""
    seconds = []
    for _ in repeat(None, 10):
        began = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def as_markdown(card: dict) -> str:
    """The card as a page shows it."""
    names = list(card["models"])
    lines = [["", *(f"`{name}`" for name in names)], ["---"] * (len(names) + 1)]
    for key in next(iter(card["models"].values()))["ms"]:
        title = {"tutorial": "the tutorials' way, ms a step", PACKAGE: "**`ganbook train`**"}.get(key)
        title = title or (f"… {LEVERS[key]}" if key in LEVERS else key)
        cells = [
            "–" if is_no_lever(key, name) else f"{statistics.median(card['models'][name]['ms'][key]):.0f}"
            for name in names
        ]
        lines.append([title, *cells])
    lines.append(["**times as fast**", *(ratio(card["models"][name]["ms"], PACKAGE) for name in names)])
    lines.append(["with `--reuse-fakes`", *(ratio(card["models"][name]["ms"], REUSE) for name in names)])
    rate = card["limits"][f"{card['precision']}_gflops"]
    lines.append(["of the matrix rate", *(share(card["models"][name], rate) for name in names)])
    for kind in (*WORK, "all else"):
        if all("shares" in model for model in card["models"].values()):
            lines.append([f"{kind}, of its time", *(f"{card['models'][n]['shares'][kind]:.0%}" for n in names)])
    for way, title in (("tutorial", "peak MB, the tutorials' way"), (PACKAGE, "peak MB, `ganbook train`")):
        lines.append([title, *(f"{card['models'][name]['peak_mb'][way]:,}" for name in names)])
    can = ", ".join(f"{key.replace('_', ' ')} {value:,.0f}" for key, value in card["limits"].items())
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + (
        f"\n\nMilliseconds of one step of both networks, batches of {BATCH}; median over {card['rounds']} rounds "
        "in which all took turns; in brackets the range over the rounds. "
        f"Made by `{card['command']}` at commit {card['commit']} on {card['date']}, on {card['device']}, "
        f"{card['threads']} thread(s), {card['precision']}, torch {card['versions']['torch']}. "
        f"What the machine can do: {can}.\n"
    )


def is_no_lever(lever: str, name: str) -> bool:
    """Whether a lever changes nothing of a model."""
    if lever == "dropout":
        return not has_dropout(build(name, {})[1])
    return lever == "logits" and recipe(name).labelled  # with labels, the tutorials' way has logits as well


def ratio(ms: dict, key: str) -> str:
    """How many times as fast as the tutorials' way, round by round."""
    ratios = [slow / fast for slow, fast in zip(ms["tutorial"], ms[key], strict=True)]
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})"


def share(model: dict, gflops: float) -> str:
    seconds = statistics.median(model["ms"][PACKAGE]) / 1e3
    return f"{model['operations'] / seconds / 1e9 / gflops:.0%}"


@click.command()
@click.argument("models", nargs=-1, type=click.Choice(list(MODELS)))
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--seconds", type=float, default=1.0, show_default=True, help="At least so long a turn.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=RECORDS / "speed")
@click.option("--device", default="auto", show_default=True)
@click.option("--peak", nargs=2, hidden=True, help="Model and way: print the peak memory of a few steps.")
def main(models, rounds: int, seconds: float, out: Path, device: str, peak) -> None:
    where = pick_device(device)
    if peak:
        running = contenders(peak[0], where)[peak[1]]
        time_steps(running, 0, where)
        print(torch.cuda.max_memory_allocated(where) // 2**20 if where.type == "cuda" else own_peak())
        return
    asked = {"--rounds": (rounds, 5), "--seconds": (seconds, 1)}
    options = [f"{name} {value:g}" for name, (value, usual) in asked.items() if value != usual]
    card = {
        "command": " ".join(["python benchmarks/speed.py", *models, *options]),
        "rounds": rounds,
        **surroundings(where),
    }
    card |= {"precision": pick_precision("auto", where), "limits": limits(where), "models": {}}
    out.mkdir(parents=True, exist_ok=True)
    for name in models or MODELS:
        card["models"][name] = measure(name, rounds, seconds, where)
        print(
            name,
            {key: round(statistics.median(ms), 1) for key, ms in card["models"][name]["ms"].items()},
            flush=True,
        )
        write(out / "card.json", json.dumps(card, indent=1).encode())
        write(out / "speed.md", as_markdown(card).encode())


if __name__ == "__main__":
    main()
