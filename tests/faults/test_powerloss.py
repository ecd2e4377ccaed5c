"""The power goes after any call: what is on the disk then is the old state or the new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from .operations import OPERATIONS, World
from .powerloss import Disk, cut_everywhere, lay_out


@pytest.mark.parametrize("name", ["predict", "pin", "prune", "train", "train-path"])
def test_a_power_cut_after_any_call(world: World, tmp_path: Path, name: str) -> None:
    found = cut_everywhere(world, OPERATIONS[name], tmp_path / "cut", randoms=2, run_every=20)
    assert found["wrong"] == []
    assert found["states"] >= 5  # type: ignore[operator]


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_power_cut_after_any_call_at_length(world: World, tmp_path: Path, name: str) -> None:
    found = cut_everywhere(world, OPERATIONS[name], tmp_path / "cut", randoms=12, run_every=1)
    assert found["wrong"] == []


@pytest.mark.parametrize("name", [n for n in OPERATIONS if n != "train-states"])
def test_what_ended_well_is_on_the_disk(world: World, tmp_path: Path, name: str) -> None:
    """With exit 0, nothing that is still unsynced is part of the result."""
    operation = OPERATIONS[name]
    place = world.copy()
    done, calls = world.server.calls(place, operation.arguments)
    assert done.code == 0, done.err
    disk = Disk.recorded(world.seed, place, calls)
    folder = lay_out(disk.after_cut(disk.length, None), tmp_path / "cut")
    assert world.check_readers(folder, operation) is None
    kept = {"store/m/pinned", "out.csv"}
    wanted = {n: d for n, d in world.wanted(operation).items() if n in kept or "/m/" in n}
    there = {p for p in folder.rglob("*") if p.is_file()}
    assert {str(p.relative_to(folder)) for p in there} >= set(wanted)
    for name in kept & set(wanted):
        assert (folder / name).read_bytes() == (world.undisturbed(operation) / name).read_bytes()
    if operation.name == "train-path":
        assert world.newest(folder, operation) != world.plain


def test_the_replay_ends_where_the_run_ended(world: World, tmp_path: Path) -> None:
    """All changes applied, the replayed disk is the real one; so nothing was overlooked."""
    for operation in OPERATIONS.values():
        place = world.copy()
        _, calls = world.server.calls(place, operation.arguments)
        disk = Disk.recorded(world.seed, place, calls)
        final = disk.after_cut(disk.length, None, names=True)
        there = {
            str(p.relative_to(place)): p.read_bytes() if p.is_file() else None
            for p in place.rglob("*")
        }
        assert set(final) == set(there), operation.name
        for path, data in there.items():
            if not path.endswith(".lock"):
                assert final[path] == data, (operation.name, path)
