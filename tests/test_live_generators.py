"""The generators that run in the page draw what PyTorch draws, when asked, and for whoever asks."""

import gzip
import re
from base64 import b64decode

import numpy as np
import pytest
import torch

from ganbook.checkpoints import read_card
from ganbook.classifiers import label_accuracy, load_classifier
from ganbook.export import script
from ganbook.latent import linear, spherical
from ganbook.recipes import load_pretrained
from ganbook.records import RECORDS
from ganbook.sampling import generate
from tests.test_export import ON_THE_PAGE, ROUNDED, WEIGHTS, Script, some_orders

PAGE = "book/live-generators.html"
SAME_WEIGHTS = (
    1e-4  # in a pixel of [-1, 1]: the same weights summed in another order, in JavaScript and in PyTorch
)

# Bytes as text: a list of so many numbers would take a minute to come here.
AS_TEXT = """globalThis.asText = buffer => {
  let text = "";
  for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte);
  return btoa(text);
}"""
# Pictures of many z and labels as one text of float32.
DRAW = """([G, zs, ys]) => {
  const pictures = zs.map((z, i) => liveForward.draw(G, z, G.tables.map((table, l) => table[ys[i][l]])));
  const numbers = new Float32Array(pictures.flatMap(({ values }) => [...values]));
  return [pictures[0].shape, asText(numbers.buffer)];
}"""
# The same for a script that is not in a file.
DRAW_FROM = f"""([description, base64, zs, ys]) =>
  ({DRAW})([liveForward.unpack({{ description, base64 }}), zs, ys])"""
LOADED = "name => !document.querySelector(`${name} .lg-all`).disabled"
PIXELS = f"""canvas => {{
  {AS_TEXT}
  return asText(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
}}"""


def to_tensor(found):
    shape, text = found
    return torch.from_numpy(np.frombuffer(b64decode(text), "<f4").copy()).view(-1, *shape)


def pixels(locator):
    """What stands on a canvas: uint8 (H, W, 4)."""
    width, height = (int(locator.get_attribute(side)) for side in ("width", "height"))
    return np.frombuffer(b64decode(locator.evaluate(PIXELS)), "u1").reshape(height, width, 4)


def draw(page, name, z, y):
    page.evaluate(AS_TEXT)
    G = page.evaluate_handle("name => liveForward.load(name)", name)
    return to_tensor(page.evaluate(DRAW, [G, z.tolist(), y.tolist()]))


def settle(page):
    """Wait until nothing is being drawn."""
    page.wait_for_function("document.querySelectorAll('[aria-busy=true]').length === 0")


@pytest.fixture(scope="module")
def open_tab(chromium, address):
    """One page for all that asks for pictures only."""
    context = chromium.new_context()
    tab = context.new_page()
    tab.goto(f"{address}/{PAGE}")
    yield tab
    context.close()


@pytest.mark.parametrize("name", ON_THE_PAGE)
def test_the_page_draws_what_pytorch_draws(name, open_tab, one_thread):
    G, _ = load_pretrained(name)
    z, y = some_orders(G, 12)
    drawn = draw(open_tab, name, z, y)
    same = Script((WEIGHTS / f"{name}.js").read_text())(z, y)
    assert (drawn - same).abs().max() <= SAME_WEIGHTS
    off = (drawn - generate(G, z, y)).abs()
    most, mean = ROUNDED["int8"]
    assert off.max() <= most and off.mean() <= mean, (off.max(), off.mean())


@pytest.mark.parametrize("name", ["mlp", "acgan"])
def test_in_half_precision_to_2e_3(name, open_tab, one_thread):
    """The other precision, and the layers that the generators of the page do not have."""
    G, _ = load_pretrained(name)
    z, y = some_orders(G, 4)
    text = script(name, G, read_card(RECORDS / name), "half")
    same, base64 = Script(text), text.rsplit('"', 2)[1]
    open_tab.evaluate(AS_TEXT)
    drawn = to_tensor(open_tab.evaluate(DRAW_FROM, [same.says, base64, z.tolist(), y.tolist()]))
    assert (drawn - same(z, y)).abs().max() <= SAME_WEIGHTS
    assert (drawn - generate(G, z, y if same.tables else None)).abs().max() <= 2e-3


