"""Texts as the fastText program would learn from them: its dictionary, its rows, its file.

The dictionary is made as by dictionary.cc of fastText 0.9.2, with ties in the order of bytes. Only
rows that the training texts use are trained; all others stay zero, so that an n-gram that was never
seen adds nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, Unavailable
from nlpcli.formats.fasttext_bin import LOSSES, SUPERVISED, Arguments, FastTextFile
from nlpcli.formats.fasttext_dictionary import LABEL, Dictionary
from nlpcli.formats.fasttext_matrix import DenseMatrix
from nlpcli.formats.fasttext_text import END, FeatureCutter, encode_lines
from nlpcli.text import parallel
from nlpcli.text.features import text_chunks
from nlpcli.text.tokenizer import Bags

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

ENTRY_BYTES = 32
"""Memory that a feature of a text takes while texts are cut."""


@dataclass(frozen=True, kw_only=True)
class FastTextCutting:
    """How the program cuts texts; ``label_prefix``: of labels in its files."""

    word_ngrams: int = 2
    min_n: int = 0
    max_n: int = 0
    min_count: int = 1
    buckets: int = 2_000_000
    label_prefix: str = LABEL.decode()

    def __post_init__(self) -> None:
        for name, low, high in (
            ("word_ngrams", 1, 8), ("max_n", 0, 32), ("min_n", 0, self.max_n),
            ("min_count", 1, 2**31 - 1), ("buckets", 1, 2**31 - 1),
        ):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name}: {value}, not {low} to {high}")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"fasttext_compatible": True, **asdict(self)}

    def arguments(self, *, dim: int, epochs: int, loss: str, negatives: int = 5) -> Arguments:
        """As the program stores them; without n-grams there are no buckets, as there."""
        uses_buckets = self.word_ngrams > 1 or self.max_n > 0
        return Arguments(
            dim=dim, epoch=epochs, min_count=self.min_count, word_ngrams=self.word_ngrams,
            loss=next(number for number, name in LOSSES.items() if name == loss),
            model=SUPERVISED, bucket=self.buckets if uses_buckets else 0, minn=self.min_n,
            maxn=self.max_n,
            neg=negatives, ws=5, lr_update_rate=100, t=1e-4,  # its defaults for what is unused
        )  # fmt: skip


class TrainingCutter:
    """Cuts texts into bags of the rows that are trained, numbered anew from 0.

    ``rows`` int64 [V]: which row of the input matrix each of them is.
    """

    def __init__(self, arguments: Arguments, dictionary: Dictionary) -> None:
        self.arguments, self.dictionary = arguments, dictionary
        self._cutter = FeatureCutter(arguments, dictionary)
        self._n_rows = dictionary.n_words + arguments.bucket
        self.rows = np.empty(0, dtype=np.int64)
        self._position = np.empty(0, dtype=np.int32)

    @property
    def n_features(self) -> int:
        """How many rows are trained."""
        return len(self.rows)

    @property
    def file_bytes(self) -> int:
        """Size of the file, dense."""
        entries = len(self.dictionary.text) + 10 * len(self.dictionary.ends)
        return 4 * self.arguments.dim * (self._n_rows + self.dictionary.n_labels) + entries

    def fit(
        self, texts: Sequence[str], words: Sequence[bytes] = (), *, room: int | None = None
    ) -> Bags:
        """The bags of training texts, whose rows are those that are trained; of ``words`` as well.

        ``room``: bytes of memory there are. Raises DataError when no text has any feature,
        Unavailable when they need more memory.
        """
        parts, n_entries = [], 0
        with ThreadPoolExecutor(parallel.workers()) as pool:
            for part in pool.map(self._count, text_chunks(texts)):
                n_entries += len(part[1])
                if room is not None and n_entries * ENTRY_BYTES > room:
                    raise Unavailable(
                        f"{n_entries:,} words and n-grams need more memory than the "
                        f"{room / 1e9:,.1f} GB that are free",
                        hint="a lower --word-ngrams or --max-n, or fewer rows",
                    )
                parts.append(part)
        used = np.zeros(self._n_rows, dtype=bool)
        for _, rows, _ in parts:
            used[rows] = True
        used[self._cutter.find_words(words)] = True
        self.rows = np.flatnonzero(used)
        if not len(self.rows):
            raise DataError(f"no words are left in {len(texts)} texts")
        self._position = np.full(self._n_rows, -1, dtype=np.int32)
        self._position[self.rows] = np.arange(len(self.rows), dtype=np.int32)
        return self._put_together(parts)

    def word_rows(self, words: Sequence[bytes]) -> I64:
        """Where the rows of words that ``fit`` was given are among the trained ones, int64 [N]."""
        return self._position[self._cutter.find_words(words)].astype(np.int64)

    def bags(self, texts: Sequence[str]) -> Bags:
        """Bags of any texts; rows that are not trained are zero, and only count in the mean."""
        return self._put_together([self._count(chunk) for chunk in text_chunks(texts)])

    def _put_together(self, parts: list[tuple[I64, I64, F32]]) -> Bags:
        ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *(part[0] for part in parts)]))
        ids = np.concatenate([np.empty(0, np.int32), *(self._position[p[1]] for p in parts)])
        weights = np.concatenate([np.empty(0, np.float32), *(part[2] for part in parts)])
        known = ids >= 0
        before = np.cumsum(np.concatenate((np.zeros(1, np.int64), known)))
        return Bags(before[ends], ids[known], weights[known])

    def _count(self, texts: Sequence[str]) -> tuple[I64, I64, F32]:
        """Of each text how many different rows it has [B]; these, ascending; their shares."""
        indptr, ids = self._cutter.bags(texts)
        lengths = np.diff(indptr)
        owners = np.repeat(np.arange(len(texts)), lengths)
        keys, times = np.unique(owners * self._n_rows + ids, return_counts=True)
        owners, rows = np.divmod(keys, self._n_rows)
        sizes = np.bincount(owners, minlength=len(texts)).astype(np.int64)
        return sizes, rows, (times / lengths[owners]).astype(np.float32)

    def file(self, weight: F32, output: F32) -> FastTextFile:
        """The model of trained rows ``weight`` [V, D] and ``output`` [K, D].

        The tree of the hierarchical softmax has one row less; then the last one is zero.
        """
        if len(output) == self.dictionary.n_labels - 1:
            output = np.concatenate((output, np.zeros_like(output, shape=(1, output.shape[1]))))
        table = np.zeros((self._n_rows, self.arguments.dim), dtype=np.float32)
        table[self.rows] = weight
        return FastTextFile(
            self.arguments, self.dictionary, DenseMatrix(table), DenseMatrix(output)
        )


def learn_dictionary(
    cutting: FastTextCutting,
    texts: Sequence[str],
    labels: Sequence[tuple[str, ...]],
    names: Sequence[str],
    more: Sequence[bytes] = (),
) -> Dictionary:
    """The words that occur ``min_count`` times, the most frequent first, then the labels.

    Words that look like labels are left out, as the program leaves them out. ``more``: words that
    have vectors; they join however rare they are, and count once more.
    """
    counts: Counter[bytes] = Counter()
    for chunk in text_chunks(texts):
        counts.update(encode_lines(chunk).replace(b"\0", b" ").split())
    counts[END] += len(texts)
    prefix = cutting.label_prefix.encode()
    kept = Counter({word: n for word, n in counts.items() if n >= cutting.min_count})
    kept.update(more)
    words = [(word, n) for word, n in kept.items() if not word.startswith((LABEL, prefix))]
    words.sort(key=lambda entry: (-entry[1], entry[0]))
    rows = Counter(name for several in labels for name in several)
    entries = [*words, *((prefix + name.encode(), rows[name]) for name in names)]
    return Dictionary.of(
        [entry for entry, _ in entries], [n for _, n in entries], len(words),
        counts.total() + len(more) + rows.total(),
    )  # fmt: skip
