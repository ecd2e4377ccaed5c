"""The Typer program: global options and the list of commands."""

from __future__ import annotations

import platform
from typing import Annotated

import typer

from nlpcli import __version__
from nlpcli.commands import eval as eval_command
from nlpcli.commands import models, predict, train_fasttext
from nlpcli.commands.options import CONTEXT

EXIT_CODES = (
    "Exit codes: 0 done; 1 the answer is no; 2 usage; 65 bad data or model file; 66 input missing; "
    "69 part, device or memory missing; 70 our bug; 73 cannot create output; 74 I/O error, full "
    "disk; 75 busy; 78 bad configuration; 130 INT; 141 PIPE; 143 TERM."
)


def _version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    typer.echo(f"nlpcli {__version__}")
    try:
        typer.echo(f"torch {version('torch')}")
    except PackageNotFoundError:
        typer.echo("torch missing")
    typer.echo(f"python {platform.python_version()}")
    raise typer.Exit()


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Text classification from the shell: CSV in, predictions out."""


def build_app() -> typer.Typer:
    """The whole program, ready to run."""
    app = typer.Typer(
        name="nlpcli",
        context_settings=CONTEXT,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        epilog=EXIT_CODES,
    )
    app.callback(epilog=EXIT_CODES)(_root)
    app.command("train-fasttext", epilog=train_fasttext.EXAMPLES)(train_fasttext.train_fasttext)
    app.command("predict", epilog=predict.EXAMPLES)(predict.predict)
    app.command("eval", epilog=eval_command.EXAMPLES)(eval_command.evaluate)
    app.add_typer(models.build(), name="models")
    return app
