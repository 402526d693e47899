"""Pictures reach a model in [-1, 1], each once an epoch; MNIST is downloaded, checked, or refused in one line."""

import gzip
import hashlib
import http.server
import socketserver
import struct
import threading

import pytest
import torch
from torchvision.datasets import MNIST

from ganbook import data
from ganbook.data import ImageSet, Ordered, digits, mnist, to_float, to_uint8
from ganbook.errors import InputError
from ganbook.recipes import fetch

NAMES = {
    "train-images-idx3-ubyte": 6,
    "train-labels-idx1-ubyte": 6,
    "t10k-images-idx3-ubyte": 4,
    "t10k-labels-idx1-ubyte": 4,
}


def test_digits_are_all_there_and_use_the_whole_range():
    d = digits()
    assert d.images.shape == (1797, 1, 28, 28) and d.images.dtype == torch.uint8
    assert d.labels.unique().tolist() == list(range(10)) and d.labels.dtype == torch.int64
    x = to_float(d.images)
    assert x.min() == -1 and x.max() == 1
    frame = x[:, :, :4]  # like MNIST's: 20x20 inside 28x28
    assert (frame == -1).all()


def test_uint8_round_trip():
    pictures = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(pictures)), pictures)
    assert to_uint8(torch.tensor([-9.0, 9.0])).tolist() == [0, 255]


def numbered(n):
    return ImageSet("numbered", torch.arange(n, dtype=torch.uint8)[:, None, None, None], torch.arange(n))


@pytest.mark.parametrize("n, size", [(10, 3), (10, 10), (10, 64), (1, 1)])
def test_an_epoch_shows_every_picture_once_with_its_label(n, size):
    batches = list(numbered(n).batches(size))
    assert [len(x) for x, _ in batches] == [size] * (n // size) + [n % size] * (n % size > 0)
    labels = torch.cat([y for _, y in batches])
    assert sorted(labels.tolist()) == list(range(n))
    assert torch.equal(to_uint8(torch.cat([x for x, _ in batches])).flatten().long(), labels)


def test_epochs_differ_in_order():
    torch.manual_seed(0)
    d = numbered(50)
    first, second = (torch.cat([y for _, y in d.batches(7)]) for _ in range(2))
    assert not torch.equal(first, second) and not torch.equal(first, first.sort().values)


def test_batches_reach_a_model_in_its_range():
    x, _ = next(digits().batches(1797))
    assert x.dtype == torch.float32 and x.min() == -1 and x.max() == 1


@pytest.mark.parametrize("size", [0, -1])
def test_impossible_batch_size(size):
    with pytest.raises(InputError, match=f"batch size {size}"):
        next(numbered(3).batches(size))


def first(batches, n):
    return [y.tolist() for _, (_, y) in zip(range(n), batches, strict=False)]


def test_an_ordered_set_can_be_entered_anywhere():
    """3 batches an epoch (4, 4, 2): what comes after batch 4 is the same whether one begins there or not."""
    data = numbered(10)
    whole = first(Ordered(data, seed=1).batches(4), 9)
    assert [len(y) for y in whole] == [4, 4, 2] * 3
    assert all(sorted(sum(whole[i : i + 3], [])) == list(range(10)) for i in (0, 3, 6))
    assert whole[:3] != whole[3:6] and first(Ordered(data, seed=2).batches(4), 9) != whole
    for start in range(9):
        assert first(Ordered(data, seed=1, start=start).batches(4), 9 - start) == whole[start:]


def test_an_ordered_set_leaves_torchs_random_state_alone():
    before = torch.get_rng_state()
    first(Ordered(numbered(10), seed=1).batches(4), 5)
    assert torch.equal(torch.get_rng_state(), before)


def test_large_sets_stay_where_they_are(monkeypatch):
    """On the meta device a tensor shows where it would be."""
    small = numbered(3).to("meta")
    assert small.images.is_meta and small.labels.is_meta
    monkeypatch.setattr("ganbook.data.RESIDENT", 1)
    large = numbered(3).to("meta")
    assert not large.images.is_meta and large.labels.is_meta
    assert large.take(torch.tensor([0]))[0].is_meta  # a batch comes from the labels' device


def idx(array: torch.Tensor) -> bytes:
    """The format of the MNIST files."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.numpy().tobytes()


@pytest.fixture
def small_mnist(monkeypatch):
    """Four synthetic files in MNIST's format, which ganbook here takes for the published ones."""
    torch.manual_seed(0)
    files = {
        name: idx(
            torch.randint(0, 10 if "labels" in name else 256, (n, 28, 28)[: 3 if "images" in name else 1]).byte()
        )
        for name, n in NAMES.items()
    }
    monkeypatch.setattr(
        data, "MNIST_SHA256", {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()}
    )
    return files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path))
    return tmp_path / "MNIST" / "raw"


