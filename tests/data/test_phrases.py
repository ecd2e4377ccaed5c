from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.data import phrases
from nlpcli.data.id_corpus import IdCorpus, encode_corpus
from nlpcli.data.phrases import PhraseConfig, joined_phrases, phrase_scores
from nlpcli.errors import DataError
from nlpcli.text.config import TokenizerConfig


def encode(folder: Path, text: str) -> IdCorpus:
    (folder / "text").write_text(text)
    return encode_corpus(
        [str(folder / "text")], TokenizerConfig(word_ngrams=1), folder, min_count=1
    )


def sentences(corpus: IdCorpus) -> list[list[str]]:
    words = [corpus.words[i] for i in corpus.ids.tolist()]
    return [words[a:b] for a, b in pairwise(corpus.starts.tolist())]


def by_hand(lines: list[list[str]], config: PhraseConfig) -> list[list[str]]:
    """Pair by pair, as gensim's Phrases does it."""
    words = Counter(word for line in lines for word in line)
    pairs = Counter(pair for line in lines for pair in pairwise(line))
    known = len(words) + len(pairs)
    found = []
    for line in lines:
        found.append([])
        i = 0
        while i < len(line):
            pair = tuple(line[i : i + 2])
            if len(pair) == 2 and pair[0].isalnum() and pair[1].isalnum():
                score = (pairs[pair] - config.discount) / words[pair[0]] / words[pair[1]] * known
                if score > config.threshold:
                    found[-1].append("_".join(pair))
                    i += 2
                    continue
            found[-1].append(line[i])
            i += 1
    return found


def test_scores_worked_by_hand() -> None:
    scores = phrase_scores(np.array([8, 5]), np.array([10, 10]), np.array([8, 20]), 5, 100)
    np.testing.assert_allclose(scores, [3 / 80 * 100, 0])


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcde."), min_size=1, max_size=9), min_size=1, max_size=9),
    st.integers(0, 2),
    st.floats(0, 3),
)
def test_phrases_are_those_of_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[list[str]],
    discount: int,
    threshold: float,
) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    config = PhraseConfig(discount=discount, threshold=threshold)
    corpus = encode(folder, "\n".join(map(" ".join, lines)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phrases, "CHUNK", 10)
        found, n_phrases = joined_phrases(corpus, folder, config, min_count=1)
    wanted = by_hand(lines, config)
    assert sentences(found) == wanted
    counts = Counter(word for line in wanted for word in line)
    assert found.words == sorted(counts, key=lambda word: (-counts[word], word.encode()))
    assert found.counts.tolist() == [counts[word] for word in found.words]
    assert n_phrases == sum("_" in word for word in counts)


TEXT = """new york is a city
the new york times . york new
a city is new

in new york city
"""


def test_blocks_stay_and_rare_words_go(tmp_path: Path) -> None:
    # 9 words and 13 pairs: new_york (3 - 1) / (5 · 4) · 22 = 2.2, a_city (2 - 1) / (2 · 3) · 22
    config = PhraseConfig(discount=1, threshold=2.1)
    found, n_phrases = joined_phrases(encode(tmp_path, TEXT), tmp_path, config, min_count=2)
    assert found.words == ["new_york", "a_city", "is", "new"]
    assert found.counts.tolist() == [3, 2, 2, 2]
    assert n_phrases == 2
    assert sentences(found) == [
        ["new_york", "is", "a_city"], ["new_york", "new"], ["a_city", "is", "new"], ["new_york"],
    ]  # fmt: skip
    assert found.blocks.tolist() == [0, 8, 9]
    assert found.n_raw == 20
    config = PhraseConfig(discount=1, threshold=2.3)
    (tmp_path / "other").mkdir()
    found, _ = joined_phrases(encode(tmp_path, TEXT), tmp_path / "other", config, min_count=1)
    assert [word for word in found.words if "_" in word] == ["a_city"]


def test_more_passes_make_longer_phrases(tmp_path: Path) -> None:
    text = "\n".join([f"{i} new york times x{i}" for i in range(9)])
    config = PhraseConfig(discount=1, threshold=2, passes=2)
    found, n_phrases = joined_phrases(encode(tmp_path, text), tmp_path, config, min_count=2)
    assert found.words == ["new_york_times"]
    assert n_phrases == 1
    assert len(found.starts) == 10


def test_nothing_left_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="occurs 9 times; the most frequent occurs 5"):
        joined_phrases(encode(tmp_path, TEXT), tmp_path, PhraseConfig(), min_count=9)


def test_many_pairs_and_the_rarest_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phrases, "MOST_PAIRS", 1)
    config = PhraseConfig(discount=0, threshold=0)
    found, _ = joined_phrases(encode(tmp_path, TEXT), tmp_path, config, min_count=1)
    assert [word for word in found.words if "_" in word] == ["new_york"]


@pytest.mark.parametrize(
    "wrong", [{"discount": -1}, {"threshold": -1.0}, {"threshold": float("nan")}, {"passes": 0}]
)
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        PhraseConfig(**wrong)  # type: ignore[arg-type]


def test_equal_to_gensim(tmp_path: Path) -> None:
    models = pytest.importorskip("gensim.models", reason="gensim is not installed")
    rng = np.random.default_rng(1)
    lines = [[f"w{i}" for i in rng.zipf(1.4, 12).tolist() if i < 80] for _ in range(400)]
    lines = [line for line in lines if line]
    model = models.Phrases(lines, min_count=2, threshold=0.1)
    found, n_phrases = joined_phrases(
        encode(tmp_path, "\n".join(map(" ".join, lines))),
        tmp_path,
        PhraseConfig(discount=2, threshold=0.1),
        min_count=1,
    )
    assert n_phrases > 5
    assert sentences(found) == [list(model[line]) for line in lines]
