"""Any folder of pictures as training data: found, decoded once into a cache, split 80/10/10.

Nothing here writes into the user's folder, and a picture that cannot be used is named with its reason.
"""

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from tqdm import tqdm

from ganbook.checkpoints import one_line, write
from ganbook.data import RESIDENT, data_folder, expanded
from ganbook.errors import InputError

PARTS = ("train", "valid", "test")
FORMAT = 1  # of the cache: to be raised when the same file gives other pixels
PIXELS, INDEX, UNFINISHED = "pixels.uint8", "index.json", ".unfinished-"
CELEBA = 202_599  # pictures in img_align_celeba
STDERR = threading.Lock()
LARGEST = 500_000_000  # bytes of a file that is opened: Pillow reads some formats whole, whatever they say
PROGRAMS = {"EPS"}  # what Pillow hands to another program, Ghostscript: a picture must not run one

TURN = Image.Transpose
UPRIGHT = {  # EXIF's orientation -> what undoes it
    **{2: TURN.FLIP_LEFT_RIGHT, 3: TURN.ROTATE_180, 4: TURN.FLIP_TOP_BOTTOM, 5: TURN.TRANSPOSE},
    **{6: TURN.ROTATE_270, 7: TURN.TRANSVERSE, 8: TURN.ROTATE_90},
}


class Folder(NamedTuple):
    """The pictures of one part of a folder, and what became of its other files."""

    images: Tensor  # (N, channels, size, size) uint8; to be read only: a large one is mapped from the disk
    files: list[str]  # N paths below the folder, with /, in the order of images
    skipped: dict[str, str]  # path below the folder -> why this picture cannot be used, whatever the part
    parts: dict[str, int]  # usable pictures in train, valid and test
    others: int  # files whose names are not those of pictures


class Found(NamedTuple):
    """The files of a folder, before any is opened."""

    files: list[tuple[str, int, int, int]]  # path below the folder, bytes, mtime in ns, mode (who may read)
    skipped: dict[str, str]
    others: int
    split: bool  # it has sub-folders train, valid and test


def open_folder(
    folder: str | Path, size: int, *, channels: int = 3, part: str = "train", seed: int = 0, workers: int = 0
) -> Folder:
    """The pictures in folder and in the folders below it: the middle square of each, resized.

    8 of 10 are train, 1 valid, 1 test, drawn by seed; sub-folders train, valid and test are kept as they are.
    The first call decodes all pictures, in `workers` processes if not 0, and keeps them in data_folder();
    later calls read that, until a file changes. Raises InputError.
    """
    if size < 1 or channels not in (1, 3) or part not in PARTS:
        raise InputError(
            f"size {size}, {channels} channels and part {part!r} do not go: take a size of 1 or more, "
            f"1 or 3 channels, and one of {', '.join(PARTS)}"
        )
    folder = existing(folder)
    found = find(folder)
    cache = cache_of(folder, found, size, channels, seed)
    if not cache.is_dir():
        job = partial(picture, folder=folder, size=size, channels=channels)
        build(cache, folder, found, first_pass(job, in_order(found, seed), workers))
    pictures, files, skipped = read(cache, (channels, size, size))
    parts = count_parts(files, found.split)
    if not parts[part]:
        counts = ", ".join(f"{name} {n}" for name, n in parts.items())
        raise InputError(f"{folder} has no pictures for {part} ({counts}): to be split, it takes 10 or more")
    first = sum(parts[name] for name in PARTS[: PARTS.index(part)])
    chosen = slice(first, first + parts[part])
    skipped = dict(sorted((found.skipped | skipped).items()))
    return Folder(as_tensor(pictures[chosen]), files[chosen], skipped, parts, found.others)


def split_folder(src: str | Path, dst: str | Path, seed: int = 0) -> tuple[dict[str, int], dict[str, str]]:
    """Copy the usable pictures to dst/train, dst/valid and dst/test, dealt as open_folder deals; src stays.

    Paths below src are kept. Returns Folder's parts and skipped; raises InputError, and then makes no dst.
    """
    src, dst = existing(src), expanded(dst).absolute()
    check_apart(dst, src)
    if os.path.lexists(dst) and not (dst.is_dir() and not any(dst.iterdir())):
        raise InputError(f"{dst} exists and is not an empty folder: choose another, or remove it")
    found = find(src)
    if found.split:
        raise InputError(f"{src} has sub-folders {', '.join(PARTS)}: it is split already")
    names = in_order(found, seed)
    results = first_pass(partial(picture, folder=src, size=1, channels=1), names, workers=0)
    skipped = found.skipped | {name: result for name, result in results if isinstance(result, str)}
    files = [name for name in names if name not in skipped]
    if not files:
        raise nothing_usable(src, skipped, found.others)
    parts = count_parts(files, split=False)
    homes = [part for part in PARTS for _ in range(parts[part])]
    copy(src, dst, dict(zip(files, homes, strict=True)))
    return parts, dict(sorted(skipped.items()))


