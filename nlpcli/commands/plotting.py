"""models show --plot: a page of word vectors, or of the run that made an encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nlpcli.commands.opening import file_meant, open_model, open_word_vectors, refuse_same_file
from nlpcli.errors import DataError
from nlpcli.shell.console import Console
from nlpcli.shell.streams import write_path

if TYPE_CHECKING:
    from nlpcli.evaluation.word_map import WordMap
    from nlpcli.models.word_vectors import WordVectors
    from nlpcli.store.folder import ModelFolder

LOG = "log.jsonl"
"""Of a run, in a model's folder."""


def plot(
    name: str, store: Path | None, target: Path, n_words: int, method: str, seed: int,
    console: Console,
) -> None:  # fmt: skip
    """Writes the page; the last three are of a map of words.

    Raises CannotCreate, OutputFailed, InputMissing, DataError, UsageError, Unavailable.
    """
    from nlpcli.evaluation.projection import METHODS
    from nlpcli.evaluation.word_map import WordMap
    from nlpcli.store.atomic import AtomicFile

    form = next(form for form in METHODS if form == method)
    refuse_same_file({"NAME": name}, {"--plot": target})
    with AtomicFile(target) as stream:  # first: what cannot be made is told before any work
        folder = None if file_meant(name, store) is not None else open_model(name, store, console)
        if folder is not None and folder.manifest.kind == "bert-encoder":
            page, said = _run(folder, name)
        else:
            words = _words(name, store, folder, console)
            page, said = _map(*words, name, WordMap(n_words, form, seed))
        stream.write(page.encode("utf-8", "replace"))  # names of files may be any bytes
    console.say(said)
    write_path(target)


def _words(
    name: str, store: Path | None, folder: ModelFolder | None, console: Console
) -> tuple[WordVectors, Path]:
    if folder is None:
        return open_word_vectors(name, store, console)
    from nlpcli.store.word_vectors import read_word_vectors

    return read_word_vectors(folder), folder.path


def _map(vectors: WordVectors, path: Path, name: str, drawing: WordMap) -> tuple[str, str]:
    from nlpcli.evaluation.projection import METHODS

    n_all = len(vectors.words)
    shown = f"{min(drawing.n_words, n_all):,} of {n_all:,} words by {METHODS[drawing.method]}"
    return drawing.page(vectors, name), f"{path}: {shown}"


def _run(folder: ModelFolder, name: str) -> tuple[str, str]:
    from nlpcli.evaluation.run_page import read_log, run_page

    manifest = folder.manifest
    if LOG not in manifest.files:
        raise DataError(f"{folder.path}: without {LOG}: pretrain-bert did not make it")
    log = read_log(folder.read(LOG), str(folder.path / LOG))
    run, encoder = manifest.config.get("run"), manifest.config.get("encoder")
    config = {
        **(run if isinstance(run, dict) else {}),
        "created": manifest.created,
        "created_by": manifest.created_by,
        **({"encoder": encoder} if isinstance(encoder, dict) else {}),
    }
    page = run_page(log, name, config, manifest.metrics)
    return page, f"{folder.path}: {log[-1].step:,} steps, {log[-1].tokens:,} tokens"
