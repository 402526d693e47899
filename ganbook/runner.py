"""Running the chapters with papermill: each in a process of its own, and what became of it in one row."""

import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
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
from papermill.exceptions import PapermillExecutionError
from tqdm.auto import tqdm

from ganbook.checkpoints import locked, one_line, write
from ganbook.errors import InputError
from ganbook.machine import processor

BUILD = Path("_build")
CELL_LIMIT = {True: 900, False: 6 * 3600}  # seconds a cell may take, in quick mode and in full mode
CHAPTER_LIMIT = {True: 1800, False: 24 * 3600}  # and a chapter, should its kernel not even heed that
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # two chapters that share two cores only wait for each other


def chapters() -> dict[str, Path]:
    """The notebooks of _toc.yml in reading order, by name. The working folder must be a checkout."""
    if not Path("_toc.yml").is_file():
        raise InputError(f"{Path.cwd()} has no _toc.yml: run this in a checkout of the book")
    try:
        toc = yaml.safe_load(Path("_toc.yml").read_text())
        entries = [toc["root"], *find_files(toc)]
    except (yaml.YAMLError, LookupError, TypeError, ValueError, RecursionError) as error:
        why = one_line(error)[:200]
        raise InputError(f"{Path('_toc.yml').resolve()} is no table of contents ({why}): restore it") from None
    paths = [Path(f"{entry}.ipynb") for entry in entries]
    found = {path.stem: path for path in paths if path.is_file()}
    if not found:
        raise InputError(f"{Path('_toc.yml').resolve()} names no notebook that is there: restore it")
    return found


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
    folder, chosen, rows = BUILD / ("quick" if quick else "full"), choose(names), {}
    jobs = {name: (source, folder / source, quick, seed) for name, source in chosen.items()}

    def keep(name: str, row: dict) -> None:
        rows[name] = {"chapter": name, **row}
        write_report(folder, in_order(rows, chosen), seed, at_once)

    with locked(folder):  # two runs side by side would mix their notebooks
        run_apart(jobs, at_once, {} if at_once == 1 else ONE_THREAD, keep, folder)
    return in_order(rows, chosen)


def run_apart(jobs: dict[str, tuple], at_once: int, env: dict[str, str], keep: Callable, where: Path) -> None:
    """Do the jobs {name: arguments of `run_chapter`}, each in a process of its own, and keep(name, row) each one.

    `env` is added to the environment of the kernels. Interrupted, it ends them, and says what is done and `where`.
    """
    waiting, running, done = list(jobs.items()), {}, 0
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                name, how = waiting.pop(0)
                print(name, flush=True)
                running[name] = Apart(env, *how)
            wait([chapter.told for chapter in running.values()], min(c.left() for c in running.values()))
            for name in [name for name, chapter in running.items() if chapter.is_over()]:
                keep(name, running.pop(name).row())
                done += 1
    except KeyboardInterrupt:
        named = f"interrupted in {' and '.join(running)}" if running else "interrupted"
        raise KeyboardInterrupt(f"{named}: {done} of {len(jobs)} are done, and in {where}") from None
    finally:  # also where a row could not be kept
        for chapter in running.values():
            chapter.end()


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

    def __init__(self, env: dict[str, str], source: Path, target: Path, quick: bool, seed: int):
        context = get_context("spawn")
        self.target, self.limit, self.started = target, CHAPTER_LIMIT[quick], time.perf_counter()
        self.told, send = context.Pipe(duplex=False)
        self.process = context.Process(target=send_row, args=(send, env, source, target, quick, seed))
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


def send_row(send, env: dict[str, str], *how) -> None:
    """What the process does. Asked to end, it takes its kernel with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tqdm.set_lock(RLock())  # papermill's bar would make a semaphore, which outlives a process that is killed
    os.environ.update(env)  # the kernel inherits it
    try:
        row = run_chapter(*how)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # its kernel is gone: from here on it may end at once
        send.send(row)
    except KeyboardInterrupt:
        pass


def run_chapter(source: Path, target: Path, quick: bool, seed: int) -> dict:
    """Execute one chapter. Returns seconds, peak memory of its kernel in MB, claims passed, error or None."""
    started, error = time.perf_counter(), None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # what an earlier run left is not taken for this one's
        execute(source, target, quick, seed)
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


def execute(source: Path, target: Path, quick: bool, seed: int) -> None:
    """Let papermill do it. A kernel that dies before the first cell is started again, twice at most.

    Its ports are looked for a moment before it takes them, and another kernel may be faster.
    """
    for left in (2, 1, 0):
        try:
            papermill.execute_notebook(
                source,
                target,
                parameters={"quick": quick, "seed": seed},
                kernel_name="python3",
                cwd=source.parent,
                execution_timeout=CELL_LIMIT[quick],
            )
            return
        except RuntimeError:  # also where a kernel dies in a cell: then some of the chapter has run
            if not left or cell_of(target):
                raise


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
