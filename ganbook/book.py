"""Running the chapters with papermill, refreshing their stored outputs, building the site from what was run."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from threading import RLock

import nbformat
import papermill
import yaml
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError
from tqdm.auto import tqdm

from ganbook.checkpoints import locked, write
from ganbook.errors import InputError
from ganbook.machine import processor
from ganbook.records import CHAPTER_TIMES, RECORDS

BUILD = Path("_build")
CELL_LIMIT = {True: 900, False: 6 * 3600}  # seconds a cell may take, in quick mode and in full mode
CHAPTER_LIMIT = {True: 1800, False: 24 * 3600}  # and a chapter, should its kernel not even heed that
TELLING = 0.25  # a chapter's time is written down anew when it has changed by more than this part


def chapters() -> dict[str, Path]:
    """The notebooks of _toc.yml in reading order, by name. The working folder must be a checkout."""
    if not Path("_toc.yml").is_file():
        raise InputError(f"{Path.cwd()} has no _toc.yml: run this in a checkout of the book")
    toc = yaml.safe_load(Path("_toc.yml").read_text())
    entries = [toc["root"], *find_files(toc)]
    paths = [Path(f"{entry}.ipynb") for entry in entries]
    return {path.stem: path for path in paths if path.is_file()}


def find_files(node) -> list[str]:
    """Every value of `file` below a node of the table of contents, in order."""
    if isinstance(node, list):
        return [name for item in node for name in find_files(item)]
    if isinstance(node, dict):
        own = [node["file"]] if "file" in node else []
        return own + [name for item in node.values() for name in find_files(item)]
    return []


def choose(names: tuple[str, ...]) -> dict[str, Path]:
    """The chapters of these names, in reading order; all where none is named. 03 will do for 03-the-first-gan."""
    all_chapters = chapters()
    chosen = set()
    for name in names:
        found = [chapter for chapter in all_chapters if chapter == name or chapter.split("-")[0] == name]
        if not found:
            raise InputError(f"no chapter is called {name!r}: choose from {', '.join(all_chapters)}")
        chosen.update(found)
    return {name: path for name, path in all_chapters.items() if name in chosen or not names}


def run_chapters(names: tuple[str, ...] = (), quick: bool = True, seed: int = 0, at_once: int = 1) -> list[dict]:
    """Execute chapters, each in a process of its own, into _build/quick or _build/full.

    Returns one row a chapter and writes the rows to report.json there. A chapter that fails is a row with an
    error; its notebook is kept as far as it came. Of several at once each computes with one thread.
    """
    folder, chosen, rows, running = BUILD / ("quick" if quick else "full"), choose(names), {}, {}
    with locked(folder):  # two runs side by side would mix their notebooks
        waiting = list(chosen.items())
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    name, source = waiting.pop(0)
                    print(f"{name} ({folder.name} mode)", flush=True)
                    running[name] = Apart(source, folder / source, quick, seed, alone=at_once == 1)
                wait([chapter.told for chapter in running.values()], min(c.left() for c in running.values()))
                for name in [name for name, chapter in running.items() if chapter.is_over()]:
                    rows[name] = {"chapter": name, **running.pop(name).row()}
                    write_report(folder, in_order(rows, chosen), seed, at_once)
        except KeyboardInterrupt:
            for chapter in running.values():
                chapter.end()
            done = f"{len(rows)} of {len(chosen)} chapters are done, and in {folder}"
            raise KeyboardInterrupt(f"interrupted in {' and '.join(running)}: {done}") from None
    return in_order(rows, chosen)


def in_order(rows: dict[str, dict], chosen: dict[str, Path]) -> list[dict]:
    return [rows[name] for name in chosen if name in rows]


def write_report(folder: Path, rows: list[dict], seed: int, at_once: int) -> None:
    report = {
        "mode": folder.name,
        "seed": seed,
        "at_once": at_once,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "versions": {
            "python": platform.python_version(),
            **{p: version(p) for p in ("ganbook", "torch", "jupyter-book")},
        },
        "chapters": rows,
    }
    try:
        write(folder / "report.json", json.dumps(report, indent=1).encode())
    except OSError as error:  # the rows are still printed
        print(f"{folder / 'report.json'} cannot be written ({error.strerror})", flush=True)


class Apart:
    """`run_chapter` in a process of its own: its memory is its own, and it can be ended."""

    def __init__(self, source: Path, target: Path, quick: bool, seed: int, alone: bool):
        context = get_context("spawn")
        self.target, self.limit, self.started = target, CHAPTER_LIMIT[quick], time.perf_counter()
        self.told, send = context.Pipe(duplex=False)
        self.process = context.Process(target=send_row, args=(send, alone, source, target, quick, seed))
        self.process.start()
        send.close()  # here: what is read ends when the process does

    def left(self) -> float:
        """Seconds until its limit."""
        return max(0.0, self.started + self.limit - time.perf_counter())

    def is_over(self) -> bool:
        return self.told.poll() or not self.left()

    def row(self) -> dict:
        """What it told, or what became of it; the process is ended."""
        try:
            if self.told.poll():
                return self.told.recv()
            error = f"{cell_of(self.target)}it hung, and was ended after {self.limit:,} seconds"
        except EOFError:
            error = f"{cell_of(self.target)}the process that ran it died (memory?)"
        finally:
            self.end()
        return row_of(self.target, self.started, error)

    def end(self) -> None:
        self.process.terminate()
        self.process.join(10)
        self.process.kill()
        self.process.join()


def send_row(send, alone: bool, *how) -> None:
    """What the process does. Asked to end, it takes its kernel with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tqdm.set_lock(RLock())  # papermill's bar would make a semaphore, which outlives a process that is killed
    if not alone:
        os.environ["OMP_NUM_THREADS"] = "1"  # for the kernel: two that share two cores only wait for each other
    try:
        send.send(run_chapter(*how))
    except KeyboardInterrupt:
        pass


