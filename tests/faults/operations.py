"""The operations that write, each with a folder to run in and what must hold after any fault."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nlpcli.errors import NlpcliError
from nlpcli.store.classifier import read_classifier
from nlpcli.store.store import Store

from .injection import Server

TEXTS = ["good fine great", "bad poor awful", "", "unknown words"]
OLD_OUTPUT = "what was here before\n"


@dataclass(frozen=True)
class Operation:
    """A command line; ``resumes``: what to add to it for the run after a kill.

    ``instead``: the run after a kill, where twice is not the same as once.
    """

    name: str
    arguments: list[str]
    resumes: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()

    @property
    def prunes(self) -> bool:
        """Whether old versions may be gone after it."""
        return self.name in ("prune", "train-keep")

    @property
    def again(self) -> list[str]:
        """The command line of the run after a fault."""
        return list(self.instead) or [*self.arguments, *self.resumes]


TRAIN = ["train-fasttext", "rows.csv", "-q", "--threads", "1"]
OPERATIONS = {
    o.name: o
    for o in (
        Operation("train", [*TRAIN, "-o", "m", "--epochs", "1", "--seed", "3"], ("--resume",)),
        Operation(
            "train-states",
            [*TRAIN, "-o", "m", "--epochs", "6", "--batch-size", "20", "--save-every", "0",
             "--seed", "3"],
            ("--resume",),
        ),
        Operation(
            "train-path", [*TRAIN, "-o", "./plain", "--epochs", "1", "--force", "--seed", "3"],
            ("--resume",),
        ),
        Operation("train-keep", [*TRAIN, "-o", "m", "--keep", "1", "--seed", "3"], ("--resume",)),
        Operation("prune", ["models", "prune", "m", "--keep", "1"]),
        Operation("pin", ["models", "pin", "m@1"]),
        Operation("rollback", ["models", "rollback", "m"], (), ("models", "pin", "m@1")),
        Operation("predict", ["predict", "-m", "m", "rows.csv", "-o", "out.csv"]),
    )
}  # fmt: skip


class World:
    """A folder with a store of two versions, a plain model and an old output; copied for a run."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self._folder = server, folder
        self.seed = folder / "seed"
        self.seed.mkdir()
        rows = [f"{'good fine great' if i % 2 else 'bad poor awful'} w{i},{'ab'[i % 2]}"
                for i in range(24)]  # fmt: skip
        (self.seed / "rows.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
        for seed in ("1", "2"):
            self._must([*TRAIN, "-o", "m", "--epochs", "2", "--seed", seed])
        self._must([*TRAIN, "-o", "./plain", "--epochs", "2"])
        (self.seed / "out.csv").write_text(OLD_OUTPUT)
        self.known = {v: answers(self.seed / "store" / "m" / v) for v in "12"}
        self.plain = answers(self.seed / "plain")

    def _must(self, arguments: list[str]) -> None:
        done = self.server.run(self.seed, arguments)
        if done.code:
            raise RuntimeError(done.err)

    def copy(self) -> Path:
        """A fresh folder."""
        target = self._folder / "run"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.seed, target, symlinks=True)
        return target

    def newest(self, folder: Path, operation: Operation) -> bytes:
        """What the model that a training operation made answers."""
        if operation.name == "train-path":
            return answers(folder / "plain")
        store = Store(folder / "store")
        return answers(store.root / "m" / str(store.versions("m")[-1]))

    def undisturbed(self, operation: Operation) -> Path:
        """A folder in which the operation ran to its end."""
        target = self._folder / f"undisturbed-{operation.name}"
        if not target.exists():
            shutil.copytree(self.seed, target, symlinks=True)
            done = self.server.run(target, operation.arguments)
            if done.code:
                raise RuntimeError(done.err)
        return target

    def wanted(self, operation: Operation) -> dict[str, str]:
        """The digests of all files after the operation, undisturbed."""
        return digests(self.undisturbed(operation))

    def check_readers(self, folder: Path, operation: Operation) -> str | None:
        """What a reader would miss while or after the operation runs, or None."""
        try:
            return self._missed(folder, operation)
        except NlpcliError as error:
            return f"refused: {error.message}"

    def _missed(self, folder: Path, operation: Operation) -> str | None:
        store = Store(folder / "store")
        there = store.versions("m")
        if not operation.prunes and not {1, 2} <= set(there):
            return f"of versions 1 and 2 there are {there}"
        for version in there:
            said = answers(store.root / "m" / str(version))
            if version <= 2 and said != self.known[str(version)]:
                return f"m@{version} answers differently"
            if version > 2 and said != self.newest(self.undisturbed(operation), operation):
                return f"m@{version} is not the model that was trained"
        served = int(store.open("m")[0].path.name)
        if served != there[-1] and operation.name not in ("pin", "rollback"):
            return f"m@{served} of {there} is served"
        said = answers(folder / "plain")
        if said != self.plain and (
            operation.name != "train-path"
            or said != self.newest(self.undisturbed(operation), operation)
        ):
            return "the plain model is another one"
        rows = (folder / "out.csv").read_text()
        if rows != OLD_OUTPUT and (operation.name != "predict" or rows != self.complete):
            return "out.csv is neither old nor complete"
        return None

    @cached_property
    def complete(self) -> str:
        """What predict writes."""
        return (self.undisturbed(OPERATIONS["predict"]) / "out.csv").read_text()

    def check_next_run(self, folder: Path, operation: Operation) -> str | None:
        """Whether the same command ends as if nothing had been; it sweeps what was left."""
        done = self.server.run(folder, operation.again)
        if done.code:
            return f"the next run fails: {done.code} {done.err}"
        problem = self.check_readers(folder, operation)
        if problem:
            return problem
        if operation.name.startswith("train") and self.newest(folder, operation) != self.newest(
            self.undisturbed(operation), operation
        ):
            return "the model of the next run is another one"
        odd = leftovers(digests(folder), ".tmp-", ".trash-", ".state")
        return f"left over: {odd}" if odd else None


def answers(folder: Path) -> bytes:
    """What a model says to a few texts. Raises NlpcliError when it does not verify."""
    from nlpcli.store.folder import ModelFolder

    opened = ModelFolder(folder)
    opened.verify()
    return np.ascontiguousarray(read_classifier(opened).probabilities(TEXTS)).tobytes()


def leftovers(names: Iterable[str], *marks: str) -> list[str]:
    """Those that belong to no finished run."""
    return [name for name in names if any(mark in name for mark in marks)]


def digests(folder: Path) -> dict[str, str]:
    """Every file below a folder; manifests, which hold a time, by presence only."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith(".lock"):
            data = b"" if path.name == "manifest.json" else path.read_bytes()
            found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found
