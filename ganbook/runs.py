"""A run: from a plan to a folder with both networks, numbers and pictures. It can be cut, and goes on."""

import hashlib
import inspect
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from numbers import Integral, Real
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.multiprocessing import ProcessExitedException
from torch.optim import Adam, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ganbook.checkpoints import (
    CARD,
    EARLIER,
    LOCK,
    damaged,
    load_network,
    load_state,
    locked,
    read_card,
    read_note,
    save_networks,
    save_state,
    write,
)
from ganbook.data import ImageSet, Ordered
from ganbook.datasets import NAMED, load
from ganbook.errors import InputError
from ganbook.folders import check_apart
from ganbook.health import NUMBERS, READ_EVERY, trouble
from ganbook.machine import PRECISIONS, pick_device, pick_precision, surroundings
from ganbook.penalties import R1, R2, GradientPenalty, Penalized, WeightPenaltyOnG
from ganbook.plots import grid, save_images
from ganbook.recipes import build, recipe
from ganbook.sampling import cycle_labels, draw_latents, evaluating, generate, sample
from ganbook.team import ALONE, Team, launch
from ganbook.training import SameFakes, Step, train_step

# Parts of a run after which its pictures of the same z are kept: after 1, 5, 10, 25 and 50 of 50 epochs.
MOMENTS = (0.02, 0.1, 0.2, 0.5, 1.0)
SAMPLES = "samples"  # the folder of a run's pictures
PENALTIES = {"r1": R1, "r2": R2, "gp": GradientPenalty}
MOST = 2**40  # of anything that is counted
COUNTS = ("steps", "epochs", "batch_size", "d_every", "g_every", "decay_every", "sample_every", "save_every")
RANGES = {  # of a plan's numbers: the least, what all are below, their kind
    **dict.fromkeys(COUNTS, (1, MOST, Integral)),
    **dict.fromkeys(("lr_g", "lr_d", "l2", "penalty_weight"), (0, math.inf, Real)),
    **dict.fromkeys(("beta1", "average"), (0, 1, Real)),
    "seed": (0, 2**63, Integral),
}
LARGEST = 2**31  # parameters of a pair of networks: with gradients and Adam's memory 32 GB


@dataclass(frozen=True)
class Plan:
    """What a run is asked to do; None is the recipe's own. A run is resumed only under the plan it began with."""

    recipe: str
    data: str | None = None  # a data set's name, or a folder of pictures
    steps: int | None = None  # in all, also after a resume
    epochs: int | None = None  # instead of steps
    batch_size: int | None = None
    lr_g: float | None = None
    lr_d: float | None = None
    beta1: float | None = None
    networks: dict = field(default_factory=dict)  # keywords of the recipe's networks
    d_every: int = 1  # D moves in each d_every-th step
    g_every: int = 1
    reuse_fakes: bool = False  # G answers for the fakes that D was shown in this step, not for new ones
    average: float | None = None  # decay of the running average of G that is kept for G; 0: none
    even: bool = False  # each combination of labels as often as any other that occurs
    decay_every: int | None = None  # steps after which both learning rates are halved, again and again
    l2: float = 0.0  # weight of an L2 penalty on G's weights
    penalty: str | None = None  # on D: a key of PENALTIES
    penalty_weight: float = 10.0  # as in the papers: gamma of R1 and R2, lambda of the gradient penalty
    init_g: str | None = None  # files of weights to begin with
    init_d: str | None = None
    sample_every: int | None = None  # steps after which 64 pictures go to the folder samples
    save_every: int = 1000  # steps after which the state is written
    seed: int = 0
    precision: str = "fp32"  # or bf16; auto: what is faster here
    digest: str | None = None  # of the pictures: filled in by `train`, so that a run goes on with the same ones
    labels: str | None = None  # and a digest of the labels, where the networks know labels

    def __post_init__(self):
        for name, (least, below, kind) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, kind) and least <= value < below):
                what = "a whole number" if kind is Integral else "a number"
                raise InputError(
                    f"{name} {value!r} is not possible: take {what} from {least:g} to below {below:g}"
                )
        if self.penalty is not None and self.penalty not in PENALTIES:
            raise InputError(f"penalty {self.penalty!r} is not possible: take one of {', '.join(PENALTIES)}")


