"""The explorers: their numbers, their pictures, and what they leave on a page."""

import importlib.util
import io
import sys
from base64 import b64decode
from math import log

import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image
from torch import trapezoid
from torch.nn.functional import logsigmoid

from ganbook import widgets
from ganbook.book import tidy
from ganbook.divergences import jsd, kl
from ganbook.plots import Figure, plt, small_png
from ganbook.toys import bumps
from ganbook.widgets import DATA, STYLE, X, draw_game, draw_push, explore_game, game_sliders, game_state

VIEW = "application/vnd.jupyter.widget-view+json"
STATES = [(1.0, 1.0), (-2.0, 0.6), (0.0, 1.5), (2.5, 0.4)]
CORNERS = [(mu, sd) for mu in (-4.0, 4.0) for sd in (0.2, 3.0)]


def density(mixture, x=X):
    return mixture.log_density(x[:, None]).exp()


def at(values, x):
    return values[(X - x).abs().argmin()].item()


@pytest.mark.parametrize("mu, sd", STATES + CORNERS)
def test_the_value_is_minus_log_4_plus_2_jsd(mu, sd):
    game = game_state(mu, sd)
    assert game.V == pytest.approx(-log(4) + 2 * game.jsd, abs=1e-9)
    assert 0 < game.jsd < log(2)
    assert trapezoid(game.p, X).item() == pytest.approx(1, abs=1e-9)
    assert trapezoid(game.q, X).item() == pytest.approx(1, abs=1e-9)


def test_the_best_discriminator_says_how_likely_x_is_real():
    game = game_state(1.0, 1.0)
    near = X.abs() < 6
    p, q = density(DATA), density(bumps(1.0, sd=1.0))
    assert torch.allclose(game.D[near], (p / (p + q))[near], atol=1e-12)
    assert at(game.D, 2.5) > 0.6 and at(game.D, 0.0) < 0.05  # data at 2.5, none at 0


@pytest.mark.parametrize("mu, sd", STATES)
def test_gradients_are_those_of_divergences(mu, sd):
    """With D* held fixed: minimax that of 2 JSD, non-saturating that of KL(q‖p) - 2 JSD.

    Arjovsky and Bottou (2017), theorem 2.5.
    """
    x = X[X.abs() < 12]  # where neither density rounds to 0
    m, s = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (mu, sd))
    q = (-(((x - m) / s) ** 2) / 2).exp() / (s * (2 * torch.pi) ** 0.5)
    p = density(DATA, x)
    divergences = {"minimax": 2 * jsd(p, q, x), "non-saturating": kl(q, p, x) - 2 * jsd(p, q, x)}
    for name, divergence in divergences.items():
        expected = [slope.item() for slope in torch.autograd.grad(divergence, (m, s), retain_graph=True)]
        assert game_state(mu, sd).gradient[name] == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("mu, sd", STATES)
def test_gradients_are_finite_differences_with_the_discriminator_held_fixed(mu, sd):
    game, h = game_state(mu, sd), 1e-4
    logits = DATA.log_density(X[:, None]) - bumps(mu, sd=sd).log_density(X[:, None])
    losses = {"minimax": logsigmoid(-logits), "non-saturating": -logsigmoid(logits)}

    def mean(loss, mu, sd):
        return trapezoid(density(bumps(mu, sd=sd)) * loss, X).item()

    for name, loss in losses.items():
        by_mu = (mean(loss, mu + h, sd) - mean(loss, mu - h, sd)) / (2 * h)
        by_sd = (mean(loss, mu, sd + h) - mean(loss, mu, sd - h)) / (2 * h)
        assert game.gradient[name] == pytest.approx((by_mu, by_sd), abs=1e-5)


def test_a_fake_is_pushed_up_the_discriminator():
    """Both losses push along D's slope; they differ in how hard: log D's slope, or that of -log(1 - D)."""
    game, near = game_state(1.0, 1.0), X.abs() < 3
    for name, gain in {"non-saturating": game.D.log(), "minimax": -(1 - game.D).log()}.items():
        (slope,) = torch.gradient(gain, spacing=(X,))
        assert torch.allclose(game.push[name][near], slope[near], atol=0.02)
    ratio = (game.push["minimax"] / game.push["non-saturating"])[near]
    assert torch.allclose(ratio, (game.D / (1 - game.D))[near])


