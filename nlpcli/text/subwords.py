"""FNV-1a of words and of their character n-grams, as fastText takes them, vectorised.

32 bits over bytes that are sign-extended as int8 are (Dictionary::hash and computeSubwords in
dictionary.cc of fastText 0.9.2; Bojanowski et al. 2017, Enriching Word Vectors with Subword
Information, section 3.2).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]

_BASIS, _PRIME = 2166136261, 16777619
_LONG = 256
"""Bytes of a word up to which all words are hashed side by side."""
_LESS, _GREATER = ord("<"), ord(">")


def signed(codes: U8) -> U32:
    """Bytes as the program adds them: 128 and more are negative."""
    return codes.view(np.int8).astype(np.int32).view(np.uint32)


def hash_words(codes: U8, starts: I64, lengths: I64) -> U32:
    """Hash of each word ``codes[start : start + length]``, uint32 [T]."""
    hashes = np.full(len(starts), _BASIS, dtype=np.uint32)
    values = signed(codes)
    order = np.argsort(-lengths, kind="stable")  # the words of more than k bytes come first
    ascending = lengths[order][::-1]
    ranked = starts[order]
    longest = min(int(lengths.max(initial=0)), _LONG)
    work = hashes[order]
    for k in range(longest):
        n = len(order) - int(np.searchsorted(ascending, k, side="right"))
        work[:n] ^= values[ranked[:n] + k]
        work[:n] *= np.uint32(_PRIME)
    hashes[order] = work
    for i in np.flatnonzero(lengths > _LONG).tolist():
        begin, end = int(starts[i]), int(starts[i] + lengths[i])
        hashes[i] = _hash_on(int(hashes[i]), values[begin + _LONG : end])
    return hashes


def _hash_on(value: int, codes: U32) -> int:
    for code in codes.tolist():
        value = ((value ^ code) * _PRIME) & 0xFFFFFFFF
    return value


def spread(begins: I64, counts: I64) -> I64:
    """begin, begin + 1, … for each begin, ``count`` of them: int64 [sum of counts]."""
    total = int(counts.sum())
    skipped = np.cumsum(counts) - counts
    result: I64 = np.arange(total) + np.repeat(begins - skipped, counts)
    return result


def subwords(codes: U8, starts: I64, lengths: I64, minn: int, maxn: int) -> tuple[I64, U32]:
    """N-grams of code points of ``<word>``: how many each word has, int64 [T]; all hashes.

    They come by word, then by where they begin, then by length, so that a word's lie together.
    ``<`` and ``>`` alone are none. A byte that continues a code point starts no n-gram.
    """
    bordered, begins = _bordered(codes, starts, lengths)
    leads = np.flatnonzero((bordered & 0xC0) != 0x80)
    sizes = np.diff(leads, append=len(bordered))
    words = np.searchsorted(begins, leads, side="right") - 1
    firsts = np.searchsorted(leads, begins)
    lasts = np.append(firsts[1:], len(leads))[words]
    room = lasts - np.arange(len(leads))
    shortest = np.full(len(leads), max(minn, 1))
    if minn <= 1:
        shortest[firsts] = 2
        shortest[lasts[firsts] - 1] = 2
    counts = np.maximum(np.minimum(room, maxn) - shortest + 1, 0)
    places = np.cumsum(counts) - counts
    values = signed(bordered)
    out = np.empty(int(counts.sum()), dtype=np.uint32)
    active, hashes = np.arange(len(leads)), np.full(len(leads), _BASIS, dtype=np.uint32)
    for n in range(1, maxn + 1):
        fits = room[active] >= n
        active, hashes = active[fits], hashes[fits]
        if not len(active):
            break
        _hash_character(hashes, values, leads, sizes, active + n - 1)
        whole = n >= shortest[active]
        chosen = active[whole]
        out[places[chosen] + n - shortest[chosen]] = hashes[whole]
    return np.bincount(words, counts, len(starts)).astype(np.int64), out


def _hash_character(hashes: U32, values: U32, leads: I64, sizes: I64, characters: I64) -> None:
    """Goes on with each hash over all bytes of one character, in place."""
    at, size = leads[characters], sizes[characters]
    hashes ^= values[at]
    hashes *= np.uint32(_PRIME)
    for k in range(1, int(size.max(initial=1))):
        more = np.flatnonzero(size > k)
        hashes[more] = (hashes[more] ^ values[at[more] + k]) * np.uint32(_PRIME)


def _bordered(codes: U8, starts: I64, lengths: I64) -> tuple[U8, I64]:
    """The words as ``<word>``, one after the other, and where each begins."""
    widths = lengths + 2
    begins = np.cumsum(widths) - widths
    out = np.empty(int(widths.sum()), dtype=np.uint8)
    out[begins], out[begins + widths - 1] = _LESS, _GREATER
    out[spread(begins + 1, lengths)] = codes[spread(starts, lengths)]
    return out, begins
