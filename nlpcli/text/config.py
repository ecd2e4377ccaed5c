"""What a text is cut into: the configuration of the tokenizer, saved with every model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from nlpcli.errors import DataError, shown
from nlpcli.text.normalize import Cleaning
from nlpcli.text.segment import Segmenter


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """What a text is cut into. ``word_ngrams`` is the longest run of words; character n-grams
    have ``min_n`` to ``max_n`` characters, none when ``max_n`` is 0. ``chosen``: only features of a
    list have rows."""

    cleaning: Cleaning = field(default_factory=Cleaning)
    segmenter: Segmenter = "char"
    word_ngrams: int = 2
    min_n: int = 0
    max_n: int = 0
    min_count: int = 1
    buckets: int | None = None
    chosen: bool = False

    def __post_init__(self) -> None:
        for name in ("word_ngrams", "min_n", "max_n", "min_count", "buckets"):
            value = getattr(self, name)
            if type(value) is not int and not (name == "buckets" and value is None):
                raise ValueError(f"{name}: {value!r}, not a whole number")
        if self.segmenter not in ("char", "jieba", "blank"):
            raise ValueError(f"segmenter: {self.segmenter!r}, not char, jieba or blank")
        if type(self.chosen) is not bool:
            raise ValueError(f"chosen: {self.chosen!r}, not true or false")
        if not 1 <= self.word_ngrams <= 8:
            raise ValueError(f"word_ngrams: {self.word_ngrams}, not 1 to 8")
        if not 0 <= self.min_n <= self.max_n <= 32:
            raise ValueError(f"min_n, max_n: {self.min_n}, {self.max_n}, not 0 <= min <= max <= 32")
        if self.min_count < 1:
            raise ValueError(f"min_count: {self.min_count}, not 1 or more")
        if self.buckets is not None and not 1 <= self.buckets <= 2**31:
            raise ValueError(f"buckets: {self.buckets}, not 1 to 2^31")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        values = asdict(self)
        if not self.chosen:  # so that what was saved before still compares
            del values["chosen"]
        return values

    @staticmethod
    def from_json(values: dict[str, Any]) -> TokenizerConfig:
        """The inverse of ``to_json``; DataError when a value does not fit."""
        try:
            return TokenizerConfig(**{**values, "cleaning": Cleaning(**values["cleaning"])})
        except (TypeError, KeyError, ValueError) as error:
            raise DataError(f"tokenizer configuration: {shown(str(error), 120)}") from None
