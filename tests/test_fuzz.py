"""Whatever comes from outside is understood or refused in one line: never a traceback, a hang, a silent mistake.

Each test runs a few cases in `make test`, always the same, and thousands by `make soak`, new ones every time.
"""

import io
import json
import random
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from PIL import Image

from ganbook import datasets, runner, runs
from ganbook.__main__ import cli, main
from ganbook.avatars import EYES, HAIR
from ganbook.convolution import conv_output_size, overlap, receptive_field, transposed_output_size
from ganbook.data import read_idx
from ganbook.errors import InputError
from ganbook.folders import picture
from ganbook.recipes import load_networks
from ganbook.runs import begin, fill
from ganbook.tags import COLOURS, read_tags
from tests.conftest import SMALL

QUICK = 60
TRIED = Counter()


def budgets(quick: int, soak: int):
    return pytest.mark.parametrize("cases", [quick, pytest.param(soak, marks=pytest.mark.soak)])


def fuzz(cases: int, name: str, check, *strategies) -> None:
    """check(*drawn) in so many cases."""

    def one(drawn):
        TRIED[name] += 1
        check(*drawn)

    how = settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=cases < 1000,
        suppress_health_check=list(HealthCheck),
    )
    how(given(some.tuples(*strategies))(one))()


@pytest.fixture(scope="module", autouse=True)
def told(request):
    yield
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\ncases tried: {TRIED.total():,} ({', '.join(f'{name} {n:,}' for name, n in TRIED.items())})")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "data"))
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def one_line(error: Exception) -> None:
    assert "\n" not in str(error) and 10 < len(str(error)) < 2_000, str(error)[:3_000]


def mangle(content: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    """Overwrite, insert, cut off, repeat, at shares of the length."""
    for how, place, piece in changes:
        i = int(place * len(content))
        if how == "overwrite":
            content = content[:i] + piece + content[i + len(piece) :]
        elif how == "insert":
            content = content[:i] + piece + content[i:]
        elif how == "remove":
            content = content[:i] + content[i + len(piece) :]
        elif how == "cut":
            content = content[:i]
        else:
            content = content[:i] + content[i : i + 64] * 3 + content[i:]
    return content


HOW = some.sampled_from(["overwrite", "overwrite", "overwrite", "insert", "remove", "cut", "repeat"])
PIECES = some.binary(min_size=1, max_size=8) | some.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])
# Headers are short and come first: half of the changes go there.
PLACES = some.floats(0, 0.999) | some.floats(0, 0.05)
CHANGES = some.lists(some.tuples(HOW, PLACES, PIECES), min_size=1, max_size=4)


# MNIST's files.


def idx(shape: list[int], content: bytes) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4) for n in shape) + content


@budgets(300, 20_000)
def test_idx_files(cases, folder):
    def check(shape, changes, dimensions):
        raw = mangle(idx(shape, bytes(range(256))[: int(np.prod(shape))]), changes)
        Path("file").write_bytes(raw)
        try:
            read = read_idx(Path("file"), dimensions)
        except InputError as error:
            return one_line(error)
        assert idx(list(read.shape), read.numpy().tobytes()) == raw

    shapes = some.lists(some.integers(0, 6), min_size=1, max_size=3)
    fuzz(cases, "idx", check, shapes, CHANGES | some.just([]), some.integers(1, 3))


# Pictures.


def files() -> dict[str, bytes]:
    noise = np.random.default_rng(0).integers(0, 256, (20, 14, 4), dtype=np.uint8)
    made = {}
    rgb = ("jpeg", "bmp", "tiff", "webp", "ppm", "jpeg2000", "pcx", "sgi", "avif")
    rgba = ("png", "ico", "tga", "dds", "icns")
    kinds = [(form, "RGB") for form in rgb] + [(form, "RGBA") for form in rgba] + [("png", "P"), ("gif", "P")]
    for form, mode in kinds:
        file = io.BytesIO()
        try:
            Image.fromarray(noise, "RGBA").convert(mode).save(file, form)
        except (OSError, KeyError):  # not in this build of Pillow
            continue
        made[f"{form} {mode}"] = file.getvalue()
    return made


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    FILES = files()


@budgets(QUICK, 20_000)
def test_pictures(cases, folder):
    def check(kind, changes, channels):
        Path("a.png").write_bytes(mangle(FILES[kind], changes))
        try:
            found = picture("a.png", Path(), 8, channels)
        except InputError as error:
            return one_line(error)
        if isinstance(found, str):
            assert "\n" not in found and found
        else:
            assert len(found) == channels * 64

    fuzz(cases, "pictures", check, some.sampled_from(sorted(FILES)), CHANGES, some.sampled_from([1, 3]))


