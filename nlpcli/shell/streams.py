"""Standard streams: those that the caller closed (``2>&-``), and paths whose bytes are odd."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def open_missing() -> None:
    """Gives stdin, stdout and stderr a file each where Python found none.

    Else the next file that is opened, a model say, would be descriptor 2 and take the messages.
    Output that is wanted must not vanish: writing to a closed stdout still fails.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        opened = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        mode = "r" if name == "stdin" else "w"
        setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def write_path(path: str | Path) -> None:
    """A path and a newline on stdout, in the bytes that the file system has."""
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(path) + b"\n")
    sys.stdout.flush()
