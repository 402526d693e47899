"""A chapter as a notebook to work in: the same cells, without outputs, and an empty cell for each solution."""

import os
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ganbook.checkpoints import write
from ganbook.errors import InputError
from ganbook.runner import choose


def write_worksheets(names: tuple[str, ...], out: Path) -> list[Path]:
    """Write the worksheets of these chapters (of all, if none is named) to a folder.

    Raises InputError, and writes nothing, where a file of theirs is there: it may hold somebody's answers.
    """
    sheets = {out / f"{name}.ipynb": path for name, path in choose(names).items()}
    for sheet in filter(os.path.lexists, sheets):
        raise InputError(f"{sheet} exists, perhaps with answers: choose another folder, or move it away")
    out.mkdir(parents=True, exist_ok=True)
    for sheet, path in sheets.items():
        write(sheet, nbformat.writes(worksheet(nbformat.read(path, as_version=4))).encode())
    return list(sheets)


def worksheet(notebook: NotebookNode) -> NotebookNode:
    """A copy without solutions and outputs. Where an exercise has a checker, its cell ends in the call."""
    cells = []
    asked = ""  # the text of the exercise that is not answered yet
    for cell in nbformat.from_dict(notebook).cells:
        if cell.cell_type == "markdown" and "### Exercise" in cell.source:
            asked = cell.source
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if not is_solution(cell):
            cells.append(cell)
        elif asked:
            cells.append(nbformat.v4.new_code_cell(place_for_answer(asked), id=cell.id))
            asked = ""  # a solution in several cells has one place
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)


def is_solution(cell: NotebookNode) -> bool:
    return cell.metadata.get("mystnb", {}).get("code_prompt_show") == "Show the solution"


def place_for_answer(asked: str) -> str:
    number = re.findall(r"^### Exercise (\d+)", asked, re.M)[-1]
    call = re.search(r'check\("[\d.]+", [^`]+\)', asked)
    return f"# Your answer to exercise {number}.\n\n" + (f"\n{call[0]}" if call else "")
