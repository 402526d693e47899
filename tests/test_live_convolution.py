"""The convolution of the page: the package's arithmetic in another language, drawn, and moved by any hand."""

import random
from functools import cache

import numpy as np
import pytest

from ganbook.convolution import hits, overlap
from ganbook.drawings import Layer, formula
from ganbook.errors import InputError

PAGE = "book/live-convolution.html"
NAMES = ("n", "kernel", "stride", "padding", "dilation", "output_padding")
COUNT = 2_200

# What the page says of each of many settings: of the layer, and of the hits up to some position.
SAY = """([all, at]) => all.map((settings, i) => {
  try {
    const layer = liveConvolution.layerOf(settings);
    const place = [Math.floor(at[i] * layer.narrow), Math.floor(((at[i] * 97) % 1) * layer.narrow)];
    return {
      ...layer, place, formula: liveConvolution.formula(layer), inside: liveConvolution.inside(layer),
      hits: liveConvolution.hitsUpTo(layer, ...place),
    };
  } catch (error) {
    return { refused: error instanceof liveConvolution.Impossible && error.message };
  }
})"""


def some_settings(count):
    """Random settings: many possible, many refused, some no numbers that a layer could have."""
    rng = random.Random(0)
    low = {"n": 1, "kernel": 1, "stride": 1, "padding": 0, "dilation": 1, "output_padding": 0}
    high = {"n": 12, "kernel": 7, "stride": 5, "padding": 5, "dilation": 4, "output_padding": 4}
    for _ in range(count):
        settings = {name: rng.randint(low[name], high[name]) for name in NAMES}
        if rng.random() < 0.4:
            settings["output_padding"] = 0
        if rng.random() < 0.1:
            settings[rng.choice(NAMES)] = rng.choice((0, -1))
        yield settings | {"transposed": rng.random() < 0.5}


@cache
def far_inside(kernel, stride, dilation):
    """How many windows meet each pixel of a stride, as far from the borders as the widest kernel needs."""
    middle = 30 * stride
    return overlap(60, kernel, stride, dilation=dilation)[middle : middle + stride]


def expected(settings, place=None):
    layer = Layer(**settings)
    try:
        size = layer.output_size
    except InputError as error:
        return {"refused": str(error)}
    return {
        "size": size,
        "wide": layer.wide,
        "narrow": layer.narrow,
        "windows": [list(window) for window in layer.windows],
        "counts": hits(layer.wide, layer.windows),
        "first": layer.places[0],
        "last": layer.places[-1],
        "formula": formula(layer),
        "inside": far_inside(layer.kernel, layer.stride, layer.dilation),
    } | ({"hits": layer.hits(*place).tolist()} if place else {})


def test_the_arithmetic_is_that_of_the_package_refusals_and_all(visit):
    page = visit(PAGE)
    settings = list(some_settings(COUNT))
    rng = random.Random(1)
    said = page.evaluate(SAY, [settings, [rng.random() for _ in settings]])
    refused = 0
    for i, (asked, found) in enumerate(zip(settings, said, strict=True)):
        wanted = expected(asked, found.get("place") if i % 4 == 0 else None)
        assert {key: found[key] for key in wanted} == wanted, asked
        refused += "refused" in wanted
    assert COUNT - refused > 1_000 and refused > 500


def test_numbers_that_are_no_whole_numbers_are_refused(visit):
    page = visit(PAGE)
    plain = dict(zip(NAMES, (3, 3, 2, 0, 1, 0), strict=True))
    for value in (2.5, None, "3"):
        (found,) = page.evaluate(SAY, [[plain | {"stride": value, "transposed": True}], [0]])
        assert "must be a whole number, 1 or more" in found["refused"]


def set_to(page, **settings):
    kind = "transposed" if settings.pop("transposed") else "convolution"
    page.check(f"[value={kind}]")
    for name, value in settings.items():
        page.evaluate(
            """([name, value]) => {
              const control = document.querySelector(`[name=${name}]`);
              control.value = value;
              control.dispatchEvent(new Event("input", { bubbles: true }));
            }""",
            [name, value],
        )


def text(page, what):
    return page.text_content(f"live-convolution {what}")


