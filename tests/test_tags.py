"""Hair and eye colours from a tags.csv: every layout, what is left out and why, what is refused, which picture."""

import csv
import os
import random
import tracemalloc

import pytest
import torch
from PIL import Image

from ganbook import tags as module
from ganbook.avatars import EYES, HAIR
from ganbook.errors import InputError
from ganbook.folders import PARTS, open_folder
from ganbook.tags import COLOURS, NO_ID, NO_PICTURE, REPEATED, UNUSABLE, colours, open_tagged, read_tags


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "data"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "faces").mkdir()
    return tmp_path / "faces"


@pytest.fixture
def tags(tmp_path):
    """Writes a tags.csv and reads it."""

    def read(content):
        path = tmp_path / "tags.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_tags(path)

    return read


def number(i):
    """A picture that says which it is."""
    return Image.new("RGB", (2, 2), (i, 2 * i, 255 - i))


def save(folder, *names):
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        number(i).save(folder / name)


def label(hair, eyes):
    return COLOURS["hair"].index(hair), COLOURS["eyes"].index(eyes)


def one_line(error):
    message = str(error.value)
    assert message.isprintable() and len(message) < 600
    return message


AQUA, BLUE, BLACK = label("aqua", "aqua"), label("blue", "red"), label("black", "blue")
GOOD = "0,aqua hair aqua eyes\n"


def test_the_colours():
    assert COLOURS == {
        "hair": tuple("aqua black blonde blue brown gray green orange pink purple red white".split()),
        "eyes": tuple("aqua black blue brown green orange pink purple red yellow gray".split()),
    }
    assert COLOURS["hair"] == HAIR and COLOURS["eyes"][: len(EYES)] == EYES  # avatars have the same labels


# Layouts.

