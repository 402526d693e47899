"""What others made is loaded without harm: it is what it says it is, or it is refused in one line."""

import io
import json
import pickle
import random
import re
import shutil
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from ganbook import checkpoints, datasets, folders
from ganbook.checkpoints import (
    EARLIER,
    STATE,
    digest,
    load_network,
    locked,
    read_card,
    read_note,
    read_state,
    save_networks,
    write,
)
from ganbook.data import mnist, read_idx
from ganbook.errors import InputError
from ganbook.evaluation import evaluate
from ganbook.folders import open_folder
from ganbook.recipes import fetch, load_networks, load_pretrained
from ganbook.runs import begin, fill, train
from ganbook.sampling import MOST, ask
from tests.conftest import SMALL

PACKAGE = Path(__file__).parents[1] / "ganbook"


def peak() -> int:
    """The most memory that this process ever held, in bytes."""
    resource = pytest.importorskip("resource")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.fixture(autouse=True)
def harmless(tmp_path):
    """Nothing that is loaded here may take memory, take long, or run the code that is planted in it."""
    before, started = peak(), time.perf_counter()
    yield
    assert peak() - before < 400e6 and time.perf_counter() - started < 30
    assert not list(tmp_path.rglob("HARMED"))


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """A copy of a trained folder, to be spoiled."""
    monkeypatch.setattr(datasets, "AVATARS", 16)
    folder = tmp_path / "run"
    folder.mkdir()
    for path in trained.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


