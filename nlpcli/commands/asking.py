"""What predict, eval and finetune share about questions and their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from nlpcli.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from nlpcli.data.rows import RowStream
    from nlpcli.data.squad import AnswerWriter
    from nlpcli.runs.question_answerer import AnswerColumns, QuestionAnswerer

FORMAT = "squad"


def is_answerer(opened: object) -> TypeIs[QuestionAnswerer]:
    """Whether a model answers questions; by its name, so that nothing is imported to see it."""
    return type(opened).__name__ == "QuestionAnswerer"


def is_asked(answers: object) -> TypeIs[AnswerColumns]:
    """Whether columns are those of answers to questions."""
    return type(answers).__name__ == "AnswerColumns"


def question_columns(options: dict[str, Any]) -> dict[str, str | None]:
    """Where contexts, questions and answers are, when the options are as typed for these or those
    of other tasks."""
    context, question = options["text_column"], options["text_b_column"]
    answer = options.get("label_column", "label")
    return {
        "context": None if context == "text" else context,
        "question": "question" if question is None else question,
        "answer": None if answer == "label" else answer,
    }


def answer_writer(stream: BinaryIO, rows: RowStream, answers: object) -> AnswerWriter:
    """What writes one JSON object of answers by id. Raises UsageError for other models, DataError
    without a column id."""
    from nlpcli.data.squad import ID, AnswerWriter

    if not is_asked(answers):
        raise UsageError(f"--output-format {FORMAT}: only for a model that answers questions")
    return AnswerWriter(stream, rows.column(ID))


def answer_table(document: dict[str, Any]) -> str:
    """The document of ``eval`` for people."""
    more = ""
    if document["no_answer"]:
        more = f", {document['no_answer']:,} of them without an answer"
    lines = [
        f"{document['n']:,} questions{more}; compared by {document['units']}; 95 % intervals by "
        "bootstrap", "",
    ]  # fmt: skip
    metrics = {name: value for name, value in document.items() if isinstance(value, dict)}
    width = max(map(len, metrics))
    for name, metric in metrics.items():
        values = [f"{value:.4f}" for value in metric.values() if value is not None]
        interval = f"  {values[1]} – {values[2]}" if len(values) == 3 else ""
        lines.append(f"{name:<{width}} {values[0] if values else 'undefined':>9}{interval}")
    return "\n".join(lines) + "\n"