LAYOUTS = {  # of: 0 aqua and aqua, 1 blue and red, 0012 black and blue
    "one field": "0,aqua hair aqua eyes\n1,blue hair red eyes\n0012,black hair blue eyes\n",
    "one quoted field": '0,"aqua hair aqua eyes"\n1,"blue hair red eyes"\n0012,"black hair blue eyes"\n',
    "commas in quotes": '0,"aqua hair, aqua eyes"\n1,"blue hair,red eyes"\n0012,"smile, black hair, blue eyes"\n',
    "columns": "0,aqua hair,aqua eyes\n1,blue hair,red eyes\n0012,black hair,blue eyes\n",
    "columns turned": "0,aqua eyes,aqua hair\n1,red eyes,blue hair\n0012,blue eyes,long hair,black hair\n",
    "tabs": "0\taqua hair\taqua eyes\n1\tblue hair\tred eyes\n0012\tblack hair\tblue eyes\n",
    "tabs, one field": "0\taqua hair aqua eyes\n1\tblue hair red eyes\n0012\tblack hair blue eyes\n",
    "tabs, then commas": "0\taqua hair, aqua eyes\n1\tblue hair,red eyes\n0012\tblack hair,blue eyes\n",
    "tabs and quotes": '"0"\t"aqua hair, aqua eyes"\n"1"\t"blue hair,red eyes"\n"0012"\t"black hair, blue eyes"\n',
    "a comma, tabs, counts": (
        "0,touhou:17705\tchen:556\taqua eyes:8448\taqua hair:3211\t\n"
        "1,long hair:35\tblue hair:2\tred eyes:9\t\n0012,blue eyes:8448\tsolo:1\tblack hair:3211\n"
    ),
    "counts and spaces": "0,aqua hair:3 aqua eyes:4\n1,blue hair: 2 red eyes :1\n0012,black hair:1,blue eyes:.9\n",
    "semicolons": "0;aqua hair;aqua eyes\n1;blue hair;red eyes\n0012;black hair;blue eyes\n",
    "semicolons, quotes": '0;"aqua hair, aqua eyes"\n1;"blue hair, red eyes"\n0012;"black hair, blue eyes"\n',
    "semicolons inside": "0,aqua hair;aqua eyes\n1,blue hair; red eyes\n0012,black hair ;blue eyes;\n",
    "bars": "0,aqua hair|aqua eyes\n1,blue hair | red eyes\n0012,black hair|blue eyes|smile\n",
    "upper case": "0,AQUA HAIR,Aqua Eyes\n1,Blue hair,Red EYES\n0012,BLACK HAIR BLUE EYES\n",
    "spaces": '  0 ,  aqua   hair ,aqua eyes \n "1" , "blue hair"  , "red  eyes"  \n0012, black hair blue  eyes\n',
    "underscores": "0,aqua_hair,aqua_eyes\n1,blue_hair red_eyes\n0012,solo black_hair blue_eyes 1girl\n",
    "singular": "0,aqua hair,aqua eye\n1,blue hair red eye\n0012,black_hair,blue_eye\n",
    "with extensions": "0.jpg,aqua hair,aqua eyes\n1.PNG,blue hair,red eyes\n0012.webp,black hair,blue eyes\n",
    "a header": "id,tags\n0,aqua hair aqua eyes\n1,blue hair red eyes\n0012,black hair blue eyes\n",
    "a header of colours": "image,hair colour,eye colour\n0,aqua hair,aqua eyes\n1,blue hair,red eyes\n"
    "0012,black hair,blue eyes\n",
    "a header without a name": ",tags\n0,aqua hair aqua eyes\n1,blue hair red eyes\n0012,black hair blue eyes\n",
    "a BOM": "\ufeff0,aqua hair aqua eyes\n1,blue hair red eyes\n0012,black hair blue eyes\n",
    "a BOM and quotes": '\ufeff"0","aqua hair aqua eyes"\n1,blue hair red eyes\n0012,black hair blue eyes\n',
    "a BOM, a header": "\ufeffid,tags\n0,aqua hair aqua eyes\n1,blue hair red eyes\n0012,black hair blue eyes\n",
    "Windows": "0,aqua hair,aqua eyes\r\n1,blue hair,red eyes\r\r\n0012,black hair,blue eyes\r\n",
    "blank lines": "\n\n0,aqua hair,aqua eyes\n  \n1,blue hair,red eyes\r\n\r\n0012,black hair,blue eyes",
    "as Python prints": (
        "0,\"['aqua hair', 'aqua eyes']\"\n1,['blue hair', 'red eyes']\n0012,['black_hair' 'blue_eyes']\n"
    ),
    "other alphabets": "0,東方,aqua hair,aqua eyes\n1,blue hair,é,red eyes\n0012,black\u00a0hair,blue eyes\n",
    "a quoted tag": '0,"hi" x:5\taqua hair:1\taqua eyes:2\n1,5" x,blue hair,red eyes\n0012,black hair,blue eyes\n',
    "quotes between tabs": '0,x\t"aqua hair"\t"aqua eyes"\n1,blue hair red eyes\n0012,black hair blue eyes\n',
    "ornaments": (
        "0,red hair ornament,aqua hair,aqua eyes\n1\tred hair ornament\tblue hair\tred eyes\n"
        '0012,"red hair ornament, black hair, blue eyes"\n'
    ),
    "all at once": '0,aqua hair aqua eyes\n1\t"blue hair"\t"red eyes"\n0012;black_hair:3|blue_eyes:3\n',
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(layout, tags):
    read = tags(LAYOUTS[layout])
    assert read.labels == {"0": AQUA, "1": BLUE, "0012": BLACK}
    assert not read.left_out and not read.unlabelled


@pytest.mark.parametrize("kind", COLOURS)
def test_every_colour(kind):
    for colour in COLOURS[kind]:
        assert colours(f"{colour} {kind}")[kind] == {colour}


READ = {  # tags -> hair, eyes
    "blond hair": ("blonde", ""),
    "grey hair,grey eyes": ("gray", "gray"),
    "blond hair,blonde hair": ("blonde", ""),
    "red hair,red hair": ("red", ""),
    "light blue hair": ("blue", ""),
    "dark red hair grey eyes": ("red", "gray"),
    "long hair": ("", ""),
    "blue": ("", ""),
    "hair,eyes": ("", ""),
    "hair blue": ("", ""),
    "hair blue eyes red": ("", "blue"),
    "blue,hair": ("", ""),
    "yellow hair,white eyes": ("", ""),  # not in the vocabulary of this kind
    "yellow eyes": ("", "yellow"),
    "red eyeshadow,blue hairband": ("", ""),
    "red hair ornament": ("", ""),
    "Red_Hair_Ornament": ("", ""),
    "red hair ornament:42": ("", ""),
    "red hair ornament,blue hair": ("blue", ""),
    "red hair ornament\tblue hair": ("blue", ""),
    "red hair ornament; blue hair": ("blue", ""),
    "red hair ornament |blue hair": ("blue", ""),
    "red hair ornament:1 blue hair": ("blue", ""),
    "blue_hair red_hair_ornament red_eyes": ("blue", "red"),
    "hair between eyes,hair over one eye": ("", ""),
    "blue hair smile red eyes": ("blue", "red"),
    "smile blue hair": ("blue", ""),
    "blue eyes red hair ornament": ("red", "blue"),  # as the module says, it cannot be told
    "blue hair,green hair": ("blue green", ""),
    "blue hair red eyes pink eyes": ("blue", "red pink"),
    "blue-red hair": ("", ""),
}


@pytest.mark.parametrize("text", READ)
def test_what_is_read_from_tags(text):
    assert colours(text) == dict(zip(COLOURS, map(set, map(str.split, READ[text])), strict=True))


def test_ids_stay_as_they_are(tags):
    rest = ",aqua hair,aqua eyes\n"
    ids = ["0012", "12", "vol.2", "a b", "é", "1e5", "x/1"]
    assert list(tags("".join(name + rest for name in ids) + '"a;b,c|d"' + rest).labels) == [*ids, "a;b,c|d"]


def test_only_the_first_row_can_be_a_header_and_not_one_with_a_digit(tags):
    read = tags(f"id,tags\nname,tags\n{GOOD}")
    assert read.unlabelled == {"name": "no hair colour and no eye colour"}
    assert set(tags(f"7,smile\n{GOOD}").unlabelled) == {"7"}
    assert set(tags("alice,blue hair,red eyes\n").labels) == {"alice"}
    assert set(tags(f"alice,blue hair\n{GOOD}").unlabelled) == {"alice"}


# What is left out of the file, and what is refused.

ROWS = {
    "1,blue hair": "no eye colour",
    "1,red eyes": "no hair colour",
    "1,smile": "no hair colour and no eye colour",
    "1": "no hair colour and no eye colour",
    "1,blue hair,green hair,red eyes": "two hair colours",
    "1,blue hair,red eyes,blue eyes": "two eye colours",
    "1,blue hair,green hair": "two hair colours and no eye colour",
    "1,red eyes,blue eyes,pink eyes,blue hair,red hair": "two hair colours and two eye colours",
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_that_is_left_out(row, tags):
    read = tags(f"{GOOD}{row}\n")
    assert read.labels == {"0": AQUA}
    assert read.unlabelled == {"1": ROWS[row]} and read.left_out == {ROWS[row]: 1}


def test_rows_without_an_id(tags):
    read = tags(f"{GOOD},blue hair,red eyes\n,aqua hair,aqua eyes\n")
    assert read.labels == {"0": AQUA} and read.left_out == {"row without an id": 2}


def test_repeated_rows_count_once(tags):
    again = "0.png,aqua eyes,aqua hair,smile\n1,blue hair\n1,red eyes\n"  # the same labels: none
    read = tags(GOOD * 3 + again)
    assert read.labels == {"0": AQUA}
    assert read.left_out == {"repeated row": 4, "no eye colour": 1}


@pytest.mark.parametrize("other", ["0,blue hair aqua eyes", "0,aqua hair red eyes", "0.jpg,aqua hair", "0"])
@pytest.mark.parametrize("turned", [False, True])
def test_rows_that_contradict_each_other(other, turned, tags):
    first, second = (other + "\n", GOOD) if turned else (GOOD, other + "\n")
    with pytest.raises(InputError, match=r"tags.csv: lines 3 and 7 give '0' other colours") as error:
        tags(f"id,tags\n\n{first}5,blue hair red eyes\n\n6,smile\n{second}")
    one_line(error)


REFUSED = {
    "empty": (b"", "has no rows"),
    "blank": (b"\xef\xbb\xbf\n\r\n  \n", "has no rows"),
    "a header": (b"id,tags\n", "has no rows"),
    "nothing usable": (
        b"id,tags\n1,blue hair\n2,blue hair\n3,smile\n,red eyes blue hair\n1,red hair\n",
        r"has 5 rows \(no eye colour 2, no hair colour and no eye colour 1, row without an id 1, "
        r"repeated row 1\), none with one hair and one eye colour: a row looks like 12,blue hair,red eyes",
    ),
    "Latin-1": (GOOD.encode() + b"1,caf\xe9", r"line 2 is not UTF-8 \(byte 6 is 0xe9\): save the file as UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), r"line 1 is not UTF-8 \(byte 1 is 0xff\)"),
    "cut in a letter": (b"0,\xc3", r"line 1 is not UTF-8 \(byte 3 is 0xc3\)"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "line 1 is not UTF-8"),
    "NUL": (GOOD.encode() + b"1,blue\0hair", "line 2 holds a NUL"),
    "old Macintosh": (b"0,aqua hair,aqua eyes\r1,blue hair,red eyes\r", "line 1 holds a NUL or a lone carriage"),
    "an open quote": (
        GOOD.encode() + b'1,"blue hair,red eyes\n2,"x"\n',
        "line 2 .*a quote is opened and not closed",
    ),
    "an open quote last": (GOOD.encode() + b'1,"blue hair,red eyes', "line 2 .*a quote is opened and not closed"),
    "an open quote first": (b'"0,aqua hair,aqua eyes\n', "line 1 .*a quote is opened and not closed"),
    "a long line": (GOOD.encode() + b"1," + b"x" * 100_000, "line 2 is longer than 100,000 bytes"),
    "a long blank": (b" " * 200_000, "line 1 is longer than 100,000 bytes"),
    "a long name": (b"\x1b" * 5000 + b"1," + GOOD[2:].encode() + b"\x1b" * 5000 + b"1,x\n", "lines 1 and 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_refused(case, tags):
    content, message = REFUSED[case]
    with pytest.raises(InputError, match=rf"tags.csv.*{message}") as error:
        tags(content)
    assert "tags.csv" in one_line(error)


def test_a_long_line_that_is_allowed(tags):
    assert tags("0,aqua hair,aqua eyes," + "y" * 99_000).labels == {"0": AQUA}


def test_an_error_of_csv(tags, monkeypatch):
    monkeypatch.setattr(module, "csv", csv)  # restores the limit also where the test fails
    before = csv.field_size_limit(5)
    try:
        with pytest.raises(InputError, match=r"line 1 cannot be read \(field larger than field limit"):
            tags(GOOD)
    finally:
        csv.field_size_limit(before)


def test_a_field_of_100_MB_is_not_read(tmp_path):
    with open(tmp_path / "tags.csv", "wb") as file:
        file.write(b'0,"')
        file.truncate(100_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="line 1 is longer"):
            read_tags(tmp_path / "tags.csv")
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_wrong_path(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    for name, message in [
        ("gone", "is not there"),
        ("folder", "is not a file"),
        ("link", "is not a file"),
        ("pipe", "is not a file"),
    ]:
        with pytest.raises(InputError, match=rf"{name} {message}: put the file of tags there") as error:
            read_tags(tmp_path / name)
        one_line(error)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def closed(*args):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "tags.csv").write_text(GOOD)
    monkeypatch.setattr(type(tmp_path), "open", closed)
    with pytest.raises(InputError, match=r"tags.csv cannot be read \(Permission denied\)"):
        read_tags(tmp_path / "tags.csv")


WORDS = b'0|1|x|.jpg|blue|aqua| hair| eyes|_|,|\t|;| |:|12|"|""|\n|\r\n|\r|\0|\xff|\xc3\xa9|\xef\xbb\xbf|\x85'
WORDS = [*WORDS.split(b"|"), b"|", b"0,aqua hair,aqua eyes\n", b"1,blue hair red eyes\n"]


def test_whatever_the_bytes_there_are_labels_or_one_clear_line(tags):
    rng, ends = random.Random(0), set()
    for i in range(1000):
        pool = WORDS[: rng.randrange(2, len(WORDS) + 1)] if i % 2 else WORDS[-2:] + WORDS[:16]
        content = b"".join(rng.choices(pool, k=rng.randrange(30))) if i % 10 else rng.randbytes(rng.randrange(200))
        try:
            read = tags(content)
        except InputError as error:
            assert str(error).isprintable() and "tags.csv" in str(error)
            ends.add("refused")
            continue
        ends.add("read")
        assert read.labels and not read.labels.keys() & read.unlabelled.keys() and "" not in read.labels
        assert all(0 <= hair < 12 and 0 <= eyes < 11 for hair, eyes in read.labels.values())
    assert ends == {"refused", "read"}


# The pictures.


def write(folder, text):
    (folder / "tags.csv").write_text(text, encoding="utf-8")


def test_labels_go_by_name_in_every_part(folder):
    save(folder, *(f"sub{i % 3}/{i:03}.png" for i in range(40)))
    hair, eyes = COLOURS["hair"], COLOURS["eyes"]
    rows = [f"{i:03},{hair[i % 12]} hair {eyes[i * 7 % 11]} eyes\n" for i in range(0, 40, 2)]
    random.Random(1).shuffle(rows)
    write(folder, "".join(rows))
    seen = []
    for part in PARTS:
        whole, result = open_folder(folder, 2, part=part, seed=2), open_tagged(folder, 2, part=part, seed=2)
        numbers = [i for i in (int(path[-7:-4]) for path in whole.files) if i % 2 == 0]
        assert result.images.images[:, 0, 0, 0].tolist() == numbers  # the picture says which it is
        assert result.images.labels.tolist() == [[i % 12, i * 7 % 11] for i in numbers]
        assert result.images.images.dtype == torch.uint8 and result.images.labels.dtype == torch.int64
        assert result.images.name == "faces" and result.images.classes == COLOURS
        assert result.left_out == {"no row in tags.csv": 20}
        assert result.parts[part] == len(numbers) and sum(result.parts.values()) == 20
        seen += numbers
    assert sorted(seen) == list(range(0, 40, 2))


def mixed(folder):
    """Twelve pictures, of which five can be used."""
    save(folder, "0.png", "0012.jpg", "12.png", "a/3.png", "b/4.png", "5.png", "6.png", "7.png", "8.png")
    save(folder, "a/9.png", "b/9.jpg", "a/10.png")  # 9 twice
    (folder / "a" / "11.png").write_bytes(b"no picture")
    (folder / "b" / "10.png").write_bytes(b"")  # 10 twice: the row may mean this one
    write(
        folder,
        "id,tags\n0,red hair,blue eyes\n0012.jpg,red hair,red eyes\n12,blue hair,red eyes\n3,red hair,green eyes\n"
        "4,white hair,green eyes\n5,red hair\n6,red hair\n7,red hair,blue hair,red eyes\n"
        "9,red hair,red eyes\n10,red hair,red eyes\n11,red hair,red eyes\n99,red hair,red eyes\n98,smile\n"
        "0,red hair,blue eyes\n,red hair,red eyes\n",
    )


LEFT_OUT = {
    **{"several files of this name": 3, "no eye colour": 2, "no picture": 2, "two hair colours": 1},
    **{"no row in tags.csv": 1, "picture cannot be used": 1, "repeated row": 1, "row without an id": 1},
}


def test_what_is_left_out_and_why(folder):
    mixed(folder)
    result = open_tagged(folder, 2)
    assert result.left_out == LEFT_OUT and list(result.left_out.values()) == [3, 2, 2, 1, 1, 1, 1, 1]
    assert result.skipped == {"a/11.png": "is not a picture", "b/10.png": "is empty"}
    of_rows = sum(LEFT_OUT[why] for why in (NO_PICTURE, UNUSABLE, REPEATED, NO_ID))
    assert sum(LEFT_OUT.values()) - of_rows + sum(result.parts.values()) == 12  # each usable picture, once
    everything = [open_tagged(folder, 2, part=part) for part in PARTS if result.parts[part]]
    labels = sorted(tuple(row) for each in everything for row in each.images.labels.tolist())
    expected = [("blue", "red"), ("red", "blue"), ("red", "green"), ("red", "red"), ("white", "green")]
    assert labels == sorted(label(*pair) for pair in expected)
    assert all(each[1:] == result[1:] for each in everything)


def test_the_report(folder):
    save(folder, *(f"{i}.png" for i in range(5)))
    write(
        folder,
        "0,red hair,gray eyes\n1,aqua hair,gray eyes\n2,red hair,aqua eyes\n3,pink hair,blue eyes\n4,x\n7\n",
    )
    assert open_tagged(folder, 2).report().split("\n") == [
        "4 pictures with hair and eye colours (train 4, valid 0, test 0)",
        "left out: no hair colour and no eye colour 1, no picture 1",
        "hair of the 4 in use: red 2, aqua 1, pink 1",
        "eyes of the 4 in use: gray 2, aqua 1, blue 1",
    ]
    (folder / "4.png").unlink()
    write(folder, "".join(f"{i},red hair,red eyes\n" for i in range(4)))
    assert "left out" not in open_tagged(folder, 2).report()


def test_options_reach_the_folder(folder):
    save(folder, *(f"{i}.png" for i in range(20)))
    write(folder, "".join(f"{i},red hair,red eyes\n" for i in range(20)))
    grey = open_tagged(folder, 5, channels=1, part="test", seed=1)
    assert torch.equal(grey.images.images, open_folder(folder, 5, channels=1, part="test", seed=1).images)
    assert grey.parts == {"train": 16, "valid": 2, "test": 2} and grey.images.images.shape == (2, 1, 5, 5)


def test_a_folder_that_is_split_already(folder):
    save(folder, "train/1.png", "valid/2.png", "test/3.png", "test/4.png", "5.png")
    write(folder, "".join(f"{i},red hair,red eyes\n" for i in range(1, 6)))
    result = open_tagged(folder, 2, part="test")
    assert result.parts == {"train": 1, "valid": 1, "test": 2} and len(result.images) == 2
    assert result.left_out == {"picture cannot be used": 1} and list(result.skipped) == ["5.png"]


def test_new_tags_need_no_new_decoding(folder, monkeypatch):
    save(folder, "1.png", "2.png")
    write(folder, "1,red hair,red eyes\n")
    assert len(open_tagged(folder, 2).images) == 1
    monkeypatch.setattr("ganbook.folders.build", None)
    write(folder, "1,red hair,red eyes\n2,red hair,blue eyes\n")
    assert len(open_tagged(folder, 2).images) == 2


def test_a_large_folder_is_not_copied_where_every_picture_is_used(folder, monkeypatch):
    save(folder, "1.png", "2.png")
    monkeypatch.setattr("ganbook.folders.RESIDENT", 0)
    write(folder, "1,red hair,red eyes\n2,red hair,blue eyes\n")
    with pytest.raises(RuntimeError, match="resiz"):  # torch does not resize what is mapped
        open_tagged(folder, 2).images.images.resize_(100)


def test_a_folder_that_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="gone is not there"):
        open_tagged(tmp_path / "gone", 2)
    with pytest.raises(InputError, match=r"faces/tags.csv is not there: put the file of tags there; a row looks"):
        open_tagged(folder, 2)
    write(folder, "1,red hair,red eyes\n2,red hair\n")
    with pytest.raises(InputError, match="faces holds no usable picture"):
        open_tagged(folder, 2)
    save(folder, "2.png", "3.png")
    message = r"no picture for train .*\(no eye colour 1, no picture 1, no row in tags.csv 1\): give more"
    with pytest.raises(InputError, match=message) as error:
        open_tagged(str(folder), 2)
    one_line(error)
    with pytest.raises(InputError, match="no pictures for valid"):
        open_tagged(folder, 2, part="valid")


def test_a_bad_file_is_refused_before_a_picture_is_decoded(folder, monkeypatch):
    save(folder, "1.png")
    write(folder, "1,red hair,red eyes\n1,red hair,blue eyes\n")
    monkeypatch.setattr(module, "open_folder", None)
    with pytest.raises(InputError, match="lines 1 and 2"):
        open_tagged(folder, 2)
