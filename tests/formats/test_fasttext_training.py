"""What is learnt from texts: the program's dictionary, and bags of the rows that are trained."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nlpcli.errors import DataError, Unavailable
from nlpcli.formats.fasttext_bin import read_fasttext
from nlpcli.formats.fasttext_text import FeatureCutter
from nlpcli.formats.fasttext_training import FastTextCutting, TrainingCutter, learn_dictionary
from nlpcli.models.additive import bag_sums

from .program import made_up_lines, needs_program, run

TEXTS = ["b a a", "a\u3000c 好", "__label__x @y a </s> c", ""]
LABELS = [("x",), ("y",), ("x",), ()]


def cutter_of(cutting: FastTextCutting, texts: list[str]) -> TrainingCutter:
    dictionary = learn_dictionary(cutting, texts, LABELS, ["x", "y"])
    return TrainingCutter(cutting.arguments(dim=2, epochs=3, loss="softmax"), dictionary)


def test_words_and_labels_in_the_order_of_their_counts() -> None:
    found = learn_dictionary(FastTextCutting(label_prefix="@"), TEXTS, LABELS, ["x", "y"])
    entries = [(found.entry(i), int(n)) for i, n in enumerate(found.counts)]
    assert entries == [
        (b"</s>", 5), (b"a", 3), ("a\u3000c".encode(), 1), (b"b", 1), (b"c", 1),
        ("好".encode(), 1), (b"@x", 2), (b"@y", 1),
    ]  # fmt: skip
    assert found.n_words == 6 and found.label_names(b"@") == ["x", "y"]
    assert found.n_tokens == 14 + 3  # with what looks like a label, and the labels themselves
    rare = learn_dictionary(FastTextCutting(min_count=3), TEXTS, LABELS, ["x", "y"])
    assert [rare.entry(i) for i in range(rare.n_words)] == [b"</s>", b"a"]


@pytest.mark.parametrize(
    "cutting",
    [
        FastTextCutting(word_ngrams=1),
        FastTextCutting(word_ngrams=3, buckets=50),
        FastTextCutting(word_ngrams=2, min_n=1, max_n=3, buckets=1000),
    ],
)
def test_bags_are_the_means_of_the_rows(cutting: FastTextCutting) -> None:
    cutter = cutter_of(cutting, TEXTS)
    bags = cutter.fit(TEXTS)
    assert len(bags) == 4 and len(np.unique(bags.ids)) == cutter.n_features
    trained = np.random.default_rng(1).normal(size=(cutter.n_features, 2)).astype(np.float32)
    model = cutter.file(trained, np.zeros((2, 2), np.float32))
    table = model.input.rows(np.arange(model.input.shape[0]))
    assert (np.delete(table, cutter.rows, axis=0) == 0).all()
    others = [*TEXTS, "a unknown words 好", "so unknown"]
    indptr, ids = FeatureCutter(model.arguments, model.dictionary).bags(others)
    wanted = [table[ids[i:j]].mean(axis=0) for i, j in pairwise(indptr)]
    found = cutter.bags(others)
    sums = bag_sums(trained, found.indptr, found.ids, found.weights)
    assert np.allclose(sums, wanted, atol=1e-6)
    again = bag_sums(trained, bags.indptr, bags.ids, bags.weights)
    assert np.array_equal(again, sums[:4])


def test_values_out_of_range_and_too_little_memory() -> None:
    for wrong in ({"word_ngrams": 0}, {"min_n": 3, "max_n": 2}, {"buckets": 2**31}):
        with pytest.raises(ValueError):
            FastTextCutting(**wrong)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        cutter_of(FastTextCutting(), TEXTS).fit(TEXTS, room=10)
    with pytest.raises(DataError, match="no words"):
        cutter_of(FastTextCutting(word_ngrams=1, min_count=9), TEXTS).fit(TEXTS)


@needs_program
def test_the_dictionary_is_the_programs(tmp_path: Path) -> None:
    lines = made_up_lines(300, 5, known=0.9)
    plain = [line.replace("\r", "").replace("\v", "").replace("\f", "") for line in lines]
    texts = [line for line in plain if "__label__" not in line]
    labels = [(f"l{i % 3}",) for i in range(len(texts))]
    data = tmp_path / "train.txt"
    marked = (f"__label__{one[0]} {text}\n" for one, text in zip(labels, texts, strict=True))
    data.write_text("".join(marked), encoding="utf-8")
    run("supervised", "-input", data, "-output", tmp_path / "m", "-dim", 2, "-minCount", 2,
        "-epoch", 1, "-thread", 1, "-verbose", 0)  # fmt: skip
    theirs = read_fasttext(tmp_path / "m.bin").dictionary
    ours = learn_dictionary(FastTextCutting(min_count=2), texts, labels, ["l0", "l1", "l2"])
    for mine, yours in ((ours, theirs), (theirs, ours)):
        assert mine.n_words == yours.n_words and mine.n_tokens == yours.n_tokens
    found = [{d.entry(i): int(n) for i, n in enumerate(d.counts)} for d in (ours, theirs)]
    assert found[0] == found[1]
    assert np.array_equal(ours.counts[: ours.n_words], theirs.counts[: ours.n_words])
