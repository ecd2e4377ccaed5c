"""Everything that can go wrong for a user, drawn as a tree.

NlpcliError
├── NegativeAnswer    1   the program ran, and the answer is no
├── UsageError        2   the command line does not make sense
├── DataError        65   bad rows, or a model file that is not what it says
├── InputMissing     66   an input cannot be opened
├── Unavailable      69   an optional part, a device or memory is missing
├── CannotCreate     73   an output cannot be created; found before any work
├── OutputFailed     74   writing failed half-way: full disk, I/O error
├── Busy             75   somebody else holds the lock; try again
└── ConfigError      78   a configuration file is wrong

A message says what, where, the value seen and the value wanted, on one line; the hint,
if there is one, is a thing to type.
"""

from __future__ import annotations


class NlpcliError(Exception):
    """Base of all errors that are shown to a user as one line."""

    exit_code = 70

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NegativeAnswer(NlpcliError):
    """The program ran, and the answer is no."""

    exit_code = 1


class UsageError(NlpcliError):
    """The command line does not make sense."""

    exit_code = 2


class DataError(NlpcliError):
    """Bad rows, or a model file that is not what it says."""

    exit_code = 65


class InputMissing(NlpcliError):
    """An input does not exist or cannot be opened."""

    exit_code = 66


class Unavailable(NlpcliError):
    """An optional part, a device or memory is missing."""

    exit_code = 69


class CannotCreate(NlpcliError):
    """An output cannot be created; found before any work is done."""

    exit_code = 73


class OutputFailed(NlpcliError):
    """Writing failed half-way: full disk, I/O error."""

    exit_code = 74


class Busy(NlpcliError):
    """Somebody else holds the lock."""

    exit_code = 75


class ConfigError(NlpcliError):
    """A configuration file is wrong."""

    exit_code = 78


def shown(text: str, limit: int = 80) -> str:
    """Text quoted back to a user: control characters escaped, cut to ``limit`` characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def nearest(word: str, candidates: list[str]) -> str | None:
    """The candidate most like ``word``, or None when nothing is near."""
    import difflib

    found = difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    return found[0] if found else None
