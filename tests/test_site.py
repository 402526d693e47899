"""The built site in a browser: each page loads whole, from this host alone, is light, and is for everybody."""

import gzip
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

from ganbook.runner import find_files
from tests.conftest import TOP

TOC = yaml.safe_load((TOP / "_toc.yml").read_text())
PAGES = [TOC["root"], *find_files(TOC)]
AXE = (TOP / "tests" / "vendor" / "axe-core" / "axe.min.js").read_text()
DESK, PHONE = {"width": 1_440, "height": 900}, {"width": 390, "height": 844}
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# What axe finds against these rules: the name of each that is broken, where first, and why.
VIOLATIONS = """rules => axe.run({runOnly: rules, resultTypes: ["violations"]}).then(found => found.violations.map(
    rule => `${rule.id}: ${rule.nodes[0].html.slice(0, 200)} ${rule.nodes[0].failureSummary}`))"""
# A formula is hundreds of elements of the text's colour, and axe takes seconds for them. Once it was looked into,
# an empty box of its size will do.
BOX_FORMULAS = """document.querySelectorAll("mjx-container").forEach(formula => {
    const {width, height} = formula.getBoundingClientRect();
    const box = document.createElement("span");
    box.style.cssText = `display: inline-block; width: ${width}px; height: ${height}px`;
    formula.replaceChildren(box);
})"""
FORMULAS_LIKE_TEXT = """[...document.querySelectorAll("mjx-container")].every(formula =>
    getComputedStyle(formula).color === getComputedStyle(formula.parentElement).color)"""
# A colour that is on its way to another has not the contrast that it will have.
AT_REST = "document.getAnimations().every(one => one.playState !== 'running')"
# The page and all that it loaded, and what the browser waited for before it drew anything.
LOADED = """["navigation", "resource"].flatMap(kind => performance.getEntriesByType(kind)).map(
    entry => [entry.name, entry.renderBlockingStatus])"""
WHOLE_PAGE, BEFORE_DRAWING = 1_500_000, 300_000  # bytes, compressed by gzip


@cache
def weight(path: Path) -> int:
    """Bytes of a file as a server that compresses sends it."""
    return len(gzip.compress(path.read_bytes()))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole_and_light_fits_a_phone_and_is_for_everybody(page, visit, site):
    """`visit` fails on whatever is missing. All is looked at in one visit, since a page takes seconds to set."""
    opened = visit(f"{page}.html", color_scheme="light", reduced_motion="reduce")
    opened.wait_for_load_state("networkidle")
    assert opened.title().strip()
    look_at_weight(opened.evaluate(LOADED), site)
    opened.add_script_tag(content=AXE)
    opened.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    opened.set_viewport_size(PHONE)
    wide = opened.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE["width"], f"the page is {wide} px wide on a phone of {PHONE['width']}"
    found = []
    # Both colour schemes and both widths, each rule at least once in each (inside formulas: in the first alone);
    # colours are all that a scheme changes.
    for scheme, size, rules in (("light", DESK, WCAG), ("dark", DESK, ["color-contrast"]), ("dark", PHONE, WCAG)):
        opened.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        opened.set_viewport_size(size)
        opened.wait_for_function("scheme => document.documentElement.dataset.theme === scheme", arg=scheme)
        opened.wait_for_timeout(500)  # the theme looks a moment later what has to scroll now
        opened.wait_for_function(AT_REST)
        found += opened.evaluate(VIOLATIONS, rules)
        opened.evaluate(BOX_FORMULAS)
        assert opened.evaluate(FORMULAS_LIKE_TEXT)
    assert not found, "rules of WCAG 2.2 AA"


def look_at_weight(entries: list, site: Path) -> None:
    """What a page sends before a live part is asked for."""
    weights = {name: weight(site / unquote(urlsplit(name).path[1:])) for name, _ in entries}
    assert sum(weights.values()) <= WHOLE_PAGE, sorted(weights.items(), key=lambda item: -item[1])[:5]
    blocking = [name for name, how in entries if how == "blocking"]
    assert len(blocking) > 5  # style sheets at least: otherwise the browser does not tell
    assert all(weights[name] <= BEFORE_DRAWING for name in blocking), weights


def test_every_link_within_the_book_leads_somewhere(site):
    """To a page that there is, and to a place on it that there is."""
    pages = {
        path: BeautifulSoup(path.read_text(), "html.parser")
        for path in site.rglob("*.html")
        if "_static" not in path.parts
    }
    places = {path: {tag["id"] for tag in page.select("[id]")} for path, page in pages.items()}
    broken, tried = [], 0
    for path, page in pages.items():
        for link in [tag.get("href") or tag.get("src") for tag in page.select("a[href], img[src], link[href]")]:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            tried += 1
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            there = target.exists() and (target not in places or not address.fragment or target.is_dir()
                                         or unquote(address.fragment) in places[target])  # fmt: skip
            if not there:
                broken.append(f"{path.name}: {link}")
    assert tried > 1_000 and not broken, broken[:20]


def test_the_map_of_chapters_lies_beside_its_arcs(visit):
    """Each row is where the arcs to it end, on a desk and on a phone."""
    for width in (1_440, 390):
        page = visit("book/index.html", viewport={"width": width, "height": 900})
        rows = page.locator(".book-map li").all()
        middles = [row.bounding_box()["y"] + row.bounding_box()["height"] / 2 for row in rows]
        picture = page.locator(".book-map svg").bounding_box()
        unit = picture["height"] / len(rows)
        assert all(abs(picture["y"] + (i + 0.5) * unit - y) < 2 for i, y in enumerate(middles))
        assert picture["x"] + picture["width"] <= rows[0].locator("a").first.bounding_box()["x"]
        assert page.locator(".book-map path").count() >= len(rows)


def test_the_cover_shows_the_numbers_of_the_book(visit):
    page = visit("book/index.html")
    assert page.locator("img.book-cover").evaluate("image => image.complete && image.naturalWidth") == 1_536
    numbers = page.locator(".book-numbers strong").all_inner_texts()
    assert numbers[0] == str(len(list((TOP / "book").glob("[0-9]*.ipynb")))) and len(numbers) == 4
