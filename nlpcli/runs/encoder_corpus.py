"""Texts for an encoder: its tokenizer, learnt or taken, and a corpus of pieces on disk."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nlpcli.errors import CannotCreate, DataError, InputMissing

if TYPE_CHECKING:
    from nlpcli.batching.masking import Pieces
    from nlpcli.batching.pretraining_rows import Specials, Stream
    from nlpcli.data.piece_corpus import KeptText, PieceCorpus
    from nlpcli.data.rows import Reject
    from nlpcli.runs.reporting import Reporter
    from nlpcli.text.wordpiece import WordPieceTokenizer

TOKENIZER = "tokenizer.json"
VOCABULARY_BYTES = 1 << 26
"""Text that a vocabulary is learnt from, spread over the corpus."""
SMALLEST_VOCABULARY = 100
"""Pieces that can be asked for, at least; a text may give fewer."""
MOST_UNKNOWN = 0.05
"""Share of unknown pieces above which something is wrong with the tokenizer."""
_LARGEST_FILE = 1 << 28


@dataclass(frozen=True, kw_only=True)
class VocabularyRequest:
    """``given`` tokenizer, or ``size`` pieces to learn; ``exactly``: fewer are an error."""

    given: WordPieceTokenizer | None
    size: int
    exactly: bool
    lowercase: bool


@contextlib.contextmanager
def pieces_on_disk(
    paths: Sequence[str], vocabulary: VocabularyRequest, place: Path, console: Reporter, *,
    threads: int | None, skip_bad: bool, on_reject: Reject | None = None,
) -> Iterator[tuple[PieceCorpus, WordPieceTokenizer, Path]]:  # fmt: skip
    """The corpus, its tokenizer and the folder of its files, which is gone after the block.

    The tokenizer lies there too. Raises CannotCreate, InputMissing, DataError, OutputFailed.
    """
    from nlpcli.data.id_files import told
    from nlpcli.data.piece_corpus import encode_pieces, keep_texts

    try:
        folder = Path(tempfile.mkdtemp(prefix="corpus-", dir=place))
    except OSError as error:
        raise CannotCreate(f"{place}: {error.strerror}") from None
    try:
        texts = keep_texts(paths, folder)
        tokenizer = vocabulary.given or _learnt(texts, vocabulary, console, skip_bad=skip_bad)
        with told(folder / TOKENIZER):
            (folder / TOKENIZER).write_bytes(tokenizer.to_json())
        with console:
            corpus = encode_pieces(
                texts, tokenizer, folder, workers=threads, skip_bad=skip_bad,
                on_reject=on_reject, progress=_Reading(console),
            )  # fmt: skip
        if corpus.n_skipped and on_reject is None:  # else that tells
            console.warn(f"{corpus.n_skipped:,} bad lines skipped")
        _tell(corpus, tokenizer, console)
        yield corpus, tokenizer, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _learnt(
    texts: Sequence[KeptText], vocabulary: VocabularyRequest, console: Reporter, *, skip_bad: bool
) -> WordPieceTokenizer:
    from nlpcli.data.piece_corpus import sample_texts
    from nlpcli.text.wordpiece import WordPieceTokenizer

    console.detail(f"learning {vocabulary.size:,} pieces")
    lines = list(sample_texts(texts, VOCABULARY_BYTES, skip_bad=skip_bad))
    if not lines:
        names = texts[0].name if len(texts) == 1 else f"{len(texts):,} files"
        raise DataError(f"{names}: no text, every line is blank")
    tokenizer = WordPieceTokenizer.train(lines, vocabulary.size, lowercase=vocabulary.lowercase)
    if vocabulary.exactly and tokenizer.n_pieces < vocabulary.size:
        raise DataError(
            f"--vocab-size {vocabulary.size:,}: the text gives {tokenizer.n_pieces:,} pieces",
            hint=f"--vocab-size {tokenizer.n_pieces}"
            if tokenizer.n_pieces >= SMALLEST_VOCABULARY
            else "leave --vocab-size out",
        )
    return tokenizer


def read_tokenizer(path: Path, *, lowercase: bool) -> WordPieceTokenizer:
    """A ``tokenizer.json``, or a ``vocab.txt``, a piece a line. Raises InputMissing, DataError."""
    from nlpcli.text.wordpiece import WordPieceTokenizer

    where = path / TOKENIZER if path.is_dir() else path
    try:
        if where.stat().st_size > _LARGEST_FILE:
            raise DataError(f"{where}: over {_LARGEST_FILE:,} bytes")
        data = where.read_bytes()
    except OSError as error:
        raise InputMissing(f"{where}: {error.strerror}") from None
    if data.lstrip()[:1] == b"{":
        return WordPieceTokenizer.from_json(data, str(where))
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: byte {error.start + 1}: not UTF-8") from None
    return WordPieceTokenizer.from_vocab(lines, lowercase=lowercase, where=str(where))


class _Reading:
    """Shows how far encoding has come, and how fast."""

    def __init__(self, console: Reporter) -> None:
        self._console, self._begun = console, time.perf_counter()

    def __call__(self, pieces: int, share: float | None) -> None:
        total = round(pieces / share) if share else None
        rate = pieces / max(time.perf_counter() - self._begun, 1e-9)
        self._console.progress("encoding", pieces, total, f"{rate:,.0f} pieces/s")


def _tell(corpus: PieceCorpus, tokenizer: WordPieceTokenizer, console: Reporter) -> None:
    unknown = corpus.n_unknown / len(corpus.pieces)
    if unknown > MOST_UNKNOWN:
        console.warn(
            f"{unknown:.1%} of the pieces are unknown: the tokenizer does not know this language, "
            "or the text is too small to learn it"
        )
    console.say(
        f"corpus: {len(corpus.pieces):,} pieces of {tokenizer.n_pieces:,} different ones, "
        f"{len(corpus.lines) - 1:,} lines, {len(corpus.documents) - 1:,} documents; "
        f"{unknown:.2%} unknown"
    )


def stream_of(corpus: PieceCorpus) -> Stream:
    """As rows are cut from it."""
    from nlpcli.batching.pretraining_rows import Stream

    return Stream(corpus.pieces, corpus.lines, corpus.documents)


def mapped_stream(folder: Path, n_pieces: int) -> Stream:
    """The files of a corpus that another process has written, for so large a vocabulary."""
    import numpy as np

    from nlpcli.batching.pretraining_rows import Stream
    from nlpcli.data.piece_corpus import DOCUMENTS, LINES, PIECES, SMALL_VOCABULARY

    kind = np.uint16 if n_pieces <= SMALL_VOCABULARY else np.int32
    return Stream(
        np.memmap(folder / PIECES, kind, "r"),
        np.memmap(folder / LINES, np.int64, "r"),
        np.memmap(folder / DOCUMENTS, np.int64, "r"),
    )


def specials_of(tokenizer: WordPieceTokenizer) -> Specials:
    """Those that a row is framed with."""
    from nlpcli.batching.pretraining_rows import Specials

    return Specials(tokenizer.cls, tokenizer.sep, tokenizer.pad)


def maskable_pieces(tokenizer: WordPieceTokenizer, stream: Stream, *, by_frequency: bool) -> Pieces:
    """The vocabulary for masking; others' places are taken ``by_frequency``, or all alike."""
    import numpy as np

    from nlpcli.batching.masking import Pieces

    special = {tokenizer.cls, tokenizer.sep, tokenizer.pad, tokenizer.mask, tokenizer.unk}
    ordinary = np.setdiff1d(np.arange(tokenizer.n_pieces), np.array(sorted(special)))
    cumulative = None
    if by_frequency:
        counts = np.zeros(tokenizer.n_pieces, np.int64)
        for at in range(0, len(stream.pieces), _LARGEST_FILE >> 4):
            part = stream.pieces[at : at + (_LARGEST_FILE >> 4)]
            counts += np.bincount(part, minlength=tokenizer.n_pieces)
        share = np.cumsum(counts[ordinary].astype(np.float64))
        cumulative = share / share[-1] if share[-1] else None
    return Pieces(tokenizer.mask, tokenizer.continues, ordinary, cumulative)