def copy(src: Path, dst: Path, homes: dict[str, str]) -> None:
    """Copy each path below src to its part of dst, which appears when all are there. Raises InputError."""
    try:
        dst.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=dst.parent, prefix=UNFINISHED) as unfinished:
            whole = Path(unfinished, dst.name)
            for part in PARTS:
                (whole / part).mkdir(parents=True)
            for name, part in homes.items():
                target = whole / part / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(src / name, target)
            if dst.exists():
                dst.rmdir()  # it is empty; Windows does not rename onto it
            whole.rename(dst)
    except OSError as error:
        raise InputError(f"{src} cannot be copied to {dst}: {error}; choose another place") from error


def celeba(size: int, *, channels: int = 3, part: str = "train", seed: int = 0, workers: int = 0) -> Folder:
    """CelebA's 202,599 aligned faces (Liu, Luo, Wang and Tang, 2015), as open_folder gives them.

    Looked for in data_folder()/celeba/img_align_celeba, downloaded there by torchvision when missing.
    Raises InputError when they can be neither found nor fetched, or when some are missing.
    """
    from torchvision.datasets import CelebA

    folder = data_folder() / "celeba" / "img_align_celeba"
    if not folder.is_dir():
        try:
            CelebA(data_folder(), split="all", download=True)
        except Exception as error:  # gdown's own errors have no other class in common
            lists = ", ".join(name for *_, name in CelebA.file_list if name.endswith(".txt"))
            raise InputError(
                f"CelebA is not in {folder} and could not be downloaded ({one_line(error)}): fetch "
                "img_align_celeba.zip from the project page, mmlab.ie.cuhk.edu.hk/projects/CelebA.html "
                f"(for non-commercial research only), and unpack it in {folder.parent}; torchvision itself "
                f"also wants {lists} there; --data avatars needs nothing"
            ) from error
    n = sum(entry.name.endswith(".jpg") for entry in os.scandir(folder))
    if n != CELEBA:
        raise InputError(
            f"{folder} holds {n:,} of CelebA's {CELEBA:,} pictures: unpack img_align_celeba.zip once more, "
            "or delete the folder, and it is fetched anew"
        )
    return open_folder(folder, size, channels=channels, part=part, seed=seed, workers=workers)


# Which files there are, and how they are dealt.


def existing(folder: str | Path) -> Path:
    folder = expanded(folder)
    if not folder.is_dir():
        state = "is a file, not a folder" if os.path.exists(folder) else "is not there"
        raise InputError(f"{folder} {state}: give the folder that holds the pictures")
    return folder.resolve()


def check_apart(out: Path, folder: str | Path) -> None:
    """Raise InputError where what is written to out would lie among the pictures of folder, and become data."""
    if out.resolve().is_relative_to(expanded(folder).resolve()):
        raise InputError(f"{out} lies inside {folder}, which stays as it is: choose a folder outside it")


def find(folder: Path) -> Found:
    """Every file below folder that is named like a picture Pillow can open."""
    forms, known = formats(), Image.registered_extensions().items()
    suffixes = {suffix for suffix, form in known if form in forms}
    split = all((folder / part).is_dir() for part in PARTS)
    files, skipped, others = [], {}, 0
    for path in walk(folder, skipped):
        if os.path.splitext(path)[1].lower() not in suffixes:
            others += 1
        elif split and path.split("/")[0] not in PARTS:
            skipped[path] = f"lies outside {', '.join(PARTS)}"
        elif not os.path.isfile(folder / path):
            skipped[path] = "is not a file"  # a link that leads nowhere; a pipe, which could be read for ever
        elif os.path.getsize(folder / path) > LARGEST:
            skipped[path] = f"is too large (more than {LARGEST:,} bytes)"
        else:
            info = os.stat(folder / path)
            files.append((path, info.st_size, info.st_mtime_ns, info.st_mode))
    return Found(sorted(files), skipped, others, split)


def formats() -> list[str]:
    """What Pillow can open by itself."""
    Image.init()
    return [form for form in Image.OPEN if form not in PROGRAMS]


