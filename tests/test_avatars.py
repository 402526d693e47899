"""Drawn faces: the same ones again from the same seed, with the hair and eyes that their labels say."""

import time

import pytest
import torch
from torch.nn.functional import avg_pool2d

from ganbook import avatars as module
from ganbook.avatars import BLOCK, EYE_COLOURS, EYES, HAIR, HAIR_COLOURS, avatars, draw_avatars
from ganbook.errors import InputError


@pytest.fixture(scope="module")
def thousand():
    return avatars(1000, 32, seed=1)


@pytest.mark.parametrize("size", [32, 64, 96])
def test_shapes_types_and_range(size):
    d = avatars(5, size)
    assert d.name == "avatars" and len(d) == 5
    assert d.images.shape == (5, 3, size, size) and d.images.dtype == torch.uint8
    assert d.labels.shape == (5, 2) and d.labels.dtype == torch.int64
    assert d.images.amin() < 60 and d.images.amax() > 235


def test_the_same_seed_draws_the_same_faces_and_another_others(thousand):
    again = avatars(1000, 32, seed=1)
    assert torch.equal(again.images, thousand.images) and torch.equal(again.labels, thousand.labels)
    other = draw_avatars(thousand.labels, 32, seed=2)
    assert not (other == thousand.images).flatten(1).all(1).any()
    assert not torch.equal(avatars(1000, 16, seed=2).labels, thousand.labels)


@pytest.mark.parametrize("n", [1, BLOCK - 1, BLOCK, BLOCK + 1, 100])
def test_fewer_faces_are_the_first_of_more(thousand, n):
    fewer = avatars(n, 32, seed=1)
    assert torch.equal(fewer.labels, thousand.labels[:n]) and torch.equal(fewer.images, thousand.images[:n])


def test_a_picture_depends_on_its_own_labels_only(thousand):
    labels = thousand.labels[:150].clone()
    labels[::2] = (labels[::2] + 1) % len(EYES)
    changed = draw_avatars(labels, 32, seed=1)
    assert torch.equal(changed[1::2], thousand.images[1:150:2])
    assert not (changed[::2] == thousand.images[:150:2]).flatten(1).all(1).any()


def test_no_two_faces_are_alike(thousand):
    assert len(thousand.images.flatten(1).unique(dim=0)) == 1000
    alike = draw_avatars(torch.zeros(1000, 2, dtype=torch.int64), 32)  # and not for their labels alone
    assert len(alike.flatten(1).unique(dim=0)) == 1000
    assert alike.float().std(0).mean() > 25


def test_one_label_at_a_time_is_as_frequent_as_another():
    hair, eyes = avatars(12_000, 16).labels.T
    table = torch.zeros(len(HAIR), len(EYES)).index_put_((hair, eyes), torch.tensor(1.0), accumulate=True)
    assert table.min() > 60 and table.max() < 140  # 100 expected, 4 standard deviations: 40
    assert (table.sum(1) / 1000 - 1).abs().max() < 0.13 and (table.sum(0) / 1200 - 1).abs().max() < 0.12


@pytest.mark.parametrize("column", [0, 1], ids=["hair", "eyes"])
def test_every_colour_is_seen(column):
    """At 32 pixels, the mean over those that change most with the label is nearest to the label's colour."""
    palette = torch.tensor(list((HAIR_COLOURS, EYE_COLOURS)[column].values()))
    for label in range(len(palette)):
        labels = torch.full((BLOCK, 2), 3)
        labels[:, column] = label
        pictures = draw_avatars(labels, 32) / 255
        labels[:, column] = (label + 1) % len(palette)
        change = (draw_avatars(labels, 32) / 255 - pictures).abs().sum(1, keepdim=True)
        most = change > 0.7 * change.amax((2, 3), keepdim=True)
        seen = (pictures * most).sum((2, 3)) / most.sum((2, 3))
        assert (torch.cdist(seen, palette).argmin(1) == label).float().mean() > 0.95


def test_a_face_is_the_same_at_every_size(thousand):
    labels = thousand.labels[:BLOCK]
    small = thousand.images[:BLOCK].float()
    large = avg_pool2d(draw_avatars(labels, 96, seed=1).float(), 3)
    difference = (small - large).abs().flatten(1).mean(1)
    assert difference.max() < 8
    stranger = (small - large.roll(1, 0)).abs().flatten(1).mean(1)
    assert stranger.min() > 2 * difference.max()


def test_drawing_is_fast():
    """1,000 for a second of CPU time and more; the bound is loose, for slow machines."""
    start = time.process_time()
    avatars(512, 32)
    speed = 512 / (time.process_time() - start)
    print(f"{speed:.0f} avatars of 32 pixels a second")
    assert speed > 250


def test_tables_name_every_stroke_in_full():
    table = module.stroke_table({"a": [(1, 2, 3, 4, 5, 6, 7, 1)], "b": [(1, 2, 3, 4, 5, 6, 7, 0)]})
    assert table[0].tolist() == [[1, 2, 3, 4, 5, 6, 7], [-1, 2, -3, 4, 5, 6, -7]]
    assert table[1, 0].tolist() == [1, 2, 3, 4, 5, 6, 7] and (table[1, 1, 4:6] < 0).all()


def test_distances_on_an_axis_are_exact():
    x = torch.tensor([0.0, 1.0, 2.0, 3.0])
    y = torch.zeros(4)
    assert torch.allclose(module.egg(x + 0.5, y, 2.0, 1.0), x + 0.5 - 2)
    assert torch.allclose(module.stroke(x, y, (0, -1), (0, 1), (0.5, 0.5)), x - 0.5)
    pointed = module.stroke(x, y, (-2, 0), (1, 0), (0.2, 0.0))  # two thirds along it is 5/9 as wide
    assert torch.allclose(pointed, torch.tensor([-0.2 * 5 / 9, 0, 1, 2]), atol=1e-6)


WRONG = {
    "0 avatars": lambda: avatars(0),
    "-3 avatars": lambda: avatars(-3),
    "seed -1": lambda: avatars(1, seed=-1),
    "avatars of 8 pixels": lambda: avatars(1, 8),
    "avatars of 257 pixels": lambda: avatars(1, 257),
    "hair label 12 ": lambda: draw_avatars(torch.tensor([[0, 0], [12, 0]])),
    "eye label 10 ": lambda: draw_avatars(torch.tensor([[0, 10]])),
    "eye label -1 ": lambda: draw_avatars(torch.tensor([[0, -1]])),
    r"labels of shape \(3,\)": lambda: draw_avatars(torch.zeros(3, dtype=torch.int64)),
    r"labels of shape \(1, 3\)": lambda: draw_avatars(torch.zeros(1, 3, dtype=torch.int64)),
    r"labels of shape \(0, 2\)": lambda: draw_avatars(torch.zeros(0, 2, dtype=torch.int64)),
    "torch.float32": lambda: draw_avatars(torch.zeros(1, 2)),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_wrong_is_named(message):
    with pytest.raises(InputError, match=f"{message}.*(take|give)"):
        WRONG[message]()
