"""The `ganbook` command."""

import io
import math
import signal
import sys
from pathlib import Path

import click

from ganbook.errors import InputError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ganbook")
def cli() -> None:
    """Train and sample the GANs of the book, and run its chapters."""


class Number(click.FloatRange):
    """A range without infinity and NaN, which click lets through."""

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class Place(click.Path):
    """A path; not an empty one, which would mean the current folder, nor ~NAME where nobody has that name."""

    def convert(self, value, param, ctx):
        try:
            Path(value).expanduser()
        except RuntimeError:
            self.fail(f"{str(value)!r} begins with the name of no user.", param, ctx)
        if not str(value):
            self.fail("An empty path names nothing.", param, ctx)
        return super().convert(value, param, ctx)


COUNT, RATE = click.IntRange(1, 2**40 - 1), Number(min=0, min_open=True)
PICTURES, DRAWN = click.IntRange(1, 10_000), click.IntRange(1, 1_000_000)  # that fit into memory
ANY_SEED, SEEDS = click.IntRange(0, 2**63 - 1), click.IntRange(1, 1000)
FOLDER = Place(path_type=Path, file_okay=False)
WEIGHTS = Place(dir_okay=False)  # a run that goes on needs them no more
PNG = click.option("--out", type=Place(path_type=Path, dir_okay=False), required=True, help="PNG file to write.")
SEED = click.option(
    "--seed", type=ANY_SEED, default=0, show_default=True, help="The same seed, the same pictures."
)
PRECISION = click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="auto: bf16 where a short trial shows it faster.",
)
NETWORKS = ("image_size", "latent_dim", "width_g", "width_d")  # options of `train` that the networks are built by


@cli.command()
@click.argument("recipe")
@click.option(
    "--data",
    type=Place(),
    metavar="NAME|FOLDER",
    help="digits, mnist, avatars, celeba, or a folder of pictures; for cgan and acgan one with a tags.csv.",
)
@click.option(
    "--data-b",
    type=Place(),
    metavar="FOLDER",
    help="For cyclegan: --data holds pictures of kind A, this one of kind B.",
)
@click.option("--out", type=FOLDER, required=True, help="Folder to write; made if missing.")
@click.option("--steps", type=COUNT, help="Updates of each network in all, also after --resume.")
@click.option("--epochs", type=COUNT, help="Instead of --steps: passes over the data.")
@click.option("--batch", "batch_size", type=COUNT, help="Pictures in a batch.")
@click.option(
    "--size", "image_size", type=COUNT, help="Sides of the pictures, for dcgan64, dcgan96, acgan and cyclegan."
)
@click.option("--latent-dim", type=COUNT, help="Numbers in z.")
@click.option("--width-g", type=COUNT, help="Channels of G's widest picture; deeper layers have multiples.")
@click.option("--width-d", type=COUNT, help="Channels of D's first layer; deeper ones have multiples.")
@click.option("--lr-g", type=RATE, help="Step size of G's Adam.")
@click.option("--lr-d", type=RATE, help="Step size of D's Adam.")
@click.option("--beta1", type=Number(0, 1, max_open=True), help="Adam's memory of gradients.")
@click.option("--g-every", type=COUNT, default=1, show_default=True, help="G moves in each N-th step.")
@click.option("--d-every", type=COUNT, default=1, show_default=True, help="D moves in each N-th step.")
@click.option("--reuse-fakes", is_flag=True, help="Show D's fakes in G's turn again: faster, not Algorithm 1.")
@click.option(
    "--average",
    type=Number(0, 1, max_open=True),
    help="Keep the running average of G with this decay; 0: G as it stands.",
)
@click.option("--even", is_flag=True, help="Draw each combination of labels as often as any other that occurs.")
@click.option("--decay-every", type=COUNT, help="Halve both step sizes after each N steps; not for cyclegan.")
@click.option("--l2", type=RATE, help="Weight of a penalty on the squares of G's weights.  [default: none]")
@click.option(
    "--penalty",
    type=click.Choice(["r1", "r2", "gp"]),
    help="Penalty on D's slope. D is then built with instance norm for batch norm.",
)
@click.option("--penalty-weight", type=RATE, help="Its weight.  [default: 10]")
@click.option("--init-g", type=WEIGHTS, help="Weights for G to begin with: a G.safetensors.")
@click.option("--init-d", type=WEIGHTS, help="Weights for D to begin with.")
@click.option("--sample-every", type=COUNT, help="Write 64 pictures after each N steps.  [default: never]")
@click.option("--save-every", type=COUNT, default=1000, show_default=True, help="Steps between checkpoints.")
@click.option("--resume", type=FOLDER, help="Go on with the run in this folder, which may be --out itself.")
@click.option("--tensorboard", is_flag=True, help="Log losses and pictures to OUT/tensorboard.")
@click.option(
    "--workers", type=click.IntRange(0, 256), default=0, help="Processes that read a folder.  [default: none]"
)
@click.option("--seed", type=ANY_SEED, default=0, show_default=True, help="Of networks, order, z.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, mps; auto takes a GPU.")
@click.option(
    "--devices",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    help="Processes of this machine that share each batch, on a GPU each, or all on the CPU.",
)
@click.option("--nodes", type=click.IntRange(1, 1024), default=1, show_default=True, help="Machines, by torchrun.")
@PRECISION
def train(recipe: str, out: Path, devices: int, nodes: int, **asked) -> None:
    """Train RECIPE (mlp, dcgan28, dcgan64, dcgan96, cgan, cgan-planes, acgan, r3gan, cyclegan, …) into a folder.

    Written are both networks, losses and pictures.

    An option that is left out is the recipe's own.
    """
    from ganbook.runs import Plan, train_together
    from ganbook.runs import train as run

    check_options(recipe, devices * nodes, asked)
    given = {key: value for key, value in asked.items() if value is not None}
    how = {key: given.pop(key) for key in ("resume", "device", "workers", "tensorboard") if key in given}
    networks = {key: given.pop(key) for key in NETWORKS if key in given}
    if recipe == "cyclegan":
        return train_cyclegan(out, networks, given, how)
    plan = Plan(recipe, networks=networks, **given)
    if devices * nodes > 1:
        card = train_together(out, plan, devices, nodes, **how)
        if card is None:  # under torchrun: the first process speaks
            return
    else:
        card = run(out, plan, **how)
    last = card["last_epoch"]
    click.echo(
        f"{card['steps']:,} steps in {card['minutes']:.1f} min; over the last epoch "
        f"D's loss {last['d_loss']:.3f}, G's loss {last['g_loss']:.3f}\n"
        f"networks, losses and pictures are in {out}"
    )


