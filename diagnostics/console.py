"""What the command line shares: where words go, how errors end, what the exit codes mean.

With `--json` standard output is one JSON document; everything else goes to standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any, ParamSpec

import msgspec
import typer
from rich.console import Console

from diagnostics.errors import LastbatchError, MissingError

OK, BAD_NEWS, USAGE, LACKING = 0, 1, 2, 3

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, everything else on stderr.")]

words = Console(stderr=True, highlight=False)
"""For progress and errors."""
page = Console(highlight=False)
"""For the answer, where it is not JSON."""

P = ParamSpec("P")


def print_json(document: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=2) + b"\n")
    sys.stdout.flush()


@contextmanager
def _errors_in_one_line(as_json: bool) -> Iterator[None]:
    """A user's mistake, or a lack of this machine, is one line on standard error and never a traceback."""
    try:
        yield
    except LastbatchError as error:
        words.print(f"[bold red]lastbatch:[/] {_escape(error)}", soft_wrap=True)
        if as_json:
            print_json({"error": error.message, "hint": error.hint})
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        words.print("lastbatch: interrupted; everything that was started has been ended")
        raise typer.Exit(130) from None
    except BrokenPipeError:
        # Whoever read our output has enough; Python must not complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(OK) from None
    except OSError as error:
        lacking = MissingError(*_explain(error))
        words.print(f"[bold red]lastbatch:[/] {_escape(lacking)}", soft_wrap=True)
        raise typer.Exit(lacking.exit_code) from None


def _escape(error: Exception) -> str:
    return str(error).replace("[", r"\[")


def _explain(error: OSError) -> tuple[str, str]:
    what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    return what, "Free some space, or write elsewhere with --out" if error.errno == 28 else "See lastbatch doctor"


def command(function: Callable[P, int]) -> Callable[P, None]:
    """A command whose errors end in one line and whose result is the exit code."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with _errors_in_one_line(bool(kwargs.get("as_json"))):
            code = function(*args, **kwargs)
            if code:
                raise typer.Exit(code)

    return run
