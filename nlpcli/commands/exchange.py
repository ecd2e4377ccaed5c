"""models import and models export: other programs' files into the store and out of it."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nlpcli.commands.opening import file_meant, open_encoder, open_model, refuse_same_file
from nlpcli.errors import UsageError
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console
from nlpcli.shell.streams import write_path


class ExportFormat(StrEnum):
    """Programs whose files can be written."""

    fasttext = "fasttext"
    word2vec = "word2vec"
    word2vec_binary = "word2vec-binary"
    glove = "glove"
    arpa = "arpa"
    huggingface = "huggingface"


def add_commands(app: typer.Typer) -> None:
    """Adds them to the sub-commands of ``models``."""
    app.command(
        "import",
        epilog="\b\nExamples:\n  nlpcli models import sample_data/reviews_en.bin imported\n"
        "  nlpcli models import sample_data/reviews_en.bin ./imported --force\n"
        "  nlpcli models import sample_data/words_en.vec words",
    )(import_model)
    app.command(
        "export",
        epilog="\b\nExamples:\n  nlpcli models export imported copy.bin --to fasttext\n"
        "  nlpcli models export imported@1 copy.bin --to fasttext --force\n"
        "  nlpcli models export words glove.txt --to glove",
    )(export_model)


def _refuse_streams(paths: dict[str, str]) -> None:
    for name, path in paths.items():
        if path == "-":
            raise UsageError(f"{name} -: a model is a file, not a stream", hint="./- for that name")


def import_model(
    src: Annotated[
        str,
        typer.Argument(
            help="fastText's .bin, .ftz; ARPA; vectors: word2vec, .vec, GloVe; a BERT folder."
        ),
    ],
    dst: Annotated[str, typer.Argument(help="Name in the store, or a path.")],
    store: opt.Store = None,
    label_prefix: opt.LabelPrefix = opt.LABEL_PREFIX,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a model path that exists.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Queue when the name is busy.")] = False,
    quiet: opt.Quiet = False,
) -> None:
    """Make another program's model the next version of a name."""
    from nlpcli.data.rows import RowFormat
    from nlpcli.runs.exchanging import import_file
    from nlpcli.store.store import Store, parse_spec

    _refuse_streams({"SRC": src, "DST": dst})
    if parse_spec(dst).version is not None:
        raise UsageError(f"DST {dst}: a version is never changed", hint=dst.partition("@")[0])
    RowFormat(label_prefix=label_prefix)  # refuses one that no label could be told by
    warnings: list[str] = []
    with Store(opt.store_root(store)).begin(dst, force=force, wait=wait) as draft:
        if os.path.isdir(src):
            from nlpcli.runs.encoder_exchange import import_encoder

            path, warnings = import_encoder(Path(src), draft)
        else:
            path = import_file(Path(src), draft, label_prefix)
    for warning in warnings:
        Console(quiet=quiet).warn(warning)
    write_path(path)


def export_model(
    src: Annotated[str, typer.Argument(help="A name, NAME@VERSION, a path, a file.")],
    dst: Annotated[str, typer.Argument(help="The file to write; for huggingface a folder.")],
    to: Annotated[
        ExportFormat,
        typer.Option(
            "--to", help="fasttext; arpa; huggingface; for words' vectors one of the others."
        ),
    ],
    store: opt.Store = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    quiet: opt.Quiet = False,
) -> None:
    """Write a model, or its words' vectors, as the file of another program."""
    from nlpcli.formats.word_vectors import FORMS
    from nlpcli.runs import exchanging
    from nlpcli.runs.exchanging import check_free, export_fasttext, stored_fasttext

    _refuse_streams({"SRC": src, "DST": dst})
    refuse_same_file({"SRC": src}, {"DST": dst})
    if to == ExportFormat.huggingface:
        _export_encoder(src, Path(dst), store, Console(quiet=quiet), force=force)
        return
    check_free(Path(dst), force=force)
    foreign = file_meant(src, store)
    if to == ExportFormat.arpa:
        if foreign is not None:
            raise UsageError(f"SRC {src}: wanted a language model of the store")
        folder = open_model(src, store, Console(quiet=quiet))
        exchanging.export_arpa(folder, Path(dst), force=force)
        write_path(Path(dst))
        return
    if to != ExportFormat.fasttext:
        if foreign is not None:
            vectors = exchanging.file_vectors(foreign)
        else:
            vectors = exchanging.stored_vectors(open_model(src, store, Console(quiet=quiet)))
        form = next(form for form in FORMS if form == to.value)
        exchanging.export_vectors(vectors, Path(dst), form, force=force)
        write_path(Path(dst))
        return
    if foreign is not None:
        from nlpcli.formats.fasttext_bin import read_fasttext

        model = read_fasttext(foreign, classifier=True)
    else:
        model = stored_fasttext(open_model(src, store, Console(quiet=quiet)))
    export_fasttext(model, Path(dst), force=force)
    write_path(Path(dst))


def _export_encoder(
    src: str, target: Path, store: Path | None, console: Console, *, force: bool
) -> None:
    from nlpcli.runs.encoder_exchange import export_encoder, head_beside

    opened = open_encoder(src, store, console)
    left_out = export_encoder(opened.encoder, target, force=force) + head_beside(opened)
    for head in left_out:
        console.warn(f"{src}: the {head} head is left out, transformers has no class for it")
    write_path(target)
