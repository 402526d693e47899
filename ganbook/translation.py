"""A run of a CycleGAN: from two folders of pictures to a folder with G and F. It can be cut, and goes on.

The runs of one G and one D are in ganbook.runs: what both have in common is taken from there.
"""

import errno
import io
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from ganbook import runs
from ganbook.avatars import EYES, HAIR, draw_avatars
from ganbook.checkpoints import (
    EARLIER,
    load_network,
    load_state,
    locked,
    read_card,
    save_networks,
    save_state,
    write,
)
from ganbook.cyclegan import (
    CycleLosses,
    CycleStep,
    Four,
    PatchDiscriminator,
    Pool,
    Retoucher,
    cycle_step,
    fit_cycle,
    optimizers,
    set_step_size,
    translate,
)
from ganbook.data import ImageSet, Ordered, to_float, to_uint8
from ganbook.errors import InputError
from ganbook.folders import check_apart, existing, find, open_folder, picture
from ganbook.health import FLAT, SAME, no_numbers
from ganbook.machine import pick_device, surroundings
from ganbook.plots import save_images
from ganbook.records import RECORDS
from ganbook.sampling import evaluating

NAME = "cyclegan"
NUMBERS = CycleStep._fields[:4]
LOSSES = CycleLosses(cycle=2.0, identity=1.0)  # less than the paper's: see the chapter
HAIR_A, HAIR_B, AVATARS = "green", "purple", 2_000  # what is drawn where no folder is named, and …
STEPS_DRAWN, STEPS_FOLDERS = 4_000, 20_000  # … how long it trains on that, or on folders, if nobody says
WIDEST = 1_024  # channels of a network that a card may ask for
SHOWN = 5  # pictures of A, and as many of B, in each row of progress.png
ALIKE = 0.1  # where no pixel of these varies by more, G and F may make the same of all of them


class Setting(NamedTuple):
    """What belongs to a size of pictures: for 32 pixels the book's own; for 128 and 256 nearly the paper's."""

    width_g: int
    width_d: int
    blocks: int
    kernel: int
    halvings: int  # of G's and F's
    strides: tuple[int, ...]  # of D_A's and D_B's
    batch_size: int
    lr: float


SETTINGS = {
    32: Setting(16, 32, 2, 3, 1, (2, 2), 4, 1e-3),
    64: Setting(32, 32, 4, 5, 2, (2, 2, 1), 4, 5e-4),
    128: Setting(64, 64, 6, 7, 2, (2, 2, 2, 1), 1, 2e-4),
    256: Setting(64, 64, 9, 7, 2, (2, 2, 2, 1), 1, 2e-4),
}
USED = "data data_b steps batch_size lr_g lr_d beta1 sample_every save_every seed digest".split()


@dataclass(frozen=True)
class CyclePlan(runs.Plan):
    """What a run is asked to do, as in runs.Plan; of its options, those in USED."""

    data_b: str | None = None  # the folder of B; `data` is that of A

    def __post_init__(self):
        super().__post_init__()
        known = {*USED, "recipe", "networks"}
        for one in fields(runs.Plan):
            if one.name not in known and getattr(self, one.name) not in (one.default, "auto"):
                raise InputError(
                    f"{NAME} takes no {one.name}: of numbers, it takes steps, batch_size, lr_g, lr_d, beta1"
                )
        if (self.data is None) != (self.data_b is None):
            raise InputError(f"{NAME} learns from two folders: give both --data and --data-b, or neither")
        check_networks(self.networks)


def check_networks(networks: dict) -> None:
    """Raise InputError for what cannot be built, or not be loaded again."""
    if networks.keys() - {"image_size", "width_g", "width_d"}:
        raise InputError(f"{NAME} draws no z: leave out --latent-dim")
    if networks.get("image_size", 32) not in SETTINGS:
        raise InputError(f"{NAME} is not for this size: take --size {', '.join(map(str, SETTINGS))}")
    for key in ("width_g", "width_d"):
        width = networks.get(key, 1)
        if type(width) is not int or not 0 < width <= WIDEST:
            raise InputError(f"{NAME} is not built with {key} {width!r}: take a whole number from 1 to {WIDEST:,}")


