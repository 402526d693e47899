"""The book in one file, to print or to carry: PDF and EPUB, both made from the built site, without a network."""

import io
import re
import shutil
import zipfile
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from xml.etree import ElementTree

import yaml
from bs4 import BeautifulSoup, Tag
from PIL import Image

from ganbook import __version__
from ganbook.checkpoints import write
from ganbook.errors import InputError
from ganbook.runner import BUILD, find_files

SITE = BUILD / "html"
CONTROLS = "script, style, link, button, input, .headerlink, .toctree-wrapper"
MATHJAX = "_static/vendor/mathjax/tex-mml-chtml.js"
STYLES = ("pygments.css", "ganbook.css", "volume.css")
KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".css": "text/css", ".xhtml": "application/xhtml+xml"}
HEAD = '<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" lang="en" data-theme="light"><head>'


# The pages as paper shows them.


def articles(site: Path) -> dict[str, Tag]:
    """The text of each page of the site by name, in the order of the book, with nothing in it that has to move."""
    toc = yaml.safe_load(Path("_toc.yml").read_text())
    found = {}
    for name in (Path(entry).name for entry in [toc["root"], *find_files(toc)]):
        page = site / "book" / f"{name}.html"
        if not page.is_file():
            raise InputError(f"{page} is missing: run `ganbook site` first")
        found[name] = still(BeautifulSoup(page.read_text(), "html.parser").select_one("article.bd-article"))
    return found


def still(article: Tag) -> Tag:
    """A page at rest: films show their first picture, what is folded is open, controls are gone."""
    for film in article.select("figure[data-captions]"):
        first_frame(film)
    for element in article.select(CONTROLS):
        element.decompose()
    for fold in article.select("details"):
        fold["open"] = "open"
        one_lead(fold)
    for element in article.find_all(re.compile("^live-")):
        element.name, element.string = "p", "This part moves, and only on the site."
    return article


def one_lead(fold: Tag) -> None:
    """Of the two leads of a fold, one for when it is open, keep the other, if it says anything."""
    for lead in fold.select(".expanded"):
        lead.decompose()
    if fold.summary and fold.summary.get_text(strip=True) == "Show code cell source":
        fold.summary.decompose()


