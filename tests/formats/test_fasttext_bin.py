"""fastText files read and written: byte for byte, and with suspicion."""

from __future__ import annotations

import io
import os
import random
import struct
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nlpcli.errors import DataError, InputMissing, NlpcliError
from nlpcli.formats.fasttext_bin import (
    describe_fasttext,
    is_fasttext,
    read_fasttext,
    write_fasttext,
)
from nlpcli.formats.fasttext_dictionary import Dictionary
from nlpcli.formats.fasttext_model import open_fasttext

from .written import HS, OVA, Spec

WORDS = [b"</s>", b"the", b"\xff\x80 \n", "中文".encode(), b""]
LABELS = [b"__label__x", b"__label__y", b"__label__z"]
TEXTS = ["the cat 中文", "", "the unknown"]
PLAIN = Spec(WORDS, LABELS)
FULL = Spec(WORDS, LABELS, minn=1, maxn=3, word_ngrams=2, bucket=11)
TREE = Spec(WORDS, LABELS, loss=HS)
SMALL_PQ = Spec(WORDS, LABELS, loss=OVA, dim=3, dsub=2, qnorm=True, qout=True)
PRUNED = Spec(
    WORDS, LABELS, minn=1, maxn=2, bucket=9, dim=2, dsub=2, qnorm=True, pruned=[(7, 1), (2, 0)]
)
VECTORS = Spec(WORDS, [], model=2, loss=2, minn=1, maxn=2, bucket=5)
SPECS = [PLAIN, FULL, TREE, SMALL_PQ, PRUNED, VECTORS]
ARGUMENTS_END = 64
"""Bytes of magic number, version and arguments."""


def stored(data: bytes, folder: Path) -> Path:
    path = folder / "model.bin"
    path.write_bytes(data)
    return path


def refused(data: bytes, folder: Path) -> str:
    path = stored(data, folder)
    with pytest.raises(DataError) as caught:
        open_fasttext(path)
    assert caught.value.message.startswith(f"{path}: ")
    return caught.value.message


@pytest.mark.parametrize("spec", SPECS)
def test_a_file_comes_out_as_it_went_in(spec: Spec, tmp_path: Path) -> None:
    data, copy = spec.to_bytes(), io.BytesIO()
    model = read_fasttext(stored(data, tmp_path))
    write_fasttext(model, copy)
    assert copy.getvalue() == data
    assert model.input.shape == (spec.input.n, spec.dim)
    wanted = [spec.input.row(i) for i in range(spec.input.n)]
    assert np.allclose(model.input.rows(np.arange(spec.input.n)), wanted, atol=1e-6)
    assert [model.dictionary.entry(i) for i in range(5)] == WORDS


def test_a_dictionary_can_be_made() -> None:
    made = Dictionary.of([b"a", b"bc", b"__label__x"], [3, 2, 1], 2, 6)
    assert (made.entry(1), made.labels(), made.n_labels) == (b"bc", [b"__label__x"], 1)


def test_what_show_tells(tmp_path: Path) -> None:
    told = describe_fasttext(stored(PRUNED.to_bytes(), tmp_path))
    assert told["arguments"]["loss"] == "softmax" and told["arguments"]["model"] == "supervised"
    assert (told["quantised"], told["words"], told["kept_ngrams"]) == (True, 5, 2)
    assert (told["input"], told["output"], told["labels"]) == ([7, 2], [3, 2], ["x", "y", "z"])
    assert describe_fasttext(stored(VECTORS.to_bytes(), tmp_path))["labels"] == []


def test_version_11_has_no_subwords(tmp_path: Path) -> None:
    data = replace(FULL, version=11).to_bytes()
    model = read_fasttext(stored(data, tmp_path))
    assert (model.arguments.minn, model.arguments.maxn) == (1, 0)
    vectors = read_fasttext(stored(replace(VECTORS, version=11).to_bytes(), tmp_path))
    assert vectors.arguments.maxn == 2


def changed(spec: Spec, at: int, form: str, *values: float) -> bytes:
    data = bytearray(spec.to_bytes())
    struct.pack_into("<" + form, data, at, *values)
    return bytes(data)


