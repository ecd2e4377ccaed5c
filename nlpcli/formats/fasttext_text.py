"""Texts -> rows of fastText's input matrix, as the program cuts and hashes them, many at a time.

Source: dictionary.cc of fastText 0.9.2, getLine and what it calls. All work is on UTF-8 bytes;
the only loops in Python go along the bytes of a word and the lengths of n-grams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.formats.fasttext_bin import Arguments
from nlpcli.formats.fasttext_dictionary import LABEL, Dictionary
from nlpcli.formats.fasttext_hash import WordIndex, bucket_ngrams
from nlpcli.text.subwords import hash_words, spread, subwords

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
Bools = npt.NDArray[np.bool_]

END = b"</s>"
_NEWLINE = 10
_SEPARATORS = b" \n\r\t\v\f\0"


@dataclass(frozen=True)
class Tokens:
    """The tokens of a block: where they lie in its bytes, which text has them, the hash."""

    starts: I64
    lengths: I64
    texts: I64
    hashes: U32
    is_end: Bools

    def only(self, keep: Bools) -> Tokens:
        """Some of them."""
        parts = (self.starts, self.lengths, self.texts, self.hashes, self.is_end)
        return Tokens(*(part[keep] for part in parts))  # type: ignore[arg-type]


class KeptNgrams:
    """The n-grams that pruning kept: bucket -> row after the words."""

    def __init__(self, pairs: I32, bucket: int) -> None:
        """``pairs`` int32 [P, 2]: (bucket, row)."""
        order = np.argsort(pairs[:, 0])
        self._buckets, self._rows = pairs[:, 0][order], pairs[:, 1][order]
        del order
        # most n-grams are not there: a byte for each run of buckets tells so without a search
        self._shift = max(0, bucket.bit_length() - (4 * len(pairs)).bit_length())
        self._taken = np.zeros((bucket >> self._shift) + 1, dtype=bool)
        self._taken[self._buckets >> self._shift] = True

    def find(self, buckets: I32) -> I64:
        """The row of each bucket, or -1, int64."""
        found = np.full(len(buckets), -1, dtype=np.int64)
        perhaps = np.flatnonzero(self._taken[buckets >> self._shift])
        wanted = buckets[perhaps]
        at = np.searchsorted(self._buckets, wanted)
        at[at == len(self._buckets)] = 0
        there = self._buckets[at] == wanted
        found[perhaps[there]] = self._rows[at[there]]
        return found


class FeatureCutter:
    """Cuts texts into the rows that a model averages for them."""

    def __init__(self, arguments: Arguments, dictionary: Dictionary) -> None:
        self._arguments, self._dictionary = arguments, dictionary
        self._index = WordIndex(dictionary.text, dictionary.ends)
        pruned = dictionary.pruned
        self._kept = None if pruned is None else KeptNgrams(pruned, arguments.bucket)

    def bags(self, texts: Sequence[str]) -> tuple[I64, I64]:
        """CSR of row numbers, in the program's order: ``indptr`` int64 [B + 1], ``ids`` int64 [N].

        A text is a line of the program: a newline within it is a space, ``</s>`` stands at its
        end, and a ``</s>`` that is written in it ends it, so that what follows is not looked at.
        """
        data = encode_lines(texts)
        codes = np.frombuffer(data, dtype=np.uint8)
        tokens = cut(codes, data)
        ids = self._index.find(codes, tokens.starts, tokens.lengths, tokens.hashes)
        ids[tokens.is_end] = self._index.find_one(END)
        kept = ~self._is_label(data, codes, tokens, ids)
        if not kept.all():
            tokens, ids = tokens.only(kept), ids[kept]
        return self._arrange(codes, tokens, ids, len(texts))

    def find_words(self, words: Sequence[bytes]) -> I64:
        """The row of each word, int64 [N], or -1."""
        codes = np.frombuffer(b"".join(words), dtype=np.uint8)
        lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
        starts = np.cumsum(lengths) - lengths
        return self._index.find(codes, starts, lengths, hash_words(codes, starts, lengths))

    def word_bags(self, first: int, last: int) -> tuple[I64, I64]:
        """CSR of the rows of the dictionary's words ``first`` to ``last``: their own, then those of
        their sub-words; no bag is empty."""
        ids = np.arange(first, last)
        ends = self._dictionary.ends[first:last]
        starts = np.where(ids > 0, self._dictionary.ends[ids - 1], 0)
        hashes, is_end = np.zeros(len(ids), np.uint32), ids == self._index.find_one(END)
        tokens = Tokens(starts, ends - starts, ids - first, hashes, is_end)
        return self._arrange(self._dictionary.text, tokens, ids, len(ids))

    def _is_label(self, data: bytes, codes: U8, tokens: Tokens, ids: I64) -> Bools:
        """Labels, known ones and words that look like one, are no features."""
        known = ids >= self._dictionary.n_words
        if LABEL not in data:
            return known
        like = (ids < 0) & (tokens.lengths >= len(LABEL))
        at = tokens.starts[like]
        same = np.ones(len(at), dtype=bool)
        for offset, value in enumerate(LABEL):
            same &= codes[at + offset] == value
        like[like] = same
        return known | like

    def _arrange(self, codes: U8, tokens: Tokens, ids: I64, n_texts: int) -> tuple[I64, I64]:
        """Each text's words, every word followed by its sub-words, then its word n-grams."""
        arguments = self._arguments
        n_grams, grams = np.zeros(len(ids), np.int64), np.empty(0, np.uint32)
        if max(arguments.minn, 1) <= arguments.maxn:
            wanted = np.flatnonzero(~tokens.is_end)
            n_grams[wanted], grams = subwords(
                codes, tokens.starts[wanted], tokens.lengths[wanted], arguments.minn, arguments.maxn
            )
        known = ids >= 0
        n_rows = known + n_grams
        after = np.cumsum(np.bincount(tokens.texts, minlength=n_texts))[tokens.texts]
        n_follow = np.minimum(after - 1 - np.arange(len(ids)), max(arguments.word_ngrams - 1, 0))
        words = np.bincount(tokens.texts, n_rows, n_texts).astype(np.int64)
        follow = np.bincount(tokens.texts, n_follow, n_texts).astype(np.int64)
        sizes = words + follow
        begins = np.cumsum(n_rows) - n_rows + (np.cumsum(follow) - follow)[tokens.texts]
        out = np.empty(int(sizes.sum()), dtype=np.int64)
        out[begins[known]] = ids[known]
        if len(grams):
            out[spread(begins + known, n_grams)] = self._rows_of(
                grams % np.uint32(arguments.bucket)
            )
        if n_follow.any():
            starts = np.cumsum(n_follow) - n_follow + np.cumsum(words)[tokens.texts]
            for at, bucket in bucket_ngrams(tokens.hashes, n_follow, starts, arguments.bucket):
                out[at] = self._rows_of(bucket)
        return _without_dropped(out, sizes)

    def _rows_of(self, buckets: npt.NDArray[np.unsignedinteger]) -> I64:
        """Rows of n-grams by their buckets; -1 for those that pruning dropped."""
        n_words = self._dictionary.n_words
        if self._kept is None:
            return buckets.astype(np.int64) + n_words
        rows = self._kept.find(buckets.astype(np.int32))
        rows[rows >= 0] += n_words
        return rows


