"""Texts that a language model does not learn from: metrics, honest probabilities, and the gate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.labelled import read_labelled
from nlpcli.data.rows import naming, open_rows
from nlpcli.data.sentence_corpus import SentenceCorpus
from nlpcli.data.unit_reading import Reading
from nlpcli.errors import DataError
from nlpcli.evaluation.temperature import fit_softmax
from nlpcli.runs.conditions import Condition
from nlpcli.runs.language_scoring import score_texts
from nlpcli.runs.publishing import gate_failures, version_in_use
from nlpcli.runs.reporting import Reporter
from nlpcli.runs.request import BETTER
from nlpcli.runs.scoring import plain_metrics, score
from nlpcli.store.classifier import Classifier
from nlpcli.store.language_model import KIND, LanguageModel, read_language_model
from nlpcli.store.opening import open_stored
from nlpcli.store.store import Store
from nlpcli.text.features import text_chunks
from nlpcli.text.sentence_ids import Sentences

EVERY, MOST = 10, 5000
"""One sentence in so many, and no more than these, tells how far probabilities can be trusted."""
PERPLEXITIES = (
    "perplexity", "perplexity_without_unknown", "bits_per_character", "unknown_share",
    "zero_probability_share",
)  # fmt: skip
"""Metrics of a model of no labels; of all of them less is better."""
_UNIT = 1 / 4
"""``fit_softmax`` expects a scale of about 4, here it is about 1."""
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DevTexts:
    """Texts that are not learnt from; ``labels`` as ``Labelled`` has them, None without."""

    name: str
    texts: list[str]
    labels: list[tuple[str, ...]] | None
    sha256: str


def read_dev(path: str, reading: Reading) -> DevTexts:
    """A file like those that are learnt from. Raises InputMissing, DataError for bad rows (unless
    skipped) and where no text is left."""
    fmt, reject = reading.fmt, naming(reading.on_reject, path, *reading.paths)
    if reading.label_column is not None:
        rows = read_labelled(
            path, fmt, text_column=reading.text_column, label_column=reading.label_column,
            on_reject=reject,
        )  # fmt: skip
        return DevTexts(path, rows.texts, rows.labels, rows.sha256)
    stream = open_rows(path, fmt, reject)
    column = stream.column(reading.text_column)
    texts = [row[column] for batch in stream.batches() for row in batch.rows]
    if not any(map(str.strip, texts)):
        raise DataError(f"{stream.name}: no texts")
    return DevTexts(path, texts, None, stream.sha256())


def measure(model: Classifier | LanguageModel, dev: DevTexts) -> dict[str, float | None]:
    """Metrics by name, without intervals."""
    if dev.labels is not None:
        found = score(model, model.probabilities(dev.texts), dev.labels, resamples=0)
    else:
        assert isinstance(model, LanguageModel)
        found = score_texts(model, [dev.texts], dev.name, resamples=0, seed=1)
    return plain_metrics(found)


def rival(dev: DevTexts, store: Store, output: str, console: Reporter) -> dict[str, Any] | None:
    """Metrics of the version in use on these texts; None when there is none to be used.

    Raises DataError where it is of a kind that cannot be compared.
    """
    folder = version_in_use(store, output, console)
    if folder is None:
        return None
    if dev.labels is not None:
        return measure(open_stored(folder), dev)
    if folder.manifest.kind != KIND or folder.manifest.labels:
        raise DataError(f"--publish-if {BETTER}: {folder.path} is no language model without labels")
    return measure(read_language_model(folder), dev)


def refusals(
    gate: list[Condition | None],
    metrics: dict[str, Any],
    dev: DevTexts,
    other: dict[str, Any] | None,
) -> list[str]:
    """Why --publish-if says no. Better is a higher macro F1, or without labels a lower perplexity,
    than that of the ``other`` version."""
    better = ("perplexity", "<") if dev.labels is None else ("macro_f1", ">")
    return gate_failures(gate, metrics, better, other)


def calibrated_on(language: LanguageModel, dev: DevTexts) -> LanguageModel:
    """With the scale that makes the probabilities of these texts' labels likeliest."""
    assert dev.labels is not None
    numbers = {label: number for number, label in enumerate(language.labels)}
    true = np.array([numbers.get(names[0], -1) for names in dev.labels], np.int64)
    logs: list[F64] = []
    for chunk in text_chunks(dev.texts):
        sentences = language.coder.encode(chunk)
        logs.append(language.joint(sentences) / np.sqrt(sentences.words + 1.0)[:, None])
    return replace(language, scale=fitted_scale(np.concatenate(logs), true))


def calibrated_on_part(language: LanguageModel, part: SentenceCorpus) -> LanguageModel:
    """As ``calibrated_on``, of sentences that ``language`` has not learnt from."""
    assert part.owners is not None
    unknown = np.zeros(len(part.tokens), bool)
    logs = language.joint(Sentences(part.tokens, unknown, part.sizes))
    logs /= np.sqrt(part.sizes - 1.0)[:, None]
    return replace(language, scale=fitted_scale(logs, part.owners.astype(np.int64)))


def fitted_scale(logs: F64, true: I64) -> float:
    """The scale of Guo et al. 2017, section 4.2, for ``logs`` [B, L], which are divided by the
    root of each text's length; ``true`` [B], -1 for a label that is not there. Texts whose own
    label is ruled out say nothing of it and are left out."""
    known = np.flatnonzero(true >= 0)
    known = known[np.isfinite(logs[known, true[known]])]
    logs, true = logs[known], true[known]
    finite = np.isfinite(logs)
    lowest = np.min(logs, axis=1, where=finite, initial=0.0, keepdims=True)
    targets = np.zeros(logs.shape)
    targets[np.arange(len(true)), true] = 1.0
    return fit_softmax(np.where(finite, logs, lowest) * _UNIT, targets).scale * _UNIT


def divided(corpus: SentenceCorpus) -> tuple[SentenceCorpus, SentenceCorpus]:
    """Every tenth sentence, label by label, is in the second part, or fewer; the first sentence of
    each label is in the first."""
    assert corpus.owners is not None
    order = np.argsort(corpus.owners, kind="stable")
    step = max(EVERY, -(-len(order) // MOST))
    held = np.zeros(len(order), bool)
    held[order[step - 1 :: step]] = True
    held[order[np.searchsorted(corpus.owners[order], np.arange(len(corpus.labels)))]] = False
    return _chosen(corpus, ~held), _chosen(corpus, held)


def _chosen(corpus: SentenceCorpus, which: npt.NDArray[np.bool_]) -> SentenceCorpus:
    assert corpus.owners is not None
    tokens = corpus.tokens[np.repeat(which, corpus.sizes)]
    return replace(corpus, tokens=tokens, sizes=corpus.sizes[which], owners=corpus.owners[which])