def test_which_way_g_goes():
    for slope_mu, _ in game_state(1.0, 1.0).gradient.values():
        assert slope_mu < 0  # to the bump at 2
    for slope_mu, slope_sd in game_state(0.0, 1.0).gradient.values():
        assert abs(slope_mu) < 1e-12 and slope_sd < 0  # between the bumps: nowhere, but wider
    left, right = game_state(-1.0, 1.0).gradient, game_state(1.0, 1.0).gradient
    for name in left:
        assert left[name] == pytest.approx((-right[name][0], right[name][1]))


def test_minimax_saturates_where_fakes_are_easy_to_tell():
    gradient = game_state(4.0, 0.2).gradient
    assert abs(gradient["minimax"][0]) < 0.1 and gradient["non-saturating"][0] > 5


def test_the_picture_tells_the_numbers():
    figure = draw_game(1, 1)
    (title,) = [text.get_text() for text in figure.texts]
    assert [part.split(" = ")[1] for part in title.split("    ")] == ["−0.835", "0.275", "−1.386"]
    labels = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert labels == ["non-saturating: pushes μ by +0.83, sd by +0.51", "minimax: pushes μ by +0.15, sd by +0.40"]
    assert not plt.get_fignums()


def test_no_minus_before_a_zero():
    axes = Figure().subplots()
    flat = game_state(0, 1)._replace(gradient=dict.fromkeys(STYLE, (1e-9, 1e-9)))
    draw_push(axes, flat, torch.tensor([-1.0, 1.0], dtype=torch.float64))
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert all(text.endswith("pushes μ by +0.00, sd by +0.00") for text in texts)


def test_nothing_jumps_when_the_scale_changes():
    figures = [draw_game(mu, sd) for mu, sd in STATES + CORNERS]
    assert len({Image.open(io.BytesIO(small_png(figure))).size for figure in figures}) == 1
    assert len({figure.axes[1].get_ylim() for figure in figures}) > 2
    assert len({figure.axes[1].yaxis.label.get_position() for figure in figures}) == 1


def test_a_slider_changes_the_picture():
    mean, width, picture = game_sliders(1, 1).children
    before = picture.value
    mean.value = -2
    moved = picture.value
    assert before != moved == small_png(draw_game(-2, 1))
    width.value = 0.6
    assert moved != picture.value == small_png(draw_game(-2, 0.6))
    assert picture.value[:4] == b"\x89PNG" and not plt.get_fignums()


@pytest.fixture
def bundles(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    return shown


def test_one_bundle_holds_the_sliders_and_a_still_picture(bundles):
    from ipywidgets import VBox

    explore_game()
    (bundle,) = bundles
    assert set(bundle) == {VIEW, "image/png", "text/plain"}
    assert b64decode(bundle["image/png"]) == small_png(draw_game(1, 1))
    assert bundle["text/plain"] == "The game at G's mean 1 and width 1; sliders move it where a kernel runs."
    view = bundle[VIEW]
    assert (view["version_major"], view["version_minor"]) == (2, 0)
    box = VBox.get_manager_state()["state"][view["model_id"]]
    assert box["model_name"] == "VBoxModel"


def test_without_ipywidgets_the_picture_stands_still(bundles, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # an import of it now fails
    spec = importlib.util.spec_from_file_location("bare_widgets", widgets.__file__)
    bare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bare)
    bare.explore_game()
    assert [set(bundle) for bundle in bundles] == [{"image/png", "text/plain"}]


def test_stored_outputs_keep_the_picture_and_drop_the_sliders(bundles):
    explore_game()
    (bundle,) = bundles
    only_sliders = {VIEW: bundle[VIEW], "text/plain": "FloatSlider()"}
    outputs = [new_output("display_data", data=dict(data)) for data in (bundle, only_sliders)]
    outputs.append(new_output("stream", text="a line"))
    notebook = new_notebook(cells=[new_code_cell(outputs=outputs)], metadata={"widgets": {"state": {}}})
    kept, sliders, line = tidy(notebook).cells[0].outputs
    assert set(kept["data"]) == {"image/png", "text/plain"} and kept["data"]["image/png"] == bundle["image/png"]
    assert sliders["data"] == only_sliders and line["text"] == "a line"
    assert "widgets" not in notebook.metadata
