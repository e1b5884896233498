"""Loops of Python that a thread goes round in, and the state that they were in.

Nobody is stopped for it but who computes in such a loop, for some milliseconds, where that is allowed: variables that
change may be torn else.

The main thread of a process that runs, or that sleeps for a time only. Variables are told by a digest: what is in them
is nobody's business, but for the name of what is asked for.
"""

import json
import os
import re
import time
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from diagnostics.collector import loops, namespaces, procfs
from diagnostics.collector.kernel import stat_fields, text_of
from diagnostics.collector.look import Fields, Look, plain
from diagnostics.collector.shell_loops import sleeping_loop
from diagnostics.collector.sources import mounts
from diagnostics.collector.stacks import pyspy
from diagnostics.collector.stacks.base import CollectorError
from diagnostics.collector.syscalls import sleeps_for_a_time

BUDGET = 2.0
ROUNDS = 4
"""Readings of a thread that runs; one that sleeps is read once."""
MOST_ROUNDS = 12
"""The same where a loop's readings have mostly met it within its own calls, which tell nothing."""
APART = 0.02
MOST_TIME = 6.0
"""Seconds for all processes together."""
NEAR = 12
"""Frames, from the innermost, that may be inside of the loop."""
_TIMED = ("hrtimer_nanosleep", "do_nanosleep", "common_nsleep")


class Loop(NamedTuple):
    """As `diagnostics.model.Loop`."""

    tid: int
    function: str
    file: str
    line: int
    asks: bool
    limited: bool
    until_ended: bool
    serves: bool
    about: str
    states: Tuple[str, ...]
    within: Tuple[str, ...] = ()
    until_time: bool = False
    tells: bool = False
    makes: bool = False


_LIBRARY = re.compile(r"/(site|dist)-packages/|/lib(64)?/python\d[\d.]*/|^<frozen|/lib/pypy")
MOST_TEXT = 200
MOST_SCRIPT = 256 << 10
_PATH = re.compile(r"/|\.\w{1,8}$|^[A-Za-z_]{1,40}$")


def sample(look: Look) -> Fields:
    found: Dict[int, Dict[str, Any]] = {}
    began = time.monotonic()
    for pid in look.pids:
        shell = _shell_loop(pid)
        if shell:
            found[pid] = {"loops": plain([shell])}
        elif time.monotonic() - began < MOST_TIME and _may_loop(pid):
            variables: List[str] = []
            loops_seen = merged(list(_readings(pid, look.may_stop, variables)))
            stands = any(one.asks or one.states or one.within for one in loops_seen)
            found[pid] = {"loops": plain(loops_seen), "variables": "" if stands else "".join(variables[:1])}
    return found


def merged(seen: List[Loop]) -> List[Loop]:
    """One for each loop, with all its states."""
    found: Dict[Tuple[Any, ...], List[Loop]] = {}
    for one in seen:
        found.setdefault((one.tid, one.file, one.function, one.line), []).append(one)
    return [
        same[-1]._replace(
            states=tuple(state for one in same for state in one.states),
            within=tuple(state for one in same for state in one.within),
        )
        for same in found.values()
    ]


_SHELLS = ("sh", "bash", "dash", "ash", "ksh", "zsh")


def _shell_loop(pid: int) -> Optional[Loop]:
    """Of a shell that waits for `sleep`: the loop of its script that has one."""
    name = text_of("/proc/%d/comm" % pid).strip()
    children = procfs.children_of(pid) if name in _SHELLS or name.endswith(".sh") else ()
    if not any(text_of("/proc/%d/comm" % child).strip() == "sleep" for child in children):
        return None
    words = procfs.command_of(pid)[1:]
    if words[:1] == ("-c",) and len(words) > 1:
        path, text = "", words[1]
    else:
        path = next((word for word in words if not word.startswith("-")), "")
        path = path if path.startswith("/") or not path else os.path.join(_directory(pid), path)
        if not path or not mounts.answering(pid, [path]):
            return None
        text = text_of(namespaces.path_of(pid, path), MOST_SCRIPT)
    loop = sleeping_loop(text)
    if loop is None:
        return None
    function = loop.function or os.path.basename(path) or name
    states = ("",) if loop.asks else ()
    return Loop(pid, function, path, loop.line, loop.asks, False, not loop.asks, False, loop.about[:MOST_TEXT], states)