class Harm:
    """Unpickled, it leaves a file."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return Path.touch, (Path(self.folder) / "HARMED",)


def header(tensors: dict, data: bytes = b"", length: int | None = None) -> bytes:
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def claim(shape, begin, end, kind="F32"):
    return {"net.0.weight": {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}}


def complex_numbers(path: Path) -> bytes:
    """By the header alone: an older safetensors can write none."""
    return changed(path, lambda w: w.double()).replace(b'"F64"', b'"C64"')


def changed(path: Path, change) -> bytes:
    """The weights at path, with one tensor changed."""
    tensors = load_file(path)
    key = next(key for key in tensors if key.endswith("weight"))
    tensors[key] = change(tensors[key])
    save_file(tensors, path.with_name("changed"))
    return path.with_name("changed").read_bytes()


def spoil(value):
    def change(weights):
        weights.view(-1)[3] = value
        return weights

    return change


BAD_WEIGHTS = {
    "nothing": lambda path: b"",
    "seven bytes": lambda path: b"\0" * 7,
    "a pickle": lambda path: pickle.dumps(Harm(path.parent)),
    "a pickle as torch saves it": lambda path: torch_pickle(path),
    "a header cut short": lambda path: path.read_bytes()[:100],
    "data cut short": lambda path: path.read_bytes()[:-1],
    "bytes too many": lambda path: path.read_bytes() + b"\0",
    "a header of 2^64 bytes": lambda path: b"\xff" * 8 + path.read_bytes()[8:],
    "a header of 1 TB": lambda path: header({}, length=10**12),
    "a header of 90 MB": lambda path: header({}, b" " * 1000, length=90 * 10**6),
    "a header of 2 MB": lambda path: padded(path, 2 * 10**6),
    "a tensor of 1 TB": lambda path: header(claim([2**38], 0, 2**40)),
    "a tensor of 2^80 bytes": lambda path: header(claim([2**40, 2**40], 0, 8)),
    "offsets that go back": lambda path: header(claim([1], 8, 4), b"\0" * 8),
    "a negative shape": lambda path: header(claim([-1], 0, 4), b"\0" * 4),
    "an unknown type": lambda path: header(claim([1], 0, 4, "OBJECT"), b"\0" * 4),
    "a header that is a list": lambda path: struct.pack("<Q", 2) + b"[]",
    "no tensors": lambda path: header({}),
    "many names": lambda path: header({str(i): claim([0], 0, 0)["net.0.weight"] for i in range(5_000)}),
    "a name more": lambda path: more(path),
    "another shape": lambda path: changed(path, lambda w: w[:-1].clone()),
    "as many numbers in another shape": lambda path: changed(path, lambda w: w.flatten().clone()),
    "whole numbers": lambda path: changed(path, lambda w: w.int()),
    "complex numbers": complex_numbers,
    "NaN": lambda path: changed(path, spoil(float("nan"))),
    "infinity": lambda path: changed(path, spoil(float("inf"))),
}


def padded(path, spaces):
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    return struct.pack("<Q", end - 8 + spaces) + content[8:end] + b" " * spaces + content[end:]


def torch_pickle(path):
    torch.save({"weight": Harm(path.parent)}, path.with_name("pickle"))
    return path.with_name("pickle").read_bytes()


def more(path):
    save_file(load_file(path) | {"more": torch.zeros(1)}, path.with_name("changed"))
    return path.with_name("changed").read_bytes()


def refused(call, *args, match=None, **how):
    with pytest.raises(InputError, match=match) as caught:
        call(*args, **how)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700
    return str(caught.value)


@pytest.mark.parametrize("net", ["G", "D"])
@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_bad_weights_are_refused(case, net, run):
    path = run / f"{net}.safetensors"
    path.write_bytes(BAD_WEIGHTS[case](path))
    refused(load_networks, run, match=f"{net}.safetensors (is not a safetensors file|holds)")


def test_a_network_that_refuses_weights_stays_as_it_was(run):
    G, D = load_networks(run)
    before = {key: value.clone() for key, value in G.state_dict().items()}
    path = run / "G.safetensors"
    path.write_bytes(changed(path, spoil(float("nan"))))
    refused(load_network, path, G, match=r"holds a NaN or an infinity in \S*weight")
    refused(load_network, run / "D.safetensors", G, match="weights for another network than ConditionalGenerator")
    assert all(torch.equal(value, before[key]) for key, value in G.state_dict().items())


@pytest.mark.parametrize("name", ["G.safetensors", "card.json"])
def test_links_pipes_and_folders_are_refused(name, run, tmp_path):
    import os

    content, path = (run / name).read_bytes(), run / name
    (tmp_path / "elsewhere").write_bytes(content)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    refused(load_networks, run, match=f"{name}.*a link that leads out of its folder")
    path.unlink()
    path.symlink_to("/dev/zero")
    refused(load_networks, run, match=f"{name}.*not a file")
    path.unlink()
    path.symlink_to("nowhere")
    refused(load_networks, run, match=f"{name}.*not a file")
    path.unlink()
    os.mkfifo(path)
    refused(load_networks, run, match=f"{name}.*not a file")
    path.unlink()
    path.mkdir()
    refused(load_networks, run, match=f"{name}.*not a file")
    path.rmdir()
    (run / "beside").write_bytes(content)
    path.symlink_to("beside")
    load_networks(run)


CARDS = {
    "a list": [],
    "a number": 1,
    "no recipe": {},
    "a recipe that climbs": {"recipe": "../../etc/passwd"},
    "a list for a recipe": {"recipe": ["acgan"]},
    "networks that are no settings": {"recipe": "acgan", "networks": [1]},
    "a setting that there is not": {"recipe": "acgan", "networks": {"__class__": 1}},
    "a size of 2^60": {"recipe": "acgan", "networks": {"image_size": 2**60}},
    "a width of 10^9": {"recipe": "acgan", "networks": {"width_g": 10**9}},
    "a width of 10^30": {"recipe": "acgan", "networks": {"width_g": 10**30}},
    "a width below 0": {"recipe": "acgan", "networks": {"width_g": -4}},
    "z of 10^12 numbers": {"recipe": "mlp", "networks": {"latent_dim": 10**12}},
    "z of words": {"recipe": "mlp", "networks": {"latent_dim": "many"}},
    "a trillion classes": {"recipe": "acgan", "networks": {"num_classes": [10**12, 10]}},
    "a number of classes": {"recipe": "acgan", "networks": {"num_classes": 7}},
    "a million kinds of labels": {"recipe": "acgan", "networks": {"num_classes": [2] * 10**6}},
    "no such norm": {"recipe": "acgan", "networks": {"norm_d": "os.system"}},
}


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_bad_cards_are_refused(card, run):
    (run / "card.json").write_text(json.dumps(card))
    refused(load_networks, run)


def test_cards_that_are_no_json_are_refused(run, monkeypatch):
    card = run / "card.json"
    for content in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b"9" * 10_000):
        card.write_bytes(content)
        refused(read_card, run, match="card.json cannot be read")
    with card.open("wb") as file:
        file.truncate(2**40)  # a file with a hole: it claims a terabyte
    refused(read_card, run, match="it has 1,099,511,627,776 bytes")


WRONG_LABELS = {
    "classes": [None, [], {"hair": 3}, {"hair": ["a"] * 12}, {"hair": [1] * 12, "eyes": [1] * 10}],
    "combinations": [
        None,
        [],
        [[]],
        [["a"]],
        [[0, 0, 0.5]],
        [[0, 0, 0]],
        [[99, 0, 1]],
        [[-1, 0, 1]],
        [[0, 0, MOST + 1]],
    ],
}


@pytest.mark.parametrize("key, value", [(key, value) for key, values in WRONG_LABELS.items() for value in values])
def test_cards_with_other_labels_are_refused(key, value, run):
    card = read_card(run) | {key: value}
    (run / "card.json").write_text(json.dumps(card))

    def ask_them():
        load_networks(run)
        ask(card, 4, None, False, 0)

    refused(ask_them)


def test_a_card_does_not_say_which_folder_is_read(run):
    G, _ = load_networks(run)
    for place in ("/", "../..", "/etc", str(run)):
        refused(evaluate, G, read_card(run) | {"data": place}, [0], match="names a place")
    for key in ("data", "digest"):
        refused(evaluate, G, read_card(run) | {key: 3}, [0], match=f"does not name its {key}")


def test_names_of_records_do_not_climb(tmp_path, monkeypatch):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "data"))
    for name in ("../mlp", "/etc", "mlp/../mlp", "", "."):
        refused(load_pretrained, name, match="no recipe is called")
    folder = tmp_path / "data" / "weights"
    refused(fetch, "http://127.0.0.1:9/../../../G.safetensors", folder, "0" * 64, match="could not be fetched")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def state_with(run: Path, change) -> None:
    """Write the run's state anew, with tensors and metadata changed, and a checksum that fits."""
    from safetensors import safe_open

    with safe_open(run / STATE, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    note, groups = json.loads(metadata["note"]), json.loads(metadata["groups"])
    change(tensors, note, groups)
    said = {"note": json.dumps(note), "groups": json.dumps(groups)}
    tensors = {key: value.contiguous() for key, value in tensors.items()}
    save_file(tensors, run / STATE, said | {"sha256": digest(tensors, said)})


def put(start, value, end=""):
    """Change the first tensor that is called like this, or add one."""

    def change(tensors, note, groups):
        key = next((key for key in tensors if key.startswith(start) and key.endswith(end)), start)
        tensors[key] = value(tensors[key]) if callable(value) else value

    return change


BAD_STATES = {
    "NaN in a weight": put("G.", spoil(float("nan")), "weight"),
    "NaN in what Adam remembers": put("opt_D.0.exp_avg", spoil(float("nan"))),
    "a weight of another shape": put("D.", lambda w: w[:-1].clone(), "weight"),
    "a memory of another shape": put("opt_D.0.exp_avg", torch.zeros(2)),
    "a memory that is one number": put("opt_D.0.exp_avg", torch.zeros(())),
    "a step that is many": put("opt_D.0.step", torch.zeros(2)),
    "a memory that lacks a part": lambda tensors, note, groups: tensors.pop(
        next(key for key in tensors if key.startswith("opt_D.") and key.endswith(".exp_avg"))
    ),
    "a memory that could be broadcast": put("opt_D.0.exp_avg_sq", lambda w: w[..., :1].clone()),
    "a memory of a weight too many": put("opt_D.99.step", torch.zeros(())),
    "a memory under no number": put("opt_D.x.step", torch.zeros(())),
    "no random state": lambda tensors, note, groups: tensors.pop("random.cpu"),
    "a short random state": put("random.cpu", torch.zeros(3, dtype=torch.uint8)),
    "a random state of floats": put("random.cpu", torch.zeros(5056)),
    "a weight missing": lambda tensors, note, groups: tensors.pop(
        next(key for key in tensors if key.startswith("D."))
    ),
    "numbers missing": lambda tensors, note, groups: tensors.pop("kept.numbers"),
    "numbers of other steps": put("kept.numbers", torch.zeros(3, 4)),
    "pictures of another shape": put("kept.progress", lambda x: x[..., :1].clone()),
    "pictures of other steps": put("kept.progress", torch.zeros(3, 3, 16, 16)),
    "a step that is no number": lambda tensors, note, groups: note.update(n="4"),
    "no step": lambda tensors, note, groups: note.pop("n"),
    "steps without end": lambda tensors, note, groups: note.update(n=10**15),
    "times that are none": lambda tensors, note, groups: note.update(seconds="long"),
    "shown steps that are none": lambda tensors, note, groups: note.update(shown=7),
    "a step size of a word": lambda tensors, note, groups: groups["opt_G"][0].update(lr="1"),
    "a step size without end": lambda tensors, note, groups: groups["opt_G"][0].update(lr=float("inf")),
    "a step size that is not a number": lambda tensors, note, groups: groups["opt_G"][0].update(lr=float("nan")),
    "no groups": lambda tensors, note, groups: groups.clear(),
    "a group too many": lambda tensors, note, groups: groups["opt_G"].append({"lr": 1e-4}),
}


@pytest.mark.parametrize("case", BAD_STATES)
def test_bad_states_are_refused(case, run):
    state_with(run, BAD_STATES[case])
    fresh = begin(fill(SMALL), torch.device("cpu"))
    refused(fresh.restore, run, match="delete it, and begin")


@pytest.mark.parametrize("plan", [3, None, {}, {"precision": ["fp32"]}, {"precision": "fp32"}])
@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_states_of_other_plans_are_refused(plan, precision, run):
    state_with(run, lambda tensors, note, groups: note.update(plan=plan))
    asked = replace(SMALL, steps=6, precision=precision)
    refused(train, run, asked, resume=run, progress=False, match="names no plan|began with")


@pytest.mark.parametrize("case", [case for case in BAD_WEIGHTS if case not in ("NaN", "infinity")])
def test_states_that_are_none_are_passed_over(case, run, capsys):
    """Nothing here is a state of a run, whatever else it is."""
    (run / EARLIER).write_bytes(b"")
    content = BAD_WEIGHTS[case](run / "G.safetensors")
    (run / STATE).write_bytes(content)
    assert read_note(run) is None


def test_a_flipped_bit_anywhere_in_a_state_is_noticed(run):
    """With one bit turned round it is passed over; whole again, it is a state again."""
    (run / EARLIER).unlink(missing_ok=True)
    content = (run / STATE).read_bytes()
    header = int.from_bytes(content[:8], "little")
    places = random.Random(0)
    for first, end in ((0, 8), (8, 8 + header), (8 + header, len(content))):
        for _ in range(40):
            spoiled = bytearray(content)
            spoiled[places.randrange(first, end)] ^= 1 << places.randrange(8)
            (run / STATE).write_bytes(spoiled)
            assert read_note(run) is None
    (run / STATE).write_bytes(content)
    assert read_note(run)["n"] == SMALL.steps


def test_a_state_with_a_hole_is_passed_over_without_being_read(run):
    """It claims a terabyte, and takes a few bytes of the disk."""
    (run / EARLIER).unlink(missing_ok=True)
    said = {"__metadata__": {"note": "{}", "groups": "{}", "sha256": "0"}}
    (run / STATE).write_bytes(header(said | claim([2**38], 0, 2**40)))
    with (run / STATE).open("r+b") as file:
        file.truncate((run / STATE).stat().st_size + 2**40)
    with pytest.raises(ValueError, match=r"it has 1,099,511,\d+,\d+ bytes"):
        read_state(run / STATE)
    assert read_note(run) is None


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory")])
def test_a_state_that_memory_cannot_hold_is_none(error, run, monkeypatch):
    def full(*args):
        raise error

    monkeypatch.setattr(checkpoints, "digest", full)
    assert read_note(run) is None


def lock(folder):
    with locked(folder):
        pass


def test_a_lock_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    refused(lock, tmp_path / "file" / "below", match="cannot be written")


def test_a_lock_that_is_no_plain_file_is_refused(tmp_path):
    """A pipe would be waited for without end; a link would make a file elsewhere."""
    import os

    os.mkfifo(tmp_path / ".lock")
    refused(lock, tmp_path, match="lock is not a plain file: delete it")
    (tmp_path / ".lock").unlink()
    (tmp_path / ".lock").symlink_to(tmp_path / "elsewhere")
    refused(lock, tmp_path, match="lock is not a plain file")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_was_removed_is_not_written_any_more(again, run):
    """Also where another run has made it anew: its lock is another one."""
    plan = fill(SMALL)
    fresh = begin(plan, torch.device("cpu"))
    fresh.restore(run)
    with locked(run):
        fresh.save(run, plan)
        shutil.rmtree(run)
        if again:
            run.mkdir()
            (run / ".lock").touch()
        refused(fresh.save, run, plan, match="was removed or taken over while it was being written")
        refused(save_networks, run, {"G": fresh.G}, {}, match="was removed or taken over")
        assert list(run.parent.rglob("run/*")) == ([run / ".lock"] if again else [])
    lock(run)


def test_a_lock_that_was_replaced_while_it_was_taken_is_none(tmp_path, monkeypatch):
    take = checkpoints.take_lock

    def slow(*args):
        (tmp_path / ".lock").unlink()
        take(*args)

    monkeypatch.setattr(checkpoints, "take_lock", slow)
    refused(lock, tmp_path, match="was removed or taken over")
    monkeypatch.undo()
    lock(tmp_path)


def test_nothing_in_the_package_unpickles():
    """Nor hands what it reads to whatever does."""
    words = r"\bpickle\b|torch\.load\b|allow_pickle|state_dict_from_url|\bmarshal\b|shelve|joblib|np\.load\b"
    words += r"|(?<![.\w])(eval|exec)\("
    for path in PACKAGE.rglob("*.py"):
        code = [line.split("#")[0] for line in path.read_text().splitlines()]
        found = [line for line in code if re.search(words, line)]
        assert not found, (path, found)


# Data sets.


def test_what_torchvision_once_pickled_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path))
    (tmp_path / "MNIST" / "processed").mkdir(parents=True)
    for name in ("training.pt", "test.pt"):
        torch.save(Harm(tmp_path), tmp_path / "MNIST" / "processed" / name)
    refused(mnist, match="processed is of a torchvision before 0.9: delete that folder")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x08\x01",
        b"\0\0\x08\x01\0\0\0\x02\x01",
        b"\0\0\x08\x01\0\0\0\x02\x01\x01\x01",
        b"\0\0\x08\x01\0\0\0\0",
        b"\0\0\x08\x01\xff\xff\xff\xff\x01",
        b"\0\0\x0d\x01\0\0\0\x01\x01",
        b"\0\0\x08\x03" + b"\xff" * 12,
    ],
)
def test_idx_files_that_are_none(content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    refused(read_idx, tmp_path / "file", 1, match="no file of bytes in 1 dimension")


INDEXES = [[], 3, {}, {"files": 5, "skipped": {}}, {"files": ["a"], "skipped": 3}, {"files": [1], "skipped": {}}]
INDEXES += [{"files": [name], "skipped": {}} for name in ("/etc/passwd", "../../x", "a/../../b")]
INDEXES += [
    {"files": ["a"], "skipped": {"../x": "why"}},
    {"files": ["a"] * 2, "skipped": {}},
    {"files": [], "skipped": {}},
]


@pytest.mark.parametrize("index", INDEXES, ids=str)
def test_caches_that_were_tampered_with_are_refused(index, tmp_path, monkeypatch):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "data"))
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "pictures" / "a.png")
    assert len(open_folder(tmp_path / "pictures", 8).images) == 1
    (path,) = (tmp_path / "data").rglob("index.json")
    path.write_text(json.dumps(index))
    refused(open_folder, tmp_path / "pictures", 8, match="is damaged .*delete it, and it is made anew")


