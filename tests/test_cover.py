"""The cover: the committed picture is what the generators draw, and they draw what they are asked for."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from ganbook.classifiers import label_accuracy, load_classifier
from ganbook.cover import COVER, DIGITS, EYES, HAIR, draw_cover, ordered_digits, ordered_faces, save_cover
from ganbook.records import read_record
from tests.conftest import TOP

COMPRESSION = 7  # levels of 255 that JPEG may change in the mean; it changes 5.8


@pytest.fixture(scope="module")
def drawn():
    return np.asarray(draw_cover()).astype(float)


def test_the_committed_cover_is_what_the_command_draws(drawn):
    assert (TOP / COVER).stat().st_size <= 150_000
    committed = np.asarray(Image.open(TOP / COVER)).astype(float)
    assert committed.shape == drawn.shape == (320, 1_536, 3)
    assert abs(committed - drawn).mean() < COMPRESSION
    other_z = drawn.copy()
    other_z[:, :64], other_z[:, 64:128] = drawn[:, 64:128], drawn[:, :64]  # two columns exchanged
    assert abs(committed - other_z).mean() > COMPRESSION


def test_the_command_writes_a_jpeg(tmp_path, drawn):
    save_cover(tmp_path / "cover.jpg")
    picture = Image.open(io.BytesIO((tmp_path / "cover.jpg").read_bytes()))
    assert picture.format == "JPEG" and picture.size == (1_536, 320)


def test_all_hair_and_the_digits_of_pi():
    assert sorted(HAIR) == sorted(read_record("acgan")["classes"]["hair"])
    assert len(DIGITS) == 2 * len(HAIR) and DIGITS.startswith(f"{np.pi:.15f}".replace(".", "")[:15])


def test_a_judge_sees_in_the_faces_what_was_asked_for():
    classes = read_record("acgan")["classes"]
    asked = torch.tensor(
        [
            [classes["hair"].index(hair), classes["eyes"].index(eyes)]
            for eyes in EYES
            for hair in HAIR
            for _ in "ab"
        ]
    )
    faces = torch.nn.functional.avg_pool2d(ordered_faces(), 2)
    judge = load_classifier("avatars")
    assert label_accuracy(judge, faces, asked).min() > 0.9
    assert label_accuracy(judge, faces, asked.flip(0)).max() < 0.5


def test_a_judge_reads_the_digits_that_were_asked_for():
    digits = ordered_digits()[:, :1, 4:-4:2, 4:-4:2]  # each pixel was made two wide
    asked = torch.tensor([[int(digit)] for digit in DIGITS])
    assert label_accuracy(load_classifier("digits"), digits, asked).item() > 0.9
