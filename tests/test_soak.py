"""Each chapter with many seeds: what is noted, what is run again, and that the other arithmetic is another."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook

from ganbook import soak as module
from ganbook.errors import InputError
from ganbook.soak import AVX2, digest, format_soak, read_soak, soak

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:papermill", "ignore::DeprecationWarning:jupyter_client"
)
CLAIM = "from ganbook.claims import claim\nclaim('so it is', {})"


@pytest.fixture
def write_chapter(tmp_path, monkeypatch):
    """write_chapter(source of a cell) makes a checkout with one chapter; records are kept in it."""
    import nbformat

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "SOAK", Path("soak.json"))
    Path("book").mkdir()
    Path("_toc.yml").write_text("root: book/index\nchapters:\n- file: book/01-one\n")

    def write(source: str, quick: str = "quick = True\nseed = 0") -> None:
        cells = [new_code_cell(quick, metadata={"tags": ["parameters"]}), new_code_cell(source)]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), "book/01-one.ipynb")

    return write


def test_what_passed_is_kept_and_what_failed_is_run_again(write_chapter, capsys):
    write_chapter(CLAIM.format("seed != 1 or open('../mended').read()"))
    Path("mended").write_text("")
    rows = soak((), 3, at_once=2)
    assert [bool(row["error"]) for row in rows.values()] == [False, True, False]
    assert "01-one, seed 1 failed in cell 3: AssertionError: ✗ so it is\n" in capsys.readouterr().out
    assert [p.name for p in Path("_build/soak").glob("*.ipynb")] == ["01-one-own-1.ipynb"]
    report = format_soak(rows).splitlines()
    assert report[0] == "01-one: 2 of 3 seeds, claims: 1"
    assert report[1].startswith("01-one, seed 1 failed in cell 3: AssertionError")

    Path("mended").write_text("yes")
    rows = soak(("01",), 3)
    assert not any(row["error"] for row in rows.values())
    assert capsys.readouterr().out == "01-one, seed 1\n"  # that one alone
    assert not list(Path("_build/soak").glob("*.ipynb"))
    assert soak((), 2) == {run: rows[run] for run in list(rows)[:2]}  # all of them known
    assert capsys.readouterr().out == ""


def test_another_code_is_run_anew_and_another_text_is_not(write_chapter, capsys):
    write_chapter(CLAIM.format("True"))
    soak((), 2)
    before = digest(Path("book/01-one.ipynb"))
    write_chapter(CLAIM.format("seed < 9"))
    assert digest(Path("book/01-one.ipynb")) != before
    capsys.readouterr()
    soak((), 1)
    assert capsys.readouterr().out == "01-one, seed 0\n"
    assert list(read_soak()["01-one"]["own"]) == ["0"]  # seed 1 was run with what is no longer there

    notebook = json.loads(Path("book/01-one.ipynb").read_text())
    injected = {"cell_type": "code", "source": "seed = 7", "outputs": [], "execution_count": 1, "id": "x"}
    text = {"cell_type": "markdown", "source": "words", "metadata": {}, "id": "y"}
    notebook["cells"] += [injected | {"metadata": {"tags": ["injected-parameters"]}}, text]
    lines = "".join(notebook["cells"][-3]["source"]).splitlines()
    cut = [injected | {"source": line + "\n\n", "id": f"cut{n}", "metadata": {}} for n, line in enumerate(lines)]
    notebook["cells"][-3:-2] = cut  # the same code in shorter cells
    Path("book/01-one.ipynb").write_text(json.dumps(notebook))
    assert digest(Path("book/01-one.ipynb")) == read_soak()["01-one"]["code"]


def test_the_other_arithmetic_is_another_and_noted_apart(write_chapter):
    write_chapter("import torch\n" + CLAIM.format("torch.backends.cpu.get_cpu_capability() == 'AVX2'"))
    if torch.backends.cpu.get_cpu_capability() not in ("AVX512", "AVX2"):
        pytest.skip("this CPU computes with neither AVX-512 nor AVX2")
    (row,) = soak((), 1, arithmetic="avx2").values()
    assert row["error"] is None
    (row,) = soak((), 1).values()
    assert (row["error"] is None) == (torch.backends.cpu.get_cpu_capability() == "AVX2")
    assert [list(read_soak()["01-one"][arithmetic]) for arithmetic in ("own", "avx2")] == [["0"], ["0"]]


def test_a_cpu_without_avx2_is_not_held_to_it(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(InputError, match="aarch64.* leave --avx2 out"):
        soak((), 1, arithmetic="avx2")


def test_what_passed_with_another_torch_is_run_again(write_chapter, capsys, monkeypatch):
    write_chapter(CLAIM.format("True"))
    soak((), 1)
    soak((), 1)
    assert capsys.readouterr().out == "01-one, seed 0\n"
    monkeypatch.setattr(module, "version", lambda name: "99")
    assert soak((), 1)["01-one", 0]["torch"] == "99"
    assert capsys.readouterr().out == "01-one, seed 0\n"


def test_a_chapter_that_is_edited_while_it_runs_is_not_noted(write_chapter, capsys):
    write_chapter("open('01-one.ipynb', 'a').write(' ')\n" + CLAIM.format("True"))
    assert not soak((), 1)["01-one", 0]["error"]  # a space is no other code
    edit = "import pathlib\nhere = pathlib.Path('01-one.ipynb')\n"
    edit += "here.write_text(here.read_text().replace('so it', 'and it'))\n"
    write_chapter(edit + CLAIM.format("True"))
    kept = read_soak()
    assert soak((), 1) == {} and read_soak() == kept
    assert "01-one, seed 0 is not noted: the chapter was edited meanwhile" in capsys.readouterr().out


@pytest.mark.parametrize("at_once", [1, 2])
def test_where_nothing_can_be_noted_it_says_so_and_ends_what_runs(write_chapter, monkeypatch, at_once):
    write_chapter("import pathlib, time\nif seed:\n    time.sleep(600)\n" + CLAIM.format("True"))

    def full(path, content):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(module, "write", full)
    began = time.monotonic()
    with pytest.raises(InputError, match="soak.json cannot be written .No space left on device.: make room"):
        soak((), at_once, at_once)
    assert time.monotonic() - began < 120 and not multiprocessing.active_children()


def test_a_broken_record_is_named(write_chapter):
    write_chapter(CLAIM.format("True"))
    Path("soak.json").write_text("<<<<<<< HEAD\n{}")
    with pytest.raises(InputError, match="soak.json is not JSON .*: restore it, or remove it"):
        soak((), 1)


ASK = """
import os, sys
import numpy, torch
from threadpoolctl import threadpool_info
print(torch.backends.cpu.get_cpu_capability())
print(*[lib["architecture"] for lib in threadpool_info() if lib.get("internal_api") == "openblas"], flush=True)
os.environ["ONEDNN_VERBOSE"] = "1"
torch.conv2d(torch.ones(16, 32, 8, 8), torch.ones(32, 32, 3, 3))
"""


@pytest.mark.skipif("AVX" not in torch.backends.cpu.get_cpu_capability(), reason="no CPU with AVX2")
def test_every_library_is_held_to_avx2():
    asked = subprocess.run([sys.executable, "-c", ASK], env=os.environ | AVX2, capture_output=True, text=True)
    capability, openblas, *onednn = asked.stdout.splitlines()
    assert capability == "AVX2" and set(openblas.split()) == {"Haswell"}
    assert any(line.endswith("cpu,isa:Intel AVX2") for line in onednn) and "avx512" not in asked.stdout, onednn