def write(folder, files):
    folder.mkdir(parents=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)


@pytest.fixture
def nowhere(monkeypatch):
    """The mirrors of MNIST, moved to a port where nobody answers."""
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])


@pytest.mark.usefixtures("nowhere")
def test_mnist_on_disk(small_mnist, folder):
    write(folder, small_mnist)
    train, test = mnist(), mnist(train=False)
    assert train.images.shape == (6, 1, 28, 28) and test.images.shape == (4, 1, 28, 28)
    assert train.images.numpy().tobytes() == small_mnist["train-images-idx3-ubyte"][16:]
    assert train.labels.tolist() == list(small_mnist["train-labels-idx1-ubyte"][8:])


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "spoil", [lambda raw: raw[:-1], lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), lambda raw: b""]
)
def test_a_truncated_or_altered_file_is_refused_by_name(small_mnist, folder, name, spoil):
    write(folder, {**small_mnist, name: spoil(small_mnist[name])})
    with pytest.raises(InputError, match=f"{name} is not the published MNIST file"):
        mnist()


@pytest.mark.usefixtures("nowhere")
def test_without_files_and_network_one_line_says_what_to_do(folder):
    with pytest.raises(InputError) as caught:
        mnist()
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message and "GANBOOK_DATA" in message and "'digits' needs nothing" in message


def test_mnist_is_downloaded_when_missing(small_mnist, folder, tmp_path, monkeypatch):
    """torchvision's own download, from a server on this machine."""
    served = tmp_path / "served"
    served.mkdir()
    for name, raw in small_mnist.items():
        (served / f"{name}.gz").write_bytes(gzip.compress(raw))
    sums = [(f"{name}.gz", hashlib.md5((served / f"{name}.gz").read_bytes()).hexdigest()) for name in small_mnist]
    monkeypatch.setattr(MNIST, "resources", sums)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(served))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        assert len(mnist()) == 6
        server.shutdown()
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    assert len(mnist()) == 6  # and not fetched again


@pytest.mark.parametrize(
    "answer", [b"no HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\ncut"]
)
def test_what_is_no_answer_of_a_server_is_one_line(answer, folder, tmp_path, monkeypatch):
    """Of MNIST's, and of the one that has the book's weights."""

    class Odd(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(10_000)
            self.request.sendall(answer)

    monkeypatch.setenv("no_proxy", "*")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Odd) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        monkeypatch.setattr(MNIST, "mirrors", [address])
        with pytest.raises(InputError, match="could not be downloaded"):
            mnist()
        with pytest.raises(InputError, match="G.safetensors could not be fetched"):
            fetch(f"{address}G.safetensors", tmp_path / "weights", "0" * 64)
        server.shutdown()


def test_the_home_of_nobody_is_refused(monkeypatch):
    monkeypatch.setenv("GANBOOK_DATA", "~nosuchuser/data")
    with pytest.raises(InputError, match="^~nosuchuser/data is in no home folder that is known"):
        data.data_folder()


def test_the_default_folder_is_the_users_cache(monkeypatch):
    monkeypatch.delenv("GANBOOK_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert str(data.data_folder()) == "/somewhere/ganbook"
