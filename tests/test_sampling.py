"""Drawing pictures disturbs nothing."""

import pytest
import torch
from torch import nn

from ganbook.errors import InputError
from ganbook.mlp import MLPGenerator
from ganbook.recipes import build
from ganbook.sampling import (
    AT_ONCE,
    ask,
    class_grid,
    cycle_labels,
    draw_labels,
    draw_latents,
    evaluating,
    generate,
    read_label,
    sample,
    sample_best,
)


class NormGenerator(nn.Module):
    """A small G with the two layers that behave differently in training and in evaluation."""

    latent_dim = 3

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Tanh())

    def forward(self, z, y=None):
        return self.net(z)[:, None, None]


def test_the_same_seed_draws_the_same_pictures_and_leaves_torchs_own_state():
    G = MLPGenerator()
    state = torch.get_rng_state()
    assert torch.equal(sample(G, 3, seed=5), sample(G, 3, seed=5))
    assert not torch.equal(sample(G, 3, seed=5), sample(G, 3, seed=6))
    assert torch.equal(state, torch.get_rng_state())


def test_without_a_seed_pictures_differ():
    G = MLPGenerator()
    assert not torch.equal(sample(G, 3), sample(G, 3))


def test_sampling_changes_no_buffer_and_no_mode():
    G = NormGenerator()
    G.net[2].eval()  # a part that was in eval mode stays there
    before = {key: value.clone() for key, value in G.state_dict().items()}
    pictures = sample(G, 10, seed=0)
    assert not pictures.requires_grad
    assert all(torch.equal(value, before[key]) for key, value in G.state_dict().items())
    assert G.training and G.net[1].training and not G.net[2].training


def test_a_picture_does_not_depend_on_its_neighbours():
    """Eval mode: in training mode batch norm would mix the pictures of a batch, and so would the chunks."""
    G = NormGenerator()
    z = draw_latents(G, AT_ONCE + 3, seed=0)
    together = generate(G, z)
    assert together.shape == (AT_ONCE + 3, 1, 1, 4)
    torch.testing.assert_close(together[-2:], generate(G, z[-2:]))


def test_modes_return_after_an_error():
    G = NormGenerator()
    with pytest.raises(ZeroDivisionError), evaluating(G):
        assert not G.training
        raise ZeroDivisionError
    assert G.training and torch.is_grad_enabled()


def test_no_samples_is_an_error():
    with pytest.raises(InputError, match="0 samples"):
        sample(MLPGenerator(), 0)


