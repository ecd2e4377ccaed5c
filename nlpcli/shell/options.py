"""One Annotated type a shared option, so that a name means the same wherever it occurs."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from nlpcli.errors import UsageError
from nlpcli.shell.usage import InputExpected

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 80}


class InputFormat(StrEnum):
    """Formats of rows."""

    csv = "csv"
    tsv = "tsv"
    jsonl = "jsonl"
    text = "text"
    fasttext = "fasttext"
    conll = "conll"
    squad = "squad"


class OnError(StrEnum):
    """What a bad row does."""

    fail = "fail"
    skip = "skip"


class SegmenterName(StrEnum):
    """How texts are cut into words."""

    char = "char"
    jieba = "jieba"
    blank = "blank"


class UnicodeFormName(StrEnum):
    """Unicode normal form of texts."""

    NFC = "NFC"
    NFKC = "NFKC"
    none = "none"


class PrecisionName(StrEnum):
    """Numbers that a model computes with."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


class AnswerPrecisionName(StrEnum):
    """Numbers that a model answers with."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    int8 = "int8"


Store = Annotated[
    Path | None, typer.Option(help="Folder of the models [env NLPCLI_STORE; default ./models].")
]
Model = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="A name, NAME@VERSION, a path with a /, or a fastText file."
    ),
]
TaskOf = Annotated[
    str | None, typer.Option("--task", help="Of a model of several tasks: the one that answers.")
]
Format = Annotated[
    InputFormat | None, typer.Option("--format", help="Of the input [default: by ending, or csv].")
]
Header = Annotated[
    bool, typer.Option("--header/--no-header", help="Without: columns are numbered from 1.")
]
TextColumn = Annotated[str, typer.Option(help="Column that holds the text.")]
TextBColumn = Annotated[
    str | None, typer.Option(help="Column of the second text, where a row is a pair.")
]
LabelColumn = Annotated[str, typer.Option(help="Column that holds the label or labels.")]
LABEL_PREFIX = "__label__"
LabelPrefix = Annotated[
    str, typer.Option(help="What a label begins with in fastText's files and lines.")
]
LabelSeparator = Annotated[
    str | None, typer.Option(help="Several labels a row, joined by this; an empty cell: none.")
]
ErrorMode = Annotated[OnError, typer.Option("--on-error", help="A bad row: fail (65) or skip it.")]
Rejects = Annotated[
    Path | None, typer.Option(help="Write skipped rows here: line, reason, row (CSV).")
]
MaxField = Annotated[int, typer.Option(min=1, help="Longest field, in MiB.")]
Segmenter = Annotated[
    SegmenterName,
    typer.Option(help="Chinese: by character, or a dictionary; blank: texts come ready split."),
]
UnicodeForm = Annotated[UnicodeFormName, typer.Option()]
Lowercase = Annotated[bool, typer.Option("--lowercase/--keep-case")]
StripUrls = Annotated[bool, typer.Option("--strip-urls")]
StripMentions = Annotated[bool, typer.Option("--strip-mentions")]
StripHtml = Annotated[bool, typer.Option("--strip-html", help="Tags and entities.")]
StripPunctuation = Annotated[bool, typer.Option("--strip-punctuation")]
StripControl = Annotated[bool, typer.Option("--strip-control")]
Keep = Annotated[int | None, typer.Option(min=1, help="Then remove all but so many good versions.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything, print the plan, write nothing.")
]
IfChanged = Annotated[
    bool, typer.Option("--if-changed", help="Do nothing when data and options are the same.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace a model path that exists.")]
Wait = Annotated[bool, typer.Option("--wait", help="Queue when the name is busy.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Take up the unfinished run, if it is the same.")
]
SaveEvery = Annotated[
    float, typer.Option(min=0, max=10000, help="Minutes between resumable states.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on stderr but errors.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell more on stderr: model, counts, time.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours, no live line.")]
Threads = Annotated[
    int | None, typer.Option(min=1, max=1024, help="CPU threads [default: all cores].")
]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of every random draw; recorded.")]
Precision = Annotated[
    PrecisionName, typer.Option(help="auto: bf16 where the machine is faster with it.")
]
AnswerPrecision = Annotated[
    AnswerPrecisionName,
    typer.Option(
        help="auto: bf16 where the machine is faster with it; int8: products of bytes, faster "
        "on a CPU and less exact."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]


def store_root(given: Path | None) -> Path:
    """The store's folder: option, else NLPCLI_STORE, else ./models."""
    return given or Path(os.environ.get("NLPCLI_STORE") or "models")


def expect_input(*given: str | None) -> None:
    """Raises InputExpected where rows would be awaited from a person at a terminal; UsageError for
    stdin given twice."""
    if given.count("-") > 1:
        raise UsageError("-: stdin can be read once, and is given twice")
    if "-" in given and sys.stdin.isatty():
        raise InputExpected("no INPUT given, and stdin is a terminal")
