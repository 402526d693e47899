"""Colab, played through: torch there already, the built wheel, a chapter alone in an empty folder."""

import ast
import json
import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from packaging.requirements import Requirement

from ganbook.records import RECORDS

ROOT = Path(__file__).parents[1]
THERE = ["torch", "torchvision", "matplotlib", "scikit-learn", "safetensors", "tqdm", "click", "ipykernel", "pip"]
THERE += ["torchmetrics"]  # not in Colab: the setup cell fetches it there, but this test needs no network


def needs(names):
    """The named distributions and all that they require, without ganbook."""
    found, queue = {}, [(name, "") for name in names]
    while queue:
        name, extra = queue.pop()
        name = name.lower().replace("_", "-")
        if (name, extra) in found:
            continue
        found[name, extra] = distribution(name)
        for line in found[name, extra].requires or []:
            requirement = Requirement(line)
            if not requirement.marker or requirement.marker.evaluate({"extra": extra}):
                queue += [(requirement.name, wanted) for wanted in ("", *requirement.extras)]
    found = {name: dist for (name, _), dist in found.items()}
    assert "ganbook" not in found and "papermill" not in found
    return found


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """What a chapter may fetch beside the package, lightning, packed again as wheels: there is no network."""
    folder, there = tmp_path_factory.mktemp("index"), needs(THERE)
    for name, dist in needs(["lightning"]).items():
        if name not in there:
            with ZipFile(folder / f"{name.replace('-', '_')}-{dist.version}-py3-none-any.whl", "w") as wheel:
                for file in dist.files:
                    if not {"..", "__pycache__"} & set(file.parts):
                        wheel.write(dist.locate_file(file), str(file))
    return folder


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """A virtual environment whose site-packages is empty, and which sees what Colab has through a path file."""
    home = tmp_path_factory.mktemp("colab")
    there = home / "there"
    there.mkdir()
    for dist in needs(THERE).values():
        for top in {file.parts[0] for file in dist.files} - {"..", "__pycache__"}:
            if not (there / top).exists():
                (there / top).symlink_to(dist.locate_file(top))
    venv.create(home / "env", with_pip=False)
    python = home / "env" / "bin" / "python"
    where = subprocess.run(
        [python, "-c", "import site; print(site.getsitepackages()[0])"], capture_output=True, text=True
    )
    site = Path(where.stdout.strip())
    (site / "there.pth").write_text(f"{there}\n")
    kernel = home / "jupyter" / "kernels" / "colab"
    kernel.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "colab", "language": "python"}))
    return home, python, site, there


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", out], cwd=ROOT, check=True)
    return out


@pytest.fixture(scope="module")
def wheel(dist):
    (built,) = dist.glob("ganbook-*.whl")
    return built


def test_what_a_release_uploads_is_small_and_in_order(dist):
    files = sorted(dist.iterdir())
    assert [path.suffix for path in files] == [".whl", ".gz"]
    assert all(path.stat().st_size < 20_000_000 for path in files)
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], check=True)


def fetched(folder):
    """What load_pretrained would have fetched from the repository, which a test cannot reach."""
    for weights in RECORDS.glob("*gan*/*.safetensors"):
        (folder / "weights" / weights.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(weights, folder / "weights" / weights.parent.name)
    return folder


CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
# One is run to its end, a short one. With GANBOOK_COLAB=all every chapter is.
WHOLE = [path for path in CHAPTERS if os.environ.get("GANBOOK_COLAB") == "all" or path.stem == "01-the-game"]
PRETRAINED = sorted(path.parent.name for path in RECORDS.glob("*/D.safetensors"))


@pytest.mark.parametrize("chapter", WHOLE, ids=lambda path: path.stem)
def test_a_chapter_runs_in_colab_and_torch_stays(play, chapter):
    play(nbformat.read(chapter, as_version=4), {"ganbook", "lightning"} if "10-" in chapter.stem else {"ganbook"})


def test_every_chapter_finds_its_imports_and_weights_in_colab(play):
    """The setup cell, the same in all, every import of every chapter, all weights: what only Colab can lack."""
    setup = next(cell for cell in nbformat.read(CHAPTERS[0], as_version=4).cells if cell.cell_type == "code")
    sources = [f"# {chapter.stem}\n{imports(chapter)}" for chapter in CHAPTERS]
    assert len(PRETRAINED) > 3
    sources.append(
        "from ganbook.classifiers import load_classifier\nfrom ganbook.recipes import load_pretrained\n"
        "from ganbook.records import RECORDS\nfrom ganbook.translation import load_spies, load_translator\n"
        "load_classifier('digits'), load_classifier('avatars'), load_translator(RECORDS / 'cyclegan')\n"
        f"load_spies(), [load_pretrained(name) for name in {PRETRAINED}]"
    )
    play(nbformat.v4.new_notebook(cells=[setup, *map(nbformat.v4.new_code_cell, sources)]), {"ganbook"})


def imports(chapter):
    """Every import that a chapter makes after its setup cell, a line each."""
    _, *cells = [cell for cell in nbformat.read(chapter, as_version=4).cells if cell.cell_type == "code"]
    trees = (ast.parse(TransformerManager().transform_cell(cell.source)) for cell in cells)
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert len(nodes) > 5
    return "\n".join(ast.unparse(node) for node in nodes)


@pytest.fixture
def play(colab, wheel, index, tmp_path, monkeypatch):
    """Run a notebook as Colab would, alone in an empty folder, and look at what it has installed."""
    home, python, site, there = colab
    before = sorted(path.name for path in there.iterdir())
    without = subprocess.run([python, "-c", "import torch, ganbook"], cwd=home, capture_output=True, text=True)
    assert "No module named 'ganbook'" in without.stderr
    monkeypatch.setenv("JUPYTER_PATH", str(home / "jupyter"))
    monkeypatch.setenv("GANBOOK_SPEC", str(wheel))
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # nothing but the wheel is needed, and lightning in one chapter
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    # … and what load_pretrained would fetch from the repository
    monkeypatch.setenv("GANBOOK_DATA", str(fetched(tmp_path / "data")))
    monkeypatch.delenv("PYTHONPATH", raising=False)

    def run(notebook, expected):
        question = "import ganbook, torch\nprint(ganbook.__file__)\nprint(torch.__file__)"
        notebook.cells.append(nbformat.v4.new_code_cell(question))
        where = {"metadata": {"path": str(tmp_path)}}
        NotebookClient(notebook, kernel_name="colab", timeout=900, resources=where).execute()
        package, torch = notebook.cells[-1].outputs[0]["text"].split()
        assert Path(package).is_relative_to(site) and Path(torch).is_relative_to(there)
        installed = {path.name.split("-")[0] for path in site.iterdir()} - {"there.pth", "__pycache__"}
        assert expected <= installed and (installed == {"ganbook"} or "lightning" in expected), installed
        assert sorted(path.name for path in there.iterdir()) == before and "torch" in before

    yield run
    for left in site.iterdir():
        if left.name != "there.pth":
            shutil.rmtree(left) if left.is_dir() else left.unlink()
