"""What predict and neighbors do with an encoder: vectors of texts, of words, of occurrences."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import typer

from nlpcli.commands.opening import open_encoder, refuse_same_file
from nlpcli.commands.opening_tasks import FOR_ENCODERS
from nlpcli.errors import DataError, UsageError
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from nlpcli.data.output import RowWriter
    from nlpcli.formats.npy_output import NpyRows
    from nlpcli.runs.contexts import Occurrences
    from nlpcli.runs.embedding import Embedder

_AT_ONCE = 512
"""Words whose vectors are held as text."""
_DIGITS = 7


class Pooling(StrEnum):
    """Which vector of a text."""

    cls = "cls"
    mean = "mean"
    last4 = "last4"


def refuse_options(options: dict[str, Any], defaults: dict[str, Any], why: str) -> None:
    """Raises UsageError for an option that has another value than where it is not given."""
    for name, value in defaults.items():
        if options[name] != value:
            raise UsageError(f"--{name.replace('_', '-')}: {why}")


def refuse_encoder_options(
    context: typer.Context, why: str = "only with --embed or --words", more: tuple[str, ...] = ()
) -> None:
    """Raises UsageError for one that was typed; variables may be meant for other commands."""
    for name in (*FOR_ENCODERS, *more):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"--{name.replace('_', '-')}: {why}")


def is_npy(options: dict[str, Any]) -> bool:
    """Whether vectors go into a file of numpy."""
    return str(options["output"]).lower().endswith(".npy")


def _open_embedder(options: dict[str, Any], store: Path | None, console: Console) -> Embedder:
    from nlpcli.runs.embedding import Embedder

    opened = open_encoder(options["model"], store, console)
    asked = {name: options[name] for name in FOR_ENCODERS}
    embedder = Embedder(opened.encoder, str(opened.path), **asked)
    console.detail(f"computing in {embedder.precision}")
    return embedder


class Vectors:
    """Texts to vectors as the options say. Raises UsageError for options that do not fit them."""

    def __init__(
        self, options: dict[str, Any], store: Path | None, console: Console, prefix: str
    ) -> None:
        self.of_words: bool = options["words"]
        self.pooling = options["embed"] or Pooling.last4
        if self.of_words:
            if self.pooling == Pooling.cls:
                raise UsageError("--embed cls: a vector of the text, not of --words; mean, last4")
            refuse_options(options, {"only": False, "prefix": prefix}, "not with --words")
        if is_npy(options):
            rows = {
                "only": False, "prefix": prefix, "output_format": "csv", "spreadsheet_safe": False
            }  # fmt: skip
            refuse_options(options, rows, "a .npy file holds vectors alone")
        self.embedder = _open_embedder(options, store, console)
        self.numeric: list[str] = []
        own = "" if options["prefix"] == prefix else options["prefix"]
        self.columns = [f"{own}embedding"]
        self.json_columns = set(self.columns)

    def __call__(self, texts: list[str]) -> list[list[str]]:
        """One cell a text: a JSON list."""
        return [_lists(self.embedder.texts(texts, self.pooling))]

    def sink(
        self, stream: BinaryIO, options: dict[str, Any], text: int
    ) -> NpyVectors | WordRows | None:
        """What writes them, if they are no column of the rows."""
        if is_npy(options):
            return NpyVectors(self, stream, text)
        return WordRows(self, stream, options, text) if self.of_words else None

    def warn_of_cut(self, console: Console) -> None:
        """Texts of which the end was not read are told of."""
        if self.embedder.n_cut:
            most = self.embedder.most_pieces
            console.warn(
                f"{self.embedder.n_cut:,} texts are longer than the {most:,} pieces that the model "
                "reads: their ends do not count"
            )


class NpyVectors:
    """One row of float32 numbers for each text or word."""

    def __init__(self, vectors: Vectors, stream: BinaryIO, text: int) -> None:
        from nlpcli.formats.npy_output import NpyRows

        self._vectors, self._text = vectors, text
        self._file: NpyRows = NpyRows(stream, vectors.embedder.dim)

    def begin(self) -> None:
        """Nothing: the file has begun."""

    def write(self, rows: list[list[str]]) -> None:
        """Adds the vectors of some rows."""
        texts, vectors = [row[self._text] for row in rows], self._vectors
        if not vectors.of_words:
            self._file.write(vectors.embedder.texts(texts, vectors.pooling))
            return
        for table in vectors.embedder.words(texts, vectors.pooling):
            self._file.write(table.vectors)

    def end(self) -> None:
        """How many there are."""
        self._file.finish()


class WordRows:
    """One output row for each word: number of the input row, the word, its place, its vector."""

    def __init__(
        self, vectors: Vectors, stream: BinaryIO, options: dict[str, Any], text: int
    ) -> None:
        from nlpcli.data.output import RowWriter

        self._vectors, self._text, self._count = vectors, text, 0
        self._writer: RowWriter = RowWriter(
            stream,
            ["row", "word", "start", "end", "embedding"],
            options["output_format"],
            json_columns={"row", "start", "end", "embedding"},
            spreadsheet_safe=options["spreadsheet_safe"],
        )

    def begin(self) -> None:
        """The header."""
        self._writer.write_header()

    def write(self, rows: list[list[str]]) -> None:
        """Adds the words of some rows."""
        texts = [row[self._text] for row in rows]
        for cells, embeddings in self._cells(texts):
            self._writer.write(cells, [embeddings])
        self._count += len(texts)

    def _cells(self, texts: list[str]) -> Iterator[tuple[list[list[str]], list[str]]]:
        vectors = self._vectors
        for table in vectors.embedder.words(texts, vectors.pooling):
            for at in range(0, len(table.rows), _AT_ONCE):
                part = slice(at, at + _AT_ONCE)
                places = zip(
                    table.rows[part].tolist(),
                    table.starts[part].tolist(),
                    table.ends[part].tolist(),
                    strict=True,
                )
                cells = [
                    [str(self._count + row + 1), texts[row][start:end], str(start), str(end)]
                    for row, start, end in places
                ]
                yield cells, _lists(table.vectors[part])

    def end(self) -> None:
        """Nothing more."""


def _lists(vectors: npt.NDArray[np.float32]) -> list[str]:
    return [json.dumps(row.astype(float).round(_DIGITS).tolist()) for row in vectors]


def answer_in_context(
    path: str, options: dict[str, Any], store: Path | None, console: Console
) -> None:
    """neighbors --in-context: for each row with a marked word the rows nearest to it.

    Raises DataError for a row without exactly one mark, unless such rows are skipped.
    """
    from nlpcli.data.rows import RowFormat, open_rows
    from nlpcli.runs.contexts import read_occurrences

    opt.expect_input(path)
    output = str(options["output"])
    refuse_same_file(
        {"--in-context": path, "--model": options["model"]}, {"--output": options["output"]}
    )
    embedder = _open_embedder(options, store, console)
    skipped: list[DataError] = []
    skip = skipped.append if options["on_error"] == opt.OnError.skip else None
    with ExitStack() as stack:
        stream: BinaryIO = sys.stdout.buffer
        if output != "-":
            from nlpcli.store.atomic import AtomicFile

            stream = stack.enter_context(AtomicFile(Path(output)))
        rows = open_rows(path, RowFormat(format=options["format"], on_error=options["on_error"]))
        column = rows.column(options["text_column"])
        found = read_occurrences(rows, column, embedder, skip)
        _write_occurrences(found, options["top_k"], stream, json_lines=options["json"])
        stream.flush()
    if skipped or rows.skipped:
        first = f", {skipped[0].message}" if skipped else ""
        console.warn(f"{len(skipped) + rows.skipped:,} rows skipped{first}")


def _write_occurrences(
    occurrences: Occurrences, k: int, stream: BinaryIO, *, json_lines: bool
) -> None:
    from nlpcli.data.output import RowWriter

    pairs = zip(occurrences.found, occurrences.nearest(k), strict=True)
    if json_lines:
        for asked, others in pairs:
            near = [
                {"row": o.row, "word": o.word, "cosine": round(x, 6), "text": o.text}
                for o, x in others
            ]
            document = {"row": asked.row, "word": asked.word, "neighbors": near}
            stream.write(f"{json.dumps(document, ensure_ascii=False)}\n".encode())
        return
    names = ["row", "word", "rank", "neighbor_row", "neighbor", "cosine", "neighbor_text"]
    writer = RowWriter(stream, names)
    writer.write_header()
    for asked, others in pairs:
        cells = [
            [str(asked.row), asked.word, str(rank), str(o.row), o.word]
            for rank, (o, _) in enumerate(others, 1)
        ]
        writer.write(cells, [[f"{x:.6f}" for _, x in others], [o.text for o, _ in others]])
