"""Unicode form, case and optional cleaning, on whole chunks of texts at once.

Texts are joined by NUL, which no text holds, so that each rule is one pass in C over the chunk.
No rule may look across a NUL: the result must not depend on how texts are chunked.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

BORDER = "\0"
"""Stands between the texts of a chunk."""

_URL = re.compile(r"(?:https?://|www\.)[^\s\0<>\"]+", re.IGNORECASE)
_MENTION = re.compile(r"(?<![\w@])@\w+")
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\ufeff]")
_TAG = re.compile(r"<[a-zA-Z/!][^<>\0]{0,200}>")


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """Switches of the normaliser; saved with the model."""

    unicode_form: Literal["NFC", "NFKC", "none"] = "NFKC"
    lowercase: bool = True
    strip_urls: bool = False
    strip_mentions: bool = False
    strip_html: bool = False
    strip_punctuation: bool = False
    strip_control: bool = False

    def __post_init__(self) -> None:
        for name, value in self.__dict__.items():
            if name != "unicode_form" and type(value) is not bool:
                raise ValueError(f"{name}: {value!r}, not true or false")
        if self.unicode_form not in ("NFC", "NFKC", "none"):
            raise ValueError(f"unicode_form: {self.unicode_form!r}, not NFC, NFKC or none")


def join_texts(texts: Sequence[str], cleaning: Cleaning) -> str:
    """The texts, normalised, each followed by BORDER; equal to normalising them one by one."""
    joined = BORDER.join(texts) + BORDER if texts else ""
    if joined.count(BORDER) != len(texts):
        joined = BORDER.join(t.replace(BORDER, " ") for t in texts) + BORDER
    return normalize_joined(joined, cleaning)


def normalize_text(text: str, cleaning: Cleaning) -> str:
    """One text, normalised."""
    return join_texts([text], cleaning)[:-1]


def normalize_joined(joined: str, cleaning: Cleaning) -> str:
    """Texts that are followed by BORDER each and hold none, normalised."""
    if cleaning.strip_html:
        joined = html.unescape(_TAG.sub(" ", joined))
    if cleaning.strip_urls:
        joined = _URL.sub(" ", joined)
    if cleaning.strip_mentions:
        joined = _MENTION.sub(" ", joined)
    if cleaning.strip_control:
        joined = _CONTROL.sub(" ", joined)
    if cleaning.unicode_form != "none" and not joined.isascii():
        # most texts are ASCII, and telling so is far cheaper than normalising them
        joined = BORDER.join(
            text if text.isascii() else unicodedata.normalize(cleaning.unicode_form, text)
            for text in joined.split(BORDER)
        )
    return joined.lower() if cleaning.lowercase else joined
