"""What a person sees: messages and progress on stderr, plain off a terminal."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Console:
    """Messages to stderr; a live line on a terminal, else one plain line every ``interval`` s.

    NO_COLOR, TERM=dumb and ``no_color`` make a terminal a plain one. A closed stderr never
    stops the work.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        no_color: bool = False,
        interval: float = 10,
    ) -> None:
        self.quiet, self.verbose = quiet, verbose and not quiet
        plain = no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self.live = not quiet and not plain and sys.stderr.isatty()
        self._interval = interval
        self._shown = time.monotonic()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def say(self, message: str) -> None:
        """One plain line, unless quiet."""
        if self.quiet:
            return
        try:
            if self._progress is not None:
                self._progress.console.print(message, markup=False, highlight=False)
            else:
                sys.stderr.write(message + "\n")
                sys.stderr.flush()
        except OSError:
            self.quiet = True

    def detail(self, message: str) -> None:
        """One plain line that only --verbose shows."""
        if self.verbose:
            self.say(message)

    def warn(self, message: str) -> None:
        """A warning line."""
        self.say(f"warning: {message}")

    def __enter__(self) -> Self:
        if self.live:
            from rich.console import Console as RichConsole
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            console = RichConsole(stderr=True)
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
                console=console,
                refresh_per_second=10,
                transient=True,
            )
            self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._task = None

    def progress(self, what: str, done: int, total: int | None, note: str = "") -> None:
        """Moves the live line, or writes a plain one when the last is ``interval`` s old."""
        if self._progress is not None:
            if self._task is None:
                self._task = self._progress.add_task(what, total=total, note=note)
            self._progress.update(
                self._task, completed=done, total=total, description=what, note=note
            )
        elif time.monotonic() - self._shown >= self._interval:
            self._shown = time.monotonic()
            self.say(f"{what}: {done:,}{f' of {total:,}' if total else ''}  {note}".rstrip())


class RejectFile:
    """Writes skipped rows as CSV: line, reason, row; counts them. No path: only counts.

    A file that was there is emptied by the first row, or by ``close``: a run that does not come so
    far leaves it as it was. Each row is in the file at once. In a ``with``, the count is told and
    the file closed on errors too. Raises CannotCreate, at once, and OutputFailed.
    """

    def __init__(self, path: Path | None, console: Console) -> None:
        from nlpcli.errors import CannotCreate

        self.count, self._console, self._path = 0, console, path
        self._open = True
        self._stream: TextIO | None = None
        self._write: Callable[[list[str]], object] | None = None
        if path is None:
            return
        try:
            self._stream = os.fdopen(
                os.open(path, os.O_WRONLY | os.O_CREAT, 0o666),
                "w", encoding="utf-8", newline="", errors="replace", buffering=1,
            )  # fmt: skip
        except OSError as error:
            raise CannotCreate(f"--rejects {path}: {error.strerror}") from None

    def __call__(self, line: int, reason: str, row: str) -> None:
        self.count += 1
        if self._stream is not None:
            with self._failures():
                self._writer(self._stream)([str(line), reason, row])

    def _writer(self, stream: TextIO) -> Callable[[list[str]], object]:
        """Writes a row; begins with an empty file and the header."""
        if self._write is None:
            import csv

            if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):  # no device or pipe
                os.ftruncate(stream.fileno(), 0)
            self._write = csv.writer(stream, lineterminator="\n").writerow
            self._write(["line", "reason", "row"])
        return self._write

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        from nlpcli.errors import OutputFailed

        try:
            yield
        except OSError as error:
            raise OutputFailed(f"--rejects {self._path}: {error.strerror}") from None

    def close(self) -> None:
        """Tells how many rows were skipped and closes the file."""
        if self._open:
            self._tell()
            if self._stream is not None:
                with self._failures():
                    self._writer(self._stream)
                    self._stream.close()

    def _tell(self) -> None:
        self._open = False
        if self.count:
            self._console.warn(f"{self.count:,} bad rows skipped")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self.close()
        elif self._open:
            if not issubclass(kind, BrokenPipeError):  # which ends a run without a word
                self._tell()
            self._open = False
            if self._stream is not None:
                with contextlib.suppress(OSError):
                    self._stream.close()