def encode_lines(texts: Sequence[str]) -> bytes:
    """The texts as UTF-8, each closed by a newline; newlines within them are made spaces."""
    joined = "\n".join(texts) + "\n" if texts else ""
    if joined.count("\n") != len(texts):
        joined = "\n".join(text.replace("\n", " ") for text in texts) + "\n"
    return joined.encode("utf-8", "surrogatepass")


def cut(codes: U8, data: bytes) -> Tokens:
    """The tokens of lines that each end in a newline, which is the token ``</s>``."""
    table = np.zeros(256, dtype=bool)
    table[list(_SEPARATORS)] = True
    blank = table[codes]
    newline = codes == _NEWLINE
    before = np.concatenate(([True], blank[:-1])) if len(codes) else blank
    begins = ~blank & before
    starts = np.flatnonzero(begins | newline)
    is_end = newline[starts]
    lengths = np.zeros(len(starts), dtype=np.int64)
    lengths[~is_end] = np.flatnonzero(blank & ~before) - starts[~is_end]
    texts = np.cumsum(is_end) - is_end
    hashes = hash_words(codes, starts, lengths)
    if END in data:
        at = np.flatnonzero((lengths == len(END)) & (hashes == hash_words_of(END)))
        is_written = np.array([data[i : i + len(END)] == END for i in starts[at].tolist()], bool)
        is_end = is_end.copy()
        is_end[at[is_written]] = True
    hashes[is_end] = hash_words_of(END)
    tokens = Tokens(starts, lengths, texts, hashes, is_end)
    if END not in data:
        return tokens
    ended = np.cumsum(is_end) - is_end
    first = np.searchsorted(texts, texts)
    return tokens.only(ended == ended[first])


def hash_words_of(word: bytes) -> np.uint32:
    """The hash of one word."""
    codes = np.frombuffer(word, dtype=np.uint8)
    hashed: np.uint32 = hash_words(codes, np.zeros(1, np.int64), np.array([len(word)]))[0]
    return hashed


def _without_dropped(ids: I64, sizes: I64) -> tuple[I64, I64]:
    """(indptr, ids) without the ids below 0."""
    indptr = np.concatenate(([0], np.cumsum(sizes)))
    there = ids >= 0
    if there.all():
        return indptr, ids
    before = np.concatenate(([0], np.cumsum(there)))
    return before[indptr], ids[there]