@pytest.mark.parametrize("name, judge", [("acgan", "avatars"), ("cgan", "digits")])
def test_120_pictures_of_the_page_show_what_was_asked(name, judge, open_tab, one_thread):
    G, _ = load_pretrained(name)
    _, y = some_orders(G, 120)
    z = open_tab.evaluate(
        "count => Array.from({ length: 120 }, (_, i) => [...latent(i + 1, count)])", G.latent_dim
    )
    drawn = draw(open_tab, name, torch.tensor(z), y)
    right = label_accuracy(load_classifier(judge), drawn, y)
    assert (right >= 0.97).all(), right


def test_z_is_normal_and_its_number_says_which(open_tab):
    z = torch.tensor(open_tab.evaluate("Array.from({ length: 200 }, (_, i) => [...latent(i + 1, 100)])"))
    assert abs(z.mean()) < 0.03 and abs(z.std() - 1) < 0.03  # 4 standard errors: 0.028, 0.020
    assert abs((z.abs() < 1).float().mean() - 0.6827) < 0.015 and 3.4 < z.abs().max() < 6
    assert abs(z[:, :-1].flatten() @ z[:, 1:].flatten()) / 19_800 < 0.03  # neighbours know nothing of each other
    assert abs((z[:-1] * z[1:]).mean()) < 0.03 and len(z.unique(dim=0)) == 200
    assert open_tab.evaluate("[...latent(7, 3)]") == z[6, :3].tolist()


def test_both_ways_from_z_to_z_are_the_packages(open_tab):
    walk = "([t, arc]) => [1, 2].map(i => latent(i, 100)).reduce((a, b) => [...between(a, b, t, arc)])"
    a, b = (torch.tensor([open_tab.evaluate("i => [...latent(i, 100)]", i)]) for i in (1, 2))
    for t in (0, 0.25, 0.5, 0.9, 1):
        for arc, way in ((False, linear), (True, spherical)):
            there = torch.tensor([open_tab.evaluate(walk, [t, arc])])
            assert there.allclose(way(a, b, t), atol=1e-5), (t, arc)
    same = open_tab.evaluate("[...between(latent(1, 100), latent(1, 100), 0.5, true)]")
    assert torch.tensor([same]).allclose(a, atol=1e-6)


@pytest.mark.parametrize("name", ON_THE_PAGE)
def test_what_the_page_says_of_the_two_halfway_pictures(name, one_thread):
    """They differ much less than the two ends do, and their z is about 7 long, or about 10."""
    G, _ = load_pretrained(name)
    (a, y), (b, _) = some_orders(G, 60, seed=0), some_orders(G, 60, seed=1)
    line, arc = linear(a, b, 0.5), spherical(a, b, 0.5)
    assert abs(line.norm(dim=1).mean() - 7) < 0.3 and abs(arc.norm(dim=1).mean() - 10) < 0.3
    ends, halfway = ([generate(G, z, y) for z in pair] for pair in ((a, b), (line, arc)))

    def apart(u, v):
        return (u - v).pow(2).mean((1, 2, 3)).sqrt().mean()

    assert apart(*halfway) < 0.4 * apart(*ends)


def test_nothing_is_loaded_before_it_is_asked_for(visit, site):
    page = visit("book/glossary.html")
    asked = []
    page.on("request", lambda request: asked.append(request.url.split("/", 3)[3].split("?")[0]))
    page.goto(page.url.replace("glossary", "live-generators"))
    page.wait_for_load_state("networkidle")
    assert PAGE in asked and not [path for path in asked if "weights" in path]
    sizes = {path: len(gzip.compress((site / path).read_bytes())) for path in {*asked} if (site / path).exists()}
    assert len(sizes) > 10 and sum(sizes.values()) <= 1_500_000, sizes
    page.click("live-avatars [name=load]")
    page.wait_for_function(LOADED, arg="live-avatars")
    page.click("live-avatars [name=load]", force=True)  # once more: it says that it is disabled
    assert [path for path in asked if "weights" in path] == ["_static/live/weights/acgan.js"]