def first_frame(film: Tag) -> None:
    """In the place of a film, which is one picture of all its frames: the first of them."""
    strip, last = film.select_one("div[role=img]"), film.select_one("input")["max"]
    frames = Image.open(io.BytesIO(b64decode(re.search(r"base64,([\w+/=]+)", strip["style"])[1])))
    png = io.BytesIO()
    frames.crop((0, 0, frames.width, frames.height // (int(last) + 1))).save(png, format="png")
    picture = f"data:image/png;base64,{b64encode(png.getvalue()).decode()}"
    film.clear()
    film.append(Tag(name="img", attrs={"alt": strip["aria-label"], "src": picture}, can_be_empty_element=True))


def relink(name: str, article: Tag, names: set[str], target: str) -> None:
    """Make links inside the book lead to the place that `target` gives for {page} and {anchor}; others stay."""
    for link in article.select("a[href]"):
        found = re.fullmatch(r"(?:([\w-]+)\.html)?(?:#(.+))?", link["href"])
        if found and (found[1] or name) in names:
            link["href"] = target.format(page=found[1] or name, anchor=found[2] or "").rstrip("#")
        elif "://" not in link["href"]:  # a file that is on the site alone
            link.unwrap()


def pictures(pages: dict[str, Tag]) -> list[Tag]:
    return [picture for article in pages.values() for picture in article.select("img")]


@contextmanager
def chromium() -> Iterator:
    """A page of a headless Chromium, the one that the system has; it asks no other host."""
    where = shutil.which("chromium") or shutil.which("google-chrome")
    if not where:
        raise InputError("there is no Chromium here, which sets the mathematics: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=where, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(600_000)
        page.route(re.compile("^https?:"), lambda route: route.abort())
        yield page
        browser.close()


# PDF.


def save_pdf(path: Path, site: Path = SITE) -> int:
    """Print the whole site as one PDF with an outline. Returns how many pictures are in it: all, or it fails."""
    pages = articles(site)
    for name, article in pages.items():
        for element in article.select("[id]"):  # what is unique on a page may not be in the book
            element["id"] = f"{name}--{element['id']}"
        article["id"] = f"{name}--"
        relink(name, article, set(pages), "#{page}--{anchor}")
    whole = site / "book" / "volume.html"
    styles = "".join(f'<link rel="stylesheet" href="../_static/{style}"/>' for style in STYLES)
    text = "".join(map(str, pages.values()))
    whole.write_text(
        f'{HEAD}<title>ganbook</title>{styles}<script src="../{MATHJAX}"></script></head>{text}</html>'
    )
    try:
        with chromium() as page:
            page.goto(whole.resolve().as_uri())
            page.evaluate("MathJax.startup.promise")
            drawn = page.evaluate(
                "[...document.images].filter(image => image.complete && image.naturalWidth).length"
            )
            check_pictures(drawn, pages)
            pdf = page.pdf(prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
    finally:
        whole.unlink()
    write(path, pdf)
    return drawn


def check_pictures(shown: int, pages: dict[str, Tag]) -> None:
    if shown != len(pictures(pages)):
        raise InputError(f"{shown} of {len(pictures(pages))} pictures are shown: build the site again")


# EPUB.


def save_epub(path: Path, site: Path = SITE) -> int:
    """Write the whole site as an EPUB 3, its mathematics as MathML. Returns how many pictures are in it: all."""
    pages = articles(site)
    files = {f"static/{style}": (site / "_static" / style).read_bytes() for style in STYLES}
    formulas = as_mathml(pages, site)
    shown = 0
    for name, article in pages.items():
        relink(name, article, set(pages), "{page}.xhtml#{anchor}")
        for picture in article.select("img"):
            source = picture["src"]
            if not source.startswith("data:"):
                picture["src"] = f"images/{Path(source).name}"
                files[picture["src"]] = (site / "book" / source).read_bytes()
            shown += 1
        files[f"{name}.xhtml"] = as_xhtml(article, formulas)
    check_pictures(shown, pages)
    files["nav.xhtml"] = contents(pages)
    write(path, zipped(files))
    return shown


def as_mathml(pages: dict[str, Tag], site: Path) -> list[str]:
    """Put a mark in the place of each formula. Returns their MathML in the order of the marks."""
    found = [math for article in pages.values() for math in article.select(".math")]
    tex = [[re.sub(r"^\\[(\[]|\\[)\]]$", "", math.get_text().strip()), math.name == "div"] for math in found]
    for i, math in enumerate(found):
        math.string = f"⟦{i}⟧"
    with chromium() as page:
        page.add_script_tag(path=site / MATHJAX)
        page.evaluate("MathJax.startup.promise")
        return page.evaluate("tex => tex.map(([text, display]) => MathJax.tex2mml(text, {display}))", tex)


def as_xhtml(article: Tag, formulas: list[str]) -> bytes:
    """A page of the e-book: XML, which HTML is not."""
    title = escape(article.select_one("h1").get_text())
    text = re.sub(r"⟦(\d+)⟧", lambda mark: formulas[int(mark[1])], str(article))
    # Names that XML tells apart by their capitals, and the name space that it wants to know.
    text = text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ').replace("viewbox=", "viewBox=")
    text = text.replace("preserveaspectratio=", "preserveAspectRatio=")
    styles = "".join(f'<link rel="stylesheet" href="static/{style}"/>' for style in STYLES)
    page = f"{HEAD}<title>{title}</title>{styles}</head><body>{text}</body></html>"
    ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>\n"))  # a reader refuses what is not well-formed
    return page.encode()


def contents(pages: dict[str, Tag]) -> bytes:
    items = "".join(
        f'<li><a href="{name}.xhtml">{escape(article.select_one("h1").get_text())}</a></li>'
        for name, article in pages.items()
    )
    head = HEAD.replace("<html ", '<html xmlns:epub="http://www.idpf.org/2007/ops" ')
    text = f'<nav epub:type="toc"><ol>{items}</ol></nav>'
    return f"{head}<title>ganbook</title></head><body>{text}</body></html>".encode()


def package(files: dict[str, bytes]) -> bytes:
    """The list of all files, and of the pages in their order."""
    properties = {"nav.xhtml": ' properties="nav"', "images/cover.jpg": ' properties="cover-image"'}
    for name, text in files.items():
        if b"<math" in text and name.endswith(".xhtml"):
            properties[name] = ' properties="mathml"'
    ids = {name: f"f{i}" for i, name in enumerate(files)}
    items = "".join(
        f'<item id="{ids[name]}" href="{name}" media-type="{KINDS[Path(name).suffix]}"{properties.get(name, "")}/>'
        for name in files
    )
    spine = "".join(f'<itemref idref="{ids[name]}"/>' for name in files if name.endswith(".xhtml"))
    return (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">ganbook-{__version__}</dc:identifier><dc:title>ganbook</dc:title>'
        "<dc:language>en</dc:language><dc:creator>The ganbook authors</dc:creator>"
        f'<meta property="dcterms:modified">{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}</meta></metadata>'
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
    ).encode()


def zipped(files: dict[str, bytes]) -> bytes:
    """The files as readers of e-books want them: first, uncompressed, what this is; then where its list stands."""
    container = (
        '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
        'full-path="book/package.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as epub:
        epub.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        epub.writestr("META-INF/container.xml", container)
        epub.writestr("book/package.opf", package(files))
        for name, content in files.items():
            epub.writestr(f"book/{name}", content)
    return whole.getvalue()
