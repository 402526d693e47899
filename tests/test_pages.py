"""Pages that the book writes about itself, held to the chapters by other means than those that wrote them."""

import ast
import json
import re
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_markdown_cell, new_notebook

from ganbook import pages
from ganbook.errors import InputError
from ganbook.pages import PARTS, UNSORTED, Book, as_rst, filled, opening, sorted_mistakes
from ganbook.soak import digest
from tests.conftest import TOP

NOTEBOOKS = sorted((TOP / "book").glob("[0-9]*.ipynb"))


@pytest.fixture(scope="module")
def book():
    return Book(TOP)


@pytest.fixture
def small(tmp_path):
    """A book of two chapters, the second of which needs the first."""
    (tmp_path / "book").mkdir()
    (tmp_path / "_toc.yml").write_text(
        "root: book/index\nparts:\n- caption: One\n  chapters:\n  - file: book/01-one\n"
        "- caption: Two\n  chapters:\n  - file: book/words\n  - file: book/02-two\n"
    )
    (tmp_path / "book" / "symptoms.yml").write_text(
        'It stops:\n  - "02: Too large."\n  - "07: Not in this book."\n'
    )
    one = """# The one

**You will be able to** count.

```
# no heading
```

## Exercises

### Exercise 1: `a * b`"""
    two = """# The two

**You should know** [the one](01-one.ipynb#x), [it again](01-one.ipynb), [words](words.md).

## Common mistakes

**Too large.** See [above](#the-two):

**Too small.** A sentence that is as long as a line of this page stands alone. Not this one.

## Check yourself

**1. What is it?**

**Not a mistake.** No."""
    for name, text in (("01-one", one), ("02-two", two)):
        nbformat.write(new_notebook(cells=[new_markdown_cell(text)]), tmp_path / "book" / f"{name}.ipynb")
    return tmp_path


# What is read off a chapter.


def test_what_a_chapter_says_about_itself(small):
    one, two = Book(small).chapters.values()
    assert [section.title for section in one.sections] == ["The one", "Exercises", "Exercise 1: `a * b`"]
    assert (one.title, one.number, one.part, one.needs) == ("The one", "01", "One", [])
    assert one.paragraph("You will be able to") == "count." and two.paragraph("You will be able to") == ""
    assert [(s.title, s.anchor) for s in one.exercises] == [("Exercise 1: `a * b`", "exercise-1-a--b")]
    assert (two.needs, two.part, two.questions, one.questions) == (["01-one"], "Two", 1, 0)
    assert two.mistakes == {
        "Too large.": "See [above](02-two.ipynb#the-two).",
        "Too small.": "A sentence that is as long as a line of this page stands alone.",
    }


def test_opening():
    assert opening("Not so. It goes on.") == "Not so. It goes on."
    assert opening(f"{'long ' * 20}end. Left out.") == f"{'long ' * 20}end."
    assert opening("Look here:") == "Look here."


def test_each_chapter_says_what_the_pages_ask_of_it(book):
    assert [f"{name}.ipynb" for name in sorted(book.chapters)] == [path.name for path in NOTEBOOKS]
    for chapter in book.chapters.values():
        assert chapter.paragraph("You will be able to") and chapter.paragraph("You should know"), chapter.name
        assert len(chapter.exercises) >= 5 and chapter.questions >= 4 and chapter.claims > 10, chapter.name
        assert chapter.name in book.rows, f"{chapter.name} was never timed: ganbook outputs {chapter.number}"


# The parts.


def test_the_numbers_are_those_of_the_chapters(book):
    ticks = exercises = 0
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text())["cells"]:
            lines = [
                line for out in cell.get("outputs", []) for line in out.get("text", []) if out["name"] == "stdout"
            ]
            ticks += sum(line.startswith("✓ ") for line in lines)
            exercises += sum(line.startswith("### Exercise ") for line in cell["source"])
    text = PARTS["numbers"](book)
    assert f"**{len(NOTEBOOKS)}** chapters" in text
    assert f"**{ticks:,}** claims" in text and f"**{exercises}** exercises" in text


