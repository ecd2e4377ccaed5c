from __future__ import annotations

from pathlib import Path

import pytest

from nlpcli.data.phrases import PhraseConfig
from nlpcli.errors import CannotCreate, DataError
from nlpcli.runs.corpus import corpus_on_disk
from nlpcli.text.config import TokenizerConfig


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.shown: list[tuple[str, int, int | None]] = []

    def say(self, message: str) -> None:
        self.lines.append(message)

    def warn(self, message: str) -> None:
        self.lines.append(f"warning: {message}")

    def detail(self, message: str) -> None:
        pass

    def progress(self, what: str, done: int, total: int | None, note: str = "") -> None:
        self.shown.append((what, done, total))
        assert note.endswith(" words/s")

    def __enter__(self) -> Heard:
        return self

    def __exit__(self, *error: object) -> None:
        pass


CONFIG = TokenizerConfig(word_ngrams=1)


def test_a_corpus_is_there_in_the_block_and_gone_afterwards(tmp_path: Path) -> None:
    text, place, heard = tmp_path / "text", tmp_path / "place", Heard()
    text.write_bytes(b"a b a\n\xff\nb a c\n")
    place.mkdir()
    with corpus_on_disk([str(text)], CONFIG, place, heard, min_count=2, skip_bad=True) as corpus:
        assert corpus.words == ["a", "b"]
        assert [corpus.words[i] for i in corpus.ids] == ["a", "b", "a", "b", "a"]
        assert len(list(place.iterdir())) == 1
    assert list(place.iterdir()) == []
    assert heard.lines[0] == "warning: 1 bad lines skipped"
    assert heard.lines[1] == (
        "corpus: 6 words; 5 words in 2 sentences are used, 2 different ones of 3"
    )
    assert heard.shown == [("reading words", 6, 6)]


def test_phrases_are_joined_before_rare_words_go(tmp_path: Path) -> None:
    text, heard = tmp_path / "text", Heard()
    text.write_text("".join(f"new york\nnew x{i} york\n" for i in range(9)))
    phrases = PhraseConfig(discount=1, threshold=0.5)
    with corpus_on_disk(
        [str(text)], CONFIG, tmp_path, heard, min_count=2, phrases=phrases
    ) as corpus:
        assert corpus.words == ["new", "new_york", "york"]
        assert corpus.counts.tolist() == [9, 9, 9]
    assert heard.lines[0] == "phrases: 1 that occur 2 times"


def test_nothing_is_left_of_a_corpus_without_words(tmp_path: Path) -> None:
    text, place = tmp_path / "text", tmp_path / "place"
    text.write_text("a b")
    place.mkdir()
    with (
        pytest.raises(DataError, match="no word occurs 2 times"),
        corpus_on_disk([str(text)], CONFIG, place, Heard(), min_count=2),
    ):
        pass
    assert list(place.iterdir()) == []


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(CannotCreate),
        corpus_on_disk(["-"], CONFIG, tmp_path / "none", Heard(), min_count=1),
    ):
        pass
