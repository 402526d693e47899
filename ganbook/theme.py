"""What the theme's pages get wrong, put right once they are built: names and roles, and icons that nobody sees.

A Sphinx extension. What is mended was found by axe-core and by weighing the pages: tests/test_site.py.
"""

import re
from pathlib import Path

# What stands in the HTML of the theme and its extensions, what stands there instead, and why.
MENDED = (
    # A name that does not hold the visible text cannot be spoken to a machine that listens (WCAG 2.5.3).
    (r'(<summary) aria-label="Toggle hidden content"', r"\1"),
    (r'(<button class="btn search-button-field [^>]*?) aria-label="Search"', r"\1"),
    # Font Awesome makes each title a text of its own: "Color mode" would be called "Light Dark System Settings".
    (r'(<i class="theme-switch [^>]*?)\s+title="[\w ]+"', r"\1"),
    # The triangle that unfolds the pages below another in the sidebar has no name (4.1.2).
    (r">([^<]+)(</a><details[^>]*>)<summary>", r'>\1\2<summary aria-label="Pages below: \1">'),
    # Roles that ARIA 1.3 gives up, in a list whose items it does not allow (4.1.2).
    (r'(<div class="citation"[^>]*) role="doc-biblioentry"', r"\1"),
    (r'<div role="list" class="citation-list">', r'<div class="citation-list">'),
)
ICONS = Path("_static/scripts/fontawesome.js")
# name:[width,height,[other names],"code point","path"],
ICON = re.compile(r'"?([\w-]+)"?:\[\d+,\d+,\[([^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\["[^"]*","[^"]*"\])\],?')


def mended(html: str) -> str:
    """A page with names and roles that a screen reader can use."""
    for wrong, right in MENDED:
        html = re.sub(wrong, right, html)
    return html


def only(used: set[str], script: str) -> str:
    """Font Awesome's script with the drawings of these icons alone: it holds 2,000, and a page shows 20."""

    def keep(icon: re.Match) -> str:
        names = {icon[1], *re.findall(r'"([\w-]+)"', icon[2])}
        return icon[0] if names & used else ""

    return ICON.sub(keep, script)


def mend(app, exception) -> None:
    """Mend a site that has been built."""
    if exception is not None or app.builder.name != "html":
        return
    site, used = Path(app.outdir), set()
    for path in [*site.rglob("*.html"), *site.rglob("*.js")]:
        if path.name != ICONS.name:
            used |= set(re.findall(r"\bfa-([a-z0-9-]+)", path.read_text()))
    for path in site.rglob("*.html"):
        path.write_text(mended(path.read_text()))
    (site / ICONS).write_text(only(used, (site / ICONS).read_text()))


def setup(app) -> dict:
    app.connect("build-finished", mend)
    return {"parallel_read_safe": True}