def test_the_map_shows_each_chapter_and_an_arc_for_each_need(book):
    text = PARTS["map"](book)
    rows = re.findall(r"^1\. \[(\d\d) .+?\]\((.+?)\)", text, re.M)
    assert [f"book/{name}" for _, name in rows] == [str(path.relative_to(TOP)) for path in NOTEBOOKS]
    needs = {(a.number, n[:2]) for a in book.chapters.values() for n in a.needs}
    assert text.count("<path ") == len(needs) >= len(NOTEBOOKS)
    order = [number for number, _ in rows]
    assert all(order.index(needed) < order.index(number) for number, needed in needs), "arcs lead downwards"
    in_words = re.findall(r"^1\. \[(\d\d) .+\n.* · (?:after (.+)|needs no other chapter)$", text, re.M)
    assert {(n, other) for n, said in in_words for other in re.findall(r"\[(\d\d)\]", said)} == needs


def test_joined():
    assert [pages.joined(list(x)) for x in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]


def test_the_runners_report_comes_before_the_records(small):
    book = Book(small)
    book.times = {"01-one": {"seconds": 5, "processor": "old", "date": "2020-01-01"}, "gone": {"seconds": 9}}
    assert "stored with the chapters" in PARTS["runs"](book) and book.seconds("02-two") == "not timed yet"
    report = {
        "date": "2026-11-22T00:26:20+00:00",
        "processor": "new",
        "at_once": 1,
        "versions": {"torch": "2.15.0"},
        "chapters": [{"chapter": "02-two", "seconds": 7.4}, {"chapter": "gone", "seconds": 1}],
    }
    (small / "report.json").write_text(json.dumps(report))
    book = Book(small)
    book.times = {"01-one": {"seconds": 5, "processor": "old", "date": "2020-01-01"}}
    text = PARTS["runs"](book).replace("\N{NON-BREAKING HYPHEN}", "-")
    assert "| [The one](01-one.ipynb) | 0 | 5 | old | 2020-01-01 |" in text
    assert "| [The two](02-two.ipynb) | 0 | 7 | new | 2026-11-22 |" in text
    assert "| **0** | 12 |" in text and "run on 2026-11-22 with torch 2.15.0." in text
    assert book.seconds("02-two") == "7 s"


def test_times_of_chapters_that_shared_the_machine_are_told_apart(small):
    report = {
        "date": "2026-11-22T00:26:20+00:00",
        "processor": "new",
        "at_once": 2,
        "versions": {"torch": "2.15.0"},
        "chapters": [{"chapter": "01-one", "seconds": 7.4}],
    }
    (small / "report.json").write_text(json.dumps(report))
    book = Book(small)
    book.times = {"01-one": {"seconds": 5, "processor": "old", "date": "2020-01-01"}}
    assert book.seconds("01-one") == "5 s" and book.seconds("02-two") == "not timed yet"
    assert "| 0 | 7 | new |" in PARTS["runs"](book) and "2.15.0, 2 at a time: alone" in PARTS["runs"](book)


def test_the_full_runs_are_those_of_the_records(book):
    shown = re.findall(r"^\| `([\w-]+)` \|", PARTS["records"](book), re.M)
    weights = (TOP / "ganbook" / "records").glob("*/G.safetensors")
    assert set(shown) == {path.parent.name for path in weights}


def test_runs_with_other_seeds_count_while_the_code_is_the_same(small, monkeypatch):
    passed = {"error": None, "processor": "a CPU", "torch": "2.0", "date": "2026-01-02"}
    failed = passed | {"error": "cell 3"}
    noted = {
        name: {"code": digest(small / "book" / f"{name}.ipynb"), "own": {"0": passed, "1": failed}}
        for name in ("01-one", "02-two")
    }
    noted["01-one"]["avx2"] = {"0": passed | {"date": "2026-01-03"}}
    noted["02-two"]["code"] = "of another text"
    monkeypatch.setattr("ganbook.pages.read_soak", lambda: noted)
    first, second, _, processors = (
        PARTS["seeds"](Book(small)).replace("\N{NON-BREAKING HYPHEN}", "-").splitlines()[2:]
    )
    assert first.endswith("(01-one.ipynb) | 1 of 2 | 1 of 1 | 2026-01-03 |")
    assert second.endswith("(02-two.ipynb) | – | – | – |")
    assert processors == "Run on: a CPU; torch 2.0."


def test_assignments_link_to_every_exercise(small, book):
    text = PARTS["assignments"](Book(small))
    assert "- [Exercise 1: `a * b`](01-one.ipynb#exercise-1-a--b)" in text
    assert "### 01 The one\n\nReaders will be able to count." in text
    assert PARTS["assignments"](book).count("- [Exercise ") == sum(
        len(c.exercises) for c in book.chapters.values()
    )
    assert PARTS["overview"](Book(small)).count("| 1 min |") == 2