@dataclass
class CycleRun:
    """What changes while a run trains."""

    four: Four
    opt_G: Optimizer
    opt_D: Optimizer
    pools: tuple[Pool, Pool]
    n: int = 0  # steps done
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    numbers: list[Tensor] = field(default_factory=list)  # pieces of (steps, 4), on the CPU
    progress: list[Tensor] = field(default_factory=list)  # G's and F's pictures of the same ten, at each of …
    shown: list[int] = field(default_factory=list)  # … these steps

    def parts(self) -> tuple[dict, dict]:
        return self.four._asdict(), {"opt_G": self.opt_G, "opt_D": self.opt_D}

    def save(self, folder: Path, plan: CyclePlan) -> None:
        kept = {"numbers": torch.cat(self.numbers), "progress": torch.cat([*self.progress, torch.empty(0)])}
        kept |= {f"pool_{i}": torch.stack(pool.fakes) for i, pool in enumerate(self.pools)}
        note = {key: getattr(self, key) for key in ("n", "seconds", "cpu_seconds", "shown")}
        save_state(folder, *self.parts(), kept, {"plan": asdict(plan), **note})

    def restore(self, folder: Path, device: torch.device) -> None:
        kept, note = load_state(folder, *self.parts())
        try:
            self.n, self.seconds, self.cpu_seconds = note["n"], float(note["seconds"]), float(note["cpu_seconds"])
            self.numbers, self.progress, self.shown = [kept["numbers"]], [kept["progress"]], list(note["shown"])
            for i, pool in enumerate(self.pools):
                pool.fakes = list(kept[f"pool_{i}"].to(device)[: pool.size])
            right = kept["numbers"].shape == (self.n, len(NUMBERS))
        except (LookupError, TypeError, ValueError):
            right = False
        if not right:
            raise InputError(f"the state in {folder} does not agree with itself: delete it, and begin again")


def train(
    out: Path,  # a folder that holds no run, or the one that is resumed
    plan: CyclePlan,
    *,
    resume: Path | None = None,  # a folder of a run to go on with
    device: str = "auto",
    workers: int = 0,  # processes that decode a folder of pictures
    tensorboard: bool = False,
    progress: bool = True,  # a bar on stderr
) -> dict:
    """Do what the plan says; write G, F, D_A, D_B, their card, losses and pictures to `out`. Returns the card.

    The step size falls to 0 over the plan's steps (`set_step_size`). A run that is resumed with more steps than it
    was begun with goes on with the step size that they give to its next step: it rises again, and falls anew.
    """
    if tensorboard:
        raise InputError(f"{NAME} writes no TensorBoard log: look at losses.csv, or take --sample-every")
    for folder in (plan.data, plan.data_b) if plan.data else ():
        check_apart(out, folder)
        check_apart(out / runs.SAMPLES, folder)
    where, note = pick_device(device), runs.begun(out, resume)
    plan = fill(plan)
    check_size(plan.networks)  # before minutes go into data
    plan, data = open_data(plan, workers)
    run = begin(plan, where)
    if note:
        runs.check_plan(plan, note["plan"], resume)
        run.restore(resume, where)
        plan = replace(plan, steps=max(plan.steps, run.n))
        if runs.is_finished(out, plan):
            print(f"{out} is finished: {run.n:,} of {plan.steps:,} steps are done, nothing changes")
            return read_card(out)
        print(f"going on at step {run.n:,} of {plan.steps:,}")
    card = {**asdict(plan), "pictures": [len(images) for images in data], **surroundings(where)}
    with locked(out), runs.telling_what_is_left(out):
        runs.check_unchanged(out, resume, note)
        data = tuple(images.to(where) for images in data)
        follow(run, plan, data, out, progress)
        return finish(run, plan, data, out, card)


def fill(plan: CyclePlan) -> CyclePlan:
    """The plan with the values that belong to its size where none are asked for."""
    size = plan.networks.get("image_size") or (128 if plan.data else 32)
    own = SETTINGS[size]
    networks = {"image_size": size, "width_g": own.width_g, "width_d": own.width_d, **plan.networks}
    values = {"batch_size": own.batch_size, "lr_g": own.lr, "lr_d": own.lr, "beta1": 0.5}
    values["steps"] = STEPS_FOLDERS if plan.data else STEPS_DRAWN
    missing = {key: value for key, value in values.items() if getattr(plan, key) is None}
    return replace(plan, networks=networks, precision="fp32", **missing)


