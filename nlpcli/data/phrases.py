"""Words that stand together far more often than by chance become one word: new york -> new_york.

V words, P phrases, T words of a corpus.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlpcli.data.id_corpus import IdCorpus, mapped
from nlpcli.data.id_files import IdFiles, sentence_chunks
from nlpcli.errors import DataError
from nlpcli.text.segment import SIGN, char_class
from nlpcli.text.vocab import count_hashes

JOINER = "_"
CHUNK = 1 << 22
"""Words that are looked at together."""
MOST_PAIRS = 40_000_000
"""Different pairs that are kept in mind; then the rarest go, as gensim does."""

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PhraseConfig:
    """``discount`` δ and ``threshold`` are those of ``phrase_scores``; with more than one of
    ``passes`` phrases grow longer."""

    discount: int = 5
    threshold: float = 10.0
    passes: int = 1

    def __post_init__(self) -> None:
        if self.discount < 0:
            raise ValueError(f"discount: {self.discount}, not 0 or more")
        if not 0 <= self.threshold < float("inf"):
            raise ValueError(f"threshold: {self.threshold}, not 0 or more")
        if not 1 <= self.passes <= 10:
            raise ValueError(f"passes: {self.passes}, not 1 to 10")


def phrase_scores(together: I64, first: I64, second: I64, discount: int, n_known: int) -> F64:
    """(#(ab) - δ) · N / (#(a) #(b)) of pairs of words, float64.

    Source: Mikolov et al. 2013, Distributed Representations of Words and Phrases, section 4; N,
    which the paper leaves out, is the number of different words and pairs as in gensim's
    ``original_scorer``, so that a threshold means the same for corpora of any size.
    """
    return (together - discount) / first / second * n_known


def joined_phrases(
    corpus: IdCorpus, folder: Path, config: PhraseConfig, *, min_count: int
) -> tuple[IdCorpus, int]:
    """The corpus with phrases for words, its files in ``folder``, and how many there are.

    ``corpus`` should hold rare words too, so that words on both sides of one do not count as
    neighbours; here words and phrases that are left less than ``min_count`` times go. Pairs do not
    overlap, the first of two comes first; punctuation is never part of one. Raises DataError when
    nothing is left, OutputFailed.
    """
    for number in range(config.passes):
        last = number == config.passes - 1
        place = folder / f"phrases-{number}"
        place.mkdir()
        good = _Phrases.found(corpus, config)
        corpus = _rewritten(corpus, place, good, min_count if last else 1)
    return corpus, sum(JOINER in word and len(word) > 1 for word in corpus.words)


@dataclass(frozen=True)
class _Phrases:
    """Pairs of words, as first · V + second uint64 [P] ascending, and the number [P] of each."""

    pairs: U64
    numbers: I32
    words: list[str]
    """Of the vocabulary and then of new phrases."""

    @staticmethod
    def found(corpus: IdCorpus, config: PhraseConfig) -> _Phrases:
        pairs, together, n_known = _counted_pairs(corpus)
        first, second = _parts(pairs, len(corpus.words))
        counts = corpus.counts
        scores = phrase_scores(
            together, counts[first], counts[second], config.discount, n_known + len(corpus.words)
        )
        good = scores > config.threshold
        words = list(corpus.words)
        # a_b and c, a and b_c are the same phrase
        known = {word: number for number, word in enumerate(words) if JOINER in word}
        numbers = []
        for a, b in zip(first[good].tolist(), second[good].tolist(), strict=True):
            name = words[a] + JOINER + words[b]
            if name not in known:
                known[name] = len(words)
                words.append(name)
            numbers.append(known[name])
        return _Phrases(pairs[good], np.array(numbers, np.int32), words)

    def joined(self, ids: I32, borders: I64, n_words: int) -> tuple[I32, I64]:
        """The numbers of a chunk with its phrases joined, and the borders of its sentences."""
        keys = _pairs(ids, borders, n_words)
        if not len(self.pairs) or not len(keys.pairs):
            return ids, borders
        # most words begin no phrase, and most end none
        begins, ends = (np.zeros(n_words, bool) for _ in range(2))
        first, second = _parts(self.pairs, n_words)
        begins[first], ends[second] = True, True
        likely = np.flatnonzero(begins[ids[keys.places]] & ends[ids[keys.places + 1]])
        at = np.searchsorted(self.pairs, keys.pairs[likely])
        hit = self.pairs[np.minimum(at, len(self.pairs) - 1)] == keys.pairs[likely]
        places, numbers = keys.places[likely[hit]], self.numbers[at[hit]]
        chosen = _without_overlap(places)
        places, numbers = places[chosen], numbers[chosen]
        found = ids.copy()
        found[places] = numbers
        stays = np.ones(len(ids), bool)
        stays[places + 1] = False
        return found[stays], np.concatenate(([0], np.cumsum(stays)))[borders]


def _without_overlap(places: I64) -> npt.NDArray[np.bool_]:
    """Of runs of neighbouring places every other one, from the first on; places ascend."""
    if not len(places):
        return np.empty(0, bool)
    begins = np.concatenate(([True], np.diff(places) > 1))
    run = np.cumsum(begins) - 1
    even: npt.NDArray[np.bool_] = (places - places[begins][run]) % 2 == 0
    return even


@dataclass(frozen=True)
class _Pairs:
    """Neighbours inside a sentence: where the first stands, and first · V + second."""

    places: I64
    pairs: U64


def _pairs(ids: I32, borders: I64, n_words: int) -> _Pairs:
    inside = np.ones(max(0, len(ids) - 1), bool)
    cuts = borders[(borders > 0) & (borders < len(ids))]
    inside[cuts - 1] = False
    places = np.flatnonzero(inside)
    pairs = ids[places].astype(np.uint64) * np.uint64(n_words)
    pairs += ids[places + 1].astype(np.uint64)
    return _Pairs(places, pairs)


def _parts(pairs: U64, n_words: int) -> tuple[I64, I64]:
    first, second = np.divmod(pairs, np.uint64(max(1, n_words)))
    return first.astype(np.int64), second.astype(np.int64)


def _counted_pairs(corpus: IdCorpus) -> tuple[U64, I64, int]:
    """Pairs of words that are no signs, ascending, and how often each occurs; how many all are."""
    n_words = len(corpus.words)
    sign = np.array([char_class(ord(word[0])) == SIGN for word in corpus.words])
    found, counts = np.empty(0, np.uint64), np.empty(0, np.int64)
    limit = 0
    for ids, borders, _ in _chunks(corpus):
        here, often = count_hashes(_pairs(ids, borders, n_words).pairs)
        found, counts = _merged(found, counts, here, often)
        while len(found) > MOST_PAIRS:
            limit += 1
            found, counts = found[counts > limit], counts[counts > limit]
    first, second = _parts(found, n_words)
    plain = ~(sign[first] | sign[second])
    return found[plain], counts[plain], len(found)


def _merged(one: U64, n_one: I64, other: U64, n_other: I64) -> tuple[U64, I64]:
    """Two ascending lists with counts as one."""
    keys = np.concatenate([one, other])
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], np.concatenate([n_one, n_other])[order]
    if not len(keys):
        return keys, counts
    first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return keys[first], np.add.reduceat(counts, first)


def _chunks(corpus: IdCorpus) -> Iterator[tuple[I32, I64, bool]]:
    """Numbers, borders of sentences in them, and whether the last sentence goes on."""
    starts = corpus.starts
    for begin, end in sentence_chunks(starts, len(corpus.ids), CHUNK):
        low, high = np.searchsorted(starts, [begin, end]).tolist()
        inner = np.asarray(starts[low : high + 1])
        inner = inner[inner < end] - begin
        whole = int(starts[high]) == end
        borders = np.unique(np.concatenate(([0], inner, [end - begin])))
        yield np.array(corpus.ids[begin:end]), borders, not whole


def _rewritten(corpus: IdCorpus, folder: Path, phrases: _Phrases, min_count: int) -> IdCorpus:
    files, begin = IdFiles(folder), 0
    counts = np.zeros(len(phrases.words), np.int64)
    for ids, borders, goes_on in _chunks(corpus):
        joined, ends = phrases.joined(ids, borders, len(corpus.words))
        counts += np.bincount(joined, minlength=len(counts))
        # a line without words ends a block
        low, high = np.searchsorted(corpus.blocks, [begin, begin + len(ids) + 1]).tolist()
        blank = np.isin(borders[1:] + begin, corpus.blocks[low:high])
        sizes = np.insert(np.diff(ends), np.flatnonzero(blank) + 1, 0)
        files.add(joined, sizes, goes_on=goes_on)
        begin += len(ids)
    files.close()
    names = [word.encode() for word in phrases.words]
    order = np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.int64)
    order = order[np.argsort(-counts[order], kind="stable")]
    order = order[counts[order] >= min_count]
    if not len(order):
        raise DataError(
            f"no word or phrase occurs {min_count:,} times; the most frequent occurs "
            f"{counts.max():,} times",
            hint=f"--min-count {counts.max()}",
        )
    ranks = np.full(len(names), -1, np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    files.renumber(ranks)
    words = [phrases.words[i] for i in order.tolist()]
    return dataclasses.replace(corpus, words=words, counts=counts[order], **mapped(folder))
