"""Runs nlpcli with one of its system calls failing, or the process killed at it.

A server process imports everything once and forks a child a run, so that a run takes a tenth of a
second. The child loads nothing new: the shim is preloaded into the server, asleep until armed.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RECORD, KILL_BEFORE, KILL_AFTER, FAIL, SHORT = range(5)
ALL = ""
"""Every kind of call; else a list as in ``,write,fsync,``."""


@dataclass(frozen=True)
class Fault:
    """What is done at the ``number``-th call of one of ``kinds`` below the folder of the run.

    ``error``: the errno; of a kill, the signal in place of SIGKILL.
    """

    mode: int = RECORD
    number: int = 0
    error: int = 0
    kinds: str = ALL
    log: str = ""


@dataclass(frozen=True)
class Call:
    """One logged call: kind, path (of a rename: from, and ``other`` to).

    ``size``: bytes to write (-1: at a place of its own), length to cut to, flags, or mode bits.
    """

    kind: str
    path: str
    other: str
    size: int
    data: bytes = b""


@dataclass(frozen=True)
class Done:
    """A finished run; ``code`` is minus the signal's number after a death by signal."""

    code: int
    out: str
    err: str


def build_shim(folder: Path) -> Path | None:
    """Compiles the shim; None where there is no C compiler."""
    target = folder / "shim.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(target), str(HERE / "shim.c"), "-ldl"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    if done.returncode:
        raise RuntimeError(done.stderr)
    return target


class Server:
    """Forks a child a run; close it at the end."""

    def __init__(self, shim: Path, scratch: Path) -> None:
        environment = {
            "PATH": os.environ["PATH"], "LC_ALL": "C", "OMP_NUM_THREADS": "1",
            "LD_PRELOAD": str(shim),
            **{k: v for k, v in os.environ.items() if k == "PYTHONPATH"},
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "injection.py")], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=environment, text=True,
        )  # fmt: skip
        self._scratch = scratch
        self._scratch.mkdir(exist_ok=True)

    def run(
        self,
        folder: Path,
        arguments: list[str],
        fault: Fault | None = None,
        kill_after: float | None = None,
    ) -> Done:
        """Runs nlpcli in a folder, which is also where faults are looked for.

        ``kill_after``: seconds until SIGKILL.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        request = {
            "folder": str(folder), "arguments": arguments, "scratch": str(self._scratch),
            "fault": None if fault is None else fault.__dict__, "kill_after": kill_after,
        }  # fmt: skip
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        status = json.loads(self._process.stdout.readline())["status"]
        texts = [(self._scratch / name).read_text() for name in ("out", "err")]
        return Done(os.waitstatus_to_exitcode(status), *texts)

    def calls(
        self, folder: Path, arguments: list[str], kinds: str = ALL
    ) -> tuple[Done, list[Call]]:
        """A run without a fault, and every call it made."""
        log, written = self._scratch / "log", self._scratch / "log.data"
        for path in (log, written):
            path.unlink(missing_ok=True)
        done = self.run(folder, arguments, Fault(kinds=kinds, log=str(log)))
        lines = log.read_text().splitlines() if log.exists() else []
        data = written.read_bytes() if log.exists() else b""
        found, at = [], 0
        for line in lines:
            _, kind, path, other, size = line.split("\t")
            length = max(0, int(size)) if kind == "write" else 0
            found.append(Call(kind, path, other, int(size), data[at : at + length]))
            at += length
        if at != len(data):
            raise RuntimeError("a write came short while it was recorded")
        return done, found

    def close(self) -> None:
        """Ends the server."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def _import_all() -> None:
    """All that a run would import, some of it only when a command is invoked."""
    import torch  # noqa: F401

    import nlpcli.__main__
    import nlpcli.runs.fitting
    import nlpcli.runs.running
    import nlpcli.store.classifier
    import nlpcli.training.fit  # noqa: F401
    from nlpcli.commands.app import build_command

    command = build_command()
    with (
        contextlib.redirect_stdout(io.StringIO()),
        command.make_context("nlpcli", ["models", "list", "--store", os.devnull]) as context,
    ):
        command.invoke(context)
    gc.freeze()


def _serve() -> None:
    _import_all()
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(request)
        if request["kill_after"] is not None:
            time.sleep(request["kill_after"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps({"status": status}) + "\n")
        sys.stdout.flush()


def _run(request: dict[str, Any]) -> None:
    from nlpcli.__main__ import main

    scratch = Path(request["scratch"])
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number, name in ((1, "out"), (2, "err")):
        target = os.open(scratch / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(target, number)
    os.chdir(request["folder"])
    os.environ["NLPCLI_STORE"] = f"{request['folder']}/store"
    os.environ.pop("LD_PRELOAD", None)
    sys.argv = ["nlpcli", *request["arguments"]]
    fault = request["fault"]
    if fault is not None:
        shim = ctypes.CDLL(None)
        shim.shim_arm(
            request["folder"].encode(), fault["mode"], fault["number"], fault["error"],
            fault["kinds"].encode(), fault["log"].encode(),
        )  # fmt: skip
    main()


if __name__ == "__main__":
    _serve()
