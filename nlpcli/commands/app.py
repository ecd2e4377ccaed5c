"""The Typer program: global options and the list of commands."""

from __future__ import annotations

import platform
from typing import Annotated, Any

import typer

from nlpcli import __version__
from nlpcli.commands import (
    completion,
    doctor,
    exchange,
    finetune,
    manual,
    models,
    neighbors,
    ngrams,
    predict,
    pretrain_bert,
    train_fasttext,
    train_lm,
    train_w2v,
)
from nlpcli.commands import eval as eval_command
from nlpcli.shell import on_demand, settings
from nlpcli.shell.options import CONTEXT
from nlpcli.shell.usage import exit_code_line

EXAMPLES = """\b
Examples:
  nlpcli train-fasttext sample_data/reviews_en.csv -o reviews
  nlpcli predict -m reviews sample_data/new_messages.csv
"""
MODELS_EXAMPLES = """\b
Examples:
  nlpcli models list
  nlpcli models show reviews
"""


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
    )
    app.callback(epilog=f"{EXAMPLES}\n\n{exit_code_line()}")(_root)
    app.command("train-fasttext", epilog=train_fasttext.EXAMPLES)(train_fasttext.train_fasttext)
    app.command("train-w2v", epilog=train_w2v.EXAMPLES)(train_w2v.train_w2v)
    app.command("train-lm", epilog=train_lm.EXAMPLES)(train_lm.train_lm)
    app.command("pretrain-bert", epilog=pretrain_bert.EXAMPLES)(pretrain_bert.pretrain_bert)
    app.command("finetune", epilog=finetune.EXAMPLES)(finetune.finetune)
    app.command("predict", epilog=predict.EXAMPLES)(predict.predict)
    app.command("eval", epilog=eval_command.EXAMPLES)(eval_command.evaluate)
    app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
    app.command("ngrams", epilog=ngrams.EXAMPLES)(ngrams.ngrams)
    app.command("neighbors", epilog=neighbors.EXAMPLES)(neighbors.neighbors)
    store = models.build()
    exchange.add_commands(store)
    app.add_typer(store, name="models", epilog=f"{MODELS_EXAMPLES}\n\n{exit_code_line()}")
    app.command("man", epilog=manual.EXAMPLES)(manual.man)
    app.command("completion", epilog=completion.EXAMPLES)(completion.completion)
    settings.configure(app)
    return app


def build_command() -> Any:
    """The program as the command that parses and runs."""
    return completion.without_installers(on_demand.build(build_app()))
