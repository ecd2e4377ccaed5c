"""States of an unfinished training run, beside the place of the model that it will become.

Each state is one file, ``STEP.state``: the SHA-256 of the rest, then safetensors whose metadata
holds the run's options and numbers. The newest two are kept, so that a damaged one is no loss.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlpcli.errors import CannotCreate, DataError, NlpcliError, OutputFailed, shown
from nlpcli.store.atomic import AtomicFile, fsync_folder
from nlpcli.text.strict_json import parse_object

if TYPE_CHECKING:  # commands on the store alone, as models list, have no arrays to load it for
    import numpy.typing as npt

KEPT = 2
_FILE = re.compile(r"([0-9]{1,12})\.state")
_DIGEST = 32


@dataclass(frozen=True)
class RunState:
    """A run put away: the options it was started with, its arrays and numbers."""

    options: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]
    numbers: dict[str, Any]


class RunStates:
    """The states of the one unfinished run of a place; use it under the lock of that place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def part(self, name: str) -> RunStates:
        """States of a part of the run that has steps of its own; cleared with the run's."""
        return RunStates(self.folder / name)

    def steps(self) -> list[int]:
        """The steps at which states were saved, ascending."""
        try:
            found = [_FILE.fullmatch(name) for name in os.listdir(self.folder)]
        except OSError:
            return []
        return sorted(int(match[1]) for match in found if match)

    def save(self, step: int, state: RunState) -> Path:
        """Writes a state, synced, then removes all but the newest. Raises OutputFailed."""
        import numpy as np
        from safetensors.numpy import save

        document = json.dumps({"options": state.options, "numbers": state.numbers})
        arrays = {name: np.asarray(array, order="C") for name, array in state.arrays.items()}
        data = save(arrays, metadata={"document": document})
        path = self.folder / f"{step}.state"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with AtomicFile(path) as stream:
                stream.write(hashlib.sha256(data).digest())
                stream.write(data)
            fsync_folder(self.folder.parent)
        except (OSError, CannotCreate) as error:
            reason = error.message if isinstance(error, NlpcliError) else error.strerror
            raise OutputFailed(f"{path}: {reason}; {len(data):,} bytes needed") from None
        self._tidy(step)
        return path

    def newest(self) -> tuple[RunState | None, list[str]]:
        """The newest state that is whole, None when there is none, and warnings about others."""
        warnings: list[str] = []
        for step in reversed(self.steps()):
            path = self.folder / f"{step}.state"
            try:
                return _read(path), warnings
            except (OSError, ValueError) as error:
                warnings.append(f"{path} is skipped: {error}")
        return None, warnings

    def clear(self) -> None:
        """Removes all states: the run is finished. One that stays does no harm: tried twice."""
        for _ in range(2):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _tidy(self, newest: int) -> None:
        """Removes old states, later ones of a run before this one, and what dead writers left."""
        kept = {f"{s}.state" for s in [s for s in self.steps() if s <= newest][-KEPT:]}
        for name in set(os.listdir(self.folder)) - kept:
            with contextlib.suppress(OSError):
                os.unlink(self.folder / name)


def _read(path: Path) -> RunState:
    """Raises OSError, ValueError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("not a regular file")
        data = stream.read()
    digest, data = data[:_DIGEST], data[_DIGEST:]
    if hashlib.sha256(data).digest() != digest:
        raise ValueError("SHA-256 mismatch; truncated or damaged")
    size = int.from_bytes(data[:8], "little")
    try:
        header = parse_object(data[8 : 8 + min(size, len(data))], str(path))
        document = parse_object(header["__metadata__"]["document"].encode(), str(path))
        options, numbers = document["options"], document["numbers"]
        if not isinstance(options, dict) or not isinstance(numbers, dict):
            raise ValueError("options and numbers must be objects")
        return RunState(options, load(data), numbers)
    except (
        SafetensorError, DataError, KeyError, TypeError, AttributeError, OverflowError
    ) as error:  # fmt: skip
        raise ValueError(f"not a state: {shown(str(error), 120)}") from None
