from __future__ import annotations

import gzip
import hashlib
import os
import threading
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.data import piece_corpus, text_runs
from nlpcli.data.piece_corpus import (
    KeptText,
    PieceCorpus,
    encode_pieces,
    keep_texts,
    sample_texts,
)
from nlpcli.errors import DataError, InputMissing, OutputFailed
from nlpcli.text.wordpiece import WordPieceTokenizer
from nlpcli.text.wordpiece_file import SPECIALS

TOKENIZER = WordPieceTokenizer.from_vocab([*SPECIALS, "a", "b", "##b", "我", "来", ".", "word"])


def lines_of(corpus: PieceCorpus) -> list[list[int]]:
    pieces = corpus.pieces.tolist()
    return [pieces[a:b] for a, b in pairwise(corpus.lines.tolist())]


def documents_of(corpus: PieceCorpus) -> list[list[int]]:
    pieces = corpus.pieces.tolist()
    return [pieces[a:b] for a, b in pairwise(corpus.documents.tolist())]


def expected(texts: list[str]) -> list[list[list[int]]]:
    """Documents of lines, one line after the other."""
    documents: list[list[list[int]]] = []
    for text in texts:
        documents.append([])
        for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
            pieces = TOKENIZER.encode([line]).ids.tolist()
            if pieces:
                documents[-1].append(pieces)
            else:
                documents.append([])
    filled = [document for document in documents if document]
    for document in filled:
        document[-1].append(TOKENIZER.sep)
    return filled


def encode(folder: Path, texts: list[str], workers: int | None = None) -> PieceCorpus:
    paths = []
    for i, text in enumerate(texts):
        (folder / f"{i}.txt").write_bytes(text.encode())
        paths.append(str(folder / f"{i}.txt"))
    return encode_pieces(paths, TOKENIZER, folder, workers=workers)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.text("ab 我来é.\t\n\r\x0b", max_size=80), min_size=1, max_size=3),
    st.integers(1, 40),
    st.sampled_from([1, 2]),
)
def test_pieces_lines_and_documents_are_those_of_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], run: int, workers: int
) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    wanted = expected(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_runs, "RUN_BYTES", run)
        if not wanted:
            with pytest.raises(DataError, match="no text"):
                encode(folder, texts, workers)
            return
        corpus = encode(folder, texts, workers)
    assert lines_of(corpus) == [line for document in wanted for line in document]
    assert documents_of(corpus) == [[*chain(*document)] for document in wanted]
    assert corpus.pieces.dtype == np.uint16
    assert corpus.lines.dtype == corpus.documents.dtype == np.int64
    assert corpus.n_unknown == np.count_nonzero(corpus.pieces == TOKENIZER.unk)


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.sampled_from("ab \n"), max_size=90),
    st.integers(1, 6),
    st.integers(6, 12),
)
def test_lines_in_parts_are_put_together(
    tmp_path_factory: pytest.TempPathFactory, text: str, run: int, long_line: int
) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    spaced = " ".join(text)  # so that a cut changes no word
    wanted = expected([spaced])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_runs, "RUN_BYTES", run)
        patch.setattr(text_runs, "LONG_LINE", long_line)
        if not wanted:
            return
        corpus = encode(folder, [spaced])
    assert lines_of(corpus) == [line for document in wanted for line in document]
    assert documents_of(corpus) == [[*chain(*document)] for document in wanted]


