"""What pretrain-bert was asked for: options that are checked against each other and against what
an encoder to go on from has answered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlpcli.commands.configuring import from_options
from nlpcli.commands.opening import open_encoder
from nlpcli.errors import UsageError
from nlpcli.shell.console import Console

if TYPE_CHECKING:
    from nlpcli.batching.masking import MaskConfig
    from nlpcli.runs.encoder_corpus import VocabularyRequest
    from nlpcli.store.encoder import Encoder
    from nlpcli.training.pretraining_config import PretrainingConfig

ROW_LENGTH, SHORTEST_ROW = 128, 8
"""Pieces of a row, where not asked for otherwise, and at least."""
LENGTHS = ("steps", "minutes", "epochs")
LEARNT = ("vocab_size", "lowercase")
SIZED = ("size", "layers", "dim", "heads", "intermediate", "tokenizer", *LEARNT)
"""Options that an encoder or a tokenizer that is there has answered."""


def opened_base(
    base: str | None, store: Path | None, typed: set[str], console: Console
) -> Encoder | None:
    """The encoder to go on from. Raises UsageError for options that it has answered."""
    if base is None:
        return None
    for name in SIZED:
        if name in typed:
            raise UsageError(f"--{name.replace('_', '-')} has no meaning with --from {base}")
    return open_encoder(base, store, console).encoder


def recipe_of(
    options: dict[str, Any], started: Encoder | None
) -> tuple[dict[str, Any], PretrainingConfig | None]:
    """How it is trained; None without a length. Raises UsageError."""
    from nlpcli.training.pretraining_config import PretrainingConfig, default_rate

    names = ("batch_size", "lr", "warmup", "schedule", "optimizer", "weight_decay", "dropout")
    training = {name: options[name] for name in names}
    if training["lr"] is None:
        width = sizes_of(options)["hidden"] if started is None else started.config.hidden
        training["lr"] = default_rate(training["optimizer"], width, continued=started is not None)
    length = {name: options[name] for name in LENGTHS if options[name] is not None}
    if len(length) > 1:
        raise UsageError(f"--{' and --'.join(length)}: wanted one of them")
    try:
        return training, PretrainingConfig(**training, **length) if length else None
    except ValueError as error:
        raise UsageError(str(error)) from None


def masks_of(options: dict[str, Any]) -> MaskConfig:
    """What is masked. Raises UsageError."""
    from nlpcli.batching.masking import MaskConfig

    try:
        return MaskConfig(
            how=options["mask"], rate=options["mask_rate"], masked=options["masked_share"],
            replaced=options["replaced_share"], replacement=options["replacement"],
        )  # fmt: skip
    except ValueError as error:
        raise UsageError(str(error)) from None


def row_length(options: dict[str, Any], started: Encoder | None) -> int:
    """Pieces of a row. Raises UsageError for rows that the encoder to go on from cannot read."""
    asked: int | None = options["max_length"]
    if started is None:
        return asked or ROW_LENGTH
    config, base = started.config, options["base"]
    if (asked or SHORTEST_ROW) > config.max_positions:
        wanted = f"--max-length {asked}" if asked else f"--from {base}"
        raise UsageError(f"{wanted}: {base} has {config.max_positions} positions")
    if options["next_sentence"] and config.type_vocab < 2:
        raise UsageError(f"--next-sentence: {base} knows one segment, wanted 2 for pairs")
    return asked or min(ROW_LENGTH, config.max_positions)


def vocabulary_of(
    options: dict[str, Any], typed: set[str], started: Encoder | None
) -> VocabularyRequest:
    """A tokenizer, or what is to be learnt. Raises UsageError, InputMissing, DataError."""
    from nlpcli.runs.encoder_corpus import VocabularyRequest, read_tokenizer
    from nlpcli.text.wordpiece import WordPieceTokenizer

    given = None
    if started is not None:
        given = WordPieceTokenizer.from_json(started.tokenizer_json, str(options["base"]))
    elif options["tokenizer"] is not None:
        if "vocab_size" in typed:
            raise UsageError("--vocab-size has no meaning with --tokenizer")
        given = read_tokenizer(options["tokenizer"], lowercase=options["lowercase"])
        if "lowercase" in typed and given.lowercase != options["lowercase"]:
            asked = "--lowercase" if options["lowercase"] else "--keep-case"
            raise UsageError(
                f"{asked}: {options['tokenizer']} says itself that it "
                f"{'lowercases' if given.lowercase else 'keeps case'}"
            )
    return VocabularyRequest(
        given=given, size=options["vocab_size"], exactly="vocab_size" in typed,
        lowercase=options["lowercase"],
    )  # fmt: skip


def sizes_of(options: dict[str, Any]) -> dict[str, Any]:
    """Of a new encoder but its vocabulary. Raises UsageError for what does not go together."""
    from nlpcli.models.bert_config import HEAD, SIZES, BertConfig

    layers, hidden = SIZES[options["size"]]
    hidden = options["dim"] or hidden
    sizes = {
        "n_layers": options["layers"] or layers, "hidden": hidden,
        "heads": options["heads"] or _dividing(hidden, hidden // HEAD),
        "intermediate": options["intermediate"] or 4 * hidden,
    }  # fmt: skip
    try:
        from_options(BertConfig, sizes, vocab_size=options["vocab_size"])
    except ValueError as error:
        raise UsageError(
            str(error).replace("hidden:", "--dim"),
            hint=f"--heads {_dividing(hidden, sizes['heads'])}",
        ) from None
    return sizes


def _dividing(hidden: int, most: int) -> int:
    """The most heads, up to so many, that a hidden size is divisible by."""
    return next(n for n in range(max(1, min(most, hidden)), 0, -1) if hidden % n == 0)
