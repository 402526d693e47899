"""Weights come back as they were saved; what is no set of weights for this network is refused in one line."""

import json
import pickle
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from ganbook.checkpoints import load_network, read_card, read_note, save_networks, save_state, write
from ganbook.errors import InputError


def net(seed=0, width=4):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width))


def test_round_trip(tmp_path):
    save_networks(tmp_path / "a" / "b", {"G": net(1)}, {"recipe": "x"})
    loaded = load_network(tmp_path / "a" / "b" / "G.safetensors", net(2))
    expected = net(1).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in loaded.state_dict().items())
    assert read_card(tmp_path / "a" / "b") == {"recipe": "x"}


def test_half_precision_on_disk_is_float32_in_memory(tmp_path):
    save_networks(tmp_path, {"G": net(1)}, {}, dtype=torch.float16)
    loaded = load_network(tmp_path / "G.safetensors", net(2))
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    torch.testing.assert_close(loaded[0].weight, net(1)[0].weight, atol=1e-3, rtol=1e-3)
    assert loaded[1].num_batches_tracked.dtype == torch.int64


@pytest.mark.parametrize("content", [b"", b"\0" * 100, pickle.dumps({"weight": 1}), b"\xff" * 8 + b"{}"])
def test_a_file_that_is_no_safetensors(tmp_path, content):
    path = tmp_path / "G.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="G.safetensors is not a safetensors file"):
        load_network(path, net())


def test_weights_for_another_network(tmp_path):
    save_networks(tmp_path, {"G": net(width=5)}, {})
    target = net(1)
    with pytest.raises(InputError, match="another network than Sequential"):
        load_network(tmp_path / "G.safetensors", target)
    assert torch.equal(target[0].weight, net(1)[0].weight)


def test_missing_files(tmp_path):
    with pytest.raises(InputError, match="G.safetensors is missing"):
        load_network(tmp_path / "G.safetensors", net())
    with pytest.raises(InputError, match="holds no trained networks"):
        read_card(tmp_path)
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        read_card(tmp_path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "card.json"
    write(path, b"old")
    monkeypatch.setattr("os.fsync", lambda fd: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write(path, b"new")
    assert path.read_bytes() == b"old"


def test_the_card_comes_last(tmp_path, monkeypatch):
    """A folder with a card is complete: if the weights cannot be written, there is no card."""

    class Full(nn.Module):
        def state_dict(self):
            raise OSError("disk full")

    with pytest.raises(OSError):
        save_networks(tmp_path, {"G": net(), "D": Full()}, json.loads("{}"))
    assert not (tmp_path / "card.json").exists()


@pytest.fixture
def interrupted():
    """call(f, seconds): f, and after so many seconds somebody presses Ctrl-C. Whether f was ended by it."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGINT)}
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def call(f, seconds: float) -> bool:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            f()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            return True
        return False

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)
    torch.set_grad_enabled(True)  # an interrupt at the wrong moment leaves a no_grad without its end


# A file whose opening is interrupted is closed by the garbage collector, which warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that sends signals")
def test_an_interrupted_look_at_a_state_does_not_take_it_for_a_damaged_one(tmp_path, interrupted):
    networks = {"G": nn.Sequential(*(net(i) for i in range(40)))}
    save_state(tmp_path, networks, {}, {}, {"n": 3})
    notes, chance = [], random.Random(0)

    def look():
        notes.append(read_note(tmp_path))

    began = time.perf_counter()
    look()
    seconds = time.perf_counter() - began
    ended = [interrupted(look, chance.uniform(1e-5, seconds)) for _ in range(300)]
    assert sum(ended) > 50 and notes == [{"n": 3}] * len(notes)
    with ThreadPoolExecutor(1) as apart:  # where no signal ever comes
        assert apart.submit(read_note, tmp_path).result() == {"n": 3}