def run_chapter(source: Path, target: Path, quick: bool, seed: int) -> dict:
    """Execute one chapter. Returns seconds, peak memory of its kernel in MB, claims passed, error or None."""
    started, error = time.perf_counter(), None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # what an earlier run left is not taken for this one's
        papermill.execute_notebook(
            source,
            target,
            parameters={"quick": quick, "seed": seed},
            kernel_name="python3",
            cwd=source.parent,
            execution_timeout=CELL_LIMIT[quick],
        )
    except PapermillExecutionError as failure:
        error = f"cell {failure.exec_count}: {failure.ename}: {failure.evalue}"
    except NoSuchKernel:
        error = "Jupyter has no kernel python3: python -m ipykernel install --sys-prefix"
    except Exception as failure:  # a dead kernel, a full disk: this chapter's row says so, the others still run
        error = cell_of(target) + f"{type(failure).__name__}: {failure}".splitlines()[0]
        note_end(target)
    except KeyboardInterrupt:
        note_end(target)
        raise
    return row_of(target, started, error)


def row_of(target: Path, started: float, error: str | None) -> dict:
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "peak_mb": peak_memory_of_children(),
        "claims": count_claims(target),
        "error": error,
        "notebook": str(target),
    }


def cell_of(target: Path) -> str:
    """Which code cell a chapter was in when it stopped, for a message: the last one that began, counted from 1."""
    try:
        cells = code_of(nbformat.read(target, as_version=4))
    except (OSError, ValueError):
        return ""
    begun = [i for i, cell in enumerate(cells, 1) if cell.metadata.get("papermill", {}).get("start_time")]
    return f"cell {begun[-1]}: " if begun else ""


def code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def note_end(target: Path) -> None:
    """Papermill calls a cell complete that was interrupted: what stopped is not to pass for whole."""
    try:
        notebook = nbformat.read(target, as_version=4)
        notebook.metadata.setdefault("papermill", {})["exception"] = True
        nbformat.write(notebook, target)
    except (OSError, ValueError):  # then there is no notebook at all
        pass


def is_whole(notebook: nbformat.NotebookNode) -> bool:
    """Whether every cell was executed to its end."""
    ended = [cell.metadata.get("papermill", {}).get("status", "completed") for cell in code_of(notebook)]
    counted = all(cell.execution_count for cell in code_of(notebook))
    return counted and set(ended) <= {"completed"} and not notebook.metadata.get("papermill", {}).get("exception")


def peak_memory_of_children() -> int | None:
    """The most memory that an ended child process held at once, in MB; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // unit


def count_claims(notebook: Path) -> int:
    """How many claims printed their tick in an executed notebook."""
    try:
        cells = nbformat.read(notebook, as_version=4).cells
    except (OSError, ValueError):  # none, or half of one
        return 0
    texts = (
        out.get("text", "") for cell in cells for out in cell.get("outputs", []) if out.get("name") == "stdout"
    )
    return sum(line.startswith("✓ ") for text in texts for line in text.splitlines())


def format_report(rows: list[dict]) -> str:
    """The rows of `run_chapters` as a table, failures named below."""
    width = max(len(row["chapter"]) for row in rows)
    lines = [f"{'chapter':<{width}}  seconds  peak MB  claims"]
    for row in rows:
        mark = "  FAILED" if row["error"] else ""
        peak = "–" if row["peak_mb"] is None else row["peak_mb"]
        lines.append(f"{row['chapter']:<{width}}  {row['seconds']:>7}  {peak:>7}  {row['claims']:>6}{mark}")
    failed = (
        f"{row['chapter']} failed in {row['error']}\n  see {row['notebook']}" for row in rows if row["error"]
    )
    return "\n".join([*lines, *failed])


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


def hide_injected(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The cell in which papermill sets the parameters again is not for the page."""
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata["tags"] = ["remove-cell"]
    return notebook