def test_by_mouse_the_formula_follows(visit):
    page = visit(PAGE)
    assert text(page, ".lc-formula").endswith("(3 − 1)·2 − 2·0 + 1·(3 − 1) + 0 + 1 = 7")
    slider = page.locator("[name=kernel]").bounding_box()
    page.mouse.click(slider["x"] + slider["width"] - 2, slider["y"] + slider["height"] / 2)  # its right end: 6
    assert text(page, ".lc-formula").endswith(formula(Layer(3, 6, 2, transposed=True)))
    assert page.input_value("[name=example]") == ""  # the reader's own settings
    page.check("[value=convolution]")
    assert text(page, ".lc-formula").startswith("Impossible: a kernel of 6 with dilation 1 spans 6 pixels")
    assert page.is_disabled("[name=output_padding]") and page.is_disabled("[name=next]")
    page.select_option("[name=example]", "A stride that leaves pixels out")
    assert text(page, ".lc-formula").endswith(formula(Layer(6, 3, 2)))
    assert [text(page, f".lc-sizes span:nth-child({i})") for i in (1, 2)] == ["input 6 × 6", "output 2 × 2"]
    assert "1 1 2 1 1 0" in text(page, ".lc-says") and "A pixel with 0 is lost." in text(page, ".lc-says")
    page.click("[name=next]")
    words = "Position 2 of 4: output pixel (0, 1) reads rows 0, 1, 2 and columns 2, 3, 4 of the input."
    assert text(page, ".lc-where") == words
    assert words in page.get_attribute(".lc-layer", "aria-label")
    page.click("[name=back]")
    page.click("[name=back]")  # round and round
    assert text(page, ".lc-where").startswith("Position 4 of 4: output pixel (1, 1)")


def test_every_example_is_what_it_is_called(visit):
    page = visit(PAGE)
    examples = page.evaluate("Object.entries(LiveConvolution.EXAMPLES)")
    for name, (*values, transposed) in examples:
        page.select_option("[name=example]", name)
        wanted = expected(dict(zip(NAMES, values, strict=True)) | {"transposed": transposed})
        line = wanted.get("formula") or "Impossible: " + wanted["refused"].replace("_", " ") + "."
        assert text(page, ".lc-formula").removeprefix("Size of the output: ") == line, name
        refused = "refused" in name or "does not fit" in name
        assert refused == ("refused" in wanted)
        assert ("doubles" in name) == (wanted.get("size") == 2 * values[0] and transposed and values[1] == 4)
        assert ("leaves" in name) == (0 in wanted.get("counts", []))
        assert "checkerboard" not in name or "repeat along an axis, since 3 is no multiple of 2" in text(
            page, ".lc-says"
        )
        assert "even inside" not in name or "every pixel is met 2 times an axis" in text(page, ".lc-says")
    assert len(examples) == 12


def test_padding_is_told_from_the_picture(visit):
    page = visit(PAGE)
    set_to(page, n=4, kernel=3, stride=1, padding=1, dilation=1, output_padding=0, transposed=False)
    words = "reads rows −1, 0, 1 and columns −1, 0, 1 of the input. 5 of 9 weights meet padding."
    assert words in text(page, ".lc-where")
    set_to(page, n=3, kernel=3, stride=2, padding=1, dilation=1, output_padding=1, transposed=True)
    words = "is stamped on rows −1, 0, 1 and columns −1, 0, 1 of the output. 5 of 9 weights are cut off."
    assert words in text(page, ".lc-where")


# The colours at some places of a canvas, and the middle of all pixels of a colour in its left part.
COLOURS = """([name, places]) => {
  const pen = document.querySelector(name).getContext("2d");
  return places.map(y => places.map(x => [...pen.getImageData(x, y, 1, 1).data].slice(0, 3)));
}"""
MIDDLE = """([name, colour]) => {
  const canvas = document.querySelector(name);
  const width = Math.floor(canvas.width / 3);
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, canvas.height);
  const found = [];
  for (let i = 0; i < data.length; i += 4) if (colour.every((c, k) => data[i + k] === c)) found.push(i / 4);
  const mean = (of) => found.reduce((sum, at) => sum + of(at), 0) / found.length;
  return [found.length, mean((at) => Math.floor(at / width)), mean((at) => at % width)];
}"""


@pytest.mark.parametrize(
    "theme, paper, stamp",
    [("light", (255, 255, 255), (213, 94, 0)), ("dark", (26, 31, 37), (213, 94, 0))],
)
def test_the_heat_map_shows_the_counts(visit, theme, paper, stamp):
    page = visit(PAGE, color_scheme=theme)
    page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
    page.wait_for_timeout(100)
    counts = np.array(overlap(3, 3, 2))
    shares = 0.6 * np.outer(counts, counts) / counts.max() ** 2
    cell = (page.locator(".lc-heat").bounding_box()["width"] - 2) / 7
    places = [round(1 + (i + 0.15) * cell) for i in range(7)]  # near a corner of the cell: no digit stands there
    found = np.array(page.evaluate(COLOURS, [".lc-heat", places]))
    wanted = np.array(paper) + shares[..., None] * (np.array(stamp) - np.array(paper))
    assert np.abs(found - wanted).max() <= 3


