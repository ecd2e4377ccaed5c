"""The dictionary of a fastText model file: words, then labels, as bytes with their counts.

Layout: dictionary.cc of fastText 0.9.2. Words may be any bytes but NUL; they are kept as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, shown
from nlpcli.formats.bounded import BoundedReader

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

LABEL = b"__label__"
"""Label prefix of the program; a model file does not say whether it was trained with another."""
NEVER_PRUNED = -1
_ENTRY = np.dtype([("count", "<i8"), ("kind", "i1")])
_CHUNK = 1 << 20
"""Bytes looked at together, and the longest word."""


@dataclass(frozen=True)
class Dictionary:
    """Entries in the order of their ids: ``n_words`` words, then labels.

    ``text`` uint8: all entries, one after the other; ``ends`` int64 [size]: where each ends;
    ``counts`` int64 [size]. ``pruned`` int32 [P, 2]: (bucket, row after the words) of the n-grams
    that were kept, in the order of the file; None in a model that was never pruned.
    """

    text: U8
    ends: I64
    counts: I64
    n_words: int
    n_tokens: int
    pruned: I32 | None = None

    @classmethod
    def of(
        cls, words: Sequence[bytes], counts: Sequence[int], n_words: int, n_tokens: int
    ) -> Dictionary:
        """A dictionary of these entries, words first; never pruned."""
        lengths = np.array([len(word) for word in words], dtype=np.int64)
        text = np.frombuffer(b"".join(words), dtype=np.uint8)
        return cls(text, np.cumsum(lengths), np.array(counts, dtype=np.int64), n_words, n_tokens)

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return len(self.ends) - self.n_words

    def entry(self, index: int) -> bytes:
        """The bytes of a word or label."""
        begin = int(self.ends[index - 1]) if index else 0
        return self.text[begin : int(self.ends[index])].tobytes()

    def labels(self) -> list[bytes]:
        """The labels, prefix and all."""
        return [self.entry(i) for i in range(self.n_words, len(self.ends))]

    def label_names(self, prefix: bytes = LABEL) -> list[str]:
        """The labels as they are shown: without ``prefix``, unless that would make two alike.

        Bytes that are not UTF-8 are written out as ``\\xNN``.
        """
        raw = self.labels()
        bare = [name.removeprefix(prefix) for name in raw]
        if not all(bare) or len(set(bare)) != len(bare):
            bare = raw
        return [name.decode("utf-8", "backslashreplace") for name in bare]

    def write(self, stream: BinaryIO) -> None:
        """The dictionary as the program stores it."""
        pruned = NEVER_PRUNED if self.pruned is None else len(self.pruned)
        sizes = (len(self.ends), self.n_words, self.n_labels, self.n_tokens, pruned)
        stream.write(struct.pack("<3i2q", *sizes))
        for i, count in enumerate(self.counts.tolist()):
            stream.write(self.entry(i) + b"\0" + struct.pack("<qb", count, i >= self.n_words))
        if self.pruned is not None:
            stream.write(np.ascontiguousarray(self.pruned, dtype="<i4").view(np.uint8).data)


def read_dictionary(reader: BoundedReader, bucket: int) -> Dictionary:
    """The dictionary of a file with so many buckets. Raises DataError when it does not add up."""
    size, n_words, n_labels, n_tokens, n_pruned = reader.unpack("3i2q", "the dictionary's sizes")
    if min(size, n_words, n_labels, n_tokens) < 0 or n_words + n_labels != size:
        raise reader.bad(
            f"the dictionary has {size} entries, {n_words} words, {n_labels} labels and {n_tokens} "
            "tokens, which do not add up"
        )
    if n_pruned < NEVER_PRUNED:
        raise reader.bad(f"{n_pruned} n-grams are kept, wanted -1 or more")
    text, ends, payload = _read_entries(reader, size)
    table = np.frombuffer(payload, dtype=_ENTRY)
    kinds, counts = table["kind"], table["count"].astype(np.int64)
    if (kinds != (np.arange(size) >= n_words)).any():
        raise reader.bad(f"the dictionary is not {n_words} words, then {n_labels} labels")
    pruned = None
    if n_pruned != NEVER_PRUNED:
        pruned = reader.array("<i4", (n_pruned, 2), f"{n_pruned:,} kept n-grams")
    dictionary = Dictionary(text, ends, counts, n_words, n_tokens, pruned)
    check_dictionary(dictionary, bucket, reader.where)
    return dictionary


def check_dictionary(
    dictionary: Dictionary, bucket: int, where: str, prefix: bytes = LABEL
) -> None:
    """Counts, labels and kept n-grams of a dictionary with so many buckets. Raises DataError."""
    if (dictionary.counts < 0).any():
        lowest = dictionary.counts.min()
        raise DataError(f"{where}: an entry of the dictionary occurs {lowest} times")
    if dictionary.pruned is not None:
        _check_kept(dictionary.pruned, bucket, where)
    if len(set(dictionary.label_names(prefix))) != dictionary.n_labels:
        raise DataError(f"{where}: a label is there twice")


def _read_entries(reader: BoundedReader, size: int) -> tuple[U8, I64, bytearray]:
    """All entries' bytes, where each ends, and their counts and kinds as they lie in the file."""
    smallest = 1 + _ENTRY.itemsize
    reader.need(size * smallest, f"a dictionary of {size:,} entries")
    ends = np.empty(size, dtype=np.int64)
    text, payload, done = bytearray(), bytearray(), 0
    while done < size:
        chunk = reader.read(min(_CHUNK + smallest, reader.remaining), "the dictionary")
        at, first = 0, done
        while done < size:
            end = chunk.find(b"\0", at)
            if end < 0 or end + smallest > len(chunk):
                break
            text += chunk[at:end]
            payload += chunk[end + 1 : end + smallest]
            ends[done] = len(text)
            done, at = done + 1, end + smallest
        if done == first:
            raise reader.bad(_endless(chunk, done))
        reader.give_back(len(chunk) - at)
    return np.frombuffer(bytes(text), dtype=np.uint8), ends, payload


def _endless(chunk: bytes, number: int) -> str:
    start = shown(chunk[:20].decode("utf-8", "backslashreplace"))
    return f"entry {number} of the dictionary, {start}…, has no end"


def _check_kept(pairs: I32, bucket: int, where: str) -> None:
    """Raises DataError for a kept n-gram, int32 [count, 2], out of range or there twice."""
    count = len(pairs)
    if count and (pairs.min() < 0 or pairs[:, 0].max() >= bucket or pairs[:, 1].max() >= count):
        raise DataError(f"{where}: a kept n-gram is not of {bucket} buckets and {count} rows")
    for column in range(2):
        # sorted, not marked in a table of all buckets: the file says how much memory is used
        values = np.sort(pairs[:, column])
        if (values[1:] == values[:-1]).any():
            raise DataError(f"{where}: a kept n-gram is there twice")