def check_options(recipe: str, processes: int, asked: dict) -> None:
    """Raise InputError for options that contradict each other."""
    if asked["steps"] and asked["epochs"]:
        raise InputError(f"--steps {asked['steps']} and --epochs {asked['epochs']} both say how long: give one")
    missing = [path for path in (asked["init_g"], asked["init_d"]) if path and not Path(path).is_file()]
    if missing and not asked["resume"]:
        raise InputError(f"{missing[0]} is missing: name a file of weights, a G.safetensors or a D.safetensors")
    if asked["penalty_weight"] and not asked["penalty"]:
        raise InputError(f"--penalty-weight {asked['penalty_weight']} weighs nothing: say which --penalty")
    if asked["data_b"] and recipe != "cyclegan":
        raise InputError(f"--data-b {asked['data_b']} is for cyclegan: {recipe} learns from one set of pictures")
    if processes > 1 and recipe == "cyclegan":
        raise InputError("--devices and --nodes are not for cyclegan: it trains in one process")


def train_cyclegan(out: Path, networks: dict, given: dict, how: dict) -> None:
    from ganbook.translation import CyclePlan, train

    card = train(out, CyclePlan("cyclegan", networks=networks, **given), **how)
    last = card["last_steps"]
    click.echo(
        f"{card['steps']:,} steps in {card['minutes']:.1f} min; over the last ones D_A's and D_B's loss "
        f"{last['d_loss']:.3f}, G's and F's {last['g_loss']:.3f}, there and back {last['cycle']:.3f}\n"
        f"networks, losses and pictures are in {out}: `ganbook translate` uses them"
    )


@cli.command()
@click.argument("folder", type=Place(path_type=Path))
@click.option("--data", type=FOLDER, required=True, help="Folder of pictures to translate.")
@click.option("--out", type=FOLDER, required=True, help="Folder to write; made if missing.")
@click.option("--back", is_flag=True, help="From B to A.  [default: from A to B]")
def translate(folder: Path, data: Path, out: Path, back: bool) -> None:
    """Translate pictures with the CycleGAN trained in FOLDER: each becomes a PNG of the same name."""
    from ganbook.runs import tell_skipped
    from ganbook.translation import translate_folder

    n, skipped = translate_folder(folder, data, out, back)
    tell_skipped(skipped)
    click.echo(f"{n:,} pictures in {out}")


