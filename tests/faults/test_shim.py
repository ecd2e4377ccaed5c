"""The shim itself: it sees every way to change a file, once, and from all threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .injection import build_shim

EVERY_CALL = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
assert libc.shim_arm(os.getcwd().encode(), 0, 0, 0, b"", sys.argv[1].encode()) is not None
here = os.open(".", os.O_RDONLY)
one = os.open("one", os.O_WRONLY | os.O_CREAT)
os.write(one, b"abc")
os.writev(one, [b"d", b"e"])
os.pwrite(one, b"x", 0)
os.pwritev(one, [b"y"], 1)
os.ftruncate(one, 4)
os.fchmod(one, 0o600)
os.fsync(one)
os.fdatasync(one)
os.close(one)
two = os.open("two", os.O_RDWR | os.O_CREAT, dir_fd=here)
os.sendfile(two, os.open("one", os.O_RDONLY), 0, 2)
os.copy_file_range(os.open("one", os.O_RDONLY), two, 2)
os.close(two)
os.rename("one", "three")
os.rename("three", "four", src_dir_fd=here, dst_dir_fd=here)
libc.renameat2(-100, b"four", -100, b"two", 2)
os.mkdir("a")
os.mkdir("b", dir_fd=here)
os.chmod("a", 0o700)
os.unlink("two")
os.unlink("four", dir_fd=here)
os.rmdir("a")
os.rmdir("b", dir_fd=here)
os.close(here)
with open("/dev/null", "w") as elsewhere:
    elsewhere.write("x")
"""
KINDS = [
    "open", "write", "write", "write", "write", "truncate", "chmod", "fsync", "fsync", "close",
    "open", "write", "write", "close", "rename", "rename", "rename", "mkdir", "mkdir", "chmod",
    "unlink", "unlink", "unlink", "unlink",
]  # fmt: skip
THREADS = """
import ctypes, os, sys, threading
libc = ctypes.CDLL(None)
libc.shim_arm(os.getcwd().encode(), int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]),
    b",write,", b"")
def work(n):
    handle = os.open(f"t{n}", os.O_WRONLY | os.O_CREAT)
    for _ in range(200):
        try:
            os.write(handle, b"x")
        except OSError as error:
            print(error.errno, flush=True)
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(libc.shim_count())
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = build_shim(tmp_path_factory.mktemp("shim"))
    if built is None:
        pytest.skip("needs a C compiler (cc)")
    return built


def under(shim: Path, folder: Path, code: str, *arguments: object) -> tuple[int, str]:
    """Runs Python with the shim, in a folder; its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, *map(str, arguments)], cwd=folder, text=True,
        env={"PATH": os.environ["PATH"], "LD_PRELOAD": str(shim)}, stdout=subprocess.PIPE,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_every_way_to_change_a_file_is_seen_once(shim: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    log = tmp_path / "log"
    assert under(shim, place, EVERY_CALL, log) == (0, "")
    lines = [line.split("\t") for line in log.read_text().splitlines()]
    assert [line[1] for line in lines] == KINDS
    assert [int(line[0]) for line in lines] == list(range(1, len(KINDS) + 1))
    paths = {path for line in lines for path in line[2:4] if path}
    assert paths == {f"{place}/{name}" for name in ("one", "two", "three", "four", "a", "b")}
    assert (tmp_path / "log.data").read_bytes() == b"abc"


def test_one_call_of_many_threads_fails(shim: Path, tmp_path: Path) -> None:
    assert under(shim, tmp_path, THREADS, 3, 1000, 28) == (0, "28\n1600\n")
    written = json.dumps(sorted(path.stat().st_size for path in tmp_path.iterdir()))
    assert written == json.dumps([199, *[200] * 7])


@pytest.mark.parametrize(("mode", "size"), [(1, 4), (2, 5)])
def test_it_kills_before_or_after_the_call(
    shim: Path, tmp_path: Path, mode: int, size: int
) -> None:
    code = THREADS.replace("range(8)", "range(1)")
    assert under(shim, tmp_path, code, mode, 5, 0) == (-9, "")
    assert (tmp_path / "t0").stat().st_size == size