def test_no_other_page_loads_these_scripts(site):
    pages = {path.name: path.read_text() for path in (site / "book").glob("*.html")}
    with_scripts = [name for name, page in pages.items() if re.search(r'src="[^"]*live/forward\.js', page)]
    assert with_scripts == ["live-generators.html"]


def test_the_sizes_on_the_buttons_are_those_of_the_files(visit):
    page = visit(PAGE)
    for element, name in (("live-avatars", "acgan"), ("live-digits", "cgan")):
        size = (WEIGHTS / f"{name}.js").stat().st_size
        assert f"({size / 1e6:.1f} MB)" in page.text_content(f"{element} [name=load]")


def test_faces_by_mouse(visit):
    page = visit(PAGE)
    page.click("live-avatars [name=load]")
    page.wait_for_function(LOADED, arg="live-avatars")
    G, _ = load_pretrained("acgan")
    large = "live-avatars .lg-large canvas"
    page.select_option("[name=hair]", label="green")
    page.select_option("[name=eyes]", label="yellow")
    assert "green hair and yellow eyes" in page.text_content("live-avatars .lg-caption")
    assert "green hair and yellow eyes" in page.get_attribute(large, "aria-label")
    # What stands on the canvas is the pass through the network, in bytes.
    z = torch.tensor([page.evaluate("[...latent(1, 100)]")])
    expected = draw(page, "acgan", z, torch.tensor([[6, 9]]))
    before = pixels(page.locator(large))
    assert np.abs(before[..., :3] - (expected[0].permute(1, 2, 0).numpy() + 1) * 127.5).max() <= 0.51
    assert (before[..., 3] == 255).all()
    page.fill("live-avatars [name=way]", "0.4")
    page.click("live-avatars [name=new]")  # and to its start
    assert "from z number 2." in page.text_content("live-avatars .lg-caption")
    now = pixels(page.locator(large))
    assert (now != before).any()
    assert (
        page.input_value("live-avatars [name=from]") == "2" and page.input_value("live-avatars [name=to]") == "3"
    )
    settle(page)
    chosen = page.locator("live-avatars .lg-chosen")
    assert chosen.text_content().strip() == "green"
    assert (pixels(chosen.locator("canvas")) == now).all()


def test_the_grid_is_drawn_row_by_row_while_the_page_answers(visit):
    page = visit(PAGE)
    page.click("live-avatars [name=load]")
    page.wait_for_function(LOADED, arg="live-avatars")
    page.click("[name=grid]")
    page.wait_for_function("document.querySelector('.lg-grid-says').textContent.startsWith('Row 2')")
    page.select_option("[name=hair]", label="white")  # amid the drawing
    assert "white hair" in page.text_content("live-avatars .lg-caption")
    page.wait_for_function("document.querySelector('.lg-grid-says').textContent === 'Row 4 of 12: blue hair'")
    grid = pixels(page.locator(".lg-grid canvas")).reshape(12, 64, 10, 64, 4)[:3, ..., :3]
    cells = torch.tensor(grid).permute(0, 2, 4, 1, 3).reshape(30, 3, 64, 64)
    y = torch.cartesian_prod(torch.arange(3), torch.arange(10))
    assert (label_accuracy(load_classifier("avatars"), cells / 127.5 - 1, y) >= 0.9).all()
    page.evaluate("""() => {
      const says = document.querySelector(".lg-grid-says");
      globalThis.said = [];
      new MutationObserver(() => said.push(says.textContent.split(" ")[1])).observe(says, { childList: true });
    }""")
    page.click("[name=grid]")  # begins anew, and gives up the first
    page.wait_for_function("said.includes('3')")
    said = page.evaluate("said")  # the first may have come to another row before the click
    assert said[said.index("1") :] == ["1", "2", "3"]


