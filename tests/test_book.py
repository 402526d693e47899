"""The house rules of a chapter (CONTRIBUTING.md), read off the committed notebooks; and the runner."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook

from ganbook import book
from ganbook.__main__ import cli
from ganbook.errors import InputError
from ganbook.runner import chapters, choose, count_claims, find_files, format_report, run_chapters

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
COLUMNS = 88  # of code that fit a page

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:papermill", "ignore::DeprecationWarning:jupyter_client"
)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def cells(path):
    return nbformat.read(path, as_version=4).cells


@pytest.fixture(
    params=[*NOTEBOOKS, *sorted(ROOT.glob("book/*.md")), ROOT / "README.md"], ids=lambda path: path.stem
)
def text(request):
    """A page without what its code printed."""
    if request.param.suffix == ".md":
        return request.param.read_text()
    return "\n".join(cell.source for cell in nbformat.read(request.param, as_version=4).cells)


def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def test_every_notebook_is_in_the_table_of_contents():
    listed = set(find_files(yaml.safe_load((ROOT / "_toc.yml").read_text())))
    assert {f"book/{path.stem}" for path in NOTEBOOKS} <= listed
    assert all(any((ROOT / f"{name}{end}").exists() for end in (".md", ".ipynb")) for name in listed)


def test_outputs_are_whole_and_in_order(cells):
    """nbval does not compare a cell without an execution count."""
    assert [cell.execution_count for cell in code(cells)] == list(range(1, len(code(cells)) + 1))


def test_outputs_are_clean(cells):
    for cell in code(cells):
        for output in cell.outputs:
            text = json.dumps(output)
            assert output.output_type != "error" and output.get("name") != "stderr", cell.id
            assert not re.search(r"0x[0-9a-f]{6,}|/tmp/|/home/|/root/|https?://", text), cell.id


def test_one_parameters_cell_with_quick_and_seed(cells):
    (parameters,) = [cell for cell in cells if "parameters" in tags(cell)]
    values = {}
    exec(parameters.source, values)
    assert values["quick"] is True and values["seed"] == 0


def test_the_setup_cell_comes_first(cells):
    first = code(cells)[0]
    assert 'find_spec("ganbook") is None' in first.source and "remove-cell" in tags(first)


def test_code_cells_are_short_and_narrow(cells):
    for cell in code(cells):
        lines = cell.source.splitlines()
        assert len(lines) <= 20, cell.id
        assert max(map(len, lines)) <= COLUMNS, cell.id
        assert not cell.source.rstrip().endswith(";"), cell.id  # IPython drops the output, nbval does not


def test_shown_source_fits_the_page(cells):
    for cell in code(cells):
        for output in cell.outputs:
            markdown = output.get("data", {}).get("text/markdown", "")
            if markdown.startswith("```python"):
                assert max(map(len, markdown.splitlines())) <= COLUMNS, cell.id


def test_shown_source_is_the_source_of_today(cells):
    """nbval says so too, minutes later."""
    whole = "\n".join(map(flat, (path.read_text() for path in (ROOT / "ganbook").glob("*.py"))))
    for cell in code(cells):
        for output in cell.outputs:
            markdown = output.get("data", {}).get("text/markdown", "")
            if markdown.startswith("```python"):
                assert flat(markdown.split("\n", 1)[1].removesuffix("```")) in whole, cell.id


def flat(source):
    """Without the spaces that lines begin with: what a page shows of a method is moved to the left."""
    return "\n".join(line.strip() for line in source.strip().splitlines())


def test_commands_on_a_page_can_be_given(text):
    """Each is known, with its options, and in a block of code with all that it requires."""
    blocks = [
        line for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()
    ]
    for line in [*blocks, *re.findall(r"(?<!`)`(ganbook [^`\n]+)`", text)]:
        if not line.startswith("ganbook ") or "…" in line:
            continue
        name, *words = shlex.split(line.split(" #")[0])[1:]
        command = cli.commands[name]
        context = click.Context(command)
        given, _, _ = command.make_parser(context).parse_args(words)  # an unknown option is an error
        if line in blocks:
            assert {p.name for p in command.params if p.required} <= {n for n, v in given.items() if v}, line


def test_every_picture_has_an_alt_text(cells):
    for cell in code(cells):
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            assert len(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")) > 20, cell.id


def test_only_cells_that_print_times_or_draw_training_are_not_compared(cells):
    """A claim in a cell that nbval does not compare would still raise, but its tick must be compared, too."""
    for cell in code(cells):
        if "nbval-ignore-output" in tags(cell):
            assert "claim(" not in cell.source, cell.id


def test_notebook_is_small_and_tidy(path):
    assert path.stat().st_size <= 300_000
    notebook = json.loads(path.read_text())
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    for cell in notebook["cells"]:
        assert set(cell["metadata"]) <= {"tags", "mystnb"}


def test_no_chapter_defines_what_the_package_defines(cells):
    """One copy of everything: a page shows the package's code or calls it."""
    package = "\n".join(path.read_text() for path in (ROOT / "ganbook").glob("*.py"))
    defined = set(re.findall(r"^(?:def|class) (\w+)", package, re.M))
    for cell in code(cells):
        assert not defined & set(re.findall(r"^\s*(?:def|class) (\w+)", cell.source, re.M)), cell.id


