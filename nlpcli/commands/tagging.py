"""What predict, eval and finetune share about words and their tags, and about spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from nlpcli.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from nlpcli.data.conll import ConllWriter
    from nlpcli.data.output import RowWriter
    from nlpcli.data.rows import RowStream
    from nlpcli.runs.span_model import SpanColumn, SpanFinder
    from nlpcli.runs.token_tagger import TagColumn, TokenTagger


def is_tagger(opened: object) -> TypeIs[TokenTagger]:
    """Whether a model tags words; by its name, so that nothing is imported to see it."""
    return type(opened).__name__ == "TokenTagger"


def is_span_finder(opened: object) -> TypeIs[SpanFinder]:
    """Whether a model finds spans, likewise."""
    return type(opened).__name__ == "SpanFinder"


def is_marker(opened: object) -> TypeIs[TokenTagger | SpanFinder]:
    """Whether a model is one of the two."""
    return is_tagger(opened) or is_span_finder(opened)


def mark_columns(opened: TokenTagger | SpanFinder, prefix: str) -> TagColumn | SpanColumn:
    """What makes the columns that such a model adds."""
    if is_tagger(opened):
        from nlpcli.runs.token_tagger import TagColumn

        return TagColumn(opened, prefix)
    from nlpcli.runs.span_model import SpanColumn

    return SpanColumn(opened, prefix)


def word_columns(text_column: str, label_column: str) -> dict[str, str | None]:
    """Where words and tags are, when these are the columns asked for or those of other tasks."""
    return {
        "tokens": None if text_column == "text" else text_column,
        "tags": "tags" if label_column == "label" else label_column,
    }


def span_columns(text_column: str, label_column: str) -> dict[str, str | None]:
    """Where texts or words and spans are; None: as the input's columns tell."""
    return {
        "text": None if text_column == "text" else text_column,
        "marks": None if label_column == "label" else label_column,
    }


def answered_column(rows: RowStream, asked: str, answers: object) -> int:
    """Position of the texts, or of the words that ``answers`` is about. Raises DataError."""
    kind = type(answers).__name__
    if kind == "TagColumn":
        from nlpcli.runs.token_tagger import TagColumn

        assert isinstance(answers, TagColumn)
        return answers.column(rows, word_columns(asked, "label")["tokens"])
    if kind == "SpanColumn":
        from nlpcli.runs.span_model import SpanColumn

        assert isinstance(answers, SpanColumn)
        return answers.column(rows, span_columns(asked, "label")["text"])
    return rows.column(asked)


def row_writer(
    stream: BinaryIO, header: list[str], format: str, *, words: bool, **more: Any
) -> RowWriter | ConllWriter:
    """What writes the columns of ``predict``; ``words``: whether they are those of a CoNLL file.

    Raises UsageError for such a file to be made of others.
    """
    from nlpcli.data.conll import ConllWriter
    from nlpcli.data.output import RowWriter

    if format != "conll":
        return RowWriter(stream, header, format, **more)
    if not words:
        raise UsageError("--output-format conll: only for a CoNLL file and a tagger of words")
    return ConllWriter(stream)
