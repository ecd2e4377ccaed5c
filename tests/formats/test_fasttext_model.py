"""Answers by fastText files: against plain loops over the same file, and against the program."""

from __future__ import annotations

import io
import random
import time
from pathlib import Path

import numpy as np
import pytest

from nlpcli.errors import DataError
from nlpcli.formats import fasttext_model
from nlpcli.formats.fasttext_bin import read_fasttext, write_fasttext
from nlpcli.formats.fasttext_model import FastTextClassifier, open_fasttext

from .program import assert_same_answers, made_up_lines, needs_program, quantise, train
from .written import HS, NS, OVA, SOFTMAX, Spec, answer

WORDS = [b"</s>", b"the", "中文".encode(), b"a", "naïve".encode(), b"cat", b"__label__word"]
LABELS = [b"__label__x", b"__label__y", "__label__好".encode(), b"__label__z", b"__label__w"]
TEXTS = [
    "the cat", "", " ", "the the  the\tcat\r a", "中文 naïve 中文字 <a> < > <>", "unknown words",
    "a </s> the cat", "__label__x __label__none the", "the\ncat\n", "😀 é \x00 é\x0b the",
    "y" * 300, "</s>", "the __label__word cat", "\x85 the\u3000cat", "don't </s>x", "__label__",
    "a" * 700 + " a",
]  # fmt: skip
COUNTS = [9] * 7 + [8, 4, 4, 1, 1]
KEPT = [(7, 1), (2, 0), (5, 2)]
SPECS = {
    "words": Spec(WORDS, LABELS),
    "no-end": Spec(WORDS[1:], LABELS),
    "one-label": Spec(WORDS, LABELS[:1], loss=HS),
    "ngrams": Spec(WORDS, LABELS, word_ngrams=4, bucket=50),
    "subwords": Spec(WORDS, LABELS, minn=1, maxn=3, bucket=41),
    "long-subwords": Spec(WORDS, LABELS, minn=0, maxn=20, bucket=2**10, dim=1),
    "all": Spec(WORDS, LABELS, minn=2, maxn=4, word_ngrams=3, bucket=97, dim=5),
    "no-subwords": Spec(WORDS, LABELS, minn=5, maxn=3, bucket=7),
    "tree": Spec(WORDS, LABELS, loss=HS, minn=3, maxn=3, bucket=20, counts=COUNTS),
    "negatives": Spec(WORDS, LABELS, loss=NS, word_ngrams=2, bucket=33),
    "one-vs-all": Spec(WORDS, LABELS, loss=OVA, minn=2, maxn=3, bucket=33),
    "quantised": Spec(WORDS, LABELS, dim=5, minn=2, maxn=3, bucket=33, dsub=2),
    "norms": Spec(WORDS, LABELS, dim=5, minn=2, maxn=3, bucket=33, dsub=3, qnorm=True, qout=True),
    "norms-tree": Spec(WORDS, LABELS, loss=HS, dim=4, dsub=2, qnorm=True, qout=True),
    "pruned": Spec(
        WORDS, LABELS, minn=1, maxn=3, word_ngrams=2, bucket=9, dsub=1, pruned=KEPT
    ),
    "all-pruned": Spec(WORDS, LABELS, minn=1, maxn=3, bucket=9, dsub=4, pruned=[]),
}  # fmt: skip


def opened(spec: Spec, folder: Path) -> FastTextClassifier:
    path = folder / "model.bin"
    path.write_bytes(spec.to_bytes())
    return open_fasttext(path)


@pytest.mark.parametrize("name", SPECS)
def test_answers_are_those_of_plain_loops(name: str, tmp_path: Path) -> None:
    model = opened(SPECS[name], tmp_path)
    wanted = [answer(SPECS[name], text) for text in TEXTS]
    assert np.abs(model.probabilities(TEXTS) - wanted).max() <= 5e-6  # float32 over 2,000 rows


@pytest.mark.parametrize("name", ["all", "tree", "one-vs-all", "norms", "pruned"])
def test_a_text_is_answered_alike_in_any_company_to_the_bit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened(SPECS[name], tmp_path)
    together = model.probabilities(TEXTS)
    assert model.probabilities(TEXTS * 9).tobytes() == together.tobytes() * 9
    assert b"".join(model.probabilities([text]).tobytes() for text in TEXTS) == together.tobytes()
    monkeypatch.setattr(fasttext_model, "_FLOATS", 8)
    monkeypatch.setattr(fasttext_model, "_AT_LEAST", 2)
    monkeypatch.setattr(fasttext_model, "_CHARACTERS", 30)
    assert model.probabilities(TEXTS).tobytes() == together.tobytes()
    assert model.probabilities([]).shape == (0, 5)


