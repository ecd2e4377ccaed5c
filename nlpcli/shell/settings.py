"""Where an option's value comes from: flag, environment, --config file, default.

Every command gets this from its class: ``configure`` sets it on a whole program, so a new
command has variables, configuration keys, --config and --show-config without a line of its own.
"""

from __future__ import annotations

import copy
import functools
import json
import math
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from nlpcli.errors import shown
from nlpcli.shell import option_table as table
from nlpcli.shell import options as opt
from nlpcli.shell.usage import (
    CONFIG_VALUES,
    HelpWanted,
    InputExpected,
    exit_code_line,
    near_name,
)

_SHOW = "nlpcli.show_config"


def _shared(
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    no_color: opt.NoColor = False,
    config: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="YAML file of options: lr: 0.1 means --lr 0.1."),
    ] = None,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Show each option's value and origin, then end.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an internal error happened.")
    ] = False,
) -> None:
    """Options of every command, unless it declares its own."""


@functools.cache
def _shared_params() -> list[Any]:
    """To be copied for each command: reading them off the function takes a millisecond."""
    holder = typer.Typer(add_completion=False)
    holder.command()(_shared)
    params: list[Any] = typer.main.get_command(holder).params
    return params


class ConfiguredCommand(TyperCommand):
    """A command whose options have an environment variable and a configuration key each."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._own = {param.name for param in self.params}
        for param in map(copy.copy, _shared_params()):
            if param.name in _CALLBACKS:
                param.is_eager, param.callback = True, _CALLBACKS[param.name]
            if param.name not in self._own:
                self.params.append(param)
        for param in table.arguments(self):
            param.metavar = param.metavar or param.name.upper()
        for row, param in zip(table.options(self), _option_params(self), strict=True):
            param.envvar, param.show_envvar = row.variable, False
        note = (
            "In place of an option, say --seed 3: NLPCLI_SEED=3, or in the --config file seed: 3."
        )
        self.epilog = f"{self.epilog or ''}\n\n{note}\n\n{exit_code_line()}"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As Typer; besides, a number must be finite."""
        rest = super().parse_args(ctx, args)
        for param in _option_params(self):
            value = ctx.params.get(param.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise typer.BadParameter(str(value), ctx=ctx, param=param)
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Runs the command, or shows its settings."""
        if _SHOW in ctx.meta:
            _show_settings(ctx)
            return None
        if not ctx.params.get("quiet"):
            _warn_of_unknown_variables(ctx)
        ctx.params = {name: v for name, v in ctx.params.items() if name in self._own}
        try:
            return super().invoke(ctx)
        except InputExpected as error:
            raise HelpWanted(error.message, ctx.get_help()) from None


def configure(app: typer.Typer) -> None:
    """Makes every command of a program, and of its groups, a ConfiguredCommand."""
    for command in app.registered_commands:
        command.cls = ConfiguredCommand
    for group in app.registered_groups:
        if group.typer_instance is not None:
            configure(group.typer_instance)


def _option_params(command: Any) -> list[Any]:
    return [p for p in command.params if p.param_type_name == "option" and not p.hidden]


def _load_config(ctx: Any, param: Any, path: str | None) -> str | None:
    """Callback of --config: the file's values become the context's defaults."""
    if path is None or ctx.resilient_parsing:
        return path
    from nlpcli.shell.config_file import Schema, read_settings

    words: list[str] = []
    walk = ctx
    while walk.parent is not None:
        words.insert(0, walk.info_name)
        walk = walk.parent
    found = read_settings(path, Schema.of(walk.command), tuple(words))
    rows = table.settings(ctx.command)
    ctx.meta[CONFIG_VALUES] = {rows[key].name: value for key, value in found.items()}
    ctx.default_map = {name: value.value for name, value in ctx.meta[CONFIG_VALUES].items()}
    return path


def _ask_to_show(ctx: Any, param: Any, wanted: bool) -> bool:
    """Callback of --show-config: nothing is required of a command that will not run."""
    if wanted and not ctx.resilient_parsing:
        missing = [p for p in ctx.command.params if p.required]
        ctx.meta[_SHOW] = {p.name for p in missing}
        for other in missing:
            other.required = False
    return wanted


_CALLBACKS = {"config": _load_config, "show_config": _ask_to_show}


def _show_settings(ctx: Any) -> None:
    """One line an option on stdout: name, value, origin; with --json one document."""
    shown_rows = []
    for key, row in table.settings(ctx.command).items():
        if key == "config":
            continue
        value, origin = table.plain(ctx.params.get(row.name)), _origin(ctx, row)
        if value is None and row.name in ctx.meta[_SHOW]:
            origin = "(required, not set)"
        shown_rows.append((key.replace("_", "-"), value, origin))
    if ctx.params.get("json"):
        document = {name: {"value": value, "origin": o} for name, value, o in shown_rows}
        typer.echo(json.dumps(document))
        return
    names = max(len(name) for name, _, _ in shown_rows)
    texts = [_text(value) for _, value, _ in shown_rows]
    width = min(40, max(map(len, texts)))
    for (name, _, origin), text in zip(shown_rows, texts, strict=True):
        typer.echo(f"{name:<{names}}  {text:<{width}}  {origin}")


def _text(value: Any) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return shown(" ".join(map(str, value)) if isinstance(value, list) else str(value), 200)


def _origin(ctx: Any, row: table.OptionRow) -> str:
    source = ctx.get_parameter_source(row.name).name
    if source == "DEFAULT_MAP":
        return str(ctx.meta[CONFIG_VALUES][row.name].where)
    return {"COMMANDLINE": "flag", "ENVIRONMENT": f"environment {row.variable}"}.get(
        source, "default"
    )


def _warn_of_unknown_variables(ctx: Any) -> None:
    own = {row.variable for row in table.settings(ctx.command).values()}
    others = [name for name in sorted(os.environ) if name.startswith(table.PREFIX)]
    others = [name for name in others if name not in own and os.environ[name]]
    if not others:
        return
    known = {
        row.variable
        for _, command in table.leaves(ctx.find_root().command)
        for row in table.settings(command).values()
    }
    for name in others:
        if name not in known:
            near = near_name(name, [str(variable) for variable in known])
            tail = f"; did you mean {near}?" if near else ""
            sys.stderr.write(f"warning: {shown(name)} is no option of any command{tail}\n")
