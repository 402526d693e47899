"""The explorer of labels: what it shows is what G draws."""

import pytest
import torch

from ganbook import widgets
from ganbook.avatars import EYES, HAIR
from ganbook.data import TEN
from ganbook.plots import Figure, grid, plt
from ganbook.recipes import build
from ganbook.sampling import draw_latents, generate
from ganbook.widgets import draw_asked, explore_labels, label_controls, latent

FACES = {"hair": HAIR, "eyes": EYES}


@pytest.fixture(scope="module")
def G():
    torch.manual_seed(0)
    return build("acgan", {"image_size": 16, "width_g": 4})[0]


def test_the_way_from_z_to_the_next_begins_and_ends_there_and_keeps_its_length(G):
    first, second = (draw_latents(G, 1, seed=seed) for seed in (3, 4))
    assert torch.equal(latent(G, 3, 0.0), first)
    torch.testing.assert_close(latent(G, 3, 1.0), second)
    lengths = torch.stack([latent(G, number, 0.5).norm() for number in range(50)])
    assert lengths.square().mean() == pytest.approx(G.latent_dim, rel=0.1)  # halfway on a line: half of it


def test_the_picture_shows_gs_answer_to_the_labels_and_to_each_first_label(G):
    figure = draw_asked(G, FACES, [3, 8], 5, 0.25)
    large, strip = (axes.images[0].get_array() for axes in figure.axes)
    z = latent(G, 5, 0.25)
    asked = generate(G, z, torch.tensor([[3, 8]]))
    assert torch.equal(torch.as_tensor(large.data), grid(asked, 1))
    hairs = torch.stack([torch.arange(12), torch.full((12,), 8)], 1)
    assert torch.equal(torch.as_tensor(strip.data), grid(generate(G, z.expand(12, -1), hairs), 6))
    assert figure.axes[0].get_title() == "blue hair, red eyes"


def test_one_label_is_enough():
    G, _ = build("cgan", {})
    figure = draw_asked(G, TEN, [7], 0, 0.0)
    assert figure.axes[0].get_title() == "7"


def test_menus_and_sliders_draw_anew(G):
    box = label_controls(G, FACES)
    hair, eyes, number, walk, picture = box.children
    seen = {picture.value}
    for control, value in ((hair, 3), (eyes, 8), (number, 9), (walk, 0.5)):
        control.value = value
        assert picture.value not in seen
        seen.add(picture.value)


def test_on_a_page_it_is_one_bundle_with_a_still_picture(G, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    explore_labels(G, FACES)
    monkeypatch.setattr(widgets, "ipywidgets", None)
    explore_labels(G, FACES)
    with_sliders, without = shown
    assert with_sliders["text/plain"] == without["text/plain"]
    assert "hair and eyes" in without["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in with_sliders and set(without) == {
        "image/png",
        "text/plain",
    }


def test_no_figure_is_left_open(G):
    assert isinstance(draw_asked(G, FACES, [0, 0], 0, 0.0), Figure) and not plt.get_fignums()
