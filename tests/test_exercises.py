"""Every checker accepts the solution on the page and refuses what it should, with the diagnosis that fits.

Wrong attempts are in tests/attempts, a file for each chapter.
"""

import re
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
import torch
from attempts import WRONG

from ganbook import exercises
from ganbook.errors import InputError
from ganbook.exercises import CHECKERS, NotYet, chapters, check
from ganbook.worksheets import is_solution

BOOK = Path(__file__).parents[1] / "book"
for chapter in chapters():
    import_module(f"ganbook.exercises.{chapter}")
    import_module(f"attempts.{chapter}")


@pytest.mark.parametrize(("name", "attempt", "diagnosis"), WRONG)
def test_a_wrong_attempt_gets_its_diagnosis(name, attempt, diagnosis, one_thread):
    with pytest.raises(NotYet) as refused:
        check(name, attempt)
    assert str(refused.value).startswith(f"Exercise {name}: ") and diagnosis in str(refused.value)


@pytest.mark.parametrize("name", sorted(CHECKERS))
def test_at_least_three_are_refused_for_different_reasons(name):
    assert len({diagnosis for of, _, diagnosis in WRONG if of == name}) >= 3


@pytest.mark.parametrize("name", sorted(CHECKERS))
def test_its_page_hands_the_solution_to_the_checker(name):
    """The build of the page runs the solution: a checker that refused it would stop the book."""
    chapter, number = name.split(".")
    (page,) = BOOK.glob(f"{chapter}-*.ipynb")
    cells = nbformat.read(page, as_version=4).cells
    ask = rf'(?m)check\("{re.escape(name)}", ([^`]+?)\)(?:`|$)'
    asked = [re.search(ask, cell.source) for cell in cells if cell.cell_type == "markdown"]
    solved = [re.search(ask, cell.source) for cell in cells if is_solution(cell)]
    assert [found[1] for found in asked if found] == [found[1] for found in solved if found] != []
    assert any(f"### Exercise {number}:" in found.string for found in asked if found)


def test_right_is_said_in_one_line_and_random_numbers_go_on(capsys):
    check("03.4", lambda sizes: sum((n + 1) * m for n, m in zip(sizes, sizes[1:], strict=False)))
    assert (
        capsys.readouterr().out
        == "✓ Exercise 03.4: weights and biases of fully connected layers, of whatever sizes\n"
    )
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with pytest.raises(NotYet, match="TypeError"):
        check("03.2", lambda: None)
    assert torch.rand(2).equal(expected)


def test_an_answer_that_stops_is_told_where():
    def crashes(sizes):
        return sizes[0] / unknown  # noqa: F821

    with pytest.raises(NotYet, match="your code stopped at `return sizes.*` with NameError: name 'unknown'"):
        check("03.4", crashes)


@pytest.mark.parametrize("answer", [lambda sizes: None, lambda sizes: print(7), 1_486_352, None])
def test_an_answer_of_another_kind_is_told_so(answer):
    with pytest.raises(NotYet, match="of another kind than the exercise asks for"):
        check("03.4", answer)


def test_a_notebook_shows_the_diagnosis_alone():
    assert NotYet("Exercise 03.2: no")._render_traceback_() == ["✗ Exercise 03.2: no"]


@pytest.mark.parametrize("name", ["03.9", "99.1", "3.2", "", None, 3.2, "../x"])
def test_an_unknown_exercise_is_one_clear_error(name):
    with pytest.raises(InputError, match="no checker of exercise"):
        check(name, None)
    assert not [key for key in exercises.CHECKERS if key == name]
