"""Faces with known hair and eyes: a folder of pictures, and the tags.csv in it that names their colours.

A row is a line: the picture's id, then its tags. The id is the name of the file without its extension; with it,
it is the same picture. It ends at the first comma, tab, semicolon or bar, and the tags may be parted by any of
these, in one field or in several, quoted or not, and by their counts ("blue hair:8448").

Of the tags, "<colour> hair" and "<colour> eyes" are read, in any case, also as blue_hair, "blue eye", "blond
hair" and "grey eyes". The colour is the word just before: "light blue hair" is blue, "long hair" says nothing.
"red hair ornament" is not hair where it stands by itself, nor is red_hair_ornament among tags parted by spaces.
But where tags of several words are parted by spaces alone ("red eyes red hair ornament"), nothing tells where
one ends, and it is read as red hair: in such a file, mend or remove that row.
"""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path, PurePath
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ganbook.avatars import EYES, HAIR
from ganbook.data import ImageSet
from ganbook.errors import InputError
from ganbook.folders import PARTS, existing, open_folder

COLOURS = {"hair": HAIR, "eyes": (*EYES, "gray")}  # a label is the place in this order
SYNONYMS = {"blond": "blonde", "grey": "gray"}
NOUNS = {"hair": "hair", "eye": "eyes", "eyes": "eyes"}

NO_ID, REPEATED, NO_ROW = "row without an id", "repeated row", "no row in tags.csv"
NO_PICTURE, UNUSABLE, AMBIGUOUS = "no picture", "picture cannot be used", "several files of this name"
EXAMPLE = "a row looks like 12,blue hair,red eyes"

LONGEST = 100_000  # bytes of a line: below the 131,072 characters that csv allows a field
MARK = re.compile(r'(?:\s*"[^"]*")?[^,\t;|]*([,\t;|])')  # the one after the id, which may be quoted
BETWEEN = re.compile(r"[,\t;|]|:\s*[\d.]+")  # two tags: a mark, or the count of the first
NOT_WORDS = str.maketrans(dict.fromkeys("_'\"[]", " "))  # a list as Python prints it is read too


class Tags(NamedTuple):
    """What a tags.csv says."""

    labels: dict[str, tuple[int, int]]  # id -> (hair, eyes), each a place in COLOURS
    unlabelled: dict[str, str]  # id -> why its row gives no labels
    left_out: dict[str, int]  # why -> how many rows


class Tagged(NamedTuple):
    """The pictures of one part of a folder whose hair and eye colours are known."""

    images: ImageSet  # labels (N, 2) int64: hair, eyes
    skipped: dict[str, str]  # path below the folder -> why this file cannot be used, as open_folder says
    parts: dict[str, int]  # pictures with labels in train, valid and test
    left_out: dict[str, int]  # why -> pictures of the whole folder, or rows where there is no picture

    def report(self) -> str:
        """A few lines for the user: how many pictures, what was left out and why, the colours of this part."""
        lines = [f"{sum(self.parts.values())} pictures with hair and eye colours ({listed(self.parts)})"]
        if self.left_out:
            lines.append(f"left out: {listed(self.left_out)}")
        for (kind, colours), column in zip(self.images.classes.items(), self.images.labels.T, strict=True):
            tally = Counter(colours[i] for i in column.sort().values.tolist())
            lines.append(f"{kind} of the {len(self.images)} in use: {listed(dict(tally.most_common()))}")
        return "\n".join(lines)


def listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{what} {n}" for what, n in counts.items())


def open_tagged(
    folder: str | Path, size: int, *, channels: int = 3, part: str = "train", seed: int = 0, workers: int = 0
) -> Tagged:
    """The pictures in folder and below it that folder/tags.csv gives one hair and one eye colour.

    Split and decoded as open_folder does it, with its options; a picture that is left out moves no other. Two
    files that share an id are both left out, for the row may mean either. Raises InputError.
    """
    folder = existing(folder)
    tags = read_tags(folder / "tags.csv")
    options = {"channels": channels, "seed": seed, "workers": workers}
    chosen = open_folder(folder, size, part=part, **options)
    others = [p for p in PARTS if p != part and chosen.parts[p]]  # open_folder refuses an empty part
    files = {p: [] for p in PARTS} | {part: chosen.files}
    files |= {p: open_folder(folder, size, part=p, **options).files for p in others}
    why = reasons([path for p in PARTS for path in files[p]], chosen.skipped, tags)
    used = {p: [i for i, path in enumerate(files[p]) if not why[path]] for p in PARTS}
    left_out = count_left_out(why, chosen.skipped, tags)
    if not used[part]:
        raise InputError(
            f"{folder} has no picture for {part} whose hair and eye colours are known ({listed(left_out)}): "
            "give more pictures, or mend tags.csv"
        )
    labels = torch.tensor([tags.labels[picture_id(files[part][i])] for i in used[part]])
    images = ImageSet(folder.name, rows_of(chosen.images, used[part]), labels, COLOURS)
    return Tagged(images, chosen.skipped, {p: len(used[p]) for p in PARTS}, left_out)


def rows_of(images: Tensor, rows: list[int]) -> Tensor:
    """Some of the pictures, in memory; all of them as they are, for a large folder is mapped from the disk."""
    return images if len(rows) == len(images) else images[rows]


