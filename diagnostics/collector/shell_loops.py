"""Loops of shell scripts that sleep: those that only wait and ask again, and those that work between.

Pure. CPython 3.6, the standard library alone.

A shell keeps nothing that tells where in its script it is. But where it waits for `sleep`, and one loop of the script
alone has one, it is there.
"""

import re
from typing import NamedTuple, Optional

_LOOP = re.compile(r"(?<![\w-])(?:while|until)\s(?P<asks>.*?)[;\n]\s*do\s(?P<body>.*?)(?<![\w-])done(?![\w-])", re.S)
_SLEEP = re.compile(r"(?<![\w-])sleep\s")
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")
_FUNCTION = re.compile(r"(?m)^\s*(?:function\s+)?([A-Za-z_][\w-]*)\s*\(\)|^\s*function\s+([A-Za-z_][\w-]*)")
_CONSTANT = re.compile(r"^\s*(?:true|:|1|\[\s*1\s*\]|\(\(\s*1\s*\)\))\s*$")
_INNER = re.compile(r"(?<![\w-])(?:while|until|for|select)\s")
_LEAVES = re.compile(r"(?<![\w-])(?:break|return|exit|exec)(?![\w-])")
_HARMLESS = re.compile(
    r"^(?:sleep|echo|printf|date|true|:|\(\(|let|if|then|else|fi|break|return|exit|\[|\[\[|test)(?![\w-])"
)
_PATH = re.compile(r"[^\s\"'();<>]*/[^\s\"'();<>]+|(?<=-[efds] )[\"']?[^\s\"';\]]+|(?<=> )[\"']?\$\w+")


class ShellLoop(NamedTuple):
    """`line` is where it asks, `about` the path, as the script has it. `asks`: it does nothing else; else it works, and
    sleeps between two rounds, until somebody ends it."""

    function: str
    line: int
    about: str
    asks: bool = True


def sleeping_loop(text: str) -> Optional[ShellLoop]:
    """The only loop with a `sleep`, where it does nothing else but ask, or never ends by itself; None for none or
    several."""
    text = _COMMENT.sub(lambda match: " " * len(match.group()), text)
    found = [match for match in _LOOP.finditer(text) if _SLEEP.search(match.group())]
    if len(found) != 1 or len(_SLEEP.findall(text)) != 1:
        return None
    loop = found[0]
    asks, body = loop.group("asks"), loop.group("body")
    commands = [one.strip() for one in re.split(r"[;\n]|&&|\|\|", body) if one.strip()]
    if _INNER.search(body):
        return None
    endless = _CONSTANT.match(asks) and not _LEAVES.search(body)
    if not endless and not all(map(_HARMLESS.match, commands)):
        return None
    outside = [one.group(1) or one.group(2) for one in _FUNCTION.finditer(text[: loop.start()])]
    path = _PATH.search(asks)
    return ShellLoop(
        outside[-1] if outside else "", text.count("\n", 0, loop.start()) + 1,
        path.group().strip("\"'") if path else "", not endless,
    )  # fmt: skip
