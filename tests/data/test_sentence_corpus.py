"""Texts and rows as numbered sentences."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlpcli.data.rows import RowFormat
from nlpcli.data.sentence_corpus import SentenceCorpus, SentenceReader
from nlpcli.data.unit_reading import Reading
from nlpcli.errors import DataError
from nlpcli.text.config import TokenizerConfig


def read(
    path: Path, text: str, *, workers: int = 1, min_count: int = 1, **more: Any
) -> SentenceCorpus:
    path.write_text(text, encoding="utf-8")
    options: dict[str, Any] = {
        "fmt": RowFormat(format="text"), "text_column": "text", "label_column": None,
        "level": "word", "config": TokenizerConfig(word_ngrams=1),
    }  # fmt: skip
    reading = Reading(**{"paths": [str(path)], **options, **more})
    with ThreadPoolExecutor(workers) as pool:
        return SentenceReader(reading, min_count=min_count).read(pool, workers)


def spelled(corpus: SentenceCorpus) -> list[list[str]]:
    ends = np.cumsum(corpus.sizes)
    return [
        [corpus.words[t] for t in corpus.tokens[end - size : end]]
        for size, end in zip(corpus.sizes.tolist(), ends.tolist(), strict=True)
    ]


def test_lines_are_sentences_and_rare_words_unknown(tmp_path: Path) -> None:
    corpus = read(tmp_path / "a", "The cat.\n\n \nthe dog the\n", min_count=2)
    assert corpus.words == ["<unk>", "<s>", "</s>", "the"]
    assert spelled(corpus) == [
        ["<s>", "the", "<unk>", "<unk>", "</s>"],
        ["<s>", "the", "<unk>", "the", "</s>"],
    ]
    assert (corpus.n_unknown, corpus.n_words, corpus.unk_is_word) == (3, 6, False)


def test_unk_in_the_texts_is_the_word_unk(tmp_path: Path) -> None:
    config = TokenizerConfig(word_ngrams=1, segmenter="blank")
    corpus = read(tmp_path / "a", "a <unk> b\nb <unk>\n", config=config)
    assert corpus.words == ["<unk>", "<s>", "</s>", "b", "a"]
    assert spelled(corpus)[0] == ["<s>", "a", "<unk>", "b", "</s>"]
    assert corpus.unk_is_word
    corpus = read(tmp_path / "a", "a <unk> b\nb b\n", config=config, min_count=2)
    assert spelled(corpus)[0] == ["<s>", "<unk>", "<unk>", "b", "</s>"]
    with pytest.raises(DataError, match="the word </s>, which stands for the border"):
        read(tmp_path / "a", "a </s> b\n", config=config)


def test_characters_and_labels(tmp_path: Path) -> None:
    rows = "text,label\nab a,y\n ,x\nba,x\nb,y\n"
    corpus = read(
        tmp_path / "a", rows, level="char", label_column="label", fmt=RowFormat(format="csv")
    )
    assert corpus.labels == ["x", "y"]
    assert corpus.owners is not None and corpus.owners.tolist() == [1, 0, 1]
    assert spelled(corpus)[0] == ["<s>", "a", "b", " ", "a", "</s>"]
    assert len(corpus.sha256) == 64


def test_a_label_of_blank_texts_alone_is_none(tmp_path: Path) -> None:
    rows = "text,label\naa,x\n,y\nba,z\n ,x\nbb,z\n,zz\n"
    for level in ("char", "word"):
        corpus = read(
            tmp_path / "a", rows, level=level, label_column="label", fmt=RowFormat(format="csv")
        )
        assert corpus.labels == ["x", "z"]
        assert corpus.owners is not None and corpus.owners.tolist() == [0, 1, 1]
        assert corpus.n_blank == 3
    assert read(tmp_path / "a", "a\n\nb\n").n_blank == 0


def test_sentences_with_several_labels(tmp_path: Path) -> None:
    more: dict[str, Any] = {"label_column": "label", "fmt": RowFormat(format="csv")}
    rows = "text,label\na b,x\nb a,y\nA b,y\na b,z\nc,x\nc,x\na,x\na b a b,y\nd,x\ne,y\n"
    assert read(tmp_path / "a", rows, **more).n_conflicts() == 1
    assert read(tmp_path / "a", rows + "c,z\n", **more).n_conflicts() == 2
    assert read(tmp_path / "a", rows, min_count=2, **more).n_conflicts() == 1  # d, e: <unk>
    assert read(tmp_path / "a", "a\na\n").n_conflicts() == 0


def test_a_long_line_is_one_sentence_for_any_threads(tmp_path: Path) -> None:
    long = "ab c " * 300_000
    found = [read(tmp_path / "a", f"x y\n{long}\nz\n", workers=n) for n in (1, 2)]
    assert found[0].sizes.tolist() == [4, 600_002, 3]
    assert (found[0].tokens == found[1].tokens).all()
    assert found[0].sha256 == found[1].sha256


def test_skipped_rows_are_told_with_their_file_where_there_are_several(tmp_path: Path) -> None:
    other, told = tmp_path / "b", list[str]()
    other.write_text("text,label\n,\n")
    csv = {"fmt": RowFormat(format="csv", on_error="skip"), "label_column": "label"}
    for paths, wanted in (([], ["the label is blank"]), ([other], ["a: the", "b: the"])):
        told.clear()
        read(
            tmp_path / "a", "text,label\na,x\nb, \n", paths=[str(tmp_path / "a"), *map(str, paths)],
            on_reject=lambda line, reason, row: told.append(reason), **csv,
        )  # fmt: skip
        assert len(told) == len(wanted)
        assert all(end in reason for end, reason in zip(wanted, told, strict=True))


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no words"):
        read(tmp_path / "a", "\n \n")
