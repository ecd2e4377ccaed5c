"""The one splitter: characters -> words, for any script, in numpy.

Runs of letters, marks and digits are words; every sign of punctuation and every symbol is a word
of its own; in scripts written without spaces (Han, kana) every character is a word, so that
character bigrams are word bigrams. Works on code points of a whole chunk (see normalize).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from nlpcli.errors import Unavailable

SPACE: Final = 0
LETTER: Final = 1
SIGN: Final = 2
CJK: Final = 3
END: Final = 4
"""END marks the NUL that closes a text."""

_UNKNOWN: Final = 255
_CJK_RANGES: Final = (
    (0x3005, 0x3007), (0x3040, 0x3096), (0x309D, 0x30FA), (0x30FC, 0x30FF), (0x31F0, 0x31FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
_CJK_RUN = re.compile("[" + "".join(f"{chr(a)}-{chr(b)}" for a, b in _CJK_RANGES) + "]+")
_JOINERS: Final = (0x200C, 0x200D)

Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint32]
Segmenter = Literal["char", "jieba", "blank"]
"""How CJK is cut, by character or by a dictionary; or nothing is but at blanks."""


def is_cjk(code: int) -> bool:
    """Whether a code point belongs to a script written without spaces (Han, kana)."""
    return any(low <= code <= high for low, high in _CJK_RANGES)


def char_class(code: int) -> int:
    """SPACE, LETTER, SIGN, CJK or END for one code point, by its Unicode category."""
    if code == 0:
        return END
    if is_cjk(code):
        return CJK
    if code in _JOINERS:
        return LETTER
    category = unicodedata.category(chr(code))
    if category[0] in "LMN":
        return LETTER
    return SIGN if category[0] in "PS" else SPACE


@cache
def _class_table() -> npt.NDArray[np.uint8]:
    """Classes by code point; beyond ASCII filled in when a character is first met."""
    table = np.full(0x110000, _UNKNOWN, dtype=np.uint8)
    table[:128] = [char_class(c) for c in range(128)]
    return table


def code_points(text: str) -> Codes:
    """Code points of a text: uint8 when all are ASCII, else uint32."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def classes(codes: Codes, segmenter: Segmenter = "char") -> npt.NDArray[np.uint8]:
    """Class of each code point, uint8 [N]; a dictionary makes CJK letters, ``blank`` all signs."""
    table = _class_table()
    found = table[codes]
    unknown = found == _UNKNOWN
    if unknown.any():
        for code in np.unique(codes[unknown]).tolist():
            table[code] = char_class(code)
        found = table[codes]
    if segmenter == "jieba":
        found[found == CJK] = LETTER
    elif segmenter == "blank":
        found[(found == CJK) | (found == SIGN)] = LETTER
    return found


def word_borders(
    kinds: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Start and end (exclusive) of each word, int64 [T], in order."""
    letter = kinds == LETTER
    single = (kinds == SIGN) | (kinds == CJK)
    before = np.empty_like(letter)
    before[:1] = False
    before[1:] = letter[:-1]
    after = np.empty_like(letter)
    after[-1:] = False
    after[:-1] = letter[1:]
    starts = np.flatnonzero((letter & ~before) | single)
    ends = np.flatnonzero((letter & ~after) | single) + 1
    return starts, ends


def segment_dictionary(text: str) -> str:
    """Puts spaces between the words that jieba finds in each run of CJK characters.

    Raises Unavailable when the extra ``chinese`` is not installed.
    """
    try:
        import jieba
    except ImportError:
        raise Unavailable(
            "--segmenter jieba: the package jieba is not installed",
            hint="pip install 'nlpcli[chinese]'",
        ) from None
    jieba.setLogLevel(60)
    return _CJK_RUN.sub(lambda run: f" {' '.join(jieba.lcut(run.group()))} ", text)


def split_words(text: str, segmenter: Segmenter = "char") -> list[str]:
    """Words of one normalised text, as strings; the vectorised path gives the same words."""
    if segmenter == "jieba":
        text = segment_dictionary(text)
    if not text:
        return []
    starts, ends = word_borders(classes(code_points(text), segmenter))
    return [text[s:e] for s, e in zip(starts.tolist(), ends.tolist(), strict=True)]