def test_the_kernel_moves_over_the_drawing(visit):
    page = visit(PAGE)

    def at_work():  # the middle of the pixel of the narrow grid, at the left, that is fully coloured
        count, *middle = page.evaluate(MIDDLE, [".lc-layer", (213, 94, 0)])
        assert count > 400
        return middle

    places = [at_work()]
    for _ in range(3):
        page.click("[name=next]")
        places.append(at_work())
    steps = np.diff(places, axis=0)
    assert (steps[:2, 1] > 20).all() and (abs(steps[:2, 0]) < 3).all()  # along the row
    assert steps[2, 0] > 20 and steps[2, 1] < -40  # and to the start of the next


def test_by_keyboard(visit):
    page = visit(PAGE)
    page.focus("[name=stride]")
    page.keyboard.press("ArrowRight")
    assert text(page, ".lc-formula").endswith(formula(Layer(3, 3, 3, transposed=True)))
    page.focus("[name=position]")
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "End"):
        page.keyboard.press(key)
    assert text(page, ".lc-where").startswith("Position 9 of 9")
    assert page.get_attribute("[name=position]", "aria-valuetext") == text(page, ".lc-where")
    for name in ("back", "next", "play"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.name") == name
    page.keyboard.press("Space")
    assert text(page, "[name=play]") == "Pause"
    page.wait_for_function("document.querySelector('.lc-where').textContent.startsWith('Position 2 of 9')")
    page.keyboard.press("Space")
    assert text(page, "[name=play]") == "Play"
    there = text(page, ".lc-where")
    page.wait_for_timeout(700)
    assert text(page, ".lc-where") == there


def test_who_asks_for_less_motion_steps_by_hand(visit):
    page = visit(PAGE, reduced_motion="reduce")
    assert page.is_disabled("[name=play]") and "Play is off" in text(page, ".lc-where")
    page.click("[name=next]")
    assert text(page, ".lc-where").startswith("Position 2 of 9")


def test_by_touch_on_a_phone(visit):
    page = visit(PAGE, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.tap("label:has([value=convolution])")
    assert text(page, ".lc-formula").endswith(formula(Layer(3, 3, 2)))
    page.select_option("[name=example]", "A convolution, plain")
    page.tap("[name=next]")
    assert text(page, ".lc-where").startswith("Position 2 of 9")
    small = """() => [...document.querySelectorAll("live-convolution :is(button, select, input)")]
      .map(control => control.type === "radio" ? control.parentElement : control)
      .filter(target => target.getBoundingClientRect().height < 44).map(target => target.outerHTML)"""
    assert page.evaluate(small) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("width", [1_440, 768, 390])
def test_nothing_jumps(visit, width):
    """Whatever is chosen, what lies below the drawing stays in its place."""
    page = visit(PAGE, viewport={"width": width, "height": 844})
    places = """() => [".lc-layer", ".lc-steps", ".lc-counts", "live-convolution + p"].map(part =>
      Math.round(document.querySelector(part).getBoundingClientRect().top + scrollY))"""
    before = page.evaluate(places)
    for name, _ in page.evaluate("Object.entries(LiveConvolution.EXAMPLES)"):
        page.select_option("[name=example]", name)
        assert page.evaluate(places) == before, name


def test_every_control_has_a_name_and_both_pictures_say_what_they_show(visit):
    page = visit(PAGE)
    controls = page.locator("live-convolution :is(button, select, input)")
    unnamed = controls.evaluate_all(
        "all => all.filter(c => !(c.labels?.length || c.textContent.trim())).map(c => c.outerHTML)"
    )
    assert controls.count() == 13 and unnamed == []
    assert page.get_attribute(".lc-heat", "aria-label") == "7 by 7 pixels, each with a count from 1 to 4"
    start = "A 3 by 3 kernel of a transposed convolution: 3 by 3 pixels become 7 by 7. Position 1 of 9"
    assert page.get_attribute(".lc-layer", "aria-label").startswith(start)
    page.select_option("[name=example]", "A kernel that does not fit")
    assert page.get_attribute(".lc-layer", "aria-label").startswith("Impossible: a kernel of 5")


def test_it_works_from_a_folder_and_loads_nowhere_else(chromium, site):
    page = chromium.new_page()
    page.goto((site / PAGE).as_uri())
    assert "= 7" in text(page, ".lc-formula")
    page.close()
    with_scripts = [p.name for p in (site / "book").glob("*.html") if "live/convolution.js" in p.read_text()]
    assert with_scripts == ["live-convolution.html"]
