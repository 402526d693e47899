"""The `ganbook` command."""

import sys
from pathlib import Path

import click

from ganbook.errors import InputError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ganbook")
def cli() -> None:
    """Train and sample the GANs of the book, and run its chapters."""


@cli.command()
@click.argument("recipe")
@click.option("--data", metavar="NAME", help="Data set: digits (needs nothing) or mnist.  [default: the recipe's]")
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Updates of each network in all.  [default: the recipe's epochs]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder to write; made if missing.",
)
@click.option("--batch", type=click.IntRange(min=1), help="Pictures in a batch.  [default: the recipe's]")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The same seed, the same networks.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="cpu, cuda, cuda:1, mps; auto takes a GPU where there is one.",
)
def train(
    recipe: str, data: str | None, steps: int | None, out: Path, batch: int | None, seed: int, device: str
) -> None:
    """Train RECIPE (mlp), and write both networks, the losses and pictures to a folder."""
    from ganbook.runs import train as run

    card = run(out, recipe, data=data, steps=steps, batch_size=batch, seed=seed, device=device)
    last = card["last_epoch"]
    click.echo(
        f"{card['steps']:,} steps in {card['minutes']:.1f} min; over the last epoch "
        f"D's loss {last['d_loss']:.3f}, G's loss {last['g_loss']:.3f}\n"
        f"networks, losses and pictures are in {out}"
    )


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--n", type=click.IntRange(min=1), default=64, show_default=True, help="How many pictures.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="PNG file to write.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The same seed, the same pictures.",
)
def sample(folder: Path, n: int, out: Path, seed: int) -> None:
    """Draw pictures from the generator trained in FOLDER, as one PNG."""
    from ganbook.plots import save_images
    from ganbook.recipes import load_networks
    from ganbook.sampling import sample as draw

    if out.suffix.lower() != ".png":
        raise InputError(f"--out {out} must end in .png: the pictures are written as one PNG")
    G, _ = load_networks(folder)
    save_images(out, draw(G, n, seed=seed))
    click.echo(f"{n} pictures in {out}")


@cli.command()
@click.argument("recipe")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How many full runs, seeds 0, 1, 2, …",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write.  [default: the package's records]",
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default="runs",
    show_default=True,
    help="Where the runs go.",
)
@click.option("--device", default="auto", show_default=True, help="As for train.")
def record(recipe: str, seeds: int, out: Path | None, runs: Path, device: str) -> None:
    """Make the book's record of RECIPE: full runs over several seeds."""
    from ganbook.records import RECORDS
    from ganbook.runs import record as make

    out = out or RECORDS / recipe
    make(recipe, out, seeds, runs, device)
    click.echo(f"record of {recipe} over {seeds} seeds in {out}")


@cli.command()
@click.argument("name", type=click.Choice(["ring"]))
@click.option("--seeds", type=click.IntRange(min=1), default=20, show_default=True, help="Seeds 0, 1, 2, … each.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="As for record.")
def study(name: str, seeds: int, out: Path | None) -> None:
    """Make the book's record of the study NAME: every objective on the ring of Gaussians, over several seeds."""
    from ganbook.records import RECORDS
    from ganbook.studies import record_ring

    out = out or RECORDS / name
    record_ring(out, seeds)
    click.echo(f"record of {name} over {seeds} seeds in {out}")


@cli.command()
@click.argument("chapters", nargs=-1)
@click.option(
    "--full", is_flag=True, help="Real data and the sources' budgets: minutes to hours.  [default: quick mode]"
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def run(chapters: tuple[str, ...], full: bool, seed: int) -> None:
    """Run CHAPTERS (such as 03, or 03-the-first-gan; all where none is named) into _build/quick or _build/full."""
    from ganbook.book import format_report, run_chapters

    rows = run_chapters(chapters, quick=not full, seed=seed)
    click.echo(format_report(rows))
    sys.exit(any(row["error"] for row in rows))


@cli.command()
@click.argument("chapters", nargs=-1)
def outputs(chapters: tuple[str, ...]) -> None:
    """Run CHAPTERS in quick mode and store their outputs in book/."""
    from ganbook.book import refresh_outputs

    refresh_outputs(chapters)


@cli.command()
def site() -> None:
    """Build _build/html from what `ganbook run` left in _build/quick; a warning is an error."""
    from ganbook.book import build_site

    click.echo(f"the book is at {build_site().resolve().as_uri()}")


def main() -> None:
    """Run the command. What the user can mend is one line on stderr and exit code 2."""
    try:
        sys.exit(cli(standalone_mode=False, prog_name="ganbook"))
    except (InputError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        hint = "" if isinstance(error, InputError) else " (see ganbook --help)"
        click.echo(f"ganbook: {message}{hint}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("ganbook: interrupted", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
