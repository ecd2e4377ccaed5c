"""What a power cut may leave: a run's recorded calls, replayed up to a call with the unsynced lost.

A file keeps for certain what it held at its last fsync, a folder the names it had at its own; what
came later may be there, or not, each change by itself. A rename is there as a whole or not at all.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from .injection import Call
from .operations import Operation, World

ROOT = 0
EXCHANGE = 2
Tree = dict[str, bytes | None]
"""Content by path below the root; None for a folder."""


@dataclass
class Change:
    """Of names, each as folder, name and node; on the disk for certain after the call ``safe``."""

    at: int
    taken: list[tuple[int, str, int]]
    made: list[tuple[int, str, int]]
    safe: int | None = None


@dataclass
class Content:
    """What a file held from a call on; ``synced`` says that it was the disk's from then on."""

    at: int
    data: bytes
    synced: bool


@dataclass
class Disk:
    """The changes that a run made below a folder, as nodes with a number each."""

    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    files: dict[int, list[Content]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    length: int = 0
    _before: dict[int, dict[str, int]] = field(default_factory=dict)

    @staticmethod
    def recorded(seed: Path, place: Path, calls: list[Call]) -> Disk:
        """``seed``: what was at ``place`` before the calls, all of it on the disk."""
        disk = Disk()
        for path in sorted(seed.rglob("*")):
            folder, name = disk._parent(str(path.relative_to(seed)))
            disk.folders[folder][name] = disk._node(None if path.is_dir() else path.read_bytes())
        disk._before = {node: dict(names) for node, names in disk.folders.items()}
        for call in calls:
            disk.length += 1
            disk._replay(call, [os.path.relpath(p, place) for p in (call.path, call.other) if p])
        return disk

    def _node(self, data: bytes | None) -> int:
        node = len(self.folders) + len(self.files)
        if data is None:
            self.folders[node] = {}
        else:
            self.files[node] = [Content(self.length, data, self.length == 0)]
        return node

    def _parent(self, path: str) -> tuple[int, str]:
        *folders, name = path.split("/")
        node = ROOT
        for folder in folders:
            node = self.folders[node][folder]
        return node, name

    def _find(self, path: str) -> int | None:
        """None for what has no name any more, as an open file that was removed."""
        if path == ".":
            return ROOT
        try:
            folder, name = self._parent(path)
        except KeyError:
            return None
        return self.folders[folder].get(name)

    def _replay(self, call: Call, paths: list[str]) -> None:
        """The call's effect, if it has one: what exists is not made again."""
        node = self._find(paths[0])
        makes = call.kind == "mkdir" or (call.kind == "open" and call.size & os.O_CREAT)
        if makes and node is None:
            folder, name = self._parent(paths[0])
            node = self._node(None if call.kind == "mkdir" else b"")
            self._change([], [(folder, name, node)])
        elif call.kind == "open" and call.size & os.O_TRUNC and node is not None:
            self._hold(node, b"")
        elif node is None:
            return
        elif call.kind == "write" and not paths[0].endswith(".lock"):
            assert call.size == len(call.data), "written at a place of its own"
            self._hold(node, self.files[node][-1].data + call.data)
        elif call.kind == "truncate":
            self._hold(node, self.files[node][-1].data[: call.size])
        elif call.kind == "fsync":
            self._sync(node)
        elif call.kind == "unlink" and not self.folders.get(node):
            self._change([(*self._parent(paths[0]), node)], [])
        elif call.kind == "rename":
            self._rename(*paths, exchanged=call.size == EXCHANGE)

    def _rename(self, one: str, two: str, exchanged: bool) -> None:
        here, there = self._parent(one), self._parent(two)
        node, other = self._find(one), self._find(two)
        assert node is not None
        if exchanged:
            assert other is not None
            self._change([(*here, node), (*there, other)], [(*there, node), (*here, other)])
        else:
            taken = [(*here, node)] + ([(*there, other)] if other is not None else [])
            self._change(taken, [(*there, node)])

    def _change(self, taken: list[tuple[int, str, int]], made: list[tuple[int, str, int]]) -> None:
        change = Change(self.length, taken, made)
        self.changes.append(change)
        _apply(self.folders, change)

    def _hold(self, node: int, data: bytes) -> None:
        self.files[node].append(Content(self.length, data, False))

    def _sync(self, node: int) -> None:
        if node in self.files:
            self.files[node].append(Content(self.length, self.files[node][-1].data, True))
        for change in self.changes:
            touched = {folder for folder, _, _ in (*change.taken, *change.made)}
            if change.safe is None and node in touched:
                change.safe = self.length

    def after_cut(self, number: int, drawn: random.Random | None, names: bool = False) -> Tree:
        """What is there when the power goes after ``number`` calls.

        Without ``drawn`` nothing unsynced is, but for the ``names`` if asked for; else each
        unsynced change by chance.
        """
        folders = {node: dict(self._before.get(node, {})) for node in self.folders}
        for change in self.changes:
            if change.at > number:
                break
            safe = change.safe is not None and change.safe <= number
            if safe or names or (drawn is not None and drawn.random() < 0.5):
                _apply(folders, change)
        contents = {
            node: _content([c for c in history if c.at <= number], drawn)
            for node, history in self.files.items()
            if history[0].at <= number
        }
        return dict(self._walk(folders, contents, ROOT, ""))

    def _walk(
        self, folders: dict[int, dict[str, int]], contents: dict[int, bytes], at: int, path: str
    ) -> Iterator[tuple[str, bytes | None]]:
        for name, node in folders[at].items():
            below = f"{path}{name}"
            yield below, contents.get(node)
            if node in folders:
                yield from self._walk(folders, contents, node, f"{below}/")


def _apply(folders: dict[int, dict[str, int]], change: Change) -> None:
    """Nothing happens where what it takes is not there: an earlier change was lost."""
    if any(folders[f].get(n) != node for f, n, node in change.taken):
        return
    for folder, name, _ in change.taken:
        del folders[folder][name]
    for folder, name, node in change.made:
        folders[folder][name] = node


def _content(history: list[Content], drawn: random.Random | None) -> bytes:
    """What was synced last; by chance also what came later, a part of it, or zeros of its size."""
    sure = next((c.data for c in reversed(history) if c.synced), b"")
    last = history[-1]
    if last.synced or drawn is None:
        return sure
    half = last.data[: len(last.data) // 2]
    return drawn.choice((sure, last.data, half, bytes(len(last.data))))


def distinct_cuts(disk: Disk, randoms: int, seed: int) -> Iterator[tuple[int, Tree]]:
    """After every call: nothing unsynced, only the names, and ``randoms`` by chance; each once."""
    drawn = random.Random(seed)
    seen: set[bytes] = set()
    for number in range(disk.length + 1):
        trees = [disk.after_cut(number, None), disk.after_cut(number, None, names=True)]
        trees += [disk.after_cut(number, drawn) for _ in range(randoms)]
        for tree in trees:
            mark = sha256(repr(sorted(tree.items())).encode()).digest()
            if mark not in seen:
                seen.add(mark)
                yield number, tree


def lay_out(tree: Tree, target: Path) -> Path:
    """The tree as files."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name, data in tree.items():
        path = target / name
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data)
    return target


def cut_everywhere(
    world: World, operation: Operation, folder: Path, randoms: int, run_every: int
) -> dict[str, object]:
    """Cuts the power after each call, laid out in ``folder``; counts states, lists what was wrong.

    In every ``run_every``-th state the command runs again.
    """
    place = world.copy()
    done, calls = world.server.calls(place, operation.arguments)
    if done.code:
        raise RuntimeError(done.err)
    wrong, tried, again = [], 0, 0
    for number, tree in distinct_cuts(Disk.recorded(world.seed, place, calls), randoms, seed=1):
        lay_out(tree, folder)
        tried += 1
        problem = world.check_readers(folder, operation)
        if not problem and tried % run_every == 0:
            again += 1
            problem = world.check_next_run(folder, operation)
        if problem:
            wrong.append(f"{operation.name} after call {number} of {len(calls)}: {problem}")
    return {"states": tried, "run_again": again, "wrong": wrong}
