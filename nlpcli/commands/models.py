"""models: what is in the store."""

from __future__ import annotations

import dataclasses
import json as json_module
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpcli.commands.opening import (
    fasttext_file,
    hf_folder_meant,
    open_model,
)
from nlpcli.errors import DataError, NlpcliError, UsageError, shown
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console
from nlpcli.shell.streams import write_path

if TYPE_CHECKING:
    from nlpcli.store.folder import ModelFolder


class Projection(StrEnum):
    """What makes points on a plane of vectors."""

    tsne = "tsne"
    pca = "pca"


Name = Annotated[str, typer.Argument(help="A name, NAME@VERSION, or a path with a /.")]


def build() -> typer.Typer:
    """The sub-commands of ``models``."""
    app = typer.Typer(
        context_settings=opt.CONTEXT,
        rich_markup_mode=None,
        help="List, show, verify, pin, roll back, prune, import and export models.",
        no_args_is_help=False,
    )
    app.command("list", epilog="\b\nExamples:\n  nlpcli models list\n  nlpcli models list --json")(
        list_models
    )
    app.command(
        "show",
        epilog="\b\nExamples:\n  nlpcli models show reviews\n  nlpcli models show tags@1\n"
        "  nlpcli models show sample_data/words_en.vec --plot words.html\n"
        "  nlpcli models show reviews-lm --generate 5",
    )(show)
    app.command(
        "verify", epilog="\b\nExamples:\n  nlpcli models verify reviews\n  nlpcli models verify"
    )(verify)
    app.command(
        "prune",
        epilog="\b\nExamples:\n  nlpcli models prune reviews --keep 2\n"
        "  nlpcli models prune tags --dry-run",
    )(prune)
    app.command(
        "pin", epilog="\b\nExamples:\n  nlpcli models pin reviews@1\n  nlpcli models pin tags"
    )(pin)
    app.command(
        "unpin", epilog="\b\nExamples:\n  nlpcli models unpin reviews\n  nlpcli models unpin tags"
    )(unpin)
    app.command(
        "rollback",
        epilog="\b\nExamples:\n  nlpcli models rollback reviews\n"
        "  nlpcli models rollback reviews && nlpcli models list",
    )(rollback)
    return app


def list_models(store: opt.Store = None, json: opt.Json = False) -> None:
    """One line a version: name@version, kind, labels, rows, dev metric, created."""
    from nlpcli.store.store import Store

    entries = Store(opt.store_root(store)).entries()
    if json:
        documents = [
            {
                "name": e.name,
                "version": e.version,
                "path": str(e.path),
                "pinned": e.pinned,
                "problem": e.problem,
                "kind": e.folder.manifest.kind if e.folder else None,
                "published": e.folder.manifest.published if e.folder else None,
                "created": e.folder.manifest.created if e.folder else None,
            }
            for e in entries
        ]
        typer.echo(json_module.dumps(documents))
        return
    width = max([5, *(len(f"{e.name}@{e.version}") for e in entries)])
    typer.echo(f"{'model':<{width}}  kind             labels     rows  created")
    for e in entries:
        label = f"{e.name}@{e.version}"
        if e.folder is None:
            typer.echo(f"{label:<{width}}  broken: {e.problem}")
            continue
        m = e.folder.manifest
        notes = " pinned" * e.pinned + " unpublished" * (not m.published)
        rows = m.data.get("rows")
        count = f"{rows:,}" if type(rows) is int else "-"
        typer.echo(
            f"{label:<{width}}  {shown(m.kind):<15}  {len(m.labels):6,}  {count:>7}  "
            f"{shown(m.created)}{notes}"
        )


def show(
    name: Name,
    store: opt.Store = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Write a page: a map of word vectors, or the run that made an encoder."),
    ] = None,
    plot_words: Annotated[
        int, typer.Option(min=1, max=5000, help="On the map, the most frequent ones.")
    ] = 1000,
    plot_method: Annotated[
        Projection, typer.Option(help="What lays them flat; both are scikit-learn's.")
    ] = Projection.tsne,
    generate: Annotated[
        int | None,
        typer.Option(min=1, max=100000, help="Of a language model: texts drawn from it."),
    ] = None,
    seed: opt.Seed = 1,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """What a model is: its manifest and the sizes of its files, or what another program's says.

    --plot writes one HTML file that asks for nothing: words to zoom into and find, or curves.
    """
    if generate is not None:
        if plot is not None:
            raise UsageError("--plot and --generate: give one of them")
        _generate(open_model(name, store, Console(quiet=quiet)), generate, seed, as_json=json)
        return
    if plot is not None:
        if json:
            raise UsageError("--plot and --json: give one of them")
        from nlpcli.commands.plotting import plot as write_page

        method = plot_method.value
        write_page(name, store, plot, plot_words, method, seed, Console(quiet=quiet))
        return
    document = _document(name, store, Console(quiet=quiet))
    if json:
        typer.echo(json_module.dumps(document))
        return
    _print(document, "")


def _generate(folder: ModelFolder, count: int, seed: int, *, as_json: bool) -> None:
    """A text a line, behind its label and a tab where the model has labels; or JSON lines."""
    from nlpcli.runs.language_scoring import samples
    from nlpcli.store.language_model import KIND, read_language_model

    if folder.manifest.kind != KIND:
        kind = shown(folder.manifest.kind)
        raise UsageError(f"--generate: {folder.path} is of kind {kind}, wanted a language model")
    for drawn in samples(read_language_model(folder), count, seed):
        line = "\t".join(drawn.values())
        typer.echo(json_module.dumps(drawn, ensure_ascii=False) if as_json else line)


