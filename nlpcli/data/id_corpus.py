"""Text files -> one file of word numbers: a corpus that may be larger than memory, read once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import numpy.typing as npt

from nlpcli.data.id_files import BLOCKS, IDS, STARTS, IdFiles
from nlpcli.data.rows import naming
from nlpcli.data.source import Source
from nlpcli.data.text_runs import TextRuns
from nlpcli.errors import DataError, InputMissing
from nlpcli.text import parallel
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.word_counts import MOST_WORDS, WordTable, cut_run

if TYPE_CHECKING:
    from nlpcli.data.rows import Reject

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Progress = Callable[[int, float | None], None]
"""Words read so far, and the share of all bytes that they are where that is known."""

HANDED_OVER = "corpus.json"
"""What another process needs to know of a corpus that lies in a folder."""
_AHEAD = 2
"""Runs that wait for each thread."""


@dataclass
class IdCorpus:
    """A corpus as numbers of its words.

    ``ids`` int32 [T], a memory map of a file; ``starts`` int64 [S + 1] borders of sentences,
    which are lines, and ``blocks`` int64 [B + 1] of blocks between blank lines: from 0 to T, none
    is empty. ``words`` [V], most frequent first, then by their bytes, and ``counts`` int64 [V].

    ``n_raw``: words read, rare ones too; ``n_different`` of them. ``n_skipped``: bad lines left
    out. ``forgotten``: above 0, words that occurred so often may have been left out, there were
    too many different ones. ``sha256``: of the texts' bytes and of what they were cut with.
    """

    ids: I32
    starts: I64
    words: list[str]
    counts: I64
    n_raw: int
    blocks: I64
    n_different: int
    n_skipped: int
    forgotten: int
    sha256: str


def encode_corpus(
    paths: Sequence[str],
    config: TokenizerConfig,
    folder: Path,
    *,
    min_count: int,
    workers: int | None = None,
    progress: Progress | None = None,
    skip_bad: bool = False,
    on_reject: Reject | None = None,
    most_words: int = MOST_WORDS,
) -> IdCorpus:
    """Reads files, or stdin for ``-``, and writes their numbers into ``folder``, which exists.

    A line is a sentence. Words that occur less than ``min_count`` times are left out. The result
    is the same for any number of threads. ``progress`` may raise, to stop. Raises InputMissing,
    DataError for bad lines (unless skipped, and ``on_reject`` told) and when no word is left,
    OutputFailed.
    """
    table, files = WordTable(most_words), IdFiles(folder)
    digest = hashlib.sha256(json.dumps([config.to_json(), min_count, most_words]).encode())
    n_skipped = 0
    try:
        n_workers = workers or parallel.workers()
        with ThreadPoolExecutor(n_workers) as pool:
            for path in paths:
                source = Source(path)
                try:
                    reject = naming(on_reject, path, *paths[1:])
                    runs = TextRuns(source, skip_bad=skip_bad, on_reject=reject)
                    for run, cut in parallel.ahead(
                        pool, _AHEAD * n_workers, lambda run: cut_run(config, run.text), runs
                    ):
                        files.add(table.number(cut), cut.sizes, goes_on=run.goes_on)
                        if progress is not None:
                            share = source.n_read / source.size if source.size else None
                            progress(table.n_words, share if len(paths) == 1 else None)
                finally:
                    source.close()
                files.end_text()
                n_skipped += runs.n_skipped
                digest.update(bytes.fromhex(source.sha256()))
    finally:
        files.close()
    words, counts, ranks = table.ranked(min_count)
    if not words:
        raise _nothing_left(paths, table, min_count)
    files.renumber(ranks)
    return IdCorpus(
        **mapped(folder),
        words=words,
        counts=counts,
        n_raw=table.n_words,
        n_different=table.n_numbers,
        n_skipped=n_skipped,
        forgotten=table.forgotten,
        sha256=digest.hexdigest(),
    )


class Mapped(TypedDict):
    """The parts of a corpus that lie on disk."""

    ids: I32
    starts: I64
    blocks: I64


def mapped(folder: Path) -> Mapped:
    """Memory maps of the files that ``IdFiles`` wrote."""
    return {
        "ids": np.memmap(folder / IDS, np.int32, "r"),
        "starts": np.memmap(folder / STARTS, np.int64, "r"),
        "blocks": np.memmap(folder / BLOCKS, np.int64, "r"),
    }


def hand_over(corpus: IdCorpus, folder: Path) -> None:
    """For ``taken_over`` by another process; ``folder`` holds the corpus. Raises OSError."""
    rest = {
        name: value
        for name, value in vars(corpus).items()
        if name not in (*Mapped.__annotations__, "counts")
    }
    document = json.dumps({**rest, "counts": corpus.counts.tolist()})
    (folder / HANDED_OVER).write_text(document, encoding="ascii")


def taken_over(folder: Path) -> IdCorpus:
    """The corpus that ``hand_over`` left there. Raises InputMissing."""
    try:
        rest = json.loads((folder / HANDED_OVER).read_text(encoding="ascii"))
        parts = mapped(folder)
    except OSError as error:
        raise InputMissing(f"{folder}: {error.strerror}") from None
    return IdCorpus(**{**rest, "counts": np.array(rest["counts"], np.int64)}, **parts)


def _nothing_left(paths: Sequence[str], table: WordTable, min_count: int) -> DataError:
    names = Source.name_of(paths[0]) if len(paths) == 1 else f"{len(paths):,} files"
    if not table.n_words:
        return DataError(f"{names}: no words")
    most = table.most_frequent()
    return DataError(
        f"{names}: no word occurs {min_count:,} times; {table.n_words:,} words, "
        f"{table.n_numbers:,} different ones, the most frequent occurs {most:,} times",
        hint=f"--min-count {most}",
    )