def reasons(files: list[str], skipped: dict[str, str], tags: Tags) -> dict[str, str]:
    """Why each of these pictures cannot be given its labels; "" where it can."""
    sharing = Counter(map(picture_id, [*files, *skipped]))  # the row may mean one that cannot be used

    def reason(name: str) -> str:
        if name not in tags.labels:
            return tags.unlabelled.get(name, NO_ROW)
        return AMBIGUOUS if sharing[name] > 1 else ""

    return {path: reason(picture_id(path)) for path in files}


def count_left_out(why: dict[str, str], skipped: dict[str, str], tags: Tags) -> dict[str, int]:
    """Pictures by the reason in why, then rows that have no usable picture or are none: most frequent first."""
    usable, unusable = set(map(picture_id, why)), set(map(picture_id, skipped))
    counts = Counter(reason for reason in why.values() if reason)
    counts.update(
        UNUSABLE if name in unusable else NO_PICTURE
        for name in [*tags.labels, *tags.unlabelled]
        if name not in usable
    )
    counts.update({reason: n for reason, n in tags.left_out.items() if reason in (NO_ID, REPEATED)})
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def picture_id(path: str) -> str:
    return without_extension(PurePath(path).name)


def without_extension(name: str) -> str:
    """The name without the extension of a picture: "12" of "12.jpg", but all of "vol.2"."""
    root, extension = os.path.splitext(name)
    return root if extension.lower() in Image.registered_extensions() else name


# The file.


def read_tags(path: Path) -> Tags:
    """The labels in a tags.csv. Raises InputError, also where two rows of one id give other labels.

    The first row is passed over as a header if it names no colour and has no digit in its first field.
    """
    first, counts = {}, Counter()  # id -> line, labels or None, why not
    for i, (line, name, tags) in enumerate(rows(path)):
        found = colours(tags)
        if i == 0 and not any(found.values()) and not re.search(r"\d", name):
            continue
        if not name:
            counts[NO_ID] += 1
            continue
        row = (line, *judge(found))
        earlier = first.setdefault(name, row)
        if earlier[1] != row[1]:
            raise InputError(
                f"{path}: lines {earlier[0]} and {line} give {name!r:.60} other colours: keep one of the two"
            )
        counts[REPEATED if earlier is not row else row[2]] += 1
    labels = {name: labels for name, (_, labels, _) in first.items() if labels is not None}
    del counts[""]
    if not labels:
        seen = f"{counts.total()} rows ({listed(counts)}), none" if counts else "no rows"
        raise InputError(f"{path} has {seen} with one hair and one eye colour: {EXAMPLE}")
    return Tags(labels, {name: why for name, (_, _, why) in first.items() if why}, dict(counts))


def judge(found: dict[str, set[str]]) -> tuple[tuple[int, int] | None, str]:
    """The labels of a picture with these colours, or None and why."""
    wrong = []
    for noun, names in zip(("hair", "eye"), found.values(), strict=True):
        if len(names) != 1:
            wrong.append(f"two {noun} colours" if names else f"no {noun} colour")  # or more than two
    if wrong:
        return None, " and ".join(wrong)
    hair, eyes = (COLOURS[kind].index(*names) for kind, names in found.items())
    return (hair, eyes), ""


def colours(tags: str) -> dict[str, set[str]]:
    """The colours that these tags give to each kind, by the names in COLOURS."""
    found = {kind: set() for kind in COLOURS}
    for tag in separate(tags.lower()):
        words = tag.translate(NOT_WORDS).split()
        nouns = [word in NOUNS for word in words]
        if sum(nouns) == 1 and not nouns[-1]:
            continue  # a red hair ornament; with more nouns, it is several tags run together
        for before, word in pairwise(words):
            kind, colour = NOUNS.get(word), SYNONYMS.get(before, before)
            if kind and colour in COLOURS[kind]:
                found[kind].add(colour)
    return found


def separate(tags: str) -> Iterator[str]:
    """One tag at a time, where that can be told; spaces part those that are written with underscores."""
    for tag in BETWEEN.split(tags):
        yield from tag.split() if "_" in tag else [tag]


def rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Number of the line, id and tags, of each line that is not blank. Raises InputError.

    A row never goes on in the next line, so that a quote left open cannot swallow the rows below it.
    """
    for number, text in lines(path):
        mark = MARK.match(text)
        try:
            # An open quote takes in the empty line, and then there is one row instead of two.
            row, *rest = csv.reader([text, ""], delimiter=mark[1] if mark else ",", skipinitialspace=True)
            if not rest:
                raise csv.Error("a quote is opened and not closed")
        except csv.Error as error:
            raise InputError(f"{path}, line {number} cannot be read ({error}): {EXAMPLE}") from error
        yield number, without_extension(row[0].strip()), ",".join(row[1:])


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not blank, and their numbers, one in memory at a time."""
    if not os.path.isfile(path):  # a pipe could be read for ever
        state = "is not a file" if os.path.lexists(path) else "is not there"
        raise InputError(f"{path} {state}: put the file of tags there; {EXAMPLE}")
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST + 1), b""), 1):
                text = decoded(line, f"{path}, line {number}").removeprefix("\ufeff" * (number == 1))
                if text.strip():
                    yield number, text
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): make it readable") from error


def decoded(line: bytes, where: str) -> str:
    if len(line) > LONGEST:
        raise InputError(f"{where} is longer than {LONGEST:,} bytes: is this a file of tags? {EXAMPLE}")
    try:
        text = line.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where} is not UTF-8 (byte {error.start + 1} is 0x{line[error.start]:02x}): save the file as UTF-8"
        ) from error
    if "\0" in text or "\r" in text:
        raise InputError(f"{where} holds a NUL or a lone carriage return: save the file as plain UTF-8 text")
    return text