def _may_loop(pid: int) -> bool:
    """Whether the main thread runs, or waits for a time at most."""
    return _runs(pid) or text_of("/proc/%d/task/%d/wchan" % (pid, pid)) in _TIMED or sleeps_for_a_time(pid, pid)


def _runs(pid: int) -> bool:
    return stat_fields("/proc/%d/task/%d/stat" % (pid, pid))[0] == "R"


def _readings(pid: int, may_stop: bool, variables: List[str]) -> Iterable[Loop]:
    """`variables` is given those of a thread that sleeps, as a digest."""
    how: Tuple[str, ...] = ("--nonblocking",)
    told, more = 0, False
    for number in range(MOST_ROUNDS):
        running = _runs(pid)
        if (number and not running) or (number >= ROUNDS and (told >= ROUNDS or not more)):
            return
        try:
            threads = json.loads(pyspy.ask(pid, BUDGET, "--locals", *how))
            main = [one["frames"] for one in threads if one["os_thread_id"] == pid]
            found = loop_in(pid, main[0] if main else [], running)
            telling = telling_loop(pid, main[0]) if main and not running else None
            found = found._replace(tells=telling is not None) if found else telling
            variables += [_digest_of(main[0])] if main and not running else []
        except (CollectorError, ValueError, KeyError, TypeError, AttributeError, SyntaxError, RecursionError):
            continue  # what runs may look torn, and not all is source that can be read
        if found and not found.asks and found is not telling and how and may_stop:
            how = ()  # what it has in its variables is read once more, not torn
        elif found:
            told, more = told + bool(found.states), True
            yield found
        time.sleep(APART)


def loop_in(pid: int, frames: List[Dict[str, Any]], running: bool) -> Optional[Loop]:
    """The loop that the thread goes round in, None where none is seen; frames innermost first."""
    inside: List[Dict[str, Any]] = []
    for frame in frames[:NEAR]:
        source = source_of(pid, frame["filename"])
        loop = source.loop_at(frame["name"], frame["line"]) if source else None
        if source and loop and _goes_round(loop, source, frame, inside, running):
            outside = frames[len(inside) + 1 :]
            serves = loop.serves or any(_serves(pid, one) for one in outside)
            told = _told(pid, loop._replace(serves=serves), frame, outside)
            # A round that takes long has not ended: what is seen within one of its calls is kept apart.
            return told if loop.asks or not inside else told._replace(states=(), within=told.states)
        inside.append(frame)
    return None


def telling_loop(pid: int, frames: List[Dict[str, Any]]) -> Optional[Loop]:
    """The loop that the thread sleeps in and that brings nothing to others, by its source; frames innermost first."""
    for frame in frames[:NEAR]:
        source = source_of(pid, frame["filename"])
        if source and source.tells_at(frame["name"], frame["line"]):
            place = (frame["name"], frame["filename"], frame["line"])
            return Loop(pid, *place, False, False, False, True, "", (), tells=True)
        if not _is_library(frame) and not (source and source.tells(frame["name"])):
            return None
    return None


def _digest_of(frames: List[Dict[str, Any]]) -> str:
    """Of the variables of the program's own functions, as far as all of them is told."""
    own = [one for one in frames if not _is_library(one)]
    state = [
        (one["filename"], one["name"], one["line"], sorted(pair for pair in _values(one).items() if _is_plain(pair[1])))
        for one in own
    ]
    return _digest(state)


