from __future__ import annotations

import numpy as np
import pytest

from nlpcli.batching.cooccurrence import Window
from nlpcli.data.id_corpus import IdCorpus, encode_corpus
from nlpcli.errors import Unavailable
from nlpcli.models.count_vectors import CountConfig
from nlpcli.runs import counting
from nlpcli.runs.counting import Contexts, counted_vectors
from nlpcli.shell.console import Console
from nlpcli.text.config import TokenizerConfig


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> IdCorpus:
    """Cats and dogs drink milk; cars and trucks burn oil."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(1)
    lines = []
    for _ in range(300):
        animal, noun = rng.choice(["cat", "dog"]), rng.choice(["milk", "water"])
        lines.append(f"the {animal} drinks {noun} and {animal} sleeps")
        car, fuel = rng.choice(["car", "truck"]), rng.choice(["oil", "gas"])
        lines.append(f"the {car} burns {fuel} and {car} drives")
        lines += [""] * int(rng.integers(0, 2))
    (folder / "text").write_text("\n".join(lines))
    path = str(folder / "text")
    return encode_corpus([path], TokenizerConfig(word_ngrams=1), folder, min_count=2)


@pytest.mark.parametrize(
    ("contexts", "near"),
    [
        ("words", [("cat", "dog"), ("car", "truck")]),  # the same neighbours
        ("sentences", [("cat", "sleeps"), ("car", "drives")]),  # the same sentences
        ("blocks", []),  # hold both kinds
    ],
)
def test_words_in_the_same_contexts_are_near(
    corpus: IdCorpus, contexts: Contexts, near: list[tuple[str, str]]
) -> None:
    found = counted_vectors(
        corpus, CountConfig(dim=4, weighting="ppmi" if contexts == "words" else "tfidf"),
        Window(sample=0), Console(quiet=True), contexts=contexts, seed=1, threads=2,
    )  # fmt: skip
    assert found.words == corpus.words
    assert found.vectors.shape == (len(corpus.words), 4) and found.vectors.dtype == np.float32
    assert found.counts is not None and (found.counts == corpus.counts).all()
    assert found.vectors.any(axis=1).all()
    units = found.vectors / np.linalg.norm(found.vectors, axis=1, keepdims=True)
    at = {word: i for i, word in enumerate(corpus.words)}
    for word, other in near:
        far = units[at[word]] @ units[at["truck" if word == "cat" else "cat"]]
        assert units[at[word]] @ units[at[other]] > far + 0.2


def test_the_same_again(corpus: IdCorpus) -> None:
    once, again, other = (
        counted_vectors(
            corpus, CountConfig(dim=4), Window(sample=0.05), Console(quiet=True), seed=seed,
            threads=2,
        ).vectors
        for seed in (1, 1, 2)
    )  # fmt: skip
    assert once.tobytes() == again.tobytes() != other.tobytes()


def test_too_little_memory(corpus: IdCorpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "free_memory", lambda: 10)
    with pytest.raises(Unavailable, match="counts of word pairs need"):
        counted_vectors(corpus, CountConfig(dim=4), Window(), Console(quiet=True), seed=1)