def chunk(kind: bytes, data: bytes) -> bytes:
    import zlib

    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes = b"") -> bytes:
    import zlib

    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return start + data + chunk(b"IDAT", zlib.compress(bytes(10**6), 9)) + chunk(b"IEND", b"")


def endless_gif(frames: int) -> bytes:
    file = io.BytesIO()
    Image.new("P", (16, 16), 1).save(file, "gif")
    content = file.getvalue()
    start = 13 + 3 * 2 ** ((content[10] & 7) + 1)  # behind the palette
    return content[:start] + content[start:-1] * frames


BOMBS = {
    "50,000 x 50,000 pixels": (png(50_000, 50_000), "is too large"),
    "2^31 pixels wide": (png(2**31 - 1, 1), "is too large"),
    "fewer pixels than it says": (png(9_000, 9_000), "cannot be decoded"),
    "a text that unpacks to a gigabyte": (
        png(16, 16, chunk(b"zTXt", b"a\0\0" + __import__("zlib").compress(bytes(10**9 // 8), 9)) * 8),
        "cannot be decoded",
    ),
    "PostScript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        "is not a picture",
    ),
}


@pytest.mark.parametrize("content, why", BOMBS.values(), ids=BOMBS)
def test_bombs_are_skipped(content, why, tmp_path, monkeypatch):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "data"))
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "pictures" / "a.png")
    (tmp_path / "pictures" / "bomb.png").write_bytes(content)
    found = open_folder(tmp_path / "pictures", 8)
    assert found.files == ["a.png"] and why in found.skipped["bomb.png"]


