"""--model-size: fewer features, trained once more, in a few bytes each, until a model fits.

The features are kept that move the logits most; what is kept is trained again (Joulin et al. 2016,
"FastText.zip", section 3.2), with the shortened hashes and rounded weights that it will be read
with; then its rows are quantised. Figures behind the constants: benchmarks/LOG.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import UsageError

if TYPE_CHECKING:
    from nlpcli.models.quantisation import Shape
    from nlpcli.runs.calibrating import Evidence
    from nlpcli.runs.fitting import Prepared
    from nlpcli.runs.reporting import Reporter
    from nlpcli.runs.request import Parts, Request
    from nlpcli.store.classifier import TextClassifier
    from nlpcli.store.tensors import Arrays
    from nlpcli.text.tokenizer import Bags, Tokenizer
    from nlpcli.training.fit import Fitting

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

EPOCHS = 4
"""Of the second training, at most; the squared hinge begins anew, other losses go on."""
ERROR_PRICE = 0.2
"""Of what quantisation gets wrong, against what is dropped: chosen on held-out training rows."""
TRIED_ROWS, TRIED_ROUNDS = 32_768, 4
"""Of the table, and of k-means, in choosing how to cut it."""
ROOMY = 8
"""Times the bytes of centroids of 8 bits: with more room those of 4 bits are not tried."""
POINT_BYTES = 64
SLACK = 3072
"""Bytes for what is not known before training: metrics, file entries, headers, the date."""


@dataclass(frozen=True)
class Small:
    """The small model; ``held_out`` are its logits of texts that were not learnt from.

    ``points``: how many of the abstention's there is room for.
    """

    classifier: TextClassifier
    held_out: Evidence | None
    points: int

    def thinned(self, calibrated: TextClassifier) -> TextClassifier:
        """With no more points than that, evenly taken, the last of them too."""
        every = calibrated.abstention
        at = np.unique(np.linspace(0, max(0, len(every) - 1), self.points).astype(int))
        kept = tuple(every[i] for i in at.tolist()) if every else ()
        return replace(calibrated, abstention=kept)


def abstention_points(size: int) -> int:
    """How many points of the abstention a model of so many bytes keeps: a hundred from 1 MB on."""
    return min(100, max(10, size // 10_000))


@dataclass(frozen=True)
class Shortened:
    """A tokenizer of chosen features: their rows in the full one, their idf in 16 levels."""

    tokenizer: Tokenizer
    rows: I64
    idf: U8
    idf_levels: F32


def file_room(request: Request, parts: Parts, record: dict[str, Any]) -> int:
    """Bytes that the tensors may take. Raises UsageError when not even one feature fits."""
    from nlpcli.models.quantisation import Shape
    from nlpcli.store.compact import CODE_BITS, WIDTHS, feature_bits, fixed_bytes

    assert request.model_size is not None
    document = {
        **request.config.to_json(), "tokenizer": request.tokenizer.to_json(),
        "labels": parts.names, "run": record, "source": parts.source,
        "separator": request.separator, "name": request.output,
    }  # fmt: skip
    text = json.dumps({"": document}, indent=1, ensure_ascii=False)
    others = len(text.encode("utf-8", "surrogatepass"))
    others += len(json.dumps(request.tokenizer.to_json())) + SLACK
    others += POINT_BYTES * abstention_points(request.model_size)
    n_columns = request.config.dim or len(parts.names)
    shapes = [Shape(width, bits) for width in WIDTHS for bits in CODE_BITS]
    least = others + min(
        fixed_bytes(len(parts.names), n_columns, shape, output=bool(request.config.dim))
        + feature_bits(n_columns, shape)
        for shape in shapes
    )
    if request.model_size < least:
        raise UsageError(
            f"--model-size {request.model_size:,}: a model of {len(parts.names):,} labels takes "
            f"{least:,} bytes at least"
        )
    return request.model_size - others


def shrink_to_fit(
    request: Request, parts: Parts, prepared: Prepared, fitting: Fitting, room: int,
    console: Reporter,
) -> Small | None:  # fmt: skip
    """The model made smaller; None when it has room as it is."""
    if fits_as_it_is(prepared, fitting, room):
        return None
    return shrink(request, parts, prepared, fitting, room, console)


def fits_as_it_is(prepared: Prepared, fitting: Fitting, room: int) -> bool:
    """Whether the model and what a later run goes on from need not be made smaller."""
    tokenizer, scorer = _tokenizer(prepared), fitting.scorer
    tables = (*fitting.arrays.values(), tokenizer.index.keys, tokenizer.idf)
    words = len(json.dumps(tokenizer.words, ensure_ascii=False).encode())
    a_label_each = 16 * scorer.n_labels  # how often each was there, and the head
    return sum(table.nbytes for table in tables) + a_label_each + words + SLACK <= room


def _tokenizer(prepared: Prepared) -> Tokenizer:
    """Ours: there is no --model-size for fastText's way of cutting."""
    from nlpcli.text.tokenizer import Tokenizer

    assert isinstance(prepared.tokenizer, Tokenizer)
    return prepared.tokenizer