@cli.command()
@click.argument("folder", type=Place(path_type=Path))
@click.option("--n", type=PICTURES, default=64, show_default=True, help="How many pictures.")
@click.option("--best-of", type=DRAWN, help="Draw this many, and keep the n that D rates most real.")
@click.option("--mean", type=Number(), default=0.0, show_default=True, help="Of the normal distribution of z.")
@click.option("--std", type=Number(min=0), default=1.0, show_default=True, help="Its standard deviation.")
@click.option(
    "--label", help='What to show: 7, or "blue hair, red eyes".  [default: labels as often as in the data]'
)
@click.option("--even", is_flag=True, help="Without --label: each combination as often as any other in the data.")
@PNG
@SEED
def sample(folder: Path, n: int, best_of: int | None, label: str | None, even: bool, out: Path, **how) -> None:
    """Draw pictures from the generator trained in FOLDER, as one PNG."""
    from ganbook.checkpoints import read_card
    from ganbook.plots import save_images
    from ganbook.recipes import load_networks
    from ganbook.sampling import ask, sample_best

    check_png(out)
    if best_of and best_of < n:
        raise InputError(f"--best-of {best_of} is fewer than --n {n}: draw at least as many as are kept")
    if label and even:
        raise InputError(f"--label {label!r} and --even both say what to show: give one")
    G, D = load_networks(folder)
    y, note = ask(read_card(folder), best_of or n, label, even, how["seed"])
    save_images(out, sample_best(G, D, n, best_of or n, y=y, **how))
    click.echo(f"{n} pictures in {out}{note}")


@cli.command()
@click.argument("folder", type=Place(path_type=Path))
@PNG
@click.option("--across", is_flag=True, help="One z for each row.  [default: one for each column]")
@SEED
def grid(folder: Path, out: Path, across: bool, seed: int) -> None:
    """Draw every combination of labels from the generator trained in FOLDER, as one PNG."""
    from ganbook.checkpoints import read_card
    from ganbook.plots import save_class_grid
    from ganbook.recipes import load_networks
    from ganbook.sampling import class_grid

    check_png(out)
    classes = read_card(folder).get("classes")
    if not classes:
        raise InputError(f"the generator in {folder} reads no labels: take `ganbook sample`")
    G, _ = load_networks(folder)
    save_class_grid(out, class_grid(G, across, seed), classes)
    click.echo(f"a row for each value of the first label, a column for each of the second, in {out}")


@cli.command()
@click.argument("model", type=Place())
@click.option(
    "--data",
    type=Place(),
    help="The folder that it was trained on; the package's own data are found by themselves.",
)
@click.option(
    "--features",
    type=click.Choice(["classifier", "inception"]),
    default="classifier",
    show_default=True,
    help="Which network sees the pictures: the book's own, or Inception, which has to be fetched.",
)
@click.option(
    "--sets", type=COUNT, default=3, show_default=True, help="How many sets of fakes, each from a seed of its own."
)
@click.option("--device", default="auto", show_default=True, help="As for train.")
def evaluate(model: str, data: str | None, features: str, sets: int, device: str) -> None:
    """Measure the generator of MODEL: a trained folder, or a recipe, whose record it is then."""
    from ganbook.checkpoints import read_card
    from ganbook.evaluation import evaluate as measure
    from ganbook.evaluation import lines_of
    from ganbook.machine import pick_device
    from ganbook.recipes import load_networks, load_pretrained
    from ganbook.records import read_record

    if Path(model).is_dir():
        G, card = load_networks(Path(model))[0], read_card(Path(model))
    else:
        G, card = load_pretrained(model)[0], read_record(model)
    G.to(pick_device(device))
    found = measure(G, card, range(sets), data, features == "inception")
    click.echo("\n".join(lines_of(found)))


def check_png(out: Path) -> None:
    if out.suffix.lower() != ".png":
        raise InputError(f"--out {out} must end in .png: the pictures are written as one PNG")


@cli.command()
@click.argument("src", type=Place(path_type=Path, exists=True, file_okay=False))
@click.argument("dst", type=FOLDER)
@click.option("--seed", type=ANY_SEED, default=0, show_default=True, help="The same seed, the same split.")
def split(src: Path, dst: Path, seed: int) -> None:
    """Copy the pictures of SRC to DST/train (80 %), DST/valid (10 %) and DST/test (10 %)."""
    from ganbook.folders import split_folder
    from ganbook.runs import tell_skipped

    counts, skipped = split_folder(src, dst, seed)
    tell_skipped(skipped)
    click.echo(", ".join(f"{n:,} in {dst / part}" for part, n in counts.items()))


