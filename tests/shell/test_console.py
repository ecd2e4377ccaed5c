"""The file of rejected rows: what is in it, however a run ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nlpcli.errors import CannotCreate, DataError, OutputFailed
from nlpcli.shell.console import Console, RejectFile

HEADER = "line,reason,row\n"


def test_rows_are_in_the_file_at_once_and_told_of_on_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rejects.csv"
    with pytest.raises(DataError), RejectFile(path, Console()) as reject:
        reject(3, "bad, that is", 'a "b"')
        assert path.read_text() == HEADER + '3,"bad, that is","a ""b"""\n'
        raise DataError("fatal")
    assert capsys.readouterr().err == "warning: 1 bad rows skipped\n"
    with pytest.raises(BrokenPipeError), RejectFile(path, Console()) as reject:
        reject(4, "bad", "")
        raise BrokenPipeError
    assert (path.read_text(), capsys.readouterr().err) == (HEADER + "4,bad,\n", "")


def test_a_run_that_does_not_begin_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    path.write_text("of last night, which was long")
    with pytest.raises(DataError), RejectFile(path, Console()):
        raise DataError("no such column")
    assert path.read_text() == "of last night, which was long"
    with RejectFile(path, Console()) as reject:
        reject.close()
        reject.close()
    assert path.read_text() == HEADER
    with pytest.raises(CannotCreate):
        RejectFile(tmp_path, Console())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputFailed, match="--rejects /dev/full: No space left"),
        RejectFile(Path("/dev/full"), Console()) as reject,
    ):
        reject(1, "bad", "row")
    with RejectFile(Path(os.devnull), Console()) as reject:
        reject(1, "bad", "row")
