"""completion: the script that teaches a shell to complete nlpcli."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from nlpcli.shell import option_table as table

EXAMPLES = """\b
Examples:
  nlpcli completion bash > nlpcli.bash
  nlpcli completion fish > nlpcli.fish
"""
VARIABLE = "_NLPCLI_COMPLETE"
"""Set by the scripts when they ask the program for completions."""


class Shell(StrEnum):
    """Shells there is a script for."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(help="Where the script will be sourced.")],
) -> None:
    """Print a completion script: source it from the shell's start-up file."""
    from typer._completion_shared import get_completion_script

    script = get_completion_script(
        prog_name=table.PROGRAM, complete_var=VARIABLE, shell=shell.value
    )
    typer.echo(script)


def without_installers(command: Any) -> Any:
    """The program without Typer's own two options, which guess the shell and edit its files."""
    guessing = {"install_completion", "show_completion"}
    command.params = [p for p in command.params if p.name not in guessing]
    return command
