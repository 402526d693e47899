"""Any folder of pictures: what each kind becomes, what is refused and why, how it is split, when decoded."""

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageOps
from torchvision.datasets import CelebA

from ganbook import folders
from ganbook.errors import InputError
from ganbook.folders import PARTS, celeba, open_folder, split_folder

RED, WHITE = (255, 0, 0), (255, 255, 255)


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "folders"


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def solid(mode, colour, size=(6, 6)):
    return Image.new(mode, size, colour)


def noise(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def number(i):
    """A picture that says which it is."""
    return solid("RGB", (i, 2 * i, 255 - i), (2, 2))


def fill(folder, n, prefix=""):
    for i in range(n):
        path = folder / f"{prefix}{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        number(i).save(path)
    return folder


@pytest.fixture
def decoded(monkeypatch):
    """The names that were decoded, in order."""
    names, picture = [], folders.picture
    monkeypatch.setattr(folders, "picture", lambda name, **k: names.append(name) or picture(name, **k))
    return names


def tensor(image):
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def only(folder, size, **options):
    """The one picture of the folder, (C, size, size)."""
    result = open_folder(folder, size, **options)
    assert not result.skipped and len(result.images) == len(result.files) == 1
    return result.images[0]


def snapshot(folder):
    found = {}
    for path in sorted(folder.rglob("*")):
        info = path.stat()  # but for st_atime, which any reader changes, when the system likes
        kept = info.st_mode, info.st_size, info.st_mtime_ns, info.st_ino
        found[path] = kept, path.is_file() and path.read_bytes()
    return found


# What a picture becomes.


def palette(transparency):
    image = Image.new("P", (6, 6), 1)
    image.putpalette([0, 0, 255, *RED, 0, 255, 0])
    image.info["transparency"] = transparency
    return image


KINDS = {  # name of the file, picture, options of save, colour of every pixel
    "rgb": ("a.png", solid("RGB", (10, 20, 30)), {}, (10, 20, 30)),
    "clear": ("a.png", solid("RGBA", (255, 0, 0, 0)), {}, WHITE),
    "half clear": ("a.png", solid("RGBA", (255, 0, 0, 128)), {}, (255, 127, 127)),
    "clear webp": ("a.webp", solid("RGBA", (255, 0, 0, 0)), {"lossless": True}, WHITE),
    "palette": ("a.png", palette(0), {}, RED),
    "palette, a clear colour": ("a.png", palette(1), {}, WHITE),
    "palette, alphas": ("a.png", palette(b"\xff\x80\xff"), {}, (255, 127, 127)),
    "gif": ("a.gif", palette(0), {"transparency": 0}, RED),
    "clear gif": ("a.gif", palette(1), {"transparency": 1}, WHITE),
    "grey": ("a.png", solid("L", 77), {}, (77, 77, 77)),
    "grey, a clear value": ("a.png", solid("L", 77), {"transparency": 77}, WHITE),
    "rgb, a clear colour": ("a.png", solid("RGB", RED), {"transparency": RED}, WHITE),
    "grey, alpha": ("a.png", solid("LA", (0, 128)), {}, (127, 127, 127)),
    "1 bit": ("a.png", solid("1", 1), {}, WHITE),
    "1 bit bmp": ("a.bmp", solid("1", 0), {}, (0, 0, 0)),
    "cmyk": ("a.jpg", solid("CMYK", (0, 255, 255, 0)), {"quality": 100}, RED),
    "cmyk tiff": ("a.tif", solid("CMYK", (255, 0, 0, 0)), {}, (0, 255, 255)),
    "ycbcr": ("a.tif", solid("RGB", RED).convert("YCbCr"), {}, RED),
    "lab": ("a.tif", solid("LAB", (255, 128, 128)), {}, WHITE),
    "16 bits": ("a.png", solid("I;16", 257 * 99), {}, (99, 99, 99)),
    "16 bits, a clear value": ("a.png", solid("I;16", 1000), {"transparency": 1000}, WHITE),
    "16 bits, big-endian": ("a.tif", Image.fromarray(np.full((6, 6), 257 * 99, ">u2")), {}, (99, 99, 99)),
    "16 bits in 32": ("a.tif", solid("I", 65535), {}, WHITE),
    "16 bits pgm": ("a.pgm", solid("I", 257 * 99), {}, (99, 99, 99)),
    "1x1 gif": ("a.gif", solid("L", 200, (1, 1)), {}, (200, 200, 200)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture(kind, pictures):
    name, image, options, colour = KINDS[kind]
    image.save(pictures / name, **options)
    found = only(pictures, 4)
    assert found.shape == (3, 4, 4) and found.dtype == torch.uint8
    expected = torch.tensor(colour)[:, None, None].expand(3, 4, 4)
    assert (found.int() - expected).abs().max() <= (2 if name.endswith(("jpg", "tif")) else 0)


def test_16_bits_are_scaled_and_rounded_not_clipped(pictures):
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    ramp[0, :3] = 128, 129, 65535 - 129
    Image.fromarray(ramp).save(pictures / "ramp.png")
    expected = torch.arange(256).reshape(16, 16)
    expected[0, :3] = torch.tensor([0, 1, 254])
    assert torch.equal(only(pictures, 16, channels=1)[0].int(), expected.int())


@pytest.mark.parametrize(
    "image, reason",
    [
        (solid("I", 65536), "values from 65536 to 65536"),
        (solid("I", -1), "from -1"),
        (solid("F", 0.5), "floating"),
    ],
)
def test_values_without_a_known_range_are_refused(image, reason, pictures):
    image.save(pictures / "a.tif")
    fill(pictures, 1)
    result = open_folder(pictures, 4)
    assert list(result.skipped) == ["a.tif"] and reason in result.skipped["a.tif"]


def test_channels_1_is_the_luminance(pictures):
    solid("RGB", (0, 255, 0)).save(pictures / "a.png")
    assert (only(pictures, 4, channels=1) == 150).all() and only(pictures, 4, channels=1).shape == (1, 4, 4)


@pytest.mark.parametrize("turn", [None, Image.Transpose.ROTATE_90])
def test_a_wide_or_tall_picture_is_cropped_in_the_middle_not_squeezed(pictures, turn):
    image = solid(
        "RGB", (0, 255, 0), (200, 100)
    )  # green margins, then red | blue, with a white disc in the middle
    draw = ImageDraw.Draw(image)
    draw.rectangle((50, 0, 99, 99), RED)
    draw.rectangle((100, 0, 149, 99), (0, 0, 255))
    draw.ellipse((70, 20, 129, 79), WHITE)
    (image if turn is None else image.transpose(turn)).save(pictures / "a.png")
    x = only(pictures, 50)
    x = x if turn is None else x.rot90(-1, (1, 2))
    assert x[:, 2, 2].tolist() == list(RED) and x[:, 2, -3].tolist() == [0, 0, 255]
    assert x[:, :, 0].max(1).values.tolist() == [255, 0, 0]  # no green at the edge
    disc = (x > 128).all(0)
    assert disc.any(0).sum() == disc.any(1).sum() == 30
    assert disc[10:40, 10:40].sum() == disc.sum()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_exif_orientation_is_turned_upright(orientation, name, pictures, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif} | ({"lossless": True} if name == "a.webp" else {})
    noise(21, 34).save(pictures / name, **options)
    with Image.open(pictures / name) as image:
        upright = ImageOps.exif_transpose(image)
    (tmp_path / "upright").mkdir()
    Image.fromarray(np.asarray(upright)).save(tmp_path / "upright" / "a.png")
    assert (upright.size == (34, 21)) == (orientation >= 5)
    assert torch.equal(only(pictures, 16), only(tmp_path / "upright", 16))


def test_a_turned_photograph_equals_the_upright_one(pictures, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph = noise(8, 6).resize((400, 300), Image.Resampling.BICUBIC)
    photograph.transpose(Image.Transpose.ROTATE_90).save(pictures / "a.jpg", exif=exif, quality=95)
    (tmp_path / "upright").mkdir()
    photograph.save(tmp_path / "upright" / "a.jpg", quality=95)
    assert (only(pictures, 32).int() - only(tmp_path / "upright", 32).int()).abs().max() <= 4


def test_a_picture_of_the_right_size_is_unchanged(pictures):
    noise(17, 17).save(pictures / "a.png")
    assert torch.equal(only(pictures, 17), tensor(noise(17, 17)))


def test_resizing_averages(pictures):
    board = np.indices((64, 64)).sum(0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(pictures / "a.png")
    assert (only(pictures, 8).int() - 128).abs().max() <= 2


@pytest.mark.parametrize("size", [16, 100, 300, 1200])
def test_a_large_jpeg_looks_as_if_decoded_in_full(size, pictures):
    detailed = noise(200, 150).resize((1600, 1200), Image.Resampling.BICUBIC)
    detailed.save(pictures / "a.jpg", quality=100, subsampling=0)
    square = detailed.crop((200, 0, 1400, 1200)).resize((size, size), Image.Resampling.LANCZOS)
    assert (only(pictures, size).int() - tensor(square).int()).abs().max() <= 12


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif"])
def test_of_an_animation_the_first_frame(name, pictures):
    rest = [solid("RGB", (0, 0, 255)), solid("RGB", (0, 255, 0))]
    options = {"lossless": True} if name == "a.webp" else {}
    solid("RGB", RED).save(pictures / name, save_all=True, append_images=rest, **options)
    assert only(pictures, 2).flatten(1).T.tolist() == [list(RED)] * 4


# What a folder may hold.


@pytest.fixture
def nasty(pictures):
    """6 usable pictures, files that only look like pictures, and others."""
    number(1).save(pictures / "UPPER.PNG")
    (pictures / "a b" / "ü").mkdir(parents=True)
    number(2).save(pictures / "a b" / "ü" / "日本 語.png")
    number(3).save(pictures / "a b" / "two.dots.png")
    number(4).save(pictures / "a b" / "png named.jpg", format="PNG")
    palette(b"\xff\x80\xff").save(pictures / "palette.png")
    number(5).save(pictures / "bad exif.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0")
    noise(64, 64).save(pictures / "truncated.jpg")
    whole = (pictures / "truncated.jpg").read_bytes()
    (pictures / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (pictures / "empty.png").touch()
    (pictures / "a b" / "text.jpg").write_text("not a picture")
    noise(64, 64).save(pictures / "damaged.tif", compression="tiff_lzw")
    data = bytearray((pictures / "damaged.tif").read_bytes())
    data[20:2000] = bytes(1980)
    (pictures / "damaged.tif").write_bytes(data)
    for other in "README.txt", "tags.csv", "a b/no suffix", "paper.pdf":
        (pictures / other).write_text("beside the pictures")
    (pictures / ".hidden").mkdir()
    number(9).save(pictures / ".hidden" / "a.png")
    number(9).save(pictures / "._hidden.png")
    return pictures


NASTY = [
    "UPPER.PNG",
    "a b/png named.jpg",
    "a b/two.dots.png",
    "a b/ü/日本 語.png",
    "bad exif.jpg",
    "palette.png",
]


def test_a_nasty_folder(nasty, capfd):
    before = snapshot(nasty)
    result = open_folder(nasty, 2)
    assert sorted(result.files) == NASTY
    assert result.parts == {"train": 6, "valid": 0, "test": 0} and result.others == 4
    assert list(result.skipped) == ["a b/text.jpg", "damaged.tif", "empty.png", "truncated.jpg"]
    assert result.skipped["a b/text.jpg"] == "is not a picture" and result.skipped["empty.png"] == "is empty"
    assert "truncated" in result.skipped["truncated.jpg"]
    assert "cannot be decoded" in result.skipped["damaged.tif"]
    image = dict(zip(result.files, result.images, strict=True))
    assert torch.equal(image["UPPER.PNG"], tensor(number(1)))
    assert torch.equal(image["a b/ü/日本 語.png"], tensor(number(2)))
    assert torch.equal(image["a b/png named.jpg"], tensor(number(4)))
    assert capfd.readouterr() == ("", "")  # nor a warning: pytest makes errors of them
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"  # afterwards stderr is as before
    assert snapshot(nasty) == before


def test_the_second_time_says_the_same(nasty):
    first, second = open_folder(nasty, 2), open_folder(nasty, 2)
    assert first[1:] == second[1:] and torch.equal(first.images, second.images)


@pytest.mark.parametrize("size", [(15, 10), (50, 10)])  # what Pillow warns of, and what it refuses
def test_a_decompression_bomb_is_skipped(size, pictures, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    noise(*size).save(pictures / "bomb.png")
    fill(pictures, 1)
    assert open_folder(pictures, 4).skipped == {"bomb.png": "is too large (more than 100 pixels)"}


def test_a_name_that_is_not_utf8(pictures):
    try:
        number(1).save(os.path.join(os.fsencode(pictures), b"\xff.png").decode(errors="surrogateescape"))
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    for _ in range(2):
        assert os.fsencode(open_folder(pictures, 2).files[0]) == b"\xff.png"


@pytest.fixture
def in_time():
    """What hangs fails after 20 s."""

    def late(*_):
        raise AssertionError("took 20 s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("in_time")
def test_links_are_followed_once_and_never_round(pictures, tmp_path):
    fill(tmp_path / "elsewhere", 2)
    fill(pictures, 1)
    number(7).save(tmp_path / "a.png")
    (pictures / "linked").symlink_to(tmp_path / "elsewhere")
    (pictures / "linked again").symlink_to(tmp_path / "elsewhere")
    (pictures / "round").symlink_to(pictures)
    (pictures / "up").symlink_to(tmp_path)
    (tmp_path / "elsewhere" / "back").symlink_to(pictures)
    (pictures / "self").symlink_to(pictures / "self")
    (pictures / "nowhere.png").symlink_to(tmp_path / "gone.png")
    os.mkfifo(pictures / "pipe.png")
    result = open_folder(pictures, 2)
    assert sorted(result.files) == ["000.png", "linked/000.png", "linked/001.png"]
    assert result.skipped == {"nowhere.png": "is not a file", "pipe.png": "is not a file"}


def test_what_may_not_be_read_is_named(pictures, monkeypatch):
    """Simulated: whoever runs this as root may read everything."""
    fill(pictures, 2)
    (pictures / "closed").mkdir()
    scandir = os.scandir

    def refuse(path):
        if Path(str(path)).name in ("closed", "000.png"):
            raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", lambda path: refuse(path) or scandir(path))
    monkeypatch.setattr(folders, "open", lambda path, mode: refuse(path) or open(path, mode), raising=False)
    assert open_folder(pictures, 2).skipped == {
        "000.png": "may not be read (permission denied)",
        "closed": "cannot be opened (Permission denied)",
    }


def test_when_the_disk_fails_nothing_is_kept(pictures, monkeypatch, caches):
    fill(pictures, 3)

    def failing(path, mode):
        raise OSError(errno.EIO, "Input/output error", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(
            folders,
            "open",
            lambda path, mode: failing(path, mode) if "001" in str(path) else open(path, mode),
            raising=False,
        )
        with pytest.raises(InputError, match=r"001.png could not be read \(Input/output error\)"):
            open_folder(pictures, 2)
    assert not any(caches.iterdir())
    assert len(open_folder(pictures, 2).images) == 3


# Nothing to train on.


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match=r"nowhere is not there: give the folder"):
        open_folder(tmp_path / "nowhere", 4)
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match=r"a.png is a file, not a folder"):
        open_folder(tmp_path / "a.png", 4)


def test_an_empty_folder(pictures, caches):
    with pytest.raises(
        InputError, match=r"pictures holds no usable picture: no file named like a picture, 0 other"
    ):
        open_folder(pictures, 4)
    (pictures / "README.txt").touch()
    with pytest.raises(InputError, match=r"no file named like a picture, 1 other files; give a folder"):
        open_folder(pictures, 4)
    assert not any(caches.iterdir())


def test_a_folder_of_unreadable_pictures_gives_the_first_reasons(pictures):
    for i in range(5):
        (pictures / f"{i}.jpg").write_text("no")
    with pytest.raises(InputError) as caught:
        open_folder(pictures, 4)
    message = str(caught.value)
    assert str(pictures) in message and "5 that cannot be used (0.jpg is not a picture; 1.jpg is" in message
    assert "3.jpg" not in message and "\n" not in message


@pytest.mark.parametrize("wrong", [{"size": 0}, {"channels": 2}, {"part": "dev"}])
def test_impossible_arguments(wrong, pictures):
    fill(pictures, 1)
    with pytest.raises(InputError, match=f"{list(wrong.values())[0]}"):
        open_folder(pictures, **{"size": 4, **wrong})


# Train, valid, test.


def ranked(names, seed):
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())


@pytest.mark.parametrize("n", [10, 25, 40])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_split_is_exact_and_every_picture_keeps_its_name(n, seed, pictures):
    fill(pictures, n, "some/")
    (pictures / "bad.png").touch()  # takes no place
    parts = {part: open_folder(pictures, 2, part=part, seed=seed) for part in PARTS}
    tenth = n // 10
    assert [len(parts[part].images) for part in PARTS] == [n - 2 * tenth, tenth, tenth]
    names = [name for part in PARTS for name in parts[part].files]
    assert names == ranked([f"some/{i:03}.png" for i in range(n)], seed)
    for result in parts.values():
        assert result.parts == {"train": n - 2 * tenth, "valid": tenth, "test": tenth}
        assert list(result.skipped) == ["bad.png"]
        for name, image in zip(result.files, result.images, strict=True):
            assert torch.equal(image, tensor(number(int(name[5:8]))))


def test_order_of_listing_and_place_do_not_matter(pictures, tmp_path, monkeypatch, decoded):
    fill(pictures, 20, "a/")
    fill(pictures, 20, "b/")
    here = open_folder(pictures, 2)
    shutil.copytree(pictures, tmp_path / "there" / "deep")
    walk = os.walk

    def backwards(*args, **options):
        for here, subfolders, names in walk(*args, **options):
            subfolders.reverse()
            yield here, subfolders, sorted(names, reverse=True)

    monkeypatch.setattr(os, "walk", backwards)
    assert open_folder(pictures, 2).files == here.files and len(decoded) == 40  # nor does the cache
    there = open_folder(tmp_path / "there" / "deep", 2)
    assert here.files == there.files and torch.equal(here.images, there.images)


def test_one_more_file_moves_few(pictures):
    fill(pictures, 99)
    before = {part: set(open_folder(pictures, 2, part=part).files) for part in PARTS}
    number(7).save(pictures / "new.png")
    after = {part: set(open_folder(pictures, 2, part=part).files) for part in PARTS}
    moved = sum(len(after[part] - before[part] - {"new.png"}) for part in PARTS)
    assert sum(map(len, after.values())) == 100 and moved <= 3


def test_a_folder_that_is_split_already_stays_so(pictures):
    for part, n in ("train", 3), ("valid", 12), ("test", 2):
        fill(pictures, n, f"{part}/sub/")
    number(1).save(pictures / "stray.png")
    results = {part: open_folder(pictures, 2, part=part) for part in PARTS}
    for part, n in ("train", 3), ("valid", 12), ("test", 2):
        assert sorted(results[part].files) == [f"{part}/sub/{i:03}.png" for i in range(n)]
        assert results[part].parts == {"train": 3, "valid": 12, "test": 2}
        assert results[part].skipped == {"stray.png": "lies outside train, valid, test"}
        for name, image in zip(results[part].files, results[part].images, strict=True):
            assert torch.equal(image, tensor(number(int(name[-7:-4]))))


def test_a_part_without_pictures(pictures):
    fill(pictures, 9)
    with pytest.raises(InputError, match=r"no pictures for valid \(train 9, valid 0, test 0\).*10 or more"):
        open_folder(pictures, 2, part="valid")


# The cache.


def test_decoding_happens_once_for_all_parts(pictures, decoded):
    fill(pictures, 20)
    for _ in range(2):
        for part in PARTS:
            open_folder(pictures, 2, part=part)
    assert len(decoded) == len(set(decoded)) == 20


def test_another_size_channels_or_seed_has_its_own_cache(pictures, decoded, caches):
    fill(pictures, 10)
    for options in {}, {"size": 3}, {"channels": 1}, {"seed": 1}:
        open_folder(pictures, **{"size": 2, **options})
    assert len(decoded) == 40 and len(list(caches.iterdir())) == 4
    open_folder(pictures, 2)
    assert len(decoded) == 40


def later(path):
    info = path.stat()
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + 1))


def other_pixels_same_time(path):
    info = path.stat()
    noise(9, 9).save(path)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


CHANGES = {
    "bytes": lambda folder: other_pixels_same_time(folder / "003.png"),
    "mtime": lambda folder: later(folder / "003.png"),
    "permission": lambda folder: (folder / "003.png").chmod(0o600),
    "added": lambda folder: number(77).save(folder / "new.png"),
    "removed": lambda folder: (folder / "003.png").unlink(),
    "renamed": lambda folder: (folder / "003.png").rename(folder / "x.png"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed_and_the_old_cache_goes(change, pictures, decoded, caches, tmp_path):
    fill(pictures, 10)
    fill(tmp_path / "another", 10)
    open_folder(tmp_path / "another", 2)
    open_folder(pictures, 3)
    open_folder(pictures, 2, seed=1)
    open_folder(pictures, 2)
    old, n = set(caches.iterdir()), len(decoded)
    CHANGES[change](pictures)
    result = open_folder(pictures, 2)
    names = sorted(path.name for path in pictures.iterdir())
    assert len(decoded) - n == len(names)
    assert sum(result.parts.values()) == len(names) and set(result.files) <= set(names)
    kept = set(caches.iterdir())
    assert len(kept) == 3 and len(old & kept) == 2  # those of the other folder and of the other size


def test_the_new_content_is_what_comes(pictures):
    fill(pictures, 1)
    open_folder(pictures, 2)
    solid("RGB", (1, 2, 3)).save(pictures / "000.png")
    assert only(pictures, 2)[:, 0, 0].tolist() == [1, 2, 3]


def test_an_interrupted_first_pass_leaves_nothing(pictures, monkeypatch, caches):
    fill(pictures, 10)
    with monkeypatch.context() as patch:
        picture, count = folders.picture, iter(range(99))

        def interrupted(*args, **options):
            if next(count) == 5:
                raise KeyboardInterrupt
            return picture(*args, **options)

        patch.setattr(folders, "picture", interrupted)
        with pytest.raises(KeyboardInterrupt):
            open_folder(pictures, 2)
    assert not any(caches.iterdir())
    assert len(open_folder(pictures, 2).images) == 8


def test_what_a_killed_process_left_is_no_cache_and_goes_after_a_day(pictures, caches):
    fill(pictures, 3)
    for name, age in ("old", 25), ("young", 1):
        left = caches / f"{folders.UNFINISHED}{name}"
        left.mkdir(parents=True)
        os.utime(left, times=(time.time() - age * 3600,) * 2)
    assert len(open_folder(pictures, 2).images) == 3
    assert [path.name for path in caches.iterdir() if path.name.startswith(".")] == [".unfinished-young"]


def test_another_process_that_was_quicker(pictures, monkeypatch, caches):
    fill(pictures, 3)
    put, quicker = folders.put, []

    def late(whole, cache):
        monkeypatch.setattr(folders, "put", put)
        quicker.append(open_folder(pictures, 2))
        put(whole, cache)

    monkeypatch.setattr(folders, "put", late)
    result = open_folder(pictures, 2)
    assert torch.equal(result.images, quicker[0].images) and result.files == quicker[0].files
    assert len(list(caches.iterdir())) == 1


def test_two_processes_at_once(pictures, tmp_path, caches):
    fill(pictures, 200)
    code = (
        "import sys, time, pathlib; from ganbook.folders import open_folder; me, folder = sys.argv[1:]\n"
        "here = pathlib.Path(folder).parent; (here / me).touch()\n"
        "while not ((here / 'one').exists() and (here / 'two').exists()): time.sleep(0.001)\n"
        "x = open_folder(folder, 16); print(len(x.images), x.images.sum().item())"
    )
    run = [
        subprocess.Popen(
            [sys.executable, "-c", code, me, pictures],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for me in ("one", "two")
    ]
    answers = [process.communicate(timeout=60) for process in run]
    x = open_folder(pictures, 16)
    assert answers == [(f"160 {x.images.sum()}\n", "")] * 2
    assert len(list(caches.iterdir())) == 1


def test_worker_processes_give_the_same(nasty, monkeypatch, caches):
    fill(nasty, 60, "more/")
    alone = open_folder(nasty, 4)
    shutil.rmtree(caches)
    together = open_folder(nasty, 4, workers=2)
    assert alone[1:] == together[1:] and torch.equal(alone.images, together.images)


def test_a_worker_that_dies():
    with pytest.raises(InputError, match="take fewer workers"):
        list(folders.in_processes(os._exit, [1], 1))


def test_a_data_folder_that_cannot_be_written(pictures, tmp_path, monkeypatch):
    fill(pictures, 1)
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "file" / "data"))
    with pytest.raises(InputError, match=r"file/data/folders \(Not a directory\).*GANBOOK_DATA"):
        open_folder(pictures, 2)


def test_a_full_disk(pictures, monkeypatch, caches):
    fill(pictures, 1)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"kept in .*folders \(No space left on device\): make room"):
        open_folder(pictures, 2)
    assert not any(caches.iterdir())


def test_a_cache_is_read_without_writing(pictures, monkeypatch, caches):
    fill(pictures, 10)
    open_folder(pictures, 2)
    before = snapshot(caches)
    monkeypatch.setattr(folders, "build", None)
    open_folder(pictures, 2, part="test")
    assert snapshot(caches) == before


def test_the_cache_may_not_lie_in_the_folder(pictures, monkeypatch):
    fill(pictures, 1)
    monkeypatch.setenv("GANBOOK_DATA", str(pictures / "data"))
    with pytest.raises(InputError, match="stays as it is: set GANBOOK_DATA"):
        open_folder(pictures, 2)
    assert [path.name for path in pictures.iterdir()] == ["000.png"]


@pytest.mark.parametrize("name, content", [("index.json", b"{"), ("pixels.uint8", b"12")])
def test_a_damaged_cache_is_named(name, content, pictures, caches):
    fill(pictures, 2)
    open_folder(pictures, 2)
    (cache,) = caches.iterdir()
    (cache / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{cache.name} is damaged .*delete it"):
        open_folder(pictures, 2)
    shutil.rmtree(cache)
    assert len(open_folder(pictures, 2).images) == 2


def first_byte(caches):
    """Change the first byte on the disk, in place."""
    (cache,) = caches.iterdir()
    with (cache / folders.PIXELS).open("r+b") as file:
        byte = file.read(1)[0] ^ 255
        file.seek(0)
        file.write(bytes([byte]))
    return byte


def test_a_large_part_stays_on_the_disk(pictures, monkeypatch, caches):
    fill(pictures, 20)
    in_memory = {part: open_folder(pictures, 2, part=part).images for part in PARTS}
    monkeypatch.setattr(folders, "RESIDENT", 0)
    mapped = {part: open_folder(pictures, 2, part=part).images for part in PARTS}
    for part in PARTS:
        assert torch.equal(mapped[part], in_memory[part]) and mapped[part].is_contiguous()
    byte = first_byte(caches)
    assert mapped["train"][0, 0, 0, 0] == byte != in_memory["train"][0, 0, 0, 0]
    in_memory["train"][0] = 0  # this one may be written to, and the disk does not notice
    assert open_folder(pictures, 2).images[0, 0, 0, 0] == byte


# ganbook split.


def test_split_folder_deals_as_open_folder_does(pictures, tmp_path):
    fill(pictures, 25, "some/")
    (pictures / "some" / "bad.png").touch()
    (pictures / "README.txt").touch()
    before = snapshot(pictures)
    parts, skipped = split_folder(pictures, tmp_path / "new" / "dst", seed=3)
    assert parts == {"train": 21, "valid": 2, "test": 2} and skipped == {"some/bad.png": "is empty"}
    for part in PARTS:
        dealt = open_folder(pictures, 2, part=part, seed=3)
        copied = {
            path.relative_to(tmp_path / "new" / "dst" / part).as_posix(): path.read_bytes()
            for path in (tmp_path / "new" / "dst" / part).rglob("*.*")
        }
        assert copied == {name: (pictures / name).read_bytes() for name in dealt.files}
        assert len(open_folder(tmp_path / "new" / "dst", 2, part=part).images) == parts[part]
    assert snapshot(pictures) == before and [path.name for path in (tmp_path / "new").iterdir()] == ["dst"]


def test_a_huge_file_is_passed_over_unread(pictures, monkeypatch):
    fill(pictures, 10)
    noise(100, 100).save(pictures / "huge.png")
    monkeypatch.setattr(folders, "LARGEST", 1_000)
    found = open_folder(pictures, 2)
    assert (
        found.skipped == {"huge.png": "is too large (more than 1,000 bytes)"} and sum(found.parts.values()) == 10
    )


def test_split_folder_of_few_still_makes_the_three(pictures, tmp_path):
    fill(pictures, 3)
    (tmp_path / "dst").mkdir()  # empty: that is allowed
    split_folder(pictures, tmp_path / "dst")
    assert sorted(path.name for path in (tmp_path / "dst").iterdir()) == sorted(PARTS)
    assert open_folder(tmp_path / "dst", 2).parts == {"train": 3, "valid": 0, "test": 0}


def test_split_folder_refuses(pictures, tmp_path):
    fill(pictures, 3)
    (tmp_path / "link").symlink_to(pictures)
    (tmp_path / "file").touch()
    fill(tmp_path / "full", 1)
    fill(tmp_path / "split", 1, "train/")
    for part in PARTS:
        (tmp_path / "split" / part).mkdir(exist_ok=True)
    (tmp_path / "nothing").mkdir()
    before = snapshot(tmp_path)
    for src, dst, message in [
        (pictures, pictures / "dst", "lies inside"),
        (pictures, pictures, "lies inside"),
        (pictures, tmp_path / "link" / "dst", "lies inside"),
        (pictures, tmp_path / "full", "not an empty folder"),
        (pictures, tmp_path / "file", "not an empty folder"),
        (pictures, tmp_path, "not an empty folder"),
        (tmp_path / "split", tmp_path / "dst", "split already"),
        (tmp_path / "nothing", tmp_path / "dst", "holds no usable picture"),
        (tmp_path / "gone", tmp_path / "dst", "is not there"),
        (pictures, tmp_path / "file" / "dst", "cannot be copied"),
        (pictures, "~nosuchuser/dst", "is in no home folder"),
        ("~nosuchuser/src", tmp_path / "dst", "is in no home folder"),
    ]:
        with pytest.raises(InputError, match=message):
            split_folder(src, dst)
    assert snapshot(tmp_path) == before


def test_split_folder_leaves_nothing_half_written(pictures, tmp_path, monkeypatch):
    fill(pictures, 10)
    copyfile, count = shutil.copyfile, iter(range(99))

    def full(src, dst):
        if next(count) == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        copyfile(src, dst)

    monkeypatch.setattr(shutil, "copyfile", full)
    before = snapshot(tmp_path)
    with pytest.raises(InputError, match="No space left"):
        split_folder(pictures, tmp_path / "dst")
    assert list(snapshot(tmp_path)) == list(before)


# CelebA.


@pytest.fixture
def faces(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "CELEBA", 20)
    return tmp_path / "data" / "celeba" / "img_align_celeba"


def numbered_faces(folder, n):
    folder.mkdir(parents=True)
    for i in range(n):
        noise(178, 218, i).save(folder / f"{i + 1:06}.jpg")


def test_celeba_on_disk_needs_no_torchvision(faces, monkeypatch):
    numbered_faces(faces, 20)
    monkeypatch.setattr(CelebA, "__init__", None)
    assert celeba(16).images.shape == (16, 3, 16, 16)
    valid = celeba(8, channels=1, part="valid", seed=1)
    assert valid.images.shape == (2, 1, 8, 8)
    assert valid.files == open_folder(faces, 8, part="valid", seed=1).files


class QuotaError(Exception):
    """As gdown's: no OSError, no RuntimeError."""


@pytest.mark.parametrize("error", [RuntimeError("no\ngdown"), OSError("offline"), QuotaError("quota")])
def test_celeba_that_cannot_be_downloaded(error, faces, monkeypatch):
    def refuse(self):
        raise error

    monkeypatch.setattr(CelebA, "download", refuse)
    with pytest.raises(InputError) as caught:
        celeba(16)
    message = str(caught.value)
    assert "\n" not in message and str(error).split()[-1] in message
    for word in str(faces), "img_align_celeba.zip", "list_eval_partition.txt", "CelebA.html", "commercial":
        assert word in message
    assert "--data avatars needs nothing" in message


def test_celeba_is_downloaded_once_to_the_data_folder(faces, monkeypatch, tmp_path):
    calls = []

    def download(self, root, split, download):
        calls.append((Path(root), split, download))
        numbered_faces(faces, 20)

    monkeypatch.setattr(CelebA, "__init__", download)
    assert len(celeba(4).images) == len(celeba(4).images) == 16
    assert calls == [(tmp_path / "data", "all", True)]


def test_celeba_of_which_some_are_missing(faces):
    numbered_faces(faces, 19)
    with pytest.raises(InputError, match="holds 19 of CelebA's 20 pictures: unpack"):
        celeba(4)