# tags.csv.


@budgets(QUICK, 20_000)
def test_tags_of_any_text(cases, folder):
    words = [
        "blue hair",
        "red eyes",
        "grey eye",
        "hair",
        "12",
        "ö",
        '"',
        "'",
        ",",
        ";",
        "\t",
        "|",
        "\n",
        "\r",
        "\0",
        ":",
    ]
    words += [
        "\ufeff",
        " ",
        "_",
        "[",
        "]",
        "long",
        "8448",
        "id,tags\n",
        "1,blue hair,red eyes\n",
        "\x1a",
        "\u2028",
    ]
    texts = some.lists(some.sampled_from(words) | some.text(max_size=3), max_size=30).map("".join)
    content = texts.map(lambda text: text.encode(errors="surrogatepass")) | some.binary(max_size=60)

    def check(raw):
        Path("tags.csv").write_bytes(raw)
        try:
            found = read_tags(Path("tags.csv"))
        except InputError as error:
            return one_line(error)
        assert found.labels
        for hair, eyes in found.labels.values():
            assert 0 <= hair < len(COLOURS["hair"]) and 0 <= eyes < len(COLOURS["eyes"])

    fuzz(cases, "tags", check, content)


@budgets(QUICK, 10_000)
def test_tags_mean_what_they_say(cases, folder):
    """However a row is laid out, its colours are those that were written, or the file is refused."""

    def check(rows, mark, between, header, end):
        lines = ["id,tags"] if header else []
        for i, (hair, eyes, other) in enumerate(rows):
            tags = [f"{HAIR[hair]} hair", f"{EYES[eyes]} eyes", *other]
            lines.append(f"{i}{mark}{between.join(tags)}")
        Path("tags.csv").write_text(end.join(lines), newline="")
        found = read_tags(Path("tags.csv"))
        assert found.labels == {str(i): (hair, eyes) for i, (hair, eyes, _) in enumerate(rows)}

    other = some.lists(some.sampled_from(["long hair", "smile", "1girl", "hat", "short_hair"]), max_size=3)
    rows = some.tuples(some.integers(0, len(HAIR) - 1), some.integers(0, len(EYES) - 1), other)
    marks, between = some.sampled_from([",", "\t", ";", "|"]), some.sampled_from([",", ";", ", ", "|", "\t"])
    fuzz(
        cases, "rows of tags", check, some.lists(rows, min_size=1, max_size=6), marks, between, some.booleans(),
        some.sampled_from(["\n", "\r\n"]),
    )  # fmt: skip


# Convolution arithmetic.

WHOLE = some.integers(-3, 40)
ODD = WHOLE | some.sampled_from([2**40, -(2**70), 1.5, float("nan"), "3", None, True])


def pytorch(make, n: int) -> int | None:
    """The size that PyTorch gives, or None where it refuses."""
    try:
        with torch.device("meta"):
            return make()(torch.empty(1, 1, n)).shape[2]
    except (RuntimeError, ValueError, TypeError):
        return None


@budgets(200, 20_000)
def test_convolution_arithmetic(cases):
    def check(n, kernel, stride, padding, dilation):
        try:
            size = conv_output_size(n, kernel, stride, padding, dilation)
        except InputError as error:
            size = one_line(error)
        conv = lambda: torch.nn.Conv1d(1, 1, kernel, stride, padding, dilation)  # noqa: E731
        if (
            all(type(value) is int and abs(value) < 1_000 for value in (n, kernel, stride, padding, dilation))
            and n > 0
        ):
            assert size == (pytorch(conv, n) if min(kernel, stride, dilation) > 0 and padding >= 0 else None)

    fuzz(cases, "convolutions", check, *[ODD] * 5)
    fuzz(cases, "convolutions", check, *[some.integers(1, 12)] * 3, some.integers(0, 9), some.integers(1, 4))


