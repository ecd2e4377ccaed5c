from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.data.spool import Room, Spool
from nlpcli.errors import OutputFailed


@given(st.lists(st.lists(st.integers(0, 99), max_size=5), max_size=8), st.integers(0, 100))
def test_what_is_added_is_read_back(parts: list[list[int]], n_bytes: int) -> None:
    room = Room(n_bytes)  # some parts in memory, the others in a file
    spool = Spool(np.int32, room)
    for part in parts:
        spool.add(np.array(part, np.int32))
    numbers = [number for part in parts for number in part]
    assert len(spool) == len(numbers)
    for begin in range(0, len(numbers) + 1, 2):
        for end in (begin, begin + 1, begin + 4, len(numbers) + 9):
            assert spool.read(begin, end).tolist() == numbers[begin:end]
    if numbers:
        assert spool.whole().tolist() == numbers
        assert spool.read(0, 3).tolist() == numbers[:3]
    spool.clear()
    assert len(spool) == 0
    assert room.take(n_bytes)


def test_an_array_that_was_added_is_not_kept_by_a_slice_of_a_larger_one() -> None:
    spool = Spool(np.int32, Room(1000))
    many = np.zeros(100, np.int32)
    spool.add(many[:3])
    many[:] = 7
    assert spool.read(0, 3).tolist() == [0, 0, 0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("r+b") as full:
        monkeypatch.setattr("tempfile.TemporaryFile", lambda prefix: full)
        with pytest.raises(OutputFailed, match="No space left on device; temporary files hold"):
            Spool(np.int32, Room(0)).add(np.zeros(3, np.int32))


def test_a_folder_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputFailed, match="a temporary file: No such file"):
        Spool(np.int32, Room(0)).add(np.zeros(3, np.int32))
