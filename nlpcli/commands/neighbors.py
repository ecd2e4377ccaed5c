"""neighbors: words in, the words nearest to them out, streaming."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from nlpcli.commands.embedding import answer_in_context, refuse_encoder_options
from nlpcli.commands.opening import open_word_vectors, refuse_same_file
from nlpcli.errors import DataError, UsageError, shown
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console, RejectFile

if TYPE_CHECKING:
    from nlpcli.data.output import RowWriter
    from nlpcli.runs.neighbors import Neighbors

EXAMPLES = """\b
Examples:
  nlpcli neighbors -m sample_data/words_en.vec refund arrived -k 3
  nlpcli neighbors -m sample_data/words_en.vec --analogy day days week
"""
Question = tuple[str, ...]


def neighbors(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORD", help="Left out: from stdin, one a line."),
    ] = None,
    *,
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="A name, NAME@VERSION, a path with a /, or a file of vectors."
        ),
    ],
    top_k: Annotated[
        int, typer.Option("--top-k", "-k", min=1, help="Neighbours of a word, nearest first.")
    ] = 10,
    analogy: Annotated[
        bool,
        typer.Option("--analogy", help="Three words A B C: what is to C as B is to A (3CosAdd)."),
    ] = False,
    in_context: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Of an encoder: rows with one word marked, on the [[bank]]; the nearest rows.",
        ),
    ] = None,
    text_column: opt.TextColumn = "text",
    format: opt.Format = None,
    output: Annotated[
        str, typer.Option("--output", "-o", help="Written beside it, renamed when complete.")
    ] = "-",
    store: opt.Store = None,
    on_error: Annotated[
        opt.OnError,
        typer.Option(
            "--on-error", help="A word without a vector, or a bad line or row: fail (65) or skip."
        ),
    ] = opt.OnError.fail,
    json: Annotated[bool, typer.Option("--json", help="One JSON line a word or row.")] = False,
    device: opt.Device = "auto",
    precision: opt.Precision = opt.PrecisionName.auto,
    threads: opt.Threads = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    no_color: opt.NoColor = False,
    context: typer.Context,
) -> None:
    """Find the words nearest to a word, by the cosine of their vectors.

    Where the model has sub-words, words that it has never seen are answered too. With --in-context
    a word's vector is that of its occurrence: the mean over its pieces of the mean of an encoder's
    last four layers. Rows are numbered from 1, and all are read before the first is answered.
    """
    from nlpcli.runs.neighbors import Neighbors

    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    if in_context is not None:
        if words or analogy:
            raise UsageError("--in-context: words are marked in FILE; no WORD, no --analogy")
        answer_in_context(in_context, context.params, store, console)
        return
    refuse_encoder_options(context, "only with --in-context", ("text_column", "format"))
    bad = RejectFile(None, console)
    questions = _questions(words or [], on_error, bad, analogy=analogy)
    refuse_same_file({"--model": model}, {"--output": output})
    vectors, path = open_word_vectors(model, store, console)
    asked = Neighbors(vectors, str(path), top_k)
    with ExitStack() as stack:
        stream: BinaryIO = sys.stdout.buffer
        if output != "-":
            from nlpcli.store.atomic import AtomicFile

            stream = stack.enter_context(AtomicFile(Path(output)))
        answers = _Answers(asked, stream, analogy=analogy, json=json)
        for where, question in questions:
            try:
                answers.write(question)
            except DataError as error:
                if on_error == opt.OnError.fail:
                    raise _located(error, where) from None
                answers.skipped += 1
        answers.begin()
    if answers.skipped:
        console.warn(f"{answers.skipped:,} questions skipped: a word has no vector")
    bad.close()


def _located(error: DataError, where: str) -> DataError:
    return DataError(f"{where}: {error.message}" if where else error.message, hint=error.hint)


class _Answers:
    """Writes the answer to each question as soon as it is known."""

    def __init__(self, asked: Neighbors, stream: BinaryIO, *, analogy: bool, json: bool) -> None:
        from nlpcli.data.output import RowWriter

        self._asked, self._stream, self._analogy = asked, stream, analogy
        self._names = ["a", "b", "c"] if analogy else ["word"]
        self.skipped, self._begun = 0, False
        self._writer: RowWriter | None = None
        if not json:
            self._writer = RowWriter(stream, [*self._names, "rank", "neighbor", "cosine"])

    def begin(self) -> None:
        """The header, before the first row; a question without an answer may come before it."""
        if self._writer is not None and not self._begun:
            self._writer.write_header()
        self._begun = True

    def write(self, question: Question) -> None:
        """Raises DataError for a word without a vector; then nothing of it is written."""
        asked = self._asked
        found = asked.of_analogy(*question) if self._analogy else asked.of_word(*question)
        self.begin()
        if self._writer is None:
            document = dict(zip(self._names, question, strict=True)) | {
                "neighbors": [{"word": word, "cosine": round(x, 6)} for word, x in found]
            }
            line = json_module.dumps(document, ensure_ascii=False)
            self._stream.write(f"{line}\n".encode())
        else:
            rows = [[*question, str(rank), word] for rank, (word, _) in enumerate(found, 1)]
            self._writer.write(rows, [[f"{cosine:.6f}" for _, cosine in found]])
        self._stream.flush()


def _questions(
    words: list[str], on_error: opt.OnError, bad: RejectFile, *, analogy: bool
) -> Iterator[tuple[str, Question]]:
    """Where each question stands, '' for the command line, and its words; stdin is not read yet.

    Raises UsageError for words that are no whole question, InputExpected.
    """
    if not words:
        opt.expect_input("-")
        return _from_stdin(on_error, bad, analogy=analogy)
    for word in words:
        if not word or not _is_text(word):
            raise UsageError(f"WORD {shown(ascii(word))}: wanted a word in UTF-8")
    if not analogy:
        return iter([("", (word,)) for word in words])
    if len(words) % 3:
        raise UsageError(f"--analogy: {len(words)} words, wanted three: A B C")
    return iter([("", tuple(words[i : i + 3])) for i in range(0, len(words), 3)])


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _from_stdin(
    on_error: opt.OnError, bad: RejectFile, *, analogy: bool
) -> Iterator[tuple[str, Question]]:
    """Raises DataError for a line that is no question, unless such lines are skipped."""
    from nlpcli.data.rows import RowFormat, open_rows

    rows = open_rows("-", RowFormat(format="text", on_error=on_error), bad)
    for batch in rows.batches():
        for line, row in zip(batch.lines, batch.rows, strict=True):
            words = tuple(row[0].split()) if analogy else (row[0].strip(),)
            where = f"{rows.name} line {line}"
            if not any(words):
                continue
            if analogy and len(words) != 3:
                reason = f"{len(words):,} words, wanted three: A B C"
                if on_error == opt.OnError.fail:
                    raise DataError(f"{where}: {reason}")
                bad(line, reason, row[0])
                continue
            yield where, words
