"""The built site in a browser: each page loads whole, from this host alone."""

import pytest
import yaml

from ganbook.book import find_files
from tests.conftest import TOP

PAGES = find_files(yaml.safe_load((TOP / "_toc.yml").read_text()))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_with_nothing_missing_and_fits_a_phone(page, visit):
    phone = visit(f"{page}.html", viewport={"width": 390, "height": 844})
    assert phone.title().strip()
    wide = phone.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, f"the page is {wide} px wide on a phone of 390"
