"""A run that is killed, whenever and however, ends like one that was never stopped: bit for bit."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

KILL, TERM, INT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
SMALL = (
    "--size",
    "16",
    "--width-g",
    "4",
    "--width-d",
    "4",
    "--batch",
    "6",
    "--save-every",
    "3",
    "--device",
    "cpu",
)
OTHER = ("--batch", "20", "--save-every", "3", "--device", "cpu")
RUNS = {
    # In one number format each: `auto` times both, and under load two runs may choose differently.
    "fp32, labels, the average of G, decay": (
        "acgan",
        "--data",
        "avatars",
        "--precision",
        "fp32",
        "--average",
        "0.9",
        "--decay-every",
        "7",
    ),
    "fp32, rests": ("dcgan64", "--data", "avatars", "--precision", "fp32", "--g-every", "2", "--d-every", "3"),
    "bf16, a penalty": ("dcgan64", "--data", "avatars", "--precision", "bf16", "--penalty", "r1", "--l2", "0.01"),
    "bf16, labels of digits, the average of G": ("cgan", "--data", "digits", "--precision", "bf16"),
    "an mlp": ("mlp", "--data", "digits", "--precision", "fp32"),
}


class Killer:
    """Runs `ganbook` in processes of their own, through kill.py."""

    def __init__(self, folder: Path):
        self.log = folder / "log"
        command = [sys.executable, str(Path(__file__).with_name("kill.py"))]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, **pipes, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert json.loads(self.process.stdout.readline()) == "ready"

    def __call__(self, *args, **order) -> tuple[int, float, str]:
        """Exit code (negative: of the signal that killed it), seconds, all that it said."""
        order |= {"args": [str(arg) for arg in args], "log": str(self.log)}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["code"], answer["seconds"], self.log.read_text()


@pytest.fixture(scope="module")
def killer(tmp_path_factory):
    killer = Killer(tmp_path_factory.mktemp("killer"))
    yield killer
    killer.process.communicate()


def command_of(name: str, steps: int) -> list[str]:
    recipe, *options = RUNS[name]
    return ["train", recipe, "--steps", steps, *options, *(SMALL if "avatars" in options else OTHER)]


def state_of(folder: Path) -> tuple[dict, dict]:
    with safe_open(folder / "state.safetensors", "pt") as file:
        note = json.loads(file.metadata()["note"])
        groups = json.loads(file.metadata()["groups"])
        return {key: file.get_tensor(key) for key in file.keys()}, {**note, **groups}  # noqa: SIM118


def assert_same(one: Path, other: Path) -> None:
    """Weights, the average, optimizers, random states, numbers and pictures: all alike, but for the times."""
    for name in ("G.safetensors", "D.safetensors", "losses.csv", "samples.png", "progress.png"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    (tensors, note), (others, other_note) = state_of(one), state_of(other)
    assert tensors.keys() == others.keys() and {key.split(".")[0] for key in tensors} >= {
        "G",
        "D",
        "opt_G",
        "random",
    }
    assert all(torch.equal(value, others[key]) for key, value in tensors.items())
    for key in ("seconds", "cpu_seconds"):
        note.pop(key), other_note.pop(key)
    assert note == other_note
    assert {p.name for p in one.iterdir()} == {p.name for p in other.iterdir()}


def moments(chance: random.Random, kills: int, seconds: float, writes: int) -> list[dict]:
    """So many ends, a third of them in the middle of a write; of these, each third on a full disk."""
    chosen = []
    for i in range(kills):
        if i % 3 < 2:
            # a little more than its share, so that most of them meet a run that is still going
            after = chance.uniform(0.02, 3 * seconds / kills)
            chosen.append({"signal": (KILL, KILL, TERM, INT)[i // 3 % 4], "after": after})
        else:
            end = (None, KILL, INT)[i // 3 % 3]
            write = chance.randint(1, max(1, 2 * writes // kills))
            chosen.append({"signal": end, "write": write, "share": chance.random()})
    return chosen


def is_killed(moment: dict, code: int, said: str) -> bool:
    """Whether the process met its end, and said what it could say; if not, it had finished before."""
    if code == 0:
        return False
    if moment["signal"] == KILL:
        assert code == -KILL
        return True
    last = said.splitlines()[-1] if said else ""
    if moment["signal"] is None:
        assert code == 2 and "cannot be written (No space left on device)" in last, said
    else:
        assert code == 130 and last.startswith("ganbook: interrupted"), said
    assert "Traceback" not in said and (
        "--resume" in last or "begin again" in last or last.endswith("interrupted")
    )
    return True


def survive(killer, name: str, folder: Path, chance: random.Random, kills: int, steps: int) -> dict:
    """Kill a run again and again, resume it to its end, and hold it to one that was left alone."""
    command, out = command_of(name, steps), folder / "killed"
    code, seconds, said = killer(*command, "--out", folder / "whole")
    assert code == 0, said
    survived = {"kills": 0, "in a write": 0, "disk full": 0, "parts passed over": 0}
    for moment in moments(chance, kills, seconds, steps // 3 + 4):
        code, _, said = killer(*command, "--out", out, "--resume", out, **moment)
        survived["parts passed over"] += "is damaged, or from a save that was cut: it is passed over" in said
        if is_killed(moment, code, said):
            survived["kills"] += 1
            survived["in a write"] += "write" in moment
            survived["disk full"] += moment["signal"] is None
    code, _, said = killer(*command, "--out", out, "--resume", out)
    assert code == 0, said
    assert_same(folder / "whole", out)
    return survived


def test_a_run_that_is_killed_again_and_again(killer, tmp_path, capsys):
    survived = survive(killer, next(iter(RUNS)), tmp_path, random.Random(0), kills=9, steps=60)
    with capsys.disabled():
        print(f"\nkills survived: {survived}")
    assert survived["kills"] >= 5 and survived["disk full"] == 1


@pytest.mark.soak
@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("seed", range(2))
def test_every_kind_of_run_is_killed_many_times(killer, name, seed, tmp_path, capsys):
    survived = survive(killer, name, tmp_path, random.Random(seed), kills=18, steps=60)
    with capsys.disabled():
        print(f"\nkills survived: {survived}")
    assert survived["kills"] >= 8


@pytest.fixture
def small_disk(tmp_path):
    """A disk of four megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mount, capture_output=True)
    except OSError:
        done = None
    if done is None or done.returncode:
        pytest.skip("nothing can be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_really_full(killer, small_disk, tmp_path):
    command = command_of("fp32, rests", 12)
    code, _, said = killer(*command, "--out", tmp_path / "whole")
    assert code == 0, said
    out, filler = small_disk / "run", small_disk / "filler"
    room = 1.5 * (tmp_path / "whole" / "state.safetensors").stat().st_size  # for one state, not for two
    filler.write_bytes(bytes(2**22 - int(room) - 2**14))
    code, _, said = killer(*command, "--out", out)
    assert code == 2 and "cannot be written (No space left on device): the state of step 3 is kept" in said, said
    assert not (out / "state.safetensors.part").exists() and said.count("ganbook: ") == 1
    code, _, said = killer(*command, "--out", out, "--resume", out)
    assert code == 2 and "going on at step 3 of 12" in said and "No space left" in said, said
    filler.unlink()
    code, _, said = killer(*command, "--out", out, "--resume", out)
    assert code == 0, said
    assert_same(tmp_path / "whole", out)


def test_half_a_checkpoint_is_never_taken_for_a_whole_one(killer, tmp_path):
    """Spoilt after it was written, by a disk or a copy: the one before it is gone on with, and named."""
    command, out = command_of("fp32, rests", 30), tmp_path / "run"
    assert killer(*command, "--out", tmp_path / "whole")[0] == 0
    code, _, said = killer(*command, "--out", out, write=4, share=0.5, signal=int(KILL))
    assert code == -KILL and sorted(p.name for p in out.glob("state*")) == [
        "state-before.safetensors",
        "state.safetensors",
        "state.safetensors.part",
    ]
    state = (out / "state.safetensors").read_bytes()
    (out / "state.safetensors").write_bytes(state[: len(state) // 2])
    code, _, said = killer(*command, "--out", out, "--resume", out)
    assert code == 0 and "going on at step 6 of 30" in said, said
    for name in ("state.safetensors.part", "state.safetensors"):
        assert f"{out / name} is damaged, or from a save that was cut: it is passed over" in said
    assert_same(tmp_path / "whole", out)


def test_a_file_that_may_not_grow_is_a_full_disk_too(killer, tmp_path):
    """As under `ulimit -f`."""
    pytest.importorskip("resource")
    out = tmp_path / "run"
    code, _, said = killer(*command_of("fp32, rests", 6), "--out", out, limit=20_000)
    assert code == 2 and f"({os.strerror(errno.EFBIG)}): no state is in {out} yet; begin again" in said, said
    assert "Traceback" not in said and not list(out.glob("*.part"))


# Two runs in one folder.


@pytest.fixture
def held(tmp_path):
    """A folder that another process has locked, and that process."""
    code = "import sys, time, pathlib, ganbook.checkpoints as c\nwith c.locked(pathlib.Path(sys.argv[1])):\n"
    code += "    print('held', flush=True)\n    time.sleep(300)"
    out = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", code, str(out)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield out, process
    process.kill()
    process.communicate()


def test_a_second_run_is_refused_until_the_first_is_dead(held, killer):
    out, process = held
    command = [*command_of("fp32, rests", 3), "--out", out]
    code, _, said = killer(*command)
    assert code == 2 and said.count("\n") == 1 and f"{out} is being written by another process" in said
    assert not (out / "card.json").exists()
    os.kill(process.pid, KILL)
    process.wait()
    code, _, said = killer(*command)
    assert code == 0, said


def test_a_run_that_began_while_another_read_its_data_is_not_written_over(tmp_path, monkeypatch):
    """Both looked at an empty folder; one was quicker, and is done already when the other has the lock."""
    from dataclasses import replace

    from ganbook import datasets, runs
    from ganbook.errors import InputError

    monkeypatch.setattr(datasets, "AVATARS", 16)
    networks = {"image_size": 16, "width_g": 4, "width_d": 4}
    plan = runs.Plan("dcgan64", data="avatars", networks=networks, steps=2, batch_size=6)
    begin, out = runs.begin, tmp_path / "run"

    def slow(*args):
        monkeypatch.setattr(runs, "begin", begin)
        runs.train(out, replace(plan, seed=1), progress=False)
        return begin(*args)

    monkeypatch.setattr(runs, "begin", slow)
    with pytest.raises(InputError, match="holds trained networks already"):
        runs.train(out, plan, progress=False)
    assert json.loads((out / "card.json").read_text())["seed"] == 1
