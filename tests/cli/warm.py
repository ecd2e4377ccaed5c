"""Runs of the program that share one start: a server has imported it all and forks a child a run.

Importing takes ten times as long as most runs under test. The child is a process like any other,
with its own streams, environment, folder and exit code. What it does not show is what happens
before ``main``: starts, closed streams, signals and hash seeds need the installed program.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import random
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

REQUEST = 1 << 17  # bytes; the longest message a socket takes by default is a little longer


class Server:
    """Forks a child a run, one run at a time."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())], env=environment,
                stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
            )  # fmt: skip
        self._turn = threading.Lock()

    def run(
        self, arguments: list[str], stdin: bytes, environment: dict[str, str], folder: Path,
        timeout: float,
    ) -> subprocess.CompletedProcess[bytes]:  # fmt: skip
        """As ``subprocess.run`` with ``capture_output``; a run that takes too long is killed."""
        request = {"argv": arguments, "environment": environment, "folder": str(folder)}
        (given, feed), (out, out_end), (err, err_end) = os.pipe(), os.pipe(), os.pipe()
        found: dict[int, bytes] = {}
        threads = [
            threading.Thread(target=_feed, args=(feed, stdin)),
            *(threading.Thread(target=_drain, args=(end, found)) for end in (out, err)),
        ]
        with self._turn:
            ends = [given, out_end, err_end]
            socket.send_fds(self._socket, [json.dumps(request).encode()], ends)
            for end in ends:
                os.close(end)
            for thread in threads:
                thread.start()
            child = json.loads(self._socket.recv(REQUEST))
            watchdog = threading.Timer(timeout, os.kill, (child, signal.SIGKILL))
            watchdog.start()
            try:
                status = json.loads(self._socket.recv(REQUEST))
            finally:  # an interrupt too
                watchdog.cancel()
        for thread in threads:
            thread.join()
        code = os.waitstatus_to_exitcode(status)
        return subprocess.CompletedProcess(arguments, code, found[out], found[err])

    def close(self) -> None:
        """Ends the server."""
        self._socket.close()
        self._process.wait(10)


def _feed(end: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(end, "wb", buffering=0) as stream:
        rest = memoryview(data)
        while rest:
            rest = rest[stream.write(rest) :]


def _drain(end: int, found: dict[int, bytes]) -> None:
    with open(end, "rb") as stream:
        found[end] = stream.read()


def _import_all() -> None:
    from nlpcli.shell import machine

    machine.prepare()  # before numpy is loaded, as in a run
    import nlpcli

    for module in pkgutil.walk_packages(nlpcli.__path__, "nlpcli."):
        importlib.import_module(module.name)
    from nlpcli.commands.app import build_command

    # what Typer loads when it parses
    build_command().make_context("nlpcli", ["models", "list", "--store", os.devnull]).close()
    gc.freeze()


def _serve(channel: socket.socket) -> None:
    _import_all()
    while True:
        request, ends, _, _ = socket.recv_fds(channel, REQUEST, 3)
        if not request:
            return
        child = os.fork()
        if child == 0:
            channel.close()
            _run(json.loads(request), ends)
        for end in ends:
            os.close(end)
        channel.send(json.dumps(child).encode())
        _, status = os.waitpid(child, 0)
        channel.send(json.dumps(status).encode())


def _run(request: dict[str, Any], ends: list[int]) -> None:
    """What an interpreter does before it calls ``main``, then that."""
    import numpy as np

    from nlpcli.__main__ import main

    try:
        for number, end in enumerate(ends):
            os.dup2(end, number)
            os.close(end)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.stdin, sys.stdout = _stream(0, "rb"), _stream(1, "wb")
        sys.stderr = _stream(2, "wb", "backslashreplace", line_buffering=True)
        random.seed()
        np.random.seed()
        sys.argv = request["argv"]
        main()
    finally:
        os._exit(99)


def _stream(
    number: int, mode: str, errors: str = "surrogateescape", line_buffering: bool = False
) -> io.TextIOWrapper:
    binary = open(number, mode, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(binary, "utf-8", errors, line_buffering=line_buffering)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
