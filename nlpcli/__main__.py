"""main(): streams, signals, error -> exit code. The only place that ends the process."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from nlpcli.errors import NlpcliError, UsageError, nearest, shown

FILTERS = frozenset({"predict", "eval", "models"})
"""Commands that die quietly when the reader of their output goes away; trainers do not."""


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived; an exception so that temporary files are cleaned up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)
    raise Terminated(number)


def _prepare_streams(arguments: list[str]) -> None:
    """UTF-8 whatever the locale says; signals as a Unix filter has them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    if FILTERS & set(arguments[:1]):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)


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

    from nlpcli.commands.app import build_app

    try:
        command = typer.main.get_command(build_app())
        result = command.main(arguments, prog_name="nlpcli", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except typer.Exit as stop:
        return stop.exit_code
    except typer.Abort:
        return 130
    except typer.TyperException as error:
        raise _usage_error(error) from None


def _usage_error(error: Exception) -> NlpcliError:
    """Typer's complaint in our form: lower case, one line, the nearest name as the hint."""
    message = " ".join(str(getattr(error, "format_message", lambda: error)()).split()).rstrip(".")
    if not message:
        return UsageError("no command given", hint="nlpcli --help")
    context = getattr(error, "ctx", None)
    near = None
    typed = getattr(error, "option_name", None)
    if context is not None and typed:
        options = [o for p in context.command.params for o in p.opts]
        near = nearest(typed, options)
    elif context is not None and message.startswith("No such command"):
        near = nearest(message.split("'")[1], list(getattr(context.command, "commands", {})))
    hint = f"did you mean {near}?" if near else None
    head, _, _ = message.partition(" Did you mean")
    head = head.partition(" (Possible options")[0].rstrip(".")
    return UsageError(shown(head[:1].lower() + head[1:], 200), hint=hint)


def main() -> NoReturn:
    """Entry point of the program; never returns."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    code = 70
    try:
        _prepare_streams(arguments)
        code = _run(arguments)
    except NlpcliError as error:
        code = _show(error)
    except KeyboardInterrupt:
        code = 130
    except Terminated as stop:
        code = 128 + stop.number
    except BrokenPipeError:
        code = 141
    except OSError as error:
        reason = error.strerror or str(error)
        code = _show(_io_error(f"{error.filename or 'output'}: {reason}"))
    except MemoryError:
        code = _show(_exit(69, "out of memory"))
    except Exception as error:  # our bug: one line, the traceback only on demand
        if debug:
            raise
        code = _show(
            _exit(
                70, f"internal error: {type(error).__name__}: {shown(str(error), 200)}", "--debug"
            )
        )
    _leave(code)


def _io_error(message: str) -> NlpcliError:
    return _exit(74, message)


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