def open_data(plan: CyclePlan, workers: int) -> tuple[CyclePlan, tuple[ImageSet, ImageSet]]:
    """The plan with the names of its data and their digest, and the data: A, B."""
    size = plan.networks["image_size"]
    if plan.data is None:
        data = faces(HAIR_A, AVATARS, size, seed=0), faces(HAIR_B, AVATARS, size, seed=1)
    else:
        data = tuple(pictures_in(folder, size, workers) for folder in (plan.data, plan.data_b))
    digest = "-".join(map(runs.digest, data))
    return replace(plan, data=data[0].name, data_b=data[1].name, digest=digest), data


def pictures_in(folder: str, size: int, workers: int) -> ImageSet:
    found = open_folder(folder, size, workers=workers)
    runs.tell_skipped(found.skipped)
    return ImageSet(Path(folder).resolve().name, found.images, torch.zeros(len(found.images), dtype=torch.int64))


def faces(hair: str, n: int, size: int, seed: int) -> ImageSet:
    """n avatars whose hair is of one colour (or of one of several: "red, green"), and whose eyes are of any."""
    rng = np.random.default_rng([seed, 2])
    colours = [HAIR.index(name) for name in hair.split(", ")]
    labels = np.stack([rng.choice(colours, n), rng.integers(len(EYES), size=n)], 1)
    labels = torch.from_numpy(labels)
    images = draw_avatars(labels, size, seed)
    return ImageSet(f"{hair} hair", images, labels, {"hair": HAIR, "eyes": EYES})


def new_four(size: int, width_g: int | None = None, width_d: int | None = None) -> Four:
    """Untrained players for pictures of this size: G, F, D_A, D_B."""
    own = SETTINGS[size]
    translator = (width_g or own.width_g, own.blocks, own.halvings, own.kernel)
    G, F = Retoucher(*translator), Retoucher(*translator)
    D_A, D_B = (PatchDiscriminator(width_d or own.width_d, own.strides) for _ in range(2))
    return Four(G, F, D_A, D_B)


def build(networks: dict) -> Four:
    """`new_four` from what a plan or a card says of the networks. Raises InputError if they are too large."""
    check_size(networks)
    return new_four(networks["image_size"], networks["width_g"], networks["width_d"])


def check_size(networks: dict) -> None:
    """Raise InputError for networks that would fill the memory."""
    with torch.device("meta"):  # shapes alone, no numbers
        four = new_four(networks["image_size"], networks["width_g"], networks["width_d"])
    parameters = sum(p.numel() for net in four for p in net.parameters())
    if parameters > runs.LARGEST:
        raise InputError(f"these networks would have {parameters:,} parameters: take smaller ones")


def begin(plan: CyclePlan, where: torch.device) -> CycleRun:
    """A run at step 0."""
    torch.manual_seed(plan.seed)
    four = Four(*(net.to(where, memory_format=torch.channels_last) for net in build(plan.networks)))
    opt_G, opt_D = optimizers(four, plan.lr_g, plan.beta1)
    set_step_size(opt_D, plan.lr_d, 1, plan.steps)  # each step sets its own; a saved one must not be larger
    return CycleRun(four, opt_G, opt_D, (Pool(), Pool()))


def updates(run: CycleRun, plan: CyclePlan, data: tuple[ImageSet, ImageSet]) -> Iterator[CycleStep]:
    """The plan's steps that are still to do: `fit_cycle` with what only a long run needs."""
    orders = (Ordered(images, 2 * plan.seed + i, start=run.n) for i, images in enumerate(data))
    both = zip(*(order.batches(plan.batch_size) for order in orders), strict=True)
    for n, ((a, _), (b, _)) in enumerate(islice(both, plan.steps - run.n), run.n + 1):
        set_step_size(run.opt_G, plan.lr_g, n, plan.steps)
        set_step_size(run.opt_D, plan.lr_d, n, plan.steps)
        step = cycle_step(run.four, LOSSES, run.opt_G, run.opt_D, run.pools, a, b)
        yield step._replace(n=n)


