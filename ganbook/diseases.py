"""What goes wrong: mistakes, each beside what it spoils, and a figure that tells the two apart.

A disease is the healthy code with one thing exchanged; most of them stop no program. The chapter on what goes
wrong shows them, and its table is made here.
"""

import json
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, dropout
from torch.optim import Adam
from tqdm import tqdm

from ganbook.checkpoints import CARD, write
from ganbook.conditional import AuxiliaryDiscriminator, ConditionalGenerator
from ganbook.data import ImageSet, digits
from ganbook.dcgan import StemGenerator, StridedDiscriminator
from ganbook.guidelines import BATCH_NORM, OneBatch, swap
from ganbook.machine import surroundings
from ganbook.metrics import mode_coverage
from ganbook.mlp import MLPDiscriminator, MLPGenerator, PointDiscriminator, PointGenerator
from ganbook.objectives import AuxiliaryClassifier, Logits, Minimax, NonSaturating, class_loss
from ganbook.published import DrawsUnitRange, SameNoise, SeesUnitRange
from ganbook.records import read_record
from ganbook.sampling import draw_latents, evaluating, generate
from ganbook.toys import ring
from ganbook.training import Step, descend, draw_z, fit, overhear, train_step

# A GAN that is well: points on the ring of eight, in seconds.

ROUNDS, BATCH_SIZE, LATE = 600, 128, 100  # rounds of training; points a batch; the last rounds, which are averaged


def as_it_is(net: nn.Module) -> nn.Module:
    return net


class Setup(NamedTuple):
    """How a GAN for the ring is trained. As it stands it is well; a disease is another value for one of these."""

    lr: tuple[float, float] = (1e-3, 1e-3)  # of G and of D
    step: Callable[..., Step] = train_step
    wrap: Callable[[nn.Module], nn.Module] = as_it_is  # what is put around G


@lru_cache(maxsize=12)  # a healthy run is compared with several sick ones
def train_setup(setup: Setup, seed: int) -> tuple[nn.Module, list[Step]]:
    """Train as `setup` says. Returns G and all steps."""
    torch.manual_seed(seed)
    data, G, D = ring(), setup.wrap(PointGenerator()), PointDiscriminator()
    opt_G, opt_D = (
        Adam(net.parameters(), lr=lr, betas=(0.5, 0.999), fused=True)
        for net, lr in zip((G, D), setup.lr, strict=True)
    )
    batches = (data.sample(BATCH_SIZE) for _ in range(ROUNDS))
    return G, [
        setup.step(G, D, NonSaturating(), opt_G, opt_D, x)._replace(n=n) for n, x in enumerate(batches, start=1)
    ]


def late(setup: Setup, seed: int, name: str) -> Tensor:
    """What the last steps say of "d_loss", "g_loss", "d_real" or "d_fake": (LATE,)."""
    _, history = train_setup(setup, seed)
    return torch.stack([getattr(step, name) for step in history[-LATE:]])


# The mistakes. First the objectives.


class HomeMadeLog(NonSaturating):
    """log(sigmoid + ε), so that the logarithm never sees 0."""

    def g_loss(self, D, x_fake, y=None):
        return -(D(x_fake, y).sigmoid() + 1e-8).log().mean()


class FixedTargets(NonSaturating):
    """Targets made once, for batches of `batch_size`."""

    def __init__(self, batch_size: int):
        self.ones, self.zeros = torch.ones(batch_size), torch.zeros(batch_size)

    def d_loss(self, D, x, x_fake, y=None):
        real = binary_cross_entropy_with_logits(D(x, y), self.ones)
        return real + binary_cross_entropy_with_logits(D(x_fake, y), self.zeros)


class NamesFromFakes(AuxiliaryClassifier):
    """D learns the names from fakes, by what they were asked to be: scores[1] where
    scores[0] is meant.
    """

    def d_loss(self, D, x, x_fake, y):
        heard = Logits(D)
        loss = self.base.d_loss(heard, x, x_fake, y)
        return loss + class_loss(heard.scores[1], y)


