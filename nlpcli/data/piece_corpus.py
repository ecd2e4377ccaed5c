"""Text files -> one file of piece numbers with borders of lines and documents, written once.

A line is a sentence; blank lines and ends of files are borders of documents. The corpus may be
larger than memory, and a line longer than any buffer.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.id_files import told
from nlpcli.data.rows import naming
from nlpcli.data.source import Source
from nlpcli.data.text_runs import TextRun, TextRuns
from nlpcli.errors import DataError
from nlpcli.text.wordpiece import WordPieceTokenizer

if TYPE_CHECKING:
    from nlpcli.data.rows import Reject

PIECES, LINES, DOCUMENTS = "pieces.ids", "lines.starts", "documents.starts"
KEPT = "stdin.text"
SMALL_VOCABULARY = 1 << 16
"""Pieces whose numbers fit into 16 bits."""

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Progress = Callable[[int, float | None], None]
"""Pieces so far, and the share of all bytes that is read where that is known."""


@dataclass(frozen=True)
class KeptText:
    """A text that can be read twice: where it lies, and what it is called in messages."""

    path: str
    name: str


Text = str | KeptText


@dataclass(frozen=True)
class PieceCorpus:
    """A corpus as numbers of pieces, memory maps of files.

    ``pieces`` uint16 [T], int32 where the vocabulary is larger: one document after the other,
    behind each stands one [SEP]. ``lines`` int64 [S + 1]: where lines begin, from 0 to T; the last
    line of a document ends with its [SEP]. ``documents`` int64 [D + 1]: likewise. No line and no
    document is empty. ``n_unknown``: pieces that are [UNK]. ``n_skipped``: bad lines left out.
    ``sha256``: of the texts' bytes and of the tokenizer.
    """

    pieces: npt.NDArray[Any]
    lines: I64
    documents: I64
    n_unknown: int
    n_skipped: int
    sha256: str


def keep_texts(paths: Sequence[str], folder: Path) -> list[KeptText]:
    """Copies what can be read but once, stdin and pipes, into ``folder``; names the rest.

    Raises InputMissing, OutputFailed.
    """
    return [_kept(path, folder / f"{number}.{KEPT}") for number, path in enumerate(paths)]


def _kept(path: str, target: Path) -> KeptText:
    name = Source.name_of(path)
    try:
        if path != "-" and stat.S_ISREG(os.stat(path).st_mode):
            return KeptText(path, name)
    except (OSError, ValueError):
        pass  # reading it says what is wrong
    source = Source(path)
    try:
        with told(target), open(target, "wb") as stream:
            for block in source.blocks():
                stream.write(block)
    finally:
        source.close()
    return KeptText(str(target), name)


def _opened(text: Text) -> Source:
    if isinstance(text, str):
        return Source(text)
    source = Source(text.path)
    source.name = text.name
    return source


def _named(texts: Sequence[Text]) -> str:
    if len(texts) != 1:
        return f"{len(texts):,} files"
    return Source.name_of(texts[0]) if isinstance(texts[0], str) else texts[0].name


def sample_texts(
    paths: Sequence[Text], most_bytes: int, *, skip_bad: bool = False
) -> Iterator[str]:
    """Lines, as many as ``most_bytes`` hold, spread evenly over all files; blank ones left out.

    All is read before the first line is given, and between half of ``most_bytes`` and all of
    them is held in memory: every second, fourth, ... line of the corpus, or all lines. Raises
    InputMissing, and DataError for bad lines (unless skipped).
    """
    lines: list[str] = []
    sizes: list[int] = []
    step, number, size = 1, 0, 0
    for path in paths:
        source = _opened(path)
        try:
            for run in TextRuns(source, skip_bad=skip_bad):
                filled = [line for line in _lines(run) if line and not line.isspace()]
                chosen = filled[-number % step :: step]
                number += len(filled)
                lines += chosen
                sizes += [len(line.encode()) + 1 for line in chosen]
                size += sum(sizes[len(sizes) - len(chosen) :])
                while size > most_bytes and len(lines) > 1:
                    del lines[1::2], sizes[1::2]
                    step *= 2
                    size = sum(sizes)
        finally:
            source.close()
    yield from lines


def encode_pieces(
    paths: Sequence[Text],
    tokenizer: WordPieceTokenizer,
    folder: Path,
    *,
    progress: Progress | None = None,
    skip_bad: bool = False,
    on_reject: Reject | None = None,
    workers: int | None = None,
) -> PieceCorpus:
    """Reads files, or stdin for ``-``, and writes their pieces into ``folder``, which exists.

    The result is the same for any number of ``workers``, threads; more than two are no faster.
    ``progress`` may raise, to stop. Raises InputMissing, DataError for bad lines (unless skipped,
    and ``on_reject`` told) and where no piece is found, OutputFailed.
    """
    files = _PieceFiles(folder, tokenizer)
    digest = hashlib.sha256(tokenizer.to_json())
    n_skipped = 0
    try:
        with ThreadPoolExecutor(1) as pool:
            for path in paths:
                source = _opened(path)
                try:
                    others = [source.name] * (len(paths) - 1)
                    reject = naming(on_reject, source.name, *others)
                    runs = TextRuns(source, skip_bad=skip_bad, on_reject=reject)
                    for run in runs if workers == 1 else _read_ahead(pool, runs):
                        files.add(_lines(run), goes_on=run.goes_on)
                        if progress is not None:
                            share = source.n_read / source.size if source.size else None
                            progress(files.n_pieces, share if len(paths) == 1 else None)
                finally:
                    source.close()
                files.end_text()
                n_skipped += runs.n_skipped
                digest.update(bytes.fromhex(source.sha256()))
        if not files.n_pieces:
            raise DataError(f"{_named(paths)}: no text, every line is blank")
        files.end()
    finally:
        files.close()
    return PieceCorpus(*_mapped(folder, files.kind), files.n_unknown, n_skipped, digest.hexdigest())


def _mapped(folder: Path, kind: npt.DTypeLike) -> tuple[npt.NDArray[Any], I64, I64]:
    return (
        np.memmap(folder / PIECES, kind, "r"),
        np.memmap(folder / LINES, np.int64, "r"),
        np.memmap(folder / DOCUMENTS, np.int64, "r"),
    )


def _lines(run: TextRun) -> list[str]:
    """The lines of a run; behind a line end nothing stands."""
    text = run.text
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if not run.goes_on and not lines[-1]:
        del lines[-1]
    return lines


def _read_ahead(pool: ThreadPoolExecutor, runs: TextRuns) -> Iterator[TextRun]:
    """The runs in order; the next ones are unpacked and decoded meanwhile."""
    stream = iter(runs)
    waiting: deque[Future[TextRun | None]] = deque()
    try:
        while True:
            while len(waiting) < 2:
                waiting.append(pool.submit(next, stream, None))
            run = waiting.popleft().result()
            if run is None:
                return
            yield run
    finally:
        for each in waiting:
            each.cancel()
        for each in waiting:
            if not each.cancelled():
                each.exception()


class _PieceFiles:
    """Pieces and borders on disk. Raises OutputFailed when they cannot be written."""

    def __init__(self, folder: Path, tokenizer: WordPieceTokenizer) -> None:
        self.folder, self._tokenizer = folder, tokenizer
        self.kind = np.dtype(np.uint16 if len(tokenizer) <= SMALL_VOCABULARY else np.int32)
        self.n_pieces = self.n_unknown = 0
        self._streams: list[IO[bytes]] = []
        with told(folder):
            self._pieces, self._lines, self._documents = (
                self._opened(name) for name in (PIECES, LINES, DOCUMENTS)
            )
        self._in_line = self._in_document = False
        """Whether the line, the document that comes next is the rest of one that has pieces."""

    def _opened(self, name: str) -> IO[bytes]:
        stream = open(self.folder / name, "wb")  # noqa: SIM115  closed by close
        self._streams.append(stream)
        return stream

    def add(self, lines: list[str], *, goes_on: bool) -> None:
        """A few lines; the last one may go on in the next ones."""
        if not lines:  # all were bad ones
            self._in_line &= goes_on
            return
        found = self._tokenizer.encode(lines)
        self.n_unknown += int(np.count_nonzero(found.ids == self._tokenizer.unk))
        begins, fresh = found.indptr[:-1], np.diff(found.indptr) > 0
        filled = fresh.copy()
        filled[0] |= self._in_line
        fresh[0] &= not self._in_line
        inside = np.concatenate([[self._in_document], filled[:-1]])
        closing = inside & ~filled
        if goes_on and closing[-1]:  # pieces of this line may be still to come
            closing[-1] = False
            self._in_document = True
        else:
            self._in_document = bool(filled[-1])
        self._in_line = goes_on and bool(filled[-1])
        ids = np.insert(found.ids, begins[closing], self._tokenizer.sep)
        moved = self.n_pieces + begins + np.cumsum(closing)
        self._write(ids, moved[fresh], moved[fresh & ~inside])

    def _write(self, ids: I32, lines: I64, documents: I64) -> None:
        with told(self.folder):
            self._pieces.write(ids.astype(self.kind).tobytes())
            self._lines.write(lines.tobytes())
            self._documents.write(documents.tobytes())
        self.n_pieces += len(ids)

    def end_text(self) -> None:
        """What comes next is another text, and another document."""
        if self._in_document:
            none = np.empty(0, np.int64)
            self._write(np.array([self._tokenizer.sep], np.int32), none, none)
        self._in_line = self._in_document = False

    def end(self) -> None:
        """The last borders are the end of all pieces; closes the files."""
        last = np.array([self.n_pieces])
        self._write(np.empty(0, np.int32), last, last)
        self.close()

    def close(self) -> None:
        """Closes the files."""
        with told(self.folder):
            for stream in self._streams:
                stream.close()
