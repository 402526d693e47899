"""Each chapter with many seeds: what is noted, what is run again, and that the other arithmetic is another."""

import json
from pathlib import Path

import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook

from ganbook import soak as module
from ganbook.errors import InputError
from ganbook.soak import digest, format_soak, read_soak, soak

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
    assert report[0] == "01-one: 2 of 3 seeds, 1 claims each"
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
