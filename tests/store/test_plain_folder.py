"""Folders for other programs: whole or not there, and nobody's other files are taken away."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from nlpcli.errors import CannotCreate, OutputFailed
from nlpcli.store import plain_folder
from nlpcli.store.plain_folder import write_plain_folder

FILES = {"config.json": b"{}", "weights": b"1234"}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_is_written_and_replaced(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    write_plain_folder(target, FILES, force=False)
    assert content(target) == FILES
    with pytest.raises(CannotCreate, match="exists already"):
        write_plain_folder(target, {"config.json": b"2"}, force=False)
    write_plain_folder(target, {**FILES, "weights": b"5"}, force=True)
    assert content(target) == {**FILES, "weights": b"5"}
    assert os.listdir(target.parent) == ["out"]
    assert target.stat().st_mode & 0o700 == 0o700


@pytest.mark.parametrize("swaps", [True, False])
def test_without_a_swap_it_is_replaced_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swaps: bool
) -> None:
    if not swaps:
        monkeypatch.setattr(plain_folder, "exchange", lambda one, other: False)
    target = tmp_path / "out"
    write_plain_folder(target, FILES, force=True)
    write_plain_folder(target, {**FILES, "weights": b"5"}, force=True)
    assert content(target) == {**FILES, "weights": b"5"}
    assert os.listdir(tmp_path) == ["out"]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "notes").write_bytes(b"mine")
    with pytest.raises(CannotCreate, match="holds notes too, so it is not replaced"):
        write_plain_folder(target, FILES, force=True)
    assert content(target) == {"notes": b"mine"}
    for other in (target / "notes", tmp_path / "link"):
        if other.name == "link":
            other.symlink_to(target)
        with pytest.raises(CannotCreate, match="is no folder"):
            write_plain_folder(other, FILES, force=True)
    with pytest.raises(CannotCreate):
        write_plain_folder(target / "notes" / "below", FILES, force=False)


@pytest.mark.parametrize("at", [1, 2])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    target = tmp_path / "out"
    write_plain_folder(target, FILES, force=False)

    calls = []

    def full(path: Path) -> None:
        calls.append(path)
        if len(calls) == at:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(plain_folder, "fsync_folder", full)
    with pytest.raises(OutputFailed, match="No space left"):
        write_plain_folder(target, {**FILES, "weights": b"5"}, force=True)
    assert len(calls) == at
    assert content(target) == FILES and os.listdir(tmp_path) == ["out"]


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    left = tmp_path / ".out.tmp-abcd_123"
    left.mkdir()
    (left / "weights").write_bytes(b"half")
    write_plain_folder(tmp_path / "out", FILES, force=False)
    assert os.listdir(tmp_path) == ["out"]
