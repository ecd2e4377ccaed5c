"""Standard streams that the caller closed (``2>&-``): opened again, to nowhere."""

from __future__ import annotations

import os
import sys


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
