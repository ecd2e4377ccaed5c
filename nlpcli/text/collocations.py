"""Word pairs that stand together more often than chance has it, from counts alone.

``pairs`` int64 [N]: how often a word is followed by another; ``firsts`` and ``seconds`` [N]: how
often each of the two occurs at all; ``n_words``: words of all texts. The four cells of a pair's
table are pairs, firsts - pairs, seconds - pairs and what is left of ``n_words``, as in nltk's
BigramAssocMeasures; its scores are these, float64 [N].
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


def pmi(pairs: I64, firsts: I64, seconds: I64, n_words: int) -> F64:
    """Pointwise mutual information log2(p(ab) / (p(a) p(b))) in bits.

    Church & Hanks 1990, Word Association Norms, Mutual Information, and Lexicography, section 3.
    It favours rare pairs: use it with a --min-count.
    """
    expected = firsts.astype(np.float64) * seconds / n_words
    result: F64 = np.log2(pairs / expected)
    return result


def log_likelihood_ratio(pairs: I64, firsts: I64, seconds: I64, n_words: int) -> F64:
    """-2 ln lambda = 2 sum O ln(O / E) over the four cells of the pair's table.

    Dunning 1993, Accurate Methods for the Statistics of Surprise and Coincidence, section 4.
    """
    others, rest = n_words - firsts, n_words - seconds
    cells = (
        (pairs, firsts, seconds),
        (firsts - pairs, firsts, rest),
        (seconds - pairs, others, seconds),
        (n_words - firsts - seconds + pairs, others, rest),
    )
    total = np.zeros(len(pairs))
    for observed, row, column in cells:
        # the last cell may be below 0 where a word is most of the text
        there = observed > 0
        ratio = observed * float(n_words) / np.where(there, row.astype(np.float64) * column, 1)
        total += observed * np.log(np.where(there, ratio, 1))
    return 2 * total


def t_score(pairs: I64, firsts: I64, seconds: I64, n_words: int) -> F64:
    """(pairs - expected) / sqrt(pairs), expected = firsts · seconds / n_words.

    Church, Gale, Hanks & Hindle 1991, Using Statistics in Lexical Analysis, section 2.3; the
    variance of the count is taken to be the count itself. It favours frequent pairs.
    """
    expected = firsts.astype(np.float64) * seconds / n_words
    result: F64 = (pairs - expected) / np.sqrt(pairs)
    return result


def association(name: str, pairs: I64, firsts: I64, seconds: I64, n_words: int) -> F64:
    """A score by its name: pmi, llr or t."""
    measure = {"pmi": pmi, "llr": log_likelihood_ratio, "t": t_score}[name]
    return measure(pairs, firsts, seconds, n_words)
