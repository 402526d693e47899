"""The judges of fakes know real pictures: as the records say, and on pictures drawn afresh."""

import inspect

import pytest
import torch
from torch.nn.functional import normalize

from ganbook import classifiers
from ganbook.avatars import avatars
from ganbook.checkpoints import read_card
from ganbook.classifiers import (
    CLASSES,
    HELD_OUT_SEED,
    Classifier,
    accuracies,
    blur,
    confusion,
    digits_split,
    label_accuracy,
    load_classifier,
    name_labels,
    new_classifier,
    record_classifier,
    roughen,
    train_classifier,
)
from ganbook.data import MNIST_SHA256, ImageSet, data_folder, digits, mnist, sha256, to_float
from ganbook.errors import InputError
from ganbook.records import RECORDS, read_record

BARS = {  # the least accuracy on held-out pictures
    "digits": {"MNIST, test": {"digit": 0.993}, "digits, held out": {"digit": 0.985}},
    "avatars": {f"avatars, {size} pixels": {"hair": 0.998, "eyes": 0.995} for size in (32, 64)},
}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=CLASSES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def trained():
    """A classifier of avatars after a short training, and what it was trained on."""
    data = avatars(512, 32, seed=1)
    return train_classifier("avatars", data, steps=24, seed=0), data


def test_a_record_is_complete_and_small(name):
    folder, card = RECORDS / f"classifier-{name}", read_record(f"classifier-{name}")
    assert (folder / "C.safetensors").stat().st_size <= 600_000
    assert card["sha256"] == {"C": sha256(folder / "C.safetensors")}
    assert card["command"] == f"ganbook classifier {name} --seed {card['seed']}"
    assert card["classes"] == {label: list(names) for label, names in CLASSES[name].items()}
    assert card["steps"] == classifiers.STEPS[name] and card["batch_size"] == classifiers.BATCH_SIZE
    assert card["minutes"] >= card["cpu_minutes"] * 0.95 > 0 and card["threads"] == 1
    assert {"pictures", "lr", "device", "precision", "versions", "commit", "date"} <= set(card)


def test_the_card_passes_the_bars(name):
    card = read_record(f"classifier-{name}")
    spoiled = ("accuracy_blurred", "accuracy_half_contrast")
    assert all(set(card[key]) == set(BARS[name]) for key in ("accuracy", "held_out", *spoiled))
    for kind, bars in BARS[name].items():
        for label, bar in bars.items():
            assert card["accuracy"][kind][label] >= bar
            assert all(card[key][kind][label] >= bar - 0.005 for key in spoiled)


def test_digits_held_out_are_named():
    _, held_out = digits_split()
    found = accuracies(load_classifier("digits"), held_out)
    assert found["digit"] >= 0.985
    assert found == pytest.approx(read_record("classifier-digits")["accuracy"]["digits, held out"], abs=0.006)


@pytest.mark.parametrize("size", [32, 64])
def test_avatars_drawn_afresh_are_named(size):
    found = accuracies(load_classifier("avatars"), avatars(256, size, seed=77_777))
    assert found["hair"] >= 0.996 and found["eyes"] >= 0.992  # all but one, and all but two


def test_another_label_is_not_seen():
    """The judge's word depends on what is asked: labels moved on by one are all wrong."""
    _, held_out = digits_split()
    x = to_float(held_out.images)
    assert label_accuracy(load_classifier("digits"), x, (held_out.labels + 1) % 10).item() <= 0.015


HERE = all((data_folder() / "MNIST" / "raw" / name).exists() for name in MNIST_SHA256)


@pytest.mark.skipif(not HERE, reason="MNIST is not at hand")
def test_mnist_is_named():
    data = mnist(train=False)
    part = ImageSet("part", data.images[:1000], data.labels[:1000], data.classes)
    assert accuracies(load_classifier("digits"), part)["digit"] >= 0.985


@pytest.mark.parametrize("num_classes, channels, size", [([10], 1, 28), ([12, 10], 3, 32), ([2, 3, 4], 2, 8)])
def test_shapes(num_classes, channels, size):
    C = Classifier(channels, num_classes, size, width=4)
    for times in (1, 2, 3):
        x = torch.rand(5, channels, times * size, times * size) * 2 - 1
        assert C.features(x).shape == (5, 16) and C.features(x).dtype == torch.float32
        assert [logits.shape for logits in C(x)] == [(5, k) for k in num_classes]
        named = name_labels(C, x)
        assert named.shape == ((5,) if len(num_classes) == 1 else (5, len(num_classes)))
        assert named.dtype == torch.int64
        assert label_accuracy(C, x, named).tolist() == [1.0] * len(num_classes)