def test_the_whole_grid(visit):
    page = visit(PAGE)
    page.click("live-avatars [name=load]")
    page.wait_for_function(LOADED, arg="live-avatars")
    # A picture whose grey says which labels it was asked for, since 120 real ones take a while.
    page.evaluate("""() => {
      const element = document.querySelector("live-avatars");
      element.rows = y => y;
      element.picture = (z, [hair, eyes]) =>
        ({ values: new Float32Array(64 * 64).fill((10 * hair + eyes) / 127.5 - 1), shape: [1, 64, 64] });
    }""")
    page.click("[name=grid]")
    page.wait_for_function("document.querySelector('.lg-grid-says').textContent.startsWith('120 faces in')")
    greys = pixels(page.locator(".lg-grid canvas")).reshape(12, 64, 10, 64, 4)[..., 0]
    assert (greys == np.arange(120).reshape(12, 1, 10, 1)).all()
    assert "a row for each hair colour, a column for each" in page.get_attribute(".lg-grid canvas", "aria-label")
    heads = [page.locator(f".lg-{part} span").all_text_contents() for part in ("rows", "columns")]
    assert heads == [list(names) for names in read_card(RECORDS / "acgan")["classes"].values()]
    box = page.locator(".lg-grid canvas").bounding_box()
    place = {"x": box["width"] * 0.25, "y": box["height"] * (10.5 / 12)}  # third column, eleventh row
    page.click(".lg-grid canvas", position=place)
    assert "red hair and blue eyes" in page.text_content("live-avatars .lg-caption")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def test_digits_by_keyboard(visit):
    page = visit(PAGE)
    page.focus("live-digits [name=load]")
    press(page, "Enter")
    page.wait_for_function(LOADED, arg="live-digits")
    caption, focus = "live-digits .lg-caption", "document.activeElement.name"
    assert page.evaluate(focus) == "load"  # the place is kept
    press(page, "Tab", "3")
    assert page.text_content(caption).startswith("A 3, from z number 1.")
    press(page, "Tab", "8", "Tab", *["ArrowRight"] * 10)
    assert page.text_content(caption).startswith("50 % of an 8 mixed into a 3, from z number 1.")
    for name in ("from", "new", "to", "way"):
        press(page, "Tab")
        assert page.evaluate(focus) == name
    press(page, *["ArrowRight"] * 6)
    assert "30 % of the way from z number 1 to 2" in page.text_content(caption)
    settle(page)
    first, *_, last = page.locator("live-digits .lg-steps canvas").all()
    three, eight = (page.locator("live-digits .lg-values canvas").nth(i) for i in (3, 8))
    assert (pixels(first) == pixels(three)).all() and (pixels(last) == pixels(eight)).all()


def test_half_of_each_digit_is_half_of_each_row_of_the_table(visit):
    page = visit(PAGE)
    page.click("live-digits [name=load]")
    page.wait_for_function(LOADED, arg="live-digits")
    page.select_option("[name=digit]", "3")
    page.select_option("[name=other]", "8")
    page.fill("[name=share]", "0.5")
    net = Script((WEIGHTS / "cgan.js").read_text())
    net.tables[0][0] = (net.tables[0][3] + net.tables[0][8]) / 2  # in the place of the 0
    halfway = net(torch.tensor([page.evaluate("[...latent(1, 100)]")]), torch.tensor([[0]]))[0, 0]
    rgba = pixels(page.locator("live-digits .lg-large canvas"))
    assert np.abs(rgba[..., 0] - (halfway.numpy() + 1) * 127.5).max() <= 0.51
    assert (rgba[..., 0] == rgba[..., 2]).all()


