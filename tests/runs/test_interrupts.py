"""Signals: at once, deferred, pending, and once the work is done."""

from __future__ import annotations

import os
import subprocess
import sys

BEGIN = """
import os, signal, sys, time
from nlpcli.runs import interrupts
def tell(line): os.write(2, (line + "\\n").encode())
interrupts.install(tell, os._exit)
me = os.getpid()
"""


def run(body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BEGIN + body],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ,
    )


def test_an_exception_that_cleans_up() -> None:
    done = run("""
try:
    os.kill(me, signal.SIGTERM)
    time.sleep(5)
except interrupts.Interrupted as stop:
    print("cleaned", stop.exit_code)
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "cleaned 143\n", "")


def test_it_waits_for_the_end_of_the_outermost_block() -> None:
    done = run("""
try:
    with interrupts.deferred():
        with interrupts.deferred():
            assert not interrupts.pending()
            os.kill(me, signal.SIGINT)
            assert interrupts.pending()
        print("inner done")
    print("never")
except interrupts.Interrupted as stop:
    print(stop.exit_code, interrupts.pending())
""")
    assert done.stdout == "inner done\n130 False\n"
    assert done.stderr == "stopping: saving where it stands; once more to leave at once\n"


def test_the_second_one_leaves_at_once() -> None:
    done = run("""
with interrupts.deferred():
    os.kill(me, signal.SIGTERM)
    os.kill(me, signal.SIGTERM)
    print("never", flush=True)
""")
    assert (done.returncode, done.stdout) == (143, "")


def test_what_is_complete_is_not_undone() -> None:
    done = run("""
with interrupts.deferred():
    os.kill(me, signal.SIGTERM)
    interrupts.complete()
    interrupts.complete()
with interrupts.deferred():
    os.kill(me, signal.SIGINT)
print("the path", flush=True)
os.kill(me, signal.SIGINT)
print("never", flush=True)
""")
    assert (done.returncode, done.stdout) == (130, "the path\n")
    assert done.stderr.splitlines()[1].startswith("stopping: the model is saved, ending")


def test_an_exception_that_was_swallowed_does_not_keep_the_process() -> None:
    done = run("""
interrupts.PATIENCE = 0.2
try:
    os.kill(me, signal.SIGTERM)
    time.sleep(1)
except BaseException:
    pass
time.sleep(30)
""")
    assert done.returncode == 143


def test_a_signal_that_the_parent_ignores_stays_ignored() -> None:
    done = subprocess.run(
        ["sh", "-c", "trap '' HUP; exec \"$0\" -c \"$1\"", sys.executable,
         BEGIN + "os.kill(me, signal.SIGHUP); print('alive')"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "alive\n"