@budgets(200, 20_000)
def test_transposed_convolution_arithmetic(cases):
    def check(n, kernel, stride, padding, extra, dilation):
        settings = (kernel, stride, padding, extra, dilation)
        try:
            size, counts = transposed_output_size(n, *settings), None
            counts = overlap(n, *settings) if size < 10_000 and n < 10_000 and kernel < 10_000 else None
        except InputError as error:
            return one_line(error)
        assert counts is None or (len(counts) == size and sum(counts) <= n * kernel)
        if max(settings) < 100 and all(type(value) is int for value in settings):
            conv = lambda: torch.nn.ConvTranspose1d(1, 1, kernel, stride, padding, extra, dilation=dilation)  # noqa: E731
            assert size == pytorch(conv, n)

    fuzz(cases, "transposed", check, *[ODD] * 6)
    few = some.integers(0, 4)
    fuzz(
        cases, "transposed", check, *[some.integers(1, 12)] * 2, some.integers(1, 4), few, few, some.integers(1, 3)
    )


@budgets(QUICK, 10_000)
def test_receptive_fields(cases):
    def check(layers):
        try:
            field = receptive_field(layers)
        except InputError as error:
            return one_line(error)
        assert field.size >= 1 and field.jump >= 1 and isinstance(field.size, int)

    layer = some.lists(ODD, min_size=0, max_size=4) | ODD
    fuzz(cases, "receptive fields", check, some.lists(layer, max_size=4))
    fuzz(cases, "receptive fields", check, some.lists(some.lists(some.integers(1, 9), min_size=2, max_size=3)))


# What was trained.


@budgets(100, 20_000)
def test_trained_folders(cases, trained, folder):
    names = ("G.safetensors", "D.safetensors", "card.json")

    def check(name, changes):
        for each in names:
            content = (trained / each).read_bytes()
            Path(each).write_bytes(mangle(content, changes) if each == name else content)
        try:
            G, D = load_networks(Path())
        except InputError as error:
            return one_line(error)
        assert all(value.isfinite().all() for net in (G, D) for value in net.state_dict().values())

    fuzz(cases, "trained folders", check, some.sampled_from(names), CHANGES)


@budgets(QUICK, 20_000)
def test_cards(cases, trained, folder):
    """Any JSON where a card has something else."""
    card = json.loads((trained / "card.json").read_bytes())
    for name in ("G.safetensors", "D.safetensors"):
        Path(name).write_bytes((trained / name).read_bytes())
    leaves = (
        some.none()
        | some.booleans()
        | some.integers(-5, 70)
        | some.integers()
        | some.floats()
        | some.text(max_size=5)
    )
    values = some.recursive(
        leaves,
        lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    )
    settings = some.dictionaries(
        some.sampled_from(["image_size", "width_g", "width_d", "latent_dim", "num_classes", "norm_d"]), values
    )

    def check(changes, networks):
        changed = card | changes | ({"networks": networks} if networks else {})
        Path("card.json").write_text(json.dumps(changed))
        try:
            G, _ = load_networks(Path())
        except InputError as error:
            return one_line(error)
        assert G.latent_dim and changed["networks"] and changed["recipe"]

    changes = some.dictionaries(some.sampled_from(["recipe", "networks", "classes"]), values, max_size=2)
    fuzz(cases, "cards", check, changes, settings)


@budgets(QUICK, 5_000)
def test_states(cases, trained, folder, monkeypatch):
    """A state that is spoiled is none, is refused, or still holds numbers of which none is NaN."""
    run = begin(fill(SMALL), torch.device("cpu"))
    content = (trained / "state.safetensors").read_bytes()

    def check(changes):
        Path("state.safetensors").write_bytes(mangle(content, changes))
        if runs.read_note(Path()) is None:
            return
        try:
            run.restore(Path())
        except InputError as error:
            return one_line(error)
        assert all(value.isfinite().all() for value in run.G.state_dict().values())

    fuzz(cases, "states", check, CHANGES)


# The command line.


class Begun(Exception):
    """All that was asked for was understood: from here on it would be trained."""


def stop(*args, **how):
    raise Begun


WORDS = (
    "0 1 2 7 -1 3.5 0.5 nan inf -inf 1e400 1e-400 many 0x10 16 64 1_000 mlp acgan cgan dcgan64 dcgan96 dcgan28 "
)
WORDS += (
    "nosuch digits avatars celeba cpu cuda:9 meta r1 gp fp32 bf16 x.png x.PNG out run run/G.safetensors . .. , ö "
)
WORDS += "cyclegan run/card.json /dev/null /nowhere/x empty pictures -- -x"
ODD_WORDS = ["", " ", "10" * 12, "a" * 300, "blue hair", "blue hair, red eyes"]
LETTERS = some.characters(exclude_characters="\0", exclude_categories=["Cs"])
VALUES = some.sampled_from([*WORDS.split(), *ODD_WORDS]) | some.text(LETTERS, max_size=6)


