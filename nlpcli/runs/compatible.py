"""The stages of training that differ for a model in fastText's format."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nlpcli.errors import UsageError
from nlpcli.formats.fasttext_training import FastTextCutting, TrainingCutter, learn_dictionary
from nlpcli.models.config import DIM
from nlpcli.runs.memory import free_memory

BUCKETS = 2_000_000
LOSSES = ("softmax", "one-vs-all", "hs", "ns")
NOT_THERE: dict[str, Any] = {
    "continue_from": None, "cost": None, "features": None, "lowercase": False, "model_size": None,
    "segmenter": None, "strip_control": False, "strip_html": False, "strip_mentions": False,
    "strip_punctuation": False, "strip_urls": False, "unicode_form": "none",
}  # fmt: skip
"""Options that the format cannot keep, unless they are typed with this value."""

if TYPE_CHECKING:
    from nlpcli.formats.fasttext_model import FastTextClassifier
    from nlpcli.runs.fitting import Outcome
    from nlpcli.runs.request import Parts, Request
    from nlpcli.text.tokenizer import Bags
    from nlpcli.training.fit import Fitting


def check_compatible(options: dict[str, Any], typed: set[str]) -> int:
    """The width of embeddings. Raises UsageError for options that the format cannot keep."""
    with_it = "with --fasttext-compatible"
    for name in sorted(typed & NOT_THERE.keys()):
        if options[name] != NOT_THERE[name]:
            raise UsageError(f"--{name.replace('_', '-')} has no meaning {with_it}")
    loss, dim = options["loss"], options["dim"]
    if loss not in ("auto", *LOSSES):
        raise UsageError(f"--loss {loss} {with_it}: wanted {', '.join(LOSSES)}")
    if options["label_separator"] is not None and loss not in ("auto", "one-vs-all"):
        raise UsageError(
            f"--loss {loss} {with_it} gives one label a row, --label-separator several",
            hint="--loss one-vs-all",
        )
    if dim == 0:
        raise UsageError(f"--dim 0 {with_it}: wanted 1 or more")
    if options["buckets"] == 2**31:
        raise UsageError(f"--buckets {2**31} {with_it}: wanted one less")
    return DIM if dim is None else int(dim)


def cut_compatible(
    request: Request, cutting: FastTextCutting, parts: Parts
) -> tuple[TrainingCutter, Bags]:
    """Learns the dictionary and cuts the training texts. Raises DataError, Unavailable."""
    config, train = request.config, parts.train
    more = {"negatives": config.negatives} if config.loss == "ns" else {}
    arguments = cutting.arguments(dim=config.dim, epochs=config.epochs, loss=config.loss, **more)
    words = [] if parts.vectors is None else [word.encode() for word in parts.vectors.words]
    dictionary = learn_dictionary(cutting, train.texts, train.labels, parts.names, words)
    cutter = TrainingCutter(arguments, dictionary)
    return cutter, cutter.fit(train.texts, words, room=free_memory())


def measure_compatible(
    request: Request, parts: Parts, cutter: TrainingCutter, fitting: Fitting, report: dict[str, Any]
) -> Outcome:
    """The model as it will answer, with its threshold; dev metrics go into the report.

    The format has no place for a calibration: with a dev part and softmax, the scale of the
    logits goes into the output matrix.
    """
    from nlpcli.formats.fasttext_model import FastTextClassifier
    from nlpcli.runs.fitting import Outcome
    from nlpcli.runs.scoring import plain_metrics, score
    from nlpcli.store import fasttext_folder

    prefix, scorer = request.label_prefix, fitting.scorer
    assert scorer.output is not None
    output = scorer.output
    if parts.dev is not None and request.config.loss == "softmax":
        from nlpcli.evaluation.temperature import fit_softmax

        bags = cutter.bags(parts.dev.texts)
        logits = scorer.logits(bags.indptr, bags.ids, bags.weights)
        scale = fit_softmax(logits, _truth(parts).astype(np.float64)).scale
        output = output * np.float32(scale)
    model = cutter.file(scorer.weight, output)

    def opened(threshold: float | None) -> FastTextClassifier:
        return FastTextClassifier(
            model, "the model", prefix=prefix, threshold=threshold, separator=request.separator
        )

    classifier = opened(request.threshold)
    report |= {"loss": round(fitting.loss, 6), "epochs": fitting.epochs, "metrics": {}}
    if parts.dev is not None:
        probabilities = classifier.probabilities(parts.dev.texts)
        if classifier.multi_label and request.threshold is None:
            from nlpcli.evaluation.multilabel import best_threshold

            classifier = opened(round(best_threshold(_truth(parts), probabilities)[0], 6))
        document = score(classifier, probabilities, parts.dev.labels, resamples=0)
        report["metrics"] = plain_metrics(document)
    if classifier.multi_label:
        report["threshold"] = classifier.threshold
    write = partial(
        fasttext_folder.write_fasttext_folder, model=model, prefix=prefix,
        threshold=classifier.threshold, separator=classifier.separator,
    )  # fmt: skip
    return Outcome(classifier, fasttext_folder.KIND, write, report)


def _truth(parts: Parts) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """True labels of the dev part, bool [B, K]; those that the model does not know left out."""
    from nlpcli.batching.labels import LabelSets

    assert parts.dev is not None
    sets = LabelSets.of(parts.dev.labels, parts.names)
    return sets.dense(np.arange(len(parts.dev.labels))).astype(bool)
