"""Options of ngrams -> what is counted and how, or why that cannot be."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from nlpcli.commands.configuring import from_options
from nlpcli.errors import UsageError, shown
from nlpcli.shell.console import RejectFile
from nlpcli.shell.sizes import parse_size

if TYPE_CHECKING:
    from nlpcli.runs.ngrams import NgramRequest

MOST_N = 100
LEAST_MEMORY = 100_000_000


class LevelName(StrEnum):
    """What an n-gram is made of."""

    word = "word"
    char = "char"
    subword = "subword"


class SortName(StrEnum):
    """What the first rows have the most of."""

    occurrences = "count"
    document_frequency = "document-frequency"
    score = "score"
    ngram = "ngram"


class SelectName(StrEnum):
    """How much an n-gram tells of the labels."""

    chi2 = "chi2"
    entropy = "entropy"
    mutual_information = "mutual-information"
    idf = "idf"


class CollocationName(StrEnum):
    """How closely two words belong together."""

    pmi = "pmi"
    llr = "llr"
    t = "t"


class OutputFormat(StrEnum):
    """Of the table."""

    csv = "csv"
    jsonl = "jsonl"


def ngram_request(
    options: dict[str, Any], paths: list[str], reject: RejectFile | None
) -> NgramRequest:
    """What is asked for. Raises UsageError for what does not go together."""
    from nlpcli.data.rows import RowFormat
    from nlpcli.data.unit_reading import Reading
    from nlpcli.runs.ngrams import NgramRequest
    from nlpcli.text.config import TokenizerConfig
    from nlpcli.text.normalize import Cleaning

    _check(options)
    select, collocations = (_value(options[name]) for name in ("select", "collocations"))
    label_column = options["label_column"]
    if label_column is None and (options["by_label"] or select not in (None, "idf")):
        label_column = "label"
    by_label = options["by_label"]
    if by_label is None:
        by_label = label_column is not None and select is None
    low, high = _orders(options["n"], collocations)
    config = from_options(
        TokenizerConfig, {"segmenter": options["segmenter"].value},
        cleaning=from_options(Cleaning, {**options, "unicode_form": options["unicode_form"].value}),
        word_ngrams=1, min_count=1, buckets=None,
    )  # fmt: skip
    fmt = RowFormat(
        format=_value(options["format"]),
        header=options["header"],
        on_error=options["on_error"],
        max_field=options["max_field"] << 20,
        label_separator=options["label_separator"],
        label_prefix=options["label_prefix"],
    )
    reading = Reading(
        paths=paths,
        fmt=fmt,
        text_column=options["text_column"],
        label_column=label_column,
        level=options["level"].value,
        config=config,
        on_reject=reject,
    )
    return NgramRequest(
        reading=reading,
        min_n=low,
        max_n=high,
        min_count=options["min_count"],
        joiner=options["joiner"],
        memory=_memory(options["memory"]),
        threads=options["threads"],
        buckets=options["buckets"],
        by_label=by_label,
        select=select,
        collocations=collocations,
    )


def _value(option: Any) -> Any:
    return getattr(option, "value", option)


def _check(options: dict[str, Any]) -> None:
    """Raises UsageError for two options that do not go together."""
    level, save = options["level"].value, options["save"]
    joiner: str = options["joiner"]
    if not joiner.isprintable():
        raise UsageError(f"--joiner {shown(joiner)}: wanted characters that can be printed")
    if level == "char":
        if options["segmenter"].value != "char":
            raise UsageError(
                f"--segmenter {options['segmenter'].value} has no meaning with --level char"
            )
        if options["strip_punctuation"]:
            raise UsageError("--strip-punctuation has no meaning with --level char")
    if options["collocations"] is not None:
        for name in ("select", "buckets"):
            if options[name] is not None:
                raise UsageError(f"--collocations and --{name}: give one of them")
        labelled = options["by_label"] is None and options["label_column"] is not None
        if options["by_label"] or labelled:
            which = "--label-column" if labelled else "--by-label"
            raise UsageError(f"--collocations has no {which}: pairs of all texts are scored")
        if level != "word":
            raise UsageError(f"--collocations is of words, --level is {level}")
    if save is not None and options["buckets"] is not None:
        raise UsageError("--save and --buckets: a bucket has the name of one of its n-grams only")
    if save is not None and level == "char":
        raise UsageError(
            "--save: characters across words are no features of train-fasttext",
            hint="--level subword",
        )


def _orders(typed: str | None, collocations: str | None) -> tuple[int, int]:
    """The shortest and the longest n-gram. Raises UsageError."""
    if typed is None:
        return (2, 2) if collocations else (1, 1)
    found = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", typed.strip(), re.ASCII)
    if found is None:
        raise UsageError(f"--n {shown(typed)}: wanted a number or a range, as 2 or 1-3")
    low, high = int(found[1]), int(found[2] or found[1])
    if not (1 <= low <= MOST_N and 1 <= high <= MOST_N):
        raise UsageError(f"--n {typed}: wanted numbers from 1 to {MOST_N}")
    if low > high:
        raise UsageError(f"--n {typed}: {low} is more than {high}", hint=f"--n {high}-{low}")
    if collocations and (low, high) != (2, 2):
        raise UsageError(f"--n {typed}: --collocations is of word pairs", hint="--n 2")
    return low, high


def rows_wanted(typed: str | None) -> tuple[int | None, float | None]:
    """So many rows, or this share of them. Raises UsageError."""
    if typed is None:
        return None, None
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(%?)", typed.strip(), re.ASCII)
    number = float(found[1]) if found is not None else 0.0
    if (
        found is None
        or not number
        or (found[2] and number > 100)
        or (not found[2] and "." in found[1])
    ):
        raise UsageError(f"--top {shown(typed)}: wanted a number of rows, or a share, as 20 or 10%")
    return (None, number / 100) if found[2] else (int(number), None)


def sorted_by(typed: SortName | None, *, scored: bool) -> str:
    """What rows are sorted by. Raises UsageError."""
    if typed == SortName.score and not scored:
        raise UsageError("--sort score: there is none", hint="--select chi2, or --collocations llr")
    if typed is not None:
        return typed.value
    return "score" if scored else "count"


def _memory(typed: str) -> int:
    size = parse_size(typed, "--memory")
    if size < LEAST_MEMORY:
        raise UsageError(f"--memory {typed}: wanted {LEAST_MEMORY // 10**6}M or more")
    return size
