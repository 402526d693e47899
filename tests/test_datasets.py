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
