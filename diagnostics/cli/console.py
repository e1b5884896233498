"""What the command line shares: where words go, how errors end, what the exit codes mean.

With `--json` standard output is one JSON document; everything else goes to standard error.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import IO, Annotated, Any, ParamSpec

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from diagnostics.errors import NO_SPACE, LastbatchError, MissingError, UsageError
from diagnostics.report.text import sanitize_text

OK, BAD_NEWS, USAGE, LACKING, CANNOT_TELL = 0, 1, 2, 3, 4

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, everything else on stderr.")]


class _Console(Console):
    def on_broken_pipe(self) -> None:
        nobody_reads(self.file)  # rich would end the program with 1, which here means bad news


words = _Console(stderr=True, highlight=False, markup=False, emoji=False)
"""For progress and errors. Text stays as it is: a path may look like markup."""
page = _Console(highlight=False, markup=False, emoji=False)
"""For the answer, where it is not JSON."""

P = ParamSpec("P")


def print_json(document: Any) -> None:
    try:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=2) + b"\n")
        sys.stdout.flush()
    except BrokenPipeError:
        nobody_reads(sys.stdout)


def nobody_reads(stream: IO[str]) -> None:
    """Whoever read it has enough, as `head` has: the command goes on, for its evidence and its exit code.

    What is left in the buffer goes nowhere either: Python must not complain when it flushes at exit.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def _errors_in_one_line(as_json: bool) -> Iterator[None]:
    """A user's mistake, or a lack of this machine, is one line on standard error and never a traceback."""
    try:
        yield
    except LastbatchError as error:
        raise _told(error, as_json) from None
    except KeyboardInterrupt:
        words.print("lastbatch: interrupted; everything that was started has been ended")
        raise typer.Exit(130) from None
    except OSError as error:
        raise _told(MissingError(*_explain(error)), as_json) from None


def _told(error: LastbatchError, as_json: bool) -> typer.Exit:
    """Say the error; how the command ends. What it quotes may come out of a hostile file."""
    said = Text.assemble(("lastbatch: ", "bold red"), sanitize_text(str(error)))
    words.print(said, soft_wrap=not words.is_terminal)  # one line; a terminal's is broken between words
    if as_json:
        print_json({"error": error.message, "hint": error.hint})
    return typer.Exit(error.exit_code)


def _explain(error: OSError) -> tuple[str, str]:
    what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    return what, "Free some space, or write elsewhere with --out" if error.errno in NO_SPACE else "See lastbatch doctor"


# typer brings click along, or a copy of its own, by its release.
_ClickError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def run_app(app: typer.Typer) -> None:
    """Run the command line, and end the process. A wrong call, too, is one line, and JSON where that was asked for."""
    _open_what_is_closed()
    try:
        status = app(standalone_mode=False)
    except SystemExit:  # by rich alone: nobody reads the help text to its end
        status = OK
    except _ClickError as error:
        if len(sys.argv) < 2:  # no command at all: help is the answer
            error.show()
            sys.exit(USAGE)
        call = error.ctx.command_path if error.ctx else "lastbatch"
        said = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
        status = _told(UsageError(said, f"See {call} --help"), "--json" in sys.argv).exit_code
    except typer.Abort:
        status = 130
    except ModuleNotFoundError as error:
        status = _told(_lacks(error), "--json" in sys.argv).exit_code
    gc.freeze()  # or Python looks for cycles in all that ends with the process, while the user waits for the prompt
    sys.exit(status)


def _open_what_is_closed() -> None:
    """Python has no stream where a shell closed one (`>&-`), and the next file that is opened would be taken for it."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8")


def _lacks(error: ModuleNotFoundError) -> LastbatchError:
    """What attach needs comes with the base install; what scenarios, studies and agents need does not.

    Raises:
        ModuleNotFoundError: the fault is ours.
    """
    name = (error.name or "").partition(".")[0]
    if name in ("", "diagnostics", "repro"):
        raise error
    extra = {"ray": "ray", **dict.fromkeys(("anyio", "mcp", "pydantic"), "mcp")}.get(name, "repro")
    return MissingError(f"this command needs {name}, which is not installed", f"pip install 'lastbatch[{extra}]'")


def command(function: Callable[P, int]) -> Callable[P, None]:
    """A command whose errors end in one line and whose result is the exit code."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a locale may lack a character
        with _errors_in_one_line(bool(kwargs.get("as_json"))):
            code = function(*args, **kwargs)
            if code:
                raise typer.Exit(code)

    return run
