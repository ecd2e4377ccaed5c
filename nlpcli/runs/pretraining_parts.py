"""What pretrain-bert was asked for, and the training that a corpus makes of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlpcli.errors import DataError, UsageError
from nlpcli.formats.sentence_pooling import MEAN
from nlpcli.runs import interrupts
from nlpcli.runs.encoder_corpus import VocabularyRequest, maskable_pieces, specials_of
from nlpcli.runs.encoder_planning import check_memory, memory_needed, shapes
from nlpcli.runs.leading import threads_of_rank

if TYPE_CHECKING:
    import torch

    from nlpcli.batching.masking import MaskConfig
    from nlpcli.batching.pretraining_rows import PretrainingRows, Stream
    from nlpcli.models.bert_config import BertConfig
    from nlpcli.store.encoder import Encoder
    from nlpcli.text.wordpiece import WordPieceTokenizer
    from nlpcli.training.pretraining import Pretraining
    from nlpcli.training.pretraining_config import PretrainingConfig
    from nlpcli.training.ranks import Ranks

HELD_OUT_SHARE = 0.01
LEAST_STEPS = 2000
"""Of a run that was given no length: whole epochs, as many as it takes."""


@dataclass(frozen=True, kw_only=True)
class PretrainRequest:
    """A run as it was asked for, validated. ``sizes``: of the encoder, without its vocabulary,
    none when it goes on from ``base``. ``config`` without a length: as many epochs as make
    ``LEAST_STEPS``."""

    output: str
    paths: list[str]
    vocabulary: VocabularyRequest
    sizes: dict[str, Any]
    base: Encoder | None
    length: int
    masks: MaskConfig
    pairs: bool
    span_boundary: bool
    config: PretrainingConfig | None
    training: dict[str, Any]
    seed: int
    threads: int | None
    device: str
    precision: str
    resume: bool
    save_every: float
    skip_bad: bool
    if_changed: bool
    log: Path | None

    def record(self, sha256: str, program: str, threads: int, ranks: int) -> dict[str, Any]:
        """Everything that the weights depend on, as plain JSON values."""
        record = {
            "program": program, "corpus_sha256": sha256, **self.sizes, "max_length": self.length,
            **{f"mask_{name}": value for name, value in asdict(self.masks).items()},
            "next_sentence": self.pairs, "span_boundary": self.span_boundary,
            **(self.training if self.config is None else self.config.to_json()),
            "from": None if self.base is None else self.base.sha256(), "seed": self.seed,
            "threads": threads, "ranks": ranks, "device": self.device,
            "precision": self.precision,
        }  # fmt: skip
        plain: dict[str, Any] = json.loads(json.dumps(record))
        return plain

    @property
    def pooling(self) -> str | None:
        """``mean`` where no pooler is taught and none was: a random one costs accuracy
        (benchmarks/LOG.md)."""
        if self.pairs:
            return None
        if self.base is None or not self.base.has_pooler:
            return MEAN
        return self.base.pooling


@dataclass(frozen=True)
class Parts:
    """What a run is made of: the training, sizes, and rows that are kept apart."""

    training: Pretraining
    config: BertConfig
    held_out: PretrainingRows | None
    mask: int
    special: frozenset[int]


@dataclass(frozen=True)
class Prepared:
    """What is known before there are weights: sizes, rows, rows kept apart, and the recipe."""

    config: BertConfig
    rows: PretrainingRows
    held_out: PretrainingRows | None
    recipe: PretrainingConfig


def prepare(request: PretrainRequest, stream: Stream, tokenizer: WordPieceTokenizer) -> Prepared:
    """Sizes and rows that a corpus and a request make. Raises DataError, UsageError."""
    import numpy as np

    from nlpcli.batching.masking import MaskConfig
    from nlpcli.batching.pretraining_rows import PretrainingRows, held_out_ranges, kept_apart
    from nlpcli.training.pretraining_config import PretrainingConfig

    config = _sized(request, tokenizer)
    pieces = maskable_pieces(tokenizer, stream, by_frequency=request.masks.replacement == "unigram")
    specials = specials_of(tokenizer)
    apart = held_out_ranges(stream, HELD_OUT_SHARE, request.seed)
    held_out = None
    try:
        rows = PretrainingRows(
            stream, apart, request.length, specials, pieces, request.masks, pairs=request.pairs,
            seed=request.seed,
        )  # fmt: skip
        batch_size = request.training["batch_size"]
        per_epoch = len(rows) // batch_size
        if not per_epoch:
            raise ValueError(f"{len(rows):,} rows, a step has {batch_size:,}")
        recipe = request.config
        if recipe is None:
            recipe = PretrainingConfig(**request.training, epochs=-(-LEAST_STEPS // per_epoch))
        if int(np.sum(apart[:, 1] - apart[:, 0])) >= request.length:
            masks = replace(request.masks, rate=MaskConfig().rate)
            held_out = PretrainingRows(
                kept_apart(stream, apart), np.zeros((0, 2), np.int64), request.length, specials,
                pieces, masks, pairs=request.pairs, seed=request.seed,
            )  # fmt: skip
    except ValueError as error:
        raise DataError(f"the corpus is too small: {error}", hint="a smaller --batch-size or "
                        "--max-length") from None  # fmt: skip
    return Prepared(config, rows, held_out, recipe)


def make_plan(
    request: PretrainRequest, stream: Stream, tokenizer: WordPieceTokenizer
) -> dict[str, Any]:
    """Sizes, steps and memory of a run; ``steps`` None while only minutes are known.

    Raises DataError, UsageError, Unavailable.
    """
    from nlpcli.training.device import choose_device
    from nlpcli.training.precision import choose_precision

    place = choose_device(request.device)
    precision = choose_precision(request.precision, place)
    prepared = prepare(request, stream, tokenizer)
    recipe = prepared.recipe
    per_epoch = len(prepared.rows) // recipe.batch_size
    return {
        "output": request.output, "lines": len(stream.lines) - 1,
        "documents": len(stream.documents) - 1, "pieces": len(stream.pieces),
        "rows": len(prepared.rows), "row_length": request.length,
        "held_out_rows": 0 if prepared.held_out is None else len(prepared.held_out),
        **shapes(prepared.config, place, precision), "batch_size": recipe.batch_size,
        "steps_per_epoch": per_epoch, "epochs": recipe.epochs, "minutes": recipe.minutes,
        "steps": recipe.n_steps(per_epoch),
        "parameters": _n_parameters(request, prepared),
        "memory_bytes": _memory(request, prepared, place, precision),
    }  # fmt: skip


def _n_parameters(request: PretrainRequest, prepared: Prepared) -> int:
    from nlpcli.models.pretraining import n_pretraining_parameters

    return n_pretraining_parameters(prepared.config, span_boundary=request.span_boundary)


def _memory(
    request: PretrainRequest, prepared: Prepared, place: torch.device, precision: torch.dtype
) -> int:
    """What a run takes. Raises Unavailable where that is not there."""
    from nlpcli.training.pretraining import MICRO_TOKENS, QUANTUM

    parameters = _n_parameters(request, prepared)
    rows = min(prepared.recipe.batch_size, QUANTUM)
    needed = memory_needed(
        prepared.config, parameters, length=request.length, precision=precision,
        tokens=max(MICRO_TOKENS.get(place.type, MICRO_TOKENS["cpu"]), rows * request.length),
    )  # fmt: skip
    check_memory(needed, parameters, place, "a smaller --size")
    return needed


def make_training(
    request: PretrainRequest, stream: Stream, tokenizer: WordPieceTokenizer, ranks: Ranks | None
) -> Parts:
    """The training that a corpus and a request make. Raises DataError, UsageError, Unavailable."""
    from nlpcli.models.pretraining import PretrainingBert
    from nlpcli.training.device import choose_device, set_threads
    from nlpcli.training.precision import choose_precision
    from nlpcli.training.pretraining import Pretraining

    place = choose_device(request.device)
    precision = choose_precision(request.precision, place)
    set_threads(threads_of_rank(request.threads, ranks.size if ranks else 1))
    prepared = prepare(request, stream, tokenizer)
    _memory(request, prepared, place, precision)
    model = PretrainingBert(prepared.config, span_boundary=request.span_boundary)
    model.begin(request.seed)
    _take_base(model, request)
    training = Pretraining(
        model, prepared.rows, prepared.held_out, prepared.recipe, seed=request.seed,
        device=place, precision=precision, ranks=ranks, stop=interrupts.pending,
    )  # fmt: skip
    special = frozenset((tokenizer.cls, tokenizer.sep, tokenizer.pad))
    return Parts(training, prepared.config, prepared.held_out, tokenizer.mask, special)


def _sized(request: PretrainRequest, tokenizer: WordPieceTokenizer) -> BertConfig:
    from nlpcli.models.bert_config import BertConfig

    dropout = request.training["dropout"]
    if request.base is not None:
        return replace(request.base.config, dropout=dropout, attention_dropout=dropout)
    try:
        return BertConfig(
            vocab_size=tokenizer.n_pieces, max_positions=request.length, pad_id=tokenizer.pad,
            dropout=dropout, attention_dropout=dropout, **request.sizes,
        )  # fmt: skip
    except ValueError as error:
        raise UsageError(str(error)) from None


def _take_base(model: Any, request: PretrainRequest) -> None:
    """The weights that --from has; heads that it lacks begin at random.

    Raises UsageError for heads that do not fit.
    """
    if request.base is None:
        return
    drawn = model.weights()
    try:
        model.load({**drawn, **{n: a for n, a in request.base.weights.items() if n in drawn}})
        if request.base.span_boundary is not None and model.spans is not None:
            model.spans.load(request.base.span_boundary)
    except ValueError as error:
        raise UsageError(f"--from: {error}") from None