def test_of_an_endless_animation_the_first_picture_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "data"))
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.gif").write_bytes(endless_gif(300_000))
    started = time.perf_counter()
    assert len(open_folder(tmp_path / "pictures", 8).images) == 1
    assert time.perf_counter() - started < 5


def test_no_picture_starts_another_program(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **kwargs: pytest.fail(f"ran {args}"))
    monkeypatch.setattr("os.system", lambda *args: pytest.fail(f"ran {args}"))
    for name in ("a.png", "a.jpg", "a.eps", "a.ps"):
        (tmp_path / name).write_bytes(BOMBS["PostScript"][0])
        assert folders.picture(name, tmp_path, 8, 3) == "is not a picture"


def test_old_weights_never_meet_a_new_card(run, monkeypatch):
    """A finished run that goes on and is cut while it writes its networks holds no networks: it is resumed."""
    G, D = load_networks(run)
    seen = []

    def cut(path, *args, **how):
        seen.append(path.name)
        if path.name == "D.safetensors":
            raise KeyboardInterrupt
        write(path, *args, **how)

    monkeypatch.setattr(checkpoints, "write", cut)
    with pytest.raises(KeyboardInterrupt):
        save_networks(run, {"G": G, "D": D}, {})
    assert seen == ["G.safetensors", "D.safetensors"]
    refused(load_networks, run, match="holds no trained networks")
