"""What finetune was asked for; how a model begins, is scored and calibrated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from nlpcli.data.labelled import number_of
from nlpcli.errors import DataError, UsageError, shown
from nlpcli.models.sequence_head import CLS, LINEAR, PREFIX, n_parameters
from nlpcli.runs.encoder_classifier import activated
from nlpcli.runs.encoder_exchange import folder_content
from nlpcli.runs.encoder_planning import check_memory, memory_needed, shapes
from nlpcli.runs.publishing import expect_dev_rows
from nlpcli.store.encoder_classifier import ARCHITECTURE, BARE, Answering, StoredClassifier

if TYPE_CHECKING:
    import torch

    from nlpcli.batching.framing import Rows
    from nlpcli.data.labelled import Labelled
    from nlpcli.data.rows import RowFormat
    from nlpcli.models.encoder_heads import EncoderModel
    from nlpcli.runs.conditions import Condition
    from nlpcli.runs.request import Parts
    from nlpcli.store.encoder import Encoder, OpenedEncoder
    from nlpcli.training.answers import SequenceObjective
    from nlpcli.training.finetuning_config import FinetuneConfig

F64 = npt.NDArray[np.float64]
PRIOR = 1.0
"""Of the scale of logits that were trained as they are."""
FEWEST_NUMBERS = 20
"""Different labels that are numbers; with more of them a regression may be meant."""

NO_DEV = "too few rows to hold some out: the last epoch is kept, nothing is measured or calibrated"
"""Where dev rows were wanted."""


@dataclass(frozen=True, kw_only=True)
class FinetuneRequest:
    """A run as it was asked for, validated."""

    output: str
    train: str
    dev: str | None
    dev_fraction: float
    fmt: RowFormat
    columns: dict[str, str | None]
    pair: bool
    base: OpenedEncoder
    config: FinetuneConfig
    class_weight: str | None
    threshold: float | None
    patience: int | None
    seed: int
    threads: int | None
    device: str
    precision: str
    resume: bool
    save_every: float
    gate: list[Condition | None]
    if_changed: bool
    ranks: int = 1
    head: str = LINEAR
    pooling: str = CLS
    binary_sigmoid: bool = False
    by_position: ClassVar[bool] = False
    """Whether the head reads each position of a row, and not a vector of the row."""

    @property
    def separator(self) -> str | None:
        """Joins several labels; None for one label a row."""
        return self.columns["label_separator"]

    def answering(self) -> Answering:
        """How rows are read and answered, before anything is measured."""
        return Answering(
            pair=self.pair, separator=self.separator, max_length=self.config.max_length,
            long=self.config.long, window_overlap=self.config.window_overlap, head=self.head,
            pooling=self.pooling,
        )  # fmt: skip

    def record(self, parts: Parts, program: str) -> dict[str, Any]:
        """Everything that the model depends on, as plain JSON values."""
        folder = self.base.folder
        fmt = {k: v for k, v in asdict(self.fmt).items() if v is not None}
        files = {} if folder is None else folder.manifest.files
        record = {
            "program": program, "train_sha256": parts.train.sha256,
            "dev_sha256": None if parts.dev is None else parts.dev.sha256,
            "dev": parts.source if self.dev is None else "a file", "rows_as": fmt,
            **self.columns, "pair": self.pair, **self.config.to_json(),
            "from": {name: entry.sha256 for name, entry in files.items()}
            or folder_content(self.base.path)[0],
            "class_weight": "balanced" if parts.class_weight == {} else parts.class_weight,
            "threshold": self.threshold, "patience": self.patience, "seed": self.seed,
            "threads": self.threads, "device": self.device, "precision": self.precision,
            "ranks": self.ranks,
            "head": self.head, "pooling": self.pooling, "binary_sigmoid": self.binary_sigmoid,
            "publish_if": [str(condition or "better") for condition in self.gate],
        }  # fmt: skip
        plain: dict[str, Any] = json.loads(json.dumps(record))
        return plain

    def n_head_parameters(self, n_labels: int) -> int:
        """Numbers of what stands above the encoder."""
        hidden = self.base.encoder.config.hidden
        n_outputs = 1 if self.binary_sigmoid else n_labels
        unused = hidden * (hidden + 1) if self.pooling != CLS else 0  # of a pooler
        return n_parameters(hidden, n_outputs, self.head) - unused

    def check_gate(self, parts: Parts) -> None:
        """Raises DataError for a gate, or patience, that the dev rows cannot decide."""
        expect_dev_rows(self.train, parts, self.dev_fraction, self.gate, self.patience)
        for condition in self.gate:
            lack = None if condition is None else self.lack_for(condition.metric, parts)
            if lack is not None:
                raise DataError(f"--publish-if {condition}: {lack}")

    def lack_for(self, metric: str, parts: Parts) -> str | None:
        """Why rows that are there do not give a metric of the task; None where they do."""
        return None


def digest(record: dict[str, Any]) -> str:
    """Tells a record from others."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def make_plan(
    request: FinetuneRequest, parts: Parts, *, n_cut: int, read: Sequence[Rows], head_bytes: int = 0
) -> dict[str, Any]:
    """Sizes, steps and memory of a run; ``n_cut`` rows are longer than is read. ``read``: the
    training rows as the model reads them, of one or more tasks; ``head_bytes``: what a head holds
    that is not small. Raises Unavailable, and DataError for what is to be measured in vain."""
    from nlpcli.training.device import choose_device
    from nlpcli.training.finetuning import MICRO_TOKENS
    from nlpcli.training.precision import choose_precision

    request.check_gate(parts)
    place = choose_device(request.device)
    precision = choose_precision(request.precision, place)
    encoder, config, n_labels = request.base.encoder.config, request.config, len(parts.names)
    parameters = encoder.n_parameters + request.n_head_parameters(n_labels)
    needed = memory_needed(
        encoder, parameters, length=config.max_length, precision=precision,
        tokens=max(MICRO_TOKENS.get(place.type, MICRO_TOKENS["cpu"]), config.max_length),
    )  # fmt: skip
    needed += head_bytes + _bytes_of_features(request, parts, read, precision)
    check_memory(needed, parameters, place, "a smaller encoder")
    rows = len(parts.train.texts)
    return {
        "output": request.output, "rows": rows, "cut_rows": n_cut,
        "dev_rows": 0 if parts.dev is None else len(parts.dev.texts), "labels": n_labels,
        "row_length": config.max_length, **shapes(encoder, place, precision),
        "batch_size": config.batch_size, "epochs": config.epochs, "lr": config.lr,
        "steps": config.epochs * -(-sum(map(len, read)) // config.batch_size),
        "parameters": parameters, "memory_bytes": needed,
    }  # fmt: skip


def _bytes_of_features(
    request: FinetuneRequest, parts: Parts, read: Sequence[Rows], precision: torch.dtype
) -> int:
    """Of what a frozen encoder says of the training and the dev rows, where it is kept; about, as
    the dev rows are taken to be as long as the others."""
    from nlpcli.training.finetuning_config import ALL
    from nlpcli.training.frozen_features import FEATURE_BYTES

    if request.config.freeze != ALL:
        return 0
    vectors = sum(int(rows.indptr[-1]) if request.by_position else len(rows) for rows in read)
    train = vectors * request.base.encoder.config.hidden * precision.itemsize
    dev = 0 if parts.dev is None else train * len(parts.dev.texts) // len(parts.train.texts)
    kept = 0
    for size in (train, dev):  # in this order they find room, or not
        kept += size if kept + size <= FEATURE_BYTES else 0
    return kept


def hint_at_numbers(names: list[str]) -> str | None:
    """What to say where labels look like numbers to be learnt as such; None where they do not."""
    numbers = {name: number for name in names if (number := number_of(name)) is not None}
    broken = [name for name, number in numbers.items() if number % 1]
    if len(names) <= FEWEST_NUMBERS or len(numbers) < len(names) or not broken:
        return None
    return (
        f"{len(names):,} different labels, all of them numbers such as {shown(broken[0])}, are "
        "learnt as names: --task regression learns numbers"
    )


def check_dev_labels(path: str, dev: Labelled, names: list[str]) -> None:
    """Raises DataError for labels that no training row has: nothing could ever answer them."""
    known = set(names)
    new = sorted({name for row in dev.labels for name in row} - known)
    if not new:
        return
    line = next(line for line, row in zip(dev.lines, dev.labels, strict=True) if set(row) - known)
    listed = ", ".join(map(shown, new[:5])) + f" and {len(new) - 5} more" * (len(new) > 5)
    raise DataError(
        f"{path} line {line}: {'labels' if len(new) > 1 else 'a label'} that no training row "
        f"has: {listed}"
    )


def begin(model: EncoderModel, weights: dict[str, Any], seed: int) -> bool:
    """The encoder's weights; what it lacks, and the head, begin at random.

    Gives whether it has a pooler. Raises UsageError for weights that do not fit.
    """
    import torch

    model.initialize(model.bert.config.initializer_range, torch.Generator().manual_seed(seed))
    drawn = model.weights()
    head = {n for n in drawn if n.startswith(PREFIX)}
    try:
        model.load({**drawn, **{n: a for n, a in weights.items() if n in drawn and n not in head}})
    except ValueError as error:
        raise UsageError(f"--from: {error}") from None
    return "pooler.dense.weight" in weights


def targets_of(request: FinetuneRequest, parts: Parts, rows: Rows) -> SequenceObjective:
    """What is learnt about the training texts, which the encoder reads as ``rows``."""
    from nlpcli.batching.labels import LabelSets
    from nlpcli.batching.text_windows import of_rows
    from nlpcli.training.answers import SequenceObjective
    from nlpcli.training.fit import class_importance

    sets = LabelSets.of(parts.train.labels, parts.names)
    targets: npt.NDArray[Any] = sets.ids.astype(np.int64)
    if request.separator is not None:
        targets = sets.dense(np.arange(len(parts.train.texts))).astype(np.float32)
    if request.binary_sigmoid:
        targets = targets[:, None].astype(np.float32)
    importance = class_importance(sets, parts.class_weight, parts.train.weights)
    targets, importance = of_rows(rows, targets, importance)
    config = request.config
    return SequenceObjective(targets, importance, config.label_smoothing, config.focal)


def tuned(
    base: Encoder, weights: dict[str, Any], answering: Answering, names: list[str], problem: str
) -> StoredClassifier:
    """The model to keep, of ``weights`` as trained; a head that transformers has no class for
    goes into a file of its own. Another head than the pooler's leaves the base its pooler."""
    encoder = replace(base, span_boundary=None, classifier_dropout=None)
    if answering.is_plain:
        encoder = replace(
            encoder, weights=weights, architecture=ARCHITECTURE, labels=names, problem_type=problem
        )
        return StoredClassifier(encoder, answering)
    head = {name: array for name, array in weights.items() if name.startswith(PREFIX)}
    pooler = {name: a for name, a in base.weights.items() if name.startswith("pooler.")}
    rest = {name: array for name, array in weights.items() if name not in head}
    encoder = replace(
        encoder, weights={**pooler, **rest}, architecture=BARE, labels=[], problem_type=None
    )
    return StoredClassifier(encoder, answering, head, names)


def scorer(parts: Parts, answering: Answering) -> Callable[[F64], float] | None:
    """Logits of the dev rows -> accuracy, or for several labels micro F1 at the best threshold."""
    if parts.dev is None:
        return None
    truth = _truth(parts)

    def score(logits: F64) -> float:
        if answering.separator is None:
            return float(truth[np.arange(len(logits)), logits.argmax(axis=1)].mean())
        from nlpcli.evaluation.multilabel import best_threshold

        return best_threshold(truth, activated(logits, answering))[1]

    return score


def _truth(parts: Parts) -> npt.NDArray[np.bool_]:
    """Labels of the dev rows, bool [B, K]; those that no training row has are left out."""
    from nlpcli.batching.labels import LabelSets

    assert parts.dev is not None
    sets = LabelSets.of(parts.dev.labels, parts.names)
    return sets.dense(np.arange(len(parts.dev.labels))).astype(bool)


def calibrated(
    answering: Answering, logits: F64, parts: Parts, threshold: float | None
) -> Answering:
    """With a scale for the logits of the dev rows, a threshold, and what abstaining would bring."""
    from nlpcli.evaluation.abstention import abstention_curve
    from nlpcli.evaluation.multilabel import best_threshold
    from nlpcli.evaluation.temperature import fit_logistic, fit_softmax

    truth = _truth(parts)
    several = answering.separator is not None
    fit = fit_logistic if several else fit_softmax
    found = fit(logits, truth.astype(np.float64), PRIOR)
    answering = replace(answering, scale=found.scale, offset=found.offset)
    p = activated(logits, answering)
    if several:
        best = threshold if threshold is not None else best_threshold(truth, p)[0]
        return replace(answering, threshold=round(best, 6))
    curve = abstention_curve(p.max(axis=1), truth[np.arange(len(p)), p.argmax(axis=1)])
    points = tuple((point.below, point.share, point.error) for point in curve)
    return replace(answering, abstention=points, abstention_rows=len(p))
