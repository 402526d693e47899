"""What was measured once and is shown on the pages: the book's full runs, and how long each chapter takes."""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path

from ganbook.checkpoints import read_card

RECORDS = Path(__file__).parent / "records"
CHAPTER_TIMES = RECORDS / "chapters.json"


def read_record(name: str) -> dict:
    """The numbers of the full run of a recipe; `mean` and `sd` are over its seeds."""
    return read_card(RECORDS / name)


def record_picture(name: str, picture: str):
    """A picture of the full run of a recipe, to show on a page: samples.png or progress.png."""
    from IPython.display import Image

    return Image(filename=RECORDS / name / picture)


def record_table(name: str):
    """The numbers of the full run of a recipe, as a table with mean and standard deviation over its seeds."""
    from IPython.display import Markdown

    card = read_record(name)
    rows = [
        ("D's loss", "d_loss", ".3f"),
        ("G's loss", "g_loss", ".3f"),
        ("mean of D(x), real", "d_real", ".3f"),
        ("mean of D(G(z)), fake", "d_fake", ".3f"),
        ("CPU-minutes of training", "cpu_minutes", ".1f"),
    ]
    rows[-1:-1] = [(f"{key}: classifier agrees", key, ".4f") for key in card["mean"] if key.startswith("accuracy")]
    lines = [f"| {label} | {with_spread(card['mean'][key], card['sd'][key], form)} |" for label, key, form in rows]
    epochs = round(card["steps"] * card["batch_size"] / card["pictures"])
    shown = ", ".join(str(round(step * card["batch_size"] / card["pictures"])) for step in card["progress_steps"])
    return Markdown(
        f"| last epoch of {epochs}, {card['data']} | {over_seeds(card)} |\n"
        "|---|---|\n" + "\n".join(lines) + f"\n\nRows of the picture: after {shown} epochs (seed 0). "
        f"Made by `{card['command']}` at commit {card['commit']} on {card['date']}, on {card['device']}, "
        f"{card['threads']} thread(s), {card['precision']}, torch {card['versions']['torch']}."
    )


def with_spread(mean: float, sd: float | None, form: str) -> str:
    return f"{mean:{form}}" if sd is None else f"{mean:{form}} ± {sd:{form}}"


def mean_and_spread(values: list[float], form: str) -> str:
    """Mean ± sample standard deviation; a single value has none."""
    return with_spread(statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None, form)


def minutes_on(device: str, runs: Iterable[dict]) -> float | None:
    """CPU minutes that a run took on this device, on average; None where none was made there."""
    minutes = [run["cpu_minutes"] for run in runs if run["device"] == device]
    return statistics.mean(minutes) if minutes else None


def over_seeds(card: dict) -> str:
    n = len(card["seeds"])
    return "one seed, so no spread" if n == 1 else f"mean ± standard deviation, {n} seeds"


def time_needed(chapter: str, recipe: str | None = None):
    """How long a chapter takes in quick mode and, where it shows one, how long its full run took: as measured."""
    from IPython.display import Markdown

    times = json.loads(CHAPTER_TIMES.read_text()) if CHAPTER_TIMES.exists() else {}
    sentences = ["**Time.**"]
    if chapter in times:
        quick = times[chapter]
        sentences.append(f"Quick mode: {quick['seconds']} s on {quick['cores']} cores of {quick['processor']}.")
    if recipe:
        card = read_record(recipe)
        minutes = card["mean"]["cpu_minutes"]
        sentences.append(f"The full run trained for {minutes:.0f} CPU-minutes on {card['device']}.")
    return Markdown(" ".join(sentences))
