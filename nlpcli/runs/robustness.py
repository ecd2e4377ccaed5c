"""How a classifier fares on perturbed texts: curves, an attack, fragile words, training rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from nlpcli.data.output import RowWriter
from nlpcli.data.pairs import parted
from nlpcli.evaluation.attack import Attacked, attack
from nlpcli.evaluation.bootstrap import generator
from nlpcli.evaluation.robustness import (
    Adversarial,
    Found,
    Rows,
    Tell,
    Trials,
    fragile_words,
    measure_perturbed,
)
from nlpcli.evaluation.truths import F64, I64, label_truths, mean_estimates
from nlpcli.text.perturbations import KEEPS_MEANING, KINDS, cut

if TYPE_CHECKING:
    from nlpcli.store.classifier import Classifier

Labels = Sequence[tuple[str, ...]]

STRENGTHS = (0.05, 0.1, 0.2, 0.4)
FRAGILE_WORDS = 50


@dataclass(frozen=True)
class Robustness:
    """What is asked: kinds of perturbation, strengths above 0 up to 1, how many rows to perturb and
    how many of these to attack with how many questions each, at most."""

    kinds: tuple[str, ...] = tuple(KINDS)
    strengths: tuple[float, ...] = STRENGTHS
    rows: int = 5000
    attack_rows: int = 200
    attack_queries: int = 200


@dataclass(frozen=True)
class Measured:
    """Entries for the document of ``eval``, and the texts that went wrong with the labels of the
    rows that they came from."""

    document: dict[str, Any]
    adversarial: list[Adversarial]
    texts: list[str]
    labels: list[tuple[str, ...]]


def measure_robustness(
    classifier: Classifier,
    texts: Sequence[str],
    labels: Labels,
    probabilities: F64,
    asked: Robustness,
    *,
    threshold: float | None = None,
    resamples: int = 1000,
    seed: int = 1,
    tell: Tell,
) -> Measured:
    """Perturbs and attacks rows with their labels; ``probabilities``: of the texts as they are.

    The same rows, kinds, strengths and seed give the same perturbed texts for every model. Of
    pairs both texts are perturbed.
    """
    chosen = _sample(np.arange(len(texts)), asked.rows, seed)
    mine, names = [texts[i] for i in chosen], [labels[i] for i in chosen]
    limit = classifier.limit(threshold) if classifier.multi_label else None
    truths = label_truths(names, classifier.labels, limit)
    clean = probabilities[chosen]
    answers = truths.answers(clean)
    right = truths.right(answers, np.arange(len(mine)))
    rows = Rows(mine, [cut(text) for text in mine], truths, answers, right)
    found = measure_perturbed(
        rows, classifier.probabilities, kinds=asked.kinds, strengths=asked.strengths,
        resamples=resamples, seed=seed, tell=tell,
    )  # fmt: skip
    document: dict[str, Any] = {
        "robustness": found.curves,
        "robustness_run": {
            "rows": len(mine), "strengths": list(asked.strengths), "seed": seed,
            "without_effect": found.without_effect,
        },
        "perturbed_accuracy": found.average,
    }  # fmt: skip
    kinds = [kind for kind in asked.kinds if kind in KEEPS_MEANING]
    if asked.attack_rows and kinds:
        rivals = _sample(np.arange(len(mine)), asked.attack_rows, seed)
        attacked = attack(
            mine, truths, truths.margins(clean, rows.every), rivals[right[rivals]],
            classifier.probabilities, queries=asked.attack_queries, seed=seed, kinds=kinds,
            tell=tell,
        )  # fmt: skip
        document |= _attack_entries(attacked, rows, rivals, asked, resamples, seed)
        _note_attacks(found, attacked)
    document["fragile_words"] = fragile_words(found.words, FRAGILE_WORDS)
    return Measured(document, list(found.adversarial), mine, names)


def _sample(rows: I64, most: int, seed: int) -> I64:
    """At most ``most`` of the rows, rising."""
    if len(rows) <= most:
        return rows
    return np.sort(generator(seed, 10).choice(rows, size=most, replace=False))


def _attack_entries(
    attacked: list[Attacked],
    rows: Rows,
    rivals: I64,
    asked: Robustness,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """The document's entries about an attack on the rows ``rivals``, of which the wrong stay so."""
    fallen = [one for one in attacked if one.flipped]
    before = rows.right[rivals].astype(np.float64)
    after = before * ~np.isin(rivals, [one.row for one in fallen])
    accuracy, under = mean_estimates(
        np.stack([before, after], axis=1), shares=(0, 1), resamples=resamples, seed=seed
    )
    used = Counter(kind for one in fallen for kind in one.kinds)
    return {
        "attack": {
            "rows": len(rivals),
            "attacked": len(attacked),
            "flipped": len(fallen),
            "accuracy": accuracy,
            "accuracy_under_attack": under,
            "words_changed": _mean([len(one.words) for one in fallen]),
            "share_changed": _mean([one.share for one in fallen]),
            "queries": _mean([one.queries for one in attacked]),
            "most_queries": asked.attack_queries,
            "kinds": dict(sorted(used.items(), key=lambda item: (-item[1], item[0]))),
        },
        "attack_accuracy": under,
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _note_attacks(found: Found, attacked: list[Attacked]) -> None:
    for one in attacked:
        for word, flipped in one.alone:
            found.words.setdefault(word.casefold(), Trials()).add(one.row, flipped=flipped)
        if not one.flipped:
            continue
        found.adversarial[Adversarial(one.row, one.text, "+".join(one.kinds))] = None
        for word in {word.casefold() for word in one.words}:
            found.words.setdefault(word, Trials()).attacks += 1


def write_adversarial(
    stream: BinaryIO, measured: Measured, columns: Sequence[str], separator: str | None
) -> int:
    """Writes the changed texts as CSV rows for training, and says how many.

    ``columns``: names of the text, or of both texts of pairs, and of the label. Behind these stand
    ``original`` (and ``original_b``) and ``kind``. A text that is wrong in several ways is one row.
    """
    pairs = len(columns) > 2
    writer = RowWriter(stream, [*columns, "original", *["original_b"] * pairs, "kind"])
    writer.write_header()
    different: dict[tuple[int, str], list[str]] = {}
    for one in measured.adversarial:
        different.setdefault((one.row, one.text), []).append(one.kind)
    rows, ways = [], []
    for (row, text), kinds in sorted(different.items()):
        label = (separator or ";").join(measured.labels[row])
        rows.append([*_cells(text, pairs), label, *_cells(measured.texts[row], pairs)])
        ways.append(kinds[0])
    writer.write(rows, [ways])
    return len(rows)


def _cells(text: str, pairs: bool) -> list[str]:
    if not pairs:
        return [text]
    first, second = parted([text])
    return [*first, *second]