def follow(run: CycleRun, plan: CyclePlan, data: tuple[ImageSet, ImageSet], out: Path, progress: bool) -> None:
    """Train to the plan's last step: note the numbers, keep pictures of the same ten, save."""
    shown, recent = runs.moments(plan.steps), []
    started, cpu_started = time.perf_counter() - run.seconds, time.process_time() - run.cpu_seconds
    steps = updates(run, plan, data)
    for step in tqdm(steps, total=plan.steps, initial=run.n, unit="step", mininterval=1, disable=not progress):
        run.n = step.n
        recent.append(torch.stack(step[:4]))
        saving = runs.is_due(plan.save_every, step.n) or step.n == plan.steps
        if saving or len(recent) == runs.READ_EVERY:
            run.numbers.append(torch.stack(recent).cpu())
            recent = []
            notice(run, data, out)
        look(run, plan, data, out, shown=step.n in shown)
        if saving:
            run.seconds, run.cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
            run.save(out, plan)


def notice(run: CycleRun, data: tuple[ImageSet, ImageSet], out: Path) -> None:
    """Raise InputError where the last steps show what training never comes back from."""
    numbers = torch.cat(run.numbers[-runs.READ_EVERY :])[-runs.READ_EVERY :]  # a read brings one step or more
    what = no_numbers(run.four._asdict(), numbers, run.n, NUMBERS) or stuck(run, data)
    if what:
        raise InputError(f"{what}; {runs.what_is_kept(out)}; begin a new run with a smaller --lr-g and --lr-d")


def stuck(run: CycleRun, data: tuple[ImageSet, ImageSet]) -> str | None:
    """Which of the four gives the same, whatever it is given. (Of pictures that are alike, G and F may.)"""
    if run.n < runs.READ_EVERY:
        return None
    G, F, D_A, D_B = run.four
    a, b = (images.take(torch.arange(SHOWN) % len(images))[0] for images in data)
    for (go, net), (judge, D), x, real in ((("G", G), ("D_B", D_B), a, b), (("F", F), ("D_A", D_A), b, a)):
        fakes = translate(net, x)
        with evaluating(D):
            logits = D(torch.cat([real, fakes]))
        if logits.max() - logits.min() < SAME:
            return f"{judge} says the same of every picture at step {run.n:,}: it is dead"
        if fakes.std(0).max() < FLAT and x.std(0).max() > ALIKE:
            return f"{go} makes the same of every picture at step {run.n:,}: it has collapsed"
    return None


def look(run: CycleRun, plan: CyclePlan, data: tuple[ImageSet, ImageSet], out: Path, shown: bool) -> None:
    """Keep what G and F make of the same pictures now: ten if they are to be shown, and a sheet where due."""
    if shown:
        (a, _), (b, _) = (images.take(torch.arange(SHOWN) % len(images)) for images in data)
        run.progress.append(torch.cat([translate(run.four.G, a), translate(run.four.F, b)]).cpu())
        run.shown.append(run.n)
    if runs.is_due(plan.sample_every, run.n):
        (out / runs.SAMPLES).mkdir(exist_ok=True)
        save_images(out / runs.SAMPLES / f"step-{run.n:06}.png", sheet(run, data))


def sheet(run: CycleRun, data: tuple[ImageSet, ImageSet]) -> Tensor:
    """Six rows of eight: pictures of A, what G makes of them, and F of that; then B, F and G."""
    rows = []
    for images, go, back in ((data[0], run.four.G, run.four.F), (data[1], run.four.F, run.four.G)):
        x, _ = images.take(torch.arange(8) % len(images))
        rows += [x, translate(go, x), translate(back, translate(go, x))]
    return torch.cat(rows).cpu()


def finish(run: CycleRun, plan: CyclePlan, data: tuple[ImageSet, ImageSet], out: Path, card: dict) -> dict:
    """Write what a finished run leaves. The card comes last: a folder with a card is complete."""
    numbers = torch.cat(run.numbers)
    last = dict(zip(NUMBERS, numbers[-runs.READ_EVERY :].mean(0).tolist(), strict=True))
    card |= {"progress_steps": run.shown, "minutes": run.seconds / 60, "cpu_minutes": run.cpu_seconds / 60}
    card |= {"last_steps": last}
    write(out / "losses.csv", runs.as_csv(numbers, NUMBERS).encode())
    save_images(out / "samples.png", sheet(run, data))
    save_images(out / "progress.png", torch.cat(run.progress), columns=2 * SHOWN)
    save_networks(out, run.four._asdict(), card)
    (out / EARLIER).unlink(missing_ok=True)
    return card