@pytest.mark.parametrize("filling", ["word ", "我来", "a.b"])
def test_a_line_of_many_megabytes_is_one_line(tmp_path: Path, filling: str) -> None:
    line = filling * (3_000_000 // len(filling.encode()))
    corpus = encode(tmp_path, [f"a\n{line}\nb"])
    assert corpus.lines.tolist() == [0, 1, len(corpus.pieces) - 2, len(corpus.pieces)]
    assert len(corpus.documents) == 2


def test_packed_files_and_threads_change_nothing(tmp_path: Path) -> None:
    text = "\n".join(f"word {'ab' * (i % 7)} of {i}" * (i % 3) for i in range(20_000))
    (tmp_path / "plain.txt").write_text(text)
    (tmp_path / "packed").write_bytes(gzip.compress(text.encode()))
    found = []
    for name, workers in (("plain.txt", 1), ("plain.txt", 3), ("packed", None)):
        corpus = encode_pieces([str(tmp_path / name)], TOKENIZER, tmp_path, workers=workers)
        parts = (corpus.pieces, corpus.lines, corpus.documents)
        found.append(([hashlib.sha256(part.tobytes()).digest() for part in parts], corpus.sha256))
    assert found[0] == found[1] == found[2]


def test_the_identity_tells_texts_and_tokenizers_apart(tmp_path: Path) -> None:
    plain = encode(tmp_path, ["a b"]).sha256
    assert encode(tmp_path, ["a b"]).sha256 == plain
    assert encode(tmp_path, ["a a"]).sha256 != plain
    other = WordPieceTokenizer.from_vocab([*SPECIALS, "a", "b"])
    assert encode_pieces([str(tmp_path / "0.txt")], other, tmp_path).sha256 != plain


def test_a_large_vocabulary_needs_wide_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert piece_corpus.SMALL_VOCABULARY == 65_536
    monkeypatch.setattr(piece_corpus, "SMALL_VOCABULARY", len(TOKENIZER))
    assert encode(tmp_path, ["我 a"]).pieces.dtype == np.uint16
    monkeypatch.setattr(piece_corpus, "SMALL_VOCABULARY", len(TOKENIZER) - 1)
    corpus = encode(tmp_path, ["我 a"])
    assert corpus.pieces.dtype == np.int32
    assert corpus.pieces.tolist() == [8, 5, TOKENIZER.sep]


def test_nothing_in_the_corpus_is_told_with_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0\.txt: no text"):
        encode(tmp_path, ["\n \n\t"])
    with pytest.raises(DataError, match="2 files: no text"):
        encode(tmp_path, ["", "\n"])
    with pytest.raises(InputMissing):
        encode_pieces([str(tmp_path / "none")], TOKENIZER, tmp_path)


def test_bytes_that_are_not_utf8_are_told_with_their_place_or_skipped(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a\nb\nb\xff b\nab\n")
    with pytest.raises(DataError, match=r"line 3 byte 2: invalid UTF-8 \(0xff\)"):
        encode_pieces([str(path)], TOKENIZER, tmp_path)
    corpus = encode_pieces([str(path)], TOKENIZER, tmp_path, skip_bad=True)
    assert corpus.n_skipped == 1
    assert [len(line) for line in lines_of(corpus)] == [1, 1, 3]
    assert len(corpus.documents) == 2


def test_runs_of_bad_lines_alone_are_no_border(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_runs, "RUN_BYTES", 2)
    path = tmp_path / "x"
    path.write_bytes(b"a\n\xff\n\xff\nb\n")
    corpus = encode_pieces([str(path)], TOKENIZER, tmp_path, skip_bad=True)
    assert documents_of(corpus) == [[5, 6, TOKENIZER.sep]]


def test_progress_says_pieces_and_the_share_and_may_stop_it(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("word\n" * 200_000)
    seen: list[tuple[int, float | None]] = []

    def stop(n_pieces: int, share: float | None) -> None:
        seen.append((n_pieces, share))
        if n_pieces > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_pieces([str(tmp_path / "x")], TOKENIZER, tmp_path, progress=stop)
    assert [n for n, _ in seen] == sorted(n for n, _ in seen)
    assert all(share is not None and 0 < share <= 1 for _, share in seen)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("name", [piece_corpus.PIECES, piece_corpus.LINES])
def test_a_full_disk_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(OutputFailed, match="No space left"):
        encode(tmp_path, ["a\nb\n" * 100_000])


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a")
    with pytest.raises(OutputFailed, match="No such file"):
        encode_pieces([str(tmp_path / "x")], TOKENIZER, tmp_path / "none")


# --- reading twice, and samples -----------------------------------------------------------


def test_a_pipe_is_kept_and_read_twice(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    packed = gzip.compress(b"a b\n\nb\n")
    writer = threading.Thread(target=pipe.write_bytes, args=(packed,))
    writer.start()
    plain = tmp_path / "plain"
    plain.write_text("b")
    kept = keep_texts([str(pipe), str(plain)], tmp_path)
    writer.join()
    assert kept[1] == KeptText(str(plain), str(plain))
    assert list(sample_texts(kept, 100)) == ["a b", "b", "b"]
    assert [len(x) for x in documents_of(encode_pieces(kept, TOKENIZER, tmp_path))] == [3, 2, 2]


def test_messages_name_what_was_kept_as_it_was_called(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(DataError, match=r"^<stdin> line 1"):
        list(sample_texts([KeptText(str(tmp_path / "x"), "<stdin>")], 100))
    with pytest.raises(DataError, match=r"^<stdin> line 1"):
        encode_pieces([KeptText(str(tmp_path / "x"), "<stdin>")], TOKENIZER, tmp_path)
    with pytest.raises(DataError, match=r"^<stdin>: no text"):
        encode_pieces([KeptText(str(tmp_path / "empty"), "<stdin>")], TOKENIZER, tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=3),
    st.integers(20, 400),
    st.integers(1, 99),
)
def test_a_sample_is_spread_evenly(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], most: int, run: int
) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    lines = [[f"file {i} line {j:02}" for j in range(size)] for i, size in enumerate(sizes)]
    paths = []
    for i, some in enumerate(lines):
        (folder / str(i)).write_text("\n\n".join(some))
        paths.append(str(folder / str(i)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_runs, "RUN_BYTES", run)
        found = list(sample_texts(paths, most))
    every = [*chain(*lines)]
    step = next(s for s in (2**n for n in range(9)) if 15 * len(every[::s]) <= max(most, 15))
    assert found == every[::step]
