"""A sentence of the book that is checked each time its page is run."""


def claim(sentence: str, holds: bool, measured: object = None) -> None:
    """Print the sentence with a tick if it holds, else raise AssertionError: no page is built on a false one.

    `measured` is shown behind it in square brackets. It may differ between machines, so the comparison of
    stored outputs passes over it (tests/nbval_sanitize.cfg): the condition, with its tolerance, has judged it.
    """
    if isinstance(measured, float):
        measured = f"{measured:.4g}"
    line = sentence if measured is None else f"{sentence}  [measured {measured}]"
    if not holds:
        raise AssertionError(f"✗ {line}")
    print(f"✓ {line}")