def _digest(state: Any) -> str:
    import hashlib  # it takes a while, and few need it

    return hashlib.sha1(repr(state).encode("utf-8", "replace")).hexdigest()[:16]


def _serves(pid: int, frame: Dict[str, Any]) -> bool:
    source = source_of(pid, frame["filename"])
    return source is not None and source.serves_at(frame["name"], frame["line"])


def _goes_round(
    loop: loops.Loop, source: loops.Source, frame: Dict[str, Any], inside: List[Dict[str, Any]], running: bool
) -> bool:
    if loop.asks:
        within = [one for one in inside if not source.is_pure(one["name"])]
        return all(map(_is_library, within)) and not (within and running and loop.calls)
    # Else only where the variables that are seen are all that a round depends on.
    values = _values(frame)
    asked = [values.get(name, "") for name in loop.calls]
    known = all(_may_be_closed(name, values.get(name, ""), source) for name in loop.called)
    return known and all(map(_is_plain, asked)) and all(_is_plain(values.get(name, "")) for name in loop.keeps)


def _may_be_closed(name: str, shown: str, source: loops.Source) -> bool:
    """Whether it is a function that is not seen to keep anything from one call to the next.

    Of one that is in a variable py-spy does not tell which it is.
    """
    return shown.startswith("<function") or (source.has(name) and not source.keeps_state(name))


def _is_library(frame: Dict[str, Any]) -> bool:
    return bool(_LIBRARY.search(frame["filename"]))


def _is_plain(shown: str) -> bool:
    """Whether all of a variable is told: no object with an inside of its own."""
    return bool(shown) and " at 0x" not in shown and not shown.endswith("...")


def _values(frame: Dict[str, Any]) -> Dict[str, str]:
    return {one["name"]: one.get("repr") or "" for one in frame.get("locals") or ()}


def _told(pid: int, loop: loops.Loop, frame: Dict[str, Any], outside: List[Dict[str, Any]]) -> Loop:
    values = _values(frame)
    told = (name for name, shown in values.items() if name not in loop.keeps or _is_plain(shown))
    state: List[Any] = [sorted((name, values[name]) for name in told if name not in loop.counts)]
    state += [(one["filename"], one["name"], one["line"], sorted(_values(one).items())) for one in outside]
    return Loop(
        tid=pid,
        function=frame["name"],
        file=frame["filename"],
        line=loop.condition,
        asks=loop.asks,
        limited=loop.limited,
        until_ended=loop.until_ended,
        serves=loop.serves,
        about=_about(loop, values),
        states=(_digest(state),),
        until_time=loop.until_time,
        makes=loop.makes,
    )


def _about(loop: loops.Loop, values: Dict[str, str]) -> str:
    """The path that it asks for, where a variable or the text has one; what is in others is nobody's business."""
    texts = [word if word[:1] in "\"'" else values.get(word, "") for word in loop.wanted]
    shown = [text[1:-1] for text in texts if len(text) > 2 and text[0] in "\"'" and text[-1] == text[0]]
    return next((text[:MOST_TEXT] for text in shown if _PATH.search(text)), "")


_sources: Dict[Tuple[str, float], Optional[loops.Source]] = {}


def source_of(pid: int, path: str) -> Optional[loops.Source]:
    """Of the file as it is now; None where it is no source, or on a file system that does not answer."""
    if not path.startswith("/"):
        path = os.path.join(_directory(pid), path)
    if not path.endswith(".py") or _LIBRARY.search(path) or not mounts.answering(pid, [path]):
        return None
    place = namespaces.path_of(pid, path)
    try:
        stamp = os.stat(place)
        key = (place, stamp.st_mtime)
        if key not in _sources:
            _sources[key] = None
            if stamp.st_size <= loops.MOST_SOURCE:
                with open(place, "rb") as file:
                    _sources[key] = loops.Source(file.read())
        return _sources[key]
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _directory(pid: int) -> str:
    try:
        return os.readlink("/proc/%d/cwd" % pid)
    except OSError:
        return "/"
