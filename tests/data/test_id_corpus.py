from __future__ import annotations

import gzip
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.data import id_files, text_runs
from nlpcli.data.id_corpus import IdCorpus, encode_corpus, hand_over, taken_over
from nlpcli.errors import DataError, InputMissing, OutputFailed
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.normalize import Cleaning, normalize_text
from nlpcli.text.segment import split_words

CONFIG = TokenizerConfig(word_ngrams=1)


def sentences(corpus: IdCorpus) -> list[list[str]]:
    borders = corpus.starts.tolist()
    words = [corpus.words[i] for i in corpus.ids.tolist()]
    return [words[a:b] for a, b in pairwise(borders)]


def expected(texts: list[str], min_count: int) -> tuple[list[list[str]], list[list[str]]]:
    """Sentences and blocks, one line and one word after the other."""
    blocks: list[list[list[str]]] = []
    counts: Counter[str] = Counter()
    for text in texts:
        blocks.append([])
        for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
            words = split_words(normalize_text(line, CONFIG.cleaning))
            counts.update(words)
            blocks[-1].append(words)
            if not words:
                blocks.append([])
    often = {word for word, count in counts.items() if count >= min_count}
    kept = [[[w for w in words if w in often] for words in block] for block in blocks]
    lines = [words for block in kept for words in block if words]
    joined = [[word for words in block for word in words] for block in kept]
    return lines, [block for block in joined if block]


def encode(folder: Path, texts: list[str], min_count: int, workers: int = 2) -> IdCorpus:
    paths = []
    for i, text in enumerate(texts):
        (folder / f"{i}.txt").write_bytes(text.encode())
        paths.append(str(folder / f"{i}.txt"))
    return encode_corpus(paths, CONFIG, folder, min_count=min_count, workers=workers)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("abAB ñÉ我来,.\t\n\r"), max_size=120), min_size=1, max_size=3),
    st.integers(1, 3),
    st.integers(1, 40),
)
def test_words_sentences_and_blocks_are_those_of_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], min_count: int, run: int
) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    lines, blocks = expected(texts, min_count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_runs, "RUN_BYTES", run)
        patch.setattr(id_files, "_CHUNK", 3)
        if not lines:
            with pytest.raises(DataError):
                encode(folder, texts, min_count)
            return
        corpus = encode(folder, texts, min_count)
    assert sentences(corpus) == lines
    assert np.diff(corpus.blocks).tolist() == [len(block) for block in blocks]
    counts = Counter(word for line in lines for word in line)
    by_rank = sorted(counts, key=lambda word: (-counts[word], word.encode()))
    assert corpus.words == by_rank
    assert corpus.counts.tolist() == [counts[word] for word in by_rank]
    assert corpus.ids.dtype == np.int32 and corpus.starts.dtype == np.int64


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_long_line_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(text_runs, "RUN_BYTES", 16)
    monkeypatch.setattr(text_runs, "LONG_LINE", 64)
    line = " ".join(f"word{i}" for i in range(100))
    corpus = encode(tmp_path, [f"short one{end}{line}{end}{end}end"], 1)
    assert sentences(corpus) == [["short", "one"], line.split(), ["end"]]
    assert len(corpus.blocks) == 3


def test_a_long_line_without_blanks_is_cut_between_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_runs, "RUN_BYTES", 16)
    monkeypatch.setattr(text_runs, "LONG_LINE", 32)
    assert sentences(encode(tmp_path, ["我来到北京" * 20], 1)) == [list("我来到北京" * 20)]


def test_packed_files_and_threads_change_nothing(tmp_path: Path) -> None:
    text = "\n".join(f"the {i % 7} of {i}" for i in range(5000))
    (tmp_path / "plain.txt").write_text(text)
    (tmp_path / "packed").write_bytes(gzip.compress(text.encode()))
    found = []
    for name, workers in (("plain.txt", 1), ("plain.txt", 3), ("packed", 2)):
        folder = tmp_path / f"{name}{workers}"
        folder.mkdir()
        path = str(tmp_path / name)
        corpus = encode_corpus([path], CONFIG, folder, min_count=2, workers=workers)
        found.append((corpus.ids.tobytes(), corpus.starts.tobytes(), corpus.words, corpus.sha256))
    assert found[0] == found[1] == found[2]


def test_the_identity_tells_data_and_options_apart(tmp_path: Path) -> None:
    plain = encode(tmp_path, ["a b c a b c"], 1).sha256
    assert encode(tmp_path, ["a b c a b c"], 1).sha256 == plain
    assert encode(tmp_path, ["a b c a b d"], 1).sha256 != plain
    assert encode(tmp_path, ["a b c a b c"], 2).sha256 != plain
    keep_case = TokenizerConfig(word_ngrams=1, cleaning=Cleaning(lowercase=False))
    path = str(tmp_path / "0.txt")
    assert encode_corpus([path], keep_case, tmp_path, min_count=1).sha256 != plain