@dataclass
class Run:
    """What changes while a run trains."""

    G: nn.Module
    D: nn.Module
    opt_G: Optimizer
    opt_D: Optimizer
    average: AveragedModel | None  # of G
    shape: tuple[int, int, int]  # of a picture: (C, H, W)
    n: int = 0  # steps done
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    numbers: list[Tensor] = field(default_factory=list)  # pieces of (steps, 4), on the CPU
    progress: list[Tensor] = field(default_factory=list)  # ten pictures of the same ten z, at each of …
    shown: list[int] = field(default_factory=list)  # … these steps

    @property
    def kept_G(self) -> nn.Module:
        """What pictures are drawn with and what is kept in the end: G, or its running average."""
        return self.average.module if self.average else self.G

    def parts(self) -> tuple[dict, dict]:
        average = {"average": self.average} if self.average else {}
        return {"G": self.G, "D": self.D, **average}, {"opt_G": self.opt_G, "opt_D": self.opt_D}

    def save(self, folder: Path, plan: Plan) -> None:
        kept = {"numbers": torch.cat(self.numbers), "progress": torch.cat([*self.progress, torch.empty(0)])}
        note = {key: getattr(self, key) for key in ("n", "seconds", "cpu_seconds", "shown")}
        save_state(folder, *self.parts(), kept, {"plan": asdict(plan), **note})

    def restore(self, folder: Path) -> None:
        kept, note = load_state(folder, *self.parts())
        try:
            self.seconds, self.cpu_seconds = float(note["seconds"]), float(note["cpu_seconds"])
            numbers, progress, self.shown = kept["numbers"], kept["progress"], [int(n) for n in note["shown"]]
            pictures = (10 * len(self.shown), *self.shape) if self.shown else (0,)
            right = numbers.shape == (note["n"], len(NUMBERS)) and progress.shape == pictures
        except (LookupError, TypeError, ValueError):
            right = False
        if not right:
            raise InputError(f"the state in {folder} does not agree with itself: delete it, and begin again")
        self.n, self.numbers, self.progress = len(numbers), [numbers], [progress]


def train(
    out: Path,  # a folder that holds no run, or the one that is resumed
    plan: Plan,
    *,
    resume: Path | None = None,  # a folder of a run to go on with
    device: str = "auto",
    workers: int = 0,  # processes that decode a folder of pictures
    tensorboard: bool = False,  # log to out/tensorboard as well
    progress: bool = True,  # a bar on stderr
    team: Team = ALONE,  # the processes that do it together
) -> dict:
    """Do what the plan says; write both networks, their card, losses and pictures to `out`. Returns the card."""
    check_place(out, plan.data)
    where, note = team.device(pick_device(device)), team.agreed(lambda: begun(out, resume))
    plan = settle(plan, note, where, team)
    with team.first_alone():
        plan, images, skipped = open_data(fill(plan), workers)
    run = begin(plan, where, bool(note))
    check_last_batch(run.G, len(images), plan.batch_size, team.size)
    if note:
        check_plan(plan, note["plan"], resume)
        run.restore(resume)
        plan = replace(plan, steps=max(plan.steps, run.n))  # what is done is done
        if is_finished(out, plan):
            print(f"{out} is finished: {run.n:,} of {plan.steps:,} steps are done, nothing changes")
            return read_card(out)
        print(f"going on at step {run.n:,} of {plan.steps:,}")
    card = {**asdict(plan), "pictures": len(images), "skipped": len(skipped), "processes": team.size}
    card |= labels_of(images) if recipe(plan.recipe).labelled else {}
    card |= surroundings(where, plan.precision)  # noted before the run: the code that runs is the code of now
    if team.rank:  # the first process writes
        follow(run, plan, images.to(where), out, None, False, team)
        return card
    with locked(out), telling_what_is_left(out):
        check_unchanged(out, resume, note)
        with board(out, run.n) if tensorboard else nullcontext() as log:
            follow(run, plan, images.to(where), out, log, progress, team)
        return finish(run, plan, out, card)


def settle(plan: Plan, note: dict | None, where: torch.device, team: Team) -> Plan:
    """The plan with the precision that it had when the run began, or that is faster here.

    A run that goes on knows the files that its weights came from, and need not be told: they may be gone by now.
    """
    if note:
        untold = [key for key in ("init_g", "init_d") if getattr(plan, key) is None]
        plan = replace(plan, **{key: note["plan"].get(key) for key in untold})
    if plan.precision == "auto" and note:
        plan = replace(plan, precision=note["plan"]["precision"])
    return replace(plan, precision=team.agreed(lambda: pick_precision(plan.precision, where)))


