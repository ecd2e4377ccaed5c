"""What pretrain-bert was asked for, and the training that a corpus makes of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlpcli.errors import DataError, UsageError
from nlpcli.runs import interrupts
from nlpcli.runs.encoder_corpus import VocabularyRequest, maskable_pieces, specials_of
from nlpcli.runs.leading import threads_of_rank

if TYPE_CHECKING:
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
    unless it goes on from ``base``. ``config`` without a length: as many epochs as make
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
    log: Path | None

    def record(self, sha256: str, program: str, threads: int, ranks: int) -> dict[str, Any]:
        """Everything that the weights depend on, as plain JSON values."""
        from nlpcli.store.encoder import about_encoder

        record = {
            "program": program, "corpus_sha256": sha256, **self.sizes, "max_length": self.length,
            **{f"mask_{name}": value for name, value in asdict(self.masks).items()},
            "next_sentence": self.pairs, "span_boundary": self.span_boundary,
            **(self.training if self.config is None else self.config.to_json()),
            "from": None if self.base is None else about_encoder(self.base), "seed": self.seed,
            "threads": threads, "ranks": ranks, "device": self.device,
            "precision": self.precision,
        }  # fmt: skip
        plain: dict[str, Any] = json.loads(json.dumps(record))
        return plain


@dataclass(frozen=True)
class Parts:
    """What a run is made of: the training, sizes, and rows that are kept apart."""

    training: Pretraining
    config: BertConfig
    held_out: PretrainingRows | None
    mask: int
    special: frozenset[int]


def make_training(
    request: PretrainRequest, stream: Stream, tokenizer: WordPieceTokenizer, ranks: Ranks | None
) -> Parts:
    """The training that a corpus and a request make. Raises DataError, UsageError, Unavailable."""
    import numpy as np

    from nlpcli.batching.masking import MaskConfig
    from nlpcli.batching.pretraining_rows import PretrainingRows, held_out_ranges, kept_apart
    from nlpcli.models.pretraining import PretrainingBert
    from nlpcli.training.device import choose_device, set_threads
    from nlpcli.training.precision import choose_precision
    from nlpcli.training.pretraining import Pretraining
    from nlpcli.training.pretraining_config import PretrainingConfig

    place = choose_device(request.device)
    precision = choose_precision(request.precision, place)
    set_threads(threads_of_rank(request.threads, ranks.size if ranks else 1))
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
        recipe = request.config
        if recipe is None:
            per_epoch = max(1, len(rows) // request.training["batch_size"])
            epochs = -(-LEAST_STEPS // per_epoch)
            recipe = PretrainingConfig(**request.training, epochs=epochs)
        if int(np.sum(apart[:, 1] - apart[:, 0])) >= request.length:
            masks = replace(request.masks, rate=MaskConfig().rate)
            held_out = PretrainingRows(
                kept_apart(stream, apart), np.zeros((0, 2), np.int64), request.length, specials,
                pieces, masks, pairs=request.pairs, seed=request.seed,
            )  # fmt: skip
        model = PretrainingBert(config, span_boundary=request.span_boundary)
        model.begin(request.seed)
        _take_base(model, request)
        training = Pretraining(
            model, rows, held_out, recipe, seed=request.seed, device=place, precision=precision,
            ranks=ranks, stop=interrupts.pending,
        )  # fmt: skip
    except ValueError as error:
        raise DataError(f"the corpus is too small: {error}", hint="a smaller --batch-size or "
                        "--max-length") from None  # fmt: skip
    special = frozenset((tokenizer.cls, tokenizer.sep, tokenizer.pad))
    return Parts(training, config, held_out, tokenizer.mask, special)


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
    """The weights that --from has; heads that it lacks begin at random."""
    if request.base is None:
        return
    drawn = model.weights()
    model.load({**drawn, **{n: a for n, a in request.base.weights.items() if n in drawn}})
    if request.base.span_boundary is not None and model.spans is not None:
        model.spans.load(request.base.span_boundary)
