"""Whatever becomes of a chapter, the runner names it, goes on with the others, and leaves what can be used."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from jupyter_client.kernelspec import NoSuchKernel
from nbformat.v4 import new_code_cell, new_notebook

from ganbook import runner
from ganbook.book import build_site, refresh_outputs
from ganbook.checkpoints import locked
from ganbook.errors import InputError
from ganbook.runner import format_report, run_chapter, run_chapters

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:papermill", "ignore::DeprecationWarning:jupyter_client"
)


@pytest.fixture
def write_book(tmp_path, monkeypatch):
    """write_book({name: [source of a cell, ...]}) makes a checkout of these chapters, and goes there."""
    monkeypatch.chdir(tmp_path)

    def write(chapters: dict[str, list[str]]) -> None:
        Path("book").mkdir()
        listed = "".join(f"\n- file: book/{name}" for name in chapters)
        Path("_toc.yml").write_text(f"root: book/index\nchapters:{listed}\n")
        Path("book/index.md").write_text("# A book\n")
        Path("_config.yml").write_text("title: a book\n")
        for name, cells in chapters.items():
            parameters = new_code_cell("quick = True\nseed = 0", metadata={"tags": ["parameters"]})
            kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
            notebook = new_notebook(
                cells=[parameters, *map(new_code_cell, cells)], metadata={"kernelspec": kernel}
            )
            nbformat.write(notebook, f"book/{name}.ipynb")

    return write


# A process that was not waited for by the one that started it is a zombie: as good as gone.
def is_gone(pid: int, seconds: float = 20) -> bool:
    for _ in range(int(10 * seconds)):
        try:
            if "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False


NOTE_PID = "import os, pathlib, signal, time\npathlib.Path('pid').write_text(str(os.getpid()))"


def test_chapters_that_take_their_kernel_or_the_runner_with_them(write_book):
    write_book({
        "01-kills-the-runner": ["import os, signal", "os.kill(os.getppid(), signal.SIGKILL)"],
        "02-kills-its-kernel": ["import os", "os._exit(1)"],
        "03-good": ["print('still here')"],
    })  # fmt: skip
    runner, kernel, good = run_chapters()
    assert runner["error"].endswith("the process that ran it died (memory?)")
    assert kernel["error"].startswith("cell 4: DeadKernelError")  # papermill's own parameters are cell 2
    assert good["error"] is None
    assert "01-kills-the-runner failed in" in format_report([runner, kernel, good])
    with pytest.raises(InputError, match="01-kills-the-runner.ipynb (was not run to its end|is missing)"):
        build_site()
    with pytest.raises(InputError, match="02-kills-its-kernel.ipynb failed and stays as it was: DeadKernelError"):
        refresh_outputs(("02",))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see a process end")
def test_a_chapter_that_hangs_is_ended_at_its_limit_and_named(write_book, monkeypatch):
    """Also where its kernel is deaf to the interrupt that a cell gets at its own limit."""
    write_book({"01-hangs": ["1 + 1", NOTE_PID, "signal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(600)"]})
    monkeypatch.setitem(runner.CHAPTER_LIMIT, True, 15)
    (row,) = run_chapters()
    assert row["error"] == "cell 5: it hung, and was ended after 15 seconds" and row["seconds"] < 60
    assert is_gone(int(Path("book/pid").read_text()))


def test_two_at_once_share_their_time_and_keep_their_order(write_book, capfd):
    """Each waits for the other to have begun: one by one they would never end."""
    meet = """
