"""Checkers of the exercises: `check("03.2", answer)` says that an answer is right, or what is wrong with it.

A checker asks what holds for every right answer (who moved, which shapes, which quantities are equal), on inputs
of its own: no stored result is compared. Those of chapter 03 are in ganbook.exercises.ch03, and so on.
"""

import re
import sysconfig
import traceback
from collections.abc import Callable
from importlib import import_module
from numbers import Real
from pathlib import Path
from pkgutil import iter_modules

import torch
from torch import Tensor

from ganbook.errors import InputError

CHECKERS: dict[str, Callable[[object], None]] = {}  # by chapter and number, "03.2", once the chapter is imported


NOT_YOURS = (str(Path(__file__).parents[1]), torch.__path__[0], sysconfig.get_path("stdlib"))  # others' code


class NotYet(AssertionError):
    """An answer that is not right; the message is its diagnosis."""

    def _render_traceback_(self) -> list[str]:  # a notebook shows the diagnosis alone
        return [f"✗ {self}"]


def exercise(name: str) -> Callable:
    """Register a checker. The first line of its docstring says what a right answer does."""

    def register(checker: Callable[[object], None]) -> Callable[[object], None]:
        CHECKERS[name] = checker
        return checker

    return register


def expect(holds: object, diagnosis: str) -> None:
    """Go on if it holds, else end with the diagnosis: a sentence about the answer."""
    if not holds:
        raise NotYet(diagnosis)


def none_of(found: Tensor, mistakes: dict[str, object], tolerance: float = 1e-4) -> None:
    """Go on if none of these values, each under its diagnosis, was found."""
    for diagnosis, wrong in mistakes.items():
        wrong = torch.as_tensor(wrong, dtype=found.dtype)
        expect(found.shape != wrong.shape or not found.allclose(wrong, rtol=tolerance, atol=tolerance), diagnosis)


def number(found: object) -> Tensor:
    """What was returned as a tensor, once it is one number."""
    expect(found is not None, "nothing came back: return the number")
    kind = f"has the shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"is a {type(found).__name__}"
    expect(isinstance(found, Real) or getattr(found, "shape", None) == (), f"return one number; yours {kind}")
    return torch.as_tensor(found).detach()


def check(name: str, answer: object) -> None:
    """Print one line if the answer to an exercise is right; else raise NotYet, which says what is wrong with it.

    The caller's random numbers go on as if nothing had been tried.
    """
    checker = find(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            checker(answer)
        except NotYet as wrong:
            raise NotYet(f"Exercise {name}: {wrong}") from None
        except Exception as error:
            raise NotYet(f"Exercise {name}: {stopped(error)}") from error
    print(f"✓ Exercise {name}: {checker.__doc__.splitlines()[0]}")


def stopped(error: Exception) -> str:
    """Where the answer's own code stopped, or else that it is not of the kind that was asked for."""
    said = f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    yours = [frame.line for frame in frames if not frame.filename.startswith(NOT_YOURS)]
    if yours:
        return f"your code stopped at `{yours[-1]}` with {said}"
    return (
        "what you handed in, or what it returned, is of another kind than the exercise asks for "
        f"(the result of a function for the function? no return?): {said}"
    )


def find(name: str) -> Callable[[object], None]:
    """The checker of an exercise. InputError if there is none, with those that there are."""
    chapter = re.match(r"\d\d(?=\.)", str(name))
    if chapter and f"ch{chapter[0]}" in chapters():
        import_module(f"ganbook.exercises.ch{chapter[0]}")
    if name not in CHECKERS:
        known = [key for key in sorted(CHECKERS) if chapter and key.startswith(chapter[0])]
        those = ", ".join(known) or f"a chapter of {', '.join(c[2:] for c in chapters())}, as in '03.2'"
        raise InputError(f"no checker of exercise {name!r}; there is {those}")
    return CHECKERS[name]


def chapters() -> list[str]:
    """The modules that hold checkers: ch03, ch04, …"""
    return sorted(module.name for module in iter_modules(__path__))
