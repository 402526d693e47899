"""Two processes do what one does: the same step, the same files; and when one dies, the other does not wait."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.multiprocessing import ProcessRaisedException
from torch.optim import Adam

from ganbook import training
from ganbook.data import ImageSet, Ordered
from ganbook.dcgan import StemGenerator
from ganbook.errors import InputError
from ganbook.objectives import NonSaturating
from ganbook.penalties import R1, Penalized
from ganbook.runs import Plan, check_last_batch, train
from ganbook.team import ALONE, Team, check_machine, last_words, launch

SEED, STEPS, BATCH = 7, 4, 6


class Rank:
    """What a Team knows of its Fabric."""

    def __init__(self, global_rank: int, world_size: int):
        self.global_rank, self.world_size = global_rank, world_size


@pytest.mark.parametrize("batch_size", [1, 5, 16])
@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_shares_make_up_the_batch(batch_size, processes):
    images = ImageSet("few", torch.zeros(21, 1, 2, 2, dtype=torch.uint8), torch.arange(21))
    ways = [Ordered(images, SEED, share=(rank, processes)).batches(batch_size) for rank in range(processes)]
    for _, (_, y) in zip(range(9), Ordered(images, SEED).batches(batch_size), strict=False):
        shares = [next(way)[1] for way in ways]
        assert {len(share) for share in shares} == {-(-len(y) // processes)}
        together = torch.stack(shares, 1).flatten()  # in turn, as they were dealt out
        assert together[: len(y)].equal(y) and set(together.tolist()) == set(y.tolist())


def noise(rank: int, n: int, seed: int = SEED) -> list[float]:
    torch.manual_seed(0)
    Team(Rank(rank, 3)).vary_noise(seed, n)
    return torch.randn(3).tolist()


def test_no_two_processes_and_no_two_steps_draw_the_same_noise():
    torch.manual_seed(0)
    undisturbed = torch.randn(3).tolist()
    assert noise(0, 1) == noise(0, 2) == undisturbed, "the first process draws on as one that is alone"
    drawn = [noise(rank, n, seed) for rank in (1, 2) for n in (1, 2, 3) for seed in (7, 8)]
    assert len({tuple(row) for row in drawn}) == len(drawn) and undisturbed not in drawn
    assert noise(1, 2) == noise(1, 2)


def test_alone_nothing_is_changed():
    G, numbers = StemGenerator(), torch.rand(3)
    assert ALONE.join(G) is G and ALONE.mean(numbers) is numbers and (ALONE.rank, ALONE.size) == (0, 1)
    assert ALONE.agreed(lambda: 3) == 3 and ALONE.device("here") == "here"


def test_what_this_machine_cannot_do_is_refused():
    with pytest.raises(InputError, match="--nodes 2 needs torchrun on each machine: torchrun --nnodes 2"):
        check_machine(4, 2, "cpu")
    with pytest.raises(InputError, match="--devices 1024 is not possible"):
        check_machine(1024, 1, "cuda")
    check_last_batch(StemGenerator(), 66, 32)
    with pytest.raises(InputError, match="leave one alone"):  # two are left, for two processes
        check_last_batch(StemGenerator(), 66, 32, processes=2)


class Small(nn.Sequential):
    """Without batch norm, which would not be the same over half a batch."""

    latent_dim = 5

    def forward(self, x, y=None):
        return super().forward(x).squeeze(1)


def case(name: str):
    """Networks and an objective; which turns D takes."""
    torch.manual_seed(SEED)
    G = Small(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 12))
    D = Small(nn.Linear(12, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    objective = Penalized(NonSaturating(), R1(1.0)) if name == "penalty" else NonSaturating()
    return G, D, objective, [n % 2 == 0 if name == "D rests" else True for n in range(1, STEPS + 1)]


def take_steps(team: Team, name: str) -> tuple[list, list]:
    """The mean losses of each step, and every weight in the end, of this process's copy."""
    G, D, objective, turns = case(name)
    opt_G, opt_D = (Adam(net.parameters(), lr=1e-2) for net in (G, D))
    G_here, D_here, losses = team.join(G), team.join(D), []
    x = torch.linspace(-1, 1, STEPS * BATCH * 12).sin().reshape(STEPS, BATCH, 12)
    torch.manual_seed(0)
    for n, turn in enumerate(turns, 1):
        team.vary_noise(SEED, n)
        share = x[n - 1, team.rank :: team.size]
        G_now = training.SameFakes(G_here) if name == "D's fakes again" else G_here
        step = training.train_step(G_now, D_here, objective, opt_G, opt_D if turn else None, share)
        losses.append(team.mean(torch.stack(step[:4])).tolist())
    weights = torch.cat([p.detach().flatten() for net in (G, D) for p in net.parameters()])
    return losses, weights.tolist()


CASES = ["plain", "penalty", "D rests", "D's fakes again"]


def in_each_process(team: Team, progress: bool) -> dict:
    found = {name: take_steps(team, name) for name in CASES}
    others = {name: team.fabric.all_gather(torch.tensor(weights)).tolist() for name, (_, weights) in found.items()}
    return {"found": found, "weights": others}


@pytest.fixture(scope="module")
def together() -> dict:
    pytest.importorskip("lightning")
    return launch(in_each_process, 2, 1, "cpu")