def words_of(name: str):
    """Any options of a command with any values, and any arguments."""
    command = cli.commands[name]
    options = [param for param in command.params if param.param_type_name == "option"]
    arguments = sum(param.param_type_name == "argument" for param in command.params)

    def option(param):
        name = some.sampled_from(param.opts)
        return name.map(lambda n: [n]) if param.is_flag else some.tuples(name, VALUES).map(list)

    given = some.lists(some.sampled_from(options).flatmap(option), max_size=5) if options else some.just([])
    positional = some.lists(VALUES, min_size=arguments, max_size=arguments + 1)
    needed = [param.opts[0] for param in options if param.required]  # most cases get past what is asked for first
    required = some.tuples(*[some.sampled_from([[n, "out"], [n, "x.png"], []]) for n in needed])
    return some.tuples(positional, required, given).map(lambda p: [name, *p[0], *sum(p[1], []), *sum(p[2], [])])


HEAVY = {  # command -> what would take long, once all is understood
    "train": ["ganbook.runs.begin", "ganbook.runs.launch", "ganbook.translation.begin"],
    "translate": [],
    "sample": [],
    "grid": [],
    "evaluate": ["ganbook.evaluation.evaluate"],
    "split": [],
    "record": ["ganbook.recording.record"],
    "classifier": ["ganbook.classifiers.record_classifier"],
    "study": ["ganbook.studies.record_ring", "ganbook.guidelines.record_guidelines",
              "ganbook.conditioning.record_conditioning", "ganbook.diseases.record_diseases",
              "ganbook.small_data.record_small_data", "ganbook.stacked.record_stacked",
              "ganbook.diffusion.record_diffusion"],
    "table": ["ganbook.table.train_and_measure"],
    "run": ["ganbook.runner.Apart"],
    "soak": ["ganbook.runner.Apart"],
    "outputs": ["ganbook.book.execute"],
    "site": ["ganbook.book.assemble_and_build"],
    "cover": ["ganbook.cover.draw_cover"],
    "worksheets": [],
    "volume": ["ganbook.volumes.chromium", "ganbook.volumes.articles"],
}  # fmt: skip


@budgets(25, 2_000)
@pytest.mark.parametrize("name", HEAVY)
def test_command_lines(cases, name, trained, folder, monkeypatch, capsys):
    for place in HEAVY[name]:
        monkeypatch.setattr(place, stop)
    monkeypatch.setattr(datasets, "AVATARS", 16)
    monkeypatch.setattr("torch.set_num_threads", lambda n: None)
    Path("empty").mkdir()
    Path("pictures").mkdir()
    Image.new("RGB", (9, 9)).save("pictures/a.png")
    Path("run").mkdir()
    for path in trained.iterdir():
        (Path("run") / path.name).write_bytes(path.read_bytes())

    def check(words):
        monkeypatch.setattr(sys, "argv", ["ganbook", *words])
        try:
            main()
        except Begun:
            return capsys.readouterr()
        except SystemExit as end:
            out, err = capsys.readouterr()
            assert end.code in (None, 0, False, 2), (words, err)
            assert end.code != 2 or (err.startswith("ganbook: ") and err.count("\n") == 1), (words, err)
        return None

    fuzz(cases, f"ganbook {name}", check, words_of(name))


def test_every_command_is_tried():
    assert set(HEAVY) >= set(cli.commands) - {"export"}


# Names and parameters of chapters.


@budgets(QUICK, 2_000)
def test_chapters_by_any_name(cases, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    known = list(runner.chapters())
    names = some.sampled_from([*known, *(name[:2] for name in known), "3", "../03", "03-"]) | some.text(max_size=4)

    def check(chosen):
        try:
            found = runner.choose(tuple(chosen))
        except InputError as error:
            return one_line(error)
        assert list(found) == [name for name in known if name in found]
        assert not chosen or {name[:2] for name in chosen} == {name[:2] for name in found}
        return None

    fuzz(cases, "names of chapters", check, some.lists(names, max_size=3))


def test_cases_are_the_same_in_every_quick_run():
    seen = [[], []]
    for found in seen:
        fuzz(20, "again", found.append, some.integers())
    assert seen[0] == seen[1] and len(set(seen[0])) > 5
    assert random.random() is not None  # the fuzzer gave the random state back