@cli.command()
@click.argument("recipe")
@click.option(
    "--seeds",
    type=SEEDS,
    default=3,
    show_default=True,
    help="How many full runs, seeds 0, 1, 2, …",
)
@click.option(
    "--out",
    type=FOLDER,
    help="Folder to write.  [default: the package's records]",
)
@click.option(
    "--runs",
    type=FOLDER,
    default="runs",
    show_default=True,
    help="Where the runs go.",
)
@click.option("--device", default="auto", show_default=True, help="As for train.")
@PRECISION
def record(recipe: str, seeds: int, out: Path | None, runs: Path, device: str, precision: str) -> None:
    """Make the book's record of RECIPE: full runs over several seeds."""
    from ganbook.recipes import recipe as find
    from ganbook.recording import record as make
    from ganbook.recording import recorded
    from ganbook.records import RECORDS
    from ganbook.twins import record_cyclegan

    if recipe != "cyclegan":
        find(recipe)  # before a folder is made by its name
    out = out or RECORDS / recipe
    with recorded(out, f"ganbook record {recipe}"):
        if recipe == "cyclegan":
            record_cyclegan(out, seeds, runs, device, precision)
        else:
            make(recipe, out, seeds, runs, device, precision)
    click.echo(f"record of {recipe} over {seeds} seeds in {out}")


@cli.command()
@click.argument("name", type=click.Choice(["digits", "avatars"]))
@click.option("--seed", type=ANY_SEED, default=0, show_default=True)
def classifier(name: str, seed: int) -> None:
    """Train the book's classifier of digits (MNIST is needed) or avatars, and record it with its accuracies."""
    import torch

    from ganbook.classifiers import record_classifier
    from ganbook.machine import surroundings
    from ganbook.records import RECORDS

    torch.set_num_threads(1)  # small layers: two threads are slower, and would give other weights
    out = RECORDS / f"classifier-{name}"
    record_classifier(name, out, surroundings(torch.device("cpu"), "bf16"), seed)
    click.echo(f"classifier of {name} in {out}")


@cli.command()
@click.argument(
    "name",
    type=click.Choice(["ring", "guidelines", "conditioning", "diseases", "small-data", "stacked", "diffusion"]),
)
@click.option("--seeds", type=SEEDS, default=20, show_default=True, help="Seeds 0, 1, 2, … each.")
@click.option("--out", type=FOLDER, help="As for record.")
def study(name: str, seeds: int, out: Path | None) -> None:
    """Make the book's record of the study NAME.

    ring: every objective on the ring of Gaussians. guidelines: the DCGAN paper's guidelines, each taken back.
    conditioning: every way of telling networks the label, on digits and avatars. diseases: what goes wrong, each
    mistake and the same without it. small-data: 300 digits, with and without augmentation. stacked: how many
    of the 1,000 combinations of three digits are drawn. diffusion: a diffusion model on a GAN's budget. (The last
    three need MNIST.)
    """
    from ganbook.conditioning import record_conditioning
    from ganbook.diffusion import record_diffusion
    from ganbook.diseases import record_diseases
    from ganbook.guidelines import record_guidelines
    from ganbook.recording import recorded
    from ganbook.records import RECORDS
    from ganbook.small_data import record_small_data
    from ganbook.stacked import record_stacked
    from ganbook.studies import record_ring

    out = out or RECORDS / name
    make = {
        "ring": record_ring,
        "guidelines": record_guidelines,
        "conditioning": record_conditioning,
        "diseases": record_diseases,
        "small-data": record_small_data,
        "stacked": record_stacked,
        "diffusion": record_diffusion,
    }
    with recorded(out, f"ganbook study {name}"):
        make[name](out, seeds)
    click.echo(f"record of {name} over {seeds} seeds in {out}")


@cli.command()
@click.argument("recipes", nargs=-1)
@click.option("--seeds", type=SEEDS, default=3, show_default=True, help="Seeds 0, 1, 2, … each.")
@click.option("--out", type=FOLDER, help="As for record.")
@click.option("--runs", type=FOLDER, default="runs", show_default=True, help="Where the runs go.")
@click.option("--device", default="auto", show_default=True, help="As for train.")
@PRECISION
def table(recipes: tuple[str, ...], seeds: int, out: Path | None, **how) -> None:
    """Train and measure every model for the book's table, or only RECIPES: what is there already is kept."""
    from ganbook.records import RECORDS
    from ganbook.table import fill_table

    out = out or RECORDS / "table"
    fill_table(list(recipes), seeds, out, **how)
    click.echo(f"the table is in {out}")


