"""WordPiece: texts -> numbers of pieces of words, equal to the ``tokenizers`` library and faster.

The library cuts every word anew. Here each different word of ASCII letters and digits, each other
stretch between blanks and each Chinese character is cut once and remembered. A text that holds
what the library would see across such borders goes to the library as a whole.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError
from nlpcli.text.wordpiece_file import (
    SPECIALS,
    Parts,
    build,
    parts_of_json,
    parts_of_vocab,
)
from nlpcli.text.wordpiece_training import learn_pieces
from nlpcli.text.wordpiece_words import WordCutter, WordSplitter, count_words

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """Pieces of B texts: ``ids`` int32 [T], those of text i from ``indptr``[i], int64 [B + 1]."""

    ids: I32
    indptr: I64

    def __len__(self) -> int:
        return len(self.indptr) - 1


@dataclass(frozen=True)
class WordPieces(Ragged):
    """Pieces and what they stand for.

    ``words`` int32 [T]: the word of its text that a piece belongs to. ``spans`` int32 [T, 2]: its
    first character and the one behind its last, of the text, or of the word where words were given.
    """

    words: I32
    spans: I32


class WordPieceTokenizer:
    """Cuts texts as BERT does: cleaned, Chinese characters apart, words into their longest pieces.

    ``vocab`` names the pieces by id; ``pad``, ``unk``, ``cls``, ``sep`` and ``mask`` are ids;
    ``continues`` bool [V]: pieces that go on a word, written with ## in front. May be used by
    several threads.
    """

    def __init__(self, library: Tokenizer, lowercase: bool) -> None:
        self._library, self.lowercase = library, lowercase
        numbers = library.get_vocab(with_added_tokens=True)
        self.vocab = sorted(numbers, key=numbers.__getitem__)
        self.pad, self.unk, self.cls, self.sep, self.mask = (numbers[name] for name in SPECIALS)
        self.continues = np.array([piece.startswith("##") for piece in self.vocab], bool)
        self._lock = threading.Lock()
        added = list(library.get_added_tokens_decoder().values())
        cleaning = json.loads(library.normalizer.__getstate__())
        # a piece that is looked for in cleaned text may stand where the text itself has none
        may_cut = cleaning["clean_text"] and cleaning["handle_chinese_chars"]
        may_cut = may_cut and not any(piece.normalized for piece in added)
        marks = [piece.content for piece in added]
        self._words = WordCutter(library, WordSplitter(marks, lowercase, may_cut=may_cut))

    @staticmethod
    def train(
        texts: Iterable[str],
        vocab_size: int,
        *,
        lowercase: bool = True,
        min_frequency: int = 2,
        most_bytes: int = 1 << 28,
    ) -> WordPieceTokenizer:
        """Learns pieces from texts, ``most_bytes`` of them; the same for the same texts.

        [PAD], [UNK], [CLS], [SEP] and [MASK] have the ids 0 to 4. ``lowercase`` takes accents away
        too. There are less than ``vocab_size`` pieces where the texts give no more that occur
        ``min_frequency`` times; words over 100 characters are left out. Raises DataError
        when the texts have no word, ValueError for a size below 6.
        """
        if vocab_size <= len(SPECIALS):
            raise ValueError(f"vocab_size: {vocab_size}, wanted more than {len(SPECIALS)}")
        bare = Parts({name: number for number, name in enumerate(SPECIALS)}, lowercase, None)
        library = build(bare, "a new vocabulary")
        counts = count_words(texts, library, lowercase=lowercase, most_bytes=most_bytes)
        if not counts:
            raise DataError("no words to learn a vocabulary from")
        pieces = learn_pieces(counts, vocab_size, min_frequency)
        return WordPieceTokenizer.from_vocab(pieces, lowercase=lowercase, where="a new vocabulary")

    @staticmethod
    def from_json(data: bytes, where: str) -> WordPieceTokenizer:
        """Reads a ``tokenizer.json``; what it says of truncation and padding is left out.

        Ids stay as they are. Raises DataError for what is not a WordPiece model that cuts texts
        as BERT does, or lacks a special piece.
        """
        parts = parts_of_json(data, where)
        return WordPieceTokenizer(build(parts, where), parts.lowercase)

    @staticmethod
    def from_vocab(
        lines: Iterable[str],
        *,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        where: str = "vocab.txt",
    ) -> WordPieceTokenizer:
        """Reads a list of pieces, one a line, cut at LF alone; a line's number is the id.

        ``strip_accents``: as ``lowercase`` unless said. Raises DataError for pieces that occur
        twice, empty lines but the last and a missing special piece.
        """
        parts = parts_of_vocab(lines, lowercase, strip_accents, where)
        return WordPieceTokenizer(build(parts, where), lowercase)

    def to_json(self) -> bytes:
        """As ``tokenizer.json``; the same bytes for the same pieces and options."""
        return self._library.to_str().encode()

    @property
    def n_pieces(self) -> int:
        """V, specials and all."""
        return len(self.vocab)

    def __len__(self) -> int:
        return len(self.vocab)

    def encode(self, texts: Sequence[str]) -> Ragged:
        """The pieces of each text, without [CLS] and [SEP].

        What stands between special pieces that a text spells out is found, as by the library.
        """
        with self._lock:
            numbers, sizes, table = self._words.numbers(texts)
        pieces = table.sizes[numbers]
        ends = np.zeros(len(numbers) + 1, np.int64)
        np.cumsum(pieces, out=ends[1:])
        at = np.repeat(table.starts[numbers] - ends[:-1], pieces)
        at += np.arange(len(at))
        borders = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(sizes, out=borders[1:])
        return Ragged(table.pieces[at], ends[borders])

    def encode_words(self, texts: Sequence[str]) -> WordPieces:
        """Pieces with the word that each belongs to and its place in the text as it was given.

        A word is a stretch between blanks and punctuation, a punctuation mark or a Chinese
        character.
        """
        found = self._library.encode_batch(list(texts), add_special_tokens=False)
        return _with_places(found)

    def encode_tokens(self, sentences: Sequence[Sequence[str]]) -> WordPieces:
        """The pieces of words that are cut already; a word may have none."""
        found = self._library.encode_batch(
            [list(words) for words in sentences], is_pretokenized=True, add_special_tokens=False
        )
        return _with_places(found)


def _with_places(found: Sequence[Encoding]) -> WordPieces:
    sizes = np.fromiter(map(len, found), np.int64, len(found))
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])

    def joined(lists: Iterable[Iterable[Any]]) -> I32:
        return np.fromiter(chain.from_iterable(lists), np.int32)

    spans = joined(chain.from_iterable(each.offsets) for each in found)
    return WordPieces(
        joined(each.ids for each in found),
        indptr,
        joined(each.word_ids for each in found),
        spans.reshape(-1, 2),
    )