def train_together(out: Path, plan: Plan, devices: int, nodes: int, device: str = "auto", **how) -> dict | None:
    """`train` in several processes: devices on each of the nodes. Returns the card, in the first of them."""
    with telling_what_is_left(out):
        return launch(partial(train, out, plan, device=device, **how), devices, nodes, pick_device(device).type)


def check_place(out: Path, data: str | None) -> None:
    """Raise InputError where a run would become part of its own data, before any are read."""
    if data is not None and data not in (*NAMED, "celeba"):
        check_apart(out, data)
        check_apart(out / SAMPLES, data)


def begun(out: Path, resume: Path | None) -> dict | None:
    """The note of the run to go on with, if there is one; InputError where none can write to `out`."""
    if (out / LOCK).exists():
        with locked(out):  # a second run is refused before it reads any data
            pass
    note = read_note(resume) if resume else None
    tell_state(resume, note)
    check_folders(out, resume, note)
    return note


def tell_state(resume: Path | None, note: dict | None) -> None:
    """What of the states in a folder cannot be used, and where that leaves the run."""
    for name in damaged(resume) if resume else []:
        print(f"{resume / name} is damaged, or from a save that was cut: it is passed over")
    if resume and not note:
        print(f"{resume} holds no complete checkpoint: starting at step 0")
    if note and not is_plan(note.get("plan")):
        raise InputError(f"the state in {resume} names no plan: delete it, and begin again")


def is_plan(plan) -> bool:
    """Whether it is the plan of a state, by what is needed of it before the data are read."""
    return isinstance(plan, dict) and plan.get("precision") in PRECISIONS


