"""What each task of finetune heeds of the options, and the run that does it.

A task costs an entry in ``TASKS``, with a function that builds its request.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from nlpcli.commands.asking import question_columns
from nlpcli.commands.configuring import has_dev_part
from nlpcli.commands.finetune_sources import SEVERAL, files_read
from nlpcli.commands.tagging import span_columns, word_columns
from nlpcli.errors import UsageError
from nlpcli.shell.console import Console

if TYPE_CHECKING:
    from nlpcli.data.rows import RowFormat

Options = dict[str, Any]

SOME_HEED: Options = {
    "text_b_column": None, "weight_column": None, "label_separator": None, "class_weight": None,
    "threshold": None, "long": "truncate-tail", "tag_scheme": "auto", "label_pieces": "first",
    "word_decoding": "first", "crf": False, "doc_stride": 128, "max_question_length": 64,
    "max_answer_length": 30, "window_overlap": 32, "span_head": "boundary",
    "span_decoding": "auto", "max_span": 10, "negatives": None, "identify": False,
    "head": "linear", "pooling": None, "binary_sigmoid": False, "sampling": "proportional",
}  # fmt: skip
"""Options that have no meaning for some tasks, as they are where they are not given."""
WITHOUT_NUMBERS: Options = {"label_smoothing": 0.0, "focal": 0.0}
WITHOUT_CRF: Options = {"label_pieces": "first", "label_smoothing": 0.0, "focal": 0.0}
SHARED = (
    "output", "train", "dev", "dev_fraction", "class_weight", "threshold", "patience", "seed",
    "threads", "device", "precision", "resume", "save_every", "if_changed", "ranks",
)  # fmt: skip
"""Options that every request has under their own names."""
FROZEN = {"epochs": 30, "lr": 0.01}
"""Of a head alone, unless they are given: a pass over features that are kept costs next to
nothing, and what begins at random has far to go."""
GUESSED_BY = "by the input's columns"
GUESSED = {"pair": "by --text-b-column", "sequence": "as nothing else is said"}
COLUMNS = ("text_column", "text_b_column", "label_column", "weight_column", "label_separator")


@dataclass(frozen=True)
class Task:
    """``heeds``: of ``SOME_HEED``. ``request``: (what all requests have, options) -> the request
    and the class of its run. ``metrics``: what --publish-if may name. ``length``: pieces of a row,
    and ``pace``: times the usual learning rate, where nobody says them."""

    heeds: frozenset[str]
    request: Callable[[Options, Options], tuple[Any, Any]]
    metrics: Callable[[Options], tuple[str, ...]]
    length: int = 128
    pace: float = 1.0


def _head(options: Options) -> Options:
    """What is above the encoder."""
    return {"head": options["head"], "pooling": options["pooling"]}


def settle_pooling(task: str, options: Options, suited: str | None) -> str | None:
    """Puts into the options what nobody asked for: what is ``suited`` to the encoder, which is
    then given; of one that does not move the mean says far more than [CLS] (benchmarks/LOG.md)."""
    if options["pooling"] is not None or "pooling" not in TASKS[task].heeds:
        return None
    still = options["freeze"] == "all"
    options["pooling"] = "mean" if still else suited or "cls"
    return None if still else suited


def _of_texts(given: Options, options: Options) -> tuple[Any, Any]:
    from nlpcli.runs.finetuning import FinetuneRun
    from nlpcli.runs.finetuning_parts import FinetuneRequest

    own = {"binary_sigmoid": options["binary_sigmoid"], **_head(options)}
    return FinetuneRequest(**given, **own), FinetuneRun


def _of_several(given: Options, options: Options) -> tuple[Any, Any]:
    from nlpcli.runs.multitask_finetuning import MultitaskRun
    from nlpcli.runs.multitask_parts import MultitaskRequest

    if given["class_weight"] not in (None, "balanced"):
        raise UsageError(
            f"--class-weight {given['class_weight']}: of several tasks, wanted balanced"
        )
    own = {name: options[name] for name in ("tasks", "devs", "sampling")} | _head(options)
    return MultitaskRequest(**given, **own), MultitaskRun


def _of_numbers(given: Options, options: Options) -> tuple[Any, Any]:
    from nlpcli.runs.regression_finetuning import RegressionRequest, RegressionRun

    own = _head(options)
    return RegressionRequest(**given, **own), RegressionRun


def _of_words(given: Options, options: Options) -> tuple[Any, Any]:
    from nlpcli.runs.token_finetuning import TokenRequest, TokenRun

    names = word_columns(options["text_column"], options["label_column"])
    own = {name: options[name] for name in ("label_pieces", "word_decoding", "crf")}
    given = {**given, "columns": names}
    return TokenRequest(**given, **own, scheme=options["tag_scheme"]), TokenRun


def _of_spans(given: Options, options: Options) -> tuple[Any, Any]:
    from nlpcli.models.span_config import SpanConfig
    from nlpcli.runs.span_finetuning import SpanRequest, SpanRun

    given = {**given, "columns": span_columns(options["text_column"], options["label_column"])}
    spans = SpanConfig(head=options["span_head"], max_span=options["max_span"])
    own = {name: options[name] for name in ("negatives", "identify")}
    return SpanRequest(**given, **own, spans=spans, decoding=options["span_decoding"]), SpanRun


def _of_questions(given: Options, options: Options) -> tuple[Any, Any]:
    from nlpcli.runs.question_finetuning import QuestionRequest, QuestionRun

    base = given["base"]
    if base.encoder.config.type_vocab < 2:
        raise UsageError(f"--from {base.path}: knows one segment, wanted 2 for questions")
    own = {n: options[n] for n in ("doc_stride", "max_question_length", "max_answer_length")}
    return QuestionRequest(**{**given, "columns": question_columns(options)}, **own), QuestionRun


def _label_metrics(options: Options) -> tuple[str, ...]:
    from nlpcli.runs.conditions import metric_names

    return tuple(metric_names(options["label_separator"] is not None))


def _several_metrics(options: Options) -> tuple[str, ...]:
    from nlpcli.runs.conditions import metric_names
    from nlpcli.runs.multitask_parts import MEAN

    each = sorted({*metric_names(False), *metric_names(True)})
    return MEAN, *(f"{name}.{metric}" for name in options["tasks"] for metric in each)


def _number_metrics(options: Options) -> tuple[str, ...]:
    from nlpcli.evaluation.regression import METRICS

    return METRICS


def _word_metrics(options: Options) -> tuple[str, ...]:
    from nlpcli.runs.token_finetuning import METRICS

    return METRICS


def _span_metrics(options: Options) -> tuple[str, ...]:
    from nlpcli.runs.span_finetuning import METRICS

    return METRICS


def _answer_metrics(options: Options) -> tuple[str, ...]:
    from nlpcli.runs.question_finetuning import GATE

    return GATE


FOR_TEXTS = frozenset({
    "weight_column", "label_separator", "class_weight", "threshold", "long", "window_overlap",
    "head", "pooling", "binary_sigmoid",
})  # fmt: skip
TASKS = {
    "sequence": Task(FOR_TEXTS, _of_texts, _label_metrics),
    "pair": Task(FOR_TEXTS | {"text_b_column"}, _of_texts, _label_metrics),
    SEVERAL: Task(
        (FOR_TEXTS - {"binary_sigmoid"}) | {"text_b_column", "sampling"},
        _of_several,
        _several_metrics,
    ),
    "regression": Task(
        frozenset({"text_b_column", "weight_column", "long", "window_overlap", "head", "pooling"}),
        _of_numbers,
        _number_metrics,
    ),
    "token": Task(
        frozenset({"tag_scheme", "label_pieces", "word_decoding", "crf"}),
        _of_words,
        _word_metrics,
        pace=2.0,
    ),
    "span": Task(
        frozenset({"span_head", "span_decoding", "max_span", "negatives", "identify"}),
        _of_spans,
        _span_metrics,
        pace=2.0,
    ),
    "qa": Task(
        frozenset({"text_b_column", "doc_stride", "max_question_length", "max_answer_length"}),
        _of_questions,
        _answer_metrics,
        length=384,
    ),
}


def plain(options: Options) -> Options:
    """With the values of choices in their place, and what depends on --freeze."""
    found = {n: v.value if isinstance(v, StrEnum) else v for n, v in options.items()}
    if found["freeze"] == "all":
        found |= {name: value for name, value in FROZEN.items() if found[name] is None}
    return found


def among_ranks(options: Options, n_ranks: int) -> Options:
    """The options of one of several processes. Raises UsageError for what one alone does."""
    from nlpcli.runs.leading import threads_of_rank

    if n_ranks == 1:
        return {**options, "ranks": 1}
    if options["device"] not in ("auto", "cpu"):
        raise UsageError(
            f"--device {options['device']}: ranks train on the CPU", hint="--device cpu"
        )
    for name, path in files_read(options).items():
        if path is not None and not os.path.isfile(path):
            raise UsageError(f"{name} {path}: each rank reads it, wanted a file")
    threads = threads_of_rank(options["threads"], n_ranks)
    return {**options, "ranks": n_ranks, "device": "cpu", "threads": threads}


def row_format(options: Options) -> RowFormat:
    """How the input's rows are read."""
    from nlpcli.data.rows import RowFormat

    return RowFormat(
        format=options["format"], header=options["header"], on_error=options["on_error"],
        max_field=options["max_field"] << 20, label_separator=options["label_separator"],
    )  # fmt: skip


