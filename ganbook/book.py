"""Refreshing the chapters' stored outputs, and building the site from what the runner left."""

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from ganbook.checkpoints import locked, write
from ganbook.errors import InputError
from ganbook.machine import processor
from ganbook.records import CHAPTER_TIMES, RECORDS
from ganbook.runner import BUILD, CELL_LIMIT, chapters, choose, code_of

TELLING = 0.25  # a chapter's time is written down anew when it has changed by more than this part


def refresh_outputs(names: tuple[str, ...] = ()) -> None:
    """Execute chapters in quick mode and store their outputs in place; a chapter that fails stays as it was.

    A chapter shows its own time, so where that has changed much, it is noted and the chapter executed again.
    """
    for name, path in choose(names).items():
        notebook, seconds = execute(path)
        if note_time(name, seconds):
            notebook, seconds = execute(path)
        write(path, nbformat.writes(tidy(notebook)).encode())
        print(f"{name}: {seconds:.0f} s, {path.stat().st_size // 1024} kB")


def execute(path: Path) -> tuple[nbformat.NotebookNode, float]:
    notebook = nbformat.read(path, as_version=4)
    started = time.perf_counter()
    resources = {"metadata": {"path": str(path.parent)}}
    options = {"timeout": CELL_LIMIT[True], "kernel_name": "python3", "record_timing": False}
    try:
        NotebookClient(notebook, resources=resources, **options).execute()
    except CellExecutionError as failure:
        raise InputError(f"{path} failed and stays as it was: {failure.ename}: {failure.evalue}") from failure
    except (CellTimeoutError, DeadKernelError, NoSuchKernel) as failure:
        why = f"{type(failure).__name__}: {failure}".splitlines()[0]
        raise InputError(f"{path} failed and stays as it was: {why}") from failure
    return notebook, time.perf_counter() - started


def note_time(name: str, seconds: float) -> bool:
    """Keep a chapter's quick time in the records, if it has changed by a telling part. Says whether it has."""
    times = json.loads(CHAPTER_TIMES.read_text()) if CHAPTER_TIMES.exists() else {}
    known = times.get(name, {}).get("seconds", 0)
    if abs(seconds - known) <= TELLING * known:
        return False
    times[name] = {
        "seconds": round(seconds),
        "cores": os.cpu_count(),
        "processor": processor(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    write(CHAPTER_TIMES, (json.dumps(dict(sorted(times.items())), indent=1) + "\n").encode())
    return True


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Keep what a page needs and nothing of how it was run: tags and alt texts of cells, the kernel's name."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},
    }
    for cell in notebook.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key in ("tags", "mystnb") and value}
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):  # a widget dies with its kernel: its picture stays
                output.data.pop("application/vnd.jupyter.widget-view+json", None)
    return notebook


def build_site() -> Path:
    """Assemble pages and executed notebooks (quick mode) in _build/source, and build _build/html from them."""
    with locked(BUILD / "quick"):  # not while they are being run
        return assemble_and_build(BUILD / "quick", BUILD / "source", BUILD)


def assemble_and_build(executed: Path, source: Path, out: Path) -> Path:
    """The site of the notebooks that lie in `executed`, put together in `source`, as out/html."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree("book", source / "book", ignore=shutil.ignore_patterns("*.ipynb", ".*"))
    shutil.copytree(RECORDS, source / "ganbook" / "records", ignore=shutil.ignore_patterns("*.safetensors"))
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(name, source)
    for path in chapters().values():
        nbformat.write(hide_injected(tidy(read_executed(executed / path))), source / path)
    if (executed / "report.json").is_file():
        shutil.copy(executed / "report.json", source)  # for the page that says whether it still runs
    shutil.rmtree(out / "html", ignore_errors=True)
    jupyter_book = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command = [*jupyter_book, "build", str(source), "--path-output", str(out.parent)]
    result = subprocess.run([*command, "--all", "-W", "--keep-going", "-n"])
    if result.returncode:
        raise InputError("the site has warnings or errors: they stand above, each with its page")
    return out / "html" / "index.html"


def read_executed(path: Path) -> nbformat.NotebookNode:
    """A notebook as the runner left it; one that is missing or failed is not for the site."""
    if not path.is_file():
        raise InputError(f"{path} is missing: run `ganbook run` first")
    notebook = nbformat.read(path, as_version=4)
    if any(output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", [])):
        raise InputError(f"{path} ends in an error: mend the chapter and run `ganbook run` again")
    if not is_whole(notebook):
        raise InputError(f"{path} was not run to its end: run `ganbook run` again")
    return notebook


def is_whole(notebook: nbformat.NotebookNode) -> bool:
    """Whether every cell was executed to its end."""
    ended = [cell.metadata.get("papermill", {}).get("status", "completed") for cell in code_of(notebook)]
    counted = all(cell.execution_count for cell in code_of(notebook))
    return counted and set(ended) <= {"completed"} and not notebook.metadata.get("papermill", {}).get("exception")


def hide_injected(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The cell in which papermill sets the parameters again is not for the page."""
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata["tags"] = ["injected-parameters", "remove-cell"]
    return notebook
