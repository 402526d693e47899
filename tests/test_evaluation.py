"""Measuring a trained generator: the rules, the right reference, and planted faults that move the right number."""

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from ganbook import datasets, evaluation
from ganbook.__main__ import cli
from ganbook.avatars import avatars, draw_avatars
from ganbook.classifiers import HELD_OUT_SEED
from ganbook.data import to_float
from ganbook.errors import InputError
from ganbook.evaluation import (
    as_bytes,
    classifier_eye,
    draw_fakes,
    evaluate,
    features_of,
    inception_eye,
    lines_of,
)
from ganbook.metrics import frechet_distance, kernel_distance
from ganbook.recipes import build
from ganbook.runs import digest, labels_of

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


class Draws(nn.Module):
    """A G(z, y) whose pictures are avatars of these labels: z says which, of those that it holds."""

    latent_dim, num_classes = 1, (12, 10)

    def __init__(self, images):
        super().__init__()
        self.images, self.weight = images, nn.Parameter(torch.zeros(1))

    def forward(self, z, y):
        same = [(self.images.labels == label).all(1).nonzero()[:, 0] for label in y]
        rows = [rows[int(abs(number) * 1e4) % len(rows)] for rows, number in zip(same, z[:, 0], strict=True)]
        return to_float(self.images.images[torch.stack(rows)])


class Silent:
    """A judge that says nothing, in no time."""

    def __init__(self, *args):
        pass

    def obedience(self, fakes):
        return {}


