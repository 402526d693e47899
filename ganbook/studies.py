"""Several objectives trained on the same data, over many seeds: what a table compares, and its record."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from ganbook.checkpoints import CARD, write
from ganbook.machine import surroundings
from ganbook.metrics import mode_coverage
from ganbook.mlp import PointDiscriminator, PointGenerator
from ganbook.objectives import Hinge, LeastSquares, Minimax, NonSaturating, Smoothing, Wasserstein
from ganbook.penalties import R1, R2, GradientPenalty, Penalized, WeightPenaltyOnG
from ganbook.records import mean_and_spread, read_record
from ganbook.sampling import sample
from ganbook.toys import ring
from ganbook.training import fit

# Each row: G -> the objective that G and its D are trained with.
FAMILY: dict[str, Callable[[nn.Module], object]] = {
    "minimax": lambda G: Minimax(),
    "non-saturating": lambda G: NonSaturating(),
    "non-saturating, one-sided smoothing 0.9": lambda G: Smoothing(0.9),
    "non-saturating + R1, γ = 0.1": lambda G: Penalized(NonSaturating(), R1(0.1)),
    "non-saturating + R2, γ = 0.1": lambda G: Penalized(NonSaturating(), R2(0.1)),
    "non-saturating + L2 on G, λ = 0.001": lambda G: WeightPenaltyOnG(NonSaturating(), G, 0.001),
    "least squares": lambda G: LeastSquares(),
    "hinge": lambda G: Hinge(),
    "Wasserstein + gradient penalty, λ = 1": lambda G: Penalized(Wasserstein(), GradientPenalty(1.0)),
}
MOMENTA = (0.0, 0.5, 0.9)  # Adam's β₁
BETA2 = 0.999
STEPS, BATCH_SIZE, LR = 2_000, 128, 1e-3


def train_on_ring(objective: str, beta1: float, seed: int, steps: int) -> tuple[int, float]:
    """Train one row of FAMILY on the ring of eight. Returns modes covered (of 8) and quality (0 to 1)."""
    torch.manual_seed(seed)
    data, G, D = ring(), PointGenerator(), PointDiscriminator()
    betas = (beta1, BETA2)
    for _step in fit(G, D, FAMILY[objective](G), data, steps=steps, batch_size=BATCH_SIZE, lr=LR, betas=betas):
        pass
    return mode_coverage(sample(G, 2_500, seed=seed), data)


def compare(momenta: tuple[float, ...], seeds: list[int], steps: int) -> dict:
    """Train every row of FAMILY with every β₁ and every seed.

    Returns results[objective][β₁] = {"modes": […], "quality": […]}, a number a seed.
    """
    plan = [(name, beta1) for name in FAMILY for beta1 in momenta]
    results: dict = {name: {} for name in FAMILY}
    for name, beta1 in tqdm(plan, unit="cell", disable=None):
        runs = [train_on_ring(name, beta1, seed, steps) for seed in seeds]
        modes, quality = zip(*runs, strict=True)
        results[name][str(beta1)] = {"modes": list(modes), "quality": [round(value, 4) for value in quality]}
    return results


def record_ring(out: Path, seeds: int) -> dict:
    """The record behind the table of the chapter on the two updates: writes card.json to `out`, returns it."""
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # networks this small only lose by sharing out the work: 3 times as slow with two
    card = {
        "command": f"ganbook study ring --seeds {seeds}",
        "seeds": seeds,
        "steps": STEPS,
        "batch_size": BATCH_SIZE,
        "lr": LR,
        "beta2": BETA2,
        **surroundings(torch.device("cpu")),
    }
    started = time.process_time()
    card["results"] = compare(MOMENTA, list(range(seeds)), STEPS)
    card["cpu_minutes"] = (time.process_time() - started) / 60
    write(out / CARD, json.dumps(card).encode())
    return card


def ring_table():
    """The stored record of the study as a table, with where and how it was made."""
    from IPython.display import Markdown

    card = read_record("ring")
    return Markdown(
        f"{family_table(card['results'])}\n\n{card['seeds']} seeds, {card['steps']:,} rounds of batches of "
        f"{card['batch_size']}, step size {card['lr']:g}. Made by `{card['command']}` at commit {card['commit']} "
        f"on {card['date']}, on {card['device']}, torch {card['versions']['torch']}, "
        f"{card['cpu_minutes']:.0f} CPU-minutes."
    )


def family_table(results: dict) -> str:
    """The results of `compare` as Markdown: a row an objective, a column a β₁, over the seeds."""
    momenta = list(next(iter(results.values())))
    head = "| objective | " + " | ".join(f"β₁ = {float(beta1):g}" for beta1 in momenta) + " |"
    lines = [head, "|---|" + "---|" * len(momenta)]
    for name, row in results.items():
        lines.append(f"| {name} | " + " | ".join(summarise(**row[beta1]) for beta1 in momenta) + " |")
    return "\n".join(lines)


def summarise(modes: list[int], quality: list[float]) -> str:
    return f"{mean_and_spread(modes, '.1f')} modes, {mean_and_spread(quality, '.2f')}"