def test_every_chapter_has_claims(path):
    assert count_claims(path) >= 5


def test_every_exercise_has_a_solution_that_is_run(cells):
    headings, solved, claims = [], set(), set()
    for cell in cells:
        if cell.cell_type == "markdown":
            headings += re.findall(r"^### (Exercise \d+)", cell.source, re.M)
        elif "hide-cell" in tags(cell):
            solved.add(headings[-1])
            claims |= {headings[-1]} if "claim(" in cell.source else set()
    assert len(headings) >= 5 and solved == claims == set(headings)


def test_every_answer_to_a_question_gets_feedback(cells):
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    answers = re.findall(r"<details><summary>(.+?)</summary>\n\n(.+?)\n</details>", text, re.S)
    assert len(re.findall(r"^\*\*\d\. .+\*\*$", text, re.M)) >= 4 and len(answers) >= 3 * 4
    assert len(answers) == text.count("<details") == text.count("</details>")
    right = [feedback for _, feedback in answers if feedback.startswith("Right")]
    assert len(right) == len(re.findall(r"^\*\*\d\. .+\*\*$", text, re.M))  # one for each question
    assert all(len(feedback.split()) >= 5 for _, feedback in answers if feedback not in right)


def test_theorems_are_proved_and_references_meet_their_labels(cells):
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    stated = len(re.findall(r"{prf:(?:theorem|proposition)}", text))
    assert stated == text.count("{prf:proof}")
    labels = re.findall(r":label: (\S+)", text)
    assert len(labels) == len(set(labels)) == len(re.findall(r":::{prf:(?!proof)", text))


# The runner.


def tiny(*sources):
    cells = [
        new_code_cell("quick = True\nseed = 0", metadata={"tags": ["parameters"]}),
        *map(new_code_cell, sources),
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return new_notebook(cells=cells, metadata=metadata)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A book of three chapters, the second of which fails."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book").mkdir()
    (tmp_path / "_toc.yml").write_text(
        "root: book/index\nparts:\n- chapters:\n  - file: book/01-good\n    sections:\n    - file: book/02-bad\n"
        "- chapters:\n  - file: book/notes\n  - file: book/03-mode\n"
    )
    for name in ("index", "notes"):
        (tmp_path / "book" / f"{name}.md").write_text(f"# {name}\n")
    claim = "from ganbook.claims import claim\nclaim('one', True, 1.0)\nclaim('two', True)\nprint('not ✓ a claim')"
    for name, notebook in {
        "01-good": tiny(claim),
        "02-bad": tiny("print('as far as this')", "1 / 0", "print('never')"),
        "03-mode": tiny("print(quick, seed, type(quick))"),
    }.items():
        nbformat.write(notebook, tmp_path / "book" / f"{name}.ipynb")
    return tmp_path


