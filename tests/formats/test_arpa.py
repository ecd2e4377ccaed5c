"""ARPA files: a small one by hand, all that can be wrong with one, and what comes back."""

from __future__ import annotations

import contextlib
import gzip
import io
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.batching.ngram_counts import BOS, EOS, NgramCounts
from nlpcli.errors import DataError, UsageError
from nlpcli.formats.arpa import arpa_words, is_arpa, read_arpa, write_arpa
from nlpcli.models.ngram_lm import NgramModel
from nlpcli.models.ngram_smoothing import Smoothing, estimate

GOOD = """made by hand

\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1\t<unk>
-99\t<s>\t-0.5
-0.5 </s>
-0.7\tb\t-0.25
-0.6\ta

\\2-grams:
-0.2\t<s> a
-0.3\tb a
-0.1\tb </s>

\\end\\
"""


def read(tmp_path: Path, text: str | bytes) -> tuple[list[str], NgramModel]:
    path = tmp_path / "file"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_arpa(str(path))


@pytest.mark.parametrize("packed", [False, True])
def test_by_hand(tmp_path: Path, packed: bool) -> None:
    data = GOOD.replace("\n", "\r\n").encode()
    words, model = read(tmp_path, gzip.compress(data) if packed else data)
    assert is_arpa(str(tmp_path / "file"))
    assert words == ["<unk>", "<s>", "</s>", "b", "a"]
    assert (model.order, model.n_words) == (2, 5)
    # <s> a b b </s>: seen, backed off, backed off from b, seen
    scores = model.log10_tokens(np.array([BOS, 4, 3, 3, EOS, BOS, 0, EOS], np.int32))[:, 0]
    assert scores[1:5] == pytest.approx([-0.2, -0.7, -0.25 - 0.7, -0.1])
    assert scores[6:] == pytest.approx([-0.5 - 1, -0.5])


def test_without_unk_an_unknown_word_cannot_be(tmp_path: Path) -> None:
    text = GOOD.replace("-1\t<unk>\n", "").replace("1=5", "1=4")
    _, model = read(tmp_path, text)
    assert model.log10_tokens(np.array([BOS, 0], np.int32))[1, 0] == -math.inf


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("ngram 2=3", "ngram 2=4", "line 19: 3 2-grams, the header says 4"),
        ("ngram 2=3", "ngram 2=2", "line 17: wanted \\end\\"),
        ("ngram 2=3", "ngram 3=3", "line 5: order 3, wanted orders 1 to 6, one after the other"),
        ("ngram 2=3", "ngram 2=999999999999", "line 6: so many n-grams take 6,000,000,000,014"),
        ("ngram 2=3", "ngram two", "line 5: ngram two, wanted ngram N=COUNT"),
        ("ngram 1=5\nngram 2=3\n", "", "line 4: no counts of n-grams"),
        ("\\data\\", "data", "line 20: the file ends before \\data\\: no ARPA"),
        ("\\2-grams:", "\\3-grams:", "line 14: \\3-grams:, wanted \\2-grams:"),
        ("\\end\\\n", "", "line 19: the file ends before \\end\\"),
        ("-0.3\tb a", "-0.3\tb c", "line 16: the word c is not among the 1-grams"),
        ("-0.3\tb a", "-0.3\t<s> a", "line 16: the same 2-gram a second time"),
        ("-0.3\tb a", "-0.3\tb a -1", "line 16: 4 fields, wanted a number, 2 words"),
        ("-0.3\tb a", "-0.3", "line 16: 1 fields, wanted a number, 2 words"),
        ("-0.3\tb a", "nan\tb a", "line 16: nan, wanted the log10 of a probability"),
        ("-0.3\tb a", "0.3\tb a", "line 16: 0.3, wanted the log10 of a probability"),
        ("-0.3\tb a", "x\tb a", "line 16: x, wanted the log10 of a probability"),
        ("-0.3\tb a", "-0.3\tb <s>", "line 16: <s> behind another word, or a word behind </s>"),
        ("-0.7\tb\t-0.25", "-0.7\tb\tinf", "line 11: inf, wanted the log10 of a weight"),
        ("-0.5 </s>", "-0.5 c", "</s> is not among the 1-grams"),
        ("\ta\n", "\tb\n", "line 12: the same 1-gram a second time"),
        ("made by hand", "x" * 70000, "line 1: a line of more than 65,536 bytes"),
        ("made by hand", "\n".join("x" * 1001), "no \\data\\ in 1,000 lines: no ARPA file"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(DataError) as error:
        read(tmp_path, GOOD.replace(old, new))
    assert told in error.value.message, error.value.message
    assert "\n" not in error.value.message


def test_words_that_are_no_utf8(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a word is not UTF-8"):
        read(tmp_path, GOOD.encode().replace(b"b", b"\xff"))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.integers(0, len(GOOD)), st.integers(0, 40))
def test_no_bytes_do_harm(tmp_path_factory: pytest.TempPathFactory, piece: bytes, at: int, n: int):  # type: ignore[no-untyped-def]
    path = tmp_path_factory.getbasetemp() / "harm.arpa"
    data = GOOD.encode()
    path.write_bytes(data[:at] + piece + data[at + n :])
    with contextlib.suppress(DataError):
        words, model = read_arpa(str(path))
        assert model.n_words == len(words)


corpora = st.lists(st.lists(st.integers(3, 7) | st.just(0), min_size=1, max_size=6), min_size=1)


def trained(sentences: list[list[int]], order: int, smoothing: Smoothing) -> NgramModel:
    tokens = np.array([t for s in sentences for t in (BOS, *s, EOS)], np.int32)
    with ThreadPoolExecutor(1) as pool:
        counts = NgramCounts(tokens, 8, order, pool, held_out=np.empty(0, np.int64))
    return NgramModel.from_estimates(counts.levels, estimate(counts, smoothing), 8)


@settings(max_examples=60, deadline=None)
@given(
    corpora, corpora, st.integers(1, 4), st.sampled_from(["backoff", "interpolated", "kneser-ney"])
)
def test_there_and_back(
    tmp_path_factory: pytest.TempPathFactory,
    train: list[list[int]],
    test: list[list[int]],
    order: int,
    smoothing: Smoothing,
) -> None:
    model = trained(train, order, smoothing)
    words = ["<unk>", "<s>", "</s>", "a", "b", "größe", "\u00a0", "-99"]
    path = tmp_path_factory.getbasetemp() / "there.arpa"
    with path.open("wb") as stream:
        write_arpa(model, words, stream)
    names, found = read_arpa(str(path))
    assert set(names) == set(words)
    numbers = np.array([names.index(word) for word in words], np.int32)
    tokens = np.array([t for s in test for t in (BOS, *s, EOS)], np.int32)
    wanted, scores = model.log10_tokens(tokens)[:, 0], found.log10_tokens(numbers[tokens])[:, 0]
    said = tokens != BOS
    assert scores[said] == pytest.approx(wanted[said], abs=1e-6)
    again = io.BytesIO()
    write_arpa(found, names, again)
    assert sorted(again.getvalue().splitlines()) == sorted(path.read_bytes().splitlines())


def test_what_such_a_file_cannot_hold() -> None:
    model = trained([[3, 4]], 2, "laplace")
    with pytest.raises(UsageError, match="holds models that back off"):
        write_arpa(model, ["a"] * 8, io.BytesIO())
    assert arpa_words(["a", " "], characters=True) == ["a", "▁"]
    assert arpa_words(["a", "▁"], characters=True) == ["a", "▁"]
    with pytest.raises(UsageError, match="▁ is one already"):
        arpa_words([" ", "▁"], characters=True)
