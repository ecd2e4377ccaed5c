"""Commands are built when they are asked for."""

from __future__ import annotations

import typer

from nlpcli.commands.app import build_app, build_command
from nlpcli.shell import option_table as table


def test_all_commands_and_in_their_order() -> None:
    whole = typer.main.get_command(build_app())
    waiting = build_command()
    assert list(waiting.commands) == list(whole.commands)  # type: ignore[attr-defined]
    for (path, command), (same, other) in zip(
        table.leaves(waiting), table.leaves(whole), strict=True
    ):
        assert path == same
        assert [row.key for row in table.options(command)] == [
            row.key for row in table.options(other)
        ]


def test_a_run_builds_the_command_that_it_names() -> None:
    program = build_command()
    assert program.commands.built == []
    context = program.make_context("nlpcli", ["predict", "--show-config"])
    assert program.resolve_command(context, ["predict"])[0] == "predict"
    assert program.commands.built == ["predict"]
    assert program.commands["predict"] is program.commands["predict"]
    assert "models" in program.commands and "modles" not in program.commands
    assert program.commands.get("modles") is None
    assert program.commands.built == ["predict"]