def noise_of_both(monkeypatch) -> None:
    """From here on, z is what two processes draw, dealt out to one as it would be to them."""
    first, second, taken = torch.Generator().manual_seed(0), torch.Generator(), []

    def draw_z(G, x):
        if len(taken) % 2 == 0:  # D's turn: a new step
            state = torch.get_rng_state()
            Team(Rank(1, 2)).vary_noise(SEED, len(taken) // 2 + 1)
            second.set_state(torch.get_rng_state())
            torch.set_rng_state(state)
        taken.append(1)
        halves = [torch.randn(len(x) // 2, G.latent_dim, generator=g) for g in (first, second)]
        return torch.stack(halves, 1).flatten(0, 1)

    monkeypatch.setattr(training, "draw_z", draw_z)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_take_the_steps_of_one_with_the_whole_batch(together, name, monkeypatch):
    noise_of_both(monkeypatch)
    losses, weights = take_steps(ALONE, name)
    found, their_weights = together["found"][name]
    assert torch.tensor(found).allclose(torch.tensor(losses), atol=1e-6)
    assert torch.tensor(their_weights).allclose(torch.tensor(weights), atol=1e-5)


def test_the_same_noise_everywhere_would_be_another_run(together):
    """So the test above would see it."""
    losses, weights = take_steps(ALONE, "plain")
    assert not torch.tensor(together["found"]["plain"][1]).allclose(torch.tensor(weights), atol=1e-3)


@pytest.mark.parametrize("name", CASES)
def test_both_processes_end_with_the_same_weights_bit_for_bit(together, name):
    first, second = together["weights"][name]
    assert first == second


def test_what_a_process_refuses_is_said_in_its_own_words():
    text = "\n\n-- Process 1 terminated with the following error:\nTraceback (most recent call last):\n  x()\n"
    refused = ProcessRaisedException(f"{text}ganbook.errors.InputError: this will not do: take another\n", 1, 99)
    assert last_words(refused) == "this will not do: take another"
    failed = ProcessRaisedException(f"{text}RuntimeError: Connection closed by peer\n", 1, 99)
    assert last_words(failed) == "process 1 ended: RuntimeError: Connection closed by peer"


def order(out: Path) -> list[str]:
    what = ["mlp", "--data", "digits", "--batch", "20", "--steps", "60", "--save-every", "10", "--seed", "3"]
    how = ["--device", "cpu", "--precision", "fp32", "--devices", "2", "--out", str(out), "--resume", str(out)]
    return [sys.executable, "-m", "ganbook", "train", *what, *how]


def processes(pid: int) -> list[int]:
    """Those of rank 0, 1, … among the processes that this one has started."""
    started = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [one for one in started if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find a process")


def wait_for_state(process: subprocess.Popen, out: Path) -> None:
    while not (out / "state.safetensors").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)


@needs_proc
def test_one_dies_the_other_ends_and_the_run_goes_on_bit_for_bit(tmp_path, one_thread):
    pytest.importorskip("lightning")
    whole, cut, alone = (tmp_path / name for name in ("whole", "cut", "alone"))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    told = subprocess.run([*torchrun, *order(whole)[1:]], capture_output=True, text=True)
    assert told.returncode == 0 and told.stdout.count("60 steps in") == 1, told.stderr
    process = subprocess.Popen(order(cut), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    wait_for_state(process, cut)
    os.kill(processes(process.pid)[-1], signal.SIGKILL)
    killed = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - killed < 60 and process.returncode == 2
    (said,) = (line for line in err.splitlines() if line.startswith("ganbook: "))
    assert "Traceback" not in err and said.startswith("ganbook: process 1 died (SIGKILL), the others were ended: ")
    assert said.endswith(f"is kept; go on with --resume {cut}")
    plan = Plan("mlp", data="digits", batch_size=20, steps=60, save_every=10, seed=3)
    card = train(alone, plan, resume=cut, progress=False)  # what two have begun, one can end
    assert card["processes"] == 1 and card["steps"] == 60
    subprocess.run(order(cut), check=True, capture_output=True)
    assert json.loads((cut / "card.json").read_text())["processes"] == 2
    for name in ("G", "D"):
        weights, again = (load_file(folder / f"{name}.safetensors") for folder in (whole, cut))
        assert all(weights[key].equal(again[key]) for key in weights)


@needs_proc
@pytest.mark.parametrize(
    "number, said", [(signal.SIGTERM, "interrupted: the state of step "), (signal.SIGKILL, "")]
)
def test_no_process_outlives_the_one_that_started_it(number, said, tmp_path):
    """Nor where SIGINT, by which torch tells of a parent's end, is ignored, as by a shell's background jobs."""
    pytest.importorskip("lightning")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        line = [*order(tmp_path / "run"), "--steps", "1000000"]
        process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    wait_for_state(process, tmp_path / "run")
    started = processes(process.pid)
    try:
        process.send_signal(number)
        _, err = process.communicate(timeout=60)  # until none of them holds stderr any more
    finally:
        for one in (process.pid, *started):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
    assert len(started) == 2 and said in err and "Traceback" not in err
    assert process.returncode == (130 if said else -number)
