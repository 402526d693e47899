"""Names, roles and icons of the theme. Whether they are right on the pages, tests/test_site.py asks axe-core."""

import pytest

from ganbook.theme import mended, only

SCRIPT = (
    'a={sun:[512,512,[9728],"f185","M1z"],"arrow-up":[384,512,[8593,"up"],"f062","M2z"],x:[1,2,[],"f0",["","M3"]]}'
)


@pytest.mark.parametrize(
    "wrong, right",
    [
        ('<summary aria-label="Toggle hidden content">\n<p>Show', "<summary>\n<p>Show"),
        (
            '<button class="btn search-button-field b" title="Search" aria-label="Search" data-x>',
            '<button class="btn search-button-field b" title="Search" data-x>',
        ),
        (
            '<i class="theme-switch fa-solid fa-sun fa-lg" data-mode="light" title="System Settings"></i>',
            '<i class="theme-switch fa-solid fa-sun fa-lg" data-mode="light"></i>',
        ),
        (
            '<a href="api.html">The package</a><details><summary><span>',
            '<a href="api.html">The package</a><details><summary aria-label="Pages below: The package"><span>',
        ),
        ('<div class="citation" id="id5" role="doc-biblioentry">', '<div class="citation" id="id5">'),
        ('<div role="list" class="citation-list">', '<div class="citation-list">'),
    ],
)
def test_what_is_wrong_is_mended_once(wrong, right):
    assert mended(wrong) == mended(right) == right


def test_what_is_right_stays():
    html = '<details><summary>A</summary></details><button title="Search" aria-label="Search"></button>'
    assert mended(html) == html


@pytest.mark.parametrize(
    "used, kept", [({"sun"}, "sun"), ({"up"}, "arrow-up"), ({"arrow-up"}, "arrow-up"), ({"x"}, "x"), ({"y"}, None)]
)
def test_only_icons_that_are_used_are_kept_by_any_of_their_names(used, kept):
    left = only(used, SCRIPT)
    assert [name for name in ("sun", "arrow-up", "x") if f"{name}:" in left or f'{name}":' in left] == [
        kept
    ] * bool(kept)
    assert left.startswith("a={") and left.endswith("}")