def test_the_docstring_counts_the_parameters():
    for name in CLASSES:
        n = sum(parameter.numel() for parameter in new_classifier(name).parameters())
        assert f"{n:,}" in Classifier.__doc__


def test_classes_fit_on_a_page():
    assert max(map(len, inspect.getsource(Classifier).splitlines())) <= 88


def test_a_larger_picture_is_judged_by_its_averaged_blocks():
    C, x = load_classifier("avatars"), to_float(avatars(4, 64, seed=5).images)
    small = x.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    torch.testing.assert_close(C.features(x), C.features(small), rtol=1e-4, atol=1e-5)


def test_a_loaded_classifier_is_a_judge_and_learns_no_more():
    C = load_classifier("digits")
    assert not C.training and not any(parameter.requires_grad for parameter in C.parameters())
    x = torch.rand(2, 1, 28, 28, requires_grad=True)
    C(x)[0].sum().backward()  # but a picture can be moved to its liking
    assert x.grad.abs().sum() > 0


def test_naming_disturbs_nothing():
    C = Classifier(1, [10], 28, width=4).train()
    before = {key: value.clone() for key, value in C.state_dict().items()}
    x = torch.rand(1_001, 1, 28, 28)
    assert name_labels(C, x).shape == (1_001,) and C.training
    assert all(torch.equal(value, before[key]) for key, value in C.state_dict().items())
    torch.testing.assert_close(name_labels(C, x)[700:800], name_labels(C, x[700:800]))


class Fixed(torch.nn.Module):
    """Sees the labels that are written into the first pixels."""

    def forward(self, x):
        return [torch.nn.functional.one_hot(x[:, 0, 0, i].long(), 4).float() for i in range(self.labels)]


@pytest.mark.parametrize("labels", [1, 2])
def test_accuracy_by_hand(labels):
    C, x = Fixed(), torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 3.0], [3.0, 0.0]])[:, None, None]
    C.labels = labels
    y = torch.tensor([[0, 0], [1, 1], [2, 0], [0, 0]])  # right: three of four, two of four
    named = name_labels(C, x)
    if labels == 1:
        assert named.tolist() == [0, 1, 2, 3]
        assert label_accuracy(C, x, y[:, 0]).tolist() == [0.75]
    else:
        assert named.tolist() == [[0, 1], [1, 1], [2, 3], [3, 0]]
        assert label_accuracy(C, x, y).tolist() == [0.75, 0.5]


def test_confusion_by_hand():
    asked, predicted = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([0, 1, 1, 0, 2, 2])
    table = confusion(predicted, asked, 4)
    assert table.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    assert torch.equal(confusion(asked, predicted, 4), table.T)
    assert confusion(asked[:0], asked[:0], 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    "do, message",
    [
        (lambda: load_classifier("faces"), "'faces': there are digits, avatars"),
        (lambda: new_classifier("mnist"), "'mnist': there are digits, avatars"),
        (lambda: load_classifier("digits")(torch.zeros(2, 3, 28, 28)), r"\(2, 3, 28, 28\) .*\(B, 1, 28, 28\)"),
        (lambda: load_classifier("avatars")(torch.zeros(2, 3, 48, 48)), r"\(2, 3, 48, 48\) .*multiple of 32"),
        (lambda: load_classifier("avatars")(torch.zeros(2, 3, 32, 64)), r"\(2, 3, 32, 64\)"),
        (lambda: load_classifier("avatars")(torch.zeros(2, 3, 16, 16)), r"\(2, 3, 16, 16\)"),
        (lambda: load_classifier("digits")(torch.zeros(28, 28)), r"\(28, 28\)"),
        (lambda: name_labels(load_classifier("digits"), torch.zeros(0, 1, 28, 28)), r"\(0, 1, 28, 28\)"),
        (
            lambda: label_accuracy(load_classifier("avatars"), torch.zeros(2, 3, 32, 32), torch.zeros(2).long()),
            r"labels of shape \(2,\) .*give \(2, 2\)",
        ),
        (lambda: confusion(torch.zeros(2).long(), torch.zeros(3).long(), 4), r"\(2,\) and \(3,\)"),
        (lambda: confusion(torch.tensor([4]), torch.tensor([0]), 4), "label 4 .*0 to 3"),
        (lambda: confusion(torch.tensor([0]), torch.tensor([-1]), 4), "label -1 .*0 to 3"),
    ],
)
def test_what_cannot_be_done_is_said(do, message):
    with pytest.raises(InputError, match=message) as error:
        do()
    assert "\n" not in str(error.value)