def arguments(**values: int) -> Iterator[tuple[bytes, str]]:
    names = ["dim", "ws", "epoch", "min_count", "neg", "word_ngrams", "loss", "model", "bucket"]
    for name, value in values.items():
        at = 8 + 4 * [*names, "minn", "maxn"].index(name)
        yield changed(FULL, at, "i", value), str(value)


SIZES = ARGUMENTS_END
MATRIX = len(PLAIN.to_bytes()) - (16 + 1 + 16) - 4 * 3 * (5 + 3)
REFUSED = {
    "another magic number": (changed(PLAIN, 0, "i", 7), "not a fastText model file"),
    "version": (changed(PLAIN, 4, "i", 13), "version 13"),
    "empty": (b"", "truncated"),
    **{
        f"{name} {value}": next(arguments(**{name: value}))
        for name, value in [
            ("dim", 0), ("dim", -1), ("bucket", -2), ("minn", -3), ("maxn", -4), ("loss", 5),
            ("loss", 0), ("model", 4), ("word_ngrams", -1), ("word_ngrams", 2**30),
            ("maxn", 2**31 - 1), ("bucket", 0),
        ]
    },
    "t": (changed(PLAIN, 56, "d", float("nan")), "t is nan"),
    "sizes": (changed(PLAIN, SIZES, "i", 9), "do not add up"),
    "negative words": (changed(PLAIN, SIZES, "3i", 3, -5, 8), "do not add up"),
    "many words": (changed(PLAIN, SIZES, "3i", 2**31 - 1, 2**31 - 4, 3), "truncated"),
    "tokens": (changed(PLAIN, SIZES + 12, "q", -1), "do not add up"),
    "pruned size": (changed(PLAIN, SIZES + 20, "q", -2), "wanted -1 or more"),
    "many pruned": (changed(PLAIN, SIZES + 20, "q", 2**60), "truncated"),
    "pruned and dense": (changed(PLAIN, SIZES + 20, "q", 0), "dense"),
    "count": (changed(PLAIN, SIZES + 28 + 5, "q", -1), "occurs -1 times"),
    "kind": (changed(PLAIN, SIZES + 28 + 13, "b", 1), "not 5 words, then 3 labels"),
    "quant flag": (changed(PLAIN, MATRIX - 1, "b", 2), "quant is 2"),
    "rows": (changed(PLAIN, MATRIX, "q", 2**40), "wanted 5 x 3"),
    "columns": (changed(PLAIN, MATRIX + 8, "q", 4), "wanted 5 x 3"),
    "not finite": (changed(PLAIN, MATRIX + 16, "f", float("nan")), "not finite"),
    "too large": (changed(PLAIN, MATRIX + 16, "f", -1e30), "too large"),
    "trailing bytes": (PLAIN.to_bytes() + b"\0", "1 bytes after the end"),
    "bucket of a pair": (replace(PRUNED, pruned=[(9, 1), (2, 0)]).to_bytes(), "kept n-gram"),
    "row of a pair": (replace(PRUNED, pruned=[(7, 2), (2, 0)]).to_bytes(), "kept n-gram"),
    "pair twice": (replace(PRUNED, pruned=[(2, 1), (2, 0)]).to_bytes(), "twice"),
    "row twice": (replace(PRUNED, pruned=[(3, 1), (2, 1)]).to_bytes(), "twice"),
    "no labels": (replace(PLAIN, labels=[], counts=[]).to_bytes(), "without labels"),
    "label twice": (replace(PLAIN, labels=LABELS[:1] * 3).to_bytes(), "there twice"),
    "endless word": (replace(PLAIN, words=[b"x" * (1 << 21)], counts=[]).to_bytes(), "has no end"),
    "word vectors": (VECTORS.to_bytes(), "skipgram"),
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in REFUSED if n != "word vectors"])
def test_what_does_not_add_up_is_refused(name: str, tmp_path: Path) -> None:
    data, message = REFUSED[name]
    assert message in refused(data, tmp_path)


