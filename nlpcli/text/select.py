"""How much a feature tells of the labels, from counts alone: chi-square, information, IDF.

Letters: F features, L labels; ``Table`` holds what all scores are made of. Every function gives
float64 [F]; where a value is not defined, because all documents have the label or the feature,
nothing is told and it is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """``counts`` and ``documents`` int64 [F]: occurrences of each feature in all documents, and
    documents that hold it; ``label_counts`` and ``label_documents`` int64 [F, L]: in those of each
    label. ``label_sizes`` int64 [L]: documents of each label; ``n_documents`` of all.

    A document may have several labels, or none.
    """

    counts: I64
    documents: I64
    label_counts: I64
    label_documents: I64
    label_sizes: I64
    n_documents: int


def chi2(table: Table) -> F64:
    """Sum over labels of (observed - expected)^2 / expected occurrences of the feature.

    Expected are the occurrences in all documents by the label's share of the documents. It is
    ``sklearn.feature_selection.chi2`` of the matrix of counts (Pearson 1900; for texts Yang &
    Pedersen 1997, A Comparative Study on Feature Selection in Text Categorization, section 2.4,
    who count documents).
    """
    shares = table.label_sizes / max(1, table.n_documents)
    total: F64 = _squares(table.label_counts, table.counts[:, None] * shares).sum(axis=1)
    return total


def chi2_of_label(table: Table, label: int) -> F64:
    """``chi2`` with two labels: this one, and all that do not have it."""
    share = table.label_sizes[label] / max(1, table.n_documents)
    inside = table.label_counts[:, label]
    expected = table.counts * share
    outside, rest = table.counts - inside, table.counts * (1 - share)
    return _squares(inside, expected) + _squares(outside, rest)


def _squares(observed: I64, expected: F64) -> F64:
    there = expected > 0
    result: F64 = np.where(there, (observed - expected) ** 2, 0) / np.where(there, expected, 1)
    return result


def mutual_information(table: Table) -> F64:
    """I(presence; label) = sum p(t, l) ln(p(t, l) / (p(t) p(l))) in nats, t: the feature is in the
    document or not.

    It is ``sklearn.feature_selection.mutual_info_classif`` of the matrix of presence, with discrete
    features (Cover & Thomas 2006, Elements of Information Theory, section 2.3). Where documents
    have several labels or none, it is the mean of the single labels', by their number of documents.
    """
    n = table.n_documents
    if int(table.label_sizes.sum()) != n:
        each = [mutual_information_of_label(table, k) for k in range(len(table.label_sizes))]
        weights = table.label_sizes / max(1, int(table.label_sizes.sum()))
        total: F64 = np.stack(each, axis=1) @ weights if each else np.zeros(len(table.counts))
        return total
    inside = table.label_documents
    with_it, without = table.documents[:, None], n - table.documents[:, None]
    parts = _information(inside, with_it, table.label_sizes, n)
    parts += _information(table.label_sizes - inside, without, table.label_sizes, n)
    found: F64 = np.maximum(parts.sum(axis=1), 0)
    return found


def mutual_information_of_label(table: Table, label: int) -> F64:
    """I(presence; the document has the label) in nats."""
    n, size = table.n_documents, int(table.label_sizes[label])
    inside, with_it = table.label_documents[:, label], table.documents
    sizes = np.array([size, n - size])
    parts = np.zeros(len(with_it))
    for both, row, column in (
        (inside, with_it, sizes[0]),
        (with_it - inside, with_it, sizes[1]),
        (size - inside, n - with_it, sizes[0]),
        (n - size - with_it + inside, n - with_it, sizes[1]),
    ):
        parts += _information(both, row, column, n)
    return np.maximum(parts, 0)


def _information(both: I64, row: I64, column: I64 | np.int64, n: int) -> F64:
    """p ln(p / (p_row p_column)) for counts of ``n``; 0 where ``both`` is."""
    there = both > 0
    ratio = both * float(n) / np.where(there, row.astype(np.float64) * column, 1)
    result: F64 = both / max(1, n) * np.log(np.where(there, ratio, 1))
    return result


def entropy(table: Table) -> F64:
    """Information gain H(L) - p(t) H(L | t) - p(no t) H(L | no t) in bits: by how much the entropy
    of the label falls when it is known whether the feature is in the document.

    Quinlan 1986, Induction of Decision Trees, section 4; for texts Yang & Pedersen 1997, section
    2.2. It is computed from these three entropies, and is ``mutual_information`` in another unit.
    Several labels: as there.
    """
    n = table.n_documents
    if int(table.label_sizes.sum()) != n:
        found: F64 = mutual_information(table) / np.log(2)
        return found
    inside, outside = table.label_documents, table.label_sizes - table.label_documents
    share = table.documents / max(1, n)
    before = _bits(table.label_sizes[None, :])
    gain: F64 = before - share * _bits(inside) - (1 - share) * _bits(outside)
    found = np.maximum(gain, 0)
    return found


def entropy_of_label(table: Table, label: int) -> F64:
    """``entropy`` with two labels: this one, and all that do not have it."""
    size = table.label_sizes[label]
    inside = table.label_documents[:, label]
    two = np.stack((inside, table.documents - inside), axis=1)
    return entropy(
        Table(
            table.counts,
            table.documents,
            two,
            two,
            np.array([size, table.n_documents - size]),
            table.n_documents,
        )
    )


def _bits(counts: I64) -> F64:
    """Entropy of each row of counts, in bits; 0 for a row of zeros."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.where(totals, totals, 1)
    result: F64 = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=1)
    return result


def idf(documents: I64, n_documents: int) -> F64:
    """ln((1 + N) / (1 + df)) + 1, as scikit-learn's ``TfidfTransformer`` and this program's
    tokenizer weigh (Sparck Jones 1972, A Statistical Interpretation of Term Specificity)."""
    result: F64 = np.log((1 + n_documents) / (1 + documents)) + 1
    return result


def overall(name: str, table: Table) -> F64:
    """A score by its name: chi2, entropy, mutual-information or idf."""
    if name == "idf":
        return idf(table.documents, table.n_documents)
    return {"chi2": chi2, "entropy": entropy, "mutual-information": mutual_information}[name](table)


def of_label(name: str, table: Table, label: int) -> F64:
    """The same for a single label; IDF is that among the label's documents."""
    if name == "idf":
        return idf(table.label_documents[:, label], int(table.label_sizes[label]))
    return {
        "chi2": chi2_of_label,
        "entropy": entropy_of_label,
        "mutual-information": mutual_information_of_label,
    }[name](table, label)