@contextmanager
def telling_what_is_left(out: Path) -> Iterator[None]:
    """A run that ends early, by Ctrl-C, a full disk or a dead process, says what is left of it."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted: {left(out)}") from None
    except ProcessExitedException as ended:
        name = f"process {ended.error_index} died ({ended.signal_name or ended.exit_code})"
        raise InputError(f"{name}, the others were ended: {left(out)}") from None
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}): {left(out)}") from error


def left(out: Path) -> str:
    note = read_note(out)
    if not note:
        return f"no state is in {out} yet; begin again"
    return f"the state of step {note['n']:,} is kept; go on with --resume {out}"


def check_unchanged(out: Path, resume: Path | None, note: dict | None) -> None:
    """Now that the folder is locked: nobody has written it since this run looked first."""
    if resume and resume.resolve() == out.resolve() and read_note(out) != note:
        raise InputError(f"another run has written {out} meanwhile: give the command again")
    check_folders(out, resume, note)


def check_folders(out: Path, resume: Path | None, note: dict | None) -> None:
    """No run is written over, except by itself."""
    if resume and resume.resolve() == out.resolve() and (note or not (out / CARD).exists()):
        return
    if (out / CARD).exists():
        raise InputError(f"{out} holds trained networks already: choose another folder, or delete this one")
    if read_note(out):
        raise InputError(
            f"{out} holds a run that is not finished: go on with --resume {out}, or choose another folder"
        )


def is_finished(out: Path, plan: Plan) -> bool:
    """Cut between its last step and its card, a run has still to write what a finished one leaves."""
    return (out / CARD).exists() and read_card(out).get("steps") == plan.steps


UNSAID = {"reuse_fakes": False}  # of options younger than a run, what its state and its card do not say


def check_plan(plan: Plan, begun: dict, folder: Path) -> None:
    """A run goes on as it began; only its length and how often it writes may change."""
    free = {"steps", "sample_every", "save_every"} | ({"labels"} - begun.keys())  # older states have none
    begun = UNSAID | begun
    for key, value in asdict(plan).items():
        if key not in free and begun.get(key) != value:
            raise InputError(
                f"the run in {folder} began with {key} {begun.get(key)!r}, not {value!r}: resume it as it began"
            )


DECISIVE = "recipe data seed steps batch_size lr_g lr_d beta1 average networks reuse_fakes".split()


def check_done(folder: Path, plan: Plan) -> None:
    """Raise InputError unless the finished run in a folder did what this plan, filled, asks for."""
    card = UNSAID | read_card(folder)
    per_epoch = -(-card["pictures"] // plan.batch_size) if isinstance(card.get("pictures"), int) else 0
    asked = asdict(plan) | {"steps": plan.steps or plan.epochs * per_epoch}
    done = card.get("networks")
    if isinstance(done, dict) and "num_classes" in done:  # what the data decide, a plan leaves open
        asked["networks"] = {"num_classes": done["num_classes"]} | plan.networks
    named = () if plan.precision == "auto" else ("precision",)
    for key in (*DECISIVE, *named):
        if asked[key] is not None and card.get(key) != asked[key]:
            raise InputError(
                f"the run in {folder} has {key} {card.get(key)!r}, not {asked[key]!r}: delete it, or name another "
                "folder of runs"
            )


def check_last_batch(G: nn.Module, pictures: int, batch_size: int, processes: int = 1) -> None:
    """Batch norm over single numbers cannot take a batch of one."""
    over_numbers = any(isinstance(layer, nn.BatchNorm1d) for layer in G.modules())
    shares = {-(-batch // processes) for batch in (batch_size, pictures % batch_size) if batch}
    if over_numbers and 1 in shares:
        raise InputError(
            f"{pictures:,} pictures in batches of {batch_size} leave one alone, and this G has batch norm, which "
            f"needs two: take --batch {batch_size + 1}"
        )


def open_data(plan: Plan, workers: int) -> tuple[Plan, ImageSet, dict[str, str]]:
    """The plan with what its data decide, the data, and what was passed over: {file: why}."""
    labelled = recipe(plan.recipe).labelled
    images, skipped = load(plan.data, picture_shape(plan), workers, labelled)
    tell_skipped(skipped)
    if labelled:
        counts = [len(values) for values in images.classes.values()]
        plan = replace(plan, networks={**plan.networks, "num_classes": counts}, labels=digest_of_labels(images))
    steps = plan.steps or plan.epochs * -(-len(images) // plan.batch_size)
    return replace(plan, data=images.name, digest=digest(images), steps=steps, epochs=None), images, skipped


def labels_of(images: ImageSet) -> dict:
    """What can be asked for by its name, and how often each combination of labels occurs."""
    combinations, counts = images.labels.reshape(len(images), -1).unique(dim=0, return_counts=True)
    return {"classes": images.classes, "combinations": torch.column_stack([combinations, counts]).tolist()}


def digest(images: ImageSet) -> str:
    """Other pictures, another digest; of a large set, a thousand pictures stand for all."""
    rows = torch.linspace(0, len(images) - 1, min(len(images), 1000)).long()
    content = images.images[rows.to(images.images.device)].cpu().numpy().tobytes()
    return hashlib.sha256(f"{len(images)} ".encode() + content).hexdigest()[:16]


def digest_of_labels(images: ImageSet) -> str:
    """Another label of a picture, or another name of a label, another digest."""
    content = json.dumps(images.classes).encode() + images.labels.cpu().numpy().tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


def tell_skipped(skipped: dict[str, str]) -> None:
    """Name the pictures that cannot be used; of very many, the first ten."""
    if skipped:
        print(f"{len(skipped)} file(s) cannot be used:")
    for i, (file, why) in enumerate(skipped.items()):
        if i == 10:
            print(f"  and {len(skipped) - 10:,} more")
            return
        print(f"  {file}: {why}")


def fill(plan: Plan) -> Plan:
    """The plan with the recipe's own values where none are asked for."""
    row = recipe(plan.recipe)
    own = {
        "data": row.data,
        "epochs": row.epochs,
        "batch_size": row.batch_size,
        "lr_g": row.lr,
        "lr_d": row.lr,
        "beta1": row.betas[0],
        "average": row.average,
    }
    plan = replace(plan, **{key: value for key, value in own.items() if getattr(plan, key) is None})
    if plan.penalty and "norm_d" in inspect.signature(row.networks).parameters:
        # With batch norm in D an input has no slope of its own to be penalised.
        plan = replace(plan, networks={"norm_d": "instance", **plan.networks})
    return plan