@pytest.fixture(scope="module")
def small():
    """Everything at 32 pixels and in hundreds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "AVATARS", 600)
        patch.setattr(evaluation, "FAKES", 600)
        patch.setattr(evaluation, "LESSONS", 60)
        yield


@pytest.fixture(scope="module")
def card(small):
    train = avatars(600, 32)
    return {"recipe": "acgan", "data": "avatars", "digest": digest(train), **labels_of(train)}


@pytest.fixture(scope="module")
def found(card):
    """What is found of a G that draws new avatars, one that copies its training set, one that mixes labels up."""
    train, new = avatars(600, 32), avatars(1_800, 32, seed=5)
    wrong = avatars(1_800, 32, seed=5)
    wrong = type(wrong)("wrong", wrong.images, (wrong.labels + 1) % torch.tensor([12, 10]), wrong.classes)
    seen = {name: evaluate(Draws(images), card, [0])[0] for name, images in dict(new=new, wrong=wrong).items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "Judge", Silent)  # copies obey
        return seen | {"copies": evaluate(Draws(train), card, [0])[0]}


def test_a_perfect_generator(found):
    new = found["new"]
    assert (new["features"], new["fakes"], new["held_out"], new["seed"]) == (
        "avatars-classifier features",
        600,
        600,
        0,
    )
    assert new["copying"] == pytest.approx(1, abs=0.1) and new["coverage"] > 0.9 and new["precision"] > 0.75
    assert abs(new["kernel_distance"]) < 0.01 and new["accuracy"] == {"hair": 1, "eyes": 1}
    assert new["score"]["hair"] > 0.9 and abs(new["score"]["hair"] - new["score_of_real"]["hair"]) < 0.1


def test_copies_are_caught_by_their_copying_alone(found):
    assert found["copies"]["copying"] == 0
    assert found["copies"]["coverage"] > 0.8 and found["copies"]["distance"] < 2 * found["new"]["distance"]


def test_wrong_labels_show_in_accuracy_and_score_alone(found):
    wrong = found["wrong"]
    assert max(wrong["accuracy"].values()) < 0.01 and max(wrong["score"].values()) < 0.2
    assert wrong["distance"] < 2 * found["new"]["distance"]


def test_the_reference_is_the_held_out_part(card, monkeypatch):
    """The numbers are those of metrics, on all held-out pictures and all fakes."""
    G = Draws(avatars(1_800, 32, seed=5))
    eye, real = classifier_eye("avatars", CPU), avatars(600, 32, HELD_OUT_SEED)
    x, y = features_of(eye.see, real.images), features_of(eye.see, draw_fakes(G, card, 600, 3).images)
    monkeypatch.setattr(evaluation, "Judge", Silent)
    got, other = evaluate(G, card, [3, 4])
    assert (got["seed"], other["seed"]) == (3, 4) and got["distance"] != other["distance"]
    assert got["distance"] == pytest.approx(frechet_distance(x, y), rel=1e-6)
    assert got["kernel_distance"] == kernel_distance(x, y)


def test_fakes_are_drawn_in_eval_mode_by_seed_in_parts_as_bytes(card, monkeypatch):
    torch.manual_seed(0)
    G, _ = build("acgan", {"image_size": 16, "width_g": 4})
    before, state = torch.get_rng_state(), [buffer.clone() for buffer in G.buffers()]
    whole = draw_fakes(G, card, 30, seed=4)
    monkeypatch.setattr(evaluation, "AT_ONCE", 7)
    parts = draw_fakes(G, card, 30, seed=4)
    assert whole.images.dtype == torch.uint8 and whole.images.shape == (30, 3, 16, 16)
    assert (whole.images.int() - parts.images.int()).abs().max() <= 1 and torch.equal(whole.labels, parts.labels)
    assert torch.equal(torch.get_rng_state(), before) and G.training
    assert all(torch.equal(a, b) for a, b in zip(state, G.buffers(), strict=True))
    assert not torch.equal(draw_fakes(G, card, 30, seed=5).images, parts.images)


def test_what_cannot_be_measured_is_refused(card, monkeypatch):
    G = Draws(avatars(1_200, 32))
    with pytest.raises(InputError, match="avatars holds other pictures than G was trained on: .*--data"):
        evaluate(G, card | {"digest": "another"}, [0])
    with pytest.raises(InputError, match="no classifier for the pictures of 'holiday': take --features inception"):
        classifier_eye("holiday", CPU)
    for bad in (2.0, -1.1, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"must lie in \[-1, 1\]"):
            as_bytes(torch.tensor([0.0, bad]).view(1, 1, 1, 2))


def test_without_a_network_inception_says_what_it_needs(monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(evaluation, "NoTrainInceptionV3", no_network)
    with pytest.raises(InputError, match=r"Inception is not to be had \(no route.*ganbook\[inception\]"):
        inception_eye(CPU)


def test_inception_sees_grey_pictures_in_three_channels(monkeypatch):
    class Net(nn.Module):
        def forward(self, x):
            assert x.dtype == torch.uint8
            return x.float().mean((2, 3))

    monkeypatch.setattr(evaluation, "NoTrainInceptionV3", lambda **options: Net())
    eye = inception_eye(CPU)
    assert eye.name == "Inception features"
    for channels in (1, 3):
        assert eye.see(torch.full((2, channels, 8, 8), 7, dtype=torch.uint8)).tolist() == [[7.0] * 3] * 2


def test_the_lines_say_n_features_and_spread(found):
    lines = lines_of([found["new"], found["wrong"]])
    assert lines[0] == "2 set(s) of 600 fakes against 600 held-out pictures"
    assert any(line.startswith("FID, avatars-classifier features") and "±" in line for line in lines)
    assert not any("±" in line for line in lines_of([found["new"]])[1:])
    assert any(line.startswith("classification accuracy score, eyes") for line in lines)


def test_labels_are_not_needed(small):
    torch.manual_seed(0)
    G, _ = build("dcgan64", {"image_size": 32, "width_g": 4})
    card = {"recipe": "dcgan64", "data": "avatars", "digest": digest(avatars(600, 32))}
    (got,) = evaluate(G, card, [0])
    assert "accuracy" not in got and got["coverage"] < 0.05 and got["copying"] > 1


def test_fakes_of_few_kinds_are_precise_and_recall_little(card, monkeypatch):
    few = avatars(1_800, 32, seed=5)
    few = type(few)("blue", draw_avatars(blue(few.labels), 32, seed=6), few.labels, few.classes)
    monkeypatch.setattr(evaluation, "Judge", Silent)
    (got,) = evaluate(Draws(few), card, [0])
    assert got["precision"] > 0.8 and got["recall"] < 0.4 and got["coverage"] < 0.4


def blue(labels):
    """All hair blue."""
    return torch.stack([torch.full((len(labels),), 3), labels[:, 1]], 1)


def test_a_pupil_of_real_pictures_is_taught_once(card, monkeypatch):
    taught, real = [], evaluation.train_classifier
    monkeypatch.setattr(evaluation, "LESSONS", 1)
    monkeypatch.setattr(evaluation, "train_classifier", lambda *args: taught.append(args[1].name) or real(*args))
    evaluate(Draws(avatars(1_800, 32, seed=5)), card, [0, 1])
    assert taught == ["real", "fakes", "fakes"]


def test_the_command_measures_a_trained_folder(small, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "FAKES", 60)
    run = CliRunner().invoke
    folder = str(tmp_path / "run")
    train = [
        "train",
        "dcgan64",
        "--size",
        "32",
        "--width-g",
        "4",
        "--width-d",
        "4",
        "--steps",
        "2",
        "--out",
        folder,
    ]
    assert run(cli, train).exit_code == 0
    done = run(cli, ["evaluate", folder, "--sets", "2", "--device", "cpu"])
    assert done.output.startswith("2 set(s) of 60 fakes against 600 held-out pictures\nFID, avatars-classifier")
    assert done.output.count("±") == len(evaluation.MEASURES)
    assert isinstance(run(cli, ["evaluate", "nosuch"]).exception, InputError)