# Networks.


class AlwaysDropout(nn.Dropout):
    """The function, called without training=self.training."""

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p)


class SoftmaxedDiscriminator(nn.Module):
    """An auxiliary D that ends in a softmax over its class scores."""

    def __init__(self, D: nn.Module):
        super().__init__()
        self.D = D

    def forward(self, x: Tensor, y: Tensor | None = None):
        real, scores = self.D(x, y)
        return real, tuple(s.softmax(1) for s in scores)


def in_unit_range(G: nn.Module, D: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Real pictures stay in [0, 1], as they are loaded; G ends in tanh."""
    return DrawsUnitRange(G), SeesUnitRange(D)


def matched(G: nn.Module, D: nn.Module) -> tuple[nn.Module, nn.Module]:
    return G, D


def sixteen_z(G: nn.Module) -> nn.Module:
    """G's turns use the same 16 z for ever."""
    return SameNoise(G, 16)


# Steps and samplers.


def step_piling_up(G, D, objective, opt_G, opt_D, x, y=None) -> Step:
    """G is not detached in D's turn, and nobody zeroes its gradients."""
    x_fake = G(draw_z(G, x), y)
    with overhear(D) as logits:
        d_loss = objective.d_loss(D, x, x_fake, y)
    descend(opt_D, d_loss)  # leaves gradients in G, too

    g_loss = objective.g_loss(D, G(draw_z(G, x), y), y)
    g_loss.backward()  # adds to them, and to those of all rounds before
    opt_G.step()
    return step_of(d_loss, g_loss, logits)


def step_with_leftovers(G, D, objective, opt_G, opt_D, x, y=None) -> Step:
    """D's gradients are zeroed after its turn. G's turn then leaves its own in D."""
    with torch.no_grad():
        x_fake = G(draw_z(G, x), y)
    with overhear(D) as logits:
        d_loss = objective.d_loss(D, x, x_fake, y)
    d_loss.backward()  # on top of what G's turn has left
    opt_D.step()
    opt_D.zero_grad()

    g_loss = objective.g_loss(D, G(draw_z(G, x), y), y)
    descend(opt_G, g_loss)  # D is not frozen
    return step_of(d_loss, g_loss, logits)


def step_of(d_loss: Tensor, g_loss: Tensor, logits: list[Tensor]) -> Step:
    """A Step, from the losses and the logits of D's turn: of the real x first, then of the fakes."""
    d_real, d_fake = (said.sigmoid().mean() for said in logits)
    return Step(d_loss.detach(), g_loss.detach(), d_real, d_fake)


def draw_in_training_mode(G: nn.Module, z: Tensor) -> Tensor:
    """`generate`, without eval mode."""
    with torch.no_grad():
        return G.train()(z)


# The figures. Each is measured for what is healthy and for what is sick, with the same seed.


def outside_of_range(pair: Callable, seed: int) -> float:
    """The share of the fakes' pixels that are darker than the darkest of the data, after 60 steps on digits."""
    torch.manual_seed(seed)
    G, D = pair(MLPGenerator(), MLPDiscriminator())
    for _step in fit(G, D, NonSaturating(), digits(), steps=60, batch_size=32):
        pass
    with torch.no_grad():
        fakes = G.train()(torch.randn(100, G.latent_dim))  # as D gets them
    return (fakes < -1).float().mean().item()


def first_look(objective, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Before training: D's loss (), and the means behind its batch norm of real and fake pictures, (C,) each."""
    torch.manual_seed(seed)
    G, D, seen = StemGenerator(), StridedDiscriminator(), []
    D.net[3].register_forward_hook(lambda layer, inputs, output: seen.append(output.mean((2, 3))))
    x, _ = next(digits().batches(64))
    with torch.no_grad():
        d_loss = objective.d_loss(D, x, G(torch.randn(64, 100)))
    real, fake = torch.cat(seen).chunk(2)  # whether they came in one batch or in two
    return d_loss, real.mean(0), fake.mean(0)


def first_d_loss(objective, seed: int) -> float:
    """D's loss before training."""
    return first_look(objective, seed)[0].item()


def means_apart(objective, seed: int) -> float:
    """How far apart the means of real and of fake pictures are behind D's batch norm: a channel's, on average."""
    _, real, fake = first_look(objective, seed)
    return (real - fake).abs().mean().item()


def company_counts(draw: Callable[[nn.Module, Tensor], Tensor], seed: int) -> float:
    """How far pictures of 8 z differ when they are drawn in other company, against how far other z's differ."""
    torch.manual_seed(seed)
    G, z = StemGenerator(), torch.randn(8, 100)
    one, two = (draw(G, torch.cat([z, torch.randn(24, 100)])) for _ in range(2))
    moved = (one[:8] - two[:8]).square().mean().sqrt()
    return (moved / (one[8:] - two[8:]).square().mean().sqrt()).item()


def scatter_of_logit(layer: type[nn.Dropout], seed: int) -> float:
    """The standard deviation of D's logit for one picture, asked 32 times in eval mode."""
    torch.manual_seed(seed)
    D = swap(MLPDiscriminator(), nn.Dropout, lambda old: layer(old.p))
    x, _ = next(digits().batches(1))
    with evaluating(D):
        return torch.stack([D(x) for _ in range(32)]).std().item()


def modes_covered(setup: Setup, seed: int) -> float:
    """Modes of the ring that are covered, of 8."""
    G, _ = train_setup(setup, seed)
    return mode_coverage(generate(G, draw_latents(G, 1_000, seed)), ring())[0]


def quality(setup: Setup, seed: int) -> float:
    """The share of points of high quality."""
    G, _ = train_setup(setup, seed)
    return mode_coverage(generate(G, draw_latents(G, 1_000, seed)), ring())[1]


def looks_better(setup: Setup, seed: int) -> float:
    """The share of points of high quality for the z of G's own turns, less that for new z."""
    G, _ = train_setup(setup, seed)
    shown = getattr(G, "z", draw_latents(G, 1_000, seed + 1))
    return mode_coverage(generate(G, shown), ring())[1] - quality(setup, seed)


def late_d_loss(setup: Setup, seed: int) -> float:
    """D's loss over the last rounds."""
    return late(setup, seed, "d_loss").mean().item()


def late_opinion(setup: Setup, seed: int) -> float:
    """What D says over the last rounds, real and fake points together."""
    return (late(setup, seed, "d_real").mean().item() + late(setup, seed, "d_fake").mean().item()) / 2


def swing(setup: Setup, seed: int) -> float:
    """The standard deviation of G's loss over the last rounds."""
    return late(setup, seed, "g_loss").std().item()


def slope_for_G(objective, seed: int) -> float:
    """The length of G's gradient when D has trained alone for 200 rounds."""
    torch.manual_seed(seed)
    data, G, D = ring(), PointGenerator(), PointDiscriminator()
    opt_D = Adam(D.parameters(), lr=1e-3)
    for _ in range(200):
        with torch.no_grad():
            x_fake = G(torch.randn(BATCH_SIZE, 2))
        descend(opt_D, NonSaturating().d_loss(D, data.sample(BATCH_SIZE), x_fake))
    objective.g_loss(D, G(torch.randn(BATCH_SIZE, 2))).backward()
    return torch.cat([p.grad.flatten() for p in G.parameters()]).norm().item()


def slope_when_sure(objective, seed: int) -> float:
    """The slope of G's loss by D's logit, at logits around -22."""
    torch.manual_seed(seed)
    logits = (torch.randn(BATCH_SIZE) - 22).requires_grad_()
    objective.g_loss(lambda x, y: x, logits).backward()
    return logits.grad.sum().abs().item()


def signal_behind_norm(eps: float, seed: int) -> float:
    """The standard deviation behind G's last batch norm, before training: 1 is what the layer is for."""
    torch.manual_seed(seed)
    G = swap(StemGenerator(), BATCH_NORM, lambda old: type(old)(old.num_features, eps))
    return G.net[:9](torch.randn(64, 100)).std().item()  # net[8] is the last batch norm


def points_with_names(count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of points on the ring with the number of their mode: (B, 2), (B,)."""
    data = ring()
    for _ in range(count):
        y = torch.randint(len(data.means), (BATCH_SIZE,))
        yield data.means[y] + data.sd * torch.randn(BATCH_SIZE, 2), y


def loss_of_names(wrap: Callable[[nn.Module], nn.Module], seed: int) -> float:
    """D's class loss for real points of eight well separated modes, after 300 rounds on nothing else."""
    torch.manual_seed(seed)
    D = wrap(AuxiliaryDiscriminator(PointDiscriminator(), [8]))
    opt_D = Adam(D.parameters(), lr=1e-3)
    for x, y in points_with_names(300):
        loss = class_loss(D(x)[1], y)
        descend(opt_D, loss)
    return loss.item()


@lru_cache(maxsize=2)
def train_acgan(objective, seed: int) -> nn.Module:
    """G of an ACGAN on the ring, whose labels are the numbers of the modes."""
    torch.manual_seed(seed)
    G = ConditionalGenerator(PointGenerator(2 + 16), [8])
    D = AuxiliaryDiscriminator(PointDiscriminator(), [8])
    opt_G, opt_D = (Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999), fused=True) for net in (G, D))
    for x, y in points_with_names(ROUNDS):
        train_step(G, D, objective, opt_G, opt_D, x, y)
    return G


def obedience(objective, seed: int) -> float:
    """The share of an ACGAN's points that lie nearest to the mode that was asked for."""
    G, y = train_acgan(objective, seed), torch.arange(800) % 8
    nearest = torch.cdist(generate(G, draw_latents(G, 800, seed), y), ring().means).argmin(1)
    return (nearest == y).float().mean().item()


def share_of_epoch(objective, seed: int) -> float:
    """How much of an epoch is trained on before the program stops: 100 digits, batches of 32."""
    torch.manual_seed(seed)
    all_of_them, done = digits(), 0
    data = ImageSet("some digits", all_of_them.images[:100], all_of_them.labels[:100])
    try:
        for _step in fit(MLPGenerator(), MLPDiscriminator(), objective, data, steps=4, batch_size=32):
            done += 1
    except ValueError:  # "Target size … must be the same as input size"
        pass
    return done / 4


def others_in_slope(norm: type[nn.Module], seed: int) -> float:
    """How much of "D's slope at a picture" is slope at the other seven of its batch: a share of the length."""
    torch.manual_seed(seed)
    D, (x, _) = StridedDiscriminator(norm), next(digits().batches(8))
    (gradient,) = torch.autograd.grad(D(x.requires_grad_())[0], x)
    lengths = gradient.flatten(1).norm(dim=1)
    return (lengths[1:].norm() / lengths.norm()).item()


# The table.


class Disease(NamedTuple):
    """One mistake: measure(healthy, seed) and measure(sick, seed) lie on either side
    of a bound.
    """

    healthy: object  # what should stand there …
    sick: object  # … and what stands there by mistake
    measure: Callable[[object, int], float]
    figure: str  # what is measured, in words
    sign: str  # where the sick figure lies: ">" or "<" …
    bound: float  # … this
    cure: str
    chapter: str  # that explains it

    def shows(self, figure: float) -> bool:
        """Whether a measured figure is that of the sick."""
        return figure > self.bound if self.sign == ">" else figure < self.bound


DISEASES: dict[str, Disease] = {
    "pictures in [0, 1], G in [-1, 1]": Disease(
        healthy=matched,
        sick=in_unit_range,
        measure=outside_of_range,
        figure="fakes' pixels darker than any real one, share",
        sign=">",
        bound=0.1,
        cure="x / 127.5 - 1",
        chapter="03-the-first-gan",
    ),
    "real and fake in one batch": Disease(
        healthy=NonSaturating(),
        sick=OneBatch(),
        measure=means_apart,
        figure="means of real and fake behind D's batch norm, distance",
        sign=">",
        bound=0.1,
        cure="two calls of D",
        chapter="05-dcgan",
    ),
    "batch norm in training mode while sampling": Disease(
        healthy=generate,
        sick=draw_in_training_mode,
        measure=company_counts,
        figure="change of a picture in other company, against another z's",
        sign=">",
        bound=0.05,
        cure="eval mode",
        chapter="05-dcgan",
    ),
    "dropout that never switches off": Disease(
        healthy=nn.Dropout,
        sick=AlwaysDropout,
        measure=scatter_of_logit,
        figure="logit of one picture in eval mode, deviation",
        sign=">",
        bound=1e-4,
        cure="the module nn.Dropout",
        chapter="03-the-first-gan",
    ),
    "no detach, G's gradients never zeroed": Disease(
        healthy=Setup(),
        sick=Setup(step=step_piling_up),
        measure=modes_covered,
        figure="modes covered, of 8",
        sign="<",
        bound=5.5,
        cure="zero_grad before each backward",
        chapter="03-the-first-gan",
    ),
    "D's gradients zeroed after its turn": Disease(
        healthy=Setup(),
        sick=Setup(step=step_with_leftovers),
        measure=late_opinion,
        figure="D(x) and D(G(z)) in the last 100 rounds, mean of both",
        sign=">",
        bound=0.6,
        cure="zero_grad before each backward",
        chapter="03-the-first-gan",
    ),
    "G trained on the z that are shown": Disease(
        healthy=Setup(),
        sick=Setup(wrap=sixteen_z),
        measure=looks_better,
        figure="good points, of z in training less of new z, share",
        sign=">",
        bound=0.3,
        cure="new z in every turn",
        chapter="06-faces",
    ),
    "saturating loss, strong D": Disease(
        healthy=NonSaturating(),
        sick=Minimax(),
        measure=slope_for_G,
        figure="G's gradient, length",
        sign="<",
        bound=0.3,
        cure="the non-saturating loss",
        chapter="02-the-two-updates",
    ),
    "D too strong": Disease(
        healthy=Setup(),
        sick=Setup(lr=(5e-5, 1e-2)),
        measure=late_d_loss,
        figure="D's loss in the last 100 rounds",
        sign="<",
        bound=1.1,
        cure="a smaller step for D, R1",
        chapter="02-the-two-updates",
    ),
    "D too weak": Disease(
        healthy=Setup(),
        sick=Setup(lr=(1e-3, 2e-5)),
        measure=modes_covered,
        figure="modes covered, of 8",
        sign="<",
        bound=3.5,
        cure="a longer step for D, or more of them",
        chapter="02-the-two-updates",
    ),
    "learning rate too large": Disease(
        healthy=Setup(),
        sick=Setup(lr=(0.1, 0.1)),
        measure=swing,
        figure="G's loss in the last 100 rounds, deviation",
        sign=">",
        bound=0.1,
        cure="a tenth of it",
        chapter="02-the-two-updates",
    ),
    "BatchNorm(c, 0.8)": Disease(
        healthy=1e-5,
        sick=0.8,
        measure=signal_behind_norm,
        figure="signal behind G's last batch norm, deviation",
        sign="<",
        bound=0.5,
        cure="BatchNorm(c), momentum by name",
        chapter="05-dcgan",
    ),
    "softmax before the cross-entropy": Disease(
        healthy=as_it_is,
        sick=SoftmaxedDiscriminator,
        measure=loss_of_names,
        figure="D's class loss on real data",
        sign=">",
        bound=1.2,
        cure="class logits",
        chapter="08-acgan",
    ),
    "home-made log(σ + ε)": Disease(
        healthy=NonSaturating(),
        sick=HomeMadeLog(),
        measure=slope_when_sure,
        figure="slope of G's loss at logits around -22",
        sign="<",
        bound=0.5,
        cure="softplus",
        chapter="03-the-first-gan",
    ),
    "targets of one length, a smaller last batch": Disease(
        healthy=NonSaturating(),
        sick=FixedTargets(32),
        measure=share_of_epoch,
        figure="share of an epoch before it stops",
        sign="<",
        bound=0.9,
        cure="ones_like",
        chapter="06-faces",
    ),
    "penalty on D's slope, batch norm in D": Disease(
        healthy=nn.InstanceNorm2d,
        sick=nn.BatchNorm2d,
        measure=others_in_slope,
        figure="share of a picture's slope that lies at other pictures",
        sign=">",
        bound=0.01,
        cure="instance norm in D",
        chapter="06-faces",
    ),
    "ACGAN's private code": Disease(
        healthy=AuxiliaryClassifier(NonSaturating()),
        sick=NamesFromFakes(NonSaturating()),
        measure=obedience,
        figure="points at the mode asked for, share",
        sign="<",
        bound=0.7,
        cure="class loss on real pictures",
        chapter="08-acgan",
    ),
}


def examine(name: str, seed: int) -> dict[str, float]:
    """A disease's figure at a seed, without the mistake and with it: {"healthy": …, "sick": …}."""
    disease = DISEASES[name]
    return {
        "healthy": disease.measure(disease.healthy, seed),
        "sick": disease.measure(disease.sick, seed),
    }


def record_diseases(out: Path, seeds: int) -> dict:
    """The record behind the table of the chapter on what goes wrong: writes card.json to `out`, returns it."""
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # networks this small only lose by sharing out the work
    card = {
        "command": f"ganbook study diseases --seeds {seeds}",
        "seeds": seeds,
        **surroundings(torch.device("cpu")),
    }
    started = time.process_time()
    results: dict = {name: {"healthy": [], "sick": []} for name in DISEASES}
    for seed in tqdm(range(seeds), unit="seed", disable=None):
        for name, columns in results.items():
            for kind, figure in examine(name, seed).items():
                columns[kind].append(round(figure, 5))
    card |= {"results": results, "cpu_minutes": (time.process_time() - started) / 60}
    write(out / CARD, json.dumps(card, indent=1).encode())
    return card


def counts(results: dict) -> dict[str, tuple[int, int]]:
    """Of each disease: in how many sick runs of a record it shows, in how many healthy ones it does not."""
    return {
        name: (
            sum(DISEASES[name].shows(figure) for figure in columns["sick"]),
            sum(not DISEASES[name].shows(figure) for figure in columns["healthy"]),
        )
        for name, columns in results.items()
    }


def diseases_table():
    """The stored record of the study as a table, with where and how it was made."""
    from IPython.display import Markdown

    card = read_record("diseases")
    lines = ["| mistake | what is measured | without | with it | bound | shows | gone |", "|---" * 7 + "|"]
    for name, (shown, gone) in counts(card["results"]).items():
        disease, columns = DISEASES[name], card["results"][name]
        ranges = " | ".join(spread_of(columns[kind]) for kind in ("healthy", "sick"))
        bound = f"{disease.sign} {disease.bound:g}"
        lines.append(f"| {name} | {disease.figure} | {ranges} | {bound} | {shown} | {gone} |")
    return Markdown(
        "\n".join(lines) + f"\n\nThe range over {card['seeds']} seeds. Shows: of the runs with the mistake, those "
        "beyond the bound; gone: of the runs without it, those that are not. Made by "
        f"`{card['command']}` at commit {card['commit']} on {card['date']}, on {card['device']}, "
        f"{card['threads']} thread(s), torch {card['versions']['torch']}, {card['cpu_minutes']:.0f} CPU-minutes."
    )


def spread_of(figures: list[float]) -> str:
    """The smallest and the largest in two digits, or the one that all are."""
    low, high = (f"{0.0 if abs(end) < 1e-6 else end:.2g}" for end in (min(figures), max(figures)))
    return low if low == high else f"{low} to {high}"
