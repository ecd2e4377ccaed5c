"""A list of words as a file of a model: a word a line, UTF-8."""

from __future__ import annotations

from collections.abc import Sequence

from nlpcli.errors import DataError


def joined_words(words: Sequence[str], where: str) -> bytes:
    """The file's bytes. Raises DataError for a word that would not be read again."""
    try:
        text = "".join(f"{word}\n" for word in words).encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: a word is not UTF-8") from None
    if text.count(b"\n") != len(words):
        raise DataError(f"{where}: a word has a line's end in it")
    return text


def split_words(text: bytes, where: str) -> list[str]:
    """The words. Raises DataError for bytes that are no such file."""
    try:
        words = text.decode().split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: byte {error.start + 1}: invalid UTF-8") from None
    if words.pop():
        raise DataError(f"{where}: the last line has no end")
    return words
