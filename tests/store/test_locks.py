"""One writer a name, and no stale locks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nlpcli.errors import Busy, CannotCreate
from nlpcli.store.locks import NameLock

HOLD = """
import sys, time
from pathlib import Path
from nlpcli.store.locks import NameLock
lock = NameLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def hold(path: Path, seconds: float) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None and child.stdout.readline() == b"held\n"
    return child


def test_busy_names_the_holder_and_a_dead_one_is_no_holder(tmp_path: Path) -> None:
    path = tmp_path / ".spam.lock"
    with hold(path, 60) as child:
        with pytest.raises(Busy, match=f"^spam: process {child.pid} is writing") as caught:
            NameLock(path).acquire()
        assert caught.value.hint == "--wait" and caught.value.exit_code == 75
        child.send_signal(signal.SIGKILL)
        child.wait()
        lock = NameLock(path)
        lock.acquire()
        lock.release()


def test_wait(tmp_path: Path) -> None:
    path = tmp_path / ".spam.lock"
    with hold(path, 0.3):
        lock = NameLock(path)
        lock.acquire(wait=True)
        assert path.read_text() == f"{os.getpid()}\n"
        lock.release()
        lock.release()


def test_the_second_in_one_process_is_busy_too(tmp_path: Path) -> None:
    one, other = NameLock(tmp_path / ".a.lock"), NameLock(tmp_path / ".a.lock")
    one.acquire()
    with pytest.raises(Busy, match=f"process {os.getpid()} "):
        other.acquire()
    NameLock(tmp_path / ".b.lock").acquire()
    one.release()
    other.acquire()
    other.release()


FORK = """
import os, sys, time
from pathlib import Path
from nlpcli.store.locks import NameLock
lock = NameLock(Path(sys.argv[1]))
lock.acquire()
if os.fork() == 0:
    time.sleep(3)
"""


def test_a_forked_worker_does_not_keep_it(tmp_path: Path) -> None:
    path = tmp_path / ".spam.lock"
    subprocess.run([sys.executable, "-c", FORK, str(path)], stdout=subprocess.DEVNULL, check=True)
    time.sleep(0.2)
    lock = NameLock(path)
    lock.acquire()
    lock.release()


def test_a_removed_lock_file_is_not_mistaken_for_the_lock(tmp_path: Path) -> None:
    path = tmp_path / ".spam.lock"
    with hold(path, 0.5):
        waiting = subprocess.Popen(
            [sys.executable, "-c", HOLD.replace("acquire()", "acquire(wait=True)"), path, "1"],
            stdout=subprocess.PIPE,
        )
        time.sleep(0.25)
        path.unlink()
        assert waiting.stdout is not None and waiting.stdout.readline() == b"held\n"
        with pytest.raises(Busy, match=str(waiting.pid)):
            NameLock(path).acquire()
        waiting.kill()
        waiting.communicate()


def test_no_place_for_it(tmp_path: Path) -> None:
    with pytest.raises(CannotCreate, match="No such file"):
        NameLock(tmp_path / "none" / ".a.lock").acquire()
    os.mkfifo(tmp_path / ".p.lock")
    (tmp_path / ".l.lock").symlink_to("elsewhere")
    with pytest.raises(CannotCreate):
        NameLock(tmp_path / ".l.lock").acquire()
    assert not (tmp_path / "elsewhere").exists()
