"""A data set is found by its name or its folder, in the shape that the recipe makes, or refused in one line."""

import pytest
import torch
from PIL import Image

from ganbook import datasets
from ganbook.datasets import load
from ganbook.errors import InputError


def test_by_name(monkeypatch):
    data, skipped = load("digits", (1, 28, 28))
    assert (data.name, len(data), skipped) == ("digits", 1797, {})
    monkeypatch.setattr(datasets, "AVATARS", 3)
    data, _ = load("avatars", (3, 32, 32))
    assert (data.name, data.images.shape, data.labels.shape) == ("avatars", (3, 3, 32, 32), (3, 2))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder(tmp_path, monkeypatch, channels):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "cache"))
    pictures = tmp_path / "my pictures"
    pictures.mkdir()
    for i in range(20):
        Image.new("RGB", (40 + i, 30), (10 * i, 0, 0)).save(pictures / f"{i}.png")
    (pictures / "broken.png").write_bytes(b"")
    data, skipped = load(str(pictures), (channels, 28, 28))
    assert data.name == "my pictures" and data.images.shape == (16, channels, 28, 28)  # four fifths
    assert list(skipped) == ["broken.png"] and data.labels.tolist() == [0] * 16
    x, _ = data.take(torch.tensor([0, 1]))
    assert x.shape == (2, channels, 28, 28)


@pytest.mark.parametrize(
    "name, shape, message",
    [
        ("nosuch", (1, 28, 28), "no data set or folder is called 'nosuch': .*digits, mnist, avatars, celeba"),
        ("digits", (3, 64, 64), "'digits' is 1 x 28 x 28, this recipe makes 3 x 64 x 64"),
        ("avatars", (1, 28, 28), "'avatars' are in colour"),
    ],
)
def test_refused(name, shape, message):
    with pytest.raises(InputError, match=message):
        load(name, shape)


def test_labels_come_by_name_or_from_a_tags_csv(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "cache"))
    data, _ = load("digits", (1, 28, 28), labelled=True)
    assert list(data.classes) == ["digit"]
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(20):
        Image.new("RGB", (40, 40), (10 * i, 0, 0)).save(folder / f"{i}.png")
    with pytest.raises(InputError, match="faces has no labels to learn: .*tags.csv"):
        load(str(folder), (3, 16, 16), labelled=True)
    with pytest.raises(InputError, match="celeba has no labels"):
        load("celeba", (3, 16, 16), labelled=True)
    (folder / "tags.csv").write_text("".join(f"{i},blue hair,red eyes\n" for i in range(20)))
    data, skipped = load(str(folder), (3, 16, 16), labelled=True)
    assert data.labels.tolist() == [[3, 8]] * 16 and skipped == {}
    assert "20 pictures with hair and eye colours" in capsys.readouterr().out
    assert load(str(folder), (3, 16, 16))[0].labels.tolist() == [0] * 16  # a GAN without labels takes them, too


def test_the_held_out_part_shares_no_picture_with_the_part_to_train_on(tmp_path, monkeypatch):
    monkeypatch.setenv("GANBOOK_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "AVATARS", 50)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(50):
        Image.new("RGB", (8, 8), (5 * i, 0, 0)).save(folder / f"{i}.png")
    (folder / "tags.csv").write_text("".join(f"{i},blue hair,red eyes\n" for i in range(50)))
    for name, labelled in (("avatars", True), (str(folder), False), (str(folder), True)):
        train, test = (
            load(name, (3, 16, 16), labelled=labelled, part=part)[0].images for part in ("train", "test")
        )
        assert len(train) and len(test)
        assert not (train[:, None] == test).flatten(2).all(2).any()
    with pytest.raises(InputError, match="all of 'digits' is trained on and none held out.*mnist"):
        load("digits", (1, 28, 28), part="test")


def test_the_held_out_part_of_mnist_is_its_test_set(monkeypatch):
    monkeypatch.setattr(datasets, "mnist", lambda train: f"train={train}")
    assert [load("mnist", (1, 28, 28), part=part)[0] for part in ("train", "test")] == [
        "train=True",
        "train=False",
    ]
