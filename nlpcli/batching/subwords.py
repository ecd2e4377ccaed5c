"""Words -> rows of their character n-grams in a hashed table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlpcli.text.subwords import subwords

I64 = npt.NDArray[np.int64]


def subword_bags(words: Sequence[str], min_n: int, max_n: int, buckets: int) -> tuple[I64, I64]:
    """The bucket of each n-gram of each ``<word>``, by where it begins, then by length.

    Gives ``indptr`` int64 [N + 1] and ``ids`` int64 [indptr[-1]]: word i has ``ids[indptr[i] :
    indptr[i + 1]]``. Bojanowski et al. 2017, section 3.2, with fastText's FNV-1a hash modulo
    ``buckets``; a word of which no n-gram is long enough has none.
    """
    raw = [word.encode("utf-8", "surrogatepass") for word in words]
    lengths = np.fromiter(map(len, raw), dtype=np.int64, count=len(raw))
    codes = np.frombuffer(b"".join(raw), dtype=np.uint8)
    counts, hashes = subwords(codes, np.cumsum(lengths) - lengths, lengths, min_n, max_n)
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    return indptr, hashes.astype(np.int64) % buckets