def picture_shape(plan: Plan) -> tuple[int, int, int]:
    """The shape (C, H, W) of the pictures that a plan's networks are for."""
    with torch.device("meta"):  # shapes alone, no numbers
        G, D = build(plan.recipe, plan.networks)
        parameters = sum(p.numel() for net in (G, D) for p in net.parameters())
        if parameters > LARGEST:
            raise InputError(f"these networks would have {parameters:,} parameters: take smaller ones")
        with evaluating(G):
            return tuple(G(torch.empty(1, G.latent_dim), cycle_labels(G, 1)).shape[1:])


def begin(plan: Plan, where: torch.device, goes_on: bool = False) -> Run:
    """A run at step 0. Where it goes on, a state is read next, and the weights to begin with are not."""
    torch.manual_seed(plan.seed)
    G, D = (net.to(where, memory_format=torch.channels_last) for net in build(plan.recipe, plan.networks))
    for net, path in ((G, plan.init_g), (D, plan.init_d)):
        if path and not goes_on:
            load_network(Path(path), net)
    betas = (plan.beta1, recipe(plan.recipe).betas[1])
    opt_G = Adam(G.parameters(), lr=plan.lr_g, betas=betas, fused=True)
    opt_D = Adam(D.parameters(), lr=plan.lr_d, betas=betas, fused=True)
    decay = get_ema_multi_avg_fn(plan.average)
    average = AveragedModel(G, multi_avg_fn=decay, use_buffers=True) if plan.average else None
    G.register_forward_pre_hook(forget_casts)
    return Run(G, D, opt_G, opt_D, average, picture_shape(plan))


def forget_casts(*_) -> None:
    """G draws, so a turn begins: what autocast has cast to bfloat16 is of the last one.

    Within a turn no weight changes, and D's are cast once for real and fake. In G's turn autocast would otherwise
    take D's weights from before its own turn, and copies of G's that were made without a graph.
    """
    torch.clear_autocast_cache()


def objective_of(plan: Plan, G: nn.Module):
    """The recipe's objective, with the penalties that the plan adds."""
    objective = recipe(plan.recipe).objective
    if plan.penalty:
        objective = Penalized(objective, PENALTIES[plan.penalty](plan.penalty_weight))
    return WeightPenaltyOnG(objective, G, plan.l2) if plan.l2 else objective


def updates(run: Run, plan: Plan, images: ImageSet, team: Team = ALONE) -> Iterator[Step]:
    """The plan's steps that are still to do: `fit`, with what only a long run needs."""
    objective, G, D = objective_of(plan, run.G), team.join(run.G), team.join(run.D)
    ordered = Ordered(images, plan.seed, start=run.n, even=plan.even, share=(team.rank, team.size))
    for n, (x, y) in enumerate(islice(ordered.batches(plan.batch_size), plan.steps - run.n), run.n + 1):
        G.train()
        D.train()
        turn_G = run.opt_G if n % plan.g_every == 0 else None
        turn_D = run.opt_D if n % plan.d_every == 0 else None
        team.vary_noise(plan.seed, n)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=plan.precision == "bf16"):
            step = train_step(SameFakes(G) if plan.reuse_fakes else G, D, objective, turn_G, turn_D, x, y)
        if run.average and turn_G:
            run.average.update_parameters(run.G)
        yield step._replace(n=n)


def follow(run: Run, plan: Plan, images: ImageSet, out: Path, log, progress: bool, team: Team = ALONE) -> None:
    """Train to the plan's last step: note the numbers, keep pictures of the same z, save, log."""
    recent = []
    started, cpu_started = time.perf_counter() - run.seconds, time.process_time() - run.cpu_seconds
    steps = updates(run, plan, images, team)
    for step in tqdm(steps, total=plan.steps, initial=run.n, unit="step", mininterval=1, disable=not progress):
        run.n = step.n
        recent.append(torch.stack(step[:4]))
        saving = is_due(plan.save_every, step.n) or step.n == plan.steps
        if saving or len(recent) == READ_EVERY:
            recent = read(run, team.mean(torch.stack(recent)), log)
            notice(run, out)
        if team.rank == 0:
            look(run, plan, images, out, log)
        if is_due(plan.decay_every, step.n):
            halve_rates(run)
        if saving and team.rank == 0:
            run.seconds, run.cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
            run.save(out, plan)


