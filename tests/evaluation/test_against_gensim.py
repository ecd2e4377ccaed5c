"""The same numbers as gensim's evaluation of the same vectors."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest

from nlpcli.data.word_questions import read_word_questions
from nlpcli.evaluation.analogies import evaluate_analogies
from nlpcli.evaluation.word_similarity import evaluate_similarity
from nlpcli.models.word_vectors import WordVectors

REASON = "gensim is not installed"
FIRST, LATER = "abAB", "abcd"  # two spellings a word: gensim looks at five answers, not further
LIMITS = pytest.mark.parametrize("limit", [40, 10_000])


def drawn(draw: random.Random) -> str:
    return draw.choice(FIRST) + draw.choice(LATER) + draw.choice(LATER)


def made_up() -> WordVectors:
    """Words that differ in case alone among others, with vectors in which analogies hold."""
    draw = np.random.default_rng(5)
    words = [a + b + c for a in FIRST for b in LATER for c in LATER]
    draw.shuffle(words)
    letters = draw.standard_normal((3, 8))
    table = np.array(
        [sum(row * ord(c) for row, c in zip(letters, word, strict=True)) for word in words]
    )
    noise = draw.standard_normal(table.shape) * 0.7
    return WordVectors(words, (table - table.mean(axis=0) + noise).astype(np.float32))


def keyed(vectors: WordVectors):  # type: ignore[no-untyped-def]
    models = pytest.importorskip("gensim.models", reason=REASON)
    found = models.KeyedVectors(vectors.vectors.shape[1])
    found.add_vectors(vectors.words, vectors.vectors)
    return found


@LIMITS
def test_analogies(tmp_path: Path, limit: int) -> None:
    vectors, draw, lines = made_up(), random.Random(3), []
    theirs = keyed(vectors)
    for section in ("one", "two"):
        lines.append(f": {section}")
        for _ in range(300):
            word, other, at = drawn(draw), drawn(draw), draw.randrange(1, 3)
            new = draw.choice(LATER)
            pair = [w[:at] + new + w[at + 1 :] for w in (word, other)]
            lines.append(f"{word} {pair[0]} {other} {pair[1] if draw.random() < 0.9 else 'zzz'}")
    path = tmp_path / "analogies.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = evaluate_analogies(vectors, read_word_questions(str(path)), limit=limit)  # type: ignore[arg-type]
    score, sections = theirs.evaluate_word_analogies(str(path), restrict_vocab=limit)
    assert found["accuracy"]["value"] == score
    assert 0.01 < score < 0.9
    for theirs_one in sections[:-1]:
        ours = found["per_section"][theirs_one["section"]]
        n_wrong = len(theirs_one["incorrect"])
        assert ours["correct"] == len(theirs_one["correct"])
        assert ours["n"] == len(theirs_one["correct"]) + n_wrong


@LIMITS
def test_pairs(tmp_path: Path, limit: int) -> None:
    vectors, draw = made_up(), random.Random(4)
    theirs = keyed(vectors)
    # words of different letters: of a word and itself gensim has the rounding
    upper = sorted({word.upper() for word in vectors.words})
    lines = ["\t".join([*draw.sample(upper, k=2), str(draw.randrange(9))]) for _ in range(200)]
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join([*lines, "aaa\tzzz\t3"]) + "\n", encoding="utf-8")
    found = evaluate_similarity(vectors, read_word_questions(str(path)), limit=limit)  # type: ignore[arg-type]
    pearson, spearman, unknown = theirs.evaluate_word_pairs(str(path), restrict_vocab=limit)
    assert found["pearson"]["value"] == pytest.approx(pearson[0], abs=1e-6)
    # two cosines that rounding puts in another order move it by less than this
    assert found["spearman"]["value"] == pytest.approx(spearman[0], abs=1e-4)
    assert 100 * found["out_of_vocabulary"] / found["pairs"] == pytest.approx(unknown)


DATA = Path(os.environ.get("NLPCLI_DATA") or "none") / "wordsim"


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="NLPCLI_DATA names no folder with wordsim")
def test_the_public_files(tmp_path: Path) -> None:
    names = [path for path in sorted(DATA.glob("*.txt")) if path.name != "questions-words.txt"]
    questions = read_word_questions(str(DATA / "questions-words.txt"))
    words = {w.lower() for section in questions.sections.values() for q in section for w in q}  # type: ignore[union-attr]
    for path in names:
        words |= {w.lower() for pair in read_word_questions(str(path)).pairs for w in pair}  # type: ignore[union-attr]
    draw = np.random.default_rng(1)
    table = draw.standard_normal((len(words), 20)).astype(np.float32)
    vectors = WordVectors(sorted(words)[::2], table[::2])
    theirs = keyed(vectors)
    for path in names:
        found = evaluate_similarity(vectors, read_word_questions(str(path)))  # type: ignore[arg-type]
        _, spearman, unknown = theirs.evaluate_word_pairs(str(path))
        assert found["spearman"]["value"] == pytest.approx(spearman[0], abs=1e-5)
        assert 100 * found["out_of_vocabulary"] / found["pairs"] == pytest.approx(unknown)
    found = evaluate_analogies(vectors, questions)  # type: ignore[arg-type]
    score, sections = theirs.evaluate_word_analogies(str(DATA / "questions-words.txt"))
    assert found["accuracy"]["value"] == score
    assert found["n"] == sum(len(sections[-1][key]) for key in ("correct", "incorrect"))
