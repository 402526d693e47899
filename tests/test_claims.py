"""A claim that holds prints one line; one that does not stops the page."""

import pytest

from ganbook.claims import claim


def test_a_claim_that_holds(capsys):
    claim("two and two are four", 2 + 2 == 4)
    claim("pi is about 3", True, 3.14159265)
    claim("the modes are covered", True, 8)
    assert capsys.readouterr().out == (
        "✓ two and two are four\n✓ pi is about 3  [measured 3.142]\n✓ the modes are covered  [measured 8]\n"
    )


def test_a_claim_that_does_not(capsys):
    with pytest.raises(AssertionError, match=r"✗ pi is 3  \[measured 3.142\]"):
        claim("pi is 3", False, 3.14159265)
    assert capsys.readouterr().out == ""