def read(run: Run, recent: Tensor, log) -> list[Tensor]:
    """Take the numbers of the last steps (n, 4) to the CPU, and to the log. Returns a list for the next ones."""
    run.numbers.append(recent.cpu())
    for n, values in enumerate(run.numbers[-1].tolist() if log else [], run.n - len(recent) + 1):
        for name, value in zip(NUMBERS, values, strict=True):
            log.add_scalar(name, value, n)
    return []


def is_due(every: int | None, n: int) -> bool:
    return every is not None and n % every == 0


def halve_rates(run: Run) -> None:
    for optimizer in (run.opt_G, run.opt_D):
        for group in optimizer.param_groups:
            group["lr"] /= 2


def notice(run: Run, out: Path) -> None:
    """Raise InputError where the last READ_EVERY steps show what training never comes back from."""
    numbers = torch.cat(run.numbers[-READ_EVERY:])[-READ_EVERY:]  # a read brings one step or more
    what = trouble(run.parts()[0], numbers, run.n)
    if what:
        mend = "begin a new run with a smaller --lr-g and --lr-d, or --precision fp32"
        raise InputError(f"{what}; {what_is_kept(out)}; {mend}")


def what_is_kept(out: Path) -> str:
    note = read_note(out)
    return f"the state of step {note['n']:,} is kept in {out}" if note else "no state was written yet"


def look(run: Run, plan: Plan, images: ImageSet, out: Path, log) -> None:
    """Keep what G makes of the same z now: ten pictures if they are to be shown, and 64 as a PNG where due."""
    if run.n in moments(plan.steps):
        G = run.kept_G
        run.progress.append(generate(G, draw_latents(G, 10, seed=0), cycle_labels(G, 10)).cpu())
        run.shown.append(run.n)
    if not is_due(plan.sample_every, run.n):
        return
    fakes = sample(run.kept_G, 64, cycle_labels(run.G, 64), seed=0)
    (out / SAMPLES).mkdir(exist_ok=True)
    save_images(out / SAMPLES / f"step-{run.n:06}.png", fakes)
    if log:
        real, _ = images.take(torch.arange(min(64, len(images))))
        log.add_image("fake", grid(fakes), run.n, dataformats="HWC")
        log.add_image("real", grid(real), run.n, dataformats="HWC")


@contextmanager
def board(out: Path, n: int):
    """A TensorBoard log in out/tensorboard that goes on behind step n."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("--tensorboard needs the package tensorboard: pip install tensorboard") from None
    with SummaryWriter(str(out / "tensorboard"), purge_step=n + 1) as log:
        yield log


def finish(run: Run, plan: Plan, out: Path, card: dict) -> dict:
    """Write what a finished run leaves. The card comes last: a folder with a card is complete."""
    numbers = torch.cat(run.numbers)
    card |= {"progress_steps": run.shown, "minutes": run.seconds / 60, "cpu_minutes": run.cpu_seconds / 60}
    card |= epoch_means(numbers, -(-card["pictures"] // plan.batch_size))
    write(out / "losses.csv", as_csv(numbers).encode())
    fakes = sample(run.kept_G, 64, cycle_labels(run.G, 64), seed=plan.seed)
    save_images(out / "samples.png", fakes, columns=8)
    save_images(out / "progress.png", torch.cat(run.progress), columns=10)
    save_networks(out, {"G": run.kept_G, "D": run.D}, card)
    (out / EARLIER).unlink(missing_ok=True)
    return card


def epoch_means(numbers: Tensor, per_epoch: int) -> dict:
    """Of the numbers of all steps (steps, 4): their means over each epoch and over the last full one."""
    by_epoch = [epoch.mean(0).tolist() for epoch in numbers.split(per_epoch)]
    return {
        "last_epoch": dict(zip(NUMBERS, numbers[-per_epoch:].mean(0).tolist(), strict=True)),
        "by_epoch": [[round(value, 4) for value in epoch] for epoch in by_epoch],
    }


def as_csv(numbers: Tensor, names: tuple[str, ...] = NUMBERS) -> str:
    lines = (f"{n},{','.join(f'{value:.6g}' for value in line)}" for n, line in enumerate(numbers.tolist(), 1))
    return "\n".join([f"n,{','.join(names)}", *lines, ""])


def moments(steps: int) -> list[int]:
    return sorted({max(1, round(steps * part)) for part in MOMENTS})