def load_translator(folder: Path, back: bool = False) -> tuple[nn.Module, int]:
    """G of a folder that `train` wrote, or F for the way back, in eval mode; and the size of its pictures."""
    card = read_card(folder)
    networks = card.get("networks")
    if card.get("recipe") != NAME or not is_known(networks):
        raise InputError(f"{folder} holds no CycleGAN: `ganbook train {NAME}` makes such a folder")
    name = "F" if back else "G"
    net = getattr(build(networks), name)
    return load_network(folder / f"{name}.safetensors", net).eval(), networks["image_size"]


def is_known(networks) -> bool:
    """Whether a card's networks can be built: whole numbers, of a size that there is."""
    keys = ("image_size", "width_g", "width_d")
    numbers = [networks.get(key) for key in keys] if isinstance(networks, dict) else [None]
    return all(type(n) is int and 0 < n <= WIDEST for n in numbers) and numbers[0] in SETTINGS


def translate_folder(folder: Path, src: str | Path, dst: Path, back: bool = False) -> tuple[int, dict[str, str]]:
    """Write each picture of src, cut to its middle square and translated, to dst as a PNG of the same name.

    Returns how many, and {file: why} of those that could not be used. Raises InputError, also where dst has files.
    """
    G, size = load_translator(folder, back)
    src = existing(src)
    check_apart(dst, src)
    if dst.exists() and any(dst.iterdir()):
        raise InputError(f"{dst} is not empty: choose another folder, or delete it")
    found = find(src)
    skipped, targets = dict(found.skipped), targets_of([name for name, *_ in found.files])
    for name, target in targets.items():
        why = translate_file(G, size, src, name, dst / target)
        if why:
            skipped[name] = why
    if len(skipped) == len(found.skipped) + len(found.files):
        raise InputError(f"{src} holds no picture that can be used: name a folder of pictures")
    return len(found.skipped) + len(found.files) - len(skipped), skipped


def targets_of(names: list[str]) -> dict[str, str]:
    """What the translation of each is called: with .png behind it, and again where that is another's name."""
    taken = {str(place) for name in names for place in (PurePosixPath(name), *PurePosixPath(name).parents)}
    targets = {}
    for name in names:
        target = name if name.lower().endswith(".png") else f"{name}.png"
        while target != name and target in taken:
            target += ".png"
        targets[name] = target
    return targets


def translate_file(G: nn.Module, size: int, src: Path, name: str, target: Path) -> str | None:
    """Write the picture of this name, translated. Returns why not, where it cannot be used."""
    content = picture(name, src, size, 3)
    if isinstance(content, str):
        return content
    x = to_float(torch.frombuffer(bytearray(content), dtype=torch.uint8).view(1, 3, size, size))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(target, as_png(translate(G, x)[0]))
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return "has a name too long for another .png or .part behind it"
    return None


def as_png(x: Tensor) -> bytes:
    """A picture (3, H, W) in [-1, 1] as the bytes of a PNG."""
    png = io.BytesIO()
    Image.fromarray(to_uint8(x).permute(1, 2, 0).cpu().numpy()).save(png, format="png")
    return png.getvalue()


def train_spies(seed: int = 0, steps: int = 250) -> Four:
    """Red or green hair to purple and back: what F needs is lost, unless G hides it.

    First with a light cycle loss, so that G gives up red and green soon.
    """
    A = faces("red, green", 1_000, 32, seed=10 * seed + 3)
    B = faces("purple", 1_000, 32, seed=10 * seed + 1)
    torch.manual_seed(seed)
    four = new_four(32)
    for losses, n in (
        (CycleLosses(cycle=0.3, identity=0.1), 100),
        (CycleLosses(cycle=2.0, identity=0.25), steps),
    ):
        training = fit_cycle(four, losses, (A, B), steps=n, batch_size=4, lr=1e-3)
        for _step in training:
            pass
    return four


def load_spies() -> tuple[nn.Module, nn.Module]:
    """G and F as `train_spies` left them for seed 0, in eval mode: they come with the package."""
    G, F, *_ = new_four(32)
    folder = RECORDS / "spies"
    return load_network(folder / "there.safetensors", G).eval(), load_network(
        folder / "back.safetensors", F
    ).eval()