def test_too_many_different_words_and_the_rarest_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_runs, "RUN_BYTES", 200)
    text = "\n".join(f"often rare{i} often" for i in range(200))
    (tmp_path / "text").write_text(text)
    corpus = encode_corpus([str(tmp_path / "text")], CONFIG, tmp_path, min_count=2, most_words=50)
    assert corpus.words == ["often"]
    assert corpus.counts.tolist() == [400]
    assert corpus.forgotten >= 1
    assert corpus.n_raw == 600
    assert np.diff(corpus.starts).tolist() == [2] * 200


def test_nothing_above_the_count_is_told_with_the_counts(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        encode(tmp_path, ["a b c a"], 5)
    assert "no word occurs 5 times; 4 words, 3 different ones" in caught.value.message
    assert "the most frequent occurs 2 times" in caught.value.message
    assert caught.value.hint == "--min-count 2"
    with pytest.raises(DataError, match="no words"):
        encode(tmp_path, ["\n \n"], 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ab\r\nc\xff d\n", "line 2 byte 2: invalid UTF-8 (0xff)"),
        (b"\xef\xbb\xbfc\x00 d\n", "line 1 byte 5: a NUL"),
        (b"x y z\n" * 9 + b"c\xff", "line 10 byte 2: invalid UTF-8 (0xff)"),
        (b"x y z " * 30 + b"c\xff", "line 1 byte 182: invalid UTF-8 (0xff)"),
        ("a b\n".encode("utf-16"), "looks like UTF-16, wanted UTF-8"),
    ],
)
def test_bad_bytes_are_told_with_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, message: str
) -> None:
    monkeypatch.setattr(text_runs, "RUN_BYTES", 16)
    monkeypatch.setattr(text_runs, "LONG_LINE", 32)
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(DataError) as caught:
        encode_corpus([str(tmp_path / "bad")], CONFIG, tmp_path, min_count=1)
    assert message in caught.value.message


def test_bad_lines_are_skipped_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"a b\nc \xff d\r\na\x00\na c\n")
    corpus = encode_corpus([str(tmp_path / "bad")], CONFIG, tmp_path, min_count=1, skip_bad=True)
    assert sentences(corpus) == [["a", "b"], ["a", "c"]]
    assert corpus.n_skipped == 2


def test_skipped_lines_are_told_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_runs, "RUN_BYTES", 16)
    monkeypatch.setattr(text_runs, "LONG_LINE", 32)
    files = [tmp_path / "one", tmp_path / "two"]
    files[0].write_bytes(b"\xef\xbb\xbfc\x00\n" + b"x y z\n" * 9 + b"c \xff d\r\na c\n")
    files[1].write_bytes(b"x y z " * 30 + b"c\xff")
    told: list[tuple[int, str, str]] = []
    corpus = encode_corpus(
        [str(path) for path in files], CONFIG, tmp_path, min_count=1, skip_bad=True,
        on_reject=lambda *what: told.append(what),
    )  # fmt: skip
    assert corpus.n_skipped == len(told) == 3
    assert [line for line, _, _ in told] == [1, 11, 1]
    assert [reason for _, reason, _ in told] == [
        f"{files[0]}: byte 5: a NUL", f"{files[0]}: byte 3: invalid UTF-8 (0xff)",
        f"{files[1]}: byte 182: invalid UTF-8 (0xff)",
    ]  # fmt: skip
    assert told[1][2] == "c \udcff d"
    told.clear()
    encode_corpus(
        [str(files[0])], CONFIG, tmp_path, min_count=1, skip_bad=True,
        on_reject=lambda *what: told.append(what),
    )  # fmt: skip
    assert told[0] == (1, "byte 5: a NUL", "c\0")


def test_a_missing_file_and_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputMissing):
        encode_corpus([str(tmp_path / "none")], CONFIG, tmp_path, min_count=1)
    (tmp_path / "text").write_text("a")
    with pytest.raises(OutputFailed):
        encode_corpus([str(tmp_path / "text")], CONFIG, tmp_path / "none", min_count=1)


def test_progress_is_told_and_may_stop_it(tmp_path: Path) -> None:
    told: list[tuple[int, float | None]] = []
    (tmp_path / "text").write_text("a b c\n" * 100_000)
    path = str(tmp_path / "text")
    corpus = encode_corpus(
        [path], CONFIG, tmp_path, min_count=1, progress=lambda *seen: told.append(seen)
    )
    assert told[-1] == (corpus.n_raw, 1.0) and len(told) > 1

    def stop(words: int, share: float | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_corpus([path], CONFIG, tmp_path, min_count=1, progress=stop)


def test_another_process_takes_the_corpus_over(tmp_path: Path) -> None:
    corpus = encode(tmp_path, ["我 a b\nñ a \u2028\x1f b\n\nb"], 1)
    hand_over(corpus, tmp_path)
    taken = taken_over(tmp_path)
    assert sentences(taken) == sentences(corpus) and taken.words == corpus.words
    assert taken.counts.tolist() == corpus.counts.tolist() and taken.counts.dtype == np.int64
    assert (taken.n_raw, taken.sha256) == (corpus.n_raw, corpus.sha256)
    with pytest.raises(InputMissing, match="elsewhere"):
        taken_over(tmp_path / "elsewhere")
