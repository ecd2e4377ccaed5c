"""Every order against counting with a dictionary, in pieces of any size."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.data.ngram_levels import Counting, NgramCounter, units_of
from nlpcli.data.spool import Room
from nlpcli.data.unit_corpus import UnitCorpus
from nlpcli.text.units import BREAK, UnitRun, word_units

TEXTS = st.lists(st.lists(st.integers(0, 3), max_size=9), max_size=8)
MOST_N = 4


def filled(texts: list[list[int]], piece: int, room: Room, goes_on: bool) -> UnitCorpus:
    """The texts as a corpus; long ones in two runs where they may go on."""
    corpus = UnitCorpus(room, piece, MOST_N)
    for number, text in enumerate(texts):
        owner = np.array([number % 3], np.int32)
        values = np.array(text, np.int32)
        if goes_on and len(text) > 3:
            corpus.add(word_units(values[:3], np.array([3]), goes_on=True), owner, goes_on=True)
            values = values[3:]
        corpus.add(word_units(values, np.array([len(values)])), owner)
    corpus.finish()
    return corpus


def wanted(
    texts: list[list[int]], n: int
) -> tuple[Counter[tuple[int, ...]], Counter[tuple[int, ...]]]:
    counts, held = Counter[tuple[int, ...]](), Counter[tuple[int, ...]]()
    for text in texts:
        grams = [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
        counts.update(grams)
        held.update(set(grams))
    return counts, held


@settings(max_examples=60)
@given(
    texts=TEXTS, piece=st.integers(2, 30), n_bytes=st.sampled_from([0, 300, 10**6]),
    min_count=st.integers(1, 3), goes_on=st.booleans(),
)  # fmt: skip
def test_orders_are_counted(
    texts: list[list[int]], piece: int, n_bytes: int, min_count: int, goes_on: bool
) -> None:
    room = Room(n_bytes)
    corpus = filled(texts, piece, room, goes_on)
    assert corpus.n_documents == len(texts)
    assert sum(p.end - p.begin for p in corpus.pieces) == len(corpus)
    labels = [[0], [0, 1], []]
    with ThreadPoolExecutor(2) as pool:
        counter = NgramCounter(corpus, min_count, Counting(pool, 2, room, 5), labels)
        levels = {level.n: level for level in counter.levels(1, MOST_N)}
    for n, level in levels.items():
        counts, held = wanted(texts, n)
        assert level.total == corpus.n_ngrams(n) == sum(counts.values())
        frequent = sorted(gram for gram, count in counts.items() if count >= min_count)
        units = units_of(levels, n, np.arange(len(level)), counter.unit_bits)
        assert [tuple(row) for row in units.tolist()] == frequent
        assert level.counts.tolist() == [counts[gram] for gram in frequent]
        assert level.documents.tolist() == [held[gram] for gram in frequent]
        assert level.by_label is not None
        found = {
            (frequent[gram], label): (count, documents)
            for gram, label, count, documents in zip(
                *(getattr(level.by_label, name).tolist()
                  for name in ("ngrams", "labels", "counts", "documents")), strict=True,
            )
        }  # fmt: skip
        expected = {}
        for label, groups in ((0, (0, 1)), (1, (1,))):
            mine = [text for i, text in enumerate(texts) if i % 3 in groups]
            counts, held = wanted(mine, n)
            expected |= {(g, label): (counts[g], held[g]) for g in frequent if counts[g]}
        assert found == expected


def test_border_signs_are_no_ngrams_alone() -> None:
    corpus = UnitCorpus(Room(10**6), 4, 2, borders=True)
    units = np.array([60, 97, 60, 62, BREAK, 60, 62, BREAK], np.int32)  # <a<> and <>
    corpus.add(UnitRun(units, np.array([8]), np.array([4, 2])))
    corpus.finish()
    with ThreadPoolExecutor(1) as pool:
        counter = NgramCounter(corpus, 1, Counting(pool, 1, Room(10**6), 100))
        one, two = counter.levels(1, 2)
    assert one.keys.tolist() == [60, 97]
    assert one.counts.tolist() == [1, 1]
    assert two.counts.tolist() == [2, 1, 1]  # <> <a a<
    assert two.documents.tolist() == [1, 1, 1]
