"""main(): streams, signals, error -> exit code. The only place that ends the process."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import traceback
from typing import NoReturn

from nlpcli.errors import NlpcliError, shown
from nlpcli.runs import interrupts
from nlpcli.shell import machine, ranks

TRAINERS = ("train-", "pretrain-", "finetune")
"""They outlive the reader of their output; every other command dies quietly with it."""


def _prepare_streams(arguments: list[str]) -> None:
    """UTF-8 whatever the locale says; signals as a Unix filter has them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    if not "".join(arguments[:1]).startswith(TRAINERS):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    interrupts.install(_tell, os._exit)


def _tell(message: str) -> None:
    """A line from a signal handler: past Python's buffers."""
    with contextlib.suppress(OSError):
        os.write(2, f"{message}\n".encode())


def _show(error: NlpcliError) -> int:
    line = " ".join(error.message.splitlines())
    text = f"error: {line}\n" + (f"hint: {error.hint}\n" if error.hint else "")
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        pass
    return error.exit_code


def _run(arguments: list[str]) -> int:
    """Runs the program; 0, or an NlpcliError, or a signal's exception."""
    import typer

    from nlpcli.commands.app import build_command
    from nlpcli.commands.completion import VARIABLE
    from nlpcli.shell.streams import open_missing
    from nlpcli.shell.usage import HelpWanted, usage_error

    open_missing()
    code = 0
    try:
        command = build_command()
        if VARIABLE in os.environ:
            command.main(arguments, prog_name="nlpcli")
        # not main(), which takes a closed pipe and an end of input for its own
        with command.make_context("nlpcli", arguments) as context:
            command.invoke(context)
    except typer.Exit as stop:
        code = stop.exit_code
    except typer.Abort:
        return 130
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    except HelpWanted as error:
        raise _with_help(error) from None
    except typer.TyperException as error:
        raise _with_help(usage_error(error)) from None
    sys.stdout.flush()
    return code


def _with_help(error: NlpcliError) -> NlpcliError:
    """The error, after the help it asks for is shown."""
    with contextlib.suppress(OSError):
        sys.stderr.write(getattr(error, "help", ""))
    return error


def main() -> NoReturn:
    """Entry point of the program; never returns."""
    arguments = sys.argv[1:]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    debug = "--debug" in arguments[:end]
    arguments = [a for a in arguments[:end] if a != "--debug"] + arguments[end:]
    code = 70
    try:
        ranks.silence_others(arguments)
        _prepare_streams(arguments)
        machine.prepare()
        code = _run(arguments)
    except NlpcliError as error:
        code = _show(error)
    except interrupts.Interrupted as stop:
        code = stop.exit_code
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        code = 141
    except OSError as error:
        reason = error.strerror or str(error)
        code = _show(_io_error(f"{error.filename or 'output'}: {reason}"))
    except MemoryError:
        code = _show(_exit(69, "out of memory"))
    except Exception as error:  # our bug: one line, the traceback only on demand
        if debug:
            traceback.print_exc()
        code = _show(_unexpected(error))
    _leave(code)


def _io_error(message: str) -> NlpcliError:
    return _exit(74, message)


def _unexpected(error: Exception) -> NlpcliError:
    """What ends the program; a GPU that is full, before anything smaller is tried, is no bug."""
    if isinstance(error, getattr(sys.modules.get("torch"), "OutOfMemoryError", ())):
        return _exit(69, "out of GPU memory", "--device cpu")
    said = f"internal error: {type(error).__name__}: {shown(str(error), 200)}"
    return _exit(70, said, "--debug")


def _exit(code: int, message: str, hint: str | None = None) -> NlpcliError:
    error = NlpcliError(message, hint=hint)
    error.exit_code = code
    return error


def _leave(code: int) -> NoReturn:
    """Ends at once: no exit handlers, so that a closed pipe cannot change the exit code."""
    try:
        sys.stdout.flush()
    except OSError:
        code = code or 74
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
