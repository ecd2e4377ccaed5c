"""64-bit hashes of words and n-grams for a whole chunk, without a loop over words.

A word c_0 … c_m has the polynomial sum_i (c_i + 1) P^i mod 2^64; with prefix sums over the chunk
every substring costs one difference and one product with an inverse power. A multiply-xorshift
finaliser (Steele et al. 2014, SplitMix64) spreads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from nlpcli.text.segment import (
    CJK,
    END,
    LETTER,
    SIGN,
    Codes,
    Segmenter,
    classes,
    code_points,
    word_borders,
)

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

_P = 0x9E3779B97F4A7C15
_P_INVERSE = pow(_P, -1, 2**64)
_NGRAM = 0xD1342543DE82EF95
_SUBWORD = 0x2545F4914F6CDD1D
_MASK = 2**64 - 1
_LESS, _GREATER = ord("<"), ord(">")


def mix(keys: U64) -> U64:
    """SplitMix64's finaliser, element by element; a bijection, so no hash is lost here."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


@cache
def _power_table(bits: int, base: int) -> U64:
    table = np.full(1 << bits, base, dtype=np.uint64)
    table[0] = 1
    return np.multiply.accumulate(table)


def _powers(length: int, base: int) -> U64:
    return _power_table(max(16, int(length).bit_length()), base)


def _prefix_sums(codes: Codes) -> U64:
    """[N + 1]: sum of (c_i + 1) P^i before each position."""
    sums = np.empty(len(codes) + 1, dtype=np.uint64)
    sums[0] = 0
    terms = codes.astype(np.uint64)
    terms += np.uint64(1)
    terms *= _powers(len(codes), _P)[: len(codes)]
    np.cumsum(terms, out=sums[1:])
    return sums


@dataclass(frozen=True)
class Words:
    """The words of a chunk: borders int64 [T], class uint8 [T], document int64 [T], hash [T]."""

    codes: Codes
    starts: I64
    ends: I64
    kinds: npt.NDArray[np.uint8]
    documents: I64
    hashes: U64

    def without_signs(self) -> Words:
        """The same without punctuation and symbols."""
        keep = self.kinds != SIGN
        parts = (self.starts, self.ends, self.kinds, self.documents, self.hashes)
        starts, ends, kinds, documents, hashes = (part[keep] for part in parts)
        return Words(self.codes, starts, ends, kinds, documents, hashes)


def hash_words(joined: str, segmenter: Segmenter) -> Words:
    """Words of a chunk of normalised texts, each text closed by NUL (see normalize.join_texts)."""
    codes = code_points(joined)
    kinds = classes(codes, segmenter)
    starts, ends = word_borders(kinds)
    text_ends = np.flatnonzero(kinds == END)
    borders = np.concatenate(([0], np.searchsorted(starts, text_ends), [len(starts)]))
    documents = np.repeat(np.arange(len(text_ends) + 1), np.diff(borders))
    sums = _prefix_sums(codes)
    hashes = sums[ends]
    hashes -= sums[starts]
    hashes *= _powers(len(codes), _P_INVERSE)[starts]
    return Words(codes, starts, ends, kinds[starts], documents, mix(hashes))


def hash_ngrams(words: Words, n: int) -> tuple[U64, I64]:
    """Hash and document of each run of ``n`` words inside one document, int64 [T']."""
    last = len(words.hashes) - n + 1
    if last <= 0:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    keys = np.full(last, n, dtype=np.uint64)
    for i in range(n):
        keys *= np.uint64(_NGRAM)
        keys += words.hashes[i : i + last]
    whole = words.documents[:last] == words.documents[n - 1 :]
    if not whole.all():
        keys, documents = keys[whole], words.documents[:last][whole]
    else:
        documents = words.documents[:last]
    return mix(keys), documents


def hash_cjk_bigrams(words: Words) -> tuple[U64, I64]:
    """Like ``hash_ngrams`` with n = 2, for neighbouring characters of one CJK run only."""
    cjk = words.kinds == CJK
    pair = cjk[:-1] & cjk[1:] & (words.ends[:-1] == words.starts[1:])
    at = np.flatnonzero(pair)
    keys = np.full(len(at), 2, dtype=np.uint64)
    for i in range(2):
        keys *= np.uint64(_NGRAM)
        keys += words.hashes[at + i]
    return mix(keys), words.documents[at]


def hash_subwords(words: Words, min_n: int, max_n: int) -> tuple[U64, I64]:
    """Hashes and documents of the character n-grams of ``<word>``, for words of letters."""
    chosen = words.kinds == LETTER
    starts, ends, documents = words.starts[chosen], words.ends[chosen], words.documents[chosen]
    if not len(starts):
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    lengths = ends - starts + 2
    begins = np.cumsum(lengths) - lengths
    owner = np.repeat(np.arange(len(starts)), lengths)
    source = np.arange(int(lengths.sum())) + np.repeat(starts - begins - 1, lengths)
    bordered = words.codes[np.clip(source, 0, len(words.codes) - 1)].astype(np.uint32)
    bordered[begins] = _LESS
    bordered[begins + lengths - 1] = _GREATER
    room = np.repeat(begins + lengths, lengths) - np.arange(len(bordered))
    sums = _prefix_sums(bordered)
    inverse = _powers(len(bordered), _P_INVERSE)
    found, where = [], []
    for n in range(max(min_n, 1), max_n + 1):
        fits = room >= n
        if n == 1:
            fits &= (room > 1) & (room < lengths[owner])
        at = np.flatnonzero(fits)
        keys = (sums[at + n] - sums[at]) * inverse[at]
        found.append(mix(keys * np.uint64(_SUBWORD) + np.uint64(n)))
        where.append(documents[owner[at]])
    return np.concatenate(found), np.concatenate(where)


def _mix_one(key: int) -> int:
    key = ((key ^ (key >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    key = ((key ^ (key >> 27)) * 0x94D049BB133111EB) & _MASK
    return key ^ (key >> 31)


def _polynomial(text: str) -> int:
    return sum((ord(c) + 1) * pow(_P, i, 2**64) for i, c in enumerate(text)) & _MASK


def word_hash(word: str) -> int:
    """The hash of one word; what ``hash_words`` computes for it."""
    return _mix_one(_polynomial(word))


def ngram_hash(words: list[str]) -> int:
    """The hash of one run of words; what ``hash_ngrams`` computes for it."""
    key = len(words)
    for word in words:
        key = (key * _NGRAM + word_hash(word)) & _MASK
    return _mix_one(key)


def subword_hash(gram: str) -> int:
    """The hash of one character n-gram (borders written out)."""
    return _mix_one((_polynomial(gram) * _SUBWORD + len(gram)) & _MASK)
