"""AtomicFile: whole or not at all, and no leftovers."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from nlpcli.errors import CannotCreate, OutputFailed
from nlpcli.store.atomic import AtomicFile, write_file


def test_the_target_appears_whole(tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "out") as stream:
        stream.write(b"new")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_mode_is_by_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with AtomicFile(tmp_path / "out"):
            pass
        write_file(tmp_path / "plain", b"x")
    finally:
        os.umask(before)
    for name in ("out", "plain"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), BrokenPipeError()])
def test_an_error_inside_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "out").write_bytes(b"old")
    with pytest.raises(type(error)), AtomicFile(tmp_path / "out") as stream:
        stream.write(b"new")
        raise error
    assert (tmp_path / "out").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failing_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "out").write_bytes(b"old")
    monkeypatch.setattr(os, call, fails)
    monkeypatch.setattr("nlpcli.store.atomic.exchange", lambda *_: False)
    with (
        pytest.raises(OutputFailed, match=os.strerror(number)),
        AtomicFile(tmp_path / "out") as stream,
    ):
        stream.write(b"new")
    assert (tmp_path / "out").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("old", [b"old", None])
def test_a_name_that_cannot_be_made_durable_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes | None
) -> None:
    if old is not None:
        (tmp_path / "out").write_bytes(old)

    def fails(folder: Path) -> None:
        assert (tmp_path / "out").read_bytes() == b"new"
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("nlpcli.store.atomic.fsync_folder", fails)
    with pytest.raises(OutputFailed), AtomicFile(tmp_path / "out") as stream:
        stream.write(b"new")
    assert os.listdir(tmp_path) == (["out"] if old is not None else [])
    assert old is None or (tmp_path / "out").read_bytes() == old


def test_a_full_disk_while_writing(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    with (
        pytest.raises(OutputFailed, match="No space left"),
        AtomicFile(tmp_path / "out"),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")
    assert os.listdir(tmp_path) == ["out"]


def test_an_error_of_another_file_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), AtomicFile(tmp_path / "out"):
        (tmp_path / "input").read_bytes()
    assert os.listdir(tmp_path) == []


def test_a_stream_closed_inside_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError), AtomicFile(tmp_path / "out") as stream:
        stream.close()
    assert os.listdir(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    places = [
        tmp_path,
        tmp_path / "none" / "out",
        tmp_path / "file" / "out",
        tmp_path / "pipe",
        tmp_path / ("x" * 300),
        Path("/dev/null"),
        Path("/proc/out"),
    ]
    for place in places:
        with pytest.raises(CannotCreate), AtomicFile(place):
            pytest.fail("entered")
    assert sorted(os.listdir(tmp_path)) == ["file", "pipe"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with AtomicFile(tmp_path / "link") as stream:
        stream.write(b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    with AtomicFile(tmp_path / ("名" * 85)) as stream:
        stream.write(b"new")
    assert len(os.listdir(tmp_path)) == 1


def test_write_file_names_the_bytes_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputFailed, match=r"No space left.*; 1,000 bytes needed"):
        write_file(tmp_path / "x", b"x" * 1000)
