"""Words in, the words nearest to them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nlpcli.errors import DataError, shown
from nlpcli.models.word_vectors import F32, WordVectors, unit_rows
from nlpcli.text.spelling import near_spellings


@dataclass(frozen=True)
class Neighbors:
    """Answers from ``vectors``; ``name`` is what errors call the model.

    Every question is answered by itself, so that an answer has the same bits whatever is asked
    beside it.
    """

    vectors: WordVectors
    name: str
    k: int

    def of_word(self, word: str) -> list[tuple[str, float]]:
        """The ``k`` words nearest to a word by cosine, nearest first, without itself.

        Raises DataError for a word that has no vector.
        """
        found = self._vectors_of([word])
        return self._nearest(found, [word])

    def of_analogy(self, a: str, b: str, c: str) -> list[tuple[str, float]]:
        """What is to ``c`` as ``b`` is to ``a``: nearest to b - a + c, without the three.

        3CosAdd: vectors of length one (Mikolov, Yih and Zweig 2013, Linguistic Regularities in
        Continuous Space Word Representations, section 4; named so by Levy and Goldberg 2014).
        Raises DataError for a word that has no vector.
        """
        units = unit_rows(self._vectors_of([a, b, c]))
        return self._nearest((units[1] - units[0] + units[2])[None], [a, b, c])

    def _vectors_of(self, words: Sequence[str]) -> F32:
        found, known = self.vectors.lookup(words)
        if not known.all():
            word = words[int(known.argmin())]
            near = ", ".join(map(shown, near_spellings(word, self.vectors.words)))
            raise DataError(
                f"{self.name}: no vector for {shown(word)!r}, "
                f"which is none of its {len(self.vectors.words):,} words",
                hint=f"did you mean {near}?" if near else None,
            )
        return found

    def _nearest(self, query: F32, asked: Sequence[str]) -> list[tuple[str, float]]:
        rows = [self.vectors.positions[word] for word in asked if word in self.vectors.positions]
        found, cosines = self.vectors.nearest(query, self.k, [rows])
        pairs = zip(found[0].tolist(), cosines[0].tolist(), strict=True)
        return [(self.vectors.words[row], cosine) for row, cosine in pairs if row >= 0]
