"""Pages that the book writes about itself: the map, its numbers, the page for instructors, the reference.

A Sphinx extension. Where a page holds a line such as `<!-- ganbook: map -->`, the text that the function of this
name in PARTS returns stands in its place before the page is read. What is told is read off the chapters that are
being built, so it cannot differ from them.
"""

import ast
import json
import re
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import click
import nbformat
import yaml
from mdit_py_plugins.anchors.index import slugify

from ganbook.errors import InputError
from ganbook.records import CHAPTER_TIMES, RECORDS
from ganbook.runner import count_claims, find_files
from ganbook.soak import ARITHMETICS, digest, read_soak

MARKER = re.compile(r"^<!-- ganbook: (.+) -->$", re.MULTILINE)
WORDS_A_MINUTE = 200  # of careful reading
LINE = 60  # characters
UNSORTED = "Not sorted by symptom yet"


class Section(NamedTuple):
    """A heading of a chapter and the text below it, code left out."""

    level: int
    title: str
    text: str

    @property
    def anchor(self) -> str:
        return slugify(self.title)


def opening(paragraph: str) -> str:
    """As many of its first sentences as make a line."""
    first, *others = re.split(r"(?<=[.?!]) ", paragraph)
    for sentence in others:
        if len(first) >= LINE:
            break
        first += f" {sentence}"
    return re.sub(r":$", ".", first)


class Chapter:
    """What a chapter says about itself."""

    def __init__(self, path: Path, part: str):
        self.path, self.name, self.part = path, path.stem, part
        self.number = self.name.split("-")[0]
        notebook = nbformat.read(path, as_version=4)
        texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        self.text = "\n\n".join(texts)
        self.claims = count_claims(path)

    @cached_property
    def sections(self) -> list[Section]:
        """By its headings; none is inside a block of code."""
        parts = re.split(r"^(#+) (.+)$", re.sub(r"^```.*?^```", "", self.text, flags=re.M | re.S), flags=re.M)
        return [
            Section(len(level), title.strip(), text)
            for level, title, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
        ]

    @property
    def title(self) -> str:
        return self.sections[0].title

    def paragraph(self, lead: str) -> str:
        """What follows a lead such as "You should know" in bold; nothing where there is no such paragraph."""
        found = re.search(rf"^\*\*{lead}\*\* (.+)$", self.text, re.M)
        return found[1] if found else ""

    @cached_property
    def needs(self) -> list[str]:
        """The chapters that "You should know" links to."""
        links = re.findall(r"\]\((\d\d-[\w-]+)\.ipynb", self.paragraph("You should know"))
        return sorted(set(links))

    @property
    def exercises(self) -> list[Section]:
        return [s for s in self.sections if s.title.startswith("Exercise ")]

    @property
    def questions(self) -> int:
        return sum(len(re.findall(r"^\*\*\d+\. .+\*\*$", s.text, re.M)) for s in self.sections)

    @property
    def mistakes(self) -> dict[str, str]:
        """The bold words that each common mistake begins with, and how it goes on."""
        texts = (s.text for s in self.sections if s.title == "Common mistakes")
        found = [pair for text in texts for pair in re.findall(r"^\*\*(.+?)\*\* (.+)$", text, re.M)]
        return {title: opening(text).replace("](#", f"]({self.path.name}#") for title, text in found}

    @property
    def minutes_to_read(self) -> int:
        return max(1, round(len(self.text.split()) / WORDS_A_MINUTE))

    def link(self, text: str = "", anchor: str = "") -> str:
        return f"[{text or self.title}]({self.path.name}{'#' + anchor if anchor else ''})"