def test_word_vectors_are_no_classifier(tmp_path: Path) -> None:
    path = stored(VECTORS.to_bytes()[:-5], tmp_path)
    with pytest.raises(DataError, match=r"word vectors \(skipgram\), wanted a classifier"):
        open_fasttext(path)


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [(0, "b", 2), (1, "q", 4), (17, "i", 9), (17, "i", -10), (17, "i", 5), (31, "i", 4),
     (35, "i", 1), (39, "i", 0), (39, "i", -2), (43, "i", 2), (47, "f", float("inf"))],
)  # fmt: skip
def test_quantised_parts_that_do_not_fit_are_refused(
    offset: int, form: str, value: float, tmp_path: Path
) -> None:
    matrix = (
        len(SMALL_PQ.to_bytes())
        - 1
        - sum(len(part.to_bytes()) for part in (SMALL_PQ.input, SMALL_PQ.output))
    )
    refused(changed(SMALL_PQ, matrix + offset, form, value), tmp_path)


def test_floret_is_told_apart(tmp_path: Path) -> None:
    data = PLAIN.to_bytes()
    floret = data[:52] + struct.pack("<2i", 2, 1) + data[52:]
    assert "floret" in refused(floret, tmp_path)


def test_what_is_a_fasttext_file(tmp_path: Path) -> None:
    path = stored(PLAIN.to_bytes(), tmp_path)
    other = tmp_path / "other"
    other.write_bytes(b"text")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(path)
    names = ["model.bin", "link", "other", "pipe", "", "none", "a\0b"]
    assert [is_fasttext(tmp_path / name) for name in names] == [True, True] + [False] * 5
    with pytest.raises(InputMissing):
        read_fasttext(tmp_path / "none")
    for name in ("pipe", "."):
        with pytest.raises(NlpcliError):
            read_fasttext(tmp_path / name)


def cuts(spec: Spec, count: int) -> Iterator[bytes]:
    data = spec.to_bytes()
    draw = random.Random(1)
    chosen = draw.sample(range(len(data)), min(count, len(data)))
    yield from (data[:size] for size in sorted(chosen))


@pytest.mark.parametrize("spec", SPECS[:-1])
def test_no_cut_file_is_accepted(spec: Spec, tmp_path: Path) -> None:
    for data in cuts(spec, 80):
        refused(data, tmp_path)


def survive(spec: Spec, count: int, seed: int, folder: Path) -> tuple[int, float]:
    """Flips bits in copies of a file: (files refused, longest seconds). Memory stays bounded."""
    draw, original = random.Random(seed), spec.to_bytes()
    n_refused, slowest = 0, 0.0
    head = len(original) - 4 * spec.output.n * spec.dim  # flips in what is no weight are rarer
    tracemalloc.start()
    for number in range(count):
        data = bytearray(original)
        for _ in range(draw.choice([1, 1, 1, 4])):
            place = draw.randrange(min(300, head)) if number % 2 else draw.randrange(len(data))
            data[place] ^= 1 << draw.randrange(8)
        path = stored(bytes(data), folder)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        begun = time.process_time()
        try:
            probabilities = open_fasttext(path).probabilities(TEXTS)
        except DataError:
            n_refused += 1
        else:
            assert np.isfinite(probabilities).all()
            assert probabilities.min() >= 0 and probabilities.max() <= 1
        slowest = max(slowest, time.process_time() - begun)
        # two megabytes are for tables whose size no file decides
        assert tracemalloc.get_traced_memory()[1] - before < 2 * len(data) + (2 << 20)
    tracemalloc.stop()
    return n_refused, slowest


FLIPPED = [PLAIN, FULL, TREE, SMALL_PQ, PRUNED]


@pytest.mark.parametrize("spec", FLIPPED)
def test_flipped_bits_are_refused_or_answered_with(spec: Spec, tmp_path: Path) -> None:
    n_refused, slowest = survive(spec, 60, 1, tmp_path)
    assert 0 < n_refused < 60 and slowest < 1


@pytest.mark.slow
@pytest.mark.parametrize("spec", FLIPPED)
def test_ten_thousand_flips(spec: Spec, tmp_path: Path) -> None:
    n_refused, slowest = survive(spec, 10_000 // len(FLIPPED), 2, tmp_path)
    assert n_refused > 100 and slowest < 1


def test_memory_is_little_more_than_the_file(tmp_path: Path) -> None:
    words = [b"</s>", *(f"word{i}".encode() for i in range(5_000))]
    spec = Spec(words, LABELS, dim=20, word_ngrams=2, bucket=2_000)
    path = stored(spec.to_bytes(), tmp_path)
    tracemalloc.start()
    open_fasttext(path).probabilities(TEXTS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * path.stat().st_size
