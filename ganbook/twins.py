"""A translation, judged by true twins: the same faces with the hair of the other kind. And the book's record.

Nobody has such pairs of horses and zebras. Avatars are drawn by a program, so the right answer is known.
"""

import math
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.linalg import lstsq

from ganbook.avatars import HAIR, draw_avatars
from ganbook.checkpoints import write
from ganbook.classifiers import blur, label_accuracy, load_classifier
from ganbook.cyclegan import translate
from ganbook.data import to_float
from ganbook.recording import train_seeds, write_record
from ganbook.records import over_seeds, with_spread
from ganbook.translation import HAIR_A, HAIR_B, NAME, CyclePlan, build, faces, fill, load_translator, train


class Twins(NamedTuple):
    """The same faces twice: with the hair of kind A, and with that of kind B."""

    a: Tensor  # (n, 3, size, size) in [-1, 1]
    b: Tensor
    as_A: Tensor  # (n, 2): the labels of a, hair and eyes
    as_B: Tensor

    @property
    def touched(self) -> Tensor:
        """Where the hair's colour shows, (n, 1, size, size). All else must stay."""
        return (self.a != self.b).any(1, keepdim=True)


def draw_twins(n: int, seed: int, size: int = 32) -> Twins:
    """n faces with any eyes, each with green hair and with purple hair."""
    as_A = faces(HAIR_A, n, size, seed).labels
    as_B = as_A.clone()
    as_B[:, 0] = HAIR.index(HAIR_B)
    a, b = (to_float(draw_avatars(labels, size, seed)) for labels in (as_A, as_B))
    return Twins(a, b, as_A, as_B)


def movement(x: Tensor, truth: Tensor) -> Tensor:
    """How far x has moved from the truth: pixels to the right, down, degrees, (n, 3).

    Which small movement of the truth explains the difference best? A linear problem:
    its columns are the truth's slopes, and the degrees count clockwise.
    """
    x, truth = blur(x), blur(truth)
    down, right = torch.gradient(truth, dim=(2, 3))
    place = torch.arange(x.shape[-1]) - (x.shape[-1] - 1) / 2  # from the middle
    turn = down * place - right * place[:, None]
    columns = -torch.stack([right, down, turn], -1).flatten(1, 3)
    found = lstsq(columns, (x - truth).flatten(1)[..., None]).solution[..., 0]
    return found * torch.tensor([1, 1, math.degrees(1)])


def error_in(x: Tensor, truth: Tensor, where: Tensor) -> float:
    """Mean absolute error over the pixels of `where`; from white to black it is 2."""
    return (x - truth).abs().mean(1, keepdim=True)[where].mean().item()


class Verdict(NamedTuple):
    """What `judge_translation` finds: what has changed, and what has stayed."""

    hair: float  # share of the faces whose hair has the wanted colour
    eyes: float  # share of the faces whose eyes have kept theirs
    rest: float  # mean absolute error where nothing may change
    in_hair: float  # and where the hair's colour shows
    pixels: float  # by how much a face has moved, across or down, whichever is more
    degrees: float  # by how much it has turned


def judge_translation(x, truth, labels, touched) -> Verdict:
    """Hold translated faces x to their twins: truth, its labels, where hair shows."""
    judge = load_classifier("avatars")
    hair, eyes = label_accuracy(judge, x, labels).tolist()
    right, down, degrees = movement(x, truth).abs().mean(0).tolist()
    rest, in_hair = (error_in(x, truth, where) for where in (~touched, touched))
    return Verdict(hair, eyes, rest, in_hair, max(right, down), degrees)


def judge_both(G: nn.Module, F: nn.Module, twins: Twins) -> dict[str, Verdict]:
    """The verdict on both ways: on G(a), and on F(b)."""
    a, b, as_A, as_B = twins
    return {
        "G": judge_translation(translate(G, a), b, as_B, twins.touched),
        "F": judge_translation(translate(F, b), a, as_A, twins.touched),
    }


# The record.

HELD_OUT, HELD_OUT_SEED = 1_000, 2  # faces; those of seeds 0 and 1 are trained on


def record_cyclegan(out: Path, seeds: int, runs: Path, device: str = "auto", precision: str = "fp32") -> dict:
    """Train the command's own run for each seed (those in `runs` are kept), judge it, and write the record."""

    def train_one(folder: Path, plan: CyclePlan) -> None:
        train(folder, plan, resume=folder, device=device)

    twins = draw_twins(HELD_OUT, HELD_OUT_SEED)
    a, b, _, as_B = twins

    def numbers(folder: Path, card: dict) -> dict[str, float]:
        return {**card["last_steps"], **flat(judge_both(*both_of(folder), twins))}

    folders = train_seeds(fill(CyclePlan(NAME, precision=precision)), seeds, runs, train_one)
    G, F = both_of(folders[0])
    card = write_record(
        out,
        folders,
        {"G": G, "F": F},
        numbers,
        held_out=HELD_OUT,
        nothing=judge_translation(a, b, as_B, twins.touched)._asdict(),
    )
    write(out / f"{NAME}.md", as_markdown(card).encode())
    return card


def both_of(folder: Path) -> tuple[nn.Module, nn.Module]:
    """G and F of a trained folder, or of a record, in eval mode."""
    return load_translator(folder)[0], load_translator(folder, back=True)[0]


def flat(verdicts: dict[str, Verdict]) -> dict[str, float]:
    """As a record keeps them: {"hair, G": …, "eyes, G": …}."""
    return {
        f"{what}, {way}": value for way, verdict in verdicts.items() for what, value in verdict._asdict().items()
    }


COLUMNS = {"hair": ".3f", "eyes": ".3f", "rest": ".4f", "in_hair": ".4f", "pixels": ".3f", "degrees": ".3f"}


def as_markdown(card: dict) -> str:
    """The record as a page shows it: both ways, doing nothing, and how all this was made."""
    mean, sd = card["mean"], card["sd"]
    head = ["", "hair", "eyes", "error: rest", "error: hair", "pixels", "degrees"]
    lines = [head, ["---", *["---:"] * len(COLUMNS)]]
    for way, title in (("G", f"G: {HAIR_A} to {HAIR_B}"), ("F", f"F: {HAIR_B} to {HAIR_A}")):
        keys = {f"{what}, {way}": form for what, form in COLUMNS.items()}
        lines.append([title, *(with_spread(mean[key], sd[key], form) for key, form in keys.items())])
    lines.append(["nothing done to a", *(f"{card['nothing'][what]:{form}}" for what, form in COLUMNS.items())])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    sizes = [sum(p.numel() for p in net.parameters()) for net in build(card["networks"])]
    return (
        f"{table}\n\n`cyclegan`, {over_seeds(card)}, on {card['held_out']:,} faces that no network has seen. "
        f"{card['steps']:,} steps of {card['batch_size']}, from {card['pictures'][0]:,} pictures of each kind: "
        f"{mean['cpu_minutes']:.1f} CPU-minutes. G and F: {sizes[0]:,} weights each, D_A and D_B: {sizes[2]:,}. "
        f"Made by `{card['command']}` at commit {card['commit']} on {card['date']}, on {card['device']}, "
        f"{card['threads']} thread(s), {card['precision']}, torch {card['versions']['torch']}."
    )