class Book:
    """The chapters in a folder of sources, in reading order, and how long each took."""

    def __init__(self, source: Path):
        self.source = source
        toc = yaml.safe_load((source / "_toc.yml").read_text())
        listed = [(name, part.get("caption", "")) for part in toc["parts"] for name in find_files(part)]
        paths = [(source / f"{name}.ipynb", part) for name, part in listed]
        self.chapters = {p.stem: Chapter(p, part) for p, part in paths if p.is_file()}
        self.times = json.loads(CHAPTER_TIMES.read_text())
        report = source / "report.json"
        self.report = json.loads(report.read_text()) if report.is_file() else None

    @cached_property
    def rows(self) -> dict[str, dict]:
        """Per chapter: seconds, processor and date, from the runner's report where it has them."""
        known = {name: dict(self.times[name]) for name in self.chapters if name in self.times}
        if self.report:
            where = {"processor": self.report["processor"], "date": self.report["date"][:10]}
            known |= {row["chapter"]: {**row, **where} for row in self.report["chapters"]}
        return {name: row for name, row in known.items() if name in self.chapters}

    @cached_property
    def alone(self) -> dict[str, float]:
        """Per chapter: the seconds that it takes when it has the machine to itself."""
        rows = self.times if self.report and self.report["at_once"] > 1 else self.rows
        return {name: rows[name]["seconds"] for name in self.chapters if name in rows}

    def seconds(self, name: str) -> str:
        return f"{self.alone[name]:.0f} s" if name in self.alone else "not timed yet"

    @property
    def claims(self) -> int:
        return sum(chapter.claims for chapter in self.chapters.values())


# What stands in the place of a marker.


def figures_of_the_book(book: Book) -> str:
    """One paragraph: how many chapters, claims and exercises, and how long all of it runs."""
    exercises = sum(len(chapter.exercises) for chapter in book.chapters.values())
    minutes = sum(book.alone.values()) / 60
    shown = (
        (len(book.chapters), "chapters"),
        (f"{book.claims:,}", "claims checked"),
        (exercises, "exercises with solutions"),
        (f"{minutes:.0f} min", "to run them all"),
    )
    items = "\n".join(f"- **{number}** {what}" for number, what in shown)
    return f"::::{{div}} book-numbers\n{items}\n::::"


def chart(book: Book) -> str:
    """The chapters from top to bottom; at their left an arc from each to those that need it."""
    places = {name: i for i, name in enumerate(book.chapters)}
    lines = []
    for name, chapter in book.chapters.items():
        needed = [book.chapters[other].link(other.split("-")[0]) for other in chapter.needs if other in places]
        after = f"after {joined(needed)}" if needed else "needs no other chapter"
        facts = f"{chapter.part} · {book.seconds(name)} · {after}"
        lines.append(f"1. {chapter.link(f'{chapter.number} {chapter.title}')}\\\n   {facts}")
    arcs = [
        arc(places[other], places[name])
        for name, chapter in book.chapters.items()
        for other in chapter.needs
        if other in places
    ]
    drawing = (
        f'<svg viewBox="0 0 100 {len(places)}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f"{''.join(arcs)}</svg>"
    )
    rows = "\n".join(lines)  # they say in words what the arcs say
    return f"::::{{div}} book-map\n```{{raw}} html\n{drawing}\n```\n\n{rows}\n::::"


def joined(words: list[str]) -> str:
    """One, two and three."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def arc(above: int, below: int) -> str:
    """From the right edge of one row to that of another, the further to the left the further apart they are."""
    x = max(4, 92 - 15 * (below - above))
    start, end = above + 0.5, below + 0.5
    return f'<path d="M 96 {start} C {x} {start + 0.15} {x} {end - 0.15} 96 {end}"/>'


def runs(book: Book) -> str:
    """A table: what each chapter took and how many of its claims held, and where that was measured."""
    lines = ["| Chapter | Claims that held | Seconds | Processor | Date |", "|---|--:|--:|---|---|"]
    for name, chapter in book.chapters.items():
        row = book.rows.get(name, {"processor": "–", "date": "–"})
        cells = (f"{row.get('seconds', 0):.0f}", row["processor"], unbroken(row["date"]))
        lines.append(f"| {chapter.link()} | {chapter.claims} | " + " | ".join(map(str, cells)) + " |")
    lines.append(f"| **All** | **{book.claims:,}** | {sum(r['seconds'] for r in book.rows.values()):.0f} | | |")
    if book.report:
        versions = ", ".join(f"{name} {number}" for name, number in book.report["versions"].items())
        made = f"The chapters of this copy were run on {book.report['date'][:10]} with {versions}"
        together = f", {book.report['at_once']} at a time: alone, each is faster"
        made += f"{together if book.report['at_once'] > 1 else ''}."
    else:
        made = (
            "This copy was built from the outputs that are stored with the chapters; the times are the records'."
        )
    return "\n".join(lines) + f"\n\n{made}"


def many_seeds(book: Book) -> str:
    """A table: of how many runs with other seeds, and with an older CPU's arithmetic, each chapter passed."""
    lines = ["| Chapter | Seeds | An older CPU's arithmetic | Last run |", "|---|--:|--:|---|"]
    noted, processors, torches = read_soak(), set(), set()
    for name, chapter in book.chapters.items():
        entry = noted.get(name, {})
        rows = entry if entry.get("code") == digest(chapter.path) else {}
        kept = {arithmetic: list(rows.get(arithmetic, {}).values()) for arithmetic in ARITHMETICS}
        both = sum(kept.values(), [])
        last = max((row["date"] for row in both), default="–")
        processors |= {row["processor"] for row in both}
        torches |= {row["torch"] for row in both}
        lines.append(f"| {chapter.link()} | {' | '.join(map(passes, kept.values()))} | {unbroken(last)} |")
    where = f"{', '.join(sorted(processors))}; torch {', '.join(sorted(torches))}" if torches else "nowhere yet"
    return "\n".join(lines) + f"\n\nRun on: {where}."