@cli.command()
@click.argument("recipe")
@click.option("--out", type=Place(path_type=Path, dir_okay=False), required=True, help="JS file to write.")
@click.option(
    "--precision",
    type=click.Choice(["int8", "half"]),
    default="int8",
    show_default=True,
    help="Of the weights: a byte each, or two.",
)
def export(recipe: str, out: Path, precision: str) -> None:
    """Write the committed generator of RECIPE as a script that the book's live pages run."""
    from ganbook.export import export as write_script

    size = write_script(recipe, out, precision)
    click.echo(f"the generator of {recipe}, {size / 1e6:.1f} MB, is in {out}")


@cli.command()
def cover() -> None:
    """Draw the picture on the book's cover, book/_static/cover.jpg, by the generators of its full runs."""
    from ganbook.cover import COVER, save_cover

    save_cover()
    click.echo(f"the cover is in {COVER}")


@cli.command()
@click.argument("chapters", nargs=-1)
@click.option(
    "--full", is_flag=True, help="Real data and the sources' budgets: minutes to hours.  [default: quick mode]"
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option("--at-once", type=click.IntRange(1, 64), default=1, show_default=True, help="With one thread each.")
def run(chapters: tuple[str, ...], full: bool, seed: int, at_once: int) -> None:
    """Run CHAPTERS (such as 03, or 03-the-first-gan; all where none is named) into _build/quick or _build/full."""
    from ganbook.runner import format_report, run_chapters

    rows = run_chapters(chapters, quick=not full, seed=seed, at_once=at_once)
    click.echo(format_report(rows))
    sys.exit(any(row["error"] for row in rows))


@cli.command()
@click.argument("chapters", nargs=-1)
@click.option("--seeds", type=SEEDS, default=20, show_default=True, help="Seeds 0, 1, 2, … each.")
@click.option("--at-once", type=click.IntRange(1, 64), default=1, show_default=True, help="With one thread each.")
@click.option("--avx2", is_flag=True, help="Compute as a CPU without AVX-512 and without products in bfloat16.")
def soak(chapters: tuple[str, ...], seeds: int, at_once: int, avx2: bool) -> None:
    """Run CHAPTERS (default: all) in quick mode with many seeds: what passed before is not run again."""
    from ganbook.soak import format_soak
    from ganbook.soak import soak as run_seeds

    rows = run_seeds(chapters, seeds, at_once, "avx2" if avx2 else "own")
    click.echo(format_soak(rows))
    sys.exit(any(row["error"] for row in rows.values()))


@cli.command()
@click.argument("chapters", nargs=-1)
def outputs(chapters: tuple[str, ...]) -> None:
    """Run CHAPTERS in quick mode and store their outputs in book/."""
    from ganbook.book import refresh_outputs

    refresh_outputs(chapters)


@cli.command()
@click.argument("chapters", nargs=-1)
@click.option("--out", type=FOLDER, required=True, help="Folder to write; made if missing.")
def worksheets(chapters: tuple[str, ...], out: Path) -> None:
    """Write CHAPTERS as notebooks to work in: without outputs, and with room for your answers."""
    from ganbook.worksheets import write_worksheets

    click.echo(f"wrote {len(write_worksheets(chapters, out))} to {out}")


@cli.command()
def site() -> None:
    """Build _build/html from what `ganbook run` left in _build/quick; a warning is an error."""
    from ganbook.book import build_site

    click.echo(f"the book is at {build_site().resolve().as_uri()}")


@cli.command()
@click.argument("kind", type=click.Choice(["pdf", "epub"]))
def volume(kind: str) -> None:
    """Make one file of the site that `ganbook site` built: _build/ganbook.pdf or _build/ganbook.epub."""
    from ganbook.runner import BUILD
    from ganbook.volumes import save_epub, save_pdf

    out = BUILD / f"ganbook.{kind}"
    shown = {"pdf": save_pdf, "epub": save_epub}[kind](out)
    click.echo(f"the book, {shown} pictures, is in {out}")


def main() -> None:
    """Run the command. What the user can mend is one line on stderr and exit code 2."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a request to end, as Ctrl-C is
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # the name of a file need be no text
    try:
        sys.exit(cli(standalone_mode=False, prog_name="ganbook"))
    except (InputError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        hint = "" if isinstance(error, InputError) else " (see ganbook --help)"
        line = " ".join(message.split())  # an argument may hold line breaks
        click.echo(f"ganbook: {line}{hint}", err=True)
        sys.exit(2)
    except OSError as error:  # a full disk, no permission to write
        click.echo(f"ganbook: {error.filename or 'a file'}: {error.strerror or error}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt) as stop:  # click raises the one from the other
        said = str(stop.__cause__ or stop)
        click.echo(f"ganbook: {said or 'interrupted'}", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
