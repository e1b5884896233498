"""Everything that can be seen of processes without stopping anybody: samples a known time apart, and the rest once."""

import importlib
import re
import threading
import time
from types import ModuleType
from typing import Any, Dict, Iterable, List, Sequence, Set

from diagnostics.collector import namespaces, procfs, sources
from diagnostics.collector.kernel import text_of
from diagnostics.collector.look import Fields, Look, Target
from diagnostics.collector.registry import modules_in
from diagnostics.collector.sources import devices, mounts, recorder

DEADLINE = 10.0
"""Seconds for a source that does not say otherwise."""
LAST = 10.0
"""Seconds for what a source that was asked has under way when its time is over."""


def found() -> List[ModuleType]:
    """All sources that there are."""
    return [module for module in modules_in(sources) if hasattr(module, "once") or hasattr(module, "sample")]


class Round(object):
    """Asks sources, each within its deadline, and keeps what they gave, and why others gave nothing.

    `deadline`: in seconds, in place of the sources' own.
    """

    def __init__(self, look: Look, deadline: float = 0.0) -> None:
        self._look = look
        self._deadline = deadline
        self._failed: Set[str] = set()
        self.left_out: List[str] = []

    def ask(self, modules: Iterable[ModuleType], what: str, *more: Any) -> Fields:
        """The fields of all of them together; `what` is `once`, `sample` or `asked`, called with `more`, too."""
        fields: Fields = {pid: {} for pid in self._look.pids}
        for module in modules:
            for pid, told in self._answer(module, what, *more).items():
                if pid in fields:
                    fields[pid].update(told)
        return fields

    def _answer(self, module: ModuleType, what: str, *more: Any) -> Fields:
        name = module.__name__.rpartition(".")[2]
        if not hasattr(module, what) or name in self._failed:
            return {}
        deadline = self._deadline or getattr(module, "DEADLINE", DEADLINE)
        answer: List[Fields] = []
        why: List[str] = []

        def call() -> None:
            try:
                answer.append(getattr(module, what)(self._look, *more))
            except Exception as error:
                why.append("%s: %s" % (type(error).__name__, error))

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        thread.join(deadline)
        if not answer:
            reason = why[0] if why else "did not answer within %.0f s" % deadline
            self._failed.add(name)
            self.left_out.append("%s: %s" % (name, reason))
        return answer[0] if answer else {}


def observe(look: Look, count: int, gap: float) -> Iterable[Dict[str, Any]]:
    """Of each process `{"evidence": {"pid", "samples", ...}}`, the rest being fields of `diagnostics.model.Process`;
    then `{"beside": ...}`, what is the host's.

    `count` samples are taken, `gap` seconds apart. After a single one nothing else is looked at.
    """
    modules, asking = found(), Round(look)
    still = [module for module in modules if getattr(module, "STILL", False)]
    samples: Dict[int, List[Dict[str, Any]]] = {pid: [] for pid in look.pids}
    once: Fields = {pid: {} for pid in look.pids}
    last: Fields = {pid: {} for pid in look.pids}
    with devices.Cards() as cards:
        readings, card_list, began = [], cards.once(), time.monotonic()
        for number in range(count):
            if number:
                time.sleep(max(0.0, began + gap - time.monotonic()))
            began = time.monotonic()
            look.renew()
            for pid, fields in asking.ask(modules, "sample").items():
                samples[pid].append(fields)
            readings.append(cards.sample())
            if not number and count > 1:
                once = asking.ask(still, "once")
        if count > 1:
            last = asking.ask([module for module in modules if module not in still], "once")
        for pid in look.pids:
            yield {"evidence": dict(last[pid], pid=pid, samples=samples[pid], **once[pid])}
        log, why_no_log = devices.kernel_lines() if count > 1 else ([], "")
        left_out = asking.left_out + ["kernel log: %s" % why for why in [why_no_log] if why]
        opened = devices.opened_by(look.pids)
        left_out += ["cards: %s" % cards.why_not] if cards.why_not and any(opened.values()) else []
        joined = devices.joined(card_list, readings, opened) if card_list else []
        yield {"beside": {"devices": joined, "kernel_log": log, "left_out": left_out}}


def ask(look: Look, name: str, wanted: Dict[str, Any], seconds: float) -> Iterable[Dict[str, Any]]:
    """Of each process `{"asked": {"pid", "found"}}`, from a source that answers only when asked; then `{"beside"}`.

    It begins nothing that is to end later than `seconds` from now.
    """
    module, asking = importlib.import_module("%s.%s" % (sources.__name__, name)), Round(look, seconds + LAST)
    for pid, found in asking.ask([module], "asked", wanted, time.monotonic() + seconds).items():
        if found:
            yield {"asked": {"pid": pid, "found": found}}
    yield {"beside": {"left_out": asking.left_out}}


def resolved(targets: Sequence[Target]) -> List[Target]:
    """With what the processes themselves tell: their recorder, their log."""
    return _own_recorders([_resolved(target) for target in targets])


def _resolved(target: Target) -> Target:
    shared = mounts.answering(target.pid, procfs.mapped_files(target.pid, shared=True))
    file = target.recorder or recorder.find(namespaces.path_of(target.pid, name) for name in shared)
    return target._replace(recorder=file, log=target.log or _log_of(target.pid))


def _log_of(pid: int) -> str:
    streams = [path for path in procfs.standard_streams(pid) if path.startswith("/") and not path.startswith("/dev/")]
    for path in mounts.answering(pid, streams):
        place = namespaces.path_of(pid, path)
        if procfs.is_file(place):
            return place
    return ""


def _own_recorders(targets: List[Target]) -> List[Target]:
    """A forked child still maps its parent's recorder, which says nothing of the child."""
    owners: Dict[str, int] = {}
    for target in targets:
        counts = recorder.counts_of(target.recorder) if target.recorder else None
        if counts and (target.recorder not in owners or counts.pid == _own_number(target.pid)):
            owners[target.recorder] = target.pid
    return [
        target if owners.get(target.recorder, target.pid) == target.pid else target._replace(recorder="")
        for target in targets
    ]


def _own_number(pid: int) -> int:
    """The process's id as it knows it itself."""
    match = re.search(r"^NSpid:.*?(\d+)$", text_of("/proc/%d/status" % pid), re.MULTILINE)
    return int(match.group(1)) if match else pid