def test_what_a_model_tells_of_itself(tmp_path: Path) -> None:
    model = opened(SPECS["words"], tmp_path)
    assert model.labels == ["x", "y", "好", "z", "w"]
    assert (model.multi_label, model.separator, model.limit(None)) == (False, None, 0.5)
    many = opened(SPECS["one-vs-all"], tmp_path)
    assert (many.multi_label, many.separator, many.limit(0.0)) == (True, ";", 0.0)
    alike = opened(Spec(WORDS, [b"__label__x", b"x", b"\xff"]), tmp_path)
    assert alike.labels == ["__label__x", "x", "\\xff"]


def test_a_text_without_features_has_the_answer_of_zeros(tmp_path: Path) -> None:
    model = opened(SPECS["no-end"], tmp_path)
    assert np.allclose(model.probabilities(["", "unknown"]), 0.2)


def test_counts_that_make_no_tree_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="which is no count"):
        opened(Spec(WORDS, LABELS, loss=HS, counts=[1] * 7 + [10**15] * 5), tmp_path)
    chain = opened(Spec(WORDS, LABELS, loss=HS, counts=[1] * 7 + [0] * 5), tmp_path)
    assert np.allclose(chain.probabilities(["the cat"]).sum(), 1)


KINDS = {
    "softmax": (),
    "subwords": ("-minn", 2, "-maxn", 4, "-wordNgrams", 3),
    "hs": ("-loss", "hs", "-wordNgrams", 2),
    "ns": ("-loss", "ns", "-minn", 1, "-maxn", 2),
    "ova": ("-loss", "ova", "-wordNgrams", 2),
}
QUANTISED = {
    "plain": (("-minn", 2, "-maxn", 4), ()),
    "pruned": (
        ("-minn", 2, "-maxn", 3, "-wordNgrams", 2), ("-qnorm", "-retrain", "-cutoff", 600),
    ),
    "qout": (("-loss", "ova", "-wordNgrams", 2), ("-qnorm", "-qout", "-dsub", 3)),
    "qout-hs": (("-loss", "hs"), ("-qout", "-dsub", 2)),
}  # fmt: skip


def compared(path: Path, lines: list[str]) -> float:
    """The file comes out as it went in, and answers as the program does."""
    file, copy = read_fasttext(path), io.BytesIO()
    write_fasttext(file, copy)
    assert copy.getvalue() == path.read_bytes()
    model = FastTextClassifier(file, str(path))
    return assert_same_answers(path, lines, model.probabilities(lines), model.labels)


def made(kind: str, folder: Path) -> Path:
    """A file of this kind, by the program."""
    if kind in KINDS:
        return train(folder, *KINDS[kind])
    trained, quantised = QUANTISED[kind]
    train(folder, *trained)
    return quantise(folder, *quantised)


@needs_program
@pytest.mark.parametrize("kind", ["subwords", "hs", "ns", "pruned", "qout"])
def test_answers_are_those_of_the_program(kind: str, tmp_path: Path) -> None:
    assert compared(made(kind, tmp_path), made_up_lines(300, 1, known=0.8)) <= 1e-6


@needs_program
@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, *QUANTISED])
def test_ten_thousand_texts(kind: str, tmp_path: Path) -> None:
    path = made(kind, tmp_path)
    worst = max(
        compared(path, made_up_lines(5_000, seed, known=known))
        for seed, known in ((3, 1.0), (4, 0.5))
    )
    assert worst <= 1e-6


@pytest.mark.slow
def test_tens_of_thousands_of_short_lines_a_second(tmp_path: Path) -> None:
    draw = random.Random(5)
    words = [f"word{i}".encode() for i in range(5_000)]
    model = opened(Spec([b"</s>", *words], LABELS, dim=10, word_ngrams=2, bucket=5_000), tmp_path)
    lines = [" ".join(f"word{draw.randrange(6_000)}" for _ in range(8)) for _ in range(50_000)]
    begun = time.process_time()
    model.probabilities(lines)
    assert len(lines) / (time.process_time() - begun) > 20_000


def test_losses_are_the_four(tmp_path: Path) -> None:
    assert {spec.loss for spec in SPECS.values()} == {HS, NS, SOFTMAX, OVA}
