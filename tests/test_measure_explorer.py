"""The explorer of measures: what it shows is what the measures say of the faces that it shows."""

import pytest
import torch

from ganbook import widgets
from ganbook.avatars import HAIR, avatars
from ganbook.classifiers import blur, label_accuracy, load_classifier
from ganbook.data import to_float, to_uint8
from ganbook.metrics import copying, density_coverage, frechet_distance, kernel_distance, precision_recall
from ganbook.plots import Figure, grid, plt
from ganbook.widgets import (
    BARS,
    FACES,
    draw_spoiled,
    explore_measures,
    measure_sliders,
    measure_spoiled,
    spoil_faces,
)

pytestmark = pytest.mark.usefixtures("one_thread")
WELL = (0, 0.0, 0)


def test_faces_are_spoiled_by_what_is_asked_and_by_nothing_else():
    faces = avatars(FACES, 32, widgets.SEEDS[0])
    x, y = spoil_faces(*WELL)
    assert torch.equal(to_uint8(x), faces.images) and torch.equal(y, faces.labels)
    blurred, _ = spoil_faces(2, 0.0, 0)
    assert (blurred - blur(blur(x))).abs().max() <= 1 / 255 + 1e-5
    noisy, _ = spoil_faces(0, 0.2, 0)
    inside = x.abs() < 0.4  # there nothing is clipped
    assert (noisy - x)[inside].std() == pytest.approx(0.2, rel=0.02)
    assert noisy.abs().max() <= 1
    fewer, labels = spoil_faces(0, 0.0, 4)
    assert set(labels[:, 0].tolist()) == set(range(len(HAIR) - 4)) and torch.equal(labels[:, 1], y[:, 1])
    kept = y[:, 0] < len(HAIR) - 4
    assert torch.equal(fewer[kept], x[kept]) and not (fewer[~kept] == x[~kept]).flatten(1).all(1).any()
    assert torch.equal(spoil_faces(2, 0.1, 3)[0], spoil_faces.__wrapped__(2, 0.1, 3)[0])  # no chance in it


def test_the_numbers_are_those_of_the_package():
    settings = (1, 0.1, 2)
    x, y = spoil_faces(*settings)
    C, (held_out, trained) = (
        load_classifier("avatars"),
        (avatars(widgets.REAL, 32, seed) for seed in widgets.SEEDS[1:]),
    )
    fake, real, seen = (C.features(z) for z in (x, to_float(held_out.images), to_float(trained.images)))
    expected = [frechet_distance(real, fake), kernel_distance(real, fake), *precision_recall(real, fake)]
    expected += [*density_coverage(real, fake), copying(fake, seen, real), *label_accuracy(C, x, y).tolist()]
    found = measure_spoiled(*settings)
    assert list(found) == list(BARS) and list(found.values()) == pytest.approx(expected, rel=1e-6)


def test_each_fault_moves_what_it_should():
    well, blurred, noisy, fewer = (
        list(measure_spoiled(*settings).values()) for settings in (WELL, (4, 0.0, 0), (0, 0.4, 0), (0, 0.0, 6))
    )
    distance, kernel, precision, recall, _, coverage, copied, hair, _ = range(len(BARS))
    assert well[distance] < 2 and abs(well[kernel]) < 0.02 and min(well[precision], well[recall]) > 0.8
    assert well[coverage] > 0.6 and abs(well[copied] - 1) < 0.1 and well[hair] == 1
    for spoiled in (blurred, noisy, fewer):
        assert spoiled[distance] > 3 * well[distance] and spoiled[kernel] > well[kernel] + 0.03
        assert spoiled[coverage] < 0.8 * well[coverage]
    assert max(blurred[precision], noisy[precision]) < 0.2 and min(blurred[copied], noisy[copied]) > 1.3
    assert fewer[precision] > 0.8 and fewer[recall] < 0.6 and fewer[copied] < 1.2 and fewer[hair] > 0.99


def test_the_picture_shows_the_first_faces_and_every_number():
    figure = draw_spoiled(1, 0.1, 4)
    strip, bars = figure.axes
    shown = torch.as_tensor(strip.images[0].get_array().data)
    assert torch.equal(shown, grid(spoil_faces(1, 0.1, 4)[0][:12], 6))
    texts = [text.get_text() for text in bars.texts]
    numbers = [f"{value:.3g}".replace("-", "−") for value in measure_spoiled(1, 0.1, 4).values()]
    assert texts[::2] == list(BARS) and texts[1::2] == numbers
    assert all(0 <= bar.get_width() <= 1 for bar in bars.patches)
    assert isinstance(figure, Figure) and not plt.get_fignums()


def test_each_slider_draws_anew():
    blurs, noise, dropped, picture = measure_sliders().children
    seen = {picture.value}
    for control, value in ((blurs, 2), (noise, 0.2), (dropped, 5)):
        control.value = value
        assert picture.value not in seen
        seen.add(picture.value)


def test_on_a_page_it_is_one_bundle_with_a_still_picture(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    explore_measures()
    monkeypatch.setattr(widgets, "ipywidgets", None)
    explore_measures()
    with_sliders, without = shown
    assert with_sliders["text/plain"] == without["text/plain"] and "sliders" in without["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in with_sliders
    assert set(without) == {"image/png", "text/plain"}