def shrink(
    request: Request, parts: Parts, prepared: Prepared, fitting: Fitting, room: int,
    console: Reporter,
) -> Small:  # fmt: skip
    """A model whose tensors take at most ``room`` bytes.

    Without a dev part its logits of the texts that the first half of the second training left out
    are taken from the rows of that moment, quantised in the same way. Only the choice of features
    has seen those texts.
    """
    arrays, n_features = fitting.arrays, prepared.tokenizer.n_features
    inputs = squared_inputs(prepared.bags, n_features)
    order = by_weight(arrays, inputs)
    head = fitting.scorer.head
    shape, n_kept = choose_shape(
        arrays["weight"], inputs, order, len(arrays["bias"]),
        room - (0 if head is None else head.structure.nbytes),
        output="output" in arrays, seed=request.seed,
    )  # fmt: skip
    short = shorten(_tokenizer(prepared), order[:n_kept])
    console.detail(
        f"keeping {len(short.rows):,} of {n_features:,} features; "
        f"{shape.parts(arrays['weight'].shape[1])} codes of {shape.bits} bits a row"
    )
    bags = short.tokenizer.bags(parts.train.texts)
    inputs = squared_inputs(bags, len(short.rows))
    again = _second_training(request, parts, short, bags, arrays, fitting)
    del arrays
    assert request.model_size is not None
    epochs, held_out = min(request.config.epochs, EPOCHS), None
    points = abstention_points(request.model_size)
    with console:
        for now in again:
            step = now.step
            what = f"smaller, epoch {step.epoch}/{epochs}"
            console.progress(what, step.step, step.steps, f"loss {step.loss:.4f}")
            if step.end_of_epoch and step.epoch == epochs // 2 and parts.dev is None:
                half = _quantised(request, parts, short, again, inputs, shape)
                held_out = _evidence(parts, bags, again, half)
    return Small(_quantised(request, parts, short, again, inputs, shape), held_out, points)


def squared_inputs(bags: Bags, n_features: int) -> F64:
    """Sum over the texts of each feature's squared weight, float64 [V]."""
    squares = np.square(bags.weights, dtype=np.float64)
    return np.bincount(bags.ids, weights=squares, minlength=n_features).astype(np.float64)


def by_weight(arrays: Arrays, inputs: F64) -> I64:
    """All features, those first that move the logits most: by norm and fourth root of the input.

    With a bottleneck the norm is that of a row's logits.
    """
    weight, output = arrays["weight"], arrays.get("output")
    moved = weight if output is None else weight @ (output.T @ output)
    squares = np.einsum("vd,vd->v", weight, moved).astype(np.float64)
    found: I64 = np.argsort(-squares * np.sqrt(inputs), kind="stable")
    return found


