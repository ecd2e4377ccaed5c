"""The order of writes, syncs and renames: what a power cut would leave behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from .injection import Call
from .operations import OPERATIONS, World


def positions(calls: list[Call], kind: str, path: str) -> list[int]:
    return [i for i, call in enumerate(calls) if call.kind == kind and call.path == path]


@pytest.mark.parametrize("name", ["train", "train-path"])
def test_a_model_is_on_the_disk_before_it_has_its_name(world: World, name: str) -> None:
    done, calls = world.server.calls(world.copy(), OPERATIONS[name].arguments)
    assert done.code == 0
    (at,) = [i for i, call in enumerate(calls) if call.kind == "rename"]
    draft = calls[at].path
    files = {c.path for c in calls[:at] if c.kind == "write" and c.path.startswith(f"{draft}/")}
    assert {Path(f).name for f in files} == {
        "manifest.json", "model.safetensors", "optimizer.safetensors", "tokenizer.json",
    }  # fmt: skip
    for path in files:
        last = positions(calls, "write", path)[-1]
        assert any(last < i < at for i in positions(calls, "fsync", path)), path
    manifest = positions(calls, "open", f"{draft}/manifest.json")[0]
    assert all(positions(calls, "fsync", path)[0] < manifest for path in files - {
        f"{draft}/manifest.json"
    })  # fmt: skip
    synced = positions(calls, "fsync", draft)
    assert any(manifest < i < at for i in synced)
    assert any(i > at for i in positions(calls, "fsync", str(Path(draft).parent)))


@pytest.mark.parametrize(("name", "target"), [("predict", "out.csv"), ("pin", "store/m/pinned")])
def test_a_file_is_on_the_disk_before_it_has_its_name(world: World, name: str, target: str) -> None:
    folder = world.copy()
    done, calls = world.server.calls(folder, OPERATIONS[name].arguments)
    assert done.code == 0
    (at,) = [i for i, c in enumerate(calls) if c.kind == "rename" and c.other.endswith(target)]
    temporary = calls[at].path
    last = positions(calls, "write", temporary)[-1]
    assert any(last < i < at for i in positions(calls, "fsync", temporary))
    assert any(i > at for i in positions(calls, "fsync", str((folder / target).parent)))


def test_every_state_is_synced_before_older_ones_go(world: World) -> None:
    done, calls = world.server.calls(world.copy(), OPERATIONS["train-states"].arguments)
    assert done.code == 0
    renames = [i for i, c in enumerate(calls) if c.kind == "rename" and c.other.endswith(".state")]
    assert len(renames) >= 5
    for at in renames:
        last = positions(calls[:at], "write", calls[at].path)[-1]
        assert any(last < i < at for i in positions(calls, "fsync", calls[at].path))
    removed = [
        i for i, c in enumerate(calls)
        if c.kind == "unlink" and c.path.endswith(".state") and i < renames[-1]
    ]  # fmt: skip
    for at in removed:
        before = [i for i in renames if i < at]
        folder = str(Path(calls[before[-1]].other).parent)
        assert any(before[-1] < i < at for i in positions(calls, "fsync", folder))
