"""Device and precision are found out, not believed."""

import os
import subprocess
import sys

import pytest
import torch

from ganbook import machine
from ganbook.errors import InputError
from ganbook.machine import commit_of, pick_device, pick_precision

CPU = torch.device("cpu")


def test_a_gpu_may_be_named_with_its_number_or_without(monkeypatch):
    """torch refuses to make "cuda", without a number, the current device."""
    from torch.cuda._utils import _get_device_index

    chosen = []
    monkeypatch.setattr(torch, "empty", lambda *args, **kwargs: None)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: chosen.append(_get_device_index(device)))
    assert [str(pick_device(name)) for name in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda", "cuda:1"]
    assert chosen == [1]


def test_auto_takes_bf16_where_it_is_faster_by_a_fifth(monkeypatch):
    for seconds, choice in ((0.5, "bf16"), (0.79, "bf16"), (0.81, "fp32"), (30, "fp32")):
        monkeypatch.setattr(machine, "time_convolution", lambda device, bf16, s=seconds: s if bf16 else 1.0)
        assert pick_precision("auto", CPU) == choice
    assert [pick_precision(name, CPU) for name in ("fp32", "bf16")] == ["fp32", "bf16"]
    with pytest.raises(InputError, match="precision 'fp16' is unknown: choose one of auto, fp32, bf16"):
        pick_precision("fp16", CPU)


def test_without_hardware_for_bf16_auto_is_fp32():
    """The trial itself, on a CPU whose bfloat16 instructions oneDNN is told to leave alone."""
    code = "import torch; from ganbook.machine import *; print(pick_precision('auto', torch.device('cpu')))"
    plain = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    told = subprocess.run([sys.executable, "-c", code], env=plain, capture_output=True, text=True)
    assert told.stdout == "fp32\n", told.stderr


def test_the_trial_leaves_the_random_numbers_alone():
    """Or a run by auto would differ from the same run by name."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    machine.time_convolution.cache_clear()
    pick_precision("auto", CPU)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_device_that_holds_no_numbers_is_none():
    for name in ("meta", "xla:0", "abacus"):
        with pytest.raises(InputError, match=f"device '{name}' is not to be had here"):
            pick_device(name)


def test_a_commit_is_marked_where_anything_but_a_record_has_changed(tmp_path):
    package = tmp_path / "package"
    (package / "records").mkdir(parents=True)
    files = [tmp_path / "README", package / "code.py", package / "records" / "card.json"]
    for file in files:
        file.write_text("before")
    assert commit_of(package) is None  # no checkout yet
    author = ["-c", "user.name=one", "-c", "user.email=one@example.org"]
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    clean = commit_of(package)
    assert len(clean) == 12 and not clean.endswith("+")
    files[2].write_text("after")
    assert commit_of(package) == clean
    for file in files[:2]:
        file.write_text("after")
        assert commit_of(package) == clean + "+"
        file.write_text("before")
    (package / "new.png").write_text("not in git")
    assert commit_of(package) == clean
