"""Worksheets: the chapters without outputs and solutions, one place for each answer."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from ganbook.errors import InputError
from ganbook.worksheets import is_solution, worksheet, write_worksheets

BOOK = Path(__file__).parents[1] / "book"


@pytest.fixture(params=sorted(BOOK.glob("*.ipynb")), ids=lambda path: path.stem)
def chapter(request):
    return nbformat.read(request.param, as_version=4)


def names(cells, context):
    """The names that cells set (ast.Store, and definitions) or use (ast.Load)."""
    found = set()
    for cell in cells:
        tree = ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.M))
        found |= {
            node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, context)
        }
        if context is ast.Store:
            found |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
            found |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
            found |= {
                a.asname or a.name
                for n in tree.body
                if isinstance(n, ast.ImportFrom | ast.Import)
                for a in n.names
            }
    return found


def test_solutions_and_outputs_are_gone_and_everything_else_is_there(chapter):
    sheet = worksheet(chapter)
    nbformat.validate(sheet)
    assert not any(map(is_solution, sheet.cells))
    code = [cell for cell in sheet.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    answers = [cell for cell in code if cell.source.startswith("# Your answer")]
    kept = [cell.source for cell in sheet.cells if cell not in answers]
    assert kept == [cell.source for cell in chapter.cells if not is_solution(cell)]
    text = "\n".join(kept)
    assert len(answers) == text.count("\n### Exercise") + text.startswith("### Exercise")
    assert [cell.source.split("check(")[1] for cell in answers if "check(" in cell.source] == [
        f"{found[1]})" for found in re.finditer(r"`check\(([^`]+)\)`", text) if "…" not in found[1]
    ]


def test_nothing_after_the_exercises_needs_a_solution(chapter):
    """Who leaves exercises out can run the rest."""
    solutions = [cell for cell in chapter.cells if is_solution(cell)]
    others = [cell for cell in chapter.cells if cell.cell_type == "code" and not is_solution(cell)]
    needed = (names(solutions, ast.Store) - names(others, ast.Store)) & names(others, ast.Load)
    assert not needed, needed


def test_the_chapter_itself_is_left_alone(chapter):
    before = nbformat.writes(chapter)
    worksheet(chapter)
    assert nbformat.writes(chapter) == before


def test_the_command_writes_those_that_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(BOOK.parent)
    (sheet,) = write_worksheets(("03",), tmp_path / "sheets")
    assert (
        sheet.name == "03-the-first-gan.ipynb"
        and "solution" not in nbformat.read(sheet, as_version=4).cells[-1].source
    )
    assert 'check("03.2", two_steps)' in sheet.read_text().replace('\\"', '"')


def test_no_answers_and_no_chapters_are_written_over(tmp_path, monkeypatch):
    monkeypatch.chdir(BOOK.parent)
    last = tmp_path / "14-cyclegan.ipynb"
    last.write_text("answers")
    before = (BOOK / last.name).read_bytes()
    for names, out in (((), tmp_path), (("14",), tmp_path), (("14",), Path("book"))):
        with pytest.raises(InputError, match="14-cyclegan.ipynb exists, perhaps with answers"):
            write_worksheets(names, out)
    assert last.read_text() == "answers" and list(tmp_path.iterdir()) == [last]
    assert (BOOK / last.name).read_bytes() == before
