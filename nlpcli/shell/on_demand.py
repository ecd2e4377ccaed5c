"""Commands that are built when they are asked for.

A run needs one of them; to build all took a third of its start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import typer


class CommandsOnDemand(Mapping[str, Any]):
    """The commands and groups of a Typer program by name, each built once, when it is looked up."""

    def __init__(self, app: typer.Typer) -> None:
        # as Typer's own get_group_from_info does for all of them
        settings: dict[str, Any] = {
            "pretty_exceptions_short": app.pretty_exceptions_short,
            "rich_markup_mode": app.rich_markup_mode,
        }
        self._builders: dict[str, Callable[[], Any]] = {}
        for command in app.registered_commands:
            build = partial(typer.main.get_command_from_info, command, **settings)
            self._builders[str(command.name)] = build
        settings["suggest_commands"] = app.suggest_commands
        for group in app.registered_groups:
            self._builders[str(group.name)] = partial(
                typer.main.get_group_from_info, group, **settings
            )
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = self._builders[name]()
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._builders)

    def __len__(self) -> int:
        return len(self._builders)

    def __contains__(self, name: object) -> bool:
        return name in self._builders

    @property
    def built(self) -> list[str]:
        """Those that were looked up."""
        return list(self._built)


def build(app: typer.Typer) -> Any:
    """The program as the group that parses; its commands wait."""
    commands = CommandsOnDemand(app)
    app.registered_commands, app.registered_groups = [], []
    group: Any = typer.main.get_command(app)
    group.commands = commands
    return group