def walk(folder: Path, skipped: dict[str, str]) -> Iterator[str]:
    """The paths of all files below folder but hidden ones, links followed; closed folders go to skipped."""

    def below(path: str) -> str:
        return PurePath(path).relative_to(folder).as_posix()

    def refused(error: OSError) -> None:
        skipped[below(error.filename)] = f"cannot be opened ({error.strerror})"

    # A link to a folder above leads round in a ring; one to a folder already seen shows its pictures twice.
    seen = {str(parent) for parent in folder.parents}
    for here, folders, names in os.walk(folder, onerror=refused, followlinks=True):
        real = os.path.realpath(here)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and real not in seen)
        if real not in seen:
            prefix = "" if below(here) == "." else below(here) + "/"
            yield from (prefix + name for name in names if not name.startswith("."))
        seen.add(real)


def in_order(found: Found, seed: int) -> list[str]:
    """The paths as the cache keeps them: train, valid, test where so split, and shuffled inside.

    Shuffled by a hash of seed and path alone: alike on every machine, and a new file stirs no other.
    """

    def key(path: str) -> tuple[int, str]:
        shuffled = hashlib.sha256(f"{seed}:{path}".encode(errors="surrogateescape")).hexdigest()
        return PARTS.index(path.split("/")[0]) if found.split else 0, shuffled

    return sorted((path for path, *_ in found.files), key=key)


def count_parts(files: list[str], split: bool) -> dict[str, int]:
    """How many of the usable pictures, in order, are train, then valid, then test."""
    if split:
        return {part: sum(path.startswith(part + "/") for path in files) for part in PARTS}
    tenth = len(files) // 10
    return {"train": len(files) - 2 * tenth, "valid": tenth, "test": tenth}


# One file.


def picture(path: str, folder: Path, size: int, channels: int) -> bytes | str:
    """The bytes of one picture (channels, size, size) uint8, or why it cannot be used.

    Raises InputError when the disk is at fault, not the file: the cache must not remember that.
    """
    try:
        with quiet(), open(folder / path, "rb") as file, Image.open(file, formats=formats()) as image:
            return pixels(image, size, channels)
    except PermissionError:
        return "may not be read (permission denied)"
    except UnidentifiedImageError:
        return "is not a picture" if os.path.getsize(folder / path) else "is empty"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return f"is too large (more than {Image.MAX_IMAGE_PIXELS:,} pixels)"
    except Exception as error:  # a damaged file can make Pillow raise nearly anything
        if isinstance(error, OSError) and error.errno:
            raise InputError(f"{folder / path} could not be read ({error.strerror}): try again") from error
        return f"cannot be decoded ({one_line(error)})"


@contextmanager
def quiet() -> Iterator[None]:
    """No warning about an odd file reaches the user; that of a decompression bomb becomes an error.

    libtiff writes to file descriptor 2 itself, so that is led elsewhere meanwhile.
    """
    with STDERR, warnings.catch_warnings(), open(os.devnull, "wb") as nowhere:
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        stderr = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def pixels(image: Image.Image, size: int, channels: int) -> bytes:
    """Turned upright, cut to the middle square, laid on white, resized: (channels, size, size) bytes."""
    image.draft(None, (3 * size, 3 * size))  # lets a large JPEG be decoded at a half, a quarter or an eighth
    image.load()
    turn = UPRIGHT.get(image.getexif().get(0x0112))
    image = image if turn is None else image.transpose(turn)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = on_white(image.crop((left, top, left + side, top + side)))
    image = image.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3)
    image = image if channels == 3 else image.convert("L")
    return np.asarray(image).reshape(size, size, channels).transpose(2, 0, 1).tobytes()