def test_each_common_mistake_is_sorted_by_its_symptom_and_none_is_gone(book):
    """Failing? Put the new mistake into book/symptoms.yml under what its victim sees, or take the old one out."""
    listed = yaml.safe_load((TOP / "book" / "symptoms.yml").read_text())
    numbers = {chapter.number for chapter in book.chapters.values()}
    entries = [entry for symptom in listed.values() for entry in symptom if entry[:2] in numbers]
    made = [f"{chapter.number}: {title}" for chapter in book.chapters.values() for title in chapter.mistakes]
    assert sorted(entries) == sorted(made)
    assert PARTS["mistakes"](book).count("#common-mistakes))") == len(made)


def test_a_mistake_that_is_not_sorted_comes_last(small):
    book = Book(small)
    assert {symptom: [title for _, title in found] for symptom, found in sorted_mistakes(book).items()} == {
        "It stops": ["Too large."],
        UNSORTED: ["Too small."],
    }
    assert "- **Too large.** See [above](02-two.ipynb#the-two). ([The two](" in PARTS["mistakes"](book)


# The reference.


def test_each_module_is_on_one_page_of_the_reference(book):
    texts = (path.read_text() for path in sorted((TOP / "book").glob("api*.md")))
    shown = re.findall(
        r"^\.\. automodule:: ganbook\.(\w+)$", "\n".join(filled(text, book) for text in texts), re.M
    )
    modules = {path.stem for path in (TOP / "ganbook").glob("[a-z]*.py")}
    assert sorted(shown) == sorted(modules | {"exercises"})


def test_what_chapters_and_pages_import_is_documented():
    """A name without a docstring is not in the reference."""
    texts = [path.read_text() for path in [TOP / "README.md", *(TOP / "book").glob("*.md")]]
    for path in NOTEBOOKS:
        texts += [cell.source for cell in nbformat.read(path, as_version=4).cells]
    found = re.findall(r"^from (ganbook\.\w+) import (?:\(([^)]+)\)|(.+))$", "\n".join(texts), re.M)
    names = {(module, name.strip()) for module, a, b in found for name in (a or b).split(",") if name.strip()}
    assert len(names) > 80
    missing = []
    for module, name in names:
        value = getattr(import_module(module), name.split(" as ")[0])
        if (callable(value) or isinstance(value, type)) and module == getattr(value, "__module__", ""):
            tree = ast.parse(Path(import_module(module).__file__).read_text())
            (node,) = [n for n in tree.body if getattr(n, "name", "") == name]
            if not ast.get_docstring(node):
                missing.append(f"{module}.{name}")
    assert not missing, f"used on a page and without a docstring: {sorted(missing)}"


def test_docstrings_as_restructured_text():
    homes = {"fit": "ganbook.training.fit"}
    assert as_rst("Calls `fit` with `x_*`.", homes) == "Calls :py:obj:`~ganbook.training.fit` with ``x_*``."
    assert as_rst("D* of |x| and z_", homes) == r"D\* of \|x\| and z\_"
    assert as_rst("`a` and an odd ` mark", homes) == r"``a`` and an odd \` mark"
    assert pages.public_names()["train_step"] == "ganbook.training.train_step"
    assert "mlp" not in pages.public_names()  # recipes and published both have one, and neither is the one


def test_every_command_is_shown_with_its_help(book):
    from ganbook.__main__ import cli

    text = PARTS["commands"](book)
    assert re.findall(r"^## ganbook (\S+)$", text, re.M) == sorted(cli.commands)
    assert "Usage: ganbook train [OPTIONS] RECIPE" in text and "--best-of" in text


# Markers.


def test_markers_are_filled_and_a_wrong_one_is_an_error(small):
    book = Book(small)
    assert filled("a\n<!-- ganbook: numbers -->\nb", book) == f"a\n{PARTS['numbers'](book)}\nb"
    assert (
        filled("in a line <!-- ganbook: numbers --> nothing", book)
        == "in a line <!-- ganbook: numbers --> nothing"
    )
    with pytest.raises(InputError, match="no part of a page is called 'nmbers': choose from numbers, map"):
        filled("<!-- ganbook: nmbers -->", book)


def test_every_part_is_used_on_a_page():
    used = re.findall(r"^<!-- ganbook: (\w+)", "\n".join(p.read_text() for p in (TOP / "book").glob("*.md")), re.M)
    assert set(used) == set(PARTS)