def chosen_task(options: Options) -> str:
    """The task asked for, else the one that the columns tell. Raises UsageError, InputMissing,
    DataError."""
    task, pair = options["task"], options["text_b_column"] is not None
    if options["tasks"]:
        if task is not None:
            raise UsageError(f"--task {task} has no meaning with --train: the columns tell")
        task = SEVERAL
    if task is None:
        task = "pair" if pair else _guessed(options)
    if task == "pair" and not pair:
        raise UsageError("--task pair: which column is the second text?",
                         hint="--text-column text_a --text-b-column text_b")  # fmt: skip
    _refuse_useless(str(task), options)
    return str(task)


def tell_guess(task: str, options: Options, suited: str | None, console: Console) -> None:
    """Says which task it is, and the pooling that is ``suited`` to the encoder, where nobody asked
    for them."""
    if options["task"] is None and not options["tasks"]:
        console.say(f"--task {task}, {GUESSED.get(task, GUESSED_BY)}")
    if suited is not None:
        console.say(f"--pooling {suited}, as suits the encoder; transformers knows only cls")


def _guessed(options: Options) -> str:
    from nlpcli.runs.tasks import guessed_task

    columns = options["text_column"], options["label_column"]
    return guessed_task(options["train"], row_format(options), *columns)


def _refuse_useless(task: str, options: Options) -> None:
    """Raises UsageError for an option that the task does not heed."""
    for name, value in SOME_HEED.items():
        if options[name] != value and name not in TASKS[task].heeds:
            other = name == "text_b_column" and task == "sequence"
            raise UsageError(
                f"--{name.replace('_', '-')} has no meaning {_for_task(task)}",
                hint="--task pair" if other else None,
            )
    if options["window_overlap"] != SOME_HEED["window_overlap"] and options["long"] != "window":
        raise UsageError("--window-overlap has no meaning without --long window")
    if options["label_separator"] is None:
        _refuse_others({"threshold": None}, options, "without --label-separator")
    if options["freeze"] == "all":
        _refuse_others({"layer_decay": 1.0}, options, "with --freeze all")
    if task == "regression":
        _refuse_others(WITHOUT_NUMBERS, options, "for --task regression")
    if options["crf"]:
        _refuse_others(WITHOUT_CRF, options, "with --crf")
    if options["binary_sigmoid"]:
        _refuse_others({"label_separator": None}, options, "with --binary-sigmoid")


def _for_task(task: str) -> str:
    return "with --train NAME=FILE" if task == SEVERAL else f"for --task {task}"


def _refuse_others(usual: Options, options: Options, where: str) -> None:
    for name, value in usual.items():
        if options[name] != value:
            raise UsageError(f"--{name.replace('_', '-')} has no meaning {where}")


def request_of(task: str, options: Options, config: Any, opened: Any) -> tuple[Any, Any]:
    """What is asked for, and the class of the run that does it. Raises UsageError."""
    from nlpcli.runs.publishing import parse_gate

    chosen, dev = TASKS[task], options["dev"] or options["devs"]
    # those of train-fasttext's options that set rows apart by themselves do not here
    own = {**options, "dev": dev, "autotune": False, "label_separator": None}
    gate = parse_gate(
        options["publish_if"] or [], lambda: chosen.metrics(options), has_dev=has_dev_part(own)
    )  # fmt: skip
    given = {
        **{name: options[name] for name in SHARED}, "fmt": row_format(options),
        "columns": {name: options[name] for name in COLUMNS},
        "pair": options["text_b_column"] is not None, "base": opened, "config": config,
        "gate": gate,
    }  # fmt: skip
    return chosen.request(given, options)