def _document(name: str, store: Path | None, console: Console) -> dict[str, Any]:
    foreign = fasttext_file(name, store)
    if foreign is not None:
        from nlpcli.formats.fasttext_bin import describe_fasttext

        return describe_fasttext(foreign)
    plain = hf_folder_meant(name)
    if plain is not None:
        from nlpcli.runs.memory import free_memory
        from nlpcli.store.encoder import describe_plain

        return describe_plain(plain, room=free_memory())
    folder = open_model(name, store, console)
    return {"path": str(folder.path), **dataclasses.asdict(folder.manifest)}


def _print(values: dict[str, Any], indent: str) -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            typer.echo(f"{indent}{key}:")
            _print(value, indent + "  ")
        elif isinstance(value, list):
            more = f", … {len(value) - 20} more" if len(value) > 20 else ""
            listed = ", ".join(shown(str(item)) for item in value[:20])
            typer.echo(f"{indent}{shown(key)}: {listed}{more}")
        else:
            typer.echo(f"{indent}{shown(key)}: {shown(str(value), 1000)}")


def verify(
    name: Annotated[str | None, typer.Argument(help="A model; left out: every version.")] = None,
    store: opt.Store = None,
    quiet: opt.Quiet = False,
) -> None:
    """Check a model's files against the SHA-256 in its manifest, another program's in itself."""
    from nlpcli.store.folder import ModelFolder
    from nlpcli.store.store import Store

    foreign = None if name is None else fasttext_file(name, store)
    if foreign is not None:
        from nlpcli.formats.fasttext_bin import read_fasttext

        read_fasttext(foreign)
        typer.echo(f"{foreign}: ok")
        return
    plain = None if name is None else hf_folder_meant(name)
    if plain is not None:
        from nlpcli.runs.memory import free_memory
        from nlpcli.store.encoder import open_plain

        open_plain(plain, room=free_memory())
        typer.echo(f"{plain}: ok")
        return
    if name is not None:
        typer.echo(f"{open_model(name, store, Console(quiet=quiet)).path}: ok")
        return
    broken = 0
    for entry in Store(opt.store_root(store)).entries():
        try:
            ModelFolder(entry.path).verify()
            typer.echo(f"{entry.path}: ok")
        except NlpcliError as error:
            broken += 1
            typer.echo(f"{entry.path}: broken: {error.message}")
    if broken:
        raise DataError(f"{broken} versions do not verify")


def prune(
    name: Annotated[str, typer.Argument(help="A name in the store.")],
    keep: Annotated[int, typer.Option(min=1, help="Newest versions that verify to keep.")] = 2,
    store: opt.Store = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be removed.")
    ] = False,
    quiet: opt.Quiet = False,
) -> None:
    """Remove old versions; the pinned one and the newest that verify stay."""
    from nlpcli.store.store import Store

    spec, root = _name_in_store(name, "prune"), opt.store_root(store)
    removed, warnings = Store(root).prune(spec.name, keep, dry_run=dry_run)
    _warn(warnings, Console(quiet=quiet))
    for version in removed:
        write_path(root / spec.name / str(version))


def pin(
    name: Annotated[str, typer.Argument(help="NAME@VERSION, or NAME: the version in use.")],
    store: opt.Store = None,
    quiet: opt.Quiet = False,
) -> None:
    """Make a bare name mean this version, whatever is trained later; also an unpublished one."""
    from nlpcli.store.store import Store

    spec, root = _name_in_store(name, "pin", version=True), opt.store_root(store)
    version, warnings = Store(root).pin(spec.name, spec.version)
    _warn(warnings, Console(quiet=quiet))
    write_path(root / spec.name / str(version))


def unpin(
    name: Annotated[str, typer.Argument(help="A name in the store.")],
    store: opt.Store = None,
    quiet: opt.Quiet = False,
) -> None:
    """Make a bare name mean its newest version that verifies again."""
    from nlpcli.store.store import Store

    spec, opened = _name_in_store(name, "unpin"), Store(opt.store_root(store))
    if not opened.unpin(spec.name):
        Console(quiet=quiet).say(f"{name}: no version was pinned")
    write_path(open_model(name, store, Console(quiet=quiet)).path)


def rollback(
    name: Annotated[str, typer.Argument(help="A name in the store.")],
    store: opt.Store = None,
    quiet: opt.Quiet = False,
) -> None:
    """Go back to the newest good version before the one in use, and stay there."""
    from nlpcli.store.store import Store

    spec, root = _name_in_store(name, "rollback"), opt.store_root(store)
    version, used, warnings = Store(root).rollback(spec.name)
    _warn(warnings, Console(quiet=quiet))
    before = "nothing" if used is None else f"{spec.name}@{used}"
    Console(quiet=quiet).say(
        f"{spec.name} means {spec.name}@{version} now, {before} before; pinned"
    )
    write_path(root / spec.name / str(version))


@dataclasses.dataclass(frozen=True)
class _StoreName:
    name: str
    version: int | None


def _name_in_store(text: str, command: str, *, version: bool = False) -> _StoreName:
    """Raises UsageError for a path, and for a version where none is wanted."""
    from nlpcli.store.store import parse_spec

    spec = parse_spec(text)
    if spec.name is None or (spec.version is not None and not version):
        more = " or NAME@VERSION" if version else ""
        raise UsageError(f"{command} {text}: wanted the name of a model in the store{more}")
    return _StoreName(spec.name, spec.version)


def _warn(warnings: list[str], console: Console) -> None:
    for warning in warnings:
        console.warn(warning)
