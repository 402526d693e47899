"""The book as one file: every picture in it, every formula set, every link to a place that is there."""

import io
import re
import zipfile
from base64 import b64decode, b64encode
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup
from PIL import Image

from ganbook.errors import InputError
from ganbook.plots import FILM
from ganbook.volumes import articles, save_epub, save_pdf, still

PAGE = """<html><body><article class="bd-article"><h1>{title}<a class="headerlink" href="#x">#</a></h1>
{text}</article><nav>not the text</nav></body></html>"""


def png(*colours) -> bytes:
    """Squares below one another."""
    picture = Image.new("RGB", (4, 4 * len(colours)))
    for i, colour in enumerate(colours):
        picture.paste(colour, (0, 4 * i, 4, 4 * i + 4))
    data = io.BytesIO()
    picture.save(data, format="png")
    return data.getvalue()


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A built site of two pages, with a picture, a film, a formula, something folded and something that moves."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "_toc.yml").write_text("root: book/index\nparts:\n- chapters:\n  - file: book/one\n")
    (tmp_path / "html" / "book").mkdir(parents=True)
    (tmp_path / "html" / "_images").mkdir()
    (tmp_path / "html" / "_static").mkdir()
    (tmp_path / "html" / "_images" / "a.png").write_bytes(png("red"))
    for style in ("pygments", "ganbook", "volume"):
        (tmp_path / "html" / "_static" / f"{style}.css").write_text("")
    film = FILM.format(
        width=4,
        height=4,
        captions="[]",
        alt="A film",
        last=1,
        first="a",
        png=b64encode(png("red", "blue")).decode(),
    )
    pages = {
        "index": '<p id="x"><a href="one.html#x">on</a> <a href="#x">here</a> <a href="_sources/a.txt">no</a></p>',
        "one": '<p id="x"><img alt="a" src="../_images/a.png"><a href="https://a.org/b.html">out</a></p>'
        r'<p><span class="math notranslate">\(x &lt; y\)</span></p>'
        '<details><summary><p>More</p><p class="expanded">Less</p></summary>...</details>'
        f"<live-gan><noscript>No.</noscript></live-gan><script>1 < 2</script>{film}<br>"
        '<svg viewBox="0 0 1 1"><path d="M 0 0"/></svg>',
    }
    for name, text in pages.items():
        (tmp_path / "html" / "book" / f"{name}.html").write_text(PAGE.format(title=name, text=text))
    return tmp_path


def test_pages_at_rest(small):
    index, one = articles(small / "html").values()
    assert index.h1.get_text() == "index" and "not the text" not in str(index)
    assert not one.select("script, button, input, live-gan, .headerlink") and one.details.has_attr("open")
    assert "only on the site" in one.get_text() and one.summary.get_text() == "More"
    (film,) = one.select("figure img")
    frame = Image.open(io.BytesIO(b64decode(film["src"].split(",")[1])))
    assert (frame.size, frame.convert("RGB").getpixel((0, 3)), film["alt"]) == ((4, 4), (255, 0, 0), "A film")


def test_a_page_that_was_not_built_is_named(small):
    (small / "html" / "book" / "one.html").unlink()
    with pytest.raises(InputError, match="one.html is missing: run `ganbook site` first"):
        articles(small / "html")


@pytest.fixture
def mathjax(small):
    """The small site with the script that sets mathematics."""
    from ganbook.volumes import MATHJAX
    from tests.conftest import TOP

    target = small / "html" / MATHJAX
    target.parent.mkdir(parents=True)
    target.write_bytes((TOP / "book" / MATHJAX).read_bytes())
    return small


def test_an_epub_of_the_small_site(mathjax, chromium_is_here):
    assert save_epub(mathjax / "a.epub", mathjax / "html") == 2
    with zipfile.ZipFile(mathjax / "a.epub") as epub:
        assert epub.infolist()[0].filename == "mimetype" and epub.infolist()[0].compress_type == zipfile.ZIP_STORED
        files = {name: epub.read(name) for name in epub.namelist()}
    assert files["mimetype"] == b"application/epub+zip" and files["book/images/a.png"] == png("red")
    index, one = files["book/index.xhtml"].decode(), files["book/one.xhtml"].decode()
    assert 'href="one.xhtml#x"' in index and 'href="index.xhtml#x"' in index and "_sources" not in index
    assert 'href="https://a.org/b.html"' in one and 'src="images/a.png"' in one and 'viewBox="0 0 1 1"' in one
    assert "<math" in one and "<mo>&lt;</mo>" in one and "⟦" not in one
    package = files["book/package.opf"].decode()
    listed = set(re.findall(r'href="([^"]+)"', package))
    assert {f"book/{name}" for name in listed} == set(files) - {
        "mimetype",
        "META-INF/container.xml",
        "book/package.opf",
    }
    assert re.findall(r'href="([^"]+)"[^>]* properties="mathml"', package) == ["one.xhtml"]
    for name in files:
        if name.endswith((".xhtml", ".opf", ".xml")):
            ElementTree.fromstring(files[name].decode().removeprefix("<!DOCTYPE html>\n"))


def test_a_pdf_of_the_small_site(mathjax, chromium_is_here):
    assert save_pdf(mathjax / "a.pdf", mathjax / "html") == 2
    pdf = (mathjax / "a.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and len(re.findall(rb"/Subtype\s*/Image", pdf)) >= 2
    assert not (mathjax / "html" / "book" / "volume.html").exists()


def test_a_picture_that_is_missing_stops_a_pdf(mathjax, chromium_is_here):
    (mathjax / "html" / "_images" / "a.png").unlink()
    with pytest.raises(InputError, match="1 of 2 pictures are shown"):
        save_pdf(mathjax / "a.pdf", mathjax / "html")
    assert not (mathjax / "a.pdf").exists()


@pytest.fixture
def chromium_is_here():
    import shutil

    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("there is no Chromium here: apt-get install chromium")


def test_every_page_of_the_site_can_be_at_rest(site):
    """Whatever a page shows that moves is a picture, or says that it moves elsewhere."""
    for path in sorted((site / "book").glob("*.html")):
        article = BeautifulSoup(path.read_text(), "html.parser").select_one("article.bd-article")
        moving = len(article.select("img")) + len(article.select("div[role=img]"))
        assert len(still(article).select("img")) == moving, path.name
        assert all(picture.get("alt") for picture in article.select("img")), path.name
