"""Model and state files cut short and with single bits flipped: nothing damaged is ever used."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from nlpcli.errors import DataError, InputMissing
from nlpcli.store.classifier import read_arrays, read_classifier
from nlpcli.store.states import RunStates
from nlpcli.store.store import Store

Damage = tuple[str, Path, bytes]
"""``cut`` or ``flip``, the file, and its spoiled content."""


def cuts_of(files: list[Path], count: int) -> Iterator[Damage]:
    """``count`` lengths, the shortest and the longest of each file and evenly between."""
    share, extra = divmod(count, len(files))
    for i, path in enumerate(files):
        data = path.read_bytes()
        wanted = share + (i < extra)
        for k in range(wanted):
            yield "cut", path, data[: round(k * (len(data) - 1) / max(1, wanted - 1))]


def flips_of(files: list[Path], count: int, seed: int) -> Iterator[Damage]:
    """``count`` single bits, at random places; each file gets its share, however small it is."""
    drawn = random.Random(seed)
    contents = {path: path.read_bytes() for path in files}
    for i in range(count):
        path = files[i % len(files)]
        flipped = bytearray(contents[path])
        flipped[drawn.randrange(len(flipped))] ^= 1 << drawn.randrange(8)
        yield "flip", path, bytes(flipped)


def damages(files: list[Path], cuts: int, flips: int, seed: int) -> Iterator[Damage]:
    """All of them, the cuts first."""
    yield from cuts_of(files, cuts)
    yield from flips_of(files, flips, seed)


def load(root: Path, spec: str) -> None:
    """What predict reads, and what a training that goes on reads besides."""
    folder, _ = Store(root).open(spec)
    read_arrays(folder, read_classifier(folder))


def corrupt(folder: Path, cuts: int, flips: int, seed: int) -> dict[str, int | float]:
    """Damages a copy of a model folder again and again; counts what became of it.

    ``refused`` are DataError and InputMissing with a message of one line that names the folder;
    ``accepted`` loaded, ``untyped`` raised anything else. ``slowest_s`` is the longest attempt,
    in seconds of the processor, which a busy machine does not lengthen.
    """
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "store" / "m" / "1"
        shutil.copytree(folder, copy)
        load(copy.parent.parent, "m@1")
        return _tally(
            damages(sorted(copy.iterdir()), cuts, flips, seed),
            lambda: _attempt(copy),
        )


def _attempt(copy: Path) -> str:
    try:
        load(copy.parent.parent, "m@1")
    except (DataError, InputMissing) as error:
        one_line = len(error.message.splitlines()) == 1 and str(copy) in error.message
        return "refused" if one_line else "badly_told"
    except Exception:
        return "untyped"
    return "accepted"


def _tally(spoiled: Iterator[Damage], attempt: Callable[[], str]) -> dict[str, int | float]:
    """Puts each damage in place, attempts, and puts back what was there."""
    outcomes = ("refused", "accepted", "untyped", "badly_told")
    found: dict[str, int | float] = dict.fromkeys(("cut", "flip", *outcomes), 0)
    slowest = 0.0
    for kind, path, data in spoiled:
        whole = path.read_bytes()
        path.write_bytes(data)
        begun = time.process_time()
        outcome = attempt()
        slowest = max(slowest, time.process_time() - begun)
        path.write_bytes(whole)
        found[kind] += 1
        found[outcome] += 1
    return {**found, "slowest_s": round(slowest, 4)}


def corrupt_states(folder: Path, cuts: int, flips: int, seed: int) -> dict[str, int | float]:
    """As ``corrupt`` for the newest of two states in ``folder``.

    ``refused``: the one before is given, with a warning that names the damaged one.
    """
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "state"
        shutil.copytree(folder, copy)
        states = RunStates(copy)
        before, newest = states.steps()
        damaged = copy / f"{newest}.state"
        (copy / f"{before}.state").rename(copy / "hidden")
        newest_numbers = _numbers(states)
        (copy / "hidden").rename(copy / f"{before}.state")

        def attempt() -> str:
            try:
                state, warnings = states.newest()
            except Exception:
                return "untyped"
            if state is None or state.numbers == newest_numbers:
                return "accepted"
            return "refused" if [str(damaged) in w for w in warnings] == [True] else "badly_told"

        return _tally(damages([damaged], cuts, flips, seed), attempt)


def _numbers(states: RunStates) -> dict[str, object]:
    state, _ = states.newest()
    assert state is not None
    return state.numbers