def on_white(image: Image.Image) -> Image.Image:
    """Any mode as RGB; white shows where the picture is transparent."""
    if image.mode == "F":
        raise ValueError("floating-point values have no agreed range: save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        image = eight_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits as L, or as LA if one value stands for transparent."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f"values from {values.min()} to {values.max()}: save it with 8 or 16 bits")
    grey = Image.fromarray(((values + 128) // 257).astype(np.uint8))  # 65535 = 257 * 255
    if "transparency" in image.info:
        opaque = values != image.info["transparency"]
        grey.putalpha(Image.fromarray(opaque.astype(np.uint8) * 255))
    return grey


# All files, once, and the cache.


def first_pass(job: Callable, names: list[str], workers: int) -> Iterator[tuple[str, bytes | str]]:
    """(name, job(name)) for each name in order, under a progress bar if that takes a while."""
    results = in_processes(job, names, workers) if workers > 0 else map(job, names)
    return tqdm(zip(names, results, strict=True), total=len(names), unit="picture", delay=2, disable=None)


def in_processes(job: Callable, names: list[str], workers: int) -> Iterator[bytes | str]:
    context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads and locks
    window = 256 * workers  # results that may wait at a time: memory stays bounded
    try:
        with ProcessPoolExecutor(workers, context, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
            for start in range(0, len(names), window):
                yield from pool.map(job, names[start : start + window], chunksize=16)
    except BrokenProcessPool as error:
        raise InputError("a process decoding pictures died (memory?): take fewer workers, or 0") from error


def cache_of(folder: Path, found: Found, size: int, channels: int, seed: int) -> Path:
    """Where the decoded pictures are kept: another place when a file has changed."""

    def digest(*what) -> str:
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]

    root = data_folder().absolute() / "folders"
    if root.resolve().is_relative_to(folder):
        raise InputError(f"{root} lies inside {folder}, which stays as it is: set GANBOOK_DATA elsewhere")
    return root / f"{digest(str(folder), size, channels)}-{digest(FORMAT, found.files)}-{seed}"


def build(cache: Path, folder: Path, found: Found, results: Iterator[tuple[str, bytes | str]]) -> None:
    """Write the results to the cache, which appears when it is whole. Raises InputError."""
    files, skipped = [], {}
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache.parent, prefix=UNFINISHED) as unfinished:
            whole = Path(unfinished, cache.name)
            whole.mkdir()
            with (whole / PIXELS).open("wb") as out:
                for name, result in results:
                    if isinstance(result, str):
                        skipped[name] = result
                    else:
                        files.append(name)
                        out.write(result)
                out.flush()
                os.fsync(out.fileno())
            if not files:
                raise nothing_usable(folder, found.skipped | skipped, found.others)
            write(whole / INDEX, json.dumps({"files": files, "skipped": skipped}).encode())
            put(whole, cache)
        remove_stale(cache)
    except OSError as error:
        raise InputError(
            f"the decoded pictures cannot be kept in {cache.parent} ({error.strerror}): make room there, or "
            "set GANBOOK_DATA to a folder that can be written"
        ) from error


def nothing_usable(folder: Path, skipped: dict[str, str], others: int) -> InputError:
    reasons = "; ".join(f"{path} {reason}" for path, reason in sorted(skipped.items())[:3])
    bad = f"{len(skipped)} that cannot be used ({reasons})" if skipped else "no file named like a picture"
    return InputError(
        f"{folder} holds no usable picture: {bad}, {others} other files; give a folder with .jpg, .png or "
        "other pictures in it or in its sub-folders"
    )


def put(whole: Path, cache: Path) -> None:
    try:
        whole.rename(cache)
    except OSError:
        if not cache.is_dir():  # otherwise another process was quicker, and has written the same
            raise


def remove_stale(cache: Path) -> None:
    """Remove caches of this folder made before a file changed, and what killed processes left long ago."""
    place, state, _ = cache.name.split("-", 2)
    for old in cache.parent.glob(f"{place}-*"):
        if old.name.split("-")[1] != state:
            shutil.rmtree(old, ignore_errors=True)
    for old in cache.parent.glob(UNFINISHED + "*"):
        with suppress(FileNotFoundError):  # one that another process has just finished
            if old.stat().st_mtime < time.time() - 24 * 3600:
                shutil.rmtree(old, ignore_errors=True)


def read(cache: Path, shape: tuple[int, int, int]) -> tuple[np.ndarray, list[str], dict[str, str]]:
    """All pictures (N, *shape), mapped and read-only, their paths, and why other files are not among them."""
    try:
        index = json.loads((cache / INDEX).read_bytes())
        files, skipped = index["files"], index["skipped"]
        if not all(map(is_below, [*files, *skipped])):
            raise ValueError(f"{INDEX} names what is no file of the folder")
        pictures = np.memmap(cache / PIXELS, np.uint8, "r", shape=(len(files), *shape))
        if pictures.nbytes != (cache / PIXELS).stat().st_size:
            raise ValueError(f"{PIXELS} and {INDEX} do not agree")
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise InputError(f"{cache} is damaged ({one_line(error)}): delete it, and it is made anew") from error
    return pictures, files, dict(skipped)


def is_below(path: str) -> bool:
    """Whether a path of the cache stays inside the folder that it is of."""
    return isinstance(path, str) and not path.startswith("/") and ".." not in path.split("/")


def as_tensor(pictures: np.ndarray) -> Tensor:
    """In memory, or as the map that it is if large.

    The map stays read-only: for one to write to, the kernel would have to promise memory, and it refuses more
    than there is.
    """
    if pictures.nbytes <= RESIDENT:
        return torch.from_numpy(np.array(pictures))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, that nothing may write to it
        return torch.from_numpy(pictures)
