"""Word vectors as word2vec's text or binary file, or GloVe's text; gensim reads them as well."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, shown
from nlpcli.formats.word_vectors import Form

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class VectorBlocks:
    """``count`` words of ``dim`` numbers, some at a time: UTF-8 bytes and float32 [N, D].

    FastText's files may have words that are not UTF-8; they are written as they are.
    """

    count: int
    dim: int
    blocks: Iterable[tuple[list[bytes], F32]]


def write_vectors(vectors: VectorBlocks, stream: BinaryIO, form: Form) -> None:
    """Writes the header, which GloVe's text has not, and all rows.

    Text has as many digits as give the same float32 again.

    Raises DataError for a word that is empty or has blanks, which would not be read as one.
    """
    if form != "glove":
        stream.write(b"%d %d\n" % (vectors.count, vectors.dim))
    line = b" ".join([b"%s"] + [b"%.9g"] * vectors.dim) + b"\n"
    for words, rows in vectors.blocks:
        for word in words:
            if len(word.split()) != 1 or word.strip() != word:
                seen = shown(word.decode("utf-8", "backslashreplace"))
                raise DataError(f"the word {seen!r} is empty or has blanks, which no such file has")
        if form == "word2vec-binary":
            table = np.ascontiguousarray(rows, dtype="<f4")
            records = (
                w + b" " + row.tobytes() + b"\n" for w, row in zip(words, table, strict=True)
            )
        else:
            records = (line % (w, *row) for w, row in zip(words, rows.tolist(), strict=True))
        stream.write(b"".join(records))