def test_digits_are_split_once_and_for_all():
    (train, held_out), again = digits_split(), digits_split()
    assert (len(train), len(held_out)) == (1_618, 179)
    assert torch.equal(held_out.images, again[1].images)
    assert held_out.labels.bincount().min() >= 8  # of each digit
    rows = torch.cat([train.images, held_out.images]).flatten(1).tolist()
    assert sorted(rows) == sorted(digits().images.flatten(1).tolist())


def test_no_picture_was_trained_on_and_tested_with():
    train, held_out = (avatars(64, 32, seed) for seed in (classifiers.AVATARS_SEED, HELD_OUT_SEED))
    apart = (to_float(train.images)[:, None] - to_float(held_out.images)).abs().mean((2, 3, 4))
    assert apart.min() > 0.02


def test_a_short_training_beats_chance(trained):
    C, _ = trained
    assert not C.training
    found = accuracies(C, avatars(200, 32, seed=2))
    assert found["hair"] > 0.5  # chance: a twelfth; the eyes are a few pixels, and take longer


def test_the_same_seed_gives_the_same_weights(trained):
    _, data = trained
    before = torch.get_rng_state()
    one, two, other = (train_classifier("avatars", data, steps=3, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["net.0.weight"], other["net.0.weight"])
    assert torch.equal(torch.get_rng_state(), before)


def test_one_label_is_trained_as_two_are():
    C = train_classifier("digits", digits_split()[0], steps=32)
    assert accuracies(C, digits_split()[1])["digit"] > 0.3  # chance: a tenth


def test_roughening_keeps_the_picture():
    """Each picture is changed in its own way, and stays more like itself than like any other."""
    torch.manual_seed(0)
    x = to_float(avatars(64, 32, seed=3).images)
    rough = roughen(x)
    assert rough.shape == x.shape and (rough - x).abs().flatten(1).mean(1).min() > 0.01
    # By the angle between them: a faded picture has the same direction, and less length.
    likeness = normalize(rough.flatten(1) - rough.mean(), dim=1) @ normalize(x.flatten(1) - x.mean(), dim=1).T
    assert (likeness.argmax(1) == torch.arange(64)).float().mean() > 0.9
    lengths = rough.flatten(1).std(1) / x.flatten(1).std(1)
    assert lengths.min() < 0.5 and (lengths > 0.9).float().mean() > 0.2  # some are pale, some are not
    same = roughen(x[:1].expand(8, -1, -1, -1))
    assert (same[1:] - same[:-1]).abs().flatten(1).mean(1).min() > 0.01


def test_the_blur_is_a_bell_one_pixel_wide():
    x = torch.zeros(1, 2, 9, 9)
    x[0, 1, 4, 4] = 1
    bell = blur(x)[0]
    assert bell[0].abs().sum() == 0 and bell[1].sum() == pytest.approx(1)
    place = torch.arange(9.0) - 4
    assert (bell[1].sum(0) * place).sum() == 0 and (bell[1].sum(0) * place**2).sum() == pytest.approx(1)
    torch.testing.assert_close(blur(torch.ones(1, 3, 6, 6)), torch.ones(1, 3, 6, 6))


def test_a_record_is_made(tmp_path, monkeypatch):
    monkeypatch.setitem(classifiers.STEPS, "avatars", 2)
    monkeypatch.setattr(classifiers, "AVATARS", 128)
    monkeypatch.setattr(classifiers, "AVATARS_HELD_OUT", 64)
    card = record_classifier("avatars", tmp_path / "new", {"commit": "abc"}, seed=4)
    assert card == read_card(tmp_path / "new")
    assert (card["seed"], card["pictures"], card["steps"], card["commit"]) == (4, 128, 2, "abc")
    assert card["held_out"] == dict.fromkeys(BARS["avatars"], 64)
    assert card["sha256"] == {"C": sha256(tmp_path / "new" / "C.safetensors")}