def test_the_straight_way_is_shorter_inside(visit):
    page = visit(PAGE)
    page.click("live-digits [name=load]")
    page.wait_for_function(LOADED, arg="live-digits")
    page.fill("live-digits [name=way]", "0.5")
    lengths = []
    for way in ("arc", "line"):
        page.check(f"live-digits [value={way}]")
        lengths.append(float(page.text_content("live-digits .lg-caption").split("This z is ")[1].split()[0]))
    assert lengths[1] < 8 < 9 < lengths[0]
    page.fill("live-digits [name=from]", "0")
    assert "whole number" in page.text_content("live-digits .lg-caption")
    page.fill("live-digits [name=from]", "12")
    assert "from z number 12 to 2" in page.text_content("live-digits .lg-caption")


def test_by_touch_on_a_phone(visit):
    page = visit(PAGE, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.tap("live-avatars [name=load]")
    page.wait_for_function(LOADED, arg="live-avatars")
    page.tap("live-avatars [name=new]")
    assert page.input_value("live-avatars [name=from]") == "2"
    page.tap("live-avatars label:has([value=line])")
    assert page.is_checked("live-avatars [value=line]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    small = """() => [...document.querySelectorAll(":is(live-avatars, live-digits) :is(button, select, input)")]
      .map(control => control.type === "radio" ? control.parentElement : control)
      .filter(target => target.getBoundingClientRect().height < 44).map(target => target.outerHTML)"""
    assert page.evaluate(small) == []


@pytest.mark.parametrize("width", [1_440, 768, 390])
def test_nothing_jumps(visit, width):
    page = visit(PAGE, viewport={"width": width, "height": 844})
    places = """() => [".lg-all", ".lg-grid", "live-digits", "live-digits .lg-steps"].map(part =>
      Math.round(document.querySelector(part).getBoundingClientRect().top + scrollY))"""
    before = page.evaluate(places)
    page.evaluate("document.querySelector('live-avatars [name=load]').click()")
    page.wait_for_function(LOADED, arg="live-avatars")
    settle(page)
    assert page.evaluate(places) == before
    page.evaluate("document.querySelector('[name=grid]').click()")
    page.wait_for_function("document.querySelector('.lg-grid-says').textContent.startsWith('Row')")
    assert page.evaluate(places) == before


def test_a_file_that_does_not_come_is_said_and_can_be_asked_for_again(chromium, address):
    page = chromium.new_page()
    page.route("**/weights/acgan.js", lambda route: route.abort())
    page.goto(f"{address}/{PAGE}")
    page.click("live-avatars [name=load]")
    page.wait_for_function(
        "document.querySelector('live-avatars [name=load]').textContent.startsWith('Try again')"
    )
    assert "did not come" in page.text_content("live-avatars [role=status]")
    assert page.is_hidden("live-avatars progress") and not page.evaluate(LOADED, "live-avatars")
    page.unroute("**/weights/acgan.js")
    page.click("live-avatars [name=load]")
    page.wait_for_function(LOADED, arg="live-avatars")
    assert "A picture takes about" in page.text_content("live-avatars [role=status]")
    page.close()


def test_it_works_from_a_folder_too(chromium, site):
    page = chromium.new_page()
    page.goto((site / PAGE).as_uri())
    page.click("live-avatars [name=load]")
    page.wait_for_function(LOADED, arg="live-avatars")
    assert "blue hair and red eyes" in page.text_content("live-avatars .lg-caption")
    page.close()


def test_every_control_has_a_name_and_every_canvas_says_what_it_shows(visit):
    page = visit(PAGE)
    controls = page.locator(":is(live-avatars, live-digits) :is(button, select, input)")
    unnamed = controls.evaluate_all(
        "all => all.filter(c => !(c.labels?.length || c.textContent.trim())).map(c => c.outerHTML)"
    )
    assert controls.count() >= 20 and unnamed == []
    page.click("live-avatars [name=load]")
    page.wait_for_function(LOADED, arg="live-avatars")
    settle(page)
    canvases = page.locator("live-avatars .lg-all canvas:not(.lg-grid canvas)")
    said = canvases.evaluate_all("all => all.map(c => [c.getAttribute('role'), c.getAttribute('aria-label')])")
    assert len(said) == 13 and {role for role, _ in said} == {"img"} and len({label for _, label in said}) == 13
    assert "empty" not in [label for _, label in said]