def passes(rows: list[dict]) -> str:
    """How many of these runs passed."""
    return f"{sum(not row['error'] for row in rows)} of {len(rows)}" if rows else "–"


def unbroken(date: str) -> str:
    """With hyphens at which no line ends."""
    return date.replace("-", "\N{NON-BREAKING HYPHEN}")


def full_runs(book: Book) -> str:
    """A table of the records: what a full run of each recipe took, where, and with which versions."""
    lines = [
        "| Record | Data | Seeds | CPU minutes a run | Date | torch | Commit |",
        "|---|---|--:|--:|---|---|---|",
    ]
    for path in sorted(RECORDS.glob("*/card.json")):
        card = json.loads(path.read_text())
        if "cpu_minutes" not in card.get("mean", {}):
            continue
        cells = (
            f"`{path.parent.name}`",
            card["data"],
            len(card["seeds"]),
            f"{card['mean']['cpu_minutes']:.0f}",
            unbroken(card["date"]),
            card["versions"]["torch"],
            card["commit"],
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def overview(book: Book) -> str:
    """A table for who plans a course: reading, running, exercises, questions."""
    lines = ["| Chapter | Needs | Reading | Running | Exercises | Questions |", "|---|---|--:|--:|--:|--:|"]
    for name, chapter in book.chapters.items():
        needs = ", ".join(book.chapters[n].link(n.split("-")[0]) for n in chapter.needs if n in book.chapters)
        cells = (needs or "–", f"{chapter.minutes_to_read} min", book.seconds(name), len(chapter.exercises))
        shown = f"{chapter.number} {chapter.title}"
        lines.append(f"| {chapter.link(shown)} | " + " | ".join(map(str, cells)) + f" | {chapter.questions} |")
    return "\n".join(lines)


def assignments(book: Book) -> str:
    """Chapter by chapter: what its readers can do afterwards, and its exercises."""
    blocks = []
    for chapter in book.chapters.values():
        exercises = "\n".join(f"- {chapter.link(s.title, s.anchor)}" for s in chapter.exercises)
        able = chapter.paragraph("You will be able to")
        blocks.append(f"### {chapter.number} {chapter.title}\n\nReaders will be able to {able}\n\n{exercises}")
    return "\n\n".join(blocks)


def sorted_mistakes(book: Book) -> dict[str, list[tuple[Chapter, str]]]:
    """The common mistakes of all chapters by symptom, as book/symptoms.yml sorts them; the rest comes last."""
    symptoms = yaml.safe_load((book.source / "book" / "symptoms.yml").read_text())
    of = {entry: symptom for symptom, entries in symptoms.items() for entry in entries}
    groups = {symptom: [] for symptom in [*symptoms, UNSORTED]}
    for chapter in book.chapters.values():
        for mistake in chapter.mistakes:
            groups[of.get(f"{chapter.number}: {mistake}", UNSORTED)].append((chapter, mistake))
    return {symptom: found for symptom, found in groups.items() if found}


def mistakes(book: Book) -> str:
    """All common mistakes, grouped by what the reader sees."""
    blocks = []
    for symptom, found in sorted_mistakes(book).items():
        lines = [
            f"- **{title}** {chapter.mistakes[title]} ({chapter.link(anchor='common-mistakes')})"
            for chapter, title in found
        ]
        blocks.append(f"## {symptom}\n\n" + "\n".join(lines))
    return "\n\n".join(blocks)


# The reference.


def modules() -> dict[str, Path]:
    """The package's modules by name, each with its source."""
    package = RECORDS.parent
    alone = {path.stem: path for path in package.glob("[a-z]*.py")}
    return dict(sorted((alone | {p.parent.name: p for p in package.glob("[a-z]*/__init__.py")}).items()))


def reference(book: Book, *names: str) -> str:
    """The public names of these modules, from their docstrings; `rest`: of all that no other page names."""
    if names == ("rest",):
        pages = "\n".join(path.read_text() for path in (book.source / "book").glob("*.md"))
        named = {
            name
            for words in re.findall(r"^<!-- ganbook: reference (.+) -->$", pages, re.M)
            for name in words.split()
        }
        names = tuple(name for name in modules() if name not in named)
    blocks = [f"## {name}\n\n```{{eval-rst}}\n.. automodule:: ganbook.{name}\n   :members:\n```" for name in names]
    return "\n\n".join(blocks)


def commands(book: Book) -> str:
    """What `ganbook --help` and the help of each command say."""
    from ganbook.__main__ import cli

    blocks = []
    for name, command in sorted(cli.commands.items()):
        context = click.Context(command, info_name=f"ganbook {name}", max_content_width=85, terminal_width=85)
        blocks.append(f"## ganbook {name}\n\n```text\n{command.get_help(context)}\n```")
    return "\n\n".join(blocks)


@cache
def public_names() -> dict[str, str]:
    """Where each documented function and class of the package lives; names that two modules have are left out."""
    homes = {}
    for module, path in modules().items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                homes.setdefault(node.name, []).append((f"ganbook.{module}.{node.name}", ast.get_docstring(node)))
    return {name: found[0][0] for name, found in homes.items() if len(found) == 1 and found[0][1]}


def as_rst(line: str, homes: dict[str, str]) -> str:
    """A line of our docstrings as reStructuredText: `code` is code, or a link to what it names; no other marks."""
    pieces = line.split("`")
    if len(pieces) % 2 == 0:  # a mark without its other half stays a mark
        pieces[-2:] = ["`".join(pieces[-2:])]
    for i, piece in enumerate(pieces):
        if i % 2:
            pieces[i] = f":py:obj:`~{homes[piece]}`" if piece in homes else f"``{piece}``"
        else:
            pieces[i] = re.sub(r"([\\*|_`])", r"\\\1", piece)
    return "".join(pieces)


# The extension.


PARTS = {
    "numbers": figures_of_the_book,
    "map": chart,
    "runs": runs,
    "seeds": many_seeds,
    "records": full_runs,
    "overview": overview,
    "assignments": assignments,
    "mistakes": mistakes,
    "reference": reference,
    "commands": commands,
}


def filled(text: str, book: Book) -> str:
    """A page with what belongs in the place of its markers."""

    def part(found: re.Match) -> str:
        name, *words = found[1].split()
        if name not in PARTS:
            raise InputError(f"no part of a page is called {name!r}: choose from {', '.join(PARTS)}")
        return PARTS[name](book, *words)

    return MARKER.sub(part, text)


def fill(app, docname: str, content: list[str]) -> None:
    if MARKER.search(content[0]):
        content[0] = filled(content[0], Book(Path(app.srcdir)))


def format_docstring(app, what, name, obj, options, lines: list[str]) -> None:
    homes = public_names()
    lines[:] = [as_rst(line, homes) for line in lines]


def skip_fields(app, what, name, obj, skip, options) -> bool | None:
    """The fields of a NamedTuple stand in its signature; "Alias for field number 0" tells nobody more."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app) -> dict:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("source-read", fill)
    app.connect("autodoc-process-docstring", format_docstring)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True}