def choose_shape(
    weight: F32, inputs: F64, order: I64, n_rows: int, room: int, *, output: bool, seed: int
) -> tuple[Shape, int]:
    """How rows are cut into codes, and how many of them there is room for then.

    Fewer features against coarser rows: the one with the least error, dropped rows and wrong ones
    together, each by its share of the squares of the logits. ``n_rows``: of bias and output. Raises
    UsageError when there is no room for a feature.
    """
    from nlpcli.models.quantisation import Shape, quantise, relative_error
    from nlpcli.store.compact import CODE_BITS, WIDTHS, feature_bits, fixed_bytes

    n_columns = weight.shape[1]
    squares = np.einsum("vd,vd->v", weight, weight).astype(np.float64) * inputs
    passed = np.cumsum(squares[order]) / max(float(squares.sum()), 1e-30)
    best: tuple[float, Shape, int] | None = None
    for shape in (Shape(width, bits) for width in WIDTHS for bits in CODE_BITS):
        left = room - fixed_bytes(n_rows, n_columns, shape, output=output)
        n_kept = min(len(order), 8 * left // feature_bits(n_columns, shape))
        if n_kept < 1 or shape.width >= 2 * n_columns:
            continue
        if shape.bits < 8 and room > ROOMY * (n_columns << 9):
            continue  # they only pay where the centroids take much of the room
        dropped = 1 - float(passed[n_kept - 1])
        if best is not None and dropped >= best[0]:
            continue
        tried = order[: n_kept : max(1, n_kept // TRIED_ROWS)]
        error = relative_error(
            weight[tried],
            inputs[tried],
            quantise(weight[tried], inputs[tried], shape, seed, TRIED_ROUNDS),
        )
        cost = dropped + ERROR_PRICE * error
        if best is None or cost < best[0]:
            best = cost, shape, n_kept
    if best is None:
        raise UsageError("--model-size: there is no room for a feature beside the labels")
    return best[1:]


def shorten(full: Tokenizer, chosen: I64) -> Shortened:
    """Of features whose shortened hash is the same the first chosen stays."""
    from nlpcli.models.quantisation import to_levels
    from nlpcli.store.compact import hash_bits
    from nlpcli.text.tokenizer import Tokenizer
    from nlpcli.text.vocab import highest

    bits = hash_bits(len(chosen))
    keys, first = np.unique(highest(full.index.keys[chosen], bits), return_index=True)
    rows = chosen[first]
    levels, idf = to_levels(full.idf[rows].astype(np.float64))
    small = Tokenizer(full.config, keys, levels[idf], (), full.n_texts, bits)
    return Shortened(small, rows, idf, levels)


def _second_training(
    request: Request, parts: Parts, short: Shortened, bags: Bags, arrays: Arrays, first: Fitting
) -> Fitting:
    """From nothing with the squared hinge, whose dual has no other start; else from the rows."""
    from nlpcli.batching.labels import LabelSets
    from nlpcli.training.fit import Examples, Fitting, class_importance

    sets, dev, start = LabelSets.of(parts.train.labels, parts.names), None, None
    importance = class_importance(sets, parts.class_weight, parts.train.weights)
    if parts.dev is not None:
        labels = LabelSets.of(parts.dev.labels, parts.names)
        dev = Examples(short.tokenizer.bags(parts.dev.texts), labels)
    if request.config.loss != "squared-hinge":
        a_row_each = {"weight", "squares.weight"}
        start = {n: a[short.rows] if n in a_row_each else a for n, a in arrays.items()}
    return Fitting(
        replace(request.config, epochs=min(request.config.epochs, EPOCHS)),
        Examples(bags, sets, importance),
        dev,
        n_features=len(short.rows),
        seed=request.seed,
        device=first.device,
        start=start,
        multi_label=request.separator is not None,
        head=first.scorer.head if start else None,
    )


def _quantised(
    request: Request, parts: Parts, short: Shortened, fitting: Fitting, inputs: F64, shape: Shape
) -> TextClassifier:
    """The model as it will be read."""
    from nlpcli.models.quantisation import quantise
    from nlpcli.store.classifier import TextClassifier
    from nlpcli.store.compact import Compact

    arrays, tokenizer = fitting.arrays, short.tokenizer
    compact = Compact(
        tokenizer.index.keys, tokenizer.index.bits, short.idf, short.idf_levels,
        quantise(arrays["weight"], inputs, shape, request.seed), arrays["bias"],
        arrays.get("output"),
    )  # fmt: skip
    scorer = replace(fitting.scorer, weight=compact.table.dense())
    return TextClassifier(tokenizer, scorer, parts.names, None, request.separator, compact=compact)


def _evidence(parts: Parts, bags: Bags, fitting: Fitting, half: TextClassifier) -> Evidence | None:
    """What the half-trained model says of the texts that it has not seen."""
    from nlpcli.batching.labels import ragged_positions
    from nlpcli.runs.calibrating import Evidence

    texts, _ = fitting.held_out()
    if not len(texts):
        return None
    sizes = np.diff(bags.indptr)[texts]
    at = ragged_positions(bags.indptr[texts], sizes)
    indptr = np.concatenate(([0], np.cumsum(sizes)))
    logits = half.scorer.logits(indptr, bags.ids[at], bags.weights[at])
    numbers, train = texts.tolist(), parts.train
    return Evidence(logits, [train.labels[i] for i in numbers], [train.texts[i] for i in numbers])
