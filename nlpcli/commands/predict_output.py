"""Where the answers of predict go: columns behind the rows, or a file of their own kind."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from nlpcli.commands.asking import answer_writer, is_asked, question_columns
from nlpcli.commands.embedding import Vectors
from nlpcli.commands.tagging import answered_column, row_writer
from nlpcli.errors import DataError
from nlpcli.shell import options as opt

if TYPE_CHECKING:
    from nlpcli.commands.predict_answers import Columns
    from nlpcli.data.conll import ConllWriter
    from nlpcli.data.output import RowWriter
    from nlpcli.data.rows import RowFormat, RowStream
    from nlpcli.data.squad import AnswerWriter


class OutputFormat(StrEnum):
    """Formats of predictions."""

    csv = "csv"
    jsonl = "jsonl"
    conll = "conll"
    squad = "squad"


def row_format(answers: Columns, options: dict[str, Any]) -> RowFormat:
    """How rows are read: JSON lines that come out as such keep their values, and may be none."""
    from nlpcli.data.rows import RowFormat

    kept, empty = options["output_format"] == OutputFormat.jsonl, [options["text_column"]]
    if options["text_b_column"] is not None:
        empty.append(options["text_b_column"])
    if is_asked(answers):
        columns = question_columns(options)
        empty = [columns["context"] or "context", columns["question"]]
    return RowFormat(
        format=options["format"], header=options["header"], on_error=options["on_error"],
        max_field=options["max_field"] << 20,
        label_separator=" " if options["format"] == opt.InputFormat.fasttext else None,
        label_prefix=options["label_prefix"], keep_json=kept,
        empty_columns=tuple(empty) if kept else (),
    )  # fmt: skip


def column_of(rows: RowStream, answers: Columns, options: dict[str, Any]) -> int:
    """Position of the texts, words or contexts. Raises DataError."""
    if is_asked(answers):
        columns = question_columns(options)
        return answers.column(rows, columns["context"], str(columns["question"]))
    return answered_column(rows, options["text_column"], answers)


def _checked(kept: list[str], added: list[str], name: str) -> list[str]:
    clash = sorted(set(kept) & set(added))
    if clash:
        raise DataError(f"{name}: the input has a column {clash[0]} already", hint="--prefix NAME_")
    return kept


class Sink(Protocol):
    """Takes rows and writes what is answered to them."""

    def begin(self) -> None:
        """Before the first row."""

    def write(self, rows: list[list[str]]) -> None:
        """Rows in order."""

    def end(self) -> None:
        """After the last one."""


def sink_for(
    answers: Columns,
    rows: RowStream,
    text: int,
    stream: BinaryIO,
    options: dict[str, Any],
) -> Sink:
    """What writes rows whose texts are in the column ``text``. Raises DataError, UsageError."""
    own = answers.sink(stream, options, text) if isinstance(answers, Vectors) else None
    return own or _Columns(answers, rows, text, stream, options)


class _Columns:
    """The rows, with columns of answers behind them."""

    def __init__(
        self,
        answers: Columns,
        rows: RowStream,
        text: int,
        stream: BinaryIO,
        options: dict[str, Any],
    ) -> None:
        self._answers, self._text, self._only = answers, text, options["only"]
        self._writer: RowWriter | ConllWriter | AnswerWriter
        if options["output_format"] == OutputFormat.squad:
            self._writer, self._only = answer_writer(stream, rows, answers), False
            return
        other = options["text_b_column"]
        self._other = None if other is None else rows.column(other)
        kept = [] if self._only else rows.header
        self._writer = row_writer(
            stream,
            _checked(kept, answers.columns, rows.name) + answers.columns,
            options["output_format"],
            words=rows.format == "conll" and type(answers).__name__ == "TagColumn",
            numeric_columns=set(answers.numeric),
            json_columns=getattr(answers, "json_columns", None),
            spreadsheet_safe=options["spreadsheet_safe"],
        )

    def begin(self) -> None:
        self._writer.write_header()

    def write(self, rows: list[list[str]]) -> None:
        from nlpcli.data.pairs import texts_of

        if is_asked(self._answers):
            columns = self._answers.of_rows(rows)
        else:
            columns = self._answers(texts_of(rows, self._text, self._other))
        self._writer.write([[] for _ in rows] if self._only else rows, columns)

    def end(self) -> None:
        from nlpcli.data.squad import AnswerWriter

        if isinstance(self._writer, AnswerWriter):
            self._writer.end()