class Brightness(nn.Module):
    """A D that takes bright pictures for real, and notes how many it is shown at once."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def forward(self, x, y=None):
        self.shown.append(len(x))
        return x.flatten(1).mean(1)


@pytest.mark.parametrize("n, of", [(1, 1300), (64, 512), (700, 1300), (5, 5)])
def test_the_best_are_those_that_d_rates_highest(n, of):
    G, D = NormGenerator(), Brightness()
    best, everything = sample_best(G, D, n, of, seed=3), sample(G, of, seed=3)
    expected = everything if n == of else everything[D(everything).argsort(descending=True)[:n]]
    assert torch.equal(best, expected)
    assert max(D.shown[:-1], default=0) <= AT_ONCE  # never all of them at once


def test_mean_and_deviation_of_z():
    G, D = MLPGenerator(latent_dim=2).eval(), Brightness()
    plain, moved = (sample_best(G, D, 4, 4, seed=0, **of_z) for of_z in ({}, {"mean": 1.0, "std": 0.5}))
    z = draw_latents(G, 4, seed=0)
    assert torch.equal(plain, G(z)) and torch.allclose(moved, G(1 + 0.5 * z), atol=1e-6)
    assert torch.equal(*sample_best(G, D, 2, 2, seed=0, std=0.0))  # all z are the mean


@pytest.mark.parametrize("of", [4, 9])
def test_pictures_that_are_no_numbers_are_refused(of):
    with pytest.raises(InputError, match="hold a NaN or an infinity: take a smaller --mean and --std"):
        sample_best(MLPGenerator(latent_dim=2), Brightness(), 4, of, std=1e39, seed=0)


def test_more_best_than_drawn():
    with pytest.raises(InputError, match="best 9 of 3"):
        sample_best(NormGenerator(), Brightness(), 9, 3)


@pytest.fixture(scope="module")
def faces():
    torch.manual_seed(0)
    return build("acgan", {"image_size": 16, "width_g": 4, "width_d": 4, "num_classes": [3, 4]})


def test_a_grid_has_a_row_for_each_first_label_and_a_column_for_each_second(faces):
    G, _ = faces
    place = [(row, column) for row in range(3) for column in range(4)]
    for across, count, which in ((False, 4, 1), (True, 3, 0)):
        z = draw_latents(G, count, seed=7)
        expected = torch.cat([generate(G, z[p[which]][None], torch.tensor([p])) for p in place])
        torch.testing.assert_close(class_grid(G, across, seed=7), expected)


def test_a_grid_of_one_label_has_as_many_z():
    G, _ = build("cgan", {"num_classes": [3]})
    z = draw_latents(G, 3, seed=0)
    expected = torch.cat([generate(G, z, torch.full((3,), label)) for label in range(3)])
    torch.testing.assert_close(class_grid(G), expected)
    with pytest.raises(InputError, match="gives copies"):
        class_grid(G, across=True)


def test_labels_are_drawn_as_often_as_in_the_data_or_evenly():
    labels = torch.tensor([[0, 0]] * 900 + [[1, 0]] * 90 + [[1, 2]] * 10)
    state = torch.get_rng_state()
    drawn = draw_labels(labels, 6_000, seed=0)
    even = draw_labels(labels, 6_000, even=True, seed=0)
    assert torch.equal(state, torch.get_rng_state()) and torch.equal(drawn, draw_labels(labels, 6_000, seed=0))
    for values, shares in ((drawn, (0.9, 0.09, 0.01)), (even, (1 / 3, 1 / 3, 1 / 3))):
        kinds, counts = values.unique(dim=0, return_counts=True)
        assert kinds.tolist() == [[0, 0], [1, 0], [1, 2]]  # [0, 2] never occurs, so it is never asked for
        assert (counts / 6_000).tolist() == pytest.approx(shares, abs=0.03)
    assert not torch.equal(draw_labels(labels, 50, even=True), draw_labels(labels, 50, even=True))


def test_labels_for_a_look_go_round(faces):
    G, _ = faces
    assert cycle_labels(G, 5).tolist() == [[0, 0], [1, 1], [2, 2], [0, 3], [1, 0]]
    assert cycle_labels(MLPGenerator(), 5) is None


def test_the_best_are_chosen_with_their_labels(faces):
    G, D = faces
    y = draw_labels(torch.cartesian_prod(torch.arange(3), torch.arange(4)), 40, seed=0)
    everything = sample(G, 40, y, seed=3)
    with evaluating(D):
        order = D(everything)[0].argsort(descending=True)
    torch.testing.assert_close(sample_best(G, D, 6, 40, y=y, seed=3), everything[order[:6]])


FACES = {"hair": ["aqua", "blue", "red"], "eyes": ["aqua", "blue", "green", "red"]}
TEN = {"digit": [str(i) for i in range(10)]}


@pytest.mark.parametrize(
    "text, classes, label",
    [
        ("7", TEN, [7]),
        (" 0 ", TEN, [0]),
        ("7 digit", TEN, [7]),
        ("blue hair, red eyes", FACES, [1, 3]),
        ("Green eyes,RED hair", FACES, [2, 2]),
    ],
)
def test_a_label_is_read_by_its_names(text, classes, label):
    assert read_label(text, classes) == label


@pytest.mark.parametrize("text", ["", "10", "7, 8", "blue hair", "seven", ",", "7 hair"])
def test_what_cannot_be_asked_of_digits_is_said_with_what_can(text):
    with pytest.raises(InputError, match=r"say for example '0', of digit: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"):
        read_label(text, TEN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "blue",
        "blue hair",
        "blue hair, blue hair",
        "blue hair, pink eyes",
        "red hair, red eyes, 7",
        "hair, eyes",
    ],
)
def test_what_cannot_be_asked_of_faces_is_said_with_what_can(text):
    with pytest.raises(InputError, match="'aqua hair, aqua eyes', of hair: aqua, blue, red; eyes: aqua, blue"):
        read_label(text, FACES)


def test_labels_are_asked_by_name_or_as_in_the_data():
    card = {"recipe": "acgan", "classes": FACES, "combinations": [[0, 0, 30], [1, 3, 10]]}
    y, note = ask(card, 4, "blue hair, red eyes", False, 0)
    assert y.tolist() == [[1, 3]] * 4 and note == ""
    y, note = ask(card, 4, "red hair, red eyes", False, 0)
    assert y.tolist() == [[2, 3]] * 4 and "no picture in training was labelled 'red hair, red eyes'" in note
    y, _ = ask(card, 4_000, None, False, 0)
    assert (y[:, 0] == 1).float().mean().item() == pytest.approx(0.25, abs=0.03)
    y, _ = ask(card, 4_000, None, True, 0)
    assert (y[:, 0] == 1).float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert ask({"recipe": "mlp"}, 4, None, False, 0) == (None, "")
    with pytest.raises(InputError, match="the G of mlp reads no labels"):
        ask({"recipe": "mlp"}, 4, "7", False, 0)