import os, pathlib, time
pathlib.Path({mine!r}).touch()
while not pathlib.Path({other!r}).exists(): time.sleep(0.05)
time.sleep({seconds})
print(os.environ["OMP_NUM_THREADS"])
"""
    write_book({
        "01-slow": [meet.format(mine="a", other="b", seconds=2)],
        "02-quick": [meet.format(mine="b", other="a", seconds=0)],
        "03-fails": ["1 / 0"],
    })  # fmt: skip
    rows = run_chapters(at_once=2)
    assert [row["chapter"] for row in rows] == ["01-slow", "02-quick", "03-fails"]
    assert [bool(row["error"]) for row in rows] == [False, False, True]
    executed = nbformat.read("_build/quick/book/01-slow.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == "1\n"


def test_a_cell_that_hangs_is_ended_at_its_limit_and_named(write_book, monkeypatch):
    write_book({"01-hangs": ["import time", "time.sleep(600)"]})
    monkeypatch.setitem(runner.CELL_LIMIT, True, 3)
    row = run_chapter(Path("book/01-hangs.ipynb"), Path("_build/quick/book/01-hangs.ipynb"), True, 0)
    assert row["error"].startswith("cell 4: CellTimeoutError") and "3 seconds" in row["error"]
    with pytest.raises(InputError, match="01-hangs.ipynb (was not run to its end|ends in an error)"):
        build_site()


def test_a_process_that_has_told_its_row_may_be_ended_without_a_word(monkeypatch):
    """The runner ends it once the row is read. On its way out it would print a traceback."""
    monkeypatch.setattr(runner, "run_chapter", lambda: {"error": None})
    handlers = []
    before = signal.getsignal(signal.SIGTERM)
    try:
        runner.send_row(SimpleNamespace(send=lambda row: handlers.append(signal.getsignal(signal.SIGTERM))), {})
    finally:
        signal.signal(signal.SIGTERM, before)
    assert handlers == [signal.SIG_DFL]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see a process end")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at_once", ["1", "2"])
def test_an_interrupted_run_says_so_and_leaves_no_process(write_book, end, at_once):
    write_book({"01-good": ["print(1)"], "02-long": [NOTE_PID, "time.sleep(600)"]})
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    program = [
        sys.executable,
        "-c",
        start + "from ganbook.__main__ import main\nmain()",
        "run",
        "--at-once",
        at_once,
    ]
    report = Path("_build/quick/report.json")
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(600):  # until the first is done and the second at work
        if Path("book/pid").exists() and Path("book/pid").read_text() and report.exists():
            break
        time.sleep(0.1)
    process.send_signal(end)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    # A kernel may have its own last words, before or after.
    assert "ganbook: interrupted in 02-long: 1 of 2 are done, and in _build/quick" in err.splitlines()
    assert "resource_tracker" not in err
    assert is_gone(int(Path("book/pid").read_text()))
    assert '"01-good"' in report.read_text()
    with pytest.raises(
        InputError, match="02-long.ipynb (was not run to its end|ends in an error).* `ganbook run` again"
    ):
        build_site()


def test_two_runs_do_not_mix(write_book):
    write_book({"01-good": ["print(1)"]})
    with locked(Path("_build/quick")):
        for call in (run_chapters, build_site):
            with pytest.raises(InputError, match="_build/quick is being written by another process"):
                call()


def test_places_that_cannot_be_written(write_book):
    write_book({"01-good": ["print(1)"]})
    Path("_build").touch()
    done = subprocess.run([sys.executable, "-m", "ganbook", "run"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == (
        "ganbook: _build/quick cannot be written (Not a directory): choose another folder\n"
    )
    row = run_chapter(Path("book/01-good.ipynb"), Path("_build/quick/01-good.ipynb"), True, 0)
    assert "NotADirectoryError" in row["error"] and row["claims"] == 0


def test_a_full_disk_is_named_and_the_rows_still_come(write_book, monkeypatch, capsys):
    write_book({"01-good": ["print(1)"]})

    def full(*args, **how):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(runner, "write", full)
    monkeypatch.setattr(runner.Apart, "row", lambda self: self.end() or {"error": None})
    assert run_chapters() == [{"chapter": "01-good", "error": None}]
    assert "report.json cannot be written (No space left on device)" in capsys.readouterr().out
    monkeypatch.setattr("papermill.execute_notebook", full)
    row = run_chapter(Path("book/01-good.ipynb"), Path("_build/quick/01-good.ipynb"), True, 0)
    assert row["error"] == "OSError: [Errno 28] No space left on device"


@pytest.mark.parametrize("deaths", [2, 3])
def test_a_kernel_whose_port_was_taken_is_started_again(deaths, write_book, monkeypatch):
    write_book({"01-good": ["print('✓ it ran')"]})
    real, begun = runner.papermill.execute_notebook, []

    def start(source, target, **how):
        begun.append(source)
        if len(begun) <= deaths:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return real(source, target, **how)

    monkeypatch.setattr(runner.papermill, "execute_notebook", start)
    row = run_chapter(Path("book/01-good.ipynb"), Path("out/01-good.ipynb"), True, 0)
    assert len(begun) == 3
    died = "RuntimeError: Kernel died before replying to kernel_info"
    assert (row["error"], row["claims"]) == ((None, 1) if deaths == 2 else (died, 0))


def test_a_kernel_that_dies_in_a_cell_is_not_started_again(write_book, monkeypatch):
    write_book({"01-dies": ["open('ran', 'a').write('once ')", "import os", "os._exit(1)"]})
    row = run_chapter(Path("book/01-dies.ipynb"), Path("out/01-dies.ipynb"), True, 0)
    assert row["error"].startswith("cell 5: DeadKernelError") and Path("book/ran").read_text() == "once "


def test_without_a_kernel_the_mend_is_named(write_book, monkeypatch):
    write_book({"01-good": ["print(1)"]})

    def none(*args, **how):
        raise NoSuchKernel("python3")

    monkeypatch.setattr("papermill.execute_notebook", none)
    row = run_chapter(Path("book/01-good.ipynb"), Path("_build/quick/01-good.ipynb"), True, 0)
    assert row["error"] == "Jupyter has no kernel python3: python -m ipykernel install --sys-prefix"


def test_what_an_earlier_run_left_is_not_taken_for_this_ones(write_book, monkeypatch):
    write_book({"01-good": ["print(1)"]})
    target = Path("_build/quick/01-good.ipynb")
    target.parent.mkdir(parents=True)
    nbformat.write(new_notebook(cells=[new_code_cell("1", execution_count=1)]), target)
    monkeypatch.setattr("papermill.execute_notebook", lambda *args, **how: 1 / 0)
    row = run_chapter(Path("book/01-good.ipynb"), target, True, 0)
    assert "ZeroDivisionError" in row["error"] and not target.exists()


@pytest.mark.parametrize(
    "content", [b"[]", b"", b"a: [", b"root: 3", b"\xff\xfe\xff", b"root: book/index\nparts: 7"]
)
def test_a_broken_table_of_contents_is_one_line(content, write_book):
    write_book({"01-good": ["print(1)"]})
    Path("_toc.yml").write_bytes(content)
    with pytest.raises(
        InputError, match="_toc.yml (is no table of contents|names no notebook that is there)"
    ) as caught:
        run_chapters()
    assert "\n" not in str(caught.value)
