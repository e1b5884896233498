"""What the program says when it cannot go on: one line, and what to do next.

Exit codes are the command line's: 1 the answer is bad news, 2 usage, 3 this machine lacks something.
"""

import errno

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Of an OSError: there is no room for what was to be written."""


class LastbatchError(Exception):
    """Base of every error that is shown to the user as it is.

    Args:
        message: what is wrong, one line, no full stop needed.
        hint: what to do next, one line; empty where the message says it all.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        stop = "" if self.message.endswith((".", "?", "!")) else "."
        return f"{self.message}{stop} {self.hint}" if self.hint else self.message


class UsageError(LastbatchError):
    """The call itself is wrong: an unknown name, a bad value."""

    exit_code = 2


class MissingError(LastbatchError):
    """This machine lacks something: an interpreter, a right, a tool, the network, disk space."""

    exit_code = 3


class EvidenceError(LastbatchError):
    """A file from disk or network is not what it claims to be: cut short, corrupt, hostile, another format."""

    exit_code = 2