def test_chapters_in_reading_order(checkout):
    assert list(chapters()) == ["01-good", "02-bad", "03-mode"]
    assert list(choose(("03", "01-good"))) == ["01-good", "03-mode"]
    with pytest.raises(InputError, match="'04'.*01-good, 02-bad, 03-mode"):
        choose(("04",))


def test_a_failing_chapter_is_named_and_the_others_run(checkout):
    rows = run_chapters()
    good, bad, mode = rows
    assert (good["error"], good["claims"], mode["error"]) == (None, 2, None)
    assert "ZeroDivisionError" in bad["error"]
    assert 20 < good["peak_mb"] < 2000 and good["seconds"] > 0
    partial = nbformat.read(bad["notebook"], as_version=4)
    assert any("as far as this" in str(cell.get("outputs")) for cell in partial.cells)
    assert json.loads(Path("_build/quick/report.json").read_text())["chapters"] == rows
    assert "02-bad failed in cell" in format_report(rows)
    output = nbformat.read(mode["notebook"], as_version=4).cells[-1].outputs[0]["text"]
    assert output == "True 0 <class 'bool'>\n"


def test_the_site_is_not_built_from_what_failed_or_never_ran(checkout):
    (checkout / "_config.yml").write_text("title: tiny\n")
    with pytest.raises(InputError, match="01-good.ipynb is missing: run `ganbook run` first"):
        book.build_site()
    run_chapters(("01", "02"))
    with pytest.raises(InputError, match="02-bad.ipynb ends in an error"):
        book.build_site()


def test_full_mode_seed_and_exit_code(checkout):
    def run(*args):
        return subprocess.run([sys.executable, "-m", "ganbook", "run", *args], capture_output=True, text=True)

    done = run("03", "--full", "--seed", "7")
    assert done.returncode == 0 and "03-mode" in done.stdout
    report = json.loads(Path("_build/full/report.json").read_text())
    assert (report["mode"], report["seed"]) == ("full", 7)
    assert "False 7" in Path(report["chapters"][0]["notebook"]).read_text()
    failed = run("02")
    assert failed.returncode == 1 and "02-bad" in failed.stdout and "ZeroDivisionError" in failed.stdout


def test_a_failing_chapter_keeps_its_stored_outputs(checkout):
    before = Path("book/02-bad.ipynb").read_bytes()
    with pytest.raises(InputError, match="02-bad.ipynb failed and stays as it was: ZeroDivisionError"):
        book.refresh_outputs(("02",))
    assert Path("book/02-bad.ipynb").read_bytes() == before


# Strict nbval, with the options of pyproject.toml.


def nbval(notebook, folder, **env):
    nbformat.write(notebook, folder / "page.ipynb")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--nbval",
        "-c",
        ROOT / "pyproject.toml",
        folder / "page.ipynb",
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **env})


@pytest.fixture
def page():
    """A page with a claim and a figure, executed."""
    from nbclient import NotebookClient

    figure = "from ganbook.plots import plt\nplt.plot([1, 2])\nplt.show()"
    notebook = tiny("from ganbook.claims import claim\nclaim('so it is', True, 0.123)", figure)
    NotebookClient(notebook, kernel_name="python3").execute()
    return notebook


def test_nbval_passes_over_measured_figures_alone(page, tmp_path):
    output = page.cells[1].outputs[0]
    assert output["text"] == "✓ so it is  [measured 0.123]\n"
    output["text"] = "✓ so it is  [measured 0.456]\n"
    assert nbval(page, tmp_path).returncode == 0
    output["text"] = "✓ so it is not  [measured 0.123]\n"
    assert nbval(page, tmp_path).returncode == 1


def test_figures_appear_whatever_mplbackend_says(page, tmp_path):
    done = nbval(page, tmp_path, MPLBACKEND="agg")
    assert done.returncode == 0, done.stdout
    page.cells[2].outputs[0]["data"]["text/plain"] = "<Figure size 640x480 with 2 Axes>"
    assert nbval(page, tmp_path).returncode == 1
